//! One form per key: short syntaxes become long ones, lists of pairs become mappings.
//!
//! Merging then only sees one form, and so do the readers. What cannot be converted stays
//! as it is or is noted as a problem.

use super::units::port_range;
use crate::diag::{Log, Place};
use crate::yaml::{Key, Kind, Map, Node};

/// Brings a file's services and top-level sections into one form.
pub(crate) fn file(root: &mut Node, log: &Log) {
    let Some(map) = root.as_map_mut() else { return };
    for (key, section) in &mut map.entries {
        let Some(entries) = section.as_map_mut() else { continue };
        for (name, node) in &mut entries.entries {
            match key.text.as_str() {
                "services" if !name.text.starts_with("x-") => service(node, &format!("services.{}", name.text), log),
                "networks" | "volumes" | "configs" | "secrets" => {
                    if node.is_null() {
                        // `data:` alone declares a volume with the engine's defaults.
                        *node = Node::map(node.place.clone(), Map::default());
                    }
                    each(node, "labels", pairs);
                }
                _ => {}
            }
        }
    }
}

fn service(node: &mut Node, path: &str, log: &Log) {
    for key in ["environment", "labels", "annotations", "sysctls"] {
        each(node, key, pairs);
    }
    for key in ["dns", "dns_search", "dns_opt", "tmpfs", "env_file", "label_file"] {
        each(node, key, alone);
    }
    for key in ["post_start", "pre_stop"] {
        items(node, key, |mut hook| {
            each(&mut hook, "environment", pairs);
            vec![hook]
        });
    }
    each(node, "extra_hosts", hosts);
    each(node, "depends_on", |n| names(n, true));
    each(node, "networks", |n| names(n, false));
    items(node, "volumes", |n| volume(n, path, log));
    items(node, "ports", |n| ports(n, path, log));
    items(node, "devices", |n| device(n, path, log));
    for key in ["configs", "secrets"] {
        items(node, key, |n| match n.as_text() {
            Some(text) => vec![map(&n.place, vec![("source", Node::text(n.place.clone(), text))])],
            None => vec![n],
        });
    }
}

fn each(node: &mut Node, key: &str, convert: impl FnOnce(&mut Node)) {
    if let Some(value) = node.as_map_mut().and_then(|m| m.get_mut(key)) {
        convert(value);
    }
}

/// Converts the items of a list, each into any number of others.
fn items(node: &mut Node, key: &str, convert: impl Fn(Node) -> Vec<Node>) {
    if let Some(value) = node.as_map_mut().and_then(|m| m.get_mut(key))
        && let Kind::List(list) = &mut value.kind
    {
        *list = std::mem::take(list).into_iter().flat_map(convert).collect();
    }
}

pub(crate) fn map(place: &Place, entries: Vec<(&str, Node)>) -> Node {
    let entries = entries.into_iter().map(|(k, n)| (Key { text: k.into(), place: place.clone() }, n));
    Node::map(place.clone(), Map { entries: entries.collect() })
}

/// `[A=1, B]` to `{A: 1, B: null}`; the last of several wins.
fn pairs(node: &mut Node) {
    let Kind::List(list) = &node.kind else { return };
    let mut map = Map::default();
    for item in list {
        let Some(text) = item.as_text() else { return };
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Node::text(item.place.clone(), value)),
            None => (text, Node::null(item.place.clone())),
        };
        map.set(Key { text: key.to_owned(), place: item.place.clone() }, value);
    }
    node.kind = Kind::Map(map);
}

/// `x` to `[x]`.
fn alone(node: &mut Node) {
    if matches!(node.kind, Kind::Scalar(_)) && !node.is_null() {
        let item = node.clone();
        node.kind = Kind::List(vec![item]);
    }
}

/// `{host: address}` and `{host: [address, ...]}` to `[host=address, ...]`.
fn hosts(node: &mut Node) {
    let Kind::Map(map) = &node.kind else { return };
    let mut list = Vec::new();
    for (key, value) in &map.entries {
        let values = value.as_list().unwrap_or(std::slice::from_ref(value));
        list.extend(values.iter().map(|v| match v.as_text() {
            Some(address) => Node::text(v.place.clone(), format!("{}={address}", key.text)),
            None => v.clone(),
        }));
    }
    node.kind = Kind::List(list);
}

/// `[a, b]` to `{a: null, b: null}`; for depends_on with the meaning of its short form.
fn names(node: &mut Node, dependency: bool) {
    let Kind::List(list) = &node.kind else { return };
    let mut out = Map::default();
    for item in list {
        let Some(text) = item.as_text() else { return };
        let value = if dependency {
            map(&item.place, vec![("condition", Node::text(item.place.clone(), "service_started"))])
        } else {
            Node::null(item.place.clone())
        };
        out.set(Key { text: text.to_owned(), place: item.place.clone() }, value);
    }
    node.kind = Kind::Map(out);
}

