"""A driver for asyncio: gives a `Peer` sockets, names and time.

What goes over the wire, and when, the peer decides. This moves datagrams between it and the sockets, looks names up, calls it
when its time has come, and tells the application what happened. It is small so that it can be read, and taken as the beginning
of another one. What it leaves out: it opens no TCP streams, follows no change of the machine's addresses, and publishes no
names by multicast DNS; those of the other side go to the system's resolver.

It needs an event loop that watches sockets (`loop.add_reader`): all but the `ProactorEventLoop` of Windows do.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from frazil._core import (
    BufferedAmountLow,
    Certificate,
    ChannelClosed,
    ChannelConfig,
    ChannelOpen,
    CloseSocket,
    CloseStream,
    Config,
    ConnectionStateChange,
    DataChannel,
    Description,
    HostSocket,
    IceCandidate,
    IceCandidateError,
    IceConnectionStateChange,
    IceGatheringStateChange,
    IceRestartFailed,
    IceServer,
    LocalIceCandidate,
    Message,
    NegotiationNeeded,
    NetworkChange,
    OpenSocket,
    OpenStream,
    Pair,
    Path,
    Peer,
    PublishName,
    Resolve,
    SelectedPairChange,
    SignalingStateChange,
    WithdrawName,
    host_sockets,
)
from frazil._errors import ClosedError, InvalidArgumentError, OperatingSystemError

if TYPE_CHECKING:
    from frazil._core import _Event as Event

RECEIVE_BUFFER = 1 << 20
"""How many bytes of messages wait in each channel to be read, if the configuration does not say."""

_BATCH = 16
"""How many datagrams of a socket are taken at a time."""

_DATAGRAM = 2048
"""The longest datagram that is taken whole, in bytes."""

_PATHS = 512
"""How many addresses are remembered at a time. Strangers have some too."""

_FAREWELL = 1.0
"""How many seconds it may take to tell the other side that we leave."""

_Address: TypeAlias = "tuple[str, int] | tuple[str, int, int, int]"
"""An address as sockets have it: of IPv6 with flow and scope."""


class _Socket:
    """A UDP socket bound to one address of the machine."""

    def __init__(self, ip: str, index: int) -> None:
        """Binds a socket. `index` is the interface, which link-local addresses mean nothing without."""
        self.index = index
        self.paths: dict[_Address, int] = {}
        """The number of the path to each address that has sent something."""
        is_ipv6 = ":" in ip
        self.socket = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            if is_ipv6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.bind(self.address(ip, 0))
            self.ip, self.port = ip, int(self.socket.getsockname()[1])
        except OSError:
            self.socket.close()
            raise

    def address(self, ip: str, port: int) -> _Address:
        """Another address as this socket sends to it."""
        if ":" not in ip:
            return ip, port
        return ip, port, 0, self.index if ip.lower().startswith("fe80:") else 0

    def send(self, datagram: bytes, address: _Address) -> None:
        """Sends a datagram. What the system does not take is lost, as it may be on any wire."""
        try:
            self.socket.sendto(datagram, address)
        except OSError:
            pass

    def receive(self) -> list[tuple[_Address, bytes]]:
        """What has come, up to a batch."""
        received: list[tuple[_Address, bytes]] = []
        try:
            while len(received) < _BATCH:
                datagram, address = self.socket.recvfrom(_DATAGRAM)
                received.append((address, datagram))
        except OSError:
            # There is nothing more; or a router says that what we sent did not arrive, which the peer notices by itself.
            pass
        return received


class _Signal:
    """Wakes whoever waits for something to change."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    async def wait(self) -> None:
        """Waits for the next change."""
        woken = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        try:
            await woken
        finally:
            self._waiting.discard(woken)

    def wake(self) -> None:
        """Something has changed."""
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)


