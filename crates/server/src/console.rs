//! The console: pages of `web/`, embedded in the binary.
//!
//! Names of files in `assets/` have a hash of their content in them and may be kept for ever.
//! Any other path is a page, and every page is the same `index.html`, which finds out by
//! the path what to show; with 404 if the console has no such page. It comes with a policy (Content Security Policy, level 3) that lets a
//! browser run and load nothing but what this server itself serves; the component library's own
//! `<style>` elements carry a nonce, new for each answer.
//!
//! A build without `make web` has no console and says so.

use crate::api_error::ApiError;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rand::TryRng;
use rand::rngs::SysRng;
use rust_embed::RustEmbed;
use stackyard_core::text::hex;
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "../../web/dist/console"]
#[allow_missing = true]
struct WebFiles;

/// What stands in `index.html` where the nonce belongs.
const NONCE: &str = "STACKYARD_NONCE";

const ABSENT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Stackyard</title>\
    <h1>This server was built without the console</h1>\
    <p>Build it with <code>make build</code>, which makes the console first. The API is there: \
    <code>/api/v1</code>.</html>\n";

/// Answers whatever is no operation of the API.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/api/") {
        return ApiError::not_found(format!("there is no {path} in this API")).into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let detail = format!("{} cannot be done with {path}", request.method());
        return ApiError::new(StatusCode::METHOD_NOT_ALLOWED, detail).into_response();
    }
    let mut response = match path.strip_prefix('/').filter(|p| p.contains('.')) {
        Some(name) => file(name, request.headers()),
        None => page(status_of(path)),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A file of the console.
fn file(name: &str, headers: &HeaderMap) -> Response {
    // Compressed files lie beside the plain ones and are asked for by the plain names.
    let plain = WebFiles::get(name).filter(|_| !name.ends_with(".br") && name != "index.html");
    let Some(plain) = plain else {
        return ApiError::not_found(format!("the console has no file {name}")).into_response();
    };
    let kind = match name.rsplit_once('.').map(|(_, kind)| kind) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    let keep = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let mut response = match WebFiles::get(&format!("{name}.br")).filter(|_| accepts_brotli(headers)) {
        Some(small) => ([(header::CONTENT_ENCODING, "br")], bytes(small.data)).into_response(),
        None => bytes(plain.data).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Embedded data as a body, without a copy.
fn bytes(data: Cow<'static, [u8]>) -> axum::body::Bytes {
    match data {
        Cow::Borrowed(data) => axum::body::Bytes::from_static(data),
        Cow::Owned(data) => data.into(),
    }
}

/// Whether brotli is among what a caller takes (RFC 9110, section 12.5.3).
fn accepts_brotli(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|h| h.to_str().ok());
    let mut codings = accepted.flat_map(|h| h.split(',')).map(|c| c.split_once(';').unwrap_or((c, "")));
    codings.any(|(coding, weight)| {
        coding.trim().eq_ignore_ascii_case("br") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// First segments of the paths of the console's pages (`web/src/router.tsx`).
const PAGES: [&str; 6] = ["", "access", "cloud", "hosts", "stacks", "yards"];

/// A page that the console does not have is 404, so that a probe of a wrong path does not look well.
fn status_of(path: &str) -> StatusCode {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if PAGES.contains(&first) { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

/// The page.
fn page(status: StatusCode) -> Response {
    let mut nonce = [0; 16];
    if let Err(error) = SysRng.try_fill_bytes(&mut nonce) {
        return ApiError::internal(error).into_response();
    }
    let nonce = hex(&nonce);
    let html = match WebFiles::get("index.html") {
        Some(index) => String::from_utf8_lossy(&index.data).replace(NONCE, &nonce),
        None => ABSENT.to_owned(),
    };
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (status, headers, html).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_is_sent_to_those_who_take_it() {
        let takes = |value: &'static str| {
            accepts_brotli(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(takes("gzip, deflate, br"));
        assert!(takes("br;q=0.5"));
        assert!(!takes("gzip"));
        assert!(!takes("br;q=0"));
        assert!(!accepts_brotli(&HeaderMap::new()));
    }

    /// Each page of the console's router is served with 200.
    #[test]
    fn pages_are_those_of_the_router() {
        let router = include_str!("../../../web/src/router.tsx");
        let paths = router.split("path: \"").skip(1).filter_map(|rest| rest.split('"').next());
        let paths: Vec<&str> = paths.collect();
        assert!(paths.len() > 10, "{paths:?}");
        for path in paths {
            assert_eq!(status_of(path), StatusCode::OK, "{path}");
        }
        for probe in ["/healthz", "/metrics", "/yardsx"] {
            assert_eq!(status_of(probe), StatusCode::NOT_FOUND, "{probe}");
        }
    }

    #[test]
    fn every_answer_has_a_nonce_of_its_own() {
        let policy = |r: Response| r.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let (one, two) = (policy(page(StatusCode::OK)), policy(page(StatusCode::OK)));
        assert_ne!(one, two);
        assert!(one.contains("frame-ancestors 'none'") && !one.contains("unsafe"), "{one}");
    }
}
