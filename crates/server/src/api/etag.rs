//! Entity tags: changes that are made only if nobody was quicker (RFC 9110, section 13.1).

use crate::api_error::ApiError;
use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use serde::Serialize;
use sha2::{Digest, Sha256};
use stackyard_core::text::hex;

/// An entity tag: of what callers can change of a thing. How it stands is not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ETag(String);

impl ETag {
    /// The tag of what this says.
    pub fn of(what: &impl Serialize) -> Self {
        Self(format!("\"{}\"", digest(what, 8)))
    }

    /// The tag of a revision.
    pub fn revision(revision: i64) -> Self {
        Self(format!("\"{revision}\""))
    }

    /// The header that tells it.
    pub fn header(self) -> [(HeaderName, String); 1] {
        [(ETAG, self.0)]
    }
}

/// So many bytes of a SHA-256 of what this says, hexadecimal.
pub(super) fn digest(what: &impl Serialize, bytes: usize) -> String {
    // Texts, numbers and maps of texts: they always have a JSON form.
    let text = serde_json::to_vec(what).unwrap_or_default();
    hex(&Sha256::digest(&text)[..bytes])
}

/// What a caller says of the thing that is to be changed.
#[derive(Debug, Default)]
pub(super) struct Precondition {
    /// Tags, one of which it must have; `*` for any.
    tags: Option<Vec<String>>,
    /// There must be none.
    none: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Precondition {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let all = |name: HeaderName| {
            let values = parts.headers.get_all(name).iter().map(|v| v.to_str().unwrap_or_default());
            let tags: Vec<String> = values.flat_map(|v| v.split(',')).map(|t| t.trim().to_owned()).collect();
            (!tags.is_empty()).then_some(tags)
        };
        let (tags, none) = (all(IF_MATCH), all(IF_NONE_MATCH));
        let is_tag = |tag: &String| {
            let bare = tag.strip_prefix("W/").unwrap_or(tag);
            bare.len() >= 2 && bare.starts_with('"') && bare.ends_with('"')
        };
        if tags.as_ref().is_some_and(|all| all.as_slice() != ["*"] && !all.iter().all(is_tag)) {
            return Err(ApiError::bad("`If-Match` must be `*` or entity tags, as `\"7\"`"));
        }
        if none.as_ref().is_some_and(|all| all.as_slice() != ["*"]) {
            return Err(ApiError::bad("of a change, `If-None-Match` must be `*`"));
        }
        Ok(Self { tags, none: none.is_some() })
    }
}

impl Precondition {
    /// Refuses a change of what is not as the caller says; `is` is the tag of what is there.
    ///
    /// # Errors
    /// 412.
    pub fn check(&self, what: &str, is: Option<&ETag>) -> Result<(), ApiError> {
        match (&self.tags, is) {
            (_, Some(_)) if self.none => Err(ApiError::failed_precondition(format!("there is {what} already"))),
            (None, _) => Ok(()),
            (Some(_), None) => Err(ApiError::failed_precondition(format!("there is no {what}"))),
            // Weak tags never match (RFC 9110, section 13.1.1).
            (Some(tags), Some(ETag(is))) if tags.iter().any(|t| t == "*" || t == is) => Ok(()),
            (Some(_), Some(_)) => Err(ApiError::changed(what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_made_only_of_what_is_as_it_was() {
        let tag = ETag::revision(7);
        let says =
            |tags: &[&str]| Precondition { tags: Some(tags.iter().map(|t| (*t).to_owned()).collect()), none: false };
        for good in [Precondition::default(), says(&["*"]), says(&["\"7\""]), says(&["\"6\"", "\"7\""])] {
            good.check("secret x", Some(&tag)).unwrap();
        }
        for bad in [says(&["\"6\""]), says(&["W/\"7\""])] {
            assert_eq!(bad.check("secret x", Some(&tag)).unwrap_err().status, 412);
            assert_eq!(bad.check("secret x", None).unwrap_err().status, 412);
        }
        let none = Precondition { tags: None, none: true };
        none.check("secret x", None).unwrap();
        assert_eq!(none.check("secret x", Some(&tag)).unwrap_err().status, 412);
    }
}
