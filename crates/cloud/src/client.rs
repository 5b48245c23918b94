//! The cloud as its users see it: the entry in clouds.yaml, and a client made from it.

use stackyard_catalog::ResolvedAnswers;
use stackyard_openstack::{Cloud, CloudConfig, CloudEntry, Error, Options, Secret};
use std::path::PathBuf;

/// Name of the cloud in clouds.yaml.
pub const CLOUD: &str = "local";

/// The clouds.yaml that `cloud up` writes to: `$OS_CLIENT_CONFIG_FILE`, else the user's own
/// (`$XDG_CONFIG_HOME/openstack/clouds.yaml`, by default below `~/.config`).
///
/// Source: the search order of os-client-config, of which these are the writable places.
pub fn clouds_yaml() -> Option<PathBuf> {
    let env = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    env("OS_CLIENT_CONFIG_FILE").or_else(|| {
        let config = env("XDG_CONFIG_HOME").or_else(|| Some(env("HOME")?.join(".config")))?;
        Some(config.join("openstack/clouds.yaml"))
    })
}

/// The administrator's entry, by checked answers and the administrator's password.
pub fn entry(answers: &ResolvedAnswers, password: &str) -> CloudEntry {
    let address = answers.text("api_address");
    let host = if address.contains(':') { format!("[{address}]") } else { address };
    CloudEntry {
        auth_url: format!("http://{host}:{}/v3", answers.text("keystone_port")),
        username: "admin".to_owned(),
        password: Secret::new(password.to_owned()),
        project_name: "admin".to_owned(),
        domain_name: "Default".to_owned(),
        region_name: answers.text("region"),
        cacert: None,
    }
}

/// Logs in.
///
/// # Errors
/// What Keystone says.
pub async fn connect(entry: &CloudEntry) -> Result<Cloud, Error> {
    Cloud::connect(CloudConfig::from_entry(CLOUD, entry), Options::default()).await
}
