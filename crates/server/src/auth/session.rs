//! Sessions of the console.
//!
//! A browser sends a cookie with whatever goes to this server, also when another site's page makes
//! it do so. So the cookie is `SameSite=Strict`, and a request with it counts only when the browser
//! says that it comes from a page of this server: `Sec-Fetch-Site`, and for what changes something
//! (WebSockets run programs) `Origin`. Its name begins with `__Host-`: no other host, and nothing
//! without TLS, can set it (RFC 6265bis, section 4.1.3).

use super::{Caller, Kind, NOTE_EVERY, digest, role};
use crate::api::App;
use crate::api_error::ApiError;
use axum::http::{HeaderMap, Method, header};
use stackyard_api::now;
use stackyard_store::Token;
use std::net::IpAddr;
use std::time::Duration;

/// Name of the cookie.
pub(crate) const COOKIE: &str = "__Host-stackyard";

/// Tokens that end by themselves are noticed so often where an answer goes on.
const LOOK: Duration = Duration::from_secs(30);

/// The value of `Set-Cookie` for a session that lasts `seconds`; 0 removes it.
pub(crate) fn cookie(secret: &str, seconds: i64) -> String {
    format!("{COOKIE}={secret}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict")
}

/// The session in a request's cookies.
pub(super) fn secret(headers: &HeaderMap) -> Option<&str> {
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

/// Who calls with a session; nobody if it is none or has ended.
pub(super) async fn caller(
    app: &App,
    address: IpAddr,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    let Some(secret) = secret(headers) else { return Ok(Caller::Nobody) };
    same_origin(headers)?;
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if (!reads || headers.contains_key(header::UPGRADE)) && !headers.contains_key(header::ORIGIN) {
        return Err(ApiError::forbidden("with a session, a change needs the header `Origin`, as browsers send it"));
    }
    app.limiter().check(address)?;
    if Kind::of(secret) != Some(Kind::Session) {
        return Ok(Caller::Nobody);
    }
    let hash = digest(secret);
    if let Some(person) = app.store().person(&hash, now()).await? {
        return Caller::person(person, hash);
    }
    match app.store().session(&hash, now()).await? {
        Some(found) if found.expires.is_none_or(|end| end > now()) => {
            if found.last_used.is_none_or(|at| at < now() - NOTE_EVERY) {
                app.store().used_token(&found.id, now()).await?;
            }
            let role = role(&found.role)?;
            Ok(Caller::Token { id: found.id, name: found.name, role, session: Some(hash) })
        }
        _ => {
            app.limiter().failed(address);
            Ok(Caller::Nobody)
        }
    }
}

/// Ends when `caller` may do nothing more: its token is revoked or has ended, or it signed out.
pub(crate) async fn ended(app: App, caller: Caller) {
    let (token, session, person) = match caller {
        Caller::Token { id, session, .. } => (Some(id), session, None),
        Caller::Person { session, .. } => (None, None, Some(session)),
        _ => return std::future::pending().await,
    };
    let mut changes = app.inner().changes.tokens.subscribe();
    loop {
        let good = async {
            if let Some(hash) = &session
                && app.store().session(hash, now()).await?.is_none()
            {
                return Ok(false);
            }
            if let Some(hash) = &person {
                return Ok(app.store().person(hash, now()).await?.is_some());
            }
            let tokens = app.store().tokens().await?;
            let good = |t: &Token| Some(&t.id) == token.as_ref() && t.expires.is_none_or(|end| end > now());
            Ok::<_, stackyard_store::Error>(tokens.iter().any(good))
        };
        // A store that does not answer now is asked again.
        if matches!(good.await, Ok(false)) {
            return;
        }
        let _ = tokio::time::timeout(LOOK, changes.changed()).await;
    }
}
