//! Every input of the corpus once.

use std::fs;
use std::path::Path;

/// Replays the corpus of `target`.
///
/// Each is also cut off at every `step`th byte, where it must do no harm either.
fn replay(target: &str, step: usize, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> =
        fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        let input = fs::read(&file).expect("an input");
        // libtest shows what a failing test has printed: the last line is the culprit.
        println!("{}", file.display());
        run(&input);
        (0..input.len()).step_by(step).for_each(|len| run(&input[..len]));
    }
}

#[test]
fn stun() {
    replay("stun", 1, crate::stun);
}

#[test]
fn sdp() {
    replay("sdp", 1, crate::sdp);
}

#[test]
fn candidate() {
    replay("candidate", 1, crate::candidate);
}

#[test]
fn stream() {
    replay("stream", 1, crate::stream);
}

#[test]
fn peer() {
    // A whole connection each time.
    replay("peer", 40, crate::peer);
}
