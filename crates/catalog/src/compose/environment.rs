//! Variables of a service's containers: `environment` and `env_file`; labels of `label_file`.

use super::{LoadContext, dotenv, mounts};
use crate::interpolate::Variables;
use crate::yaml::{FieldReading, Fields, Kind, Node};
use std::collections::BTreeMap;

/// What `env_file` and `environment` give together.
pub(crate) fn environment(f: &Fields<'_, '_>, cx: &LoadContext<'_>) -> BTreeMap<String, String> {
    let mut environment = entries(f, cx);
    if f.get("env_file").is_some() {
        let mut base = cx.variables.clone();
        environment.iter().for_each(|(name, value)| base.set_default(name, value));
        environment = files(f, "env_file", &base, cx);
        set(f, &mut environment, cx);
    }
    environment
}

/// What `environment` gives alone.
pub(crate) fn entries(f: &Fields<'_, '_>, cx: &LoadContext<'_>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    set(f, &mut environment, cx);
    environment
}

/// What `label_file` and `labels` give together.
pub(crate) fn labels(f: &Fields<'_, '_>, cx: &LoadContext<'_>) -> BTreeMap<String, String> {
    let mut labels = files(f, "label_file", &Variables::default(), cx);
    labels.extend(f.text_map("labels"));
    labels
}

fn set(f: &Fields<'_, '_>, environment: &mut BTreeMap<String, String>, cx: &LoadContext<'_>) {
    let Some(node) = f.get("environment") else { return };
    let path = f.at("environment");
    for (key, value) in node.entries(&path, cx.log) {
        if key.text.is_empty() || key.text.contains('=') {
            cx.log.problem(&key.place, format!("{path}: `{}` cannot name a variable", key.text));
        } else if value.is_null() {
            // The value comes from where the stack is rendered, if it is set there.
            match cx.variables.get(&key.text) {
                Some(value) => {
                    environment.insert(key.text.clone(), value.to_owned());
                }
                None if cx.variables.is_strict() => {
                    let message = format!("{path}: `{}` has no value, and no answer has its name", key.text);
                    cx.log.problem(&key.place, message);
                }
                None => {
                    environment.remove(&key.text);
                }
            }
        } else if let Some(text) = value.string(&format!("{path}.{}", key.text), cx.log) {
            environment.insert(key.text.clone(), text);
        }
    }
}

/// The lines of files, the later ones first to count. They see `base`, and then the lines before them.
fn files(f: &Fields<'_, '_>, key: &'static str, base: &Variables, cx: &LoadContext<'_>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let Some(files) = f.get(key) else { return all };
    for (i, item) in files.items(&f.at(key), cx.log).iter().enumerate() {
        let read = file(item, &format!("{}[{i}]", f.at(key)), base, &all, cx);
        all.extend(read);
    }
    all
}

fn file(
    item: &Node,
    path: &str,
    variables: &Variables,
    earlier: &BTreeMap<String, String>,
    cx: &LoadContext<'_>,
) -> Vec<(String, String)> {
    let (file, required, raw) = match item.kind {
        Kind::Map(_) => {
            let Some(f) = Fields::of(item, path, cx.log) else { return Vec::new() };
            let file = f.need("path", item).and_then(|n| n.string(&f.at("path"), cx.log));
            let required = f.bool("required").unwrap_or(true);
            let raw = super::service::one_of(&f, "format", &[("raw", true)]).unwrap_or(false);
            f.finish(false, &[]);
            (file, required, raw)
        }
        _ => (item.string(path, cx.log), true, false),
    };
    let file = file.map(|f| mounts::expand_home(&f, cx));
    let request = |f: &str| dotenv::read(f, &item.place, dotenv::ReadOptions { required, raw }, variables, earlier, cx);
    file.map(|f| request(&f)).unwrap_or_default()
}
