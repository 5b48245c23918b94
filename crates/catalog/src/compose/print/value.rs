//! JSON values that say something, and dollar signs.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// An object of the entries that say something: neither null nor empty.
pub(super) fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let said = entries.into_iter().filter(|(_, value)| !is_empty(value));
    Value::Object(said.map(|(key, value)| (key.to_owned(), value)).collect())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// True, or nothing.
pub(super) fn absent(flag: bool) -> Value {
    if flag { Value::Bool(true) } else { Value::Null }
}

/// A mapping of texts.
pub(super) fn mapping(map: &BTreeMap<String, String>) -> Value {
    Value::Object(map.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<Map<_, _>>())
}

/// A duration as the specification writes it: `1m30s`, `500ms`.
pub(super) fn duration(d: Option<Duration>) -> Value {
    let Some(d) = d else { return Value::Null };
    let (mut text, seconds) = (String::new(), d.as_secs());
    for (count, unit) in [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")] {
        if count > 0 {
            text += &format!("{count}{unit}");
        }
    }
    let nanos = d.subsec_nanos();
    for (count, unit) in [(nanos / 1_000_000, "ms"), (nanos / 1000 % 1000, "us"), (nanos % 1000, "ns")] {
        if count > 0 {
            text += &format!("{count}{unit}");
        }
    }
    json!(if text.is_empty() { "0s".to_owned() } else { text })
}

/// Billionths as a decimal number: `0.5`.
pub(super) fn decimal(value: u64, scale: u64) -> String {
    let digits = scale.ilog10() as usize;
    let fraction = format!("{:0digits$}", value % scale);
    format!("{}.{fraction}", value / scale).trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The same with dollar signs doubled in all texts that are interpolated when it is read; keys are not.
pub(super) fn doubled(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(items) => items.into_iter().map(doubled).collect(),
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, doubled(v))).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_decimals_are_read_back() {
        for (millis, text) in [(90_000, "1m30s"), (500, "500ms"), (0, "0s"), (3_600_001, "1h1ms")] {
            assert_eq!(duration(Some(Duration::from_millis(millis))), text);
        }
        for (value, text) in [(500_000_000, "0.5"), (2_000_000_000, "2"), (1, "0.000000001"), (0, "0")] {
            assert_eq!(decimal(value, 1_000_000_000), text);
        }
        assert_eq!(doubled(json!({"$a": ["$b"]})), json!({"$a": ["$$b"]}));
    }
}
