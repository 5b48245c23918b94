//! `yard.yaml` of a package: the parts of a manifest that it brings.
//!
//! Names are changed before variables have their values. So a reference in the file means a part of the package if, as
//! it is written, it is the name of one; what comes out of an answer always means something outside of the package.
//!
//! ```text
//! yard.yaml ── names and references get the package's name ── `${answers}` ── `when` ── files inlined ──> lists
//! ```

use crate::diag::{Log, did_you_mean};
use crate::interpolate::{TextBudget, Variables, expand_node, too_long_together};
use crate::package::{Package, read_text, shown};
use crate::source::Source;
use crate::yaml::{self, FieldReading, Key, Kind, Map, Node, Style};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The file of a package with the parts of a manifest.
pub(crate) const FILE: &str = "yard.yaml";

/// The name of a part that gets the package's name alone.
const MAIN: &str = "main";

/// Key that leaves an item out unless it is true.
const WHEN: &str = "when";

/// Bytes that a byte of `yard.yaml` may take once it is read: a value of two bytes is a node with its place.
const NODE_COST: usize = 8;

/// Lists of a manifest that a package may have, each with the key that names an item, and what an item is called.
pub(crate) const LISTS: [(&str, &str, &str); 12] = [
    ("networks", "name", "network"),
    ("routers", "name", "router"),
    ("securityGroups", "name", "security group"),
    ("keypairs", "name", "keypair"),
    ("volumes", "name", "volume"),
    ("serverGroups", "name", "server group"),
    ("hosts", "pool", "pool"),
    ("servers", "name", "server"),
    ("loadBalancers", "name", "load balancer"),
    ("objectContainers", "name", "object container"),
    ("floatingIPs", "name", "floating IP"),
    ("stacks", "name", "stack"),
];

/// A machine: a server, or the hosts of a pool.
const MACHINES: &[&str] = &["servers", "hosts"];

/// Where items of a list name items of others: list, path in an item (`[]` is each item of a list), lists.
const REFERENCES: &[(&str, &str, &[&str])] = &[
    ("networks", "router", &["routers"]),
    ("networks", "router name", &["routers"]),
    ("routers", "networks []", &["networks"]),
    ("securityGroups", "rules [] from", &["securityGroups"]),
    ("securityGroups", "rules [] to", &["securityGroups"]),
    ("hosts", "network", &["networks"]),
    ("hosts", "networks []", &["networks"]),
    ("hosts", "networks [] network", &["networks"]),
    ("hosts", "networks [] securityGroups []", &["securityGroups"]),
    ("hosts", "securityGroups []", &["securityGroups"]),
    ("hosts", "key", &["keypairs"]),
    ("hosts", "group", &["serverGroups"]),
    ("servers", "network", &["networks"]),
    ("servers", "networks []", &["networks"]),
    ("servers", "networks [] network", &["networks"]),
    ("servers", "networks [] securityGroups []", &["securityGroups"]),
    ("servers", "securityGroups []", &["securityGroups"]),
    ("servers", "key", &["keypairs"]),
    ("servers", "group", &["serverGroups"]),
    ("servers", "volumes []", &["volumes"]),
    ("loadBalancers", "network", &["networks"]),
    ("loadBalancers", "listeners [] servers []", MACHINES),
    ("loadBalancers", "listeners [] servers [] server", MACHINES),
    ("loadBalancers", "listeners [] servers [] network", &["networks"]),
    ("floatingIPs", "server", MACHINES),
    ("floatingIPs", "network", &["networks"]),
    ("floatingIPs", "loadBalancer", &["loadBalancers"]),
    ("stacks", "pool", &["hosts"]),
];

/// Files whose text becomes that of another key: list, key of the file, key of the text.
const INLINED: [(&str, &str, &str); 3] = [
    ("keypairs", "publicKeyFile", "publicKey"),
    ("servers", "userDataFile", "userData"),
    ("hosts", "userDataFile", "userData"),
];

/// The parts of a manifest that a package brings, with names as the manifest has them.
#[derive(Debug, Default)]
pub(crate) struct Fragment {
    /// Items by list.
    pub(crate) lists: BTreeMap<&'static str, Vec<Node>>,
    /// The name of the file in places of its items.
    pub(crate) file: Option<Arc<str>>,
}

