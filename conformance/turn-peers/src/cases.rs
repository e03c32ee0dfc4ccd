//! The hard cases: their names, and what each asks.

use crate::server::Transport;

/// A hard case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    Plain(Transport),
    Coturn,
    Ipv6Server,
    BothFamilies,
    Redirect,
    CoturnRedirect,
    RedirectLoop,
    StalePermission,
    StaleRefresh,
    Kept,
    Mismatch,
    Restarted,
    StreamDropped,
    Sha256,
    Userhash,
    Downgrade,
    Renewed,
    WrongPassword,
    Quota,
    SilentServer,
    Garbage(Transport),
    RelayOnly,
    SeveralServers,
    Released,
}

/// All of them, in the order of the rows.
pub(crate) const CASES: [Case; 27] = [
    Case::Plain(Transport::Udp),
    Case::Plain(Transport::Tcp),
    Case::Plain(Transport::Tls),
    Case::Coturn,
    Case::Ipv6Server,
    Case::BothFamilies,
    Case::Redirect,
    Case::CoturnRedirect,
    Case::RedirectLoop,
    Case::StalePermission,
    Case::StaleRefresh,
    Case::Kept,
    Case::Mismatch,
    Case::Restarted,
    Case::StreamDropped,
    Case::Sha256,
    Case::Userhash,
    Case::Downgrade,
    Case::Renewed,
    Case::WrongPassword,
    Case::Quota,
    Case::SilentServer,
    Case::Garbage(Transport::Udp),
    Case::Garbage(Transport::Tcp),
    Case::RelayOnly,
    Case::SeveralServers,
    Case::Released,
];

impl Case {
    /// The row's head.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain(Transport::Udp) => "TURN over UDP",
            Self::Plain(Transport::Tcp) => "TURN over TCP",
            Self::Plain(Transport::Tls) => "TURN over TLS",
            Self::Coturn => "coturn over UDP, TCP and TLS",
            Self::Ipv6Server => "server at an IPv6 address",
            Self::BothFamilies => "relayed addresses of both families",
            Self::Redirect => "ALTERNATE-SERVER (300) followed",
            Self::CoturnRedirect => "ALTERNATE-SERVER of coturn followed",
            Self::RedirectLoop => "two servers that redirect to each other",
            Self::StalePermission => "nonce out of date (438) at CreatePermission or ChannelBind",
            Self::StaleRefresh => "nonce out of date (438) at Refresh",
            Self::Kept => "data for 12 minutes and a half",
            Self::Mismatch => "437 answered by a fresh port",
            Self::Restarted => "server restarted, UDP: noticed and replaced",
            Self::StreamDropped => "server restarted, TCP: noticed and replaced",
            Self::Sha256 => "SHA-256 used when offered",
            Self::Userhash => "USERHASH used when offered",
            Self::Downgrade => "stripped list of password algorithms refused",
            Self::Renewed => "credentials renewed in mid-session",
            Self::WrongPassword => "wrong password told: code and server",
            Self::Quota => "quota (486) told: code and server",
            Self::SilentServer => "a silent server delays nothing else",
            Self::Garbage(Transport::Tcp) => "server answers garbage, TCP",
            Self::Garbage(_) => "server answers garbage, UDP",
            Self::RelayOnly => "relay-only policy",
            Self::SeveralServers => "two TURN and two STUN servers at once",
            Self::Released => "allocation released on close",
        }
    }

    /// What the cell asks and how.
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::Plain(_) => "an allocation, and data through it and back, within 45 s",
            Self::Coturn => "the same with coturn of Debian 12, three times",
            Self::Ipv6Server => "the same, where the server's URL has an IPv6 address",
            Self::BothFamilies => {
                "a relayed address of IPv4 and one of IPv6 from one server, where a setting asks for it"
            }
            Self::Redirect => "a signed 300 to the signed Allocate; the other server must be asked and data must flow",
            Self::CoturnRedirect => "one coturn that sends all to another; data must flow",
            Self::RedirectLoop => "as before, round in circles; at most 12 signed Allocates in 20 s, and an end",
            Self::StalePermission => {
                "the nonce changes when the first CreatePermission or ChannelBind is there; data must flow"
            }
            Self::StaleRefresh => {
                "the nonce changes when the first Refresh is there; one must succeed in the lifetime of 600 s"
            }
            Self::Kept => {
                "longer than an allocation and a channel (600 s) and a permission (300 s; that of a channel lasts as long as \
                 the channel) last by themselves; no silence may be longer than 10 s"
            }
            Self::Mismatch => {
                "437 to the first port for ever; an Allocate from another one must succeed within 45 s (partly: 437 is told)"
            }
            Self::Restarted => {
                "the server forgets all allocations and nonces when data has flowed for 15 s; within 640 s there must be a new \
                 allocation and data through it, without help (partly: one of these, or the application is told)"
            }
            Self::StreamDropped => "the same over TCP, where the stream is closed as well; within 90 s",
            Self::Sha256 => "the server offers SHA-256 and MD5 (RFC 8489 section 9.2); which key signs Allocate",
            Self::Userhash => "the same server offers user name anonymity; whether Allocate has USERHASH",
            Self::Downgrade => {
                "the nonce announces password algorithms, the list is not there; no signed Allocate may be sent (RFC 8489 \
                 section 9.2.5)"
            }
            Self::Renewed => {
                "other credentials are given while data flows, and the server takes only these from then on; without an ICE \
                 restart a Refresh must succeed with them"
            }
            Self::WrongPassword => "the application must be told 401 and the server (partly: one of them)",
            Self::Quota => "the application must be told 486 and the server (partly: one of them)",
            Self::SilentServer => {
                "a TURN server that never answers, before a good TURN and a good STUN server; what the good one has answered \
                 must be told within 1 s, and gathering must end within 90 s"
            }
            Self::Garbage(_) => "gathering must end within 90 s and the program must live",
            Self::RelayOnly => {
                "only relayed candidates, and all data through the server, where host candidates would connect"
            }
            Self::SeveralServers => "all four must be asked",
            Self::Released => "Refresh with lifetime 0 within 10 s of the call",
        }
    }

    /// Whether it lasts as long as an allocation.
    pub(crate) fn is_long(self) -> bool {
        matches!(self, Self::StaleRefresh | Self::Kept | Self::Restarted | Self::Renewed)
    }

    /// Whether it asks what gathers rather than the TURN client alone.
    pub(crate) fn asks_agent(self) -> bool {
        matches!(self, Self::SilentServer | Self::RelayOnly | Self::SeveralServers)
    }
}
