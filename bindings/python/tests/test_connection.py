"""The driver for asyncio, over the loopback interface."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import frazil
import pytest
import pytest_asyncio
from frazil import (
    Channel,
    ClosedError,
    Config,
    Connection,
    ConnectionStateChange,
    Description,
    HostSocket,
    IceCandidate,
    InvalidArgumentError,
    InvalidStateError,
    LocalIceCandidate,
    NotSentError,
    OpenSocket,
    OperatingSystemError,
    PanickedError,
    _core,
)
from frazil.aio import _PATHS, _SOCKET_BUFFER
from world import host

T = TypeVar("T")
LIMIT = 120.0


class Two:
    """Two connections that tell each other their candidates."""

    def __init__(self, config: Config | None = None) -> None:
        self.ours = Connection(config, loopback=True)
        self.theirs = Connection(config, loopback=True)
        self.told: dict[Connection, list[frazil.ConnectionEvent]] = {self.ours: [], self.theirs: []}
        self.incoming: asyncio.Queue[Channel] = asyncio.Queue()
        self.tasks = [
            asyncio.create_task(self._carry(self.ours, self.theirs)),
            asyncio.create_task(self._carry(self.theirs, self.ours)),
        ]

    async def _carry(self, of: Connection, to: Connection) -> None:
        async for event in of:
            match event:
                case Channel():
                    self.incoming.put_nowait(event)
                case LocalIceCandidate(candidate, mid, index, ufrag):
                    to.add_ice_candidate(
                        IceCandidate(candidate=candidate, sdp_mid=mid, sdp_m_line_index=index, username_fragment=ufrag)
                    )
                case _:
                    self.told[of].append(event)

    def negotiate(self) -> None:
        offer = self.ours.create_offer()
        self.ours.set_local_description(offer)
        self.theirs.set_remote_description(offer)
        answer = self.theirs.create_answer()
        self.theirs.set_local_description(answer)
        self.ours.set_remote_description(answer)

    async def connect(self) -> tuple[Channel, Channel]:
        """A channel as both see it."""
        channel = self.ours.create_data_channel("echo", protocol="test")
        self.negotiate()
        await channel.opened()
        return channel, await self.incoming.get()


@pytest_asyncio.fixture
async def two() -> AsyncIterator[Two]:
    two = Two()
    yield two
    await two.ours.close()
    await two.theirs.close()
    await asyncio.gather(*two.tasks)


async def bounded(work: Awaitable[T]) -> T:
    return await asyncio.wait_for(work, LIMIT)


def set_deaf(connection: Connection, is_deaf: bool) -> None:
    """Has a connection receive nothing for a while; datagrams wait."""
    for bound in connection._sockets.values():
        if is_deaf:
            connection._loop.remove_reader(bound.socket)
        else:
            connection._loop.add_reader(bound.socket, connection._attend, connection._receive, bound)


async def received(channel: Channel) -> None:
    """Waits until a message has come, without taking it."""
    async with asyncio.timeout(LIMIT):
        while not channel._received:
            await channel._changed.wait()


async def messages(channel: Channel) -> list[str | bytes]:
    """All that come until the channel is closed."""
    return await bounded(collect(channel))


async def collect(channel: Channel) -> list[str | bytes]:
    return [message async for message in channel]


async def echo(channel: Channel) -> None:
    async for message in channel:
        await channel.send(message)


async def echo_a_mebibyte(channel: Channel, back: Channel) -> None:
    """Sends and compares what comes back."""
    echoing = asyncio.create_task(echo(back))
    sent, came, fullest = hashlib.sha256(), hashlib.sha256(), 0

    async def send() -> None:
        nonlocal fullest
        for _ in range(64):
            message = os.urandom(16_384)
            sent.update(message)
            await channel.send(message)
            fullest = max(fullest, channel.buffered_amount)

    sending = asyncio.create_task(send())
    count = 0
    while count < 1 << 20:
        message = await channel.receive()
        assert isinstance(message, bytes)
        came.update(message)
        count += len(message)
    await sending
    assert came.digest() == sent.digest()
    assert 0 < fullest <= 65_536
    await channel._connection.close()
    await echoing


async def test_a_mebibyte_comes_back_and_the_end_is_seen() -> None:
    two = Two(Config(send_buffer=65_536))
    channel, back = await bounded(two.connect())
    assert (back.label, back.protocol) == ("echo", "test")
    await bounded(echo_a_mebibyte(channel, back))
    # The other side is told, and its iteration ends.
    await bounded(asyncio.gather(*two.tasks))
    assert two.told[two.theirs][-1] == ConnectionStateChange(state="closed")
    with pytest.raises(ClosedError):
        await back.receive()
    with pytest.raises(ClosedError):
        two.theirs.create_offer()
    await two.theirs.close()


async def test_who_does_not_receive_holds_back_who_sends(two: Two) -> None:
    channel, back = await bounded(two.connect())
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while True:
            await channel.send(bytes(16_384))
            sent += 16_384

    flooding = asyncio.create_task(flood())
    # With nobody receiving, both sides' buffers fill up and nothing moves any more.
    last = -1
    while sent != last:
        assert sent < 8 << 20
        last = sent
        await asyncio.sleep(1)
    assert not flooding.done()
    flooding.cancel()
    received = 0
    while received < sent:
        received += len(await bounded(back.receive()))


async def test_who_opens_channels_that_nobody_takes_is_held_back() -> None:
    two = Two()
    # Ours opens them, and of theirs nobody takes what it tells.
    two.tasks.pop().cancel()
    first = two.ours.create_data_channel("first")
    two.negotiate()
    await bounded(first.opened())

    opened = 0
    while opened < 3_000:
        channel = two.ours.create_data_channel("more")
        try:
            await asyncio.wait_for(channel.opened(), LIMIT if opened <= 256 else 2)
        except TimeoutError:
            break
        channel.close()
        opened += 1
    assert 256 < opened < 3_000

    # Once they are taken, things move again.
    two.tasks.append(asyncio.create_task(two._carry(two.theirs, two.ours)))
    await bounded(channel.opened())
    await two.ours.close()
    await two.theirs.close()
    await asyncio.gather(*two.tasks)


async def test_text_comes_as_text_and_bytes_as_bytes(two: Two) -> None:
    channel, back = await bounded(two.connect())
    for message in "Zoë", b"Zo\xc3\xab", bytearray(b"a"), memoryview(b"b"), "":
        await channel.send(message)
    assert [await bounded(back.receive()) for _ in range(5)] == ["Zoë", b"Zo\xc3\xab", b"a", b"b", ""]
    with pytest.raises(NotSentError):
        await channel.send(bytes(1 << 20))


async def test_senders_are_served_in_turn(two: Two) -> None:
    channel, back = await bounded(two.connect())
    senders = [asyncio.create_task(channel.send(str(number) * 50_000)) for number in range(9)]
    received = [await bounded(back.receive()) for _ in senders]
    assert received == [str(number) * 50_000 for number in range(9)]
    await asyncio.gather(*senders)


async def test_receivers_are_served_in_turn(two: Two) -> None:
    channel, back = await bounded(two.connect())
    served: asyncio.Queue[int] = asyncio.Queue()

    async def receive(number: int) -> None:
        while True:
            await channel.receive()
            served.put_nowait(number)

    receivers = [asyncio.create_task(receive(number)) for number in range(3)]
    await asyncio.sleep(0)
    for turn in range(9):
        # One at a time: for whoever is not served, there is nothing, and it waits on.
        await back.send("next")
        assert await bounded(served.get()) == turn % 3
    # Who goes away takes no message along.
    receivers[0].cancel()
    await back.send("next")
    assert await bounded(served.get()) == 1
    for receiver in receivers:
        receiver.cancel()


async def test_a_channel_that_is_closed_is_closed_on_both_sides(two: Two) -> None:
    channel, back = await bounded(two.connect())
    await back.send("there")
    await received(channel)
    await channel.send("last")
    channel.close()
    channel.close()
    await back.send("too late")
    assert "closing" in repr(channel)
    for call in channel.send("late"), channel.opened():
        with pytest.raises(ClosedError, match="the channel is closed"):
            await call
    assert await messages(channel) == ["there"]
    assert await messages(back) == ["last"]
    await bounded(asyncio.gather(channel.closed(), back.closed()))
    for ended in channel, back:
        assert "closed" in repr(ended)
        assert ended.buffered_amount == 0
        with pytest.raises(ClosedError):
            await ended.send("late")
        with pytest.raises(ClosedError):
            await ended.receive()
    # The connection is still there.
    other = two.ours.create_data_channel("other")
    await bounded(other.opened())


async def test_what_was_sent_before_a_channel_was_closed_is_delivered(two: Two) -> None:
    channel, back = await bounded(two.connect())
    sent = [bytes([number]) * 16_384 for number in range(64)]

    async def send() -> None:
        for message in sent:
            await channel.send(message)
        channel.close()
        await channel.closed()
        async with two.ours.create_data_channel("other") as other:
            for message in sent:
                await other.send(message)
        await two.ours.close()

    sending = asyncio.create_task(send())
    assert await messages(back) == sent
    assert await messages(await bounded(two.incoming.get())) == sent
    await bounded(sending)


async def test_channels_that_were_never_used_close(two: Two) -> None:
    await bounded(two.connect())
    async with asyncio.timeout(LIMIT):
        for _ in range(20):
            async with two.ours.create_data_channel("other") as other:
                # Now its announcement may count as buffered, of whose arrival nobody is told.
                await other.opened()


async def test_two_who_close_wait_for_nothing_that_nobody_receives(two: Two) -> None:
    channel, back = await bounded(two.connect())
    ends = channel, back

    async def fill(end: Channel) -> None:
        while True:
            await end.send(bytes(100_000))

    # Until each holds the other back.
    filling = [asyncio.create_task(fill(end)) for end in ends]
    async with asyncio.timeout(LIMIT):
        while any(sum(map(len, end._received)) < 1 << 20 for end in ends):
            await asyncio.gather(*(end._changed.wait() for end in ends))
    for end in ends:
        end.close()
    await bounded(asyncio.gather(*(end.closed() for end in ends)))
    for task in filling:
        with pytest.raises(ClosedError):
            await bounded(task)


async def test_a_channel_is_not_waited_for_if_its_use_fails(two: Two) -> None:
    channel, _ = await bounded(two.connect())
    set_deaf(two.theirs, True)
    await channel.send("never delivered")
    async with asyncio.timeout(LIMIT):
        with pytest.raises(KeyError):
            async with channel:
                raise KeyError
    assert "closing" in repr(channel)
    set_deaf(two.theirs, False)


async def test_both_sides_know_how_a_channel_is_ordered(two: Two) -> None:
    channel, back = await bounded(two.connect())
    assert channel.ordered
    assert back.ordered
    channel = two.ours.create_data_channel("other", ordered=False)
    back = await bounded(two.incoming.get())
    assert not channel.ordered
    assert not back.ordered


async def test_it_can_be_asked_about(two: Two) -> None:
    channel, _ = await bounded(two.connect())
    assert "open" in repr(channel)
    assert "typ host" in str(two.ours.local_description)
    assert two.theirs.remote_description is not None
    assert two.ours.connection_state == "connected"
    assert two.ours.selected_pair is not None
    assert two.ours.certificate != two.theirs.certificate


async def test_garbage_does_no_harm(two: Two) -> None:
    channel, back = await bounded(two.connect())
    pair = two.ours.selected_pair
    assert pair is not None
    family = socket.AF_INET6 if ":" in pair.local_ip else socket.AF_INET
    strangers = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(20)]
    for stranger in strangers:
        for garbage in b"", b"\x00", b"\x16", b"\x17" * 1200, os.urandom(1200), b"\x80" * 9000, bytes(20):
            stranger.sendto(garbage, (pair.local_ip, pair.local_port))
        stranger.close()
    await channel.send("still there")
    assert await bounded(back.receive()) == "still there"
    assert two.ours.connection_state == "connected"


async def test_many_strangers_do_not_push_the_other_side_out(two: Two) -> None:
    channel, back = await bounded(two.connect())
    pair = two.ours.selected_pair
    assert pair is not None
    family = socket.AF_INET6 if ":" in pair.local_ip else socket.AF_INET
    for burst in range(8):
        # They come in one burst, so in whole batches, and are more than are remembered.
        for _ in range(200):
            with socket.socket(family, socket.SOCK_DGRAM) as stranger:
                stranger.sendto(b"\x17stranger", (pair.local_ip, pair.local_port))
        await back.send(str(burst))
        assert await bounded(channel.receive()) == str(burst)


async def test_a_number_out_of_date_among_too_many_is_asked_anew(two: Two) -> None:
    channel, back = await bounded(two.connect())
    pair = two.ours.selected_pair
    assert pair is not None
    family = socket.AF_INET6 if ":" in pair.local_ip else socket.AF_INET
    paths = two.ours._sockets[pair.local_ip, pair.local_port].paths
    with socket.socket(family, socket.SOCK_DGRAM) as old, socket.socket(family, socket.SOCK_DGRAM) as new:
        for stranger in old, new:
            stranger.bind((pair.local_ip, 0))
        paths[old.getsockname()] = 0xFFFF_FFFF
        paths.update({("192.0.2.1", port): 0xFFFF_FFFF for port in range(_PATHS)})
        # Both are in one batch. For the second, all addresses are forgotten; then the first one's number is refused.
        for stranger in old, new:
            stranger.sendto(b"\x17stranger", (pair.local_ip, pair.local_port))
        await back.send("still there")
        assert await bounded(channel.receive()) == "still there"
        assert {old.getsockname(), new.getsockname()} <= paths.keys()
        assert 0xFFFF_FFFF not in paths.values()


async def test_after_close_calls_are_errors_and_a_second_close_is_not() -> None:
    connection = Connection(loopback=True)
    channel = connection.create_data_channel("chat")
    waiting = asyncio.create_task(channel.opened())
    await asyncio.sleep(0)
    await bounded(asyncio.gather(connection.close(), connection.close()))
    await connection.close()
    with pytest.raises(ClosedError):
        await waiting
    for call in (
        lambda: connection.create_data_channel("chat"),
        connection.create_offer,
        connection.create_answer,
        lambda: connection.set_local_description(Description(type="offer", sdp="")),
        lambda: connection.set_remote_description(Description(type="offer", sdp="")),
        lambda: connection.add_ice_candidate(IceCandidate(candidate="")),
        lambda: connection.set_servers([]),
        connection.restart_ice,
        lambda: connection.selected_pair,
        lambda: connection.local_description,
        lambda: connection.remote_description,
        lambda: connection.certificate,
    ):
        with pytest.raises(ClosedError) as caught:
            call()
        assert caught.value.reason == "closed"
    assert connection.connection_state == "closed"
    assert channel.buffered_amount == 0
    channel.close()
    await channel.closed()
    with pytest.raises(ClosedError):
        await channel.send("late")
    # What had happened can still be read, and then it is over.
    assert [event async for event in connection][-1] == ConnectionStateChange(state="closed")


async def test_close_ends_all_that_waits_before_the_other_side_is_told(two: Two) -> None:
    channel, back = await bounded(two.connect())
    await back.send("there")
    await received(channel)
    other = two.ours.create_data_channel("other")
    await bounded(other.opened())
    # The other side hears nothing, so that the buffer fills up.
    set_deaf(two.theirs, True)
    sending = [asyncio.create_task(other.send(bytes(200_000))) for _ in range(10)]
    receiving = [asyncio.create_task(other.receive()) for _ in range(2)]
    while other.buffered_amount < 1_000_000:
        await asyncio.sleep(0)

    closing = asyncio.create_task(two.ours.close())
    for task in *sending[5:], *receiving:
        with pytest.raises(ClosedError):
            await bounded(task)
    # The iteration has ended too.
    await bounded(two.tasks[0])
    assert two.told[two.ours][-1] == ConnectionStateChange(state="closed")
    assert two.ours.connection_state == "closed"
    assert other.buffered_amount == 0
    with pytest.raises(ClosedError):
        two.ours.create_offer()
    assert await channel.receive() == "there"
    assert not closing.done()
    set_deaf(two.theirs, False)
    await bounded(closing)
    await bounded(two.tasks[1])
    assert two.told[two.theirs][-1] == ConnectionStateChange(state="closed")


async def test_a_call_that_is_refused_has_what_follows_done(two: Two) -> None:
    channel, _ = await bounded(two.connect())
    peer = two.ours._peer

    class Refusing:
        """In its `send` it comes out that all is over."""

        def __getattr__(self, name: str) -> Any:
            return getattr(peer, name)

        def send(self, *_: object) -> bool:
            peer.leave(time.monotonic_ns())
            raise ClosedError("it is over")

    two.ours._peer = Refusing()  # type: ignore[assignment]
    with pytest.raises(ClosedError, match="it is over"):
        await channel.send("hello")
    assert not peer.poll_transmits()
    assert peer.poll_event() is None
    assert two.ours.connection_state == "closed"


async def test_what_breaks_in_the_background_is_raised() -> None:
    connection = Connection(loopback=True)
    channel = connection.create_data_channel("chat")
    connection.set_local_description(connection.create_offer())
    receiving = asyncio.create_task(channel.receive())
    description = connection.local_description
    assert description is not None
    candidates = [line.split() for line in description.sdp.splitlines() if line.startswith("a=candidate:")]
    ip, port = next((ip, int(port)) for _, _, _, _, ip, port, *_ in candidates if ip == "127.0.0.1")
    _core._inject_panic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"\x17", (ip, port))
    last = None
    with pytest.raises(PanickedError, match="injected"):
        async with asyncio.timeout(LIMIT):
            async for event in connection:
                last = event
    match last:
        case ConnectionStateChange(state="closed", failure=str(failure)):
            assert "injected" in failure
        case _:
            raise AssertionError(f"the state is told last, not {last!r}")
    with pytest.raises(PanickedError):
        await receiving
    with pytest.raises(PanickedError):
        connection.create_offer()
    assert connection.connection_state == "closed"
    await connection.close()
    with pytest.raises(PanickedError):
        connection.create_offer()


PANICS: dict[str, Callable[[Connection, Channel], object]] = {
    "create_data_channel": lambda connection, _: connection.create_data_channel("chat"),
    "create_offer": lambda connection, _: connection.create_offer(),
    "restart_ice": lambda connection, _: connection.restart_ice(),
    "connection_state": lambda connection, _: connection.connection_state,
    "selected_pair": lambda connection, _: connection.selected_pair,
    "local_description": lambda connection, _: connection.local_description,
    # Nothing has to be waited for.
    "send": lambda _, channel: channel.send("hello").__await__().__next__(),
    "close": lambda _, channel: channel.close(),
    "buffered_amount": lambda _, channel: channel.buffered_amount,
}


@pytest.mark.parametrize("call", PANICS.values(), ids=PANICS)
async def test_a_panic_in_a_call_ends_all_that_waits(two: Two, call: Callable[[Connection, Channel], object]) -> None:
    channel, _ = await bounded(two.connect())
    unopened = two.ours.create_data_channel("other")
    waits = channel.receive(), channel.receive(), channel.closed(), unopened.opened(), unopened.send("hello")
    waiting = [asyncio.create_task(wait) for wait in waits]
    await asyncio.sleep(0)
    _core._inject_panic()
    with pytest.raises(PanickedError, match="injected"):
        call(two.ours, channel)
    for task in *waiting, two.tasks.pop(0):
        with pytest.raises(PanickedError, match="injected"):
            await bounded(task)
    match two.told[two.ours][-1]:
        case ConnectionStateChange(state="closed", failure=str(failure)):
            assert "injected" in failure
        case other:
            raise AssertionError(f"the state is told last, not {other!r}")
    assert two.ours.connection_state == "closed"
    for later in "create_data_channel", "create_offer", "local_description", "send", "buffered_amount":
        with pytest.raises(PanickedError):
            PANICS[later](two.ours, channel)
    channel.close()
    await bounded(two.ours.close())


def link_local() -> list[tuple[str, int]]:
    """The machine's link-local addresses, with the numbers of their interfaces."""
    table = Path("/proc/net/if_inet6")
    lines = [line.split() for line in table.read_text().splitlines()] if table.exists() else []
    found = [(bytes.fromhex(digits), int(index, 16)) for digits, index, *_ in lines if digits.startswith("fe80")]
    return [(str(ipaddress.IPv6Address(address)), index) for address, index in found]


