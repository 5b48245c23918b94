//! A stack as a Compose file in its canonical form: what `docker compose config` prints.
//!
//! Everything is in its long form and resolved: files merged, variables replaced, paths absolute,
//! names given. A dollar sign is doubled, so that the output is a Compose file again. The content of
//! secrets is not printed, only where it comes from.

mod service;
mod value;

use super::mounts::clean;
use super::{FileOrigin, Loaded};
use serde_json::{Map, Value, json};
use stackyard_core::stack::{Network, Volume};
use std::collections::BTreeMap;
use std::path::Path;
use value::{absent, doubled, mapping, object};

/// The Compose file that a stack is, as JSON. `dir` is the project's directory, at which relative paths start.
pub fn document(loaded: &Loaded, dir: &Path) -> Value {
    let stack = &loaded.stack;
    let services = stack.services.iter().map(|(name, s)| (name.clone(), service::service(s, dir))).collect();
    let networks = stack.networks.iter().map(|(key, n)| (key.clone(), network(n))).collect();
    let volumes = stack.volumes.iter().map(|(key, v)| (key.clone(), volume(v))).collect();
    let mut all = Map::new();
    all.insert("name".into(), json!(stack.name));
    all.insert("services".into(), Value::Object(services));
    for (key, section) in [
        ("networks", networks),
        ("volumes", volumes),
        ("configs", files(loaded, &loaded.configs, dir, true)),
        ("secrets", files(loaded, &loaded.secrets, dir, false)),
    ] {
        if !section.is_empty() {
            all.insert(key.into(), Value::Object(section));
        }
    }
    doubled(Value::Object(all))
}

fn network(n: &Network) -> Value {
    let pools = n.subnets.iter().map(|(subnet, gateway)| {
        object([
            ("subnet", json!(subnet)),
            ("gateway", json!(gateway)),
            ("ip_range", json!(n.ip_ranges.get(subnet))),
            ("aux_addresses", json!(n.aux_addresses.get(subnet))),
        ])
    });
    let ipam = object([("config", pools.collect()), ("options", mapping(&n.ipam_options))]);
    object([
        ("name", json!(n.name)),
        ("external", absent(n.external)),
        ("driver", json!(n.driver)),
        ("driver_opts", mapping(&n.driver_opts)),
        ("labels", mapping(&n.labels)),
        ("internal", absent(n.internal)),
        ("enable_ipv6", absent(n.enable_ipv6)),
        ("ipam", ipam),
    ])
}

fn volume(v: &Volume) -> Value {
    object([
        ("name", json!(v.name)),
        ("external", absent(v.external)),
        ("driver", json!(v.driver)),
        ("driver_opts", mapping(&v.driver_opts)),
        ("labels", mapping(&v.labels)),
    ])
}

/// Configs or secrets that services use; the content of secrets is left out.
fn files(loaded: &Loaded, origins: &BTreeMap<String, FileOrigin>, dir: &Path, shown: bool) -> Map<String, Value> {
    let stack = &loaded.stack;
    let used = if shown { &stack.configs } else { &stack.secrets };
    let entries = origins.iter().filter_map(|(key, origin)| {
        let content = used.get(key)?;
        let name = json!(format!("{}_{key}", stack.name));
        let text = || content.files.get("").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Some((
            key.clone(),
            match origin {
                FileOrigin::File(path) => object([("name", name), ("file", json!(absolute(dir, path)))]),
                FileOrigin::Environment(variable) => object([("name", name), ("environment", json!(variable))]),
                FileOrigin::Content if shown => object([("name", name), ("content", json!(text()))]),
                FileOrigin::Content => object([("name", name)]),
            },
        ))
    });
    entries.collect()
}

/// A path from the project's directory, which is absolute, without `.` and `..`.
fn absolute(dir: &Path, path: &str) -> String {
    clean(&dir.join(path))
}

/// A document as YAML.
///
/// # Errors
/// As of the serializer.
pub fn yaml(document: &Value) -> Result<String, PrintError> {
    serde_saphyr::to_string(document).map_err(|e| PrintError(e.to_string()))
}

/// A document cannot be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the stack as YAML: {0}")]
pub struct PrintError(String);

#[cfg(test)]
mod tests;
