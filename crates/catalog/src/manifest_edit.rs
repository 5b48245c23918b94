//! Packages of a manifest, changed in its text: comments, order and layout of everything else stay.

use crate::diag::Problems;
use crate::manifest;
use crate::rules::{TextEdit, column, dash, edited, line_end, line_start, next_line};
use crate::yaml::{Entry, SpanSpot, SpotKind, spots};
use stackyard_core::yard::manifest::{Manifest, PackageEntry};
use std::collections::BTreeMap;

/// A package that becomes part of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPackage {
    /// Name in the yard.
    pub name: String,
    /// `CATALOG/NAME@VERSION`, or a directory.
    pub package: String,
    /// Digest of its files; none for a directory.
    pub digest: Option<String>,
    /// Answers to its questions.
    pub answers: BTreeMap<String, String>,
}

/// Why a manifest is not changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The manifest has mistakes.
    #[error(transparent)]
    Mistakes(#[from] Problems),
    /// The manifest has a package of this name already.
    #[error("the manifest has a package `{0}` already")]
    Taken(String),
    /// The manifest has no package of this name.
    #[error("the manifest has no package `{name}`; it has {}", if known.is_empty() { "none" } else { known.as_str() })]
    Unknown {
        /// The name.
        name: String,
        /// Names of its packages.
        known: String,
    },
    /// It is written in a way that cannot be changed in place.
    #[error("cannot change the packages of {file} in place: {why}; edit the manifest yourself")]
    Layout {
        /// The manifest.
        file: String,
        /// The reason.
        why: &'static str,
    },
}

const ALIAS: &str = "they use anchors, aliases or tags";
const LAYOUT: &str = "its layout is not understood";

/// The manifest with one more package. `file` is its name in messages.
///
/// # Errors
/// [`EditError`]; the text that comes out is read again, and says what is meant.
pub fn add_package(file: &str, text: &str, new: &NewPackage) -> Result<String, EditError> {
    let before = manifest::form(file, text)?;
    if before.spec.packages.iter().any(|p| p.name == new.name) {
        return Err(EditError::Taken(new.name.clone()));
    }
    let changed = appended(text, new).map_err(layout(file))?;
    verified(file, &before, changed, |packages| {
        let last = packages.pop();
        last.is_some_and(|p| p.name == new.name && p.package == new.package && p.digest == new.digest)
    })
}

/// The manifest with another version of a package.
///
/// # Errors
/// [`EditError`]
pub fn set_package(file: &str, text: &str, name: &str, package: &str, digest: &str) -> Result<String, EditError> {
    let before = manifest::form(file, text)?;
    let at = position(&before, name)?;
    let changed = replaced(text, at, package, digest).map_err(layout(file))?;
    let old = before.spec.packages[at].clone();
    verified(file, &before, changed, |packages| {
        let is = packages.get(at).is_some_and(|p| p.package == package && p.digest.as_deref() == Some(digest));
        if is {
            packages[at] = old.clone();
        }
        is
    })
}

/// The manifest without a package.
///
/// # Errors
/// [`EditError`]
pub fn remove_package(file: &str, text: &str, name: &str) -> Result<String, EditError> {
    let before = manifest::form(file, text)?;
    let at = position(&before, name)?;
    let changed = removed(text, at).map_err(layout(file))?;
    let old = before.spec.packages[at].clone();
    verified(file, &before, changed, |packages| {
        packages.insert(at, old.clone());
        true
    })
}

fn layout(file: &str) -> impl Fn(&'static str) -> EditError {
    move |why| EditError::Layout { file: file.to_owned(), why }
}

fn position(manifest: &Manifest, name: &str) -> Result<usize, EditError> {
    let packages = &manifest.spec.packages;
    packages.iter().position(|p| p.name == name).ok_or_else(|| {
        let known = packages.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
        EditError::Unknown { name: name.to_owned(), known }
    })
}

/// The text, if it says what is meant: once `undo` took the change back, it is the manifest as it was.
fn verified(
    file: &str,
    before: &Manifest,
    changed: String,
    undo: impl FnOnce(&mut Vec<PackageEntry>) -> bool,
) -> Result<String, EditError> {
    let mut after = manifest::form(file, &changed).map_err(|_| layout(file)(LAYOUT))?;
    if undo(&mut after.spec.packages) && after == *before { Ok(changed) } else { Err(layout(file)(LAYOUT)) }
}

fn appended(text: &str, new: &NewPackage) -> Result<String, &'static str> {
    let root = spots(text).ok_or(LAYOUT)?;
    let spec = root.get("spec").ok_or(LAYOUT)?;
    let SpotKind::Map { flow, entries } = &spec.value.kind else { return Err(ALIAS) };
    let edit = match spec.value.get("packages") {
        None if *flow => before_end(text, &spec.value, entries.len(), &format!("packages: [{}]", flow_entry(new))),
        None => {
            let (first, last) = entries.first().zip(entries.last()).ok_or(LAYOUT)?;
            let indent = column(text, first.key_at.start);
            let end = line_end(text, last.value.at.end);
            TextEdit {
                at: end..end,
                text: format!("\n{}packages:{}", " ".repeat(indent), block_entry(new, indent + 2)),
            }
        }
        Some(entry) => into_list(text, entry, new)?,
    };
    edited(text, &(0..text.len()), vec![edit])
}

