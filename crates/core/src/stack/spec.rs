//! What a container was made from, as digests of named parts.
//!
//! The engine writes a service's [`Spec`] on the container that it makes. Later, the plan
//! compares it with the spec of the intended service: equal specs mean that the container
//! stays as it is, and the names of the differing parts say why it does not. Values never
//! leave this module, only their digests do, so that the comparison needs no secrets.

use super::{Config, FileMount, Mount, MountKind, NetworkMode, Service, Stack};
use crate::text::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Hex digits kept of each digest: 64 bits tell two versions of one thing apart.
const DIGITS: usize = 16;

/// What the part of an archive is called, before its path.
pub const ARCHIVE: &str = "files ";

/// Digests of the parts of a resolved service, by part name (`image`, `environment`,
/// `config keystone`, ...).
///
/// Parts that have their default value are not in it, so that a new field of the model
/// does not make every container look changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Spec(BTreeMap<String, String>);

impl Spec {
    /// The spec of `service` in `stack`, run from the image with id `image`.
    ///
    /// References to volumes, networks, configs and secrets that the stack lacks are
    /// left out; the plan has refused them before.
    pub fn of(stack: &Stack, service: &Service, image: &str) -> Self {
        let mut parts = BTreeMap::new();
        // A struct of strings, numbers and maps with string keys always serializes.
        if let Ok(Value::Object(fields)) = serde_json::to_value(service) {
            for (name, value) in fields {
                if !SPECIAL.contains(&name.as_str()) && !is_default(&name, &value) {
                    parts.insert(name, digest_value(&value));
                }
            }
        }
        parts.insert("image".into(), digest(image.as_bytes()));
        if !service.volumes.is_empty() {
            parts.insert("volumes".into(), digest_value(&volumes(stack, service)));
        }
        for mount in &service.volumes {
            archive(&mut parts, mount);
        }
        parts.insert("networks".into(), digest_value(&networks(stack, service)));
        for (kind, mounts, contents) in
            [("config", &service.configs, &stack.configs), ("secret", &service.secrets, &stack.secrets)]
        {
            for mount in mounts {
                files(&mut parts, kind, mount, contents);
            }
        }
        Self(parts)
    }

    /// Builds a spec from parts already digested, as read back from a container.
    pub fn from_parts(parts: BTreeMap<String, String>) -> Self {
        Self(parts)
    }

    /// The parts.
    pub fn parts(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// One digest of all parts: SHA-256, 64 hex digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (name, part) in &self.0 {
            hash.update(name);
            hash.update([0]);
            hash.update(part);
            hash.update([0]);
        }
        hex(&hash.finalize())
    }

    /// Names of the parts that differ between `self` and `old`, in order.
    pub fn changed(&self, old: &Self) -> Vec<String> {
        let mut names: Vec<&String> = self.0.keys().chain(old.0.keys()).collect();
        names.sort();
        names.dedup();
        names.into_iter().filter(|n| self.0.get(*n) != old.0.get(*n)).cloned().collect()
    }
}

/// Fields that are digested in a form of their own, or that do not change the container.
const SPECIAL: [&str; 8] =
    ["image", "volumes", "network_mode", "configs", "secrets", "depends_on", "profiles", "deploy"];

/// Digest of the files of a config or secret: 16 hex digits of SHA-256 over paths and contents.
pub fn config_digest(config: &Config) -> String {
    let mut hash = Sha256::new();
    for (path, content) in &config.files {
        for field in [path.as_bytes(), content.as_slice()] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
    }
    let mut text = hex(&hash.finalize());
    text.truncate(DIGITS);
    text
}

/// Digest of a network's settings: 16 hex digits of SHA-256.
pub fn network_digest(network: &super::Network) -> String {
    digest_value(&json!(network))
}

fn files(parts: &mut BTreeMap<String, String>, kind: &str, mount: &FileMount, contents: &BTreeMap<String, Config>) {
    let content = contents.get(&mount.source).map(config_digest);
    let value = json!([mount, content]);
    // One config may be mounted twice.
    let name = format!("{kind} {}", mount.source);
    let before = parts.remove(&name).unwrap_or_default();
    parts.insert(name, digest_value(&json!([before, value])));
}

/// The content of an archive is a part of its own, so that the change of a file has the file's name.
fn archive(parts: &mut BTreeMap<String, String>, mount: &Mount) {
    let MountKind::Archive(archive) = &mount.kind else { return };
    parts.insert(format!("{ARCHIVE}{}", archive.source), digest(archive.digest.as_bytes()));
}

/// Without the content of archives.
fn without_content(mount: &Mount) -> Mount {
    let mut mount = mount.clone();
    if let MountKind::Archive(archive) = &mut mount.kind {
        (archive.digest, archive.size) = (String::new(), 0);
    }
    mount
}

