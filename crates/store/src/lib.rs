//! What the server keeps: hosts, tokens, yards' manifests and runs, stacks, secrets, the audit log.
//!
//! SQLite in a file of the state directory, or PostgreSQL by URL; tables, queries and tests are
//! the same (`$1` is a parameter in both). Nothing here decides anything: who may do what, when
//! something is too old, what a stack's content means is the server's business. What has to hold
//! whoever calls (a token is used once, a name is one host's) is a condition of a single
//! statement or of one transaction.
//!
//! Tokens come as their SHA-256. They are 256 bits of randomness, so there is nothing to guess
//! that a slow, salted hash (argon2) would protect, and looking one up has to be cheap: every
//! request does it.
//!
//! No resource of a cloud is lost with the store: clouds are observed, not remembered.

mod audit;
mod copy;
mod error;
mod host;
mod join;
mod person;
mod row;
mod run;
mod secret;
mod session;
mod setting;
mod stack;
mod store;
mod token;
mod yard;

pub use audit::{AuditFilter, Entry, NewEntry, Outcome, note_backup};
pub use copy::{CellValue, StoreLoader, StoreSnapshot, TableRows};
pub use error::Error;
pub use host::{Drain, Host, NewHost, Replace};
pub use join::{Join, Redeemed};
pub use person::Person;
pub use run::{NewRun, Run};
pub use secret::SecretName;
pub use stack::Stack;
pub use store::{Database, SCHEMA, Store};
pub use token::Token;
pub use yard::{Manifest, ManifestName, Yard};

/// Milliseconds since 1970.
pub type Millis = i64;
