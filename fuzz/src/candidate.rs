use std::net::{IpAddr, Ipv4Addr};

use frazil::sdp::{CandidateAttribute, Host, Unusable};

/// Text read as a candidate that travels alone (RFC 8838, RFC 8839 section 5.1).
pub fn candidate(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match text.parse::<CandidateAttribute>() {
        Ok(candidate) => check(&candidate),
        Err(error) => assert!(error.to_string().len() < 2000, "an error is short, however long the text"),
    }
}

/// What is read is written in a form that is read as the same, and what our agent can use it can tell on.
pub(crate) fn check(candidate: &CandidateAttribute) {
    let written = candidate.to_string();
    assert_eq!(written.parse().as_ref(), Ok(candidate), "{written}");
    assert_eq!(format!("a={written}\r\n").parse().as_ref(), Ok(candidate), "{written}");

    let resolved = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    if matches!(candidate.host(), Host::Name(_)) {
        assert!(candidate.to_candidate(None).is_err(), "a name is no address: {written}");
    }
    match candidate.to_candidate(Some(resolved)) {
        Ok(usable) => {
            assert!(usable.address.port() != 0 && usable.priority != 0, "{written}");
            let told = CandidateAttribute::new(&usable);
            assert_eq!(told.to_candidate(None), Ok(usable), "{written} told as {told}");
        }
        Err(reason) => {
            assert!(!matches!(reason, Unusable::Unresolved(_)), "it was resolved: {written}");
            let _ = reason.to_string();
        }
    }
}