async def test_another_socket_is_bound_beside_one_on_each_address() -> None:
    async with Connection(loopback=True) as connection:
        # A driver binds these only where there is nothing else.
        for ip, index in link_local():
            try:
                connection._bind_one(ip, index)
            except OSError:
                pass  # The address may not be usable yet, or no more.
        addresses = [ip for ip, _ in connection._sockets]
        for number, ip in enumerate(addresses):
            connection._handle(OpenSocket(socket=number, local_ip=ip))
        assert sorted(ip for ip, _ in connection._sockets) == sorted(addresses * 2)


async def test_names_are_looked_up_and_some_have_no_address(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo
    asked = []

    def look_up_here(name: str, *arguments: Any, **keywords: Any) -> Any:
        """Leaves the machine's servers of names alone."""
        asked.append(name)
        if name.startswith("no-such-name"):
            raise socket.gaierror(socket.EAI_NONAME, "there is no such name")
        return look_up(name, *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    two.ours.create_data_channel("chat")
    two.negotiate()
    for name in "localhost", "no-such-name.invalid", "no-such-name.local":
        candidate = f"candidate:9 1 udp 1 {name} 9 typ host"
        two.ours.add_ice_candidate(IceCandidate(candidate=candidate, sdp_mid="0"))
    async with asyncio.timeout(LIMIT):
        while two.ours._lookups:
            await asyncio.sleep(0.01)
    assert sorted(asked) == ["localhost", "no-such-name.invalid", "no-such-name.local"]
    assert two.ours.connection_state in {"connecting", "connected"}


async def test_a_stun_server_that_is_not_there_is_told() -> None:
    servers = [frazil.IceServer(urls=["stun:127.0.0.1:9"])]
    async with Connection(servers=servers, loopback=True) as connection:
        connection.create_data_channel("chat")
        connection.set_local_description(connection.create_offer())
        async with asyncio.timeout(LIMIT):
            async for event in connection:
                match event:
                    case frazil.IceCandidateError(url=url, error_code=code):
                        assert (url, code) == ("stun:127.0.0.1:9", 701)
                        break


async def test_what_this_driver_cannot_do_is_refused() -> None:
    for config, what in (Config(mdns_candidates=True), "mdns_candidates"), (Config(active_tcp=True), "active_tcp"):
        with pytest.raises(InvalidArgumentError, match=what):
            Connection(config)
    with pytest.raises(InvalidStateError):
        async with Connection(loopback=True) as connection:
            connection.create_answer()


async def test_values_that_cannot_be_are_refused(two: Two) -> None:
    channel, _ = await bounded(two.connect())
    calls: list[Callable[[], object]] = [
        lambda: two.ours.create_data_channel("\ud800"),
        lambda: two.ours.create_data_channel("chat", protocol="\udfff"),
        lambda: two.ours.create_data_channel("chat", max_retransmits=-1),
        lambda: two.ours.create_data_channel("chat", negotiated=1 << 16),
    ]
    for call in calls:
        with pytest.raises(InvalidArgumentError):
            call()
    with pytest.raises(InvalidArgumentError, match="surrogate"):
        await channel.send("\ud800")


UNUSABLE = host("192.0.2.1", 0)
"""No machine has this address."""


@pytest.mark.parametrize(("addresses", "message"), [([], "no address"), ([UNUSABLE], "192.0.2.1")])
async def test_without_any_address_there_is_no_connection(
    monkeypatch: pytest.MonkeyPatch, addresses: list[HostSocket], message: str
) -> None:
    monkeypatch.setattr("frazil.aio.host_sockets", lambda **_: addresses)
    with pytest.raises(OperatingSystemError, match=message) as caught:
        Connection()
    assert caught.value.reason == "system"
    assert "no address could be bound" in caught.value.message


async def test_an_address_that_cannot_be_bound_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frazil.aio.host_sockets", lambda **_: [UNUSABLE, host("127.0.0.1", 0)])
    async with Connection() as connection:
        assert [ip for ip, _ in connection._sockets] == ["127.0.0.1"]


async def test_sockets_have_large_buffers_where_the_system_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = socket.SO_RCVBUF, socket.SO_SNDBUF

    async def sizes() -> set[tuple[int, ...]]:
        async with Connection(loopback=True) as connection:
            sockets = [bound.socket for bound in connection._sockets.values()]
            return {tuple(one.getsockopt(socket.SOL_SOCKET, buffer) for buffer in buffers) for one in sockets}

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        default = tuple(plain.getsockopt(socket.SOL_SOCKET, buffer) for buffer in buffers)
        for buffer in buffers:
            plain.setsockopt(socket.SOL_SOCKET, buffer, _SOCKET_BUFFER)
        enlarged = tuple(plain.getsockopt(socket.SOL_SOCKET, buffer) for buffer in buffers)
    assert await sizes() == {enlarged}

    set_option = socket.socket.setsockopt

    def refuse(self: socket.socket, level: int, option: int, value: int) -> None:
        if option in buffers:
            raise PermissionError("as it pleases")
        set_option(self, level, option, value)

    monkeypatch.setattr(socket.socket, "setsockopt", refuse)
    assert await sizes() == {default}


async def test_close_frees_everything_after_a_panic() -> None:
    connection = Connection(loopback=True)
    channel = connection.create_data_channel("chat")
    opening = asyncio.create_task(channel.opened())
    await asyncio.sleep(0)
    _core._inject_panic()
    sockets = [bound.socket for bound in connection._sockets.values()]
    with pytest.raises(PanickedError):
        connection.create_offer()
    await bounded(connection.close())
    assert sockets
    assert all(socket.fileno() == -1 for socket in sockets)
    with pytest.raises(PanickedError):
        await bounded(opening)
