//! Rules of security groups in a manifest: read as they are written, and changed in place. Comments,
//! order, quotes and layout of all that is not changed stay as somebody wrote them.

use crate::diag::Problems;
use crate::manifest;
use crate::yaml::{Entry, SpanSpot, SpotKind, spots};
use serde::{Deserialize, Serialize};
use stackyard_core::yard::intend::{Trouble, intend};
use stackyard_core::yard::manifest::{Direction, Manifest, Rule};
use stackyard_core::yard::words::PortRange;
use std::fmt::Write as _;
use std::ops::Range;

/// A rule as a form has it: texts, empty where nothing is said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleText {
    /// Protocol; all if empty.
    pub proto: String,
    /// Port or range.
    pub port: String,
    /// Whether it is for what goes out.
    pub egress: bool,
    /// The other side: a CIDR or a group; everybody if empty.
    pub peer: String,
    /// Whether it is for IPv6, where the other side does not say.
    pub ipv6: Option<bool>,
}

/// A group as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupText {
    /// Its name.
    pub name: String,
    /// Its rules.
    pub rules: Vec<RuleText>,
}

/// A rule that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleChange {
    /// Which of the group's rules it is so far; none if it is new.
    pub was: Option<usize>,
    /// What it is to say.
    pub rule: RuleText,
}

/// A mistake in a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// Which of the wanted rules.
    pub rule: usize,
    /// Which of its fields: `proto`, `port`, `peer`, `ipv6`; empty for all of it.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why rules cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The manifest has mistakes of its own.
    #[error(transparent)]
    Mistakes(#[from] Problems),
    /// The manifest has no such group.
    #[error("the manifest has no security group `{0}`")]
    NoGroup(String),
    /// A rule is said to be one that is not there, or comes twice or in another order.
    #[error("`was` names rules of the group, each once and in their order; it has {0}")]
    NoRule(usize),
    /// It is written in a way that cannot be changed in place.
    #[error("the rules of `{group}` cannot be changed in place, since {why}; edit the manifest itself")]
    Elsewhere {
        /// The group.
        group: String,
        /// Why.
        why: &'static str,
    },
    /// The rules have mistakes.
    #[error("the rules have mistakes")]
    Faults(Vec<RuleFault>),
}

impl From<&Rule> for RuleText {
    fn from(rule: &Rule) -> Self {
        let egress = rule.direction == Some(Direction::Egress) || (rule.direction.is_none() && rule.to.is_some());
        Self {
            proto: rule.proto.clone().unwrap_or_default(),
            port: rule.port.map(|p| p.to_string()).unwrap_or_default(),
            egress,
            peer: (if egress { &rule.to } else { &rule.from }).clone().unwrap_or_default(),
            ipv6: rule.ipv6,
        }
    }
}

impl RuleText {
    /// The keys of the manifest that say it, in their usual order.
    fn keys(&self) -> Vec<(&'static str, String)> {
        let mut keys = Vec::new();
        let mut say = |key, value: &str| {
            if !value.is_empty() {
                keys.push((key, value.to_owned()));
            }
        };
        // With a `to` it goes without saying.
        say("direction", if self.egress && self.peer.is_empty() { "egress" } else { "" });
        say("proto", &self.proto);
        say("port", &self.port);
        say(if self.egress { "to" } else { "from" }, &self.peer);
        say("ipv6", self.ipv6.map_or("", |on| if on { "true" } else { "false" }));
        keys
    }

    fn read(&self) -> Result<Rule, String> {
        let some = |text: &String| Some(text.clone()).filter(|t| !t.is_empty());
        let port = some(&self.port).map(|p| p.parse::<PortRange>()).transpose()?;
        let (from, to) = if self.egress { (None, some(&self.peer)) } else { (some(&self.peer), None) };
        let direction = self.egress.then_some(Direction::Egress);
        Ok(Rule { proto: some(&self.proto), port, from, to, direction, ipv6: self.ipv6 })
    }
}