/// Reads `yard.yaml` of a package that a manifest calls `instance`; nothing if it has none. `variables` are its
/// answers. Mistakes are noted in `log`.
pub(crate) fn read(package: &Package, instance: &str, variables: &Variables, log: &Log) -> Fragment {
    let source = package.source.as_ref();
    let name = shown(source, FILE);
    if !source.list(FILE).is_ok_and(|files| files == [FILE]) {
        return Fragment::default();
    }
    let budget = variables.budget();
    let text = read_text(source, FILE);
    if let Ok(text) = &text
        && !budget.take(text.len().saturating_mul(NODE_COST))
    {
        let message = format!("with it {}", too_long_together());
        log.problem_hint(&crate::package::start_of(source, FILE), message, Some("shorten the file".into()));
        return Fragment::default();
    }
    let root = match text.map(|text| yaml::parse(&name, &text)) {
        Ok(Ok(root)) => root,
        Ok(Err(problem)) => {
            let file = Some(problem.place.file.clone());
            log.push(problem);
            return Fragment { file, ..Fragment::default() };
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
            log.problem(&crate::package::start_of(source, FILE), format!("{error}{cause}"));
            return Fragment::default();
        }
    };
    let file = Some(root.place.file.clone());
    let mut lists = lists(root, log);
    rename(&mut lists, instance);
    for (list, items) in &mut lists {
        items.iter_mut().for_each(|item| expand(item, variables, log));
        items.retain_mut(|item| is_wanted(item, log));
        items.iter_mut().for_each(|item| inline(list, item, source, budget, log));
    }
    refuse_programs(&lists, log);
    Fragment { lists, file }
}

/// The lists of a file; keys that are none are mistakes.
fn lists(root: Node, log: &Log) -> BTreeMap<&'static str, Vec<Node>> {
    let mut lists = BTreeMap::new();
    if root.is_null() {
        return lists;
    }
    for (key, node) in root.entries(FILE, log) {
        match LISTS.iter().find(|(list, ..)| *list == key.text) {
            Some((list, ..)) if node.is_null() => drop(lists.insert(*list, Vec::new())),
            Some((list, ..)) => drop(lists.insert(*list, node.items(list, log).to_vec())),
            None => {
                let known = LISTS.iter().map(|(list, ..)| *list);
                let hint = did_you_mean(&key.text, known.clone())
                    .unwrap_or_else(|| format!("a package brings {}", known.collect::<Vec<_>>().join(", ")));
                log.problem_hint(&key.place, format!("unknown key `{}`", key.text), Some(hint));
            }
        }
    }
    lists
}

/// Gives items and references to them the names that they have in a manifest.
fn rename(lists: &mut BTreeMap<&'static str, Vec<Node>>, instance: &str) {
    let named = |(list, key, _): &(&'static str, &str, &str)| {
        let items = lists.get(list).map(Vec::as_slice).unwrap_or_default();
        let names = items.iter().filter_map(|item| item.as_map()?.get(key)?.as_text().map(str::to_owned));
        (*list, names.collect::<BTreeSet<String>>())
    };
    let declared: BTreeMap<&str, BTreeSet<String>> = LISTS.iter().map(named).collect();
    for (list, path, targets) in REFERENCES {
        let is_own = |name: &str| targets.iter().any(|t| declared.get(t).is_some_and(|names| names.contains(name)));
        let path: Vec<&str> = path.split(' ').collect();
        for item in lists.get_mut(list).into_iter().flatten() {
            each_text(item, &path, &mut |text| {
                if is_own(text) {
                    *text = prefixed(instance, text);
                } else if let Some((name, number)) = numbered(text).filter(|(name, _)| is_own(name)) {
                    *text = format!("{}-{number}", prefixed(instance, name));
                }
            });
        }
    }
    for (list, key, _) in LISTS {
        for item in lists.get_mut(list).into_iter().flatten() {
            each_text(item, &[key], &mut |name| *name = prefixed(instance, name));
        }
    }
}

fn prefixed(instance: &str, name: &str) -> String {
    if name == MAIN { instance.to_owned() } else { format!("{instance}-{name}") }
}

/// One of several servers: `web-2` of `web`.
fn numbered(text: &str) -> Option<(&str, &str)> {
    let is_number = |n: &str| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit());
    text.rsplit_once('-').filter(|(_, number)| is_number(number))
}

/// Calls `change` with each text at a path.
fn each_text(node: &mut Node, path: &[&str], change: &mut dyn FnMut(&mut String)) {
    let is_null = node.is_null();
    match (path.split_first(), &mut node.kind) {
        (None, _) if is_null => {}
        (None, Kind::Scalar(scalar)) => change(&mut scalar.text),
        (Some((&"[]", rest)), Kind::List(items)) => items.iter_mut().for_each(|item| each_text(item, rest, change)),
        (Some((key, rest)), Kind::Map(map)) => {
            if let Some(value) = map.get_mut(key) {
                each_text(value, rest, change);
            }
        }
        _ => {}
    }
}

