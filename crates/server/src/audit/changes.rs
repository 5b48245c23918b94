//! What a new definition changes, in a line: names of things and of their fields, and no values but images and counts.

use serde_json::{Map, Value, json};
use stackyard_catalog::manifest;
use stackyard_core::stack::Stack;
use stackyard_core::stack::spec::config_digest;
use std::collections::{BTreeMap, BTreeSet};

/// Fields whose values are told: nobody keeps a secret in them.
const TOLD: [&str; 4] = ["image", "replicas", "count", "flavor"];

/// Longest value that is told, in characters.
const VALUE: usize = 200;

/// Keys that name an entry of a list of a manifest.
const NAMES: [&str; 3] = ["name", "pool", "package"];

/// What a deployment changes of a stack.
pub(crate) fn stack_changes(old: Option<&Stack>, new: &Stack) -> String {
    let none = Stack { name: new.name.clone(), ..Stack::default() };
    describe(&tree(old.unwrap_or(&none)), &tree(new))
}

/// A stack as JSON, with what its own form leaves out: counts that are usual, and digests of files.
fn tree(stack: &Stack) -> Value {
    let mut tree = serde_json::to_value(stack).unwrap_or_default();
    for (name, service) in &stack.services {
        if let Some(fields) = tree["services"].get_mut(name).and_then(Value::as_object_mut) {
            fields.insert("deploy".to_owned(), serde_json::to_value(&service.deploy).unwrap_or_default());
        }
    }
    for (section, files) in [("configs", &stack.configs), ("secrets", &stack.secrets)] {
        for (name, config) in files {
            tree[section][name] = json!({ "files": config_digest(config) });
        }
    }
    tree
}

/// What a manifest changes of a yard.
pub(crate) fn manifest_changes(file: &str, old: Option<&str>, new: &str) -> String {
    let tree = |text: &str| {
        let mut tree = manifest::tree(file, text).ok()?;
        Some(tree.get_mut("spec").map(Value::take).unwrap_or_default())
    };
    match (old.map(tree), tree(new)) {
        (_, None) | (Some(None), _) => "its text, which is no YAML before or after".to_owned(),
        (old, Some(new)) => describe(&old.flatten().unwrap_or_default(), &new),
    }
}

/// Which of the files that came with a manifest differ, to be put behind [`manifest_changes`]; empty if none does.
pub(crate) fn file_changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> String {
    let names = names(old.keys(), new.keys());
    let differ: Vec<&str> = names.filter(|n| old.get(*n) != new.get(*n)).map(String::as_str).collect();
    if differ.is_empty() { String::new() } else { format!("; files {}", differ.join(", ")) }
}

/// The names of both sides, each once, sorted.
fn names<'a>(
    old: impl Iterator<Item = &'a String>,
    new: impl Iterator<Item = &'a String>,
) -> impl Iterator<Item = &'a String> {
    old.chain(new).collect::<BTreeSet<_>>().into_iter()
}

fn describe(old: &Value, new: &Value) -> String {
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    let mut changes = Vec::new();
    for section in names(old.keys(), new.keys()) {
        let (old, new) = (old.get(section).unwrap_or(&Value::Null), new.get(section).unwrap_or(&Value::Null));
        if old != new {
            match (entries(old), entries(new)) {
                (Some(old), Some(new)) => changes.extend(entry_changes(section, &old, &new)),
                _ => changes.push(section.clone()),
            }
        }
    }
    if changes.is_empty() { "nothing changed".to_owned() } else { changes.join("; ") }
}

/// The named entries of a section; nothing if it is no list of such.
fn entries(section: &Value) -> Option<Map<String, Value>> {
    match section {
        Value::Null => Some(Map::new()),
        Value::Object(map) => Some(map.clone()),
        Value::Array(list) => {
            let name = |entry: &Value| NAMES.iter().find_map(|key| Some(entry.get(*key)?.as_str()?.to_owned()));
            list.iter().map(|entry| Some((name(entry)?, entry.clone()))).collect()
        }
        _ => None,
    }
}

fn entry_changes(section: &str, old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let change = |name: &String| match (old.get(name), new.get(name)) {
        (None, Some(added)) => {
            let image = added.get("image").and_then(told).map(|i| format!(" (image {i})"));
            Some(format!("{section} {name} added{}", image.unwrap_or_default()))
        }
        (Some(_), None) => Some(format!("{section} {name} removed")),
        (Some(old), Some(new)) if old != new => {
            let fields = field_changes(old, new);
            Some(format!("{section} {name} changed{}{}", if fields.is_empty() { "" } else { ": " }, fields.join(", ")))
        }
        _ => None,
    };
    names(old.keys(), new.keys()).filter_map(change).collect()
}