/// The groups that a manifest declares.
///
/// # Errors
/// Every mistake of the manifest.
pub fn groups(file: &str, text: &str) -> Result<Vec<GroupText>, Problems> {
    let manifest = manifest::form(file, text)?;
    let group = |g: &stackyard_core::yard::manifest::SecurityGroup| GroupText {
        name: g.name.clone(),
        rules: g.rules.iter().map(RuleText::from).collect(),
    };
    Ok(manifest.spec.security_groups.iter().map(group).collect())
}

/// The manifest with other rules in a group: those that are wanted, in their order.
///
/// # Errors
/// [`Error`]; nothing is guessed at.
pub fn rewrite(file: &str, text: &str, group: &str, wanted: &[RuleChange]) -> Result<String, Error> {
    let manifest = manifest::form(file, text)?;
    let at = manifest.spec.security_groups.iter().position(|g| g.name == group);
    let at = at.ok_or_else(|| Error::NoGroup(group.to_owned()))?;
    let rules = &manifest.spec.security_groups[at].rules;
    let was: Vec<usize> = wanted.iter().filter_map(|w| w.was).collect();
    if was.iter().any(|i| *i >= rules.len()) || was.windows(2).any(|two| two[0] >= two[1]) {
        return Err(Error::NoRule(rules.len()));
    }
    let meant = meant(&manifest, at, wanted)?;
    let elsewhere = |why| Error::Elsewhere { group: group.to_owned(), why };
    let changed = place(text, at, &manifest, wanted).map_err(elsewhere)?;
    // Whatever was done to the text: it says what is meant, and nothing else changed.
    match manifest::form(file, &changed) {
        Ok(read) if same(&read, &meant, at) => Ok(changed),
        _ => Err(elsewhere("its layout is not understood")),
    }
}

/// The manifest as it is meant to be.
fn meant(manifest: &Manifest, at: usize, wanted: &[RuleChange]) -> Result<Manifest, Error> {
    let mut meant = manifest.clone();
    let mut faults = Vec::new();
    let mut rules = Vec::new();
    for (i, want) in wanted.iter().enumerate() {
        let kept = want.was.map(|was| &manifest.spec.security_groups[at].rules[was]);
        match kept.filter(|rule| RuleText::from(*rule) == want.rule) {
            Some(rule) => rules.push(rule.clone()),
            None => match want.rule.read() {
                Ok(rule) => rules.push(rule),
                Err(message) => faults.push(RuleFault { rule: i, field: "port", message, hint: None }),
            },
        }
    }
    if faults.is_empty() {
        meant.spec.security_groups[at].rules = rules;
        let begin = format!("spec.securityGroups[{at}].rules[");
        let troubles = intend(&meant).err().unwrap_or_default();
        faults.extend(troubles.into_iter().filter_map(|trouble| fault(trouble, &begin)));
    }
    if faults.is_empty() { Ok(meant) } else { Err(Error::Faults(faults)) }
}

/// What is wrong with one of the rules; nothing if it is something else that is.
fn fault(trouble: Trouble, begin: &str) -> Option<RuleFault> {
    let (rule, field) = trouble.path.strip_prefix(begin)?.split_once(']')?;
    let field = match field {
        ".proto" => "proto",
        ".port" => "port",
        ".from" | ".to" => "peer",
        ".ipv6" => "ipv6",
        _ => "",
    };
    Some(RuleFault { rule: rule.parse().ok()?, field, message: trouble.message, hint: trouble.hint })
}

/// Whether two manifests say the same, whatever way a direction is said.
fn same(a: &Manifest, b: &Manifest, at: usize) -> bool {
    let plain = |m: &Manifest| {
        let mut m = m.clone();
        let rules = m.spec.security_groups.get_mut(at).map(|g| std::mem::take(&mut g.rules)).unwrap_or_default();
        (m, rules.iter().map(RuleText::from).collect::<Vec<_>>())
    };
    plain(a) == plain(b)
}

/// A change of a text.
pub(crate) struct TextEdit {
    pub(crate) at: Range<usize>,
    pub(crate) text: String,
}

const ALIAS: &str = "they use anchors, aliases or tags";
const LAYOUT: &str = "its layout is not understood";

