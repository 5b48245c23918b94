//! Texts that several crates write the same way.

use std::error::Error;
use std::fmt::Write;

/// Rustls ends some texts with the address of its documentation, which helps programmers alone.
const LIBRARY_HELP: &str = ": https://docs.rs/";

/// Whether names of stacks, services, yards and their resources may have a character: letters, digits, `.`, `_`, `-`.
pub fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Whether a text is a name of 1 to `most` bytes, all of [`is_name_char`], the first a letter or digit.
pub fn is_name(text: &str, most: usize) -> bool {
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins_well && text.len() <= most && text.chars().all(is_name_char)
}

/// Parses a size of at least 1 GiB: `20Gi`, `20GiB`, `1Ti`, or a bare number of GiB. Returns GiB.
pub fn parse_gib(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text[digits.len()..].trim() {
        "" | "G" | "Gi" | "GiB" => 1,
        "T" | "Ti" | "TiB" => 1024,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|n| *n > 0)
}

/// The known name nearest to a mistyped one, if any is near enough to be meant.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|k| (strsim::osa_distance(&folded, &k.to_lowercase().replace('-', "_")), k))
        .filter(|(d, k)| *d <= 1 + name.chars().count().max(k.chars().count()) / 4)
        .min()
        .map(|(_, k)| k)
}

/// "did you mean `x`?", where a near name is known.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|k| format!("did you mean `{k}`?"))
}

/// An error with its causes on one line: `listing servers: 503 Service Unavailable: no database`.
///
/// A cause whose text the line already has is left out, since some libraries repeat it.
pub fn error_chain(error: &(dyn Error + '_)) -> String {
    let own = |error: &(dyn Error + '_)| {
        let text = error.to_string();
        text.split(LIBRARY_HELP).next().unwrap_or_default().to_owned()
    };
    let mut line = own(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let text = own(cause);
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        next = cause.source();
    }
    line
}

/// Bytes in lowercase hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names() {
        let known = ["ports", "volumes", "network_mode", "networks"];
        assert_eq!(nearest("prots", known), Some("ports"));
        assert_eq!(nearest("network-mode", known), Some("network_mode"));
        assert_eq!(nearest("Volume", known), Some("volumes"));
        assert_eq!(nearest("entrypoint", known), None);
    }
    use std::fmt;

    #[derive(Debug)]
    struct Failed(&'static str, Option<Box<Failed>>);

    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Failed {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|cause| cause as &dyn Error)
        }
    }

    fn failed(texts: &[&'static str]) -> Option<Box<Failed>> {
        let (first, rest) = texts.split_first()?;
        Some(Box::new(Failed(first, failed(rest))))
    }

    #[test]
    fn a_cause_is_not_repeated() {
        let chain = |texts: &[&'static str]| error_chain(&*failed(texts).unwrap());
        assert_eq!(chain(&["reading x"]), "reading x");
        assert_eq!(chain(&["reading x", "no such file"]), "reading x: no such file");
        assert_eq!(chain(&["reading x: no such file", "no such file"]), "reading x: no such file");
        assert_eq!(chain(&["a", "b: https://docs.rs/rustls/latest", "c"]), "a: b: c");
    }

    #[test]
    fn hexadecimal_digits_are_lowercase_and_padded() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
