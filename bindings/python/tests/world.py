"""Two peers in one process, on a wire without loss, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from frazil import (
    ChannelConfig,
    Config,
    Event,
    HostSocket,
    IceCandidate,
    LocalIceCandidate,
    Path,
    Peer,
    SignalingStateChange,
)

SECOND = 1_000_000_000


def host(ip: str = "192.0.2.1", port: int = 4000) -> HostSocket:
    """A socket that a machine might have."""
    return HostSocket(
        protocol="udp", ip=ip, port=port, interface="ethernet", index=2, cost=0, temporary=False, deprecated=False
    )


@dataclass
class Side:
    """One of the two."""

    peer: Peer
    events: list[Event] = field(default_factory=list)

    def find(self, kind: type) -> list[Event]:
        """The events of a class."""
        return [event for event in self.events if isinstance(event, kind)]


class World:
    """Two peers, and a clock."""

    def __init__(self, *, batched: bool, config: Config | None = None) -> None:
        self.now = 7 * SECOND
        self._batched = batched
        self.sides = [Side(Peer(config=config, seed=bytes([number]) * 32, now=self.now)) for number in range(2)]
        for number, side in enumerate(self.sides):
            side.peer.handle_network_change([host(f"192.0.2.{number + 1}")], self.now)
            side.peer.end_of_candidates(self.now)

    def connect(self, label: str = "chat") -> int:
        """Has the first make a channel and connect to the second. Gives the channel's number."""
        ours, theirs = (side.peer for side in self.sides)
        channel = ours.create_data_channel(ChannelConfig(label=label), self.now)
        offer = ours.create_offer()
        ours.set_local_description(offer, self.now)
        theirs.set_remote_description(offer, self.now)
        answer = theirs.create_answer()
        theirs.set_local_description(answer, self.now)
        ours.set_remote_description(answer, self.now)
        return channel

    def drain(self, side: Side) -> list[tuple[int, bytes]]:
        """Takes out all that is there."""
        transmits: list[tuple[int, bytes]] = []
        while True:
            count = len(transmits) + len(side.events)
            if self._batched:
                while batch := side.peer.poll_transmits():
                    transmits += batch
                side.events += side.peer.poll_messages()
            else:
                while transmit := side.peer.poll_transmit():
                    transmits.append(transmit)
            while event := side.peer.poll_event():
                side.events.append(event)
            if len(transmits) + len(side.events) == count:
                return transmits

    def carry(self, sender: Side, receiver: Side) -> bool:
        """Brings to one what the other sends. Gives whether there was something."""
        batch = []
        for number, datagram in self.drain(sender):
            path = sender.peer.path(number)
            assert path is not None
            back = Path(
                protocol=path.protocol,
                local_ip=path.remote_ip,
                local_port=path.remote_port,
                remote_ip=path.local_ip,
                remote_port=path.local_port,
            )
            batch.append((receiver.peer.path_id(back), datagram))
        if self._batched:
            assert receiver.peer.handle_datagrams(batch, self.now) == len(batch)
        else:
            for number, datagram in batch:
                assert receiver.peer.handle_datagram(number, datagram, self.now)
        for event in sender.events:
            if isinstance(event, LocalIceCandidate):
                receiver.peer.add_ice_candidate(
                    IceCandidate(
                        candidate=event.candidate,
                        sdp_mid=event.sdp_mid,
                        sdp_m_line_index=event.sdp_m_line_index,
                        username_fragment=event.username_fragment,
                    ),
                    self.now,
                )
        sender.events = [event for event in sender.events if not isinstance(event, LocalIceCandidate)]
        return bool(batch)

    def run_until(self, reached: Callable[[], bool], limit: int = 60 * SECOND) -> None:
        """Lets both go on until something is reached, or fails after `limit` nanoseconds of virtual time."""
        end = self.now + limit
        one, other = self.sides
        while not reached():
            moved = [self.carry(one, other), self.carry(other, one)]
            if any(moved) or reached():
                continue
            deadlines = [deadline for side in self.sides if (deadline := side.peer.poll_timeout()) is not None]
            assert deadlines, "nothing is left to wait for"
            self.now = max(self.now, min(deadlines))
            assert self.now <= end, f"not reached; events: {[side.events for side in self.sides]}"
            for side in self.sides:
                deadline = side.peer.poll_timeout()
                if deadline is not None and deadline <= self.now:
                    side.peer.handle_timeout(self.now)


def is_stable(side: Side) -> bool:
    """Whether offer and answer are exchanged."""
    return SignalingStateChange(state="stable") in side.events