/// The text with the rules that are wanted.
fn place(text: &str, at: usize, manifest: &Manifest, wanted: &[RuleChange]) -> Result<String, &'static str> {
    let root = spots(text).ok_or(LAYOUT)?;
    let groups = root.get("spec").and_then(|e| e.value.get("securityGroups")).ok_or(LAYOUT)?;
    let SpotKind::List { items, .. } = &groups.value.kind else { return Err(ALIAS) };
    let group = items.get(at).ok_or(LAYOUT)?;
    let SpotKind::Map { flow, entries } = &group.kind else { return Err(ALIAS) };
    let mut edits = Vec::new();
    match group.get("rules") {
        None if entries.iter().any(|e| e.key == "<<") => return Err(ALIAS),
        None if wanted.is_empty() => {}
        None => edits.push(added_rules(text, *flow, entries, wanted)?),
        Some(entry) => match &entry.value.kind {
            SpotKind::List { flow, items } if *flow || !items.is_empty() => {
                let rules = &manifest.spec.security_groups[at].rules;
                list(text, &entry.value, *flow, items, rules, wanted, &mut edits)?;
            }
            // `rules:` with nothing behind it.
            SpotKind::Scalar(_) if wanted.is_empty() => {}
            SpotKind::Scalar(_) => {
                let value = &entry.value.at;
                let colon = text.get(entry.key_at.end..).and_then(|t| t.find(':')).ok_or(LAYOUT)?;
                let from = entry.key_at.end + colon + 1;
                // An explicit `~` goes; a comment behind stays.
                let to = if value.start >= from { value.end.max(from) } else { from };
                let to = if text.get(from..to).is_some_and(|t| t.contains(['\n', '#'])) { from } else { to };
                edits.push(TextEdit { at: from..to, text: format!(" {}", flow_list(wanted)) });
            }
            _ => return Err(ALIAS),
        },
    }
    edited(text, &(0..text.len()), edits)
}

/// Rules for a group that has none so far.
fn added_rules(text: &str, flow: bool, entries: &[Entry], wanted: &[RuleChange]) -> Result<TextEdit, &'static str> {
    let (first, last) = entries.first().zip(entries.last()).ok_or(LAYOUT)?;
    if flow {
        let end = last.value.at.end;
        return Ok(TextEdit { at: end..end, text: format!(", rules: {}", flow_list(wanted)) });
    }
    let indent = " ".repeat(column(text, first.key_at.start));
    let end = line_end(text, last.value.at.end);
    let mut lines = format!("\n{indent}rules:");
    for want in wanted {
        write!(lines, "\n{indent}  - {}", flow_map(&want.rule)).ok();
    }
    Ok(TextEdit { at: end..end, text: lines })
}

/// Changes of a list of rules.
fn list(
    text: &str,
    whole: &SpanSpot,
    flow: bool,
    items: &[SpanSpot],
    rules: &[Rule],
    wanted: &[RuleChange],
    edits: &mut Vec<TextEdit>,
) -> Result<(), &'static str> {
    if flow {
        let mut parts = Vec::new();
        for want in wanted {
            parts.push(match want.was {
                Some(i) => {
                    let mut inner = Vec::new();
                    rule(text, &items[i], &rules[i], &want.rule, &mut inner)?;
                    (Some(i), edited(text, &items[i].at, inner)?)
                }
                None => (None, flow_map(&want.rule)),
            });
        }
        let spans: Vec<&Range<usize>> = items.iter().map(|i| &i.at).collect();
        edits.push(TextEdit { at: whole.at.clone(), text: rebuilt(text, whole, &spans, &parts)? });
        return Ok(());
    }
    let (first, last) = items.first().zip(items.last()).ok_or(LAYOUT)?;
    let first_line = line_start(text, dash(text, first.at.start)?);
    if wanted.is_empty() {
        // A block list cannot be empty.
        let head = text[..first_line].trim_end().len();
        if !text[..head].ends_with(':') {
            return Err(LAYOUT);
        }
        edits.push(TextEdit { at: head..line_end(text, last.at.end), text: " []".to_owned() });
        return Ok(());
    }
    for (i, item) in items.iter().enumerate() {
        match wanted.iter().find(|w| w.was == Some(i)) {
            Some(want) => rule(text, item, &rules[i], &want.rule, edits)?,
            None => {
                let start = line_start(text, dash(text, item.at.start)?);
                edits.push(TextEdit { at: start..next_line(text, item.at.end), text: String::new() });
            }
        }
    }
    // New ones go behind the rule that they follow.
    let indent = " ".repeat(column(text, dash(text, first.at.start)?));
    let mut behind = None;
    for want in wanted {
        let line = format!("{indent}- {}", flow_map(&want.rule));
        match (want.was, behind) {
            (Some(was), _) => behind = Some(was),
            (None, Some(i)) => {
                // Its last line may go: the new one comes where the next begins.
                let (last, next) = (line_end(text, items[i].at.end), next_line(text, items[i].at.end));
                let text = if next > last { format!("{line}\n") } else { format!("\n{line}") };
                edits.push(TextEdit { at: next..next, text });
            }
            (None, None) => edits.push(TextEdit { at: first_line..first_line, text: format!("{line}\n") }),
        }
    }
    Ok(())
}

