//! The messages.

use super::measure::Measure;
use super::names::NameUpdate;
use super::part::{Part, Replica};
use super::port::{Answer, Ask, PortLink};
use crate::stack::PortProtocol;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use utoipa::ToSchema;

/// What a host says of itself. What it does not say (an older agent) is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Facts {
    /// The machine's id (`/etc/machine-id`), which tells two machines of one name apart.
    pub machine_id: String,
    /// Its host name.
    pub hostname: String,
    /// Id of the Nova server that it is, if it is one.
    pub server_id: Option<String>,
    /// Operating system, for people.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor architecture as Debian names it (`amd64`, `arm64`).
    pub arch: String,
    /// Processors that it has.
    pub cpus: u32,
    /// Memory that it has, in bytes.
    pub memory: u64,
    /// Version of Docker Engine.
    pub docker: String,
    /// Version of the agent.
    pub agent: String,
    /// Addresses others reach it at, the one of the default route first.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpAddr>,
    /// Greatest packet of the interface of the default route, in bytes.
    pub mtu: u32,
    /// Links of containers on Neutron ports that its kernel can make. An agent that names some also publishes ports of
    /// such containers on the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<PortLink>,
}

/// The body of a join; the join token comes in the header `Authorization: Bearer`.
///
/// A join token is good for one host. An agent that was killed between the server's answer and
/// writing it down asks again: while the join token is valid, a server answers a request with
/// the token *and* the nonce of the one that used it up as it did the first time, for the same
/// host and with a new agent token in place of the one before. It keeps the hash of the nonce only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JoinRequest {
    /// The host.
    pub facts: Facts,
    /// Name of the host, for people.
    pub name: String,
    /// Labels of the host, for placement constraints.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// 32 random bytes in hexadecimal, on the host's disk before the first request.
    pub nonce: String,
}

/// Shows no nonce.
impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest").field("facts", &self.facts).field("name", &self.name).finish_non_exhaustive()
    }
}

/// The answer to a join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Joined {
    /// Id of the host.
    pub host: String,
    /// The agent's token, told this once.
    pub token: String,
}

/// Shows no token.
impl fmt::Debug for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joined").field("host", &self.host).finish_non_exhaustive()
    }
}

/// All that should run on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Desired {
    /// Grows with each change.
    pub revision: u64,
    /// The host's parts of stacks, in order of their names. What is not among them is to go.
    pub parts: Vec<Part>,
}

/// From the server to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToAgent {
    /// What should run. It replaces all that was said before.
    Desired(Box<Desired>),
    /// Names of containers on other hosts changed.
    Names(Box<NameUpdate>),
    /// Opens a stream.
    Open {
        /// Its number, never used twice in a connection.
        stream: u64,
        /// What it is to show.
        open: Open,
    },
    /// Input for a stream.
    Input {
        /// Which one.
        stream: u64,
        /// The bytes; none closes the input.
        data: Bytes,
    },
    /// A terminal has another size.
    Resize {
        /// Stream with the terminal.
        stream: u64,
        /// Lines.
        rows: u16,
        /// Columns.
        columns: u16,
    },
    /// The reader of a stream has taken so much of its output.
    Credit {
        /// Which one.
        stream: u64,
        /// In bytes, see [`super::cost`].
        bytes: u32,
    },
    /// Nobody looks at a stream any more.
    Close {
        /// Which one.
        stream: u64,
    },
    /// Answers a [`ToServer::Ask`].
    Answer {
        /// Which one.
        number: u64,
        /// The answer.
        answer: Answer,
    },
}

/// What a stream shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Open {
    /// Logs of containers.
    Logs {
        /// The stack.
        stack: String,
        /// Replicas; all of the host if empty.
        replicas: Vec<Replica>,
        /// Go on with new lines.
        follow: bool,
        /// So many lines of each that were written before; all if absent.
        tail: Option<u32>,
        /// Not older, in seconds since 1970.
        since: Option<i64>,
    },
    /// A program in a container.
    Exec {
        /// The stack.
        stack: String,
        /// Whose container.
        replica: Replica,
        /// Program and arguments.
        command: Vec<String>,
        /// With a terminal.
        tty: bool,
        /// Its input comes with [`ToAgent::Input`].
        stdin: bool,
        /// User; the container's if absent.
        user: Option<String>,
    },
    /// Processes of containers: one [`Processes`] a piece of output, JSON.
    Top {
        /// The stack.
        stack: String,
        /// Replicas.
        replicas: Vec<Replica>,
    },
    /// Work on MTUs.
    Measure {
        /// Which.
        measure: Measure,
    },
}

