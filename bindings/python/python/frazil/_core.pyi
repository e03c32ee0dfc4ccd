"""The native part of frazil. What is here is to be had from `frazil`."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final, Literal, Self, TypeAlias, final

from typing_extensions import Buffer

@final
class Config:
    """How a peer works. What is not given is as the core has it."""

    __match_args__: ClassVar[
        tuple[
            Literal["ice_transport_policy"],
            Literal["mdns_candidates"],
            Literal["active_tcp"],
            Literal["max_message_size"],
            Literal["mtu"],
            Literal["dtls_1_3"],
            Literal["max_channels"],
            Literal["send_buffer"],
            Literal["receive_buffer"],
        ]
    ]
    def __new__(
        cls,
        *,
        ice_transport_policy: str | None = None,
        mdns_candidates: bool | None = None,
        active_tcp: bool | None = None,
        max_message_size: int | None = None,
        mtu: int | None = None,
        dtls_1_3: bool | None = None,
        max_channels: int | None = None,
        send_buffer: int | None = None,
        receive_buffer: int | None = None,
    ) -> Self: ...
    @property
    def ice_transport_policy(self) -> str | None:
        """Which candidates may be used: `all`, or `relay` for those of TURN servers alone. `all`."""
    @property
    def mdns_candidates(self) -> bool | None:
        """Whether host candidates are told under `.local` names in place of addresses. No."""
    @property
    def active_tcp(self) -> bool | None:
        """Whether to connect over TCP where the other side waits for that. Only of use if the driver opens streams.
        Yes.
        """
    @property
    def max_message_size(self) -> int | None:
        """The largest message in bytes that is received. 262,144."""
    @property
    def mtu(self) -> int | None:
        """The largest datagram in bytes that is sent, 576 to 1500. 1,200."""
    @property
    def dtls_1_3(self) -> bool | None:
        """Whether to offer and take DTLS 1.3 besides 1.2. No."""
    @property
    def max_channels(self) -> int | None:
        """How many data channels there may be at a time. 1,024."""
    @property
    def send_buffer(self) -> int | None:
        """How many bytes each channel buffers before it refuses a message. 1,048,576."""
    @property
    def receive_buffer(self) -> int | None:
        """How many bytes of messages may wait in each channel to be read before bulk data is held back: what is
        read must then be told by `release`. Not given, nothing is ever held back.
        """
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class IceServer:
    """STUN or TURN servers with the same credentials (W3C `RTCIceServer`)."""

    __match_args__: ClassVar[tuple[Literal["urls"], Literal["username"], Literal["credential"]]]
    def __new__(cls, *, urls: Sequence[str], username: str | None = None, credential: str | None = None) -> Self: ...
    @property
    def urls(self) -> list[str]:
        """`stun:`, `stuns:`, `turn:` or `turns:`, a host, perhaps a port and `?transport=udp` or `tcp`."""
    @property
    def username(self) -> str | None:
        """As whom to ask, which TURN servers want to know."""
    @property
    def credential(self) -> str | None:
        """The password."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class HostSocket:
    """A socket on one of the machine's addresses; before it is bound, the address alone with the port 0."""

    __match_args__: ClassVar[
        tuple[
            Literal["protocol"],
            Literal["ip"],
            Literal["port"],
            Literal["interface"],
            Literal["index"],
            Literal["cost"],
            Literal["temporary"],
            Literal["deprecated"],
        ]
    ]
    def __new__(
        cls,
        *,
        protocol: str,
        ip: str,
        port: int,
        interface: str,
        index: int,
        cost: int,
        temporary: bool,
        deprecated: bool,
    ) -> Self: ...
    @property
    def protocol(self) -> str:
        """What it carries: `udp`, or `tcp` for one that listens for streams."""
    @property
    def ip(self) -> str:
        """The IP address that it is bound to."""
    @property
    def port(self) -> int:
        """The port."""
    @property
    def interface(self) -> str:
        """The kind of interface: `ethernet`, `wifi`, `unknown`, `cellular`, `vpn` or `loopback`."""
    @property
    def index(self) -> int:
        """The system's number for the interface, 0 if it has none."""
    @property
    def cost(self) -> int:
        """What it costs to use the interface: 0 for nothing, 999 at the most."""
    @property
    def temporary(self) -> bool:
        """An IPv6 address that is changed often (RFC 8981)."""
    @property
    def deprecated(self) -> bool:
        """An address that nothing new ought to use (RFC 4862)."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Description:
    """A session description (W3C `RTCSessionDescription`)."""

    __match_args__: ClassVar[tuple[Literal["type"], Literal["sdp"]]]
    def __new__(cls, *, type: str, sdp: str) -> Self: ...
    @property
    def type(self) -> str:
        """`offer`, `pranswer`, `answer` or `rollback`."""
    @property
    def sdp(self) -> str:
        """The text; empty in a rollback."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class IceCandidate:
    """A candidate on its way through signalling (W3C `RTCIceCandidateInit`)."""

    __match_args__: ClassVar[
        tuple[Literal["candidate"], Literal["sdp_mid"], Literal["sdp_m_line_index"], Literal["username_fragment"]]
    ]
    def __new__(
        cls,
        *,
        candidate: str,
        sdp_mid: str | None = None,
        sdp_m_line_index: int | None = None,
        username_fragment: str | None = None,
    ) -> Self: ...
    @property
    def candidate(self) -> str:
        """`candidate:…`, or empty: there are no more."""
    @property
    def sdp_mid(self) -> str | None:
        """The media section that it is for."""
    @property
    def sdp_m_line_index(self) -> int | None:
        """The number of that section, counted from 0."""
    @property
    def username_fragment(self) -> str | None:
        """The credentials that it belongs to."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Path:
    """Where datagrams come from and go to, as the driver's sockets see it."""

    __match_args__: ClassVar[
        tuple[
            Literal["protocol"],
            Literal["local_ip"],
            Literal["local_port"],
            Literal["remote_ip"],
            Literal["remote_port"],
        ]
    ]
    def __new__(cls, *, protocol: str, local_ip: str, local_port: int, remote_ip: str, remote_port: int) -> Self: ...
    @property
    def protocol(self) -> str:
        """`udp` or `tcp`."""
    @property
    def local_ip(self) -> str:
        """The IP address that our socket is bound to."""
    @property
    def local_port(self) -> int:
        """Its port."""
    @property
    def remote_ip(self) -> str:
        """The IP address of the other side."""
    @property
    def remote_port(self) -> int:
        """Its port."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class ChannelConfig:
    """What a data channel is made with (W3C `RTCDataChannelInit`)."""

    __match_args__: ClassVar[
        tuple[
            Literal["label"],
            Literal["protocol"],
            Literal["ordered"],
            Literal["max_retransmits"],
            Literal["max_packet_life_time"],
            Literal["negotiated"],
        ]
    ]
    def __new__(
        cls,
        *,
        label: str,
        protocol: str | None = None,
        ordered: bool | None = None,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
        negotiated: int | None = None,
    ) -> Self: ...
    @property
    def label(self) -> str:
        """A name for the application's use. It need not be unique."""
    @property
    def protocol(self) -> str | None:
        """The subprotocol's name; empty for none."""
    @property
    def ordered(self) -> bool | None:
        """Whether messages arrive in the order in which they were sent. Yes."""
    @property
    def max_retransmits(self) -> int | None:
        """How often to send a message again before it is given up; not together with `max_packet_life_time`."""
    @property
    def max_packet_life_time(self) -> int | None:
        """For how many milliseconds to try to send a message."""
    @property
    def negotiated(self) -> int | None:
        """The stream id that both sides agreed on by other means, 0 to 65534. Not given, the channel is announced
        to the other side.
        """
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Pair:
    """The candidate pair that carries the traffic."""

    __match_args__: ClassVar[
        tuple[
            Literal["path"],
            Literal["protocol"],
            Literal["local_type"],
            Literal["local_ip"],
            Literal["local_port"],
            Literal["remote_type"],
            Literal["remote_ip"],
            Literal["remote_port"],
            Literal["round_trip"],
        ]
    ]
    def __new__(
        cls,
        *,
        path: int,
        protocol: str,
        local_type: str,
        local_ip: str,
        local_port: int,
        remote_type: str,
        remote_ip: str,
        remote_port: int,
        round_trip: float | None = None,
    ) -> Self: ...
    @property
    def path(self) -> int:
        """The number of its path."""
    @property
    def protocol(self) -> str:
        """`udp` or `tcp`, between our base and the other side or the relay."""
    @property
    def local_type(self) -> str:
        """Our candidate: `host`, `srflx`, `prflx` or `relay`."""
    @property
    def local_ip(self) -> str:
        """Its IP address."""
    @property
    def local_port(self) -> int:
        """Its port."""
    @property
    def remote_type(self) -> str:
        """The other side's candidate: `host`, `srflx`, `prflx` or `relay`."""
    @property
    def remote_ip(self) -> str:
        """Its IP address."""
    @property
    def remote_port(self) -> int:
        """Its port."""
    @property
    def round_trip(self) -> float | None:
        """The last measured round trip in milliseconds."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Certificate:
    """A certificate with its private key, to be kept for another peer."""

    __match_args__: ClassVar[tuple[Literal["certificate"], Literal["private_key"]]]
    def __new__(cls, *, certificate: Buffer, private_key: Buffer) -> Self: ...
    @property
    def certificate(self) -> bytes:
        """The X.509 certificate in DER form."""
    @property
    def private_key(self) -> bytes:
        """Its private key, ECDSA on P-256 or P-384, in DER form (PKCS#8 or SEC 1)."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class SignalingStateChange:
    """W3C `signalingstatechange`."""

    __match_args__: ClassVar[tuple[Literal["state"]]]
    def __new__(cls, *, state: str) -> Self: ...
    @property
    def state(self) -> str:
        """`stable`, `have-local-offer`, `have-remote-offer`, `have-local-pranswer`, `have-remote-pranswer` or
        `closed`.
        """
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class NegotiationNeeded:
    """W3C `negotiationneeded`: make an offer."""

    __match_args__: ClassVar[tuple[()]]
    def __new__(cls) -> Self: ...
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class LocalIceCandidate:
    """W3C `icecandidate`: tell the other side. It is not in any description that was created."""

    __match_args__: ClassVar[
        tuple[Literal["candidate"], Literal["sdp_mid"], Literal["sdp_m_line_index"], Literal["username_fragment"]]
    ]
    def __new__(
        cls,
        *,
        candidate: str,
        sdp_mid: str | None = None,
        sdp_m_line_index: int | None = None,
        username_fragment: str | None = None,
    ) -> Self: ...
    @property
    def candidate(self) -> str:
        """`candidate:…`, or empty: there are no more."""
    @property
    def sdp_mid(self) -> str | None:
        """The media section that it is for."""
    @property
    def sdp_m_line_index(self) -> int | None:
        """The number of that section, counted from 0."""
    @property
    def username_fragment(self) -> str | None:
        """The credentials that it belongs to."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class IceConnectionStateChange:
    """W3C `iceconnectionstatechange`."""

    __match_args__: ClassVar[tuple[Literal["state"]]]
    def __new__(cls, *, state: str) -> Self: ...
    @property
    def state(self) -> str:
        """`new`, `checking`, `connected`, `completed`, `disconnected`, `failed` or `closed`."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class IceGatheringStateChange:
    """W3C `icegatheringstatechange`."""

    __match_args__: ClassVar[tuple[Literal["state"]]]
    def __new__(cls, *, state: str) -> Self: ...
    @property
    def state(self) -> str:
        """`new`, `gathering` or `complete`."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class ConnectionStateChange:
    """W3C `connectionstatechange`."""

    __match_args__: ClassVar[tuple[Literal["state"], Literal["failure"]]]
    def __new__(cls, *, state: str, failure: str | None = None) -> Self: ...
    @property
    def state(self) -> str:
        """`new`, `connecting`, `connected`, `disconnected`, `failed` or `closed`."""
    @property
    def failure(self) -> str | None:
        """Why it failed, if it did."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class SelectedPairChange:
    """W3C `selectedcandidatepairchange`; `selected_pair` says which it is."""

    __match_args__: ClassVar[tuple[Literal["path"]]]
    def __new__(cls, *, path: int) -> Self: ...
    @property
    def path(self) -> int:
        """The number of its path."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class IceCandidateError:
    """W3C `icecandidateerror`: a STUN or TURN server gives us no candidate, or takes back what it gave."""

    __match_args__: ClassVar[
        tuple[Literal["url"], Literal["address"], Literal["port"], Literal["error_code"], Literal["error_text"]]
    ]
    def __new__(
        cls, *, url: str, address: str | None = None, port: int | None = None, error_code: int, error_text: str
    ) -> Self: ...
    @property
    def url(self) -> str:
        """The server."""
    @property
    def address(self) -> str | None:
        """The IP address that it was asked from."""
    @property
    def port(self) -> int | None:
        """The port that it was asked from."""
    @property
    def error_code(self) -> int:
        """The code of a STUN error, or 701 where the server was not reached."""
    @property
    def error_text(self) -> str:
        """What happened."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class IceRestartFailed:
    """An ICE restart has found no path. The one from before it stays in use."""

    __match_args__: ClassVar[tuple[Literal["failure"]]]
    def __new__(cls, *, failure: str) -> Self: ...
    @property
    def failure(self) -> str:
        """Why."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class NetworkChange:
    """The machine's addresses have changed."""

    __match_args__: ClassVar[tuple[Literal["path"]]]
    def __new__(cls, *, path: str) -> Self: ...
    @property
    def path(self) -> str:
        """What became of the path in use: `none` (there was none), `kept`, `moved` to another pair, or `lost`: an
        ICE restart tells the other side of the new addresses.
        """
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Resolve:
    """Resolve the name, by multicast DNS if it ends in `.local`, and answer with `handle_resolved`."""

    __match_args__: ClassVar[tuple[Literal["request"], Literal["name"]]]
    def __new__(cls, *, request: int, name: str) -> Self: ...
    @property
    def request(self) -> int:
        """To be given with the answer."""
    @property
    def name(self) -> str:
        """The host name."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class OpenStream:
    """Open a TCP stream, and answer with `handle_stream_opened`, or with `handle_stream_closed` if it cannot be
    opened.
    """

    __match_args__: ClassVar[
        tuple[
            Literal["path"],
            Literal["local_ip"],
            Literal["local_port"],
            Literal["remote_ip"],
            Literal["remote_port"],
            Literal["tls"],
        ]
    ]
    def __new__(
        cls, *, path: int, local_ip: str, local_port: int, remote_ip: str, remote_port: int, tls: str | None = None
    ) -> Self: ...
    @property
    def path(self) -> int:
        """The number of its path."""
    @property
    def local_ip(self) -> str:
        """The IP address to bind to."""
    @property
    def local_port(self) -> int:
        """The port to bind to, 0 where any will do."""
    @property
    def remote_ip(self) -> str:
        """The IP address to connect to."""
    @property
    def remote_port(self) -> int:
        """The port to connect to."""
    @property
    def tls(self) -> str | None:
        """For a server that is to be spoken to in TLS, what its certificate must be for: a host name or an IP
        address.
        """
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class CloseStream:
    """Close the stream of this path, or stop opening it."""

    __match_args__: ClassVar[tuple[Literal["path"]]]
    def __new__(cls, *, path: int) -> Self: ...
    @property
    def path(self) -> int:
        """The number of its path."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class OpenSocket:
    """Bind a UDP socket on this address and any port, and answer with `handle_socket_opened`."""

    __match_args__: ClassVar[tuple[Literal["socket"], Literal["local_ip"]]]
    def __new__(cls, *, socket: int, local_ip: str) -> Self: ...
    @property
    def socket(self) -> int:
        """To be given with the answer."""
    @property
    def local_ip(self) -> str:
        """The IP address to bind to."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class CloseSocket:
    """Close the socket that was bound for `OpenSocket`."""

    __match_args__: ClassVar[tuple[Literal["local_ip"], Literal["local_port"]]]
    def __new__(cls, *, local_ip: str, local_port: int) -> Self: ...
    @property
    def local_ip(self) -> str:
        """The IP address that it is bound to."""
    @property
    def local_port(self) -> int:
        """The port that it is bound to."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class PublishName:
    """Answer for this name by multicast DNS until it is withdrawn."""

    __match_args__: ClassVar[tuple[Literal["name"], Literal["address"]]]
    def __new__(cls, *, name: str, address: str) -> Self: ...
    @property
    def name(self) -> str:
        """A name below `.local`."""
    @property
    def address(self) -> str:
        """Its only IP address."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class WithdrawName:
    """Answer for this name no more."""

    __match_args__: ClassVar[tuple[Literal["name"]]]
    def __new__(cls, *, name: str) -> Self: ...
    @property
    def name(self) -> str:
        """The name."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class DataChannel:
    """W3C `datachannel`: the other side opened a channel, and it is open."""

    __match_args__: ClassVar[
        tuple[
            Literal["channel"],
            Literal["label"],
            Literal["protocol"],
            Literal["ordered"],
            Literal["max_retransmits"],
            Literal["max_packet_life_time"],
        ]
    ]
    def __new__(
        cls,
        *,
        channel: int,
        label: str,
        protocol: str,
        ordered: bool,
        max_retransmits: int | None = None,
        max_packet_life_time: int | None = None,
    ) -> Self: ...
    @property
    def channel(self) -> int:
        """Its number."""
    @property
    def label(self) -> str:
        """A name for the application's use."""
    @property
    def protocol(self) -> str:
        """The subprotocol's name; empty for none."""
    @property
    def ordered(self) -> bool:
        """Whether messages arrive in the order in which they were sent."""
    @property
    def max_retransmits(self) -> int | None:
        """How often a message is sent again before it is given up."""
    @property
    def max_packet_life_time(self) -> int | None:
        """For how many milliseconds the other side tries to send a message."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class ChannelOpen:
    """W3C `open`: a channel of ours is open."""

    __match_args__: ClassVar[tuple[Literal["channel"]]]
    def __new__(cls, *, channel: int) -> Self: ...
    @property
    def channel(self) -> int:
        """Its number."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class BufferedAmountLow:
    """W3C `bufferedamountlow`; also comes when a message that was refused would fit by now."""

    __match_args__: ClassVar[tuple[Literal["channel"]]]
    def __new__(cls, *, channel: int) -> Self: ...
    @property
    def channel(self) -> int:
        """The channel's number."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class ChannelClosed:
    """W3C `close`: a channel is closed, by whomever."""

    __match_args__: ClassVar[tuple[Literal["channel"]]]
    def __new__(cls, *, channel: int) -> Self: ...
    @property
    def channel(self) -> int:
        """Its number."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

@final
class Message:
    """W3C `message`."""

    __match_args__: ClassVar[tuple[Literal["channel"], Literal["data"]]]
    def __new__(cls, *, channel: int, data: str | Buffer) -> Self: ...
    @property
    def channel(self) -> int:
        """The number of its channel."""
    @property
    def data(self) -> str | bytes:
        """The whole message: `str` if it is text, `bytes` if it is binary."""
    def __replace__(self, **changes: Any) -> Self: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]