fn field_changes(old: &Value, new: &Value) -> Vec<String> {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return Vec::new() };
    let of = |map: &Map<String, Value>, name: &String| map.get(name).cloned().unwrap_or_default();
    let differs = |name: &&String| of(old, name) != of(new, name);
    names(old.keys(), new.keys())
        .filter(differs)
        .map(|name| field_change(name, &of(old, name), &of(new, name)))
        .collect()
}

fn field_change(name: &str, old: &Value, new: &Value) -> String {
    if TOLD.contains(&name)
        && let (Some(old), Some(new)) = (told(old), told(new))
    {
        return format!("{name} {old} -> {new}");
    }
    let map = |value: &Value| value.as_object().cloned().or_else(|| value.is_null().then(Map::new));
    match (name, map(old), map(new)) {
        ("environment", Some(old), Some(new)) => {
            let sign = |name: &String| match (old.get(name), new.get(name)) {
                (None, _) => Some(format!("+{name}")),
                (_, None) => Some(format!("-{name}")),
                (old, new) => (old != new).then(|| format!("~{name}")),
            };
            let signs: Vec<String> = names(old.keys(), new.keys()).filter_map(sign).collect();
            format!("environment {}", signs.join(" "))
        }
        ("deploy", Some(_), Some(_)) => format!("deploy ({})", field_changes(old, new).join(", ")),
        _ => name.to_owned(),
    }
}

/// A value that may be told.
fn told(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.chars().take(VALUE).collect()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::{Config, Service};

    #[test]
    fn a_stack_is_told_by_services_and_fields_without_values() {
        let service = |image: &str, variables: &[(&str, &str)]| {
            let environment = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Service { image: image.to_owned(), environment, ..Service::default() }
        };
        let mut old = Stack { name: "shop".to_owned(), ..Stack::default() };
        old.services.insert("db".to_owned(), service("postgres:16", &[("PASSWORD", "hush1"), ("OLD", "x")]));
        old.services.insert("cache".to_owned(), service("redis:7", &[]));
        old.secrets.insert("key".to_owned(), Config { files: [(String::new(), b"hush2".to_vec())].into() });
        let mut new = old.clone();
        new.services.remove("cache");
        new.services.insert("web".to_owned(), service("nginx:1", &[("TOKEN", "hush3")]));
        let db = new.services.get_mut("db").unwrap();
        *db = service("postgres:17", &[("PASSWORD", "hush4"), ("NEW", "y")]);
        db.deploy.replicas = 3;
        new.secrets.insert("key".to_owned(), Config { files: [(String::new(), b"hush5".to_vec())].into() });
        let told = stack_changes(Some(&old), &new);
        assert_eq!(
            told,
            "secrets key changed: files; services cache removed; services db changed: deploy (replicas 1 -> 3), \
             environment +NEW -OLD ~PASSWORD, image postgres:16 -> postgres:17; services web added (image nginx:1)"
        );
        assert!(!told.contains("hush"));
        assert_eq!(stack_changes(Some(&new), &new), "nothing changed");
        assert!(stack_changes(None, &old).contains("services db added (image postgres:16)"));
    }

    #[test]
    fn a_manifest_is_told_by_entries_and_fields_without_values() {
        let old = "metadata: {name: shop}\nspec:\n  cloud: a\n  servers:\n  - {name: db, flavor: m1.small, userData: hush}\n  \
                   hosts:\n  - {pool: web, count: 2}\n";
        let new = "metadata: {name: shop}\nspec:\n  cloud: b\n  servers:\n  - {name: db, flavor: m1.tiny, userData: hush2}\n  \
                   networks:\n  - {name: front}\n";
        let told = manifest_changes("yard.yaml", Some(old), new);
        let expected = "cloud; hosts web removed; networks front added; servers db changed: flavor m1.small -> m1.tiny, \
                        userData";
        assert_eq!(told, expected);
        assert_eq!(manifest_changes("yard.yaml", Some(old), old), "nothing changed");
        assert!(manifest_changes("yard.yaml", None, new).starts_with("cloud; networks front added; servers db added"));
        assert!(manifest_changes("yard.yaml", Some("[: hush"), new).contains("no YAML"));
        let files = |all: &[(&str, &str)]| all.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
        let (old, new) =
            (files(&[("a", "hush"), ("b", "1"), ("c", "1")]), files(&[("a", "hush2"), ("b", "1"), ("d", "1")]));
        assert_eq!((file_changes(&old, &new).as_str(), file_changes(&old, &old).as_str()), ("; files a, c, d", ""));
    }
}
