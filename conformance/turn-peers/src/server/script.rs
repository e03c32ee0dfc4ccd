//! What a server is told to do.

use std::net::SocketAddr;

use frazil::stun::Method;

/// Who may use the server unless the script says otherwise.
pub(crate) const USER: &str = "alice";
/// With which password.
pub(crate) const PASSWORD: &str = "secret";

/// What a server does. The default is a plain, good server.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// It takes everything and answers nothing.
    pub(crate) is_silent: bool,
    /// It answers everything with what is no STUN.
    pub(crate) is_garbage: bool,
    /// It sends who wants an allocation to another server (300).
    pub(crate) redirect: Option<SocketAddr>,
    /// It refuses every allocation with this error.
    pub(crate) refuse: Option<(u16, &'static str)>,
    /// It tells the first who wants an allocation that there is one for its port already (437), for ever.
    pub(crate) has_mismatch: bool,
    /// The nonce goes out of date once, when the first request of this kind is there.
    pub(crate) stale_at: Option<Method>,
    /// The nonce goes out of date once, when the first CreatePermission or ChannelBind is there.
    pub(crate) is_stale_for_data: bool,
    /// Which password algorithms it offers.
    pub(crate) algorithms: Algorithms,
    /// Who may use it.
    pub(crate) user: (String, String),
    /// It has no addresses of IPv6 to relay from.
    pub(crate) is_ipv4_only: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            is_silent: false,
            is_garbage: false,
            redirect: None,
            refuse: None,
            has_mismatch: false,
            stale_at: None,
            is_stale_for_data: false,
            algorithms: Algorithms::None,
            user: (USER.to_owned(), PASSWORD.to_owned()),
            is_ipv4_only: false,
        }
    }
}

/// Which password algorithms a server offers, and whether it takes USERHASH (RFC 8489 section 9.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Algorithms {
    /// As RFC 5389 has it: none but MD5, and no USERHASH.
    None,
    /// SHA-256 and MD5, and USERHASH.
    Offered,
    /// Somebody on the way has taken the list out, but not its announcement in the nonce.
    Stripped,
}
