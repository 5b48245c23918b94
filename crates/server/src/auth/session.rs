//! Sessions of the console.
//!
//! A browser sends a cookie with whatever goes to this server, also when another site's page makes
//! it do so. So the cookie is `SameSite=Strict`, and a request with it counts only when the browser
//! says that it comes from a page of this server: `Sec-Fetch-Site`, and for what changes something
//! (WebSockets run programs) `Origin`. Its name begins with `__Host-`: no other host, and nothing
//! without TLS, can set it (RFC 6265bis, section 4.1.3).

use crate::api_error::ApiError;
use axum::http::{HeaderMap, header};

/// Name of the cookie.
pub(crate) const COOKIE: &str = "__Host-stackyard";

/// The value of `Set-Cookie` for a session that lasts `seconds`; 0 removes it.
pub(crate) fn cookie(secret: &str, seconds: i64) -> String {
    format!("{COOKIE}={secret}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict")
}

/// The session in a request's cookies.
pub(crate) fn secret(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|h| h.to_str().ok());
    let mut pairs = cookies.flat_map(|h| h.split(';')).filter_map(|c| c.trim().split_once('='));
    pairs.find(|(name, value)| *name == COOKIE && !value.is_empty()).map(|(_, value)| value)
}

/// Refuses what a browser sends for another site's page.
///
/// # Errors
/// 403.
pub(crate) fn same_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or_default());
    let site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let host = text("host").unwrap_or_default();
    let own = |origin: &str| origin.strip_prefix("https://").is_some_and(|o| o.eq_ignore_ascii_case(host));
    if site && text("origin").is_none_or(own) {
        return Ok(());
    }
    Err(ApiError::forbidden("a page of another site may not use this server's sessions"))
}