fn volumes(stack: &Stack, service: &Service) -> Value {
    let mounts: Vec<Mount> = service.volumes.iter().map(without_content).collect();
    let names: Vec<_> = service
        .volumes
        .iter()
        .map(|m| match &m.kind {
            // Another driver is another place, but older specs have no drivers in them.
            MountKind::Volume { name, .. } => stack.volumes.get(name).map(|v| match v.is_cinder() {
                true => format!("{}:{}", super::VOLUME_DRIVER, v.name),
                false => v.name.clone(),
            }),
            _ => None,
        })
        .collect();
    json!([mounts, names])
}

fn networks(stack: &Stack, service: &Service) -> Value {
    match &service.network_mode {
        NetworkMode::Networks(_) => stack
            .attachments(service)
            .into_iter()
            .map(|(key, attachment)| json!([key, attachment, network_digest(&stack.network(&key))]))
            .collect(),
        other => json!(other),
    }
}

/// Whether a field says nothing: absent, false, empty, or the default of its enum.
fn is_default(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(a) => a.is_empty() && name != "entrypoint" && name != "command",
        Value::Object(o) => o.is_empty(),
        Value::String(s) => name == "restart" && s == "no",
        _ => false,
    }
}

fn digest_value(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    digest(text.as_bytes())
}

/// Writes JSON with sorted keys, whatever order serde_json was built to keep.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in fields {
                *out += &Value::from(key.as_str()).to_string();
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        scalar => *out += &scalar.to_string(),
    }
}

fn digest(bytes: &[u8]) -> String {
    let mut text = hex(&Sha256::digest(bytes));
    text.truncate(DIGITS);
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Archive, FileAccess};
    use super::*;

    fn stack() -> Stack {
        Stack { name: "s".into(), ..Stack::default() }
    }

    fn service() -> Service {
        Service {
            image: "app:1".into(),
            configs: vec![FileMount { source: "app".into(), target: "/etc/app".into(), access: FileAccess::default() }],
            ..Service::default()
        }
    }

    fn with_config(text: &str) -> Stack {
        let files = BTreeMap::from([("a.conf".to_owned(), text.as_bytes().to_vec())]);
        let mut s = stack();
        s.configs.insert("app".into(), Config { files });
        s
    }

    #[test]
    fn only_the_changed_part_is_named() {
        let old = Spec::of(&with_config("a"), &service(), "sha256:1");
        let new = Spec::of(&with_config("b"), &service(), "sha256:1");
        assert_eq!(new.changed(&old), ["config app"]);
        assert_ne!(new.digest(), old.digest());
        let mut service = service();
        service.environment.insert("A".into(), "1".into());
        service.privileged = true;
        let newer = Spec::of(&with_config("b"), &service, "sha256:2");
        assert_eq!(newer.changed(&new), ["environment", "image", "privileged"]);
    }

    #[test]
    fn changed_files_are_named() {
        let service = |digest: &str, target: &str| {
            let archive = Archive { source: "./conf".into(), digest: digest.into(), size: digest.len() as u64 };
            let mount = Mount { kind: MountKind::Archive(archive), target: target.into(), read_only: true };
            Spec::of(&stack(), &Service { volumes: vec![mount], ..Service::default() }, "i")
        };
        let old = service("1", "/etc/a");
        assert_eq!(service("2 longer", "/etc/a").changed(&old), ["files ./conf"]);
        assert_eq!(service("1", "/etc/b").changed(&old), ["volumes"]);
    }

    #[test]
    fn the_image_name_and_the_dependencies_do_not_count() {
        let old = Spec::of(&stack(), &service(), "sha256:1");
        let mut service = service();
        service.image = "app:latest".into();
        service.profiles.push("full".into());
        assert_eq!(Spec::of(&stack(), &service, "sha256:1"), old);
    }

    #[test]
    fn an_empty_entrypoint_is_not_no_entrypoint() {
        let old = Spec::of(&stack(), &service(), "i");
        let new = Spec::of(&stack(), &Service { entrypoint: Some(vec![]), ..service() }, "i");
        assert_eq!(new.changed(&old), ["entrypoint"]);
    }

    #[test]
    fn a_changed_network_changes_its_services() {
        let mut other = stack();
        other.networks.insert(
            "default".into(),
            super::super::Network { name: "s_default".into(), internal: true, ..Default::default() },
        );
        let old = Spec::of(&stack(), &service(), "i");
        assert_eq!(Spec::of(&other, &service(), "i").changed(&old), ["networks"]);
    }

    #[test]
    fn paths_and_contents_do_not_run_together() {
        let c = |files: &[(&str, &str)]| {
            config_digest(&Config {
                files: files.iter().map(|(p, t)| ((*p).to_owned(), t.as_bytes().to_vec())).collect(),
            })
        };
        assert_ne!(c(&[("a", "bc")]), c(&[("ab", "c")]));
        assert_ne!(c(&[("a", ""), ("b", "")]), c(&[("ab", "")]));
    }
}
