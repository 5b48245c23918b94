//! Values of a container's own host: markers in a stack, replaced when a host's part of it is packed.
//!
//! A package is rendered once for all hosts. Where it prints `host.name`, each host gets its own name, so
//! what is rendered has a marker there. Docker Swarm does the same with `{{.Node.Hostname}}`
//! ([`super::template`]), but not in commands and files.

use super::{Config, HealthTest, Service};
use std::borrow::Cow;
use std::net::IpAddr;

/// Stands for the name of the container's host.
pub const NAME: &str = "{{stackyard.host.name}}";

/// Stands for the address of the container's host.
pub const ADDRESS: &str = "{{stackyard.host.address}}";

/// What all markers begin with.
const PREFIX: &str = "{{stackyard.host.";

/// Where a marker may stand in a service, for messages.
pub const PLACES: &str = "environment, command, entrypoint, hostname, labels, healthcheck, extra_hosts, paths of volumes, configs and secrets";

/// The values of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnHost {
    /// Name, unique in the yard.
    pub name: String,
    /// IP address at which others reach it, as text.
    pub address: String,
}

impl OwnHost {
    /// The values of a host at this address. One that has none yet is reached by its name.
    pub fn new(name: &str, address: Option<IpAddr>) -> Self {
        let address = address.map_or_else(|| name.to_owned(), |a| a.to_string());
        Self { name: name.to_owned(), address }
    }

    /// The text for this host.
    pub fn fill(&self, text: &str) -> String {
        text.replace(NAME, &self.name).replace(ADDRESS, &self.address)
    }

    /// A config or secret with the texts of its files for this host. Files that are not UTF-8 have no markers.
    pub fn fill_config<'c>(&self, config: &'c Config) -> Cow<'c, Config> {
        let texts = config.files.iter().filter_map(|(path, content)| Some((path, marked(content)?)));
        let filled: Vec<(&String, String)> = texts.map(|(path, text)| (path, self.fill(text))).collect();
        if filled.is_empty() {
            return Cow::Borrowed(config);
        }
        let mut own = config.clone();
        own.files.extend(filled.into_iter().map(|(path, text)| (path.clone(), text.into_bytes())));
        Cow::Owned(own)
    }

    /// Replaces the markers of a service.
    pub fn fill_service(&self, service: &mut Service) {
        let health = service.healthcheck.iter_mut().flat_map(|check| match &mut check.test {
            HealthTest::Cmd(words) => words.iter_mut().collect::<Vec<_>>(),
            HealthTest::Shell(line) => vec![line],
            HealthTest::Disabled => Vec::new(),
        });
        let mounts = service.volumes.iter_mut().flat_map(|mount| {
            let source = match &mut mount.kind {
                super::MountKind::Bind(bind) => Some(&mut bind.source),
                _ => None,
            };
            source.into_iter().chain([&mut mount.target])
        });
        let texts = service.environment.values_mut().chain(service.labels.values_mut());
        let texts = texts.chain(service.command.iter_mut().flatten()).chain(service.entrypoint.iter_mut().flatten());
        let texts = texts.chain(&mut service.hostname).chain(&mut service.extra_hosts).chain(health).chain(mounts);
        for text in texts.filter(|text| text.contains(PREFIX)) {
            *text = self.fill(text);
        }
    }
}

/// The text of a file, if it has a marker.
fn marked(content: &[u8]) -> Option<&str> {
    // Most files have none, and the search is quicker than the check for UTF-8.
    let there = content.windows(PREFIX.len()).any(|w| w == PREFIX.as_bytes());
    std::str::from_utf8(content).ok().filter(|_| there)
}

/// A key of a service that has a marker where none is replaced.
pub fn misplaced(service: &Service) -> Option<String> {
    let mut service = service.clone();
    let nothing = OwnHost { name: String::new(), address: String::new() };
    nothing.fill_service(&mut service);
    let serde_json::Value::Object(keys) = serde_json::to_value(&service).ok()? else { return None };
    keys.into_iter().find(|(_, value)| value.to_string().contains(PREFIX)).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_replaced_where_they_may_stand() {
        let host = OwnHost { name: "c1".into(), address: "10.0.0.1".into() };
        let mut service = Service {
            command: Some(vec![format!("--bind={ADDRESS}")]),
            hostname: Some(NAME.into()),
            environment: [("AT".to_owned(), format!("{NAME}/{ADDRESS}/{{{{.Names}}}}"))].into(),
            ..Service::default()
        };
        assert_eq!(misplaced(&service), None);
        host.fill_service(&mut service);
        assert_eq!(service.command.as_deref(), Some(&["--bind=10.0.0.1".to_owned()][..]));
        assert_eq!(service.hostname.as_deref(), Some("c1"));
        assert_eq!(service.environment["AT"], "c1/10.0.0.1/{{.Names}}");
        service.image = format!("app:{NAME}");
        assert_eq!(misplaced(&service).as_deref(), Some("image"));
    }

    #[test]
    fn only_files_with_markers_are_copied() {
        let host = OwnHost { name: "c1".into(), address: "10.0.0.1".into() };
        let with = |content: &[u8]| Config { files: [(String::new(), content.to_vec())].into() };
        assert!(matches!(host.fill_config(&with(b"plain")), Cow::Borrowed(_)));
        assert!(matches!(host.fill_config(&with(&[0xff, 0])), Cow::Borrowed(_)));
        let own = with(format!("host = {NAME}\n").as_bytes());
        assert_eq!(host.fill_config(&own).files[""], b"host = c1\n");
    }
}