class Channel:
    """A data channel. A message is a `str` (text) or `bytes`.

    `async for message in channel` receives until the channel is closed. What nobody receives waits, and when
    `Config.receive_buffer` bytes wait, so must the other side.
    """

    def __init__(self, connection: Connection, number: int, label: str, protocol: str, *, is_open: bool) -> None:
        """Not to be called: `Connection.create_data_channel` makes channels, and so does the other side."""
        self._connection = connection
        self._number = number
        self._label = label
        self._protocol = protocol
        self._is_open = is_open
        self._over: Exception | None = None
        self._received: deque[str | bytes] = deque()
        self._changed = _Signal()
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        state = "closed" if self._over else "open" if self._is_open else "connecting"
        return f"<Channel {self._label!r} {state}>"

    @property
    def label(self) -> str:
        """A name for the application's use."""
        return self._label

    @property
    def protocol(self) -> str:
        """The subprotocol's name; empty for none."""
        return self._protocol

    @property
    def buffered_amount(self) -> int:
        """How many bytes the other side has not acknowledged yet."""
        return self._peer.buffered_amount(self._number)

    async def opened(self) -> None:
        """Waits until the channel is open."""
        while self._peer and not self._is_open:
            await self._changed.wait()

    async def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Sends a message, once the channel is open and there is room in its buffer. Who waits is served in turn."""
        async with self._turn:
            await self.opened()
            while not self._peer.send(self._number, message, time.monotonic_ns()):
                await self._changed.wait()
            self._connection._settle()

    async def receive(self) -> str | bytes:
        """The next message. Once the channel is closed and there is none, that is a `ClosedError`."""
        while not self._received:
            if self._over:
                raise self._over.with_traceback(None)
            await self._changed.wait()
        message = self._received.popleft()
        if not self._over:
            size = len(message.encode() if isinstance(message, str) else message)
            self._peer.release(self._number, size, time.monotonic_ns())
            self._connection._settle()
        return message

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except ClosedError:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Closes the channel once what was sent is delivered. To close twice is no error."""
        if not self._over:
            self._peer.close_channel(self._number, time.monotonic_ns())
            self._end(ClosedError("the channel is closed"))
            self._connection._settle()

    @property
    def _peer(self) -> Peer:
        if self._over:
            raise self._over.with_traceback(None)
        return self._connection._peer

    def _open(self) -> None:
        self._is_open = True
        self._changed.wake()

    def _take(self, message: str | bytes) -> None:
        if not self._over:
            self._received.append(message)
            self._changed.wake()

    def _end(self, over: Exception) -> None:
        self._over = self._over or over
        self._changed.wake()


ConnectionEvent: TypeAlias = (
    Channel
    | ConnectionStateChange
    | IceCandidateError
    | IceConnectionStateChange
    | IceGatheringStateChange
    | IceRestartFailed
    | LocalIceCandidate
    | NegotiationNeeded
    | NetworkChange
    | SelectedPairChange
    | SignalingStateChange
)
"""What a `Connection` tells: a channel that the other side has opened, or what has happened."""


