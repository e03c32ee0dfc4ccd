//! Every input of the corpus once.

use std::fs;
use std::path::Path;

/// Replays the corpus of `target`, and random bytes' usual suspects besides.
fn replay(target: &str, run: fn(&[u8])) {
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
        // Cut off anywhere, it must do no harm either.
        (0..input.len()).for_each(|len| run(&input[..len]));
    }
}

#[test]
fn stun() {
    replay("stun", crate::stun);
}

#[test]
fn sdp() {
    replay("sdp", crate::sdp);
}

#[test]
fn candidate() {
    replay("candidate", crate::candidate);
}
