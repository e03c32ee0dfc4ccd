"""frazil: peer-to-peer connections that do what WebRTC does, with data channels.

`Connection` is what most programs want: it runs in asyncio and has sockets of its own. `Peer`, which it is built on, has no
sockets, no clock and no threads: it takes datagrams and times, and gives datagrams and events. So other drivers can be written,
and a connection can be replayed.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

from frazil import _core
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
    Waiting,
    WithdrawName,
    host_sockets,
    udp_driver_config,
)
from frazil._errors import (
    ClosedError,
    Error,
    InvalidArgumentError,
    InvalidCandidateError,
    InvalidChannelError,
    InvalidDescriptionError,
    InvalidStateError,
    NotSentError,
    OperatingSystemError,
    PanickedError,
)
from frazil.aio import Channel, Connection, ConnectionEvent

if TYPE_CHECKING:
    from frazil._core import _Event as Event
else:
    Event = functools.reduce(operator.or_, _core._EVENTS)
    """What `Peer.poll_event` gives."""

__version__ = _core.version()

__all__ = [
    "BufferedAmountLow",
    "Certificate",
    "Channel",
    "ChannelClosed",
    "ChannelConfig",
    "ChannelOpen",
    "CloseSocket",
    "CloseStream",
    "ClosedError",
    "Config",
    "Connection",
    "ConnectionEvent",
    "ConnectionStateChange",
    "DataChannel",
    "Description",
    "Error",
    "Event",
    "HostSocket",
    "IceCandidate",
    "IceCandidateError",
    "IceConnectionStateChange",
    "IceGatheringStateChange",
    "IceRestartFailed",
    "IceServer",
    "InvalidArgumentError",
    "InvalidCandidateError",
    "InvalidChannelError",
    "InvalidDescriptionError",
    "InvalidStateError",
    "LocalIceCandidate",
    "Message",
    "NegotiationNeeded",
    "NetworkChange",
    "NotSentError",
    "OpenSocket",
    "OpenStream",
    "OperatingSystemError",
    "Pair",
    "PanickedError",
    "Path",
    "Peer",
    "PublishName",
    "Resolve",
    "SelectedPairChange",
    "SignalingStateChange",
    "Waiting",
    "WithdrawName",
    "__version__",
    "host_sockets",
    "udp_driver_config",
]
