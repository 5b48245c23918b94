//! How many containers a service has, and where and how they come: the `deploy` section.
//!
//! Source: the Compose specification, `deploy.md`, and for what it leaves open Docker's
//! Swarm mode, from which the section comes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A service among several hosts. The default is one container, wherever there is room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deploy {
    /// How its containers are counted.
    pub mode: Mode,
    /// How many there are, unless there is one on each host.
    pub replicas: u32,
    /// Where they may be and where they should be.
    pub placement: Placement,
    /// CPUs set aside for each, in billionths of a CPU. What is set aside in memory is the
    /// service's own `mem_reservation`.
    pub nano_cpus: u64,
    /// How changes are brought to it.
    pub update: Update,
    /// How a change is taken back.
    pub rollback: Update,
    /// Hosts get its image from the server, whatever its name says (`x-stackyard: {image: local}`).
    pub local_image: bool,
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            replicas: 1,
            placement: Placement::default(),
            nano_cpus: 0,
            update: Update::default(),
            rollback: Update::default(),
            local_image: false,
        }
    }
}

impl Deploy {
    /// Whether it says no more than that there is one container.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the containers of a service are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// So many as [`Deploy::replicas`] says.
    #[default]
    Replicated,
    /// One on each host that will do.
    Global,
    /// So many as [`Deploy::replicas`] says, each until it ends with 0.
    ReplicatedJob,
    /// One on each host that will do, until it ends with 0.
    GlobalJob,
}

impl Mode {
    /// Whether there is one on each host.
    pub fn is_global(self) -> bool {
        matches!(self, Self::Global | Self::GlobalJob)
    }

    /// Whether its containers are to end.
    pub fn is_job(self) -> bool {
        matches!(self, Self::ReplicatedJob | Self::GlobalJob)
    }
}

/// Where containers may be and where they should be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Placement {
    /// Hosts that do not meet all of them get none.
    pub constraints: Vec<Constraint>,
    /// Labels over whose values they are spread evenly, the weightiest first; after them, hosts.
    pub spread: Vec<String>,
    /// So many on a host at most.
    pub max_per_host: Option<u32>,
}

/// What a host must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// What is looked at.
    pub what: What,
    /// Whether it must be the value; else it must not be it.
    pub equal: bool,
    /// The value.
    pub value: String,
}

/// What a constraint looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// `node.labels.<name>`
    Label(String),
    /// `node.hostname`: the host's name.
    Hostname,
    /// `node.id`: the host's id.
    Id,
    /// `node.pool`: the host pool that it is of.
    Pool,
    /// `node.role`: every host is a `worker`.
    Role,
    /// `node.platform.os`: `linux`.
    Os,
    /// `node.platform.arch`: `amd64` or `x86_64`, `arm64` or `aarch64`.
    Arch,
}

impl Constraint {
    /// Reads `node.labels.disk == ssd`.
    ///
    /// # Errors
    /// A phrase that says what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (what, equal, value) = match (text.split_once("=="), text.split_once("!=")) {
            (Some((what, value)), _) => (what, true, value),
            (None, Some((what, value))) => (what, false, value),
            (None, None) => return Err("`<what> == <value>` or `<what> != <value>` is expected".into()),
        };
        let value = value.trim().to_owned();
        if value.is_empty() {
            return Err("a value is missing".into());
        }
        Ok(Self { what: What::parse(what.trim())?, equal, value })
    }
}

impl What {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "node.hostname" => Self::Hostname,
            "node.id" => Self::Id,
            "node.pool" => Self::Pool,
            "node.role" => Self::Role,
            "node.platform.os" => Self::Os,
            "node.platform.arch" => Self::Arch,
            _ => match text.strip_prefix("node.labels.") {
                Some(label) if !label.is_empty() => Self::Label(label.to_owned()),
                _ => {
                    return Err("only node.labels.<name>, node.hostname, node.id, node.pool, node.role, \
                                node.platform.os and node.platform.arch can be asked for"
                        .into());
                }
            },
        })
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(name) => write!(f, "node.labels.{name}"),
            Self::Hostname => f.write_str("node.hostname"),
            Self::Id => f.write_str("node.id"),
            Self::Pool => f.write_str("node.pool"),
            Self::Role => f.write_str("node.role"),
            Self::Os => f.write_str("node.platform.os"),
            Self::Arch => f.write_str("node.platform.arch"),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.what, if self.equal { "==" } else { "!=" }, self.value)
    }
}

/// How containers are replaced by ones of another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Update {
    /// So many at once; all if 0.
    pub parallelism: u32,
    /// Time between one batch and the next.
    pub delay: Duration,
    /// What is done when too many fail.
    pub on_failure: OnFailure,
    /// How long a container must go on working before it counts as done.
    pub monitor: Duration,
    /// Share of the containers that may fail, in millionths.
    pub max_failures: u32,
    /// Which comes first.
    pub order: Order,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            parallelism: 1,
            delay: Duration::ZERO,
            on_failure: OnFailure::default(),
            monitor: Duration::from_secs(5),
            max_failures: 0,
            order: Order::default(),
        }
    }
}

/// What is done when too many containers of a new version fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// No more are replaced.
    #[default]
    Pause,
    /// The others are replaced all the same.
    Continue,
    /// All become what they were before.
    Rollback,
}

/// Which comes first when a container is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The old one ends, then the new one starts.
    #[default]
    StopFirst,
    /// The new one starts and works, then the old one ends.
    StartFirst,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_read_and_shown() {
        for text in ["node.labels.disk == ssd", "node.hostname != a", "node.pool == web", "node.labels.a.b == c"] {
            assert_eq!(Constraint::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Constraint::parse("node.role==worker").unwrap().what, What::Role);
        for text in ["", "node.role", "node.role ==", "node.labels. == x", "engine.labels.x == y", "a=b"] {
            assert!(Constraint::parse(text).is_err(), "{text}");
        }
    }
}
