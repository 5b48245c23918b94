//! Credentials of registries, from where Docker's own client keeps them.
//!
//! The file is `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. As with Docker's
//! client, a helper named for the registry (`credHelpers`) goes before the store for all
//! (`credsStore`), and that before what the file itself holds (`auths`).

use base64::Engine;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// How Docker's client calls its default registry in the file.
const DEFAULT_REGISTRY: &str = "https://index.docker.io/v1/";

/// Credentials could not be read. None of the texts holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The file is there but cannot be read.
    #[error("cannot read credentials of registries from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what Docker's client writes.
    #[error("{path} is not valid: {problem}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column for JSON.
        problem: String,
    },
    /// A helper program failed.
    #[error("{program} get, asked for the credentials of {registry}, failed: {problem}")]
    Helper {
        /// Name of the program.
        program: String,
        /// The registry asked for.
        registry: String,
        /// What happened.
        problem: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerConfig {
    auths: HashMap<String, AuthEntry>,
    #[serde(rename = "credHelpers")]
    helpers: HashMap<String, String>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AuthEntry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// What a helper answers. See docker-credential-helpers, "Development".
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// The credentials for `registry` (host, with port if any), if there are some; from the file in
/// `folder` where that is given.
pub async fn of(registry: &str, folder: Option<&Path>) -> Result<Option<DockerCredentials>, CredentialError> {
    let configured = || std::env::var_os("DOCKER_CONFIG").filter(|f| !f.is_empty()).map(PathBuf::from);
    let at_home = || std::env::home_dir().map(|home| home.join(".docker"));
    let Some(folder) = folder.map(Path::to_owned).or_else(configured).or_else(at_home) else { return Ok(None) };
    from_file(&folder.join("config.json"), registry).await
}

async fn from_file(path: &Path, registry: &str) -> Result<Option<DockerCredentials>, CredentialError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(CredentialError::Read { path: path.to_owned(), source }),
    };
    let invalid = |problem: String| CredentialError::Invalid { path: path.to_owned(), problem };
    let config: DockerConfig = serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
    let key = if registry == "docker.io" { DEFAULT_REGISTRY } else { registry };
    if let Some(helper) = config.helpers.get(key).or(config.store.as_ref()) {
        return ask(helper, key).await;
    }
    let entry = config.auths.iter().find(|(name, _)| host(name) == host(key));
    let Some((_, entry)) = entry else { return Ok(None) };
    let mut credentials = DockerCredentials { serveraddress: Some(key.to_owned()), ..Default::default() };
    if let Some(token) = entry.identitytoken.clone().filter(|token| !token.is_empty()) {
        credentials.identitytoken = Some(token);
        return Ok(Some(credentials));
    }
    let Some(auth) = entry.auth.as_ref().filter(|auth| !auth.is_empty()) else { return Ok(None) };
    let bad = || invalid(format!("auths: the auth of {key} is not the base64 of USER:PASSWORD"));
    let plain = base64::engine::general_purpose::STANDARD.decode(auth).map_err(|_| bad())?;
    let plain = String::from_utf8(plain).map_err(|_| bad())?;
    let (user, password) = plain.split_once(':').ok_or_else(bad)?;
    credentials.username = Some(user.to_owned());
    credentials.password = Some(password.trim_end_matches('\0').to_owned());
    Ok(Some(credentials))
}

/// Host and port of a key of `auths`, which may be a URL.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

/// Asks the program `docker-credential-<helper>`.
async fn ask(helper: &str, registry: &str) -> Result<Option<DockerCredentials>, CredentialError> {
    let program = format!("docker-credential-{helper}");
    let failed =
        |problem: String| CredentialError::Helper { program: program.clone(), registry: registry.to_owned(), problem };
    let io = |error: std::io::Error| failed(error.to_string());
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(io)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(registry.as_bytes()).await.map_err(io)?;
    }
    let output = child.wait_with_output().await.map_err(io)?;
    if !output.status.success() {
        // helpers write errors to standard output
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if said.contains("credentials not found") {
            return Ok(None);
        }
        let said = if said.is_empty() { String::from_utf8_lossy(&output.stderr).trim().to_owned() } else { said };
        return Err(failed(format!("{}: {said}", output.status)));
    }
    let answer: HelperAnswer =
        serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("its answer is no JSON: {error}")))?;
    let mut credentials = DockerCredentials { serveraddress: Some(registry.to_owned()), ..Default::default() };
    if answer.username == "<token>" {
        credentials.identitytoken = Some(answer.secret);
    } else {
        credentials.username = Some(answer.username);
        credentials.password = Some(answer.secret);
    }
    Ok(Some(credentials))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &str, registry: &str) -> Result<Option<DockerCredentials>, CredentialError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        from_file(&path, registry).await
    }

    #[tokio::test]
    async fn from_auths() {
        // me:s3:cret
        let text = r#"{"auths": {"https://reg.example:5000/v2/": {"auth": "bWU6czM6Y3JldA=="}}, "other": 1}"#;
        let found = read(text, "reg.example:5000").await.unwrap().unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("me"), Some("s3:cret")));
        assert!(read(text, "reg.example").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn errors_hold_no_secret() {
        let text = r#"{"auths": {"reg.example": {"auth": "c2VjcmV0"}}}"#;
        let error = read(text, "reg.example").await.unwrap_err().to_string();
        assert!(error.contains("the auth of reg.example is not the base64 of USER:PASSWORD"), "{error}");
        assert!(!error.contains("c2VjcmV0") && !error.contains("secret"), "{error}");
        let error = read(r#"{"credHelpers": {"reg.example": "not-installed"}}"#, "reg.example").await.unwrap_err();
        assert!(error.to_string().starts_with("docker-credential-not-installed get, asked for"), "{error}");
    }
}
