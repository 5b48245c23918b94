//! What the server and the agent of a host say to each other.
//!
//! ```text
//! agent                                             server
//!   │ POST /api/v1/join        join token, JoinRequest │   once: gets a host id and an agent token
//!   │ GET  /api/v1/agent       agent token, WebSocket  │   always, with back-off
//!   │ ── Hello ───────────────────────────────────────>│
//!   │<─────────────────────────────────────── Desired ─│   all that should run there, whole, each time it changes
//!   │<───────────────────────────────── Names (a part) ─│   what names lead to on other hosts, each time it changes
//!   │ ── Report ──────────────────────────────────────>│   what runs there, each time it changes
//!   │<──────────────────────── Open (logs, exec ...) ──│   streams, numbered by the server
//!   │ ── Chunk ... End ───────────────────────────────>│
//!   │<───────────────────────────────────────> Credit ─│   as far as a stream's reader takes it
//!   │ ── Ask (a container's port or volume) ──────────>│   numbered by the agent; the server asks Neutron or Nova
//!   │<──────────────────────────────────────── Answer ─│
//!   │ GET  /api/v1/images?...  agent token             │   an image that exists only at the server, as `docker save`
//! ```
//!
//! The agent calls, the server never does. Messages are JSON, one to a WebSocket text frame.
//! [`Desired`] is a whole picture and not a change, so it may be lost, doubled or sent to a new
//! process; its revision says which one a [`Report`] answers. The agent keeps the last one on
//! disk and goes on with it while it is cut off. Nothing in these messages opens a door at the
//! cloud: there is no credential of OpenStack in them.

mod config;
mod flow;
mod measure;
mod message;
mod names;
mod part;
mod port;
mod volume;

pub use crate::stack::Filesystem;
pub use config::{AgentConfig, CONFIG_PATH, DataVolume};
pub use flow::{Room, Taken, WINDOW, cost};
pub use measure::{Ear, Heard, Measure, MtuChanged, MtuContainer, MtuLink, MtuNetwork, MtuSetting, MtuSurvey};
pub use message::{
    BoundPort, Bytes, ContainerReport, ContainerState, Desired, Ended, Facts, JoinRequest, Joined, Open, PartReport,
    Processes, Report, Stream, ToAgent, ToServer, Usage,
};
pub use names::{NameUpdate, NamedContainer, NamedEndpoint, named, on_networks, shared_networks};
pub use part::{Part, Replica, replica_name};
pub use port::{
    Answer, Ask, ContainerPort, ExposedPorts, HostNetwork, HostSubnet, NewContainerPort, NewPoolMember, PoolMember,
    PortAddress, PortLink, PortOptions, PublishedPort,
};
pub use volume::{VolumeAnswer, VolumeAsk};

/// Version of this protocol. A server refuses an agent with another one, and says so.
pub const PROTOCOL: u32 = 2;
