//! Writing one entry of a clouds.yaml that is somebody else's file: every byte outside the entry
//! stays, comments and order included.
//!
//! The text is edited at places that the parser names, never printed anew. Before anything is
//! written the result is read again: the entry must mean what was asked for and every other part
//! of the file what it meant before. A file that cannot be edited so (two documents, an entry given
//! twice, an anchor inside the entry that others use) is refused and left alone.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::yaml::{self, NodeKind, Value, YamlNode};
use crate::error::{Error, Result};
use crate::secret::Secret;

/// One cloud to write: password authentication in a project.
#[derive(Debug, Clone)]
pub struct CloudEntry {
    /// Keystone's address with version, as `http://127.0.0.1:5000/v3`.
    pub auth_url: String,
    /// User name.
    pub username: String,
    /// The user's password.
    pub password: Secret,
    /// Project name.
    pub project_name: String,
    /// Domain of user and project, by name.
    pub domain_name: String,
    /// Region.
    pub region_name: String,
    /// PEM file of the CA, where the system's do not do.
    pub cacert: Option<String>,
}

/// Sets cloud `name` in the clouds.yaml at `path`, which need not exist; a link is followed.
/// Returns whether the file changed: an entry that already says the same is not touched.
/// The file is replaced in one step and is 0600 afterwards, since it holds a password.
///
/// # Errors
/// [`Error::Config`] if the file cannot be edited safely, [`Error::File`] from the system.
pub fn upsert_cloud(path: &Path, name: &str, entry: &CloudEntry) -> Result<bool> {
    edit(path, |text| upsert(text, name, &entry.fields()))
}

/// Removes cloud `name`; whether it was there. A missing file has no such cloud.
///
/// # Errors
/// As of [`upsert_cloud`].
pub fn remove_cloud(path: &Path, name: &str) -> Result<bool> {
    edit(path, |text| remove(text, name))
}

fn edit(path: &Path, change: impl Fn(&str) -> Result<Option<String>, String>) -> Result<bool> {
    // Renaming over a link would cut it: edit what it leads to.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let file = |action, source| Error::File { action, path: path.clone(), source };
    let (old, owner) = match fs::read(&path) {
        Ok(bytes) => (bytes, fs::metadata(&path).ok()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => (Vec::new(), None),
        Err(e) => return Err(file("read", e)),
    };
    let refuse = |message: String| {
        Error::config(path.display().to_string(), message)
            .with_hint("the file was left as it is: edit it by hand, or move it away")
    };
    let text = String::from_utf8(old.clone()).map_err(|_| refuse("not UTF-8".to_owned()))?;
    let Some(new) = change(&text).map_err(refuse)? else { return Ok(false) };

    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|e| file("create the folder of", e))?;
    let mut temp = tempfile::Builder::new().prefix(".clouds.yaml.").tempfile_in(dir).map_err(|e| file("write", e))?;
    temp.write_all(new.as_bytes()).map_err(|e| file("write", e))?;
    temp.as_file().set_permissions(fs::Permissions::from_mode(0o600)).map_err(|e| file("write", e))?;
    if let Some(meta) = owner {
        // Root edits a user's file: it stays the user's.
        std::os::unix::fs::fchown(temp.as_file(), Some(meta.uid()), Some(meta.gid()))
            .map_err(|e| file("keep the owner of", e))?;
    }
    temp.as_file().sync_all().map_err(|e| file("write", e))?;
    let now = fs::read(&path).unwrap_or_default();
    if now != old {
        return Err(refuse("another program changed the file at the same moment".to_owned()));
    }
    temp.persist(&path).map_err(|e| file("replace", e.error))?;
    Ok(true)
}

