//! Callers by a session of the console.

use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::{Caller, TokenKind, digest, role, same_origin, session_secret};
use axum::http::{HeaderMap, Method, header};
use stackyard_api::now;
use stackyard_store::Token;
use std::net::IpAddr;
use std::time::Duration;

/// Tokens that end by themselves are noticed so often where an answer goes on.
const LOOK: Duration = Duration::from_secs(30);

/// Who calls with a session; nobody if it is none or has ended.
pub(super) async fn caller(
    app: &App,
    address: IpAddr,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    let Some(secret) = session_secret(headers) else { return Ok(Caller::Nobody) };
    same_origin(headers)?;
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if (!reads || headers.contains_key(header::UPGRADE)) && !headers.contains_key(header::ORIGIN) {
        return Err(ApiError::forbidden("with a session, a change needs the header `Origin`, as browsers send it"));
    }
    if TokenKind::of(secret) != Some(TokenKind::Session) {
        return Ok(Caller::Nobody);
    }
    let hash = digest(secret);
    if let Some(person) = app.store().person(&hash, now()).await? {
        return Caller::person(person, hash);
    }
    match app.store().session(&hash, now()).await? {
        Some(found) if found.expires.is_none_or(|end| end > now()) => {
            super::note_use(app, &found).await;
            let role = role(&found.role)?;
            Ok(Caller::Token { id: found.id, name: found.name, role, session: Some(hash) })
        }
        _ => {
            // The console's own requests with a session that has ended are no attempts of note: they are counted once an hour.
            let why = "this session has ended, or there was none";
            let refused = super::refuse(app, Some(address), "session", why).await;
            if refused.status == 429 { Err(refused) } else { Ok(Caller::Nobody) }
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
