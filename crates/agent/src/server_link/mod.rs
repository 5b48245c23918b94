//! The host's side of its link to the server: joining, one outbound connection, questions to the server.
//!
//! ```text
//!   join ──> identity (host.json) ──> connection ──> Handler: desired state, streams
//!                                         ^
//!                            rpc ─────────┘ questions and their answers
//! ```

mod connection;
mod http;
mod identity;
pub mod join;
pub(crate) mod rpc;

pub(crate) use connection::{ConnectionHandler, ConnectionSession, keep};
pub(crate) use http::ServerClient;
pub use identity::Identity;
pub(crate) use identity::identity;

/// Where a server answers, and as whom to call there.
#[derive(Clone)]
pub(crate) struct ServerAccess {
    pub(crate) servers: Vec<String>,
    pub(crate) client: ServerClient,
    pub(crate) identity: Identity,
}