/// The entry as nested fields, in the order they are written.
#[derive(Debug)]
enum Field {
    Text(&'static str, String),
    Map(&'static str, Vec<Field>),
}

impl CloudEntry {
    fn fields(&self) -> Vec<Field> {
        let text = |key, value: &str| Field::Text(key, value.to_owned());
        let mut fields = vec![
            Field::Map(
                "auth",
                vec![
                    text("auth_url", &self.auth_url),
                    text("username", &self.username),
                    text("password", self.password.reveal()),
                    text("project_name", &self.project_name),
                    text("user_domain_name", &self.domain_name),
                    text("project_domain_name", &self.domain_name),
                ],
            ),
            text("region_name", &self.region_name),
            text("interface", "public"),
            text("identity_api_version", "3"),
        ];
        if let Some(cacert) = &self.cacert {
            fields.push(text("cacert", cacert));
        }
        fields
    }
}

fn upsert(text: &str, name: &str, fields: &[Field]) -> Result<Option<String>, String> {
    let place = find(text, name)?;
    if let EditPlace::Entry { value, .. } | EditPlace::FlowEntry { value, .. } = &place
        && same(&value.value(), fields)
    {
        return Ok(None);
    }
    let nl = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let block = |indent: usize| block(name, fields, indent, nl);
    let new = match &place {
        EditPlace::Entry { lines, indent, .. } => splice(text, lines.clone(), &block(*indent), nl),
        EditPlace::FlowEntry { value, .. } => splice_raw(text, value.span.clone(), &flow(fields)),
        EditPlace::Block { after, indent } => splice(text, *after..*after, &block(*indent), nl),
        EditPlace::Flow { open, empty } => {
            let more = if *empty { "" } else { ", " };
            splice_raw(text, *open..*open, &format!("{}: {}{more}", json(name), flow(fields)))
        }
        EditPlace::Empty { value, after, indent } => {
            let with = splice(text, *after..*after, &block(*indent), nl);
            // The {} or ~ goes; a comment behind it stays.
            let before = text[..value.start].trim_end_matches(' ').len();
            splice_raw(&with, before..value.end, "")
        }
        EditPlace::None { after, indent } => {
            let pad = " ".repeat(*indent);
            splice(text, *after..*after, &format!("{pad}clouds:{nl}{}", block(indent + 2)), nl)
        }
        EditPlace::FlowNone { open, empty } => {
            let more = if *empty { "" } else { ", " };
            splice_raw(text, *open..*open, &format!("\"clouds\": {{{}: {}}}{more}", json(name), flow(fields)))
        }
    };
    verify(text, &new, name, Some(fields))?;
    Ok(Some(new))
}

fn remove(text: &str, name: &str) -> Result<Option<String>, String> {
    let new = match find(text, name)? {
        EditPlace::Entry { lines, only, key_end, .. } => {
            let mut new = splice_raw(text, lines, "");
            if only {
                // A key without value would be read as "no mapping" by other clients.
                new = splice_raw(&new, key_end..key_end, " {}");
            }
            new
        }
        EditPlace::FlowEntry { whole, .. } => splice_raw(text, whole, ""),
        _ => return Ok(None),
    };
    verify(text, &new, name, None)?;
    Ok(Some(new))
}

/// Where the entry is, or where it belongs. All in bytes.
enum EditPlace {
    /// A block entry: its lines, its indentation, whether it is the only one, and the end of `clouds:`.
    Entry { value: YamlNode, lines: std::ops::Range<usize>, indent: usize, only: bool, key_end: usize },
    /// An entry between braces: with the comma that goes when it goes.
    FlowEntry { value: YamlNode, whole: std::ops::Range<usize> },
    /// Belongs after this line of a block mapping.
    Block { after: usize, indent: usize },
    /// Belongs behind this opening brace.
    Flow { open: usize, empty: bool },
    /// `clouds:` is there, with nothing, `~` or `{}` at `value`; the entry belongs after that line.
    Empty { value: std::ops::Range<usize>, after: usize, indent: usize },
    /// There is no `clouds:` yet.
    None { after: usize, indent: usize },
    /// The same in a file that is one flow mapping (JSON).
    FlowNone { open: usize, empty: bool },
}

fn find(text: &str, name: &str) -> Result<EditPlace, String> {
    let Some(root) = yaml::parse(text)? else { return Ok(EditPlace::None { after: text.len(), indent: 0 }) };
    let NodeKind::Map { entries, flow } = &root.kind else {
        return match root.value() {
            Value::Null => Ok(EditPlace::None { after: line_end(text, root.span.end), indent: 0 }),
            _ => Err("the file is not a mapping".to_owned()),
        };
    };
    let (key, clouds) = match unique(entries, "clouds")? {
        Some(found) => found,
        None if *flow => return Ok(EditPlace::FlowNone { open: root.span.start + 1, empty: entries.is_empty() }),
        None => {
            let indent = entries.first().map_or(0, |(k, _)| column(text, k.span.start));
            return Ok(EditPlace::None { after: line_end(text, root.span.end), indent });
        }
    };
    let NodeKind::Map { entries, flow } = &clouds.kind else {
        if clouds.value() != Value::Null {
            return Err("`clouds` is not a mapping".to_owned());
        }
        let indent = column(text, key.span.start) + 2;
        return Ok(EditPlace::Empty { value: clouds.span.clone(), after: line_end(text, clouds.span.end), indent });
    };
    if let Some(index) = position(entries, name)? {
        let (k, v) = &entries[index];
        if *flow {
            // With the comma before it, or, of the first, the one behind it.
            let whole = match (index.checked_sub(1), entries.get(index + 1)) {
                (Some(before), _) => entries[before].1.span.end..v.span.end,
                (None, Some(next)) => k.span.start..next.0.span.start,
                (None, None) => k.span.start..v.span.end,
            };
            return Ok(EditPlace::FlowEntry { value: v.clone(), whole });
        }
        let start = line_start(text, k.span.start);
        if !text[start..k.span.start].trim().is_empty() {
            return Err(format!("`{name}` does not start its line"));
        }
        let lines = start..line_end(text, k.span.end.max(v.span.end));
        return Ok(EditPlace::Entry {
            value: v.clone(),
            lines,
            indent: k.span.start - start,
            only: entries.len() == 1,
            key_end: text[key.span.end..].find(':').map_or(key.span.end, |at| key.span.end + at + 1),
        });
    }
    match (entries.first(), flow) {
        (None, _) => {
            let indent = column(text, key.span.start) + 2;
            Ok(EditPlace::Empty { value: clouds.span.clone(), after: line_end(text, clouds.span.end), indent })
        }
        (_, true) => Ok(EditPlace::Flow { open: clouds.span.start + 1, empty: false }),
        (Some((first, _)), false) => {
            Ok(EditPlace::Block { after: line_end(text, clouds.span.end), indent: column(text, first.span.start) })
        }
    }
}

fn unique<'a>(entries: &'a [(YamlNode, YamlNode)], name: &str) -> Result<Option<&'a (YamlNode, YamlNode)>, String> {
    Ok(position(entries, name)?.map(|i| &entries[i]))
}