/// Modes of mount(8) that Compose takes in the short form, and that no engine knows.
const WITHOUT_EFFECT: [&str; 8] = ["exec", "noexec", "suid", "nosuid", "dev", "nodev", "atime", "noatime"];

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// `[SOURCE:]TARGET[:MODE]`
fn volume(node: Node, path: &str, log: &Log) -> Vec<Node> {
    let Some(text) = node.as_text() else { return vec![node] };
    let place = node.place.clone();
    let word = |t: &str| Node::text(place.clone(), t);
    let wrong = |what: &str| {
        log.problem(&place, format!("{path}.volumes: `{text}` {what}"));
        Vec::new()
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, modes) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, modes] => (Some(*source), *target, *modes),
        _ => return wrong("is not [source:]target[:mode]"),
    };
    if !target.starts_with('/') {
        return wrong("has a target that is not an absolute path");
    }
    let mut entries = vec![("target", word(target))];
    let is_path = source.is_some_and(|s| s.starts_with(['.', '/', '~']));
    match source {
        Some("") => return wrong("has no source"),
        Some(s) if !is_path && s.contains('/') => {
            return wrong("has a source that is neither a volume nor starts with `./` or `/`");
        }
        Some(s) => entries.push(("source", word(s))),
        None => {}
    }
    entries.push(("type", word(if is_path { "bind" } else { "volume" })));
    let mut bind = if is_path { vec![("create_host_path", word("true"))] } else { Vec::new() };
    let mut volume = Vec::new();
    for mode in modes.split(',').filter(|m| !m.is_empty()) {
        match mode {
            "rw" => entries.push(("read_only", word("false"))),
            "ro" => entries.push(("read_only", word("true"))),
            "nocopy" => volume.push(("nocopy", word("true"))),
            "z" | "Z" => bind.push(("selinux", word(mode))),
            "cached" | "delegated" | "consistent" => entries.push(("consistency", word(mode))),
            m if PROPAGATIONS.contains(&m) => bind.push(("propagation", word(mode))),
            m if WITHOUT_EFFECT.contains(&m) => {
                log.warn(
                    &place,
                    format!("{path}.volumes: the mode `{mode}` has no effect: the engine has no such mode"),
                );
            }
            _ => return wrong(&format!("has the unknown mode `{mode}`")),
        }
    }
    if !bind.is_empty() {
        entries.push(("bind", map(&place, bind)));
    }
    if !volume.is_empty() {
        entries.push(("volume", map(&place, volume)));
    }
    vec![map(&place, entries)]
}

/// `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, ports or ranges of them.
fn ports(mut node: Node, path: &str, log: &Log) -> Vec<Node> {
    if let Kind::Map(port) = &mut node.kind
        && port.get("protocol").is_none()
    {
        let place = node.place.clone();
        port.set(Key { text: "protocol".into(), place: place.clone() }, Node::text(place, "tcp"));
    }
    let Some(text) = node.as_text() else { return vec![node] };
    let place = node.place.clone();
    let wrong = |what: &str| {
        log.problem(&place, format!("{path}.ports: `{text}` {what}"));
        Vec::new()
    };
    let (addresses, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    // The address may be an IPv6 one in brackets.
    let (before, target) = addresses.rsplit_once(':').map_or((None, addresses), |(b, t)| (Some(b), t));
    let (ip, published) = match before {
        None => (None, None),
        Some(b) => match b.rsplit_once(':') {
            Some((ip, published)) => (Some(ip.trim_start_matches('[').trim_end_matches(']')), Some(published)),
            None => (None, Some(b)),
        },
    };
    // An empty address, as `${BIND:-}:80:80` gives one, is none.
    let ip = ip.filter(|ip| !ip.is_empty());
    if ip.is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err()) {
        return wrong("has a host address that is not an IP address");
    }
    let Some((first, last)) = port_range(target) else {
        return wrong("is not [[address:]port:]port[/protocol]");
    };
    let host = match published {
        None | Some("" | "0") => None,
        Some(p) => match port_range(p) {
            Some(range) => Some(range),
            None => return wrong("has a published port that is not a port from 0 to 65535"),
        },
    };
    // Of a range for one port, the engine takes a port that is free.
    let any_of = host.filter(|(a, b)| first == last && a != b);
    if any_of.is_none() && host.is_some_and(|(a, b)| b - a != last - first) {
        return wrong("has ranges of different lengths");
    }
    let word = |t: String| Node::text(place.clone(), t);
    let protocol = protocol.to_ascii_lowercase();
    (first..=last)
        .map(|target| {
            let mut entries = vec![("target", word(target.to_string())), ("protocol", word(protocol.clone()))];
            let published = match any_of {
                Some((a, b)) => Some(format!("{a}-{b}")),
                None => host.map(|(start, _)| (start + (target - first)).to_string()),
            };
            entries.extend(published.map(|p| ("published", word(p))));
            entries.extend(ip.map(|ip| ("host_ip", word(ip.to_owned()))));
            map(&place, entries)
        })
        .collect()
}