class Connection:
    """A connection to another peer, whose descriptions and candidates the application carries.

    `async for event in connection` tells what happens, and ends when the connection is closed, by whichever side.
    `async with Connection() as connection` closes it at the end. What is wrong in the background, the iteration raises.
    """

    def __init__(
        self,
        config: Config | None = None,
        servers: Sequence[IceServer] = (),
        certificate: Certificate | None = None,
        *,
        loopback: bool = False,
        link_local: bool = False,
    ) -> None:
        """Binds a socket on each address of the machine, and on loopback and link-local ones if asked. A loop must run.

        The candidates are told as soon as a local description is set.
        """
        config = config or Config()
        if config.mdns_candidates:
            raise InvalidArgumentError("mdns_candidates cannot be had here: this driver publishes no names")
        receive_buffer = RECEIVE_BUFFER if config.receive_buffer is None else config.receive_buffer
        config = config.__replace__(active_tcp=False, receive_buffer=receive_buffer)

        self._loop = asyncio.get_running_loop()
        self._peer = Peer(
            config=config, servers=servers, certificate=certificate, seed=os.urandom(32), now=time.monotonic_ns()
        )
        self._sockets: dict[tuple[str, int], _Socket] = {}
        self._routes: dict[int, tuple[_Socket, _Address]] = {}
        """The socket and the address of each path that something was sent on."""
        self._channels: dict[int, Channel] = {}
        self._events: deque[ConnectionEvent] = deque()
        self._untaken = 0
        """How many channels are among them. The other side chooses how many it opens, so the peer is told."""
        self._changed = _Signal()
        self._lookups: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: int | None = None
        self._farewell: asyncio.TimerHandle | None = None
        self._over: Exception | None = None
        """Why calls are refused: the connection is closed or about to be, or has broken down."""
        self._is_ended = False

        try:
            sockets = self._bind(host_sockets(loopback=loopback, link_local=link_local))
            self._peer.handle_network_change(sockets, time.monotonic_ns())
            self._peer.end_of_candidates(time.monotonic_ns())
            self._settle()
        except BaseException:
            self._end()
            raise

    # What the application calls.

    def create_data_channel(
        self,
        label: str,
        *,
        protocol: str | None = None,
        ordered: bool | None = None,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        negotiated: int | None = None,
    ) -> Channel:
        """Makes a data channel, as `ChannelConfig` says. It opens once the connection is there."""
        config = ChannelConfig(
            label=label,
            protocol=protocol,
            ordered=ordered,
            max_retransmits=max_retransmits,
            max_packet_life_time=max_packet_life_time,
            negotiated=negotiated,
        )
        number = self._open_peer.create_data_channel(config, time.monotonic_ns())
        channel = self._channels[number] = Channel(self, number, label, protocol or "", is_open=False)
        self._settle()
        return channel

    def create_offer(self) -> Description:
        """W3C `createOffer`."""
        return self._open_peer.create_offer()

    def create_answer(self) -> Description:
        """W3C `createAnswer`."""
        return self._open_peer.create_answer()

    def set_local_description(self, description: Description) -> None:
        """W3C `setLocalDescription`. Candidates are told from now on."""
        self._open_peer.set_local_description(description, time.monotonic_ns())
        self._settle()

    def set_remote_description(self, description: Description) -> None:
        """W3C `setRemoteDescription`."""
        self._open_peer.set_remote_description(description, time.monotonic_ns())
        self._settle()

    @property
    def local_description(self) -> Description | None:
        """W3C `localDescription`: with all candidates known by now."""
        return self._open_peer.local_description()

    @property
    def remote_description(self) -> Description | None:
        """W3C `remoteDescription`."""
        return self._open_peer.remote_description()

    def add_ice_candidate(self, candidate: IceCandidate) -> None:
        """W3C `addIceCandidate`: a candidate that the other side tells."""
        self._open_peer.add_ice_candidate(candidate, time.monotonic_ns())
        self._settle()

    def restart_ice(self) -> None:
        """W3C `restartIce`: the next offer looks for paths anew."""
        self._open_peer.restart_ice()
        self._settle()

    def set_servers(self, servers: Sequence[IceServer]) -> None:
        """Names other servers, or the same with credentials that were renewed."""
        self._open_peer.set_servers(servers, time.monotonic_ns())
        self._settle()

    @property
    def connection_state(self) -> str:
        """W3C `connectionState`."""
        return self._open_peer.connection_state()

    @property
    def selected_pair(self) -> Pair | None:
        """The candidate pair that carries the traffic."""
        return self._open_peer.selected_pair()

    @property
    def certificate(self) -> Certificate:
        """Our certificate with its key, to be kept for another connection."""
        return self._open_peer.certificate()

    async def close(self) -> None:
        """Tells the other side that we leave, and frees everything, in a second at the most. To close twice is no error."""
        if not self._over:
            self._attend(self._leave)
        while not self._is_ended:
            await self._changed.wait()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[ConnectionEvent]:
        return self

    async def __anext__(self) -> ConnectionEvent:
        while not self._events:
            if self._over and not isinstance(self._over, ClosedError):
                raise self._over.with_traceback(None)
            if self._over:
                raise StopAsyncIteration
            await self._changed.wait()
        event = self._events.popleft()
        if isinstance(event, Channel):
            self._attend(self._count_untaken, -1)
        return event

    @property
    def _open_peer(self) -> Peer:
        if self._over:
            raise self._over.with_traceback(None)
        return self._peer

    # What sockets, names and the clock call.

    def _bind(self, wanted: list[HostSocket]) -> list[HostSocket]:
        """Binds sockets, passes over those that cannot be bound, and says what was bound."""
        bound = []
        for host in wanted:
            try:
                port = self._bind_one(host.ip, host.index).port
            except OSError:
                continue
            bound.append(host.__replace__(port=port))
        if wanted and not bound:
            raise OperatingSystemError("none of the machine's addresses could be bound")
        return bound

    def _bind_one(self, ip: str, index: int) -> _Socket:
        bound = _Socket(ip, index)
        self._sockets[ip, bound.port] = bound
        self._loop.add_reader(bound.socket, self._attend, self._receive, bound)
        return bound

    def _attend(self, call: Callable[..., None], *arguments: object) -> None:
        """Does something in the background. If that breaks, the connection is over, and the application is told why."""
        if self._is_ended:
            return
        try:
            call(*arguments)
            self._settle()
        except Exception as error:
            self._over = error
            self._end()

    def _receive(self, bound: _Socket) -> None:
        received = bound.receive()
        now = time.monotonic_ns()
        while received:
            batch = [(self._path_from(bound, address), datagram) for address, datagram in received]
            taken = self._peer.handle_datagrams(batch, now)
            if taken < len(received):
                # The number of this one's path is out of date. It may have been forgotten among too many others by now.
                bound.paths.pop(received[taken][0], None)
            received = received[taken:]

    def _path_from(self, bound: _Socket, address: _Address) -> int:
        number = bound.paths.get(address)
        if number is None:
            if len(bound.paths) >= _PATHS:
                bound.paths.clear()
            path = Path(
                protocol="udp", local_ip=bound.ip, local_port=bound.port, remote_ip=address[0], remote_port=address[1]
            )
            number = bound.paths[address] = self._peer.path_id(path)
        return number

    def _time_out(self) -> None:
        self._deadline = None
        self._peer.handle_timeout(time.monotonic_ns())

    async def _resolve(self, request: int, name: str) -> None:
        try:
            found = await self._loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            found = []
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        self._attend(lambda: self._peer.handle_resolved(request, addresses, time.monotonic_ns()))

    # What the peer wants.

    def _settle(self) -> None:
        """Sends and tells all that the peer wants, and sets the timer."""
        if self._is_ended:
            return
        worked = True
        while worked:
            worked = False
            while transmits := self._peer.poll_transmits():
                worked = True
                for path, datagram in transmits:
                    self._send(path, datagram)
            while (event := self._peer.poll_event()) is not None:
                worked = True
                self._handle(event)
        deadline = self._peer.poll_timeout()
        if self._farewell and deadline is None:
            self._end()
        elif deadline != self._deadline:
            self._set_timer(deadline)

    def _set_timer(self, deadline: int | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._deadline, self._timer = deadline, None
        if deadline is not None:
            delay = max(0, deadline - time.monotonic_ns()) / 1e9
            self._timer = self._loop.call_later(delay, self._attend, self._time_out)

    def _send(self, path: int, datagram: bytes) -> None:
        if path not in self._routes:
            way = self._peer.path(path)
            bound = self._sockets.get((way.local_ip, way.local_port)) if way and way.protocol == "udp" else None
            if not way or not bound:
                return
            if len(self._routes) >= _PATHS:
                self._routes.clear()
            self._routes[path] = bound, bound.address(way.remote_ip, way.remote_port)
        bound, address = self._routes[path]
        bound.send(datagram, address)

    def _handle(self, event: Event) -> None:
        match event:
            case Message(channel=number, data=data):
                if channel := self._channels.get(number):
                    channel._take(data)
            case BufferedAmountLow(channel=number):
                if channel := self._channels.get(number):
                    channel._changed.wake()
            case ChannelOpen(channel=number):
                if channel := self._channels.get(number):
                    channel._open()
            case ChannelClosed(channel=number):
                if channel := self._channels.pop(number, None):
                    channel._end(ClosedError("the channel is closed"))
            case DataChannel(channel=number, label=label, protocol=protocol):
                self._channels[number] = Channel(self, number, label, protocol, is_open=True)
                self._tell(self._channels[number])
                self._count_untaken(1)
            case Resolve(request=request, name=name):
                lookup = self._loop.create_task(self._resolve(request, name))
                self._lookups.add(lookup)
                lookup.add_done_callback(self._lookups.discard)
            case OpenStream(path=path):
                self._peer.handle_stream_closed(path, time.monotonic_ns())
            case OpenSocket(socket=number, local_ip=ip):
                # Beside one that is there, on the same interface.
                index = next((other.index for other in self._sockets.values() if other.ip == ip), 0)
                try:
                    bound = self._bind_one(ip, index)
                except OSError:
                    self._peer.handle_socket_opened(number, None, 0, time.monotonic_ns())
                else:
                    self._peer.handle_socket_opened(number, ip, bound.port, time.monotonic_ns())
            case CloseSocket(local_ip=ip, local_port=port):
                self._unbind(ip, port)
            case CloseStream() | PublishName() | WithdrawName():
                pass  # There are no streams and no names here.
            case ConnectionStateChange(state="closed"):
                self._tell(event)
                self._say_farewell()
            case _:
                self._tell(event)

    def _tell(self, event: ConnectionEvent) -> None:
        self._events.append(event)
        self._changed.wake()

    def _count_untaken(self, more: int) -> None:
        self._untaken += more
        self._peer.set_event_backlog(self._untaken, time.monotonic_ns())

    def _unbind(self, ip: str, port: int) -> None:
        if bound := self._sockets.pop((ip, port), None):
            self._routes.clear()
            self._loop.remove_reader(bound.socket)
            bound.socket.close()

    # The end.

    def _leave(self) -> None:
        self._peer.leave(time.monotonic_ns())
        self._say_farewell()

    def _say_farewell(self) -> None:
        """From now on the only thing to do is to tell the other side; that ends when the peer has no deadline any more."""
        if not self._over:
            self._over = ClosedError("the connection is closed")
            self._farewell = self._loop.call_later(_FAREWELL, self._attend, self._end)
            self._end_channels()

    def _end_channels(self) -> None:
        while self._channels:
            _, channel = self._channels.popitem()
            channel._end(self._over or ClosedError("the connection is closed"))

    def _end(self) -> None:
        """Frees everything."""
        self._is_ended = True
        for timer in self._timer, self._farewell:
            if timer:
                timer.cancel()
        for lookup in self._lookups:
            lookup.cancel()
        for ip, port in list(self._sockets):
            self._unbind(ip, port)
        self._end_channels()
        self._changed.wake()
        self._peer.close()
