//! Yards on any OpenStack cloud, and the server that hosts' agents call.
//!
//! # The server
//!
//! [`daemon`] is the process, [`api`] what it offers, [`hub`] the agents' connections, [`ca`] its
//! certificate, [`client`] the way of the command line to it, `console` that of people.
//!
//! [`local`] is the cloud of the server's own machine, which the crate `cloud` brings up.
//!
//! # Yards
//!
//! ```text
//! Inventory::take ──> observe ──> core::yard::plan ──> preflight ──> apply ──> (observe again)
//! ```
//!
//! The cloud is the state. [`Inventory`] lists a project with a number of requests that does not
//! depend on how much is in it (but for pages of thousands); marks say what belongs to which yard.
//! [`Run::apply`] walks a plan's graph in parallel; [`Bringing`] and [`Removal`] are the whole way,
//! stacks included, which the command line and the server's own runs go alike. Every action may be run
//! again: what was made by a request whose answer got lost is found by its mark, what is gone already is
//! fine.

mod act;
mod apart;
pub mod api;
mod apply;
pub mod auth;
pub mod ca;
pub mod client;
mod console;
pub mod daemon;
mod data_loss;
mod declared;
pub mod doctor;
mod draft;
mod error;
mod files;
mod graph;
pub mod hub;
mod inventory;
mod join;
pub mod local;
mod looks;
pub mod net;
mod observe;
mod offer;
mod pools;
pub mod ports;
mod preflight;
mod record;
mod resource;
pub mod runs;
mod server_log;
mod ssh;
pub mod stack;
mod steady;
mod templates;
mod work;
mod yard;
mod yard_stacks;

pub use apply::Run;
pub use data_loss::{DataLoss, LostData};
pub use declared::DeclaredStacks;
pub use draft::{DraftFault, DraftJoin, YardDraft};
pub use error::{Error, Failure, Failures, WorkError};
pub use graph::{Graph, GraphCloud, GraphEdge, GraphJoint, GraphKind, GraphNode, GraphState, Sight};
pub use inventory::{Balancing, Inventory, Optional, Owned, Reach, Stored, Unseen};
pub use offer::{Offer, Offered};
pub use pools::{HostService, Member, Newcomer, SshTarget, Ticket};
pub use preflight::{Choices, Found, preflight};
pub use record::{KnownYards, Lock, Records};
pub use resource::{ResourceNow, ResourceState};
pub use server_log::server_log;
pub use templates::{RENDER_TEMPLATES, TemplateRenderer, render_templates};
pub use work::{Bringing, Removal, connect, is_its_yard, scope};
pub use yard::{Session, Swept};
pub use yard_stacks::YardStacks;
