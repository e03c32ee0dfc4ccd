//! Whether a NAT turns packets round.

use core::fmt;

/// What happens to what one socket behind a NAT sends to the outside address of another (RFC 4787 section 6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hairpinning {
    /// It does not arrive.
    None,
    /// It arrives from an address inside, the sender's or the NAT's own, which those who wait for the sender's outside
    /// address do not know.
    InternalSource,
    /// It arrives from the sender's outside address, as it should.
    ExternalSource,
}

impl fmt::Display for Hairpinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no hairpinning",
            Self::InternalSource => "hairpinning with the internal source address",
            Self::ExternalSource => "hairpinning",
        })
    }
}