/// Changes of a rule.
fn rule(
    text: &str,
    item: &SpanSpot,
    is: &Rule,
    wanted: &RuleText,
    edits: &mut Vec<TextEdit>,
) -> Result<(), &'static str> {
    if RuleText::from(is) == *wanted {
        return Ok(());
    }
    let SpotKind::Map { flow, entries } = &item.kind else { return Err(ALIAS) };
    if entries.iter().any(|e| e.key == "<<" || !matches!(e.value.kind, SpotKind::Scalar(_))) {
        return Err(ALIAS);
    }
    let mut keys = wanted.keys();
    // A direction that is said and still true stays said.
    let way = if wanted.egress { "egress" } else { "ingress" };
    let says = |e: &Entry| e.key == "direction" && matches!(&e.value.kind, SpotKind::Scalar(said) if said == way);
    if entries.iter().any(says) {
        keys.retain(|(key, _)| *key != "direction");
        keys.insert(0, ("direction", way.to_owned()));
    }
    let value = |key: &str| keys.iter().find(|(k, _)| *k == key).map(|(_, value)| value);
    let kept: Vec<(usize, &Entry, &String)> =
        entries.iter().enumerate().filter_map(|(i, e)| Some((i, e, value(&e.key)?))).collect();
    let Some((first, ..)) = kept.first() else {
        // Nothing of it stays.
        edits.push(TextEdit { at: item.at.clone(), text: flow_map(wanted) });
        return Ok(());
    };
    let mut inner = Vec::new();
    for (_, entry, value) in &kept {
        if !matches!(&entry.value.kind, SpotKind::Scalar(said) if said == *value) {
            inner.push(TextEdit { at: entry.value.at.clone(), text: scalar(&entry.key, value) });
        }
    }
    let new: Vec<String> = keys
        .iter()
        .filter(|(key, _)| !entries.iter().any(|e| e.key == *key))
        .map(|(key, value)| format!("{key}: {}", scalar(key, value)))
        .collect();
    if *flow {
        let spans: Vec<Range<usize>> = entries.iter().map(|e| e.key_at.start..e.value.at.end).collect();
        let mut parts = Vec::new();
        for (i, ..) in &kept {
            let (mine, others) = inner.into_iter().partition(|e: &TextEdit| spans[*i].contains(&e.at.start));
            inner = others;
            parts.push((Some(*i), edited(text, &spans[*i], mine)?));
        }
        parts.extend(new.into_iter().map(|text| (None, text)));
        let spans: Vec<&Range<usize>> = spans.iter().collect();
        edits.push(TextEdit { at: item.at.clone(), text: rebuilt(text, item, &spans, &parts)? });
        return Ok(());
    }
    edits.append(&mut inner);
    if *first > 0 {
        // The dash stays, and the first key that stays comes to it.
        let at = entries[0].key_at.start..entries[*first].key_at.start;
        edits.push(TextEdit { at, text: String::new() });
    }
    for entry in entries.iter().skip(*first).filter(|e| value(&e.key).is_none()) {
        let start = line_start(text, entry.key_at.start);
        edits.push(TextEdit { at: start..next_line(text, entry.value.at.end), text: String::new() });
    }
    let indent = " ".repeat(column(text, entries[0].key_at.start));
    let end = kept.last().map_or(item.at.end, |(_, entry, _)| line_end(text, entry.value.at.end));
    edits.extend(new.into_iter().map(|line| TextEdit { at: end..end, text: format!("\n{indent}{line}") }));
    Ok(())
}

