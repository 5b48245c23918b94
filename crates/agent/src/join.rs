//! Joining a server: trading a join token for one of the host's own.
//!
//! A join token is single use. So that an agent that is killed after the server answered and
//! before it wrote the answer down is not locked out, a nonce is on disk before the first request:
//! the server answers the same token with the same nonce again (see [`JoinRequest`]).
use crate::http::{Client, JOIN};
use crate::state::{Durable, StateDir};
use crate::{Error, config, facts};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stackyard_core::agent::{AgentConfig, JoinRequest, Joined};
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::text::{error_chain, hex};
use std::fmt;
use std::path::Path;

const HOST: &str = "host.json";
const NONCE: &str = "nonce.json";

/// Who this host is to its server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Id of the host.
    pub host: String,
    /// The host's own token.
    pub(crate) token: String,
    /// Hash of the join token that it was got with.
    join: String,
}

/// Shows no token.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("host", &self.host).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Nonce {
    /// Hash of the join token that it goes with.
    join: String,
    nonce: String,
}

/// Who this host is, if it has joined with the token that is configured now, or none is.
pub(crate) fn identity(config: &AgentConfig, state: &StateDir) -> Result<Option<Identity>, Error> {
    let known: Option<Identity> = state.read(HOST)?;
    Ok(known.filter(|known| config.token.as_ref().is_none_or(|token| hash(token) == known.join)))
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
    let client = Client::new(&config.ca).map_err(|problem| Error::Invalid { path: path.to_owned(), problem })?;
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
                onlooker.see(note(format!("joined {server} as host {}", identity.host)));
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
        onlooker.see(note(format!("the used join token stays in {}: {}", path.display(), error_chain(&e))));
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

fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// A line about the agent itself.
pub(crate) fn note(text: impl Into<String>) -> Event {
    Event::Note { step: Some("agent".to_owned()), text: text.into() }
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

    #[test]
    fn a_new_join_token_asks_for_a_new_identity() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let identity_of = |token: Option<&str>| {
            let mut config: AgentConfig =
                serde_json::from_str(r#"{"server": "https://a:1", "ca": "x", "name": "h"}"#).unwrap();
            config.token = token.map(str::to_owned);
            identity(&config, &state).unwrap()
        };
        assert_eq!(identity_of(None), None);
        let known = Identity { host: "h1".into(), token: "t".into(), join: hash("one") };
        state.write(HOST, &known, Durable::Yes).unwrap();
        assert_eq!(identity_of(None), Some(known.clone()));
        assert_eq!(identity_of(Some("one")), Some(known));
        assert_eq!(identity_of(Some("two")), None);
    }
}
