//! Docker's own configuration: the MTU of its networks.

use super::Error;
use crate::program;
use crate::state::Durable;
use crate::state::StateDir;
use serde_json::{Map, Value, json};
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

/// Where Docker Engine looks.
pub(super) const CONFIG: &str = "/etc/docker/daemon.json";

/// What we wrote last, to tell it from what the user wrote.
const WRITTEN: &str = "docker-mtu.json";

/// The first release of Docker Engine that knows `default-network-opts`; older ones refuse to
/// start with it.
const NETWORK_OPTS: u32 = 24;

const OPTS: &str = "default-network-opts";
const OPTION: &str = "com.docker.network.driver.mtu";

/// Major version of the Docker Engine that is installed.
pub(super) fn version() -> Option<u32> {
    let output = program::run("look at Docker's version", "dockerd", "docker.io", &[OsStr::new("--version")]).ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

/// Of `Docker version 20.10.24+dfsg1, build 297e128`.
fn major(text: &str) -> Option<u32> {
    text.strip_prefix("Docker version ")?.split('.').next()?.parse().ok()
}

/// Gives Docker's networks an MTU, in bytes; true when the file was written. Other keys stay as
/// they are, and so does an MTU that the user has written.
pub(super) fn set_mtu(path: &Path, mtu: u32, docker: Option<u32>, state: &StateDir) -> Result<bool, Error> {
    let text = match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other.map_err(Error::system("read", path))?,
    };
    let ours: Option<u32> = state.read(WRITTEN).ok().flatten();
    let merged = merge(&text, mtu, ours, docker.is_some_and(|v| v >= NETWORK_OPTS))
        .map_err(|problem| Error::Daemon { path: path.to_owned(), problem })?;
    // First what tells that it is ours: killed in between, the value is merged once more.
    state.write(WRITTEN, &mtu, Durable::Yes)?;
    let Some(merged) = merged else { return Ok(false) };
    write(path, &merged).map_err(Error::system("write", path))?;
    Ok(true)
}

/// The new text; nothing when it is as it should be.
fn merge(text: &str, mtu: u32, ours: Option<u32>, opts: bool) -> Result<Option<String>, String> {
    let mut config: Map<String, Value> =
        if text.trim().is_empty() { Map::new() } else { serde_json::from_str(text).map_err(|e| e.to_string())? };
    let before = config.clone();
    let users = |value: &Value| {
        let value = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        value.is_some_and(|v| v != u64::from(mtu) && ours.is_none_or(|o| u64::from(o) != v))
    };
    if !config.get("mtu").is_some_and(users) {
        config.insert("mtu".into(), json!(mtu));
    }
    if opts {
        let networks = config.entry(OPTS).or_insert_with(|| json!({}));
        let bridge = networks.as_object_mut().map(|n| n.entry("bridge").or_insert_with(|| json!({})));
        let bridge =
            bridge.and_then(Value::as_object_mut).ok_or_else(|| format!("`{OPTS}` is no object of objects"))?;
        if !bridge.get(OPTION).is_some_and(users) {
            bridge.insert(OPTION.into(), json!(mtu.to_string()));
        }
    }
    if config == before {
        return Ok(None);
    }
    serde_json::to_string_pretty(&config).map(|text| Some(text + "\n")).map_err(|e| e.to_string())
}

/// Writes it beside, with the mode that it had, and renames it.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(dir)?;
    let beside = dir.join(format!(".daemon.json.new-{}", std::process::id()));
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    if let Ok(was) = std::fs::metadata(path) {
        file.set_permissions(was.permissions())?;
    }
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    std::fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(text: &str, mtu: u32, ours: Option<u32>, opts: bool) -> Option<Value> {
        merge(text, mtu, ours, opts).unwrap().map(|t| serde_json::from_str(&t).unwrap())
    }

    #[test]
    fn the_users_keys_stay() {
        assert_eq!(merged("", 1450, None, false), Some(json!({"mtu": 1450})));
        let text = r#"{"log-driver": "local", "default-network-opts": {"bridge": {"x": "y"}}}"#;
        assert_eq!(
            merged(text, 1450, None, true),
            Some(json!({
                "log-driver": "local",
                "mtu": 1450,
                "default-network-opts": {"bridge": {"x": "y", "com.docker.network.driver.mtu": "1450"}},
            }))
        );
        assert_eq!(merged(r#"{"mtu": 1450}"#, 1450, None, false), None, "as it should be");
        assert_eq!(merged(r#"{"mtu": 1300}"#, 1450, None, false), None, "the user's own");
        assert_eq!(merged(r#"{"mtu": 1300}"#, 1450, Some(1300), false), Some(json!({"mtu": 1450})), "ours");
        assert!(merge("{", 1450, None, false).is_err());
        assert!(merge(r#"{"default-network-opts": 1}"#, 1450, None, true).is_err());
    }

    #[test]
    fn the_file_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path().join("state")).unwrap();
        let path = dir.path().join("docker/daemon.json");
        assert!(set_mtu(&path, 1450, Some(20), &state).unwrap());
        assert!(!set_mtu(&path, 1450, Some(20), &state).unwrap());
        assert!(set_mtu(&path, 1442, Some(20), &state).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"mtu\": 1442\n}\n");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn dockers_version() {
        assert_eq!(major("Docker version 20.10.24+dfsg1, build 297e128"), Some(20));
        assert_eq!(major("Docker version 28.2.2, build e6534b4"), Some(28));
        assert_eq!(major("podman"), None);
    }
}
