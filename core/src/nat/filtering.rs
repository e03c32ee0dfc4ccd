//! Whom a NAT or a firewall lets in.

use core::fmt;

/// Whose datagrams a socket gets once it has sent something (RFC 4787 section 5). Firewalls filter too, so there may be
/// any of these where there is no NAT.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Filtering {
    /// Everybody's.
    EndpointIndependent,
    /// Those from addresses that it has sent to, whatever the port.
    AddressDependent,
    /// Those from addresses and ports that it has sent to.
    AddressAndPortDependent,
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointIndependent => "endpoint-independent filtering",
            Self::AddressDependent => "address-dependent filtering",
            Self::AddressAndPortDependent => "address- and port-dependent filtering",
        })
    }
}
