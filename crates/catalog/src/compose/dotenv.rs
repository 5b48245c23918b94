//! `.env` files: `NAME=value` lines (Compose specification, "Env_file format").

use super::LoadContext;
use crate::diag::Place;
use crate::interpolate::{Variables, expand};
use crate::package::shown;
use std::collections::BTreeMap;

/// Bytes that variables may add to the values of one file.
const MAX_GROWTH: usize = 1 << 20;

/// Reads the lines of a `.env` file.
///
/// Blank lines and lines starting with `#` are skipped, `export` is allowed, and `:` may stand for `=`. A value
/// in single quotes is literal; others are interpolated with `variables` and, after these, earlier lines;
/// `\n`, `\t`, `\\`, `\"` and octal numbers mean something in double quotes; ` #` ends an unquoted value. A name
/// alone takes its value from `variables`. Behind a closing quote the next name may follow.
///
/// # Errors
///
/// Line, from 1, and what is wrong with it.
pub fn parse(text: &str, variables: &Variables) -> Result<Vec<(String, String)>, (usize, String)> {
    parse_after(text, variables, &BTreeMap::new())
}

/// As [`parse`]; `earlier` has the values of files before this one, which count as earlier lines.
pub(crate) fn parse_after(
    text: &str,
    variables: &Variables,
    earlier: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut seen = variables.clone();
    earlier.iter().for_each(|(name, value)| seen.set_default(name, value));
    let mut lines = EnvLines {
        text: text.trim_start_matches('\u{feff}'),
        at: 0,
        known: (0, 1),
        variables,
        seen,
        all: Vec::new(),
        total: 0,
    };
    while lines.next_name()? {}
    Ok(lines.all)
}

/// Reads lines that are taken as they are: neither quotes nor variables mean anything.
fn parse_raw(text: &str, variables: &Variables) -> Result<Vec<(String, String)>, (usize, String)> {
    let mut out = Vec::new();
    for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line.trim_end(), None), |(n, v)| (n, Some(v.to_owned())));
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err((i + 1, format!("`{}` is not a variable's name", crate::yaml::shorten(name))));
        }
        out.extend(value.or_else(|| variables.get(name).map(str::to_owned)).map(|v| (name.to_owned(), v)));
    }
    Ok(out)
}

/// The names and values of a file, one after the other.
struct EnvLines<'t> {
    text: &'t str,
    at: usize,
    /// A byte whose line is known, and that line, from 1.
    known: (usize, usize),
    variables: &'t Variables,
    /// The variables, and earlier values of the file where these have none.
    seen: Variables,
    all: Vec<(String, String)>,
    total: usize,
}

impl<'t> EnvLines<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The number of the line that is being read.
    fn line(&mut self) -> usize {
        let (at, line) = self.known;
        self.known = (self.at, line + self.text.get(at..self.at).unwrap_or_default().matches('\n').count());
        self.known.1
    }

    /// Reads one name with its value; false at the end of the text.
    fn next_name(&mut self) -> Result<bool, (usize, String)> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(false);
        }
        let line = rest.lines().next().unwrap_or_default();
        if line.starts_with('#') {
            self.at += line.len();
            return Ok(true);
        }
        let export = line.strip_prefix("export").filter(|l| l.starts_with([' ', '\t']));
        let statement = export.map_or(line, str::trim_start);
        self.at += line.len() - statement.len();
        let start = self.line();
        let Some(end) = statement.find(['=', ':']) else {
            self.at += statement.len();
            let name = statement.trim_end();
            if !is_name(name) {
                return Err((start, format!("`{}` is not NAME=value", crate::yaml::shorten(name))));
            }
            self.all.extend(self.variables.get(name).map(|v| (name.to_owned(), v.to_owned())));
            return Ok(true);
        };
        let name = statement.get(..end).unwrap_or_default().trim_end();
        if !is_name(name) {
            return Err((start, format!("`{}` is not a variable's name", crate::yaml::shorten(name))));
        }
        self.at += end + 1;
        let value = self.value(name, start)?;
        self.keep(name, value, start)?;
        Ok(true)
    }

    /// The value that begins here, on line `start`.
    fn value(&mut self, name: &str, start: usize) -> Result<String, (usize, String)> {
        let blank = |c: char| c.is_whitespace() && c != '\n';
        self.at += self.rest().len() - self.rest().trim_start_matches(blank).len();
        let rest = self.rest();
        let Some(quote @ ('"' | '\'')) = rest.chars().next() else {
            let line = rest.split('\n').next().unwrap_or_default();
            self.at += line.len();
            let end = line.find(" #").unwrap_or(line.len());
            return expanded(line.get(..end).unwrap_or_default().trim_end(), &self.seen, start);
        };
        // A quoted value may go over several lines.
        let text = rest.get(1..).unwrap_or_default();
        let Some(end) = closing(text, quote) else {
            return Err((start, format!("the value of `{name}` has no closing {quote}")));
        };
        self.at += end + 2;
        let inner = text.get(..end).unwrap_or_default();
        if quote == '\'' { Ok(inner.replace("\\'", "'")) } else { expanded(&unescape(inner), &self.seen, start) }
    }

    fn keep(&mut self, name: &str, value: String, line: usize) -> Result<(), (usize, String)> {
        self.total += value.len();
        if self.total > self.text.len().saturating_add(MAX_GROWTH) {
            return Err((line, "with their variables the values are longer than 1 MiB".into()));
        }
        if self.variables.get(name).is_none() {
            self.seen.set(name, value.clone());
        }
        self.all.push((name.to_owned(), value));
        Ok(())
    }
}

