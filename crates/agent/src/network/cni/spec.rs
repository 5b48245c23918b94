//! What CNI's specification says of versions, names and variables.

use super::failure::{Failure, code};
use super::protocol::Command;
use serde_json::{Map, Value, json};

/// Versions of the specification whose configurations are read and whose results are written, oldest first.
pub(crate) const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The one that is spoken where nobody says.
pub(crate) const NEWEST: &str = "1.1.0";

/// Where its versions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

impl Version {
    /// That of a network configuration; without one it is an old one, says the specification.
    pub(crate) fn of(config: &Map<String, Value>) -> Result<Self, Failure> {
        let said = match config.get("cniVersion") {
            None => "0.1.0",
            Some(Value::String(text)) => text,
            Some(other) => return Err(Failure::new(code::DECODE, format!("cniVersion must be text, not {other}"))),
        };
        match said {
            "0.3.1" => Ok(Self::V0_3_1),
            "0.4.0" => Ok(Self::V0_4_0),
            "1.0.0" => Ok(Self::V1_0_0),
            "1.1.0" => Ok(Self::V1_1_0),
            _ => Err(Failure::new(
                code::INCOMPATIBLE_VERSION,
                format!("cniVersion {said:?} is not supported; {} are", VERSIONS.join(", ")),
            )),
        }
    }

    /// As it is written.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// Checks that there is such an operation in it.
    pub(crate) fn allows(self, command: Command) -> Result<(), Failure> {
        let since = match command {
            Command::Add | Command::Del => Self::V0_3_1,
            Command::Check => Self::V0_4_0,
            Command::Gc | Command::Status => Self::V1_1_0,
        };
        if self >= since {
            return Ok(());
        }
        let msg = format!("{} has no {}: it came with {}", self.text(), word(command), since.text());
        Err(Failure::new(code::INCOMPATIBLE_VERSION, msg))
    }
}

fn word(command: Command) -> &'static str {
    match command {
        Command::Add => "ADD",
        Command::Del => "DEL",
        Command::Check => "CHECK",
        Command::Gc => "GC",
        Command::Status => "STATUS",
    }
}

/// The answer to VERSION.
pub(crate) fn versions(config: &Map<String, Value>) -> Value {
    let said = config.get("cniVersion").and_then(Value::as_str).unwrap_or(NEWEST);
    json!({"cniVersion": said, "supportedVersions": VERSIONS})
}

/// What the runtime says in variables, read and checked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Variables {
    pub(crate) container: String,
    pub(crate) netns: String,
    pub(crate) ifname: String,
    pub(crate) args: Vec<(String, String)>,
}

impl Variables {
    /// Reads what an operation needs; `get` is the environment.
    pub(crate) fn read(command: Command, get: impl Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let needed: &[&str] = match command {
            Command::Add | Command::Check => &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"],
            Command::Del => &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
            Command::Gc | Command::Status => &["CNI_PATH"],
        };
        let value = |name: &str| get(name).filter(|v| !v.is_empty());
        let missing: Vec<&str> = needed.iter().copied().filter(|name| value(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(bad(format!("{} must be set for {}", missing.join(", "), word(command))));
        }
        let text = |name: &str| value(name).unwrap_or_default();
        let read = Self {
            container: text("CNI_CONTAINERID"),
            netns: text("CNI_NETNS"),
            ifname: text("CNI_IFNAME"),
            args: arguments(&text("CNI_ARGS"))?,
        };
        if needed.contains(&"CNI_CONTAINERID") && !(is_name(&read.container) && read.container.len() <= 200) {
            return Err(bad(format!(
                "CNI_CONTAINERID {:?} must begin with a letter or digit and have letters, digits, `_`, `.`, `-` only, \
                 200 at most",
                read.container
            )));
        }
        if needed.contains(&"CNI_IFNAME") && !is_link_name(&read.ifname) {
            let name = &read.ifname;
            return Err(bad(format!("CNI_IFNAME {name:?} is no name of a link: 15 characters, no `/`, `:`, space")));
        }
        Ok(read)
    }
}

/// Whether that is a name of a network or a container.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

fn is_link_name(text: &str) -> bool {
    let is_odd = |c: char| c == '/' || c == ':' || c.is_whitespace();
    (1..=15).contains(&text.len()) && text != "." && text != ".." && !text.contains(is_odd)
}

fn arguments(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let pairs = text.split(';').filter(|p| !p.is_empty());
    let pair = |pair: &str| match pair.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(bad(format!("CNI_ARGS: {pair:?} is not KEY=VALUE"))),
    };
    pairs.map(pair).collect()
}

fn bad(msg: String) -> Failure {
    Failure::new(code::ENVIRONMENT, msg)
}
