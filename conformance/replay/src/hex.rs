//! Bytes as small hexadecimal digits.

use std::fmt::Write as _;

/// `bytes` as text; `-` where there are none, since a word cannot be empty.
pub(crate) fn write(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of a word.
pub(crate) fn read(word: &str) -> Result<Vec<u8>, String> {
    if word == "-" {
        return Ok(Vec::new());
    }
    let digits = word.as_bytes();
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{word:?} has half a byte"));
    }
    digits.chunks(2).map(|pair| byte(pair).ok_or_else(|| format!("{word:?} is not hexadecimal"))).collect()
}