fn expanded(value: &str, variables: &Variables, line: usize) -> Result<String, (usize, String)> {
    expand(value, variables).map(|e| e.text).map_err(|f| (line, f.message))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']'))
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

/// The character that up to three octal digits name.
fn octal(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> char {
    let mut number = 0;
    for _ in 0..3 {
        let Some(digit) = chars.peek().and_then(|c| c.to_digit(8)) else { break };
        number = number * 8 + digit;
        chars.next();
    }
    char::from_u32(number).unwrap_or_default()
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('$') => out.push_str("$$"),
            Some('0') => out.push(octal(&mut chars)),
            Some(c @ ('"' | '\\')) => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

/// How a file of variables is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadOptions {
    /// It must be there.
    pub(crate) required: bool,
    /// Its values are taken as they are.
    pub(crate) raw: bool,
}

/// Reads a `.env` file of the project; notes problems at `place` or in the file.
pub(crate) fn read(
    path: &str,
    place: &Place,
    options: ReadOptions,
    variables: &Variables,
    earlier: &BTreeMap<String, String>,
    cx: &LoadContext<'_>,
) -> Vec<(String, String)> {
    let source = cx.project.source;
    let name = shown(source, path);
    let bytes = match source.read(path) {
        Ok(bytes) => bytes,
        Err(e) if !options.required && e.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(e) => {
            cx.log.problem(place, format!("cannot read {name}: {e}"));
            return Vec::new();
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        cx.log.problem(place, format!("{name} is not UTF-8"));
        return Vec::new();
    };
    let parsed = if options.raw { parse_raw(&text, variables) } else { parse_after(&text, variables, earlier) };
    parsed.unwrap_or_else(|(line, message)| {
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
        assert_eq!(go("A=1\n9 x=x"), "2: `9 x` is not a variable's name");
        assert_eq!(go("A=\"x"), "1: the value of `A` has no closing \"");
    }

    #[test]
    fn other_forms_are_as_with_compose() {
        for (text, expected) in [
            ("A: b\nB:'c'\n", r#"A="b" B="c""#),
            ("A=\"one   \ntwo\"\nB=1", r#"A="one   \ntwo" B="1""#),
            ("C=\"z\"tail\nD=1", r#"C="z" D="1""#),
            ("A='x' HOME\n", r#"A="x" HOME="/root""#),
            ("9=x\nA.b-c=y\r\n", r#"9="x" A.b-c="y""#),
            ("A=\"\\0101\\t\\$B\"", r#"A="A\t$B""#),
            ("A=   # note", r##"A="# note""##),
            // What is set already is meant, rather than an earlier line.
            ("HOME=/x\nA=$HOME\nB=1\nC=$B\nB=2\nD=$B", r#"HOME="/x" A="/root" B="1" C="1" B="2" D="2""#),
        ] {
            assert_eq!(go(text), expected, "{text}");
        }
    }

    #[test]
    fn raw_lines_are_taken_as_they_are() {
        let mut variables = Variables::default();
        variables.set("HOME", "/root");
        let raw = |text: &str| parse_raw(text, &variables);
        let pairs = raw("# c\nA=\"$x\" # y\nHOME\nNONE\n").unwrap();
        assert_eq!(pairs, [("A".into(), "\"$x\" # y".into()), ("HOME".into(), "/root".into())]);
        assert!(raw("a b=c").is_err());
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
