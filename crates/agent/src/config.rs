//! Reading and writing `/etc/stackyard/agent.json`.

use crate::Error;
use crate::state::{Durable, write_private};
use stackyard_core::agent::AgentConfig;
use std::path::Path;

/// Reads a configuration.
///
/// # Errors
/// [`Error::NoConfig`] when there is none, [`Error::Invalid`] when it does not say what it must.
pub fn read(path: &Path) -> Result<AgentConfig, Error> {
    let text = match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(Error::NoConfig { path: path.to_owned() }),
        other => other.map_err(Error::file("read", path))?,
    };
    let invalid = |problem: String| Error::Invalid { path: path.to_owned(), problem };
    // The error of a JSON parser tells line, column and key, never a value that is a string.
    let config: AgentConfig = serde_json::from_str(&text).map_err(|e| invalid(e.to_string()))?;
    if config.server.is_empty() {
        return Err(invalid("`server` names no address".into()));
    }
    if let Some(bad) = config.server.iter().find(|s| !s.starts_with("https://")) {
        return Err(invalid(format!("server {bad:?}: an address is https://host:port")));
    }
    Ok(config)
}

/// Writes a configuration, readable for root alone.
pub fn write(path: &Path, config: &AgentConfig) -> Result<(), Error> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(Error::file("make directory", dir))?;
    }
    let mut text = serde_json::to_vec_pretty(config)
        .map_err(|e| Error::Invalid { path: path.to_owned(), problem: e.to_string() })?;
    text.push(b'\n');
    write_private(path, &text, Durable::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::text::error_chain;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn written_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stackyard/agent.json");
        assert!(matches!(read(&path), Err(Error::NoConfig { .. })));
        let config: AgentConfig =
            serde_json::from_str(r#"{"server": "https://a:1", "ca": "x", "name": "h", "token": "t"}"#).unwrap();
        write(&path, &config).unwrap();
        assert_eq!(read(&path).unwrap(), config);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.json");
        for (text, said) in [
            (r#"{"server": "http://a:1", "ca": "x", "name": "h", "token": "geheim"}"#, "https://host:port"),
            (r#"{"server": [], "ca": "x", "name": "h", "token": "geheim"}"#, "no address"),
            (r#"{"server": "https://a", "ca": "x", "name": "h", "tokne": "geheim"}"#, "tokne"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = error_chain(&read(&path).unwrap_err());
            assert!(error.contains(said) && !error.contains("geheim"), "{error}");
        }
    }
}
