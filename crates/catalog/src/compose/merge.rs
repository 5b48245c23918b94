//! How a later file overrides an earlier one (Compose specification, "Merge").
//!
//! Mappings are merged key by key, scalars replaced, lists joined; with exceptions:
//!
//! | where | rule |
//! |---|---|
//! | `command`, `entrypoint`, `healthcheck.test` | replaced |
//! | `volumes`, `devices`, `configs`, `secrets` of a service | the later entry wins for a target |
//! | `ports` | equal entries once |
//! | `logging` | replaced when the driver differs |
//! | `ipam.config` | the later entry wins for a subnet |
//! | `!override` | replaced |
//! | `!reset` | taken away |

use crate::yaml::{Kind, Map, Merge, Node};

/// Merges two files.
pub(crate) fn files(base: Node, over: Node) -> Node {
    node(base, over, &mut Vec::new())
}

/// Merges two services, for `extends`.
pub(crate) fn service(base: Node, over: Node) -> Node {
    node(base, over, &mut vec!["services".into(), String::new()])
}

fn node(base: Node, over: Node, path: &mut Vec<String>) -> Node {
    // A key without a value says nothing; but a variable without one comes from outside.
    if over.merge == Merge::Join && over.is_null() && !is_variable(path) {
        return base;
    }
    if over.merge != Merge::Join {
        return over;
    }
    match (base.kind, over.kind) {
        (Kind::Map(base), Kind::Map(over_map)) if !replaces(path, &base, &over_map) => {
            let mut merged = base;
            for (key, value) in over_map.entries {
                if value.merge == Merge::Reset {
                    merged.remove(&key.text);
                    continue;
                }
                match merged.entries.iter().position(|(k, _)| k.text == key.text) {
                    Some(at) => {
                        let old = merged.entries[at].1.clone();
                        path.push(key.text.clone());
                        let value = node(old, value, path);
                        path.pop();
                        merged.entries[at] = (key, value);
                    }
                    None => merged.entries.push((key, value)),
                }
            }
            Node { place: over.place, kind: Kind::Map(merged), merge: Merge::Join }
        }
        (Kind::List(base_list), Kind::List(over_list)) => {
            Node { place: over.place, kind: Kind::List(lists(base_list, over_list, path)), merge: Merge::Join }
        }
        (_, kind) => Node { place: over.place, kind, merge: over.merge },
    }
}

fn replaces(path: &[String], base: &Map, over: &Map) -> bool {
    let driver = |m: &Map| m.get("driver").and_then(Node::as_text).map(str::to_owned);
    is_service_key(path, "logging") && driver(over).is_some_and(|d| driver(base).is_some_and(|b| b != d))
}

fn is_variable(path: &[String]) -> bool {
    matches!(path, [services, _, environment, _] if services == "services" && environment == "environment")
}

fn is_service_key(path: &[String], key: &str) -> bool {
    matches!(path, [services, _, k] if services == "services" && k == key)
}

fn lists(base: Vec<Node>, over: Vec<Node>, path: &[String]) -> Vec<Node> {
    let key: fn(&Node) -> Option<String> = match path {
        [s, _, k] if s == "services" && (k == "command" || k == "entrypoint") => return over,
        [s, _, h, t] if s == "services" && h == "healthcheck" && t == "test" => return over,
        [s, _, k] if s == "services" => match k.as_str() {
            "volumes" | "devices" => |n| field(n, "target"),
            "configs" => |n| field(n, "target").or_else(|| Some(format!("/{}", field(n, "source")?))),
            "secrets" => |n| {
                let target = field(n, "target").or_else(|| field(n, "source"))?;
                Some(if target.starts_with('/') { target } else { format!("/run/secrets/{target}") })
            },
            _ => |_| None,
        },
        [s, _, ipam, config] if s == "networks" && ipam == "ipam" && config == "config" => |n| field(n, "subnet"),
        _ => |_| None,
    };
    let mut merged = base;
    for item in over {
        let same_key = |n: &Node| key(n).is_some_and(|k| key(&item).is_some_and(|i| i == k));
        match merged.iter().position(|n| same(n, &item) || same_key(n)) {
            Some(at) => merged[at] = item,
            None => merged.push(item),
        }
    }
    merged
}

fn field(node: &Node, key: &str) -> Option<String> {
    node.as_map()?.get(key)?.as_text().map(|t| if t.len() > 1 { t.trim_end_matches('/') } else { t }.to_owned())
}

/// Whether two nodes say the same, wherever they stand.
pub(crate) fn same(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Scalar(x), Kind::Scalar(y)) => {
            (a.is_null() && b.is_null()) || (a.is_null() == b.is_null() && x.text == y.text)
        }
        (Kind::List(x), Kind::List(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Kind::Map(x), Kind::Map(y)) => {
            x.entries.len() == y.entries.len()
                && x.entries.iter().all(|(k, v)| y.get(&k.text).is_some_and(|w| same(v, w)))
        }
        _ => false,
    }
}

/// Takes away what is still marked `!reset` because there was nothing to reset.
pub(crate) fn prune(node: &mut Node) {
    match &mut node.kind {
        Kind::Map(map) => {
            map.entries.retain(|(_, n)| n.merge != Merge::Reset);
            map.entries.iter_mut().for_each(|(_, n)| prune(n));
        }
        Kind::List(list) => {
            list.retain(|n| n.merge != Merge::Reset);
            list.iter_mut().for_each(prune);
        }
        Kind::Scalar(_) => {}
    }
}
