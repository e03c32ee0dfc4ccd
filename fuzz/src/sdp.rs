use frazil::sdp::{MediaSection, SessionDescription};

/// Text read as a session description (RFC 8866). What is read is written in a form that is read as the same.
pub fn sdp(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let description = match SessionDescription::parse(text) {
        Ok(description) => description,
        Err(error) => {
            let lines = text.split('\n').count();
            assert!((1..=lines + 1).contains(&error.line()), "{error}: of {lines} lines");
            assert!(error.to_string().len() < 2000, "an error is short, however long the line");
            return;
        }
    };
    let written = description.to_string();
    assert_eq!(SessionDescription::parse(&written).as_ref(), Ok(&description), "{written}");
    assert_eq!(SessionDescription::parse(&written).map(|again| again.to_string()).as_deref(), Ok(written.as_str()));
    for section in description.media() {
        read_everything(&description, section);
    }
}

fn read_everything(description: &SessionDescription, section: &MediaSection) {
    let _ = (description.ice_ufrag(section), description.ice_pwd(section), description.setup(section));
    let _ = (description.tls_id(section), description.end_of_candidates(section), description.bundles().count());
    let _ = (section.mid(), section.bundle_only(), section.sctp_port(), section.max_message_size());
    for fingerprint in description.fingerprints(section) {
        let _ = (fingerprint.as_sha256(), fingerprint.to_string());
    }
    for candidate in section.candidates() {
        crate::candidate::check(candidate);
    }
}
