//! Joining a server: trading a join token for one of the host's own.
//!
//! A join token is single use. So that an agent that is killed after the server answered and
//! before it wrote the answer down is not locked out, a nonce is on disk before the first request:
//! the server answers the same token with the same nonce again (see [`JoinRequest`]).

use super::http::{JOIN, ServerClient};
use super::identity::{HOST, Identity, hash, identity};
use crate::log::agent_note;
use crate::state::{Durable, StateDir};
use crate::{Error, config, facts};
use serde::{Deserialize, Serialize};
use stackyard_core::agent::{AgentConfig, JoinRequest, Joined};
use stackyard_core::progress::Onlooker;
use stackyard_core::text::{error_chain, hex};
use std::path::Path;

const NONCE: &str = "nonce.json";

#[derive(Serialize, Deserialize)]
struct Nonce {
    /// Hash of the join token that it goes with.
    join: String,
    nonce: String,
}

/// Joins, unless the host has joined already: asks each server once.
///
/// The configuration in `path` loses its join token then; without the right to write there it
/// keeps it, which does no harm.
///
/// # Errors
/// [`Error::Refused`] when a server does not want the token, [`Error::Server`] when none answers,
/// [`Error::NoToken`] when there is nothing to join with.
pub async fn join(path: &Path, state: &StateDir, onlooker: &dyn Onlooker) -> Result<Identity, Error> {
    let config = config::read(path)?;
    if let Some(known) = identity(&config, state)? {
        return Ok(known);
    }
    let Some(token) = &config.token else { return Err(Error::NoToken { path: path.to_owned() }) };
    let client = ServerClient::new(&config.ca).map_err(|problem| Error::Invalid { path: path.to_owned(), problem })?;
    let join = hash(token);
    let docker = stackyard_platform::docker::Docker::connect().await.ok();
    let docker = match &docker {
        Some(docker) => docker.api().version().await.ok().and_then(|v| v.version).unwrap_or_default(),
        None => String::new(),
    };
    let request = JoinRequest {
        facts: facts::facts(&docker),
        name: config.name.clone(),
        labels: config.labels.clone(),
        nonce: nonce(state, &join)?,
    };
    let mut last = None;
    for server in &config.server {
        match client.post::<Joined>(server, "/api/v1/join", token, &request, JOIN).await {
            Ok(Joined { host, token }) => {
                let identity = Identity { host, token, join };
                state.write(HOST, &identity, Durable::Yes)?;
                state.remove(NONCE)?;
                onlooker.see(agent_note(format!("joined {server} as host {}", identity.host)));
                forget_token(path, config, onlooker);
                return Ok(identity);
            }
            // The others would say the same.
            Err(refused @ Error::Refused { .. }) => return Err(refused),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| Error::Invalid { path: path.to_owned(), problem: "`server` names no address".into() }))
}

fn forget_token(path: &Path, mut config: AgentConfig, onlooker: &dyn Onlooker) {
    config.token = None;
    if let Err(e) = config::write(path, &config) {
        onlooker.see(agent_note(format!("the used join token stays in {}: {}", path.display(), error_chain(&e))));
    }
}

/// The nonce for a join token: the one on disk, else a new one that is on disk then.
fn nonce(state: &StateDir, join: &str) -> Result<String, Error> {
    if let Some(Nonce { nonce, .. }) = state.read::<Nonce>(NONCE)?.filter(|n| n.join == join) {
        return Ok(nonce);
    }
    let nonce = hex(&rand::random::<[u8; 32]>());
    state.write(NONCE, &Nonce { join: join.to_owned(), nonce: nonce.clone() }, Durable::Yes)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_stays_with_its_token() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let first = nonce(&state, "a").unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(nonce(&state, "a").unwrap(), first);
        assert_ne!(nonce(&state, "b").unwrap(), first);
    }
}