/// Gives variables their values. A value that is one variable may become `true`, `false` or nothing, so that an answer
/// may leave a key out; with or without quotes, which flow style needs.
fn expand(node: &mut Node, variables: &Variables, log: &Log) {
    match &mut node.kind {
        Kind::List(items) => items.iter_mut().for_each(|item| expand(item, variables, log)),
        Kind::Map(map) => map.entries.iter_mut().for_each(|(_, value)| expand(value, variables, log)),
        Kind::Scalar(scalar) => {
            let alone = scalar.style != Style::Block && is_one_variable(&scalar.text);
            expand_node(node, variables, log);
            if let Kind::Scalar(scalar) = &mut node.kind
                && alone
                && matches!(scalar.text.as_str(), "true" | "false" | "")
            {
                scalar.style = Style::Plain;
            }
        }
    }
}

/// Whether a text is `${name}` and nothing else.
fn is_one_variable(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
    inner.is_some_and(|name| name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()))
}

/// Whether an item is not left out; its key `when` is taken away.
fn is_wanted(item: &mut Node, log: &Log) -> bool {
    let Some((_, when)) = item.as_map_mut().and_then(|map| map.remove(WHEN)) else { return true };
    match when.as_text() {
        None | Some("" | "false") => false,
        Some("true") => true,
        Some(_) => {
            log.problem(&when.place, format!("{WHEN}: `true` or `false` is expected, not {}", when.describe()));
            false
        }
    }
}

/// Puts the text of a package's file in the place of its name.
fn inline(list: &str, item: &mut Node, source: &dyn Source, budget: &TextBudget, log: &Log) {
    let Some(map) = item.as_map_mut() else { return };
    for (_, file_key, text_key) in INLINED.iter().filter(|(of, ..)| *of == list) {
        let Some((key, file)) = map.remove(file_key) else { continue };
        let Some(path) = file.string(file_key, log) else { continue };
        if map.get(text_key).is_some() {
            log.problem_hint(&key.place, format!("`{text_key}` is there, too"), Some("keep one of them".into()));
            continue;
        }
        match confined_text(source, &path, budget) {
            Ok(text) => map.set(Key { text: (*text_key).to_owned(), place: key.place }, Node::text(file.place, text)),
            Err(e) => log.problem(&file.place, format!("{file_key}: cannot read `{path}` of the package: {e}")),
        }
    }
}

/// Each item has a copy of the file's text, so that each takes it from the budget.
fn confined_text(source: &dyn Source, path: &str, budget: &TextBudget) -> Result<String, String> {
    let path = crate::source::normalise(path).ok_or("it leads out of the package")?;
    let bytes = source.read(&path).map_err(|e| e.to_string())?;
    if !budget.take(bytes.len()) {
        return Err(format!("with it {}", too_long_together()));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// Refuses what would run a package's program on this machine, or show it variables of this process.
fn refuse_programs(lists: &BTreeMap<&'static str, Vec<Node>>, log: &Log) {
    for pool in lists.get("hosts").into_iter().flatten() {
        let join = pool.as_map().and_then(|m| m.get("join")).and_then(Node::as_map);
        let Some(command) = join.and_then(|m| m.get("command")).and_then(Node::as_map) else { continue };
        for (key, _) in
            command.entries.iter().filter(|(key, _)| ["program", "http", "env"].contains(&key.text.as_str()))
        {
            let message = format!("join.command.{}: a package neither runs programs nor calls other servers", key.text);
            log.problem_hint(&key.place, message, Some("give the command in `text`, out of an answer".into()));
        }
    }
}

/// The name of an item of a list, and where it is.
pub(crate) fn name_of<'n>(item: &'n Node, key: &str) -> Option<(&'n str, &'n Node)> {
    let node = item.as_map()?.get(key)?;
    Some((node.as_text()?, node))
}

/// Appends items to a list of a mapping; a list is made where there is none. The index of the first, unless the
/// mapping has something else there.
pub(crate) fn append(spec: &mut Map, list: &str, items: Vec<Node>) -> Option<usize> {
    let place = items.first()?.place.clone();
    if spec.get(list).is_none_or(Node::is_null) {
        spec.set(Key { text: list.to_owned(), place: place.clone() }, Node::new(place, Kind::List(Vec::new())));
    }
    let Kind::List(there) = &mut spec.get_mut(list)?.kind else { return None };
    let first = there.len();
    there.extend(items);
    Some(first)
}