fn into_list(text: &str, entry: &Entry, new: &NewPackage) -> Result<TextEdit, &'static str> {
    match &entry.value.kind {
        SpotKind::List { flow: true, items } => Ok(before_end(text, &entry.value, items.len(), &flow_entry(new))),
        SpotKind::List { items, .. } => {
            let (first, last) = items.first().zip(items.last()).ok_or(LAYOUT)?;
            let indent = column(text, dash(text, first.at.start)?);
            let end = line_end(text, last.at.end);
            Ok(TextEdit { at: end..end, text: block_entry(new, indent) })
        }
        // `packages:` with nothing behind it.
        SpotKind::Scalar(_) => {
            let end = line_end(text, entry.key_at.end);
            if text[entry.key_at.end..end].trim_start_matches(':').trim_start().starts_with(['~', 'n', 'N']) {
                return Err(LAYOUT);
            }
            let indent = column(text, entry.key_at.start) + 2;
            Ok(TextEdit { at: end..end, text: block_entry(new, indent) })
        }
        _ => Err(ALIAS),
    }
}

/// Another part at the end of a flow collection.
fn before_end(text: &str, whole: &SpanSpot, parts: usize, part: &str) -> TextEdit {
    let end = text[..whole.at.end - 1].trim_end_matches([' ', '\n']).len();
    let comma = text[..end].ends_with(',');
    let separator = if parts == 0 {
        ""
    } else if comma {
        " "
    } else {
        ", "
    };
    TextEdit { at: end..end, text: format!("{separator}{part}") }
}

fn block_entry(new: &NewPackage, indent: usize) -> String {
    let indent = " ".repeat(indent);
    let mut lines = format!("\n{indent}- name: {}\n{indent}  package: {}", scalar(&new.name), scalar(&new.package));
    if let Some(digest) = &new.digest {
        lines += &format!("\n{indent}  digest: {digest}");
    }
    if !new.answers.is_empty() {
        lines += &format!("\n{indent}  answers:");
    }
    for (name, answer) in &new.answers {
        lines += &format!("\n{indent}    {}: {}", scalar(name), scalar(answer));
    }
    lines
}

fn flow_entry(new: &NewPackage) -> String {
    let mut parts = vec![format!("name: {}", quoted(&new.name)), format!("package: {}", quoted(&new.package))];
    parts.extend(new.digest.iter().map(|digest| format!("digest: {}", quoted(digest))));
    if !new.answers.is_empty() {
        let answers = new.answers.iter().map(|(name, answer)| format!("{}: {}", quoted(name), quoted(answer)));
        parts.push(format!("answers: {{{}}}", answers.collect::<Vec<_>>().join(", ")));
    }
    format!("{{{}}}", parts.join(", "))
}

fn replaced(text: &str, at: usize, package: &str, digest: &str) -> Result<String, &'static str> {
    let root = spots(text).ok_or(LAYOUT)?;
    let (_, items) = packages(&root)?;
    let item = items.get(at).ok_or(LAYOUT)?;
    let SpotKind::Map { flow, .. } = &item.kind else { return Err(ALIAS) };
    let named = item.get("package").ok_or(ALIAS)?;
    let SpotKind::Scalar(_) = &named.value.kind else { return Err(ALIAS) };
    let write = if *flow { quoted } else { scalar };
    let mut edits = vec![TextEdit { at: named.value.at.clone(), text: write(package) }];
    match item.get("digest").map(|entry| &entry.value) {
        Some(SpanSpot { at, kind: SpotKind::Scalar(_) }) if !at.is_empty() => {
            edits.push(TextEdit { at: at.clone(), text: write(digest) });
        }
        Some(_) => return Err(ALIAS),
        None => {
            let end = named.value.at.end;
            let indent = " ".repeat(column(text, named.key_at.start));
            let (at, text) = match flow {
                true => (end, format!(", digest: {}", quoted(digest))),
                false => (line_end(text, end), format!("\n{indent}digest: {digest}")),
            };
            edits.push(TextEdit { at: at..at, text });
        }
    }
    edited(text, &(0..text.len()), edits)
}

fn removed(text: &str, at: usize) -> Result<String, &'static str> {
    let root = spots(text).ok_or(LAYOUT)?;
    let (entry, items) = packages(&root)?;
    let item = items.get(at).ok_or(LAYOUT)?;
    let SpotKind::List { flow, .. } = &entry.value.kind else { return Err(ALIAS) };
    let range = match (items, *flow) {
        // With the key, unless a comment is behind it.
        ([_], false) if !text[entry.key_at.end..item.at.start].contains('#') => {
            line_start(text, entry.key_at.start)..next_line(text, item.at.end)
        }
        (_, false) => line_start(text, dash(text, item.at.start)?)..next_line(text, item.at.end),
        ([_], true) => item.at.clone(),
        (_, true) if at + 1 < items.len() => item.at.start..items[at + 1].at.start,
        (_, true) => items[at - 1].at.end..item.at.end,
    };
    edited(text, &(0..text.len()), vec![TextEdit { at: range, text: String::new() }])
}

/// The key `packages` with its items.
fn packages(root: &SpanSpot) -> Result<(&Entry, &[SpanSpot]), &'static str> {
    let entry = root.get("spec").and_then(|spec| spec.value.get("packages")).ok_or(ALIAS)?;
    match &entry.value.kind {
        SpotKind::List { items, .. } => Ok((entry, items)),
        _ => Err(ALIAS),
    }
}

/// A text as a YAML scalar in a block, in quotes where it could be taken for something else.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@' | '+' | ':');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '.' | '/'));
    let word = ["null", "true", "false", "yes", "no", "on", "off"].iter().any(|w| text.eq_ignore_ascii_case(w));
    if begins && !word && !text.ends_with(':') && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

/// JSON's texts are YAML's, too.
fn quoted(text: &str) -> String {
    if text.parse::<i64>().is_ok_and(|n| n.to_string() == text) || matches!(text, "true" | "false") {
        return text.to_owned();
    }
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
#[path = "manifest_edit_tests.rs"]
mod tests;
