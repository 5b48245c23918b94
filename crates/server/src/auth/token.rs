//! Tokens: 256 random bits behind a few letters that say what they are for.
//!
//! The store has their SHA-256 alone. A password's hash is slow and salted (argon2) because
//! passwords can be guessed; 256 random bits cannot, so a plain hash hides them as well, and a
//! request can look its token up by it.

use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use stackyard_core::text::hex;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// The API, with a role.
    Api,
    /// The agent of one host.
    Agent,
    /// One machine's joining.
    Join,
    /// A session of the console.
    Session,
    /// A session of somebody who signed in with Keystone, sent as a bearer's token.
    Person,
}

impl TokenKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Api => "sya_",
            Self::Agent => "syh_",
            Self::Join => "syj_",
            Self::Session => "sys_",
            Self::Person => "syk_",
        }
    }

    /// What a text is a token for; nothing if it is none.
    pub fn of(token: &str) -> Option<Self> {
        let all = [Self::Api, Self::Agent, Self::Join, Self::Session, Self::Person];
        let kind = all.into_iter().find(|k| token.starts_with(k.prefix()))?;
        (token.len() == kind.prefix().len() + 64).then_some(kind)
    }
}

/// A new token, and its hash.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn mint(kind: TokenKind) -> Result<(String, String), rand::rngs::SysError> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes)?;
    let token = format!("{}{}", kind.prefix(), hex(&bytes));
    let hash = digest(&token);
    Ok((token, hash))
}

/// SHA-256 of a text, in hexadecimal digits.
pub(crate) fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_is_for() {
        for kind in [TokenKind::Api, TokenKind::Agent, TokenKind::Join, TokenKind::Session, TokenKind::Person] {
            let (token, hash) = mint(kind).unwrap();
            assert_eq!(TokenKind::of(&token), Some(kind));
            assert_eq!(digest(&token), hash);
            assert!(!hash.contains(&token[4..20]));
            assert_ne!(mint(kind).unwrap().0, token);
        }
        assert_eq!(TokenKind::of("sya_short"), None);
        assert_eq!(TokenKind::of(""), None);
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
