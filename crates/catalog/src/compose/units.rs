//! Durations, byte sizes, CPU shares and other scalars of the Compose specification.

use std::time::Duration;

/// A duration: `1h5m30s20ms`, units us, ms, s, m, h, decimals allowed (Compose
/// specification, "Specifying durations"); also d and w, as Compose does. A bare `0` is zero.
///
/// # Errors
///
/// A phrase that says what is expected.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a duration such as `1m30s` (units us, ms, s, m, h, d, w) is expected".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit_len = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_len);
        let scale: u128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => return Err(wrong()),
        };
        nanos = nanos.checked_add(scaled(number, scale).ok_or_else(wrong)?).ok_or_else(wrong)?;
        rest = after;
    }
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| wrong())
}

/// A size in bytes: `2b`, `1024kb`, `64m`, `1.5gb` (Compose specification, "Specifying byte
/// values"); a bare number is bytes. 1k is 1024.
///
/// # Errors
///
/// A phrase that says what is expected.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || "a size such as `64m` (units b, k, m, g, t) is expected".to_owned();
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let scale: u128 = match unit.trim_start() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    scaled(number, scale).and_then(|v| u64::try_from(v).ok()).ok_or_else(wrong)
}

/// CPUs as billionths: `0.5` is 500,000,000.
///
/// # Errors
///
/// A phrase that says what is expected.
pub(crate) fn nano_cpus(text: &str) -> Result<u64, String> {
    let value = scaled(text, 1_000_000_000).and_then(|v| u64::try_from(v).ok());
    value.ok_or_else(|| "a number of CPUs such as `0.5` is expected".to_owned())
}

/// A share from 0 to 1 as millionths: `0.25` is 250,000.
///
/// # Errors
///
/// A phrase that says what is expected.
pub(crate) fn millionths(text: &str) -> Result<u32, String> {
    let value = scaled(text, 1_000_000).filter(|v| *v <= 1_000_000).and_then(|v| u32::try_from(v).ok());
    value.ok_or_else(|| "a share from 0 to 1, such as `0.25`, is expected".to_owned())
}

/// A decimal number times an integer, without floating point; what is below one is cut off.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |s: &str| s.chars().all(|c| c.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = fraction.get(..fraction.len().min(12)).unwrap_or_default();
    let divisor = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    whole.checked_mul(scale)?.checked_add(part.checked_mul(scale)? / divisor)
}

/// A port, or a range of them: `80`, `8000-8010`.
pub(crate) fn port_range(text: &str) -> Option<(u16, u16)> {
    let port = |t: &str| t.parse::<u16>().ok().filter(|p| *p > 0);
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        for (text, ms) in [
            ("2.5s", 2500),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("2h32m", 9_120_000),
            ("1h5m30s20ms", 3_930_020),
            ("0", 0),
            ("0s", 0),
            ("1d", 86_400_000),
            ("1w2d", 777_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(duration("5us"), Ok(Duration::from_micros(5)));
        for text in ["", "10", "s", "1x", "1.2.3s", "-1s", "1s ", "99999999999999h", ".s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, b) in [
            ("2b", 2),
            ("1024kb", 1 << 20),
            ("2048k", 1 << 21),
            ("300m", 300 << 20),
            ("1gb", 1 << 30),
            ("1.5g", 3 << 29),
            ("64M", 64 << 20),
            ("100", 100),
        ] {
            assert_eq!(bytes(text), Ok(b), "{text}");
        }
        for text in ["", "m", "1x", "-1", "1 2", "99999999999999999999t"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(nano_cpus("0.5"), Ok(500_000_000));
        assert_eq!(nano_cpus("2"), Ok(2_000_000_000));
        assert!(nano_cpus("half").is_err());
        assert_eq!(millionths("0.25"), Ok(250_000));
        assert_eq!(millionths("1"), Ok(1_000_000));
        assert!(millionths("1.1").is_err() && millionths("").is_err());
    }

    #[test]
    fn ports() {
        assert_eq!(port_range("80"), Some((80, 80)));
        assert_eq!(port_range("80-82"), Some((80, 82)));
        for text in ["", "0", "82-80", "65536", "a", "1-2-3"] {
            assert_eq!(port_range(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn durations_read_back(h in 0u64..1000, m in 0u64..60, s in 0u64..60, ms in 0u64..1000) {
            let text = format!("{h}h{m}m{s}s{ms}ms");
            prop_assert_eq!(duration(&text), Ok(Duration::from_millis(((h * 60 + m) * 60 + s) * 1000 + ms)));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,20}|[0-9.smhu]{0,40}") {
            let _ = duration(&text);
            let _ = bytes(&text);
            let _ = nano_cpus(&text);
            let _ = port_range(&text);
        }
    }
}
