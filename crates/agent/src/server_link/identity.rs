//! Who this host is to its server: the id and the token that it got when it joined.

use crate::Error;
use crate::state::StateDir;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stackyard_core::agent::AgentConfig;
use stackyard_core::text::hex;
use std::fmt;

pub(super) const HOST: &str = "host.json";

/// Who this host is to its server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Id of the host.
    pub host: String,
    /// The host's own token.
    pub(crate) token: String,
    /// Hash of the join token that it was got with.
    pub(super) join: String,
}

/// Shows no token.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Who this host is, if it has joined with the token that is configured now, or none is.
pub(crate) fn identity(config: &AgentConfig, state: &StateDir) -> Result<Option<Identity>, Error> {
    let known: Option<Identity> = state.read(HOST)?;
    Ok(known.filter(|known| config.token.as_ref().is_none_or(|token| hash(token) == known.join)))
}

pub(super) fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Durable;

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
