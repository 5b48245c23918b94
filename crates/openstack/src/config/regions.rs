//! Which region of an entry, and what the entry says of it, as openstacksdk decides it
//! (`openstack/config/loader.py`, `_get_region` and `_get_known_regions`).

use std::collections::BTreeMap;

use super::yaml::Value;
use crate::error::{Error, Result};

/// Keys of an entry that name regions; the first that is there counts.
pub(super) const KEYS: [&str; 2] = ["regions", "region_name"];

/// Chooses the region of an entry: `wanted`, else the first that it knows. `values` of this region replace those of
/// the entry.
///
/// # Errors
/// [`Error::Config`] if the entry knows regions and `wanted` is none of them, or if they are no regions.
pub(super) fn choose(
    name: &str,
    place: &str,
    mut entry: Value,
    wanted: Option<&str>,
) -> Result<(Option<String>, Value)> {
    let known = known(place, &entry)?;
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
fn known(place: &str, entry: &Value) -> Result<Vec<(String, Value)>> {
    let wrong = |key: &str, value: &Value| Err(Error::config(place, format!("{key} is {}", value.kind())));
    let regions = match KEYS.map(|key| entry.get(key)) {
        [Some(Value::Seq(items)), _] | [None, Some(Value::Seq(items))] => {
            items.iter().map(|item| one(place, item)).collect::<Result<Vec<_>>>()?
        }
        // Older clients read a text with commas as a list.
        [None, Some(Value::Text { text, .. })] => {
            text.split(',').map(|name| (name.to_owned(), Value::Map(BTreeMap::new()))).collect()
        }
        [None, None] => Vec::new(),
        [Some(other), _] => return wrong("regions", other).map_err(|e| e.with_hint("write a list: regions: [NAME]")),
        [None, Some(other)] => return wrong("region_name", other),
    };
    Ok(regions.into_iter().filter(|(name, _)| !name.is_empty()).collect())
}

/// An item of `regions`: a name, or a mapping with `name` and, where it has some, `values`.
fn one(place: &str, item: &Value) -> Result<(String, Value)> {
    let wrong = |problem: String| {
        Error::config(place, format!("an entry of regions {problem}"))
            .with_hint("write NAME or {name: NAME, values: {...}}")
    };
    match item {
        Value::Text { text, .. } => Ok((text.clone(), Value::Map(BTreeMap::new()))),
        Value::Map(map) => {
            if let Some(other) = map.keys().find(|key| !["name", "values"].contains(&key.as_str())) {
                return Err(wrong(format!("has the key {other:?}")));
            }
            let name = item.get("name").and_then(Value::text).ok_or_else(|| wrong("has no name".to_owned()))?;
            match item.get("values") {
                None => Ok((name.to_owned(), Value::Map(BTreeMap::new()))),
                Some(values @ Value::Map(_)) => Ok((name.to_owned(), values.clone())),
                Some(other) => Err(wrong(format!("has values that are {}", other.kind()))),
            }
        }
        other => Err(wrong(format!("is {}", other.kind()))),
    }
}
