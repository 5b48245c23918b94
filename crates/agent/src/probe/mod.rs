//! What really gets through from this host, how its MTUs are set, and setting them.
//!
//! ```text
//!   agent A                              server                           agent B
//!   Search ── echo requests, DF ────────────────────────────────────────> Listen
//!     ^   <─ echo replies ──────────────────────────────────────────────    │
//!     └──────────── input: Heard ──────────┘ <───────── chunks: Heard ──────┘
//! ```
//!
//! An echo reply has its request's size, but a machine that answers lets it be fragmented; and where it does not
//! come, nobody knows which way it went lost. So one who listens tells which requests came: a search then is about
//! one direction alone. It needs no port that a firewall would have to let through.
//!
//! What enters a container's network namespace is a thread of its own, which ends there. Only the address that was
//! asked for is sent to, at most 100 kB a second.

mod icmp;
pub(crate) mod search;
pub(crate) mod set;
pub(crate) mod survey;

use crate::context::Context;
use stackyard_core::mtu::search::Found;
use stackyard_core::text::error_chain;
use stackyard_wire::namespace::Namespace;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use tokio::sync::oneshot;

/// Searches the largest packet, of `most` bytes at most, that gets from this machine to an address, as its answers
/// tell. Blocks.
///
/// # Errors
/// What the system says; it lets root, and those whom `net.ipv4.ping_group_range` names.
pub fn largest(to: IpAddr, most: u32) -> std::io::Result<Found> {
    search::largest(to, rand::random(), most, None, &AtomicBool::new(false))
}

/// The network namespace of a container; none for the host's own.
pub(crate) async fn namespace(context: &Context, container: Option<&str>) -> Result<Option<PathBuf>, String> {
    let Some(container) = container else { return Ok(None) };
    let engine = context.engine()?;
    let inspected = engine.docker().api().inspect_container(container, None).await;
    let inspected = inspected.map_err(|e| format!("looking up container {container}: {}", error_chain(&e)))?;
    namespace_of(inspected.state.and_then(|s| s.pid))
        .map(Some)
        .ok_or_else(|| format!("container {container} does not run"))
}

/// That of a container whose first process has this id.
fn namespace_of(pid: Option<i64>) -> Option<PathBuf> {
    pid.filter(|pid| *pid > 0).map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")))
}

/// Does blocking work on a thread of its own, which enters a network namespace and ends there.
pub(crate) async fn within<T: Send + 'static>(
    namespace: Option<PathBuf>,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let (done, ended) = oneshot::channel();
    let thread = std::thread::Builder::new().name("mtu".to_owned()).spawn(move || {
        let enter = |path: PathBuf| {
            let namespace =
                Namespace::open(&path).map_err(|e| format!("opening network namespace {}: {e}", path.display()))?;
            namespace.enter().map_err(|e| error_chain(&e))
        };
        let entered = namespace.map_or(Ok(()), enter);
        let _ = done.send(entered.and_then(|()| work()));
    });
    thread.map_err(|e| format!("starting a thread: {e}"))?;
    ended.await.unwrap_or_else(|_| Err("its thread ended before it was done".to_owned()))
}
