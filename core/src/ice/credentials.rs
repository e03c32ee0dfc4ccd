//! The user name fragment and password of one side (RFC 8445 section 5.3).

use core::fmt;

use super::candidate::is_ice_char;
use crate::rng::Rng;

/// A user name fragment and a password.
///
/// The values can only be legal ones: RFC 8839 section 5.4 wants 4 to 256 `ice-char`s in the fragment and
/// 22 to 256 in the password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    ufrag: String,
    pwd: String,
}

impl Credentials {
    /// Checks lengths and characters.
    ///
    /// # Errors
    /// Names the first rule of RFC 8839 section 5.4 that is broken.
    pub fn new(ufrag: &str, pwd: &str) -> Result<Self, InvalidCredentials> {
        match (ufrag.len(), pwd.len()) {
            (0..=3, _) => return Err(InvalidCredentials::UfragTooShort(ufrag.len())),
            (257.., _) => return Err(InvalidCredentials::UfragTooLong(ufrag.len())),
            (_, 0..=21) => return Err(InvalidCredentials::PwdTooShort(pwd.len())),
            (_, 257..) => return Err(InvalidCredentials::PwdTooLong(pwd.len())),
            _ => {}
        }
        if let Some(bad) = ufrag.chars().find(|c| !c.is_ascii() || !is_ice_char(*c as u8)) {
            return Err(InvalidCredentials::UfragCharacter(bad));
        }
        if let Some(bad) = pwd.chars().find(|c| !c.is_ascii() || !is_ice_char(*c as u8)) {
            return Err(InvalidCredentials::PwdCharacter(bad));
        }
        Ok(Self { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }

    /// 48 bits of fragment and 144 of password, where the RFC wants at least 24 and 128.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        Self { ufrag: rng.ice_chars(8), pwd: rng.ice_chars(24) }
    }

    /// The user name fragment.
    #[must_use]
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password.
    #[must_use]
    pub fn pwd(&self) -> &str {
        &self.pwd
    }
}

/// Never shows the password: what is logged must not let a reader join the session.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Which rule of RFC 8839 section 5.4 the credentials break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InvalidCredentials {
    /// `ice-ufrag` has this many characters, fewer than 4.
    UfragTooShort(usize),
    /// `ice-ufrag` has this many characters, more than 256.
    UfragTooLong(usize),
    /// `ice-ufrag` has a character that is not an `ice-char`.
    UfragCharacter(char),
    /// `ice-pwd` has this many characters, fewer than 22.
    PwdTooShort(usize),
    /// `ice-pwd` has this many characters, more than 256.
    PwdTooLong(usize),
    /// `ice-pwd` has a character that is not an `ice-char`.
    PwdCharacter(char),
}

impl fmt::Display for InvalidCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UfragTooShort(n) => write!(f, "ice-ufrag has {n} characters, at least 4 are needed"),
            Self::UfragTooLong(n) => write!(f, "ice-ufrag has {n} characters, at most 256 are allowed"),
            Self::UfragCharacter(c) => write!(f, "ice-ufrag has {c:?}, which is no ice-char"),
            Self::PwdTooShort(n) => write!(f, "ice-pwd has {n} characters, at least 22 are needed"),
            Self::PwdTooLong(n) => write!(f, "ice-pwd has {n} characters, at most 256 are allowed"),
            Self::PwdCharacter(c) => write!(f, "ice-pwd has {c:?}, which is no ice-char"),
        }
    }
}

impl std::error::Error for InvalidCredentials {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn illegal_credentials_are_refused_by_rule() {
        let (u, p) = ("abcd", "0123456789012345678901");
        assert!(Credentials::new(u, p).is_ok());
        assert_eq!(Credentials::new("abc", p), Err(InvalidCredentials::UfragTooShort(3)));
        assert_eq!(Credentials::new(&"a".repeat(257), p), Err(InvalidCredentials::UfragTooLong(257)));
        assert_eq!(Credentials::new(u, &p[1..]), Err(InvalidCredentials::PwdTooShort(21)));
        assert_eq!(Credentials::new(u, &"a".repeat(257)), Err(InvalidCredentials::PwdTooLong(257)));
        assert_eq!(Credentials::new("ab:d", p), Err(InvalidCredentials::UfragCharacter(':')));
        assert_eq!(Credentials::new(u, "ééééééééééé"), Err(InvalidCredentials::PwdCharacter('é')));
    }

    #[test]
    fn random_credentials_are_legal_and_differ() {
        let mut rng = Rng::new([7; 32]);
        let a = Credentials::random(&mut rng);
        let b = Credentials::random(&mut rng);
        assert_ne!(a, b);
        assert_eq!(Credentials::new(a.ufrag(), a.pwd()), Ok(a.clone()));
        assert!(!format!("{a:?}").contains(a.pwd()));
    }
}
