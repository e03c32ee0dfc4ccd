//! The session description that `str0m` is given.

use super::virtual_ice;
use crate::jsep::DtlsRole;
use crate::sdp::Fingerprint;

/// The other side's parameters, as if it had offered one data section.
///
/// `str0m` takes the largest message that may be sent from nowhere but a description, or else it could
/// do without any. Who really offered does not matter here: `str0m` always answers, and the roles are
/// said outright.
pub(super) fn offer(ours: DtlsRole, remote: &Fingerprint, max_message_size: u32) -> String {
    let setup = match ours {
        DtlsRole::Client => "passive",
        DtlsRole::Server => "active",
    };
    let (ufrag, password) = (virtual_ice::REMOTE_UFRAG, virtual_ice::REMOTE_PASSWORD);
    [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        &format!("a=ice-ufrag:{ufrag}"),
        &format!("a=ice-pwd:{password}"),
        &format!("a=fingerprint:{remote}"),
        &format!("a=setup:{setup}"),
        "a=sctp-port:5000",
        &format!("a=max-message-size:{max_message_size}"),
        "",
    ]
    .join("\r\n")
}
