//! The names that travel in messages: rooms, members, and what members call themselves.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest name of a room or of a member, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 64;

/// The name of a room: 1 to 64 characters that need no escaping in a URL (`A-Z a-z 0-9 - . _ ~`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RoomName(String);

impl RoomName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a [`RoomName`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoomNameError {
    /// No character at all.
    Empty,
    /// Longer than [`MAX_NAME_BYTES`]; the length in bytes.
    TooLong(usize),
    /// A character outside the allowed set.
    Character(char),
}

impl fmt::Display for RoomNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a room name has at least one character"),
            Self::TooLong(length) => write!(f, "a room name has at most {MAX_NAME_BYTES} bytes, this one has {length}"),
            Self::Character(c) => write!(f, "a room name is made of letters, digits and -._~, not {c:?}"),
        }
    }
}

impl std::error::Error for RoomNameError {}

impl FromStr for RoomName {
    type Err = RoomNameError;

    fn from_str(text: &str) -> Result<Self, RoomNameError> {
        if text.is_empty() {
            return Err(RoomNameError::Empty);
        }
        if text.len() > MAX_NAME_BYTES {
            return Err(RoomNameError::TooLong(text.len()));
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || "-._~".contains(*c))) {
            Some(c) => Err(RoomNameError::Character(c)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a member calls itself: up to 64 bytes of text without control characters. Need not be unique.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MemberName(String);

impl MemberName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a [`MemberName`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemberNameError {
    /// Longer than [`MAX_NAME_BYTES`]; the length in bytes.
    TooLong(usize),
    /// A control character.
    Control(char),
}

impl fmt::Display for MemberNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(n) => write!(f, "a member's name has at most {MAX_NAME_BYTES} bytes, this one has {n}"),
            Self::Control(c) => write!(f, "a member's name has no control character, this one has {c:?}"),
        }
    }
}

impl std::error::Error for MemberNameError {}

impl FromStr for MemberName {
    type Err = MemberNameError;

    fn from_str(text: &str) -> Result<Self, MemberNameError> {
        if text.len() > MAX_NAME_BYTES {
            return Err(MemberNameError::TooLong(text.len()));
        }
        match text.chars().find(|c| c.is_control()) {
            Some(c) => Err(MemberNameError::Control(c)),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// One stay of one client in one room, named by the server. Leaving and joining again gives another id, so that
/// a candidate that was on its way to the earlier stay cannot reach the later one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberId(u64);

impl MemberId {
    /// A member id from its number. The numbers of one server must not repeat while they are in use.
    pub fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Why a text is not a [`MemberId`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberIdError;

impl fmt::Display for MemberIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a member id is 16 hexadecimal digits in lower case")
    }
}

impl std::error::Error for MemberIdError {}

impl FromStr for MemberId {
    type Err = MemberIdError;

    fn from_str(text: &str) -> Result<Self, MemberIdError> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match digits {
            true => u64::from_str_radix(text, 16).map(Self).map_err(|_| MemberIdError),
            false => Err(MemberIdError),
        }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! as_json_text {
    ($name:ty, $write:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let write: fn(&Self, S) -> Result<S::Ok, S::Error> = $write;
                write(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

as_json_text!(RoomName, |name, s| s.serialize_str(&name.0));
as_json_text!(MemberName, |name, s| s.serialize_str(&name.0));
as_json_text!(MemberId, |id, s| s.collect_str(id));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_names_say_what_is_wrong_with_them() {
        assert_eq!("".parse::<RoomName>(), Err(RoomNameError::Empty));
        assert_eq!("a/b".parse::<RoomName>(), Err(RoomNameError::Character('/')));
        assert_eq!("é".parse::<RoomName>(), Err(RoomNameError::Character('é')));
        assert_eq!("x".repeat(65).parse::<RoomName>(), Err(RoomNameError::TooLong(65)));
        assert_eq!("x".repeat(64).parse::<RoomName>().unwrap().as_str().len(), 64);
    }

    #[test]
    fn member_names_take_any_script_but_no_control_character() {
        assert_eq!("Zoë 東京".parse::<MemberName>().unwrap().as_str(), "Zoë 東京");
        assert_eq!("a\nb".parse::<MemberName>(), Err(MemberNameError::Control('\n')));
        assert_eq!("é".repeat(33).parse::<MemberName>(), Err(MemberNameError::TooLong(66)));
    }

    #[test]
    fn a_member_id_is_read_as_it_is_written_and_in_no_other_way() {
        let id = MemberId::new(0xabc);
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "abc", "0000000000000ABC", "+000000000000abc", "00000000000000abc"] {
            assert_eq!(bad.parse::<MemberId>(), Err(MemberIdError), "{bad:?}");
        }
    }
}