/// `SOURCE[:TARGET[:PERMISSIONS]]`
fn device(node: Node, path: &str, log: &Log) -> Vec<Node> {
    let Some(text) = node.as_text() else { return vec![node] };
    let place = node.place.clone();
    let word = |t: &str| Node::text(place.clone(), t);
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => {
            log.problem(&place, format!("{path}.devices: `{text}` is not source[:target[:permissions]]"));
            return Vec::new();
        }
    };
    if is_cdi_name(text) {
        return vec![node];
    }
    if !source.starts_with('/') {
        let hint = Some("give a path below /dev, or a CDI name, `vendor.com/class=name`".to_owned());
        log.problem_hint(&place, format!("{path}.devices: `{text}` is not a path"), hint);
        return Vec::new();
    }
    vec![map(&place, vec![("source", word(source)), ("target", word(target)), ("permissions", word(permissions))])]
}

/// Whether a device is named as the Container Device Interface does: `vendor/class=name`.
pub(crate) fn is_cdi_name(text: &str) -> bool {
    let kind = text.split_once('=').filter(|(_, name)| !name.is_empty()).map(|(kind, _)| kind);
    kind.and_then(|k| k.split_once('/')).is_some_and(|(vendor, class)| !vendor.is_empty() && !class.is_empty())
}

/// Makes the relative paths of a file in the directory `base` relative to the project.
pub(crate) fn rebase(root: &mut Node, base: &str) {
    if base.is_empty() {
        return;
    }
    let Some(map) = root.as_map_mut() else { return };
    for section in ["configs", "secrets"] {
        let entries = map.get_mut(section).and_then(Node::as_map_mut);
        for (_, node) in entries.into_iter().flat_map(|m| &mut m.entries) {
            each(node, "file", |n| rebase_text(n, base));
        }
    }
    let services = map.get_mut("services").and_then(Node::as_map_mut);
    for (_, service) in services.into_iter().flat_map(|m| &mut m.entries) {
        each(service, "extends", |n| each(n, "file", |n| rebase_text(n, base)));
        for key in ["env_file", "label_file"] {
            each(service, key, |n| {
                let Kind::List(list) = &mut n.kind else { return };
                for item in list {
                    match item.kind {
                        Kind::Map(_) => each(item, "path", |n| rebase_text(n, base)),
                        _ => rebase_text(item, base),
                    }
                }
            });
        }
        each(service, "volumes", |n| {
            let Kind::List(list) = &mut n.kind else { return };
            for item in list {
                let is_bind = item.as_map().and_then(|m| m.get("type")).and_then(Node::as_text) == Some("bind");
                if is_bind {
                    each(item, "source", |n| rebase_source(n, base));
                }
            }
        });
    }
}

/// Stands before the source of a bind mount that is relative in its file and absolute as seen from the project, since
/// the file is elsewhere: it is a path of this machine, and not of hosts.
pub(crate) const FROM_HERE: char = '\0';

fn rebase_source(node: &mut Node, base: &str) {
    let relative = node.as_text().is_some_and(|t| !t.starts_with('/'));
    rebase_text(node, base);
    if let Kind::Scalar(scalar) = &mut node.kind
        && relative
        && scalar.text.starts_with('/')
    {
        scalar.text.insert(0, FROM_HERE);
    }
}

fn rebase_text(node: &mut Node, base: &str) {
    if let Kind::Scalar(scalar) = &mut node.kind {
        scalar.text = join(base, &scalar.text);
    }
}

/// A path seen from another directory; absolute ones and `~` stay.
pub(crate) fn join(dir: &str, path: &str) -> String {
    if path.starts_with(['/', '~']) {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in dir.split('/').chain(path.split('/')) {
        match part {
            "." => {}
            // The empty part before the first slash makes a path absolute.
            "" if !parts.is_empty() || !dir.starts_with('/') => {}
            ".." if parts.last().is_some_and(|p| *p != ".." && !p.is_empty()) => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