/// A flow collection from those parts that stay, each with what stood before it, and new ones.
fn rebuilt(
    text: &str,
    whole: &SpanSpot,
    spans: &[&Range<usize>],
    parts: &[(Option<usize>, String)],
) -> Result<String, &'static str> {
    let between = |i: usize| match i {
        0 => text.get(whole.at.start + 1..spans.first()?.start),
        i => text.get(spans[i - 1].end..spans[i].start),
    };
    // As the others are separated: on lines of their own, or not.
    let usual = if spans.len() > 1 { between(1).filter(|t| !t.contains('#')).unwrap_or(", ") } else { ", " };
    let open = between(0).unwrap_or("");
    let mut made = text.get(whole.at.start..whole.at.start + 1).ok_or(LAYOUT)?.to_owned();
    for (n, (was, part)) in parts.iter().enumerate() {
        made += match was {
            _ if n == 0 => open,
            Some(i) if *i > 0 => between(*i).ok_or(LAYOUT)?,
            _ => usual,
        };
        made += part;
    }
    let close = spans.last().map_or(whole.at.end - 1, |last| last.end);
    made += if parts.is_empty() {
        &text[whole.at.end - 1..whole.at.end]
    } else {
        text.get(close..whole.at.end).ok_or(LAYOUT)?
    };
    Ok(made)
}

/// A part of a text with changes in it.
pub(crate) fn edited(text: &str, part: &Range<usize>, mut edits: Vec<TextEdit>) -> Result<String, &'static str> {
    edits.sort_by_key(|e| (e.at.start, e.at.end));
    let mut changed = String::with_capacity(part.len() + 200);
    let mut done = part.start;
    for edit in edits {
        changed += text.get(done..edit.at.start).ok_or(LAYOUT)?;
        changed += &edit.text;
        done = edit.at.end;
    }
    changed += text.get(done..part.end).ok_or(LAYOUT)?;
    Ok(changed)
}

/// Where the dash of a list's item is.
pub(crate) fn dash(text: &str, item: usize) -> Result<usize, &'static str> {
    let before = text.get(..item).ok_or(LAYOUT)?.trim_end();
    before.ends_with('-').then(|| before.len() - 1).ok_or(LAYOUT)
}

pub(crate) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |n| n + 1)
}

/// The end of a line, before its newline.
pub(crate) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n)
}

pub(crate) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |n| at + n + 1)
}

/// Column, from 0, of what stands in a line; dashes before it count as indentation.
pub(crate) fn column(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].chars().count()
}

fn flow_list(wanted: &[RuleChange]) -> String {
    format!("[{}]", wanted.iter().map(|w| flow_map(&w.rule)).collect::<Vec<_>>().join(", "))
}

fn flow_map(rule: &RuleText) -> String {
    let keys = rule.keys();
    let pairs = keys.iter().map(|(key, value)| format!("{key}: {}", scalar(key, value)));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

/// A text as a YAML scalar, in quotes where it could be taken for something else.
fn scalar(key: &str, text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    // `fd00::/8`: a colon is no key's where nothing blank follows.
    let address = text.contains('/') && text.chars().all(|c| plain(c) || c == ':') && !text.ends_with(':');
    let other = key != "port"
        && key != "ipv6"
        && (text.parse::<f64>().is_ok()
            || ["null", "true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word)));
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && !other && (text.chars().all(plain) || address) {
        return text.to_owned();
    }
    // JSON's texts are YAML's, too.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
