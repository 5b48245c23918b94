//! `.env` files: `NAME=value` lines (Compose specification, "Env_file format").

use super::LoadContext;
use crate::diag::Place;
use crate::interpolate::{Variables, expand};
use crate::package::shown;

/// Bytes that variables may add to the values of one file.
const MAX_GROWTH: usize = 1 << 20;

/// Reads the lines of a `.env` file.
///
/// Blank lines and lines starting with `#` are skipped, `export` is allowed. A value in
/// single quotes is literal; others are interpolated with earlier lines and `variables`;
/// `\n`, `\t`, `\\`, `\"` mean something in double quotes; ` #` ends an unquoted value. A name
/// without `=` takes its value from `variables`.
///
/// # Errors
///
/// Line, from 1, and what is wrong with it.
pub fn parse(text: &str, variables: &Variables) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut seen = variables.clone();
    let mut out = Vec::new();
    let mut total = 0;
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        let number = i + 1;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let Some((name, value)) = line.split_once('=') else {
            if !is_name(line) {
                return Err((number, format!("`{}` is not NAME=value", crate::yaml::shorten(line))));
            }
            out.extend(variables.get(line).map(|v| (line.to_owned(), v.to_owned())));
            continue;
        };
        let name = name.trim_end();
        if !is_name(name) {
            return Err((number, format!("`{}` is not a variable's name", crate::yaml::shorten(name))));
        }
        let value = value.trim_start();
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let mut text = value.get(1..).unwrap_or_default().to_owned();
                // A quoted value may go over several lines.
                let end = loop {
                    match closing(&text, quote) {
                        Some(end) => break end,
                        None => match lines.next() {
                            Some((_, more)) => text = format!("{text}\n{more}"),
                            None => return Err((number, format!("the value of `{name}` has no closing {quote}"))),
                        },
                    }
                };
                let rest = text.get(end + 1..).unwrap_or_default().trim();
                if !rest.is_empty() && !rest.starts_with('#') {
                    return Err((number, format!("something follows the value of `{name}`")));
                }
                let inner = text.get(..end).unwrap_or_default();
                if quote == '\'' { inner.replace("\\'", "'") } else { expanded(&unescape(inner), &seen, number)? }
            }
            _ => {
                let end = value.find(" #").unwrap_or(value.len());
                expanded(value.get(..end).unwrap_or_default().trim_end(), &seen, number)?
            }
        };
        total += value.len();
        if total > text.len().saturating_add(MAX_GROWTH) {
            return Err((number, "with their variables the values are longer than 1 MiB".into()));
        }
        seen.set(name, value.clone());
        out.push((name.to_owned(), value));
    }
    Ok(out)
}

fn expanded(value: &str, variables: &Variables, line: usize) -> Result<String, (usize, String)> {
    expand(value, variables).map(|e| e.text).map_err(|f| (line, f.message))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.contains(|c: char| c.is_whitespace() || c == '=' || c == '"' || c == '\'')
}

fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(i),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('$') => out.push_str("$$"),
            Some(c @ ('"' | '\\')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

/// Reads a `.env` file of the project; notes problems at `place` or in the file.
pub(crate) fn read(
    path: &str,
    place: &Place,
    required: bool,
    variables: &Variables,
    cx: &LoadContext<'_>,
) -> Vec<(String, String)> {
    let source = cx.project.source;
    let name = shown(source, path);
    let bytes = match source.read(path) {
        Ok(bytes) => bytes,
        Err(e) if !required && e.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            cx.log.problem(place, format!("cannot read {name}: {e}"));
            return Vec::new();
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        cx.log.problem(place, format!("{name} is not UTF-8"));
        return Vec::new();
    };
    parse(&text, variables).unwrap_or_else(|(line, message)| {
        cx.log.problem(&Place { file: name.into(), line, column: 1 }, message);
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn go(text: &str) -> String {
        let mut variables = Variables::default();
        variables.set("HOME", "/root");
        match parse(text, &variables) {
            Ok(pairs) => pairs.iter().map(|(k, v)| format!("{k}={v:?}")).collect::<Vec<_>>().join(" "),
            Err((line, message)) => format!("{line}: {message}"),
        }
    }

    #[test]
    fn lines() {
        assert_eq!(
            go("# c\n\nA=1\nexport B = two words # c\nC='$A'\nD=\"$A\\n${HOME}\"\nHOME\nNONE\nE=a#b\nF=\n"),
            r#"A="1" B="two words" C="$A" D="1\n/root" HOME="/root" E="a#b" F="""#
        );
        assert_eq!(go("A=\"x\ny\"\nB=1"), r#"A="x\ny" B="1""#);
        assert_eq!(go("A=1\n9=x"), "2: `9` is not a variable's name");
        assert_eq!(go("A=\"x"), "1: the value of `A` has no closing \"");
        assert_eq!(go("A='x' y"), "1: something follows the value of `A`");
    }

    #[test]
    fn doubling_ends() {
        let error = go(&format!("A=xxxxxxxxxx\n{}", "A=$A$A\n".repeat(60)));
        assert!(error.ends_with("longer than 1 MiB"), "{}", crate::yaml::shorten(&error));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[A=\"'\\\\$ {}#\nä]{0,60}") {
            let _ = go(&text);
        }
    }
}
