//! Values of OVSDB as JSON (RFC 7047, section 5.1).

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A map of strings.
pub(crate) fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    json!(["map", pairs.into_iter().map(|(k, v)| [k, v]).collect::<Vec<_>>()])
}

/// A reference to a row.
pub(crate) fn uuid(id: &str) -> Value {
    json!(["uuid", id])
}

/// Reads a map of strings; empty when it is none.
pub(crate) fn read_map(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_array().filter(|v| v.first().is_some_and(|t| t == "map")).and_then(|v| v.get(1));
    let pairs = pairs.and_then(Value::as_array).into_iter().flatten();
    pairs.filter_map(|p| Some((p.get(0)?.as_str()?.to_owned(), p.get(1)?.as_str()?.to_owned()))).collect()
}

/// Reads a reference to a row.
pub(crate) fn read_uuid(value: &Value) -> Option<&str> {
    value.as_array().filter(|v| v.first().is_some_and(|t| t == "uuid"))?.get(1)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read_back() {
        let value = map([("iface-id", "p"), ("attached-mac", "m")]);
        assert_eq!(value, json!(["map", [["iface-id", "p"], ["attached-mac", "m"]]]));
        assert_eq!(read_map(&value)["iface-id"], "p");
        for other in [json!([]), json!(["set", []]), json!("x"), json!(["map", [["k"], 3]])] {
            assert!(read_map(&other).is_empty(), "{other}");
        }
        assert_eq!(read_uuid(&uuid("u")), Some("u"));
        assert_eq!(read_uuid(&json!(["set", []])), None);
    }
}
