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
from typing import TYPE_CHECKING, ParamSpec, TypeAlias, TypeVar

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
    udp_driver_config,
)
from frazil._errors import ClosedError, InvalidArgumentError, OperatingSystemError, PanickedError

if TYPE_CHECKING:
    from frazil._core import _Event as Event

_P = ParamSpec("_P")
_T = TypeVar("_T")

_BATCH = 16
"""How many datagrams of a socket are taken at a time."""

_DATAGRAM = 2048
"""The longest datagram that is taken whole, in bytes."""

_PATHS = 512
"""How many addresses are remembered at a time. Strangers have some too."""

_SOCKET_BUFFER = 1 << 20
"""How many bytes of datagrams may wait in the system, in each direction of a socket, if it allows as many."""

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
            for buffer in socket.SO_RCVBUF, socket.SO_SNDBUF:
                self._enlarge(buffer)
            self.socket.bind(self.address(ip, 0))
            self.ip, self.port = ip, int(self.socket.getsockname()[1])
        except OSError:
            self.socket.close()
            raise

    def _enlarge(self, buffer: int) -> None:
        """Asks for a larger buffer. Without it more is lost, and that is all."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, buffer, _SOCKET_BUFFER)
        except OSError:
            pass

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
    """Wakes whoever waits for something to change, in turn."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}

    async def wait(self) -> None:
        """Waits for the next change."""
        woken = asyncio.get_running_loop().create_future()
        self._waiting[woken] = None
        try:
            await woken
        finally:
            del self._waiting[woken]

    def wake(self) -> None:
        """Something has changed."""
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)


