//! The core has no clock, no socket, no thread and no randomness but its seed; only `session` names `str0m`; and every
//! room knows only those below it. Clippy holds the first of these with types at hand (`core/clippy.toml`); this looks
//! at the sources, for what a lint cannot see and for what one `#[allow]` would hide from it.

// A test of sources has to read them.
#![allow(clippy::disallowed_methods)]

mod paths;
mod rules;
mod tokens;

use std::fs;
use std::path::{Path, PathBuf};

use rules::{Offence, Source, offences};

#[test]
fn the_core_is_pure_and_its_arrows_point_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let sources: Vec<Source> = files
        .iter()
        .map(|file| Source {
            path: file.strip_prefix(&root).expect("collected below the root").to_path_buf(),
            text: fs::read_to_string(file).expect("a source file is text"),
        })
        .collect();
    let found: Vec<String> = offences(&sources).iter().map(Offence::to_string).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder of sources") {
        let path = entry.expect("an entry of it").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
