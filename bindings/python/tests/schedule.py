"""Plays a recorded schedule: hands to a peer what it says, and gives the lines that come of it (docs/schedules.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frazil import (
    Certificate,
    ChannelConfig,
    Config,
    Description,
    HostSocket,
    IceCandidate,
    IceServer,
    LocalIceCandidate,
    Path,
    Peer,
)

HEADING = "frazil schedule 1"


def optional(word: str) -> str | None:
    return None if word == "-" else word


def data(word: str) -> bytes:
    return b"" if word == "-" else bytes.fromhex(word)


def text(word: str) -> str:
    return data(word).decode()


def shown(value: bytes) -> str:
    return value.hex() or "-"


def is_true(word: str) -> bool:
    return {"true": True, "false": False}[word]


def value(word: str) -> Any:
    """The value of a field of the configuration."""
    return is_true(word) if word in {"true", "false"} else int(word) if word.isdigit() else word


class Player:
    """What a schedule is played to."""

    def __init__(self) -> None:
        self._made_with: dict[str, Any] = {"servers": []}
        self._peer: Peer | None = None

    def play(self, line: str) -> list[str]:
        """Does what a line says, and gives what comes of it."""
        word, *rest = line.split(" ")
        if word in SETTINGS:
            SETTINGS[word](self._made_with, *rest)
            return []
        if word == "new":
            self._peer = Peer(**self._made_with, now=int(rest[0]))
            return []
        assert self._peer, f"{line!r} comes before `new`"
        if word in WITHOUT_TIME:
            return [*WITHOUT_TIME[word](self._peer, *rest)]
        now = int(rest[0])
        return [*(INPUTS[word](self._peer, now, *rest[1:]) or []), *drain(self._peer)]


def drain(peer: Peer) -> list[str]:
    """Takes everything out of the peer."""
    lines: list[str] = []
    while True:
        count = len(lines)
        while transmit := peer.poll_transmit():
            lines.append(f"> transmit {transmit[0]} {shown(transmit[1])}")
        while event := peer.poll_event():
            behind = f" {shown(event.candidate.encode())}" if isinstance(event, LocalIceCandidate) else ""
            lines.append(f"> event {type(event).__name__}{behind}")
        if len(lines) == count:
            break
    deadline = peer.poll_timeout()
    return [*lines, f"> deadline {'-' if deadline is None else deadline}"]


def add_server(made_with: dict[str, Any], url: str, username: str, credential: str) -> None:
    server = IceServer(urls=[url], username=optional(username), credential=optional(credential))
    made_with["servers"].append(server)


SETTINGS: dict[str, Callable[..., Any]] = {
    "seed": lambda made_with, seed: made_with.update(seed=data(seed)),
    "certificate": lambda made_with, certificate, key: made_with.update(
        certificate=Certificate(certificate=data(certificate), private_key=data(key))
    ),
    "config": lambda made_with, *fields: made_with.update(
        config=Config(**{name: value(word) for name, _, word in (field.partition("=") for field in fields)})
    ),
    "server": add_server,
}


def description(description: Description) -> list[str]:
    return [f"> description {description.type} {shown(description.sdp.encode())}"]


def restart(peer: Peer) -> list[str]:
    peer.restart_ice()
    return []


def path(peer: Peer, protocol: str, local_ip: str, local_port: str, remote_ip: str, remote_port: str) -> list[str]:
    path = Path(
        protocol=protocol,
        local_ip=local_ip,
        local_port=int(local_port),
        remote_ip=remote_ip,
        remote_port=int(remote_port),
    )
    return [f"> path {peer.path_id(path)}"]


WITHOUT_TIME: dict[str, Callable[..., list[str]]] = {
    "offer": lambda peer: description(peer.create_offer()),
    "answer": lambda peer: description(peer.create_answer()),
    "path": path,
    "restart": restart,
}


def host_socket(word: str) -> HostSocket:
    protocol, ip, port, interface, index, cost, temporary, deprecated = word.split(",")
    return HostSocket(
        protocol=protocol,
        ip=ip,
        port=int(port),
        interface=interface,
        index=int(index),
        cost=int(cost),
        temporary=is_true(temporary),
        deprecated=is_true(deprecated),
    )


def candidate(peer: Peer, now: int, mid: str, ufrag: str, candidate: str) -> None:
    peer.add_ice_candidate(
        IceCandidate(candidate=text(candidate), sdp_mid=optional(mid), username_fragment=optional(ufrag)), now
    )


def datagram(peer: Peer, now: int, path: str, datagram: str) -> None:
    assert peer.handle_datagram(int(path), data(datagram), now), f"{path} names no path"


def batch(peer: Peer, now: int, *entries: str) -> None:
    split = (entry.partition(":") for entry in entries)
    batch = [(int(path), data(datagram)) for path, _, datagram in split]
    assert peer.handle_datagrams(batch, now) == len(batch)


INPUTS: dict[str, Callable[..., list[str] | None]] = {
    "sockets": lambda peer, now, *sockets: peer.handle_network_change([host_socket(word) for word in sockets], now),
    "end": lambda peer, now: peer.end_of_candidates(now),
    "channel": lambda peer, now, label: [f"> channel {peer.create_data_channel(ChannelConfig(label=label), now)}"],
    "local": lambda peer, now, kind, sdp: peer.set_local_description(Description(type=kind, sdp=text(sdp)), now),
    "remote": lambda peer, now, kind, sdp: peer.set_remote_description(Description(type=kind, sdp=text(sdp)), now),
    "candidate": candidate,
    "resolved": lambda peer, now, request, addresses="-": peer.handle_resolved(
        int(request), (optional(addresses) or "").split(",") if optional(addresses) else [], now
    ),
    "datagram": datagram,
    "batch": batch,
    "opened": lambda peer, now, path: peer.handle_stream_opened(int(path), now),
    "closed": lambda peer, now, path: peer.handle_stream_closed(int(path), now),
    "stream": lambda peer, now, path, bytes: peer.handle_stream_data(int(path), data(bytes), now),
    "timeout": lambda peer, now: peer.handle_timeout(now),
    "leave": lambda peer, now: peer.leave(now),
}
