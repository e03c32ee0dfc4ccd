//! What commands print, kept whole in a file for each label, and shown to who watches.
//!
//! The whole run prints a third of a megabyte. A person at a terminal sees it pass; a log that a machine keeps is cut
//! somewhere, and what was cut must not be why a test failed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use crate::repository::Repository;

/// The output of one command as it comes.
pub(crate) struct Transcript {
    label: String,
    command: String,
    started: Instant,
    /// Without it (a folder that cannot be written) nothing is lost but the copy.
    file: Option<File>,
    is_watched: bool,
}

impl Transcript {
    /// Says that `command` begins.
    pub(crate) fn begin(label: &str, command: &str) -> Self {
        let is_watched = io::stdout().is_terminal();
        if !is_watched {
            println!("{label} | {}", shortened(command));
        }
        let mut file = open(label);
        if let Some(file) = &mut file {
            let _ = writeln!(file, "$ {command}");
        }
        Self { label: label.to_owned(), command: command.to_owned(), started: Instant::now(), file, is_watched }
    }

    pub(crate) fn line(&mut self, line: &str) {
        if self.is_watched {
            println!("{} | {line}", self.label);
        }
        if let Some(file) = &mut self.file {
            let _ = writeln!(file, "{line}");
        }
    }

    /// Says how it ended. Of what went well, nothing has to be said twice.
    pub(crate) fn end(self, success: bool) {
        if !self.is_watched && !success {
            let (seconds, command) = (self.started.elapsed().as_secs(), shortened(&self.command));
            println!("{} | failed after {seconds} s: {command}", self.label);
        }
    }
}

/// Where the files are; a path in the repository where it is one.
pub(crate) fn folder() -> PathBuf {
    let repository = Repository::here();
    let folder = repository.target().join("output");
    folder.strip_prefix(repository.root()).map(PathBuf::from).unwrap_or(folder)
}

/// Forgets what earlier runs printed.
pub(crate) fn clear() {
    // What cannot be removed is added to.
    let _ = fs::remove_dir_all(Repository::here().root().join(folder()));
}

fn file_of(label: &str) -> PathBuf {
    Repository::here().root().join(folder()).join(format!("{}.log", label.replace(' ', "-")))
}

fn open(label: &str) -> Option<File> {
    let file = file_of(label);
    fs::create_dir_all(file.parent()?).ok()?;
    OpenOptions::new().create(true).append(true).open(file).ok()
}

/// As much of a command as fits in a line.
fn shortened(command: &str) -> String {
    const WIDTH: usize = 100;
    match command.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}\u{2026}", &command[..at]),
        None => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_command_prints_is_in_the_file_of_its_label() {
        let label = "a test of transcripts";
        let file = file_of(label);
        let _ = fs::remove_file(&file);
        for (command, success) in [("one", true), ("two", false)] {
            let mut transcript = Transcript::begin(label, command);
            transcript.line(command);
            transcript.end(success);
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "$ one\none\n$ two\ntwo\n");
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_long_command_is_cut_between_characters() {
        assert_eq!(shortened("cargo test"), "cargo test");
        assert_eq!(shortened(&"\u{e9}".repeat(101)), format!("{}\u{2026}", "\u{e9}".repeat(100)));
    }
}
