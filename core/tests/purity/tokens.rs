//! Rust source as words and signs, without comments, documentation, strings, characters and numbers.

/// A token and the line it stands in, from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind<'a>,
    pub(crate) line: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind<'a> {
    /// An identifier or a keyword; a raw identifier without its `r#`.
    Word(&'a str),
    /// `::`
    PathSeparator,
    /// Any other sign.
    Sign(char),
}

/// Takes a source file apart.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut rest = source;
    let mut line = 1;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (len, kind) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), None),
            '/' if rest.starts_with("/*") => (block_comment(rest), None),
            '"' => (string(rest), None),
            '\'' => (character_or_lifetime(rest), None),
            ':' if rest.starts_with("::") => (2, Some(Kind::PathSeparator)),
            c if c.is_alphabetic() || c == '_' => word(rest),
            c if c.is_ascii_digit() => (word_len(rest), None),
            c if c.is_whitespace() => (c.len_utf8(), None),
            c => (c.len_utf8(), Some(Kind::Sign(c))),
        };
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    tokens
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// A word, or a literal that begins like one.
fn word(text: &str) -> (usize, Option<Kind<'_>>) {
    let len = word_len(text);
    let (word, after) = text.split_at(len);
    match word {
        "b" | "c" if after.starts_with('"') => (len + string(after), None),
        "b" if after.starts_with('\'') => (len + character_or_lifetime(after), None),
        "r" | "br" | "cr" if after.starts_with(['"', '#']) => match raw_string(after) {
            Some(literal) => (len + literal, None),
            // A raw identifier.
            None => (len + 1 + word_len(&after[1..]), Some(Kind::Word(&after[1..1 + word_len(&after[1..])]))),
        },
        _ => (len, Some(Kind::Word(word))),
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a literal that begins with `"` and may hold escapes.
fn string(text: &str) -> usize {
    let mut escaped = true; // the opening quote does not close
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `#*"…"#*`, unless it is none.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.len() - text.trim_start_matches('#').len();
    let body = text[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(hashes + 1 + body.find(&end).map_or(body.len(), |at| at + end.len()))
}

fn character_or_lifetime(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((escaped, _))) => {
            let after = escaped + text[escaped..].chars().next().map_or(0, char::len_utf8);
            text[after..].find('\'').map_or(text.len(), |at| after + at + 1)
        }
        (Some(_), Some((end, '\''))) => end + 1,
        // A lifetime: its quote; its name is harmless but no word of the code.
        _ => 1 + word_len(&text[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<&str> {
        let word = |token: &Token<'_>| match token.kind {
            Kind::Word(_) => true,
            Kind::PathSeparator | Kind::Sign(_) => false,
        };
        let words = tokens(source).into_iter().filter(word);
        words.map(|token| if let Kind::Word(word) = token.kind { word } else { unreachable!() }).collect()
    }

    #[test]
    fn only_code_is_seen() {
        let source = r###"
            //! Docs name UdpSocket.
            /* and /* nested */ thread */
            let a = "str0m \" fastrand"; let b = r#"a " Instant"#; let c = b"clock";
            let d = 'x'; let e = '\''; let f = b'\n'; let g: &'static str = '\u{1F9CA}'; let h = r#type;
            let i = 0x1F_u64; 'outer: loop {}
        "###;
        let expected = "let a let b let c let d let e let f let g str let h type let i loop";
        assert_eq!(words(source), expected.split(' ').collect::<Vec<_>>());
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let source = "/*\n\n*/ \"\n\" r#\"\n\"# here";
        assert_eq!(tokens(source), [Token { kind: Kind::Word("here"), line: 5 }]);
    }
}
