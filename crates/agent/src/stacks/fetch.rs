//! What a stack needs and only the server has: images and files.

use crate::server_link::ServerAccess;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::text::error_chain;
use std::time::Instant;
use tokio::sync::watch;

/// Where the server answers, and as whom to call there; absent until the host has joined.
pub(super) type Access = watch::Receiver<Option<ServerAccess>>;

/// Gets a body from the first of the server's addresses that gives it.
///
/// # Errors
/// What the last of them answered, for people.
pub(super) async fn get(
    access: &Access,
    path: &str,
    query: &[(&str, &str)],
    doing: &'static str,
) -> Result<reqwest::Response, String> {
    let Some(access) = access.borrow().clone() else { return Err("this host has not joined yet".into()) };
    let mut last = String::new();
    for server in &access.servers {
        match access.client.get(server, path, query, &access.identity.token, doing).await {
            Ok(answer) => return Ok(answer),
            Err(e) => last = error_chain(&e),
        }
    }
    Err(last)
}

/// Carries out a fetch, and tells `onlooker` about it as the step `step`.
///
/// # Errors
/// As of `fetch`.
pub(super) async fn as_step(
    step: String,
    onlooker: &dyn Onlooker,
    fetch: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let begun = Instant::now();
    onlooker.see(Event::Started { step: step.clone(), doing: "fetching from the server".into() });
    let fetched = fetch.await;
    onlooker.see(match &fetched {
        Ok(()) => Event::Done { step, did: "fetched from the server".into(), took: begun.elapsed() },
        Err(error) => Event::Failed { step, error: error.clone() },
    });
    fetched
}