/// From an agent to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToServer {
    /// First message of a connection.
    Hello {
        /// [`super::PROTOCOL`].
        protocol: u32,
        /// The host.
        facts: Facts,
        /// Revision of the desired state that the agent has on disk.
        revision: Option<u64>,
    },
    /// What runs.
    Report(Box<Report>),
    /// A piece of a stream.
    Chunk {
        /// Which stream.
        stream: u64,
        /// Whose output, where a stream shows several containers.
        replica: Option<Replica>,
        /// Where it was written.
        from: Stream,
        /// The bytes.
        data: Bytes,
    },
    /// So much of a stream's input was taken.
    Credit {
        /// Which stream.
        stream: u64,
        /// In bytes, see [`super::cost`].
        bytes: u32,
    },
    /// Asks for something about ports or volumes of containers.
    Ask {
        /// Its number, never used twice by a running agent.
        number: u64,
        /// What.
        ask: Ask,
    },
    /// Nothing more comes of a stream.
    End {
        /// Which stream.
        stream: u64,
        /// Exit status of a program.
        status: Option<i64>,
        /// What went wrong.
        error: Option<String>,
    },
}

/// Where output was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What runs on a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Revision of the desired state that was worked on last.
    pub revision: u64,
    /// Whether work on it has ended: what is not as it should be then has an error.
    pub settled: bool,
    /// By stack.
    pub parts: BTreeMap<String, PartReport>,
    /// What the host has in use.
    pub usage: Usage,
    /// Greatest packet in the networks of its containers, in bytes; absent if the engine decides, or the
    /// agent is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

/// What runs of one stack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PartReport {
    /// What went wrong at the last attempt, for people; the agent tries again.
    pub error: Option<String>,
    /// Its containers.
    pub containers: Vec<ContainerReport>,
    /// The engine did not tell of all containers: those that are not listed may run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub incomplete: bool,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContainerReport {
    /// Which replica of which service.
    pub replica: Replica,
    /// Generation of the service that it was made from, see [`Part::generations`].
    pub generation: u64,
    /// Its id.
    pub id: String,
    /// What it does.
    pub state: ContainerState,
    /// What its health test says; absent where it has none.
    pub healthy: Option<bool>,
    /// Times that the engine started it again.
    pub restarts: i64,
    /// When it was started, in seconds since 1970.
    pub started: Option<i64>,
    /// The last lines of its log, if it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// How it ended when it did last; absent if it never did while the agent looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Its addresses on networks that reach across hosts, by the network's name on the engine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Its ports that the host forwards, while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<BoundPort>,
}

/// A port of a container that its host forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct BoundPort {
    /// Port in the container.
    pub target: u16,
    /// Transport.
    pub protocol: PortProtocol,
    /// Port on the host.
    pub published: u16,
    /// Address on the host; absent for all addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub host_ip: Option<IpAddr>,
}

/// The processes of a container, as `ps` of its host lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processes {
    /// Titles of the columns.
    pub titles: Vec<String>,
    /// A row for each process.
    pub rows: Vec<Vec<String>>,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ContainerEnded)]
pub struct Ended {
    /// Its exit status.
    pub status: i64,
    /// The kernel ended it, or one of its processes, since it used more memory than it may.
    pub oom: bool,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state", content = "status")]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Runs.
    Running,
    /// Ended, and is started again.
    Restarting,
    /// Frozen.
    Paused,
    /// Ended with a status.
    Exited(i64),
}

/// What a host has in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Memory in use, in bytes (total without available).
    pub memory: u64,
    /// Load average of the last minute, in hundredths.
    pub load: u32,
    /// Space of Docker's data directory, in bytes.
    pub disk: u64,
    /// Of it in use, in bytes.
    pub disk_used: u64,
}

/// Bytes, Base64 in JSON (RFC 4648, section 4, with padding).
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_bytes());
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}
