//! The Stackyard server that hosts of pools join, as the engine sees it.

use futures_util::future::BoxFuture;
use stackyard_core::yard::Scope;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Metadata: the id of the data volume that it was told to use.
pub(crate) const DATA: &str = "stackyard.data";
/// Metadata: how its join command ended: `yes`, or what went wrong.
pub(crate) const JOINED: &str = "stackyard.joined";

/// A host as the server that it joined knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The server's id of the host.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its pool; empty for a machine that joined by hand.
    pub pool: String,
    /// The Nova server that it says it is.
    pub server_id: Option<String>,
    /// Whether its agent is connected.
    pub connected: bool,
    /// When it joined.
    pub joined: SystemTime,
    /// When its agent was last seen.
    pub last_seen: Option<SystemTime>,
    /// Version of its Docker Engine.
    pub docker: String,
    /// Containers of stacks that run on it, and stacks that it is bringing up or removing.
    pub containers: usize,
    /// It was set apart because its server was about to go.
    pub leaving: bool,
    /// Its server is to be made anew, if somebody asked for that: who, and when.
    pub replace: Option<String>,
}

/// A host that is about to join.
#[derive(Debug, Clone)]
pub struct NewHost<'a> {
    /// Its yard.
    pub yard: &'a str,
    /// Its pool.
    pub pool: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// For how long it may join.
    pub valid: Duration,
    /// Id of the host whose name it takes over.
    pub replaces: Option<String>,
}

/// What a machine needs to join.
#[derive(Clone)]
pub struct JoinCredentials {
    /// Addresses of the server, `https://host:port`.
    pub server: Vec<String>,
    /// Certificate of the server's CA, PEM.
    pub ca: String,
    /// The token.
    pub token: String,
}

/// Shows no token.
impl std::fmt::Debug for JoinCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinCredentials")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// Where to install over SSH.
#[derive(Debug, Clone)]
pub struct SshTarget<'a> {
    /// Yard of the host; its pool says which key.
    pub host: NewHost<'a>,
    /// The Nova server.
    pub server_id: &'a str,
    /// Address that is called.
    pub address: &'a str,
    /// Who logs in.
    pub user: &'a str,
    /// Fingerprints (`SHA256:...`) of its host keys as its console shows them; if there are none,
    /// the first key that it shows is trusted and kept.
    pub fingerprints: Vec<String>,
    /// Volume of its own: id and where it is mounted.
    pub disk: Option<(&'a str, &'a str)>,
}

/// The Stackyard server that hosts of pools join. Errors are sentences that say what was tried.
pub trait HostService: Send + Sync {
    /// The scope of the yard of this name that it knows, if it knows one.
    fn scope<'a>(&'a self, yard: &'a str) -> BoxFuture<'a, Result<Option<Scope>, String>>;
    /// Hosts of a yard.
    fn hosts<'a>(&'a self, yard: &'a str) -> BoxFuture<'a, Result<Vec<Member>, String>>;
    /// Makes a token that lets one host join.
    fn mint<'a>(&'a self, host: NewHost<'a>) -> BoxFuture<'a, Result<JoinCredentials, String>>;
    /// Has nothing new put on a host, and moves away what runs there.
    fn drain<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>>;
    /// Takes a host back that was drained, since its server stays after all; not one that somebody
    /// else set apart.
    fn take_back<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>>;
    /// Forgets a host.
    fn forget<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>>;
    /// The public half of a pool's SSH key, if it has one.
    fn known_ssh_key<'a>(
        &'a self,
        yard: &'a str,
        pool: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, String>>;
    /// The public half of a pool's SSH key, which is made if there is none.
    fn ssh_key<'a>(&'a self, yard: &'a str, pool: &'a str)
    -> BoxFuture<'a, Result<String, String>>;
    /// Installs what is missing over SSH and lets the host join; `told` hears of progress.
    fn ssh_join<'a>(
        &'a self,
        target: SshTarget<'a>,
        told: &'a (dyn Fn(String) + Send + Sync),
    ) -> BoxFuture<'a, Result<(), String>>;
}
