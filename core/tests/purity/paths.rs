//! The paths that a source file names, with `use` groups spread out and `self`, `super` and `crate` resolved.

use crate::tokens::{Kind, Token, tokens};

/// A path as the code means it, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NamedPath {
    /// Its segments. One that leads to a module of this crate begins with `crate`; `core` and `alloc` are spelt `std`.
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Whether it stands in a module `tests`.
    pub(crate) in_tests: bool,
}

/// What a pair of braces holds.
enum Brace {
    /// A group behind this path in a `use`.
    Group(Vec<String>),
    /// A module, whose name ends the current module path.
    Module,
    /// Anything else.
    Other,
}

/// Keywords that are no part of a path, though one may follow them.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "fn", "for", "if", "impl",
    "in", "let", "loop", "match", "move", "mut", "pub", "ref", "return", "static", "struct", "trait", "type", "unsafe",
    "use", "where", "while",
];

/// Every path in `source`, a single word being one too. `module` is where the file hangs in the crate.
pub(crate) fn named_paths(source: &str, module: &[String]) -> Vec<NamedPath> {
    let tokens = tokens(source);
    let kind = |at: usize| tokens.get(at).map(|token: &Token<'_>| token.kind);
    let mut module = module.to_vec();
    let mut braces: Vec<Brace> = Vec::new();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let first = match token.kind {
            Kind::Sign('{') => {
                braces.push(Brace::Other);
                continue;
            }
            Kind::Sign('}') => {
                if let Some(Brace::Module) = braces.pop() {
                    module.pop();
                }
                continue;
            }
            Kind::Sign('*') if matches!(braces.last(), Some(Brace::Group(_))) => "*",
            Kind::Word("mod") => {
                if let (Some(Kind::Word(name)), Some(Kind::Sign('{'))) = (kind(at), kind(at + 1)) {
                    module.push(name.to_owned());
                    braces.push(Brace::Module);
                    at += 2;
                }
                continue;
            }
            // The new name in `use path as name` is no path.
            Kind::Word("as") if matches!(braces.last(), Some(Brace::Group(_))) => {
                at += 1;
                continue;
            }
            Kind::Word(word) if KEYWORDS.contains(&word) => continue,
            Kind::Word(word) => word,
            Kind::PathSeparator | Kind::Sign(_) => continue,
        };

        let mut segments = match braces.last() {
            Some(Brace::Group(prefix)) => prefix.clone(),
            _ => Vec::new(),
        };
        segments.push(first.to_owned());
        let mut opens_group = false;
        while kind(at) == Some(Kind::PathSeparator) {
            match kind(at + 1) {
                Some(Kind::Word(word)) => segments.push(word.to_owned()),
                Some(Kind::Sign('*')) => segments.push("*".to_owned()),
                Some(Kind::Sign('{')) => opens_group = true,
                // The `<` of generic arguments.
                _ => break,
            }
            at += 2;
            if opens_group {
                break;
            }
        }
        if opens_group {
            braces.push(Brace::Group(segments));
        } else {
            let in_tests = module.iter().any(|name| name == "tests");
            found.push(NamedPath { segments: resolve(segments, &module), line: token.line, in_tests });
        }
    }
    found
}

fn resolve(mut segments: Vec<String>, module: &[String]) -> Vec<String> {
    // `a::{self}` names `a`.
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let supers =
        segments.iter().skip_while(|segment| *segment == "self").take_while(|segment| *segment == "super").count();
    let selves = segments.iter().take_while(|segment| *segment == "self").count();
    if segments.len() > 1 && supers + selves > 0 {
        let mut path = vec!["crate".to_owned()];
        path.extend_from_slice(&module[..module.len().saturating_sub(supers)]);
        path.extend(segments.drain(supers + selves..));
        return path;
    }
    if matches!(segments[0].as_str(), "core" | "alloc") {
        segments[0] = "std".to_owned();
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        let module = ["ice".to_owned(), "agent".to_owned()];
        named_paths(source, &module).into_iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn groups_are_spread_out() {
        assert_eq!(
            paths("use std::{time::{Duration, Instant as Clock}, fmt::{self, Write}, net::*};"),
            ["std::time::Duration", "std::time::Instant", "std::fmt", "std::fmt::Write", "std::net::*"]
        );
        assert_eq!(paths("a::b::<c::D>::e()"), ["a::b", "c::D", "e"]);
        assert_eq!(paths("{ x }; use ::core::time; y"), ["x", "std::time", "y"]);
    }

    #[test]
    fn relative_paths_are_resolved() {
        assert_eq!(paths("super::pair::Pair"), ["crate::ice::pair::Pair"]);
        assert_eq!(paths("super::super::sdp::Line"), ["crate::sdp::Line"]);
        assert_eq!(paths("self::x::Y"), ["crate::ice::agent::x::Y"]);
        assert_eq!(paths("mod tests { super::x } super::x"), ["crate::ice::agent::x", "crate::ice::x"]);
        assert_eq!(paths("use crate::{ice, sdp::Line};"), ["crate::ice", "crate::sdp::Line"]);
        assert_eq!(paths("fn f(self) { self.x }"), ["f", "self", "self", "x"]);
    }
}