fn position(entries: &[(YamlNode, YamlNode)], name: &str) -> Result<Option<usize>, String> {
    let mut found = entries.iter().enumerate().filter(|(_, (k, _))| k.text() == Some(name)).map(|(i, _)| i);
    let first = found.next();
    if found.next().is_some() {
        return Err(format!("`{name}` is there twice"));
    }
    Ok(first)
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |i| i + 1)
}

/// The start of the next line after the content that ends at `at`. A block scalar's content ends
/// with its own line break.
fn line_end(text: &str, at: usize) -> usize {
    if at > 0 && text.as_bytes().get(at - 1) == Some(&b'\n') {
        return at;
    }
    text[at..].find('\n').map_or(text.len(), |i| at + i + 1)
}

fn column(text: &str, at: usize) -> usize {
    let column = at - line_start(text, at);
    // A byte order mark is no column.
    if line_start(text, at) == 0 && text.starts_with('\u{feff}') { column.saturating_sub(3) } else { column }
}

/// Replaces whole lines; the line before must end.
fn splice(text: &str, range: std::ops::Range<usize>, with: &str, nl: &str) -> String {
    let before = &text[..range.start];
    let glue = if before.is_empty() || before.ends_with('\n') || before == "\u{feff}" { "" } else { nl };
    format!("{before}{glue}{with}{}", &text[range.end..])
}

fn splice_raw(text: &str, range: std::ops::Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}

fn block(name: &str, fields: &[Field], indent: usize, nl: &str) -> String {
    fn put(out: &mut String, fields: &[Field], indent: usize, nl: &str) {
        for field in fields {
            let pad = " ".repeat(indent);
            let _ = match field {
                Field::Text(key, value) => write!(out, "{pad}{key}: {}{nl}", quoted(value)),
                Field::Map(key, inner) => {
                    let _ = write!(out, "{pad}{key}:{nl}");
                    put(out, inner, indent + 2, nl);
                    Ok(())
                }
            };
        }
    }
    let mut out = format!("{}{}:{nl}", " ".repeat(indent), quoted(name));
    put(&mut out, fields, indent + 2, nl);
    out
}

fn flow(fields: &[Field]) -> String {
    let parts: Vec<_> = fields
        .iter()
        .map(|field| match field {
            Field::Text(key, value) => format!("\"{key}\": {}", json(value)),
            Field::Map(key, inner) => format!("\"{key}\": {}", flow(inner)),
        })
        .collect();
    format!("{{{}}}", parts.join(", "))
}

/// Plain where no reader of YAML 1.1 or 1.2 can take it for anything but text.
fn quoted(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let reserved = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    if word && !reserved.contains(&text.to_ascii_lowercase().as_str()) { text.to_owned() } else { json(text) }
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn same(value: &Value, fields: &[Field]) -> bool {
    value.keys().len() == fields.len()
        && fields.iter().all(|field| match field {
            Field::Text(key, wanted) => value.get(key).and_then(Value::text) == Some(wanted),
            Field::Map(key, inner) => value.get(key).is_some_and(|v| same(v, inner)),
        })
}

fn verify(old: &str, new: &str, name: &str, fields: Option<&[Field]>) -> Result<(), String> {
    let trouble = |what: &str| format!("an edit would {what}");
    let read = |text: &str| yaml::parse(text).map(|n| n.map_or(Value::Null, |n| n.value()));
    let after = read(new).map_err(|e| trouble(&format!("break the file ({e})")))?;
    let entry = after.get("clouds").and_then(|c| c.get(name));
    match fields {
        Some(fields) if !entry.is_some_and(|e| same(e, fields)) => return Err(trouble("not set the entry")),
        None if entry.is_some() => return Err(trouble("not remove the entry")),
        _ => {}
    }
    let rest = |mut value: Value| {
        if let Value::Map(root) = &mut value {
            if let Some(Value::Map(clouds)) = root.get_mut("clouds") {
                clouds.remove(name);
            }
            if root.get("clouds").is_some_and(|c| c.keys().is_empty()) {
                root.remove("clouds");
            }
        }
        if value.keys().is_empty() { Value::Null } else { value }
    };
    if rest(read(old)?) != rest(after) { Err(trouble("change other parts of the file")) } else { Ok(()) }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
