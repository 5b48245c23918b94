//! Times as the API tells them.

/// Milliseconds since 1970.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A time as the API tells it (RFC 3339, UTC, whole seconds).
pub fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at.div_euclid(1000))
        .map(|t| t.to_string())
        .unwrap_or_default()
}

/// Seconds since 1970 of a time with its offset (RFC 3339); nothing if the text is none.
pub fn seconds(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_second)
}
