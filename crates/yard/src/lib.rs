//! The engine: yards on any OpenStack cloud.
//!
//! ```text
//! Inventory::take -> observe -> core::yard::plan -> preflight -> execute -> (observe again)
//! ```
//!
//! The cloud is the state. [`Inventory`] lists a project with a number of requests that does not depend on how much
//! the project has (but for pages of thousands), and marks say which resource belongs to which yard. [`Executor`]
//! walks a plan's graph in parallel. [`UpOperation`] and [`DownOperation`] are the whole way, stacks included, for
//! the command line and for the server's runs. Every action may run again: a resource of a request whose answer got
//! lost is found by its mark, and a resource that is gone already is fine.

mod catalogs;
pub mod container_volume;
mod data_loss;
mod draft;
mod error;
mod execute;
mod graph;
mod host_service;
mod inventory;
pub mod net;
mod observe;
mod operations;
mod pools;
mod preflight;
mod retry;
mod review;
mod server_log;
mod templates;
mod unseen;

pub use catalogs::{BUILT_IN, CatalogError, CatalogRecord, Catalogs};
pub use data_loss::{DataLoss, DataLossRefused, LostData};
pub use draft::{first_draft, offer_of, write_manifest};
pub use error::{Error, Failure, Failures, WorkError};
pub use execute::Executor;
pub use graph::{GraphInput, draw_graph};
pub use host_service::{HostService, JoinCredentials, Member, NewHost, SshTarget};
pub use inventory::{Availability, Balancing, Inventory, MarkedResource, StoredContainer};
pub use operations::{
    DeclaredStacks, DownOperation, KnownYards, NewSecrets, PackageStackRequest, PreparedStack,
    Records, Say, SweepResult, UpOperation, YardLock, YardSnapshot, YardStacks, connect,
    is_its_yard, remove_yard, scope, sweep,
};
pub use pools::{AllowedHost, HookTargets, install_script};
pub use preflight::{PreflightResult, ResolvedChoices, preflight};
pub use review::{PackageReview, StackReview, printable};
pub use server_log::server_log;
pub use templates::{RENDER_TEMPLATES, TemplateRenderer, render_templates};
pub use unseen::{FailedListing, OptionalListing};
