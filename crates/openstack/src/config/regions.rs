//! Which region of an entry, and what the entry says of it, as openstacksdk decides it
//! (`openstack/config/loader.py`, `_get_region` and `_get_known_regions`).

use std::collections::BTreeMap;

use super::yaml::Value;
use crate::error::{Error, Result};

/// Chooses the region of an entry: `wanted`, else the first that it knows. `values` of this region replace those of
/// the entry.
///
/// # Errors
/// [`Error::Config`] if the entry knows regions and `wanted` is none of them.
pub(super) fn choose(
    name: &str,
    place: &str,
    mut entry: Value,
    wanted: Option<&str>,
) -> Result<(Option<String>, Value)> {
    let known = known(&entry);
    let found = match wanted {
        Some(wanted) => known.iter().find(|(name, _)| name == wanted),
        None => known.first(),
    };
    match (found, wanted) {
        (Some((region, values)), _) => {
            entry.merge(values.clone());
            Ok((Some(region.clone()), entry))
        }
        (None, Some(wanted)) if known.is_empty() => Ok((Some(wanted.to_owned()), entry)),
        (None, Some(wanted)) => {
            let all: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("cloud {name} has no region {wanted:?}, which OS_REGION_NAME names");
            let hint = format!("set OS_REGION_NAME to one of {}, or unset it", all.join(", "));
            Err(Error::config(place, message).with_hint(hint))
        }
        (None, None) => Ok((None, entry)),
    }
}

/// The regions that an entry names, with their own values. `regions` counts before `region_name`, and both may be
/// lists: `[a, {name: b, values: {...}}]`.
fn known(entry: &Value) -> Vec<(String, Value)> {
    // Older clients read a text with commas as a list.
    if let (None, Some(Value::Text { text, .. })) = (entry.get("regions"), entry.get("region_name")) {
        let names = text.split(',').filter(|name| !name.is_empty());
        return names.map(|name| (name.to_owned(), Value::Map(BTreeMap::new()))).collect();
    }
    let one = |value: &Value| {
        let (name, values) = match value {
            Value::Text { text, .. } => (text.clone(), None),
            map => (map.get("name")?.text()?.to_owned(), map.get("values")),
        };
        Some((name, values.cloned().unwrap_or_else(|| Value::Map(BTreeMap::new()))))
            .filter(|(name, _)| !name.is_empty())
    };
    match entry.get("regions").or_else(|| entry.get("region_name")) {
        Some(Value::Seq(items)) => items.iter().filter_map(one).collect(),
        _ => Vec::new(),
    }
}
