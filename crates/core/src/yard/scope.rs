//! Where a yard is.

use crate::text::hex;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt;

/// How many hexadecimal digits a scope has.
const DIGITS: usize = 12;

/// A project in a region of a cloud: two yards of one name in different scopes have nothing in common.
///
/// It is a digest, so that it fits into every mark: the first 12 hexadecimal digits of the SHA-256 of the
/// project's id, a NUL and the region's id. Ids of projects are random (Keystone makes them as UUIDs), so
/// that they differ from cloud to cloud.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Scope(String);

impl Scope {
    /// The scope of a project, by its id, in a region, by its id; a cloud that names no region has an empty one.
    pub fn of(project: &str, region: &str) -> Self {
        let digest = Sha256::digest(format!("{project}\0{region}"));
        Self(hex(&digest[..DIGITS / 2]))
    }

    /// Reads the digits of a scope; nothing if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == DIGITS && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// The name of a yard in this scope, as marks, records and locks have it: `shop@1f0c8ab2d91e`.
    pub fn owner(&self, yard: &str) -> String {
        format!("{yard}@{self}")
    }

    /// The 12 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