_Event: TypeAlias = (
    SignalingStateChange
    | NegotiationNeeded
    | LocalIceCandidate
    | IceConnectionStateChange
    | IceGatheringStateChange
    | ConnectionStateChange
    | SelectedPairChange
    | IceCandidateError
    | IceRestartFailed
    | NetworkChange
    | Resolve
    | OpenStream
    | CloseStream
    | OpenSocket
    | CloseSocket
    | PublishName
    | WithdrawName
    | DataChannel
    | ChannelOpen
    | BufferedAmountLow
    | ChannelClosed
    | Message
)

_EVENTS: Final[tuple[type[_Event], ...]]

@final
class Waiting:
    """What `Peer.poll_event` would give."""

    NOTHING: ClassVar[Waiting]
    """Nothing."""
    MESSAGE: ClassVar[Waiting]
    """A message."""
    EVENT: ClassVar[Waiting]
    """Another event."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...

@final
class Peer:
    """One end of a connection, without sockets, clock or threads.

    After every call that takes `now`, take out all transmits (poll_transmit or poll_transmits), then all events (poll_event),
    until there are neither; then call handle_timeout at poll_timeout at the latest.

    `now` is in nanoseconds of a monotonic clock, such as time.monotonic_ns(). `seed` is 32 bytes from the operating system's
    generator, such as os.urandom(32); without a certificate a new one is made.

    All methods raise an Error after close and after the core has broken down. Any thread may call.
    """

    def __new__(
        cls,
        *,
        config: Config | None = None,
        servers: Sequence[IceServer] = ...,
        certificate: Certificate | None = None,
        seed: Buffer,
        now: int,
    ) -> Self: ...
    def close(self) -> None:
        """Frees what the peer holds, without a word to the other side: leave says it. To close twice is no error."""
    def handle_network_change(self, sockets: Sequence[HostSocket], now: int) -> None:
        """Takes the list of all sockets that the driver has now, such as host_sockets gave to bind.

        The first list begins the gathering; each later one that differs leads to NetworkChange.
        """
    def end_of_candidates(self, now: int) -> None:
        """Says that all sockets were named.

        Once the servers have answered as well, the other side is told that there are no more candidates.
        """
    def set_servers(self, servers: Sequence[IceServer], now: int) -> None:
        """W3C setConfiguration, of the servers. With credentials that were renewed, what was lent with the old ones is kept."""
    def handle_socket_opened(self, socket: int, local_ip: str | None, local_port: int, now: int) -> None:
        """The address of the socket that OpenSocket has asked for; without an IP address there is none."""
    def handle_resolved(self, request: int, addresses: Sequence[str], now: int) -> None:
        """The IP addresses of a name that Resolve asked for; none if it has none."""
    def create_offer(self) -> Description:
        """W3C createOffer. It has all candidates known by now."""
    def create_answer(self) -> Description:
        """W3C createAnswer. It has all candidates known by now."""
    def set_local_description(self, description: Description, now: int) -> None:
        """W3C setLocalDescription: sets what was created last, or takes an offer back."""
    def set_remote_description(self, description: Description, now: int) -> None:
        """W3C setRemoteDescription. An offer takes back an offer of ours that waits for its answer."""
    def local_description(self) -> Description | None:
        """W3C localDescription: the last one set, with all candidates known by now."""
    def remote_description(self) -> Description | None:
        """W3C remoteDescription: the last one set, with the candidates that came since."""
    def add_ice_candidate(self, candidate: IceCandidate, now: int) -> None:
        """W3C addIceCandidate."""
    def restart_ice(self) -> None:
        """W3C restartIce: the next offer restarts ICE."""
    def path_id(self, path: Path) -> int:
        """The number of a path, to be used in handle_datagram."""
    def path(self, path: int) -> Path | None:
        """The path with this number, as poll_transmit gives it; None if the number means none.

        A number means one path for as long as it means any.
        """
    def handle_datagram(self, path: int, datagram: Buffer, now: int) -> bool:
        """Takes a datagram that the driver received. Whatever is wrong with it is counted and changes nothing.

        False if the number names no path any more: then ask for the path's number anew, and hand the datagram in again.
        """
    def handle_datagrams(self, batch: Sequence[tuple[int, Buffer]], now: int) -> int:
        """Takes datagrams in their order, each with the number of its path.

        Gives how many were taken: fewer than all if the number of the next one names no path any more.
        """
    def poll_transmit(self) -> tuple[int, bytes] | None:
        """The next datagram to send, and before it the number of its path."""
    def poll_transmits(self) -> list[tuple[int, bytes]]:
        """The next datagrams to send, sixteen at the most. There may be more as long as the list is not empty."""
    def handle_stream_opened(self, path: int, now: int) -> None:
        """Says that the stream that OpenStream asked for is open."""
    def handle_stream_accepted(self, path: Path, now: int) -> int:
        """Takes a stream that somebody opened to a socket of ours, and gives the number of its path.

        If the stream is of no use that is an error; the driver closes it.
        """
    def handle_stream_data(self, path: int, data: Buffer, now: int) -> None:
        """Takes bytes of a stream as they come, cut anywhere. Whatever is wrong with them is counted and changes nothing."""
    def handle_stream_closed(self, path: int, now: int) -> None:
        """Says that a stream is closed, was broken, or could not be opened."""
    def handle_timeout(self, now: int) -> None:
        """Lets time pass."""
    def poll_timeout(self) -> int | None:
        """When handle_timeout is to be called at the latest; None if nothing waits for time to pass."""
    def poll_event(self) -> _Event | None:
        """The next thing that happened; None if there is nothing more."""
    def waiting(self) -> Waiting:
        """What poll_event would give."""
    def poll_messages(self) -> list[Message]:
        """The next messages up to the next other event, sixteen at the most."""
    def poll_message(self) -> Message | None:
        """The next message, if one is next."""
    def create_data_channel(self, config: ChannelConfig, now: int) -> int:
        """W3C createDataChannel. It opens once the connection is there."""
    def send(self, channel: int, message: str | Buffer, now: int) -> bool:
        """Sends a message: text if it is a str, else binary.

        False if as much is buffered as may be: then BufferedAmountLow comes when there is room.
        """
    def release(self, channel: int, bytes: int, now: int) -> None:
        """Says that the application has read that many bytes of the messages of a channel, where the configuration has a
        receive_buffer.
        """
    def set_event_backlog(self, waiting: int, now: int) -> None:
        """Says how many events the driver keeps for an application that is slow to take them.

        The other side chooses how many channels it opens: when hundreds wait, its data is held back, until half of them are
        taken.
        """
    def buffered_amount(self, channel: int) -> int:
        """W3C bufferedAmount: bytes that the other side has not acknowledged yet."""
    def set_buffered_amount_low_threshold(self, channel: int, bytes: int) -> None:
        """W3C bufferedAmountLowThreshold, in bytes. Zero at first."""
    def close_channel(self, channel: int, now: int) -> None:
        """Closes a channel once what was sent is delivered. ChannelClosed follows on both sides."""
    def leave(self, now: int) -> None:
        """Leaves. All channels are gone at once, and the other side is told.

        Go on taking out transmits and minding timeouts until there are no more, two seconds at the most, so that it is told
        again if the first word is lost, and servers get back what they lent; then close.
        """
    def signaling_state(self) -> str:
        """W3C signalingState."""
    def ice_connection_state(self) -> str:
        """W3C iceConnectionState."""
    def ice_gathering_state(self) -> str:
        """W3C iceGatheringState."""
    def connection_state(self) -> str:
        """W3C connectionState."""
    def failure(self) -> str | None:
        """Why the connection failed; None if it did not."""
    def selected_pair(self) -> Pair | None:
        """The pair that carries the traffic; None if there is none."""
    def certificate(self) -> Certificate:
        """Our certificate with its key, to be kept for another peer."""

def host_sockets(*, loopback: bool = False, link_local: bool = False) -> list[HostSocket]:
    """The addresses of this machine that are worth a UDP socket, best first, with the port 0.

    In place of that goes the port that the system gives; what was bound goes to `Peer.handle_network_change`. Loopback
    and IPv6 link-local addresses are among them if they are asked for or there is nothing else.
    """

def udp_driver_config(config: Config) -> Config:
    """The configuration with which a driver of UDP sockets makes its peer, from what its user asks for.

    Everything is filled in that such a driver has to know, back-pressure among it. What the user asks for that takes more
    than such sockets, streams or answers for `.local` names, is refused.
    """

def version() -> str:
    """The version of the package."""

def _inject_panic() -> None:
    """Makes the next call break down, for tests."""
