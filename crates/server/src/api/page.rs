//! Lists come in pages, all in one way: `limit` and `marker`, and where the next page is in `Link` (RFC 8288).

use super::Query;
use crate::api_error::ApiError;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{HeaderName, LINK};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stackyard_api::segment;
use utoipa::IntoParams;

/// Greatest page.
const MOST: u32 = 1000;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// Begins behind what has this marker: `Link` of the page before has it.
    marker: Option<String>,
    /// So many at most.
    #[param(default = 100, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The page that a caller asks for, and how to ask for the next one.
#[derive(Debug)]
pub(super) struct Pager {
    marker: Option<String>,
    limit: u32,
    path: String,
    /// What else the query says.
    rest: Vec<(String, String)>,
}

impl<S: Send + Sync> FromRequestParts<S> for Pager {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(PageQuery { marker, limit }) = Query::from_request_parts(parts, state).await?;
        let Query::<Vec<(String, String)>>(mut rest) = Query::from_request_parts(parts, state).await?;
        let limit = limit.unwrap_or(100);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::bad(format!("`limit` must be 1 to {MOST}")));
        }
        // PostgreSQL takes none.
        if rest.iter().any(|(_, value)| value.contains('\0')) {
            return Err(ApiError::bad("a query has no NUL"));
        }
        rest.retain(|(key, _)| key != "marker");
        Ok(Self { marker: marker.filter(|m| !m.is_empty()), limit, path: parts.uri.path().to_owned(), rest })
    }
}

impl Pager {
    /// Behind what the page begins.
    pub fn marker(&self) -> Option<&str> {
        self.marker.as_deref()
    }

    /// So many are to be read from where the page begins: one more than are told.
    pub fn reads(&self) -> u32 {
        self.limit + 1
    }

    /// The page, of what was read from where it begins.
    pub fn of<T>(&self, mut read: Vec<T>, marker: impl Fn(&T) -> String) -> ListPage<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = read.len() > limit;
        read.truncate(limit);
        let next = read.last().filter(|_| more).map(|last| {
            let pairs = self.rest.iter().map(|(key, value)| format!("{}={}&", segment(key), segment(value)));
            format!("<{}?{}marker={}>; rel=\"next\"", self.path, pairs.collect::<String>(), segment(&marker(last)))
        });
        ListPage { items: read, next }
    }

    /// The page of all that there is, in the order of markers.
    pub fn cut<T>(&self, all: Vec<T>, marker: impl Fn(&T) -> String) -> ListPage<T> {
        let marked = all.into_iter().map(|one| (marker(&one), one));
        let behind = |(at, _): &(String, T)| self.marker.as_ref().is_none_or(|after| at > after);
        let mut marked: Vec<(String, T)> = marked.filter(behind).collect();
        marked.sort_by(|(a, _), (b, _)| a.cmp(b));
        let ListPage { items, next } = self.of(marked, |(at, _)| at.clone());
        ListPage { items: items.into_iter().map(|(_, one)| one).collect(), next }
    }
}

/// A page of a list.
#[derive(Debug)]
pub(super) struct ListPage<T> {
    items: Vec<T>,
    /// Where the next page is.
    next: Option<String>,
}

impl<T> ListPage<T> {
    /// What is on the page, and the header that says where the next one is.
    pub fn parts(self) -> (Vec<T>, Option<[(HeaderName, String); 1]>) {
        (self.items, self.next.map(|next| [(LINK, next)]))
    }

    /// The same page of what is made of each.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> ListPage<U> {
        ListPage { items: self.items.into_iter().map(make).collect(), next: self.next }
    }
}

impl<T: Serialize> IntoResponse for ListPage<T> {
    fn into_response(self) -> Response {
        let (items, link) = self.parts();
        (link, Json(items)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pager(limit: u32, marker: Option<&str>) -> Pager {
        let rest = vec![("yard".to_owned(), "a b".to_owned()), ("limit".to_owned(), limit.to_string())];
        Pager { marker: marker.map(str::to_owned), limit, path: "/api/v1/hosts".to_owned(), rest }
    }

    #[test]
    fn pages_have_everything_once() {
        let all = || vec!["d", "a/x", "c", "b", "a-b/x"];
        let first = pager(2, None).cut(all(), |s| (*s).to_owned());
        assert_eq!(first.items, ["a-b/x", "a/x"]);
        assert_eq!(first.next.as_deref(), Some("</api/v1/hosts?yard=a%20b&limit=2&marker=a%2Fx>; rel=\"next\""));
        let second = pager(2, Some("a/x")).cut(all(), |s| (*s).to_owned());
        assert_eq!((second.items.as_slice(), second.next.is_some()), (["b", "c"].as_slice(), true));
        // What the marker names may be gone by then.
        let last = pager(2, Some("bz")).cut(all(), |s| (*s).to_owned());
        assert_eq!((last.items.as_slice(), last.next), (["c", "d"].as_slice(), None));
    }
}