class Channel:
    """A data channel. A message is a `str` (text) or `bytes`.

    `async for message in channel` receives until the channel is closed. What nobody receives waits, and when
    `Config.receive_buffer` bytes wait, so must the other side. `async with` closes the channel at its end, and waits until what
    was sent is delivered.
    """

    def __init__(
        self, connection: Connection, number: int, label: str, protocol: str, *, ordered: bool, is_open: bool
    ) -> None:
        """Not to be called: `Connection.create_data_channel` makes channels, and so does the other side."""
        self._connection = connection
        self._number = number
        self._label = label
        self._protocol = protocol
        self._ordered = ordered
        self._is_open = is_open
        self._is_closing = False
        self._over: Exception | None = None
        """Why there is nothing to come any more."""
        self._received: deque[str | bytes] = deque()
        self._changed = _Signal()
        self._sending = asyncio.Lock()
        self._receiving = asyncio.Lock()

    def __repr__(self) -> str:
        state = "closed" if self._over else "closing" if self._is_closing else "open" if self._is_open else "connecting"
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
    def ordered(self) -> bool:
        """Whether messages arrive in the order in which they were sent."""
        return self._ordered

    @property
    def buffered_amount(self) -> int:
        """How many bytes the other side has not acknowledged yet. Of a closed channel, none."""
        if isinstance(self._over, ClosedError):
            return 0
        return self._connection._call(self._connection._peer.buffered_amount, self._number)

    async def opened(self) -> None:
        """Waits until the channel is open."""
        self._check_not_closed()
        while not self._is_open:
            await self._changed.wait()
            self._check_not_closed()

    async def send(self, message: str | bytes | bytearray | memoryview) -> None:
        """Sends a message, once the channel is open and there is room in its buffer. Who waits is served in turn."""
        async with self._sending:
            await self.opened()
            peer, call = self._connection._peer, self._connection._call
            while not call(peer.send, self._number, message, time.monotonic_ns()):
                await self._changed.wait()
                self._check_not_closed()

    async def receive(self) -> str | bytes:
        """The next message. Once the channel is closed and there is none, that is a `ClosedError`.

        Who waits is served in turn.
        """
        async with self._receiving:
            while not self._received:
                if self._over:
                    raise self._over.with_traceback(None)
                await self._changed.wait()
            message = self._received.popleft()
        if not self._over and not self._is_closing:
            self._connection._attend(self._release, message)
        return message

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except ClosedError:
            raise StopAsyncIteration from None

    def close(self) -> None:
        """Closes the channel: it takes nothing more, neither to send nor to receive, and ends once what was sent is delivered.

        `closed` waits for that. Messages that have come can still be received. To close twice is no error.
        """
        if not self._over and not self._is_closing:
            self._is_closing = True
            self._changed.wake()
            self._connection._call(self._connection._peer.close_channel, self._number, time.monotonic_ns())

    async def closed(self) -> None:
        """Waits until the channel is closed, by whichever side. If `close` was called, what was sent is delivered by then.

        It is closed with the connection too, and then what was sent may be lost.
        """
        while not self._over:
            await self._changed.wait()
        if not isinstance(self._over, ClosedError):
            raise self._over.with_traceback(None)

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(self, exception: type[BaseException] | None, *_: object) -> None:
        self.close()
        if exception is None:
            await self.closed()

    def _check_not_closed(self) -> None:
        if self._over:
            raise self._over.with_traceback(None)
        if self._is_closing:
            raise ClosedError("the channel is closed")

    def _release(self, message: str | bytes) -> None:
        """Tells the peer that a message does not wait any more."""
        size = len(message.encode() if isinstance(message, str) else message)
        self._connection._peer.release(self._number, size, time.monotonic_ns())

    def _open(self) -> None:
        self._is_open = True
        self._changed.wake()

    def _ease(self) -> None:
        """There is room in the buffer."""
        self._changed.wake()

    def _take(self, message: str | bytes) -> None:
        if not self._is_closing:
            self._received.append(message)
            self._changed.wake()

    def _end(self, over: Exception) -> None:
        self._over = over
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
    `async with Connection() as connection` closes it at the end. If something breaks, the connection is closed, all that waits
    and all later calls raise it, and so does the iteration once it has told everything.
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
        self._loop = asyncio.get_running_loop()
        self._peer = Peer(
            config=udp_driver_config(config or Config()),
            servers=servers,
            certificate=certificate,
            seed=os.urandom(32),
            now=time.monotonic_ns(),
        )
        self._sockets: dict[tuple[str, int], _Socket] = {}
        self._routes: dict[int, tuple[_Socket, _Address]] = {}
        """The socket and the address of each path that something was sent on."""
        self._channels: dict[int, Channel] = {}
        self._events: deque[ConnectionEvent] = deque()
        self._untaken = 0
        """How many channels are among them. The other side chooses how many it opens, so the peer is told."""
        self._changed = _Signal()
        self._iterating = asyncio.Lock()
        self._lookups: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: int | None = None
        self._over: Exception | None = None
        """Why calls are refused: the connection is closed, or has broken down."""
        self._is_ended = False
        """Whether everything is freed: when the connection is closed, the other side is told first."""

        try:
            sockets = self._bind(host_sockets(loopback=loopback, link_local=link_local))
            self._call(self._peer.handle_network_change, sockets, time.monotonic_ns())
            self._call(self._peer.end_of_candidates, time.monotonic_ns())
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

        def create() -> Channel:
            config = ChannelConfig(
                label=label,
                protocol=protocol,
                ordered=ordered,
                max_retransmits=max_retransmits,
                max_packet_life_time=max_packet_life_time,
                negotiated=negotiated,
            )
            number = self._peer.create_data_channel(config, time.monotonic_ns())
            channel = Channel(self, number, label, protocol or "", ordered=ordered is not False, is_open=False)
            self._channels[number] = channel
            return channel

        return self._call(create)

    def create_offer(self) -> Description:
        """W3C `createOffer`."""
        return self._call(self._peer.create_offer)

    def create_answer(self) -> Description:
        """W3C `createAnswer`."""
        return self._call(self._peer.create_answer)

    def set_local_description(self, description: Description) -> None:
        """W3C `setLocalDescription`. Candidates are told from now on."""
        self._call(self._peer.set_local_description, description, time.monotonic_ns())

    def set_remote_description(self, description: Description) -> None:
        """W3C `setRemoteDescription`."""
        self._call(self._peer.set_remote_description, description, time.monotonic_ns())

    @property
    def local_description(self) -> Description | None:
        """W3C `localDescription`: with all candidates known by now."""
        return self._call(self._peer.local_description)

    @property
    def remote_description(self) -> Description | None:
        """W3C `remoteDescription`."""
        return self._call(self._peer.remote_description)

    def add_ice_candidate(self, candidate: IceCandidate) -> None:
        """W3C `addIceCandidate`: a candidate that the other side tells."""
        self._call(self._peer.add_ice_candidate, candidate, time.monotonic_ns())

    def restart_ice(self) -> None:
        """W3C `restartIce`: the next offer looks for paths anew."""
        self._call(self._peer.restart_ice)

    def set_servers(self, servers: Sequence[IceServer]) -> None:
        """Names other servers, or the same with credentials that were renewed."""
        self._call(self._peer.set_servers, servers, time.monotonic_ns())

    @property
    def connection_state(self) -> str:
        """W3C `connectionState`."""
        return "closed" if self._over else self._call(self._peer.connection_state)

    @property
    def selected_pair(self) -> Pair | None:
        """The candidate pair that carries the traffic."""
        return self._call(self._peer.selected_pair)

    @property
    def certificate(self) -> Certificate:
        """Our certificate with its key, to be kept for another connection."""
        return self._call(self._peer.certificate)

    async def close(self) -> None:
        """Closes the connection: all that waits ends at once, and messages that have come can still be received.

        Returns when the other side is told and everything is freed, in two seconds at the most. To close twice is no error.
        """
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
        async with self._iterating:
            while not self._events:
                if isinstance(self._over, ClosedError):
                    raise StopAsyncIteration
                if self._over:
                    raise self._over.with_traceback(None)
                await self._changed.wait()
            event = self._events.popleft()
        if isinstance(event, Channel):
            self._attend(self._count_untaken, -1)
        return event

    def _call(self, call: Callable[_P, _T], *arguments: _P.args, **keywords: _P.kwargs) -> _T:
        """Does what the application asks for, and what follows from it."""
        if self._over:
            raise self._over.with_traceback(None)
        try:
            return call(*arguments, **keywords)
        except PanickedError as error:
            self._break_down(error)
            raise
        except (OverflowError, UnicodeEncodeError) as error:
            raise InvalidArgumentError(str(error)) from None
        finally:
            # In a call that is refused time has passed too.
            self._settle()

    # What sockets, names and the clock call.

    def _bind(self, wanted: list[HostSocket]) -> list[HostSocket]:
        """Binds sockets, passes over those that cannot be bound, and says what was bound."""
        bound = []
        refusal = "the machine has no address"
        for host in wanted:
            try:
                port = self._bind_one(host.ip, host.index).port
            except OSError as error:
                refusal = f"{host.ip}: {error}"
            else:
                bound.append(host.__replace__(port=port))
        if not bound:
            raise OperatingSystemError(f"no address could be bound ({refusal})")
        return bound

    def _bind_one(self, ip: str, index: int) -> _Socket:
        bound = _Socket(ip, index)
        self._sockets[ip, bound.port] = bound
        self._loop.add_reader(bound.socket, self._attend, self._receive, bound)
        return bound

    def _attend(self, call: Callable[..., None], *arguments: object) -> None:
        """Does something in the background, and what follows from it."""
        if self._is_ended:
            return
        try:
            call(*arguments)
        except Exception as error:
            self._break_down(error)
        self._settle()

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
        except (OSError, ValueError):
            found = []
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
        self._attend(lambda: self._peer.handle_resolved(request, addresses, time.monotonic_ns()))

    # What the peer wants.

    def _settle(self) -> None:
        """Sends and tells all that the peer wants, and sets the timer."""
        if self._is_ended:
            return
        try:
            self._drain()
            deadline = self._peer.poll_timeout()
        except Exception as error:
            self._break_down(error)
            return
        if deadline is None and self._over:
            # The other side is told.
            self._end()
        elif deadline != self._deadline:
            self._set_timer(deadline)

    def _drain(self) -> None:
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
                    channel._ease()
            case ChannelOpen(channel=number):
                if channel := self._channels.get(number):
                    channel._open()
            case ChannelClosed(channel=number):
                if channel := self._channels.pop(number, None):
                    channel._end(ClosedError("the channel is closed"))
            case DataChannel(channel=number, label=label, protocol=protocol, ordered=ordered):
                self._channels[number] = Channel(self, number, label, protocol, ordered=ordered, is_open=True)
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
            self._end_channels(self._over)

    def _break_down(self, error: Exception) -> None:
        """The connection is over. The application is told why, and so is whoever waits."""
        if not self._over:
            self._tell(ConnectionStateChange(state="closed", failure=str(error)))
        self._over = error
        self._end_channels(error)
        self._end()

    def _end_channels(self, why: Exception) -> None:
        while self._channels:
            _, channel = self._channels.popitem()
            channel._end(why)

    def _end(self) -> None:
        """Frees everything."""
        self._is_ended = True
        if self._timer:
            self._timer.cancel()
        for lookup in self._lookups:
            lookup.cancel()
        for ip, port in list(self._sockets):
            self._unbind(ip, port)
        self._changed.wake()
        self._peer.close()
