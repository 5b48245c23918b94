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
mod search;
mod set;
mod survey;
use crate::host::Host;
use crate::streams::{Input, Inputs, Out};
use serde::Serialize;
use stackyard_core::agent::{Heard, Measure, Stream};
use stackyard_core::mtu::search::Found;
use stackyard_core::text::error_chain;
use stackyard_wire::namespace::Namespace;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Searches and ears at once.
const AT_ONCE: usize = 32;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Tells a thread to end when it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Searches the largest packet, of `most` bytes at most, that gets from this machine to an address, as its answers
/// tell. Blocks.
///
/// # Errors
/// What the system says; it lets root, and those whom `net.ipv4.ping_group_range` names.
pub fn largest(to: IpAddr, most: u32) -> std::io::Result<Found> {
    search::largest(to, rand::random(), most, None, &AtomicBool::new(false))
}

/// Tells the one who asked.
async fn say(out: &Out, what: &impl Serialize) -> Result<(), String> {
    let data = serde_json::to_vec(what).map_err(|e| error_chain(&e))?;
    let told = out.send(None, Stream::Stdout, data).await;
    told.then_some(()).ok_or_else(|| "the connection to the server was lost".to_owned())
}

/// Does what the server asked for, until it is done or the stream is closed.
pub(crate) async fn run(
    host: &Host,
    measure: Measure,
    out: &Out,
    mut inputs: Inputs,
    closing: &mut oneshot::Receiver<()>,
) -> Result<(), String> {
    match measure {
        Measure::Survey => say(out, &survey::survey(host).await?).await,
        Measure::Set(setting) => {
            for changed in set::set(host, setting).await? {
                host.say(format!("the MTU of {} is {} now, for it was {}", changed.what, changed.to, changed.from));
                say(out, &changed).await?;
            }
            Ok(())
        }
        Measure::Search { from, to, token, most, heard } => {
            let _place = PLACES.acquire().await;
            let namespace = namespace(host, from.as_deref()).await?;
            let (tell, hears) = std::sync::mpsc::channel();
            let stop = Arc::new(AtomicBool::new(false));
            let _stop = Stop(stop.clone());
            let work = within(namespace, move || {
                search::largest(to, token, most, heard.then_some(hears), &stop)
                    .map_err(|e| format!("sending echoes to {to}: {e}"))
            });
            tokio::pin!(work);
            loop {
                tokio::select! {
                    _ = &mut *closing => return Ok(()),
                    found = &mut work => return say(out, &found?).await,
                    Some(input) = inputs.recv() => {
                        if let Input::Data(data) = input
                            && let Ok(Heard { sequence, .. }) = serde_json::from_slice(&data)
                        {
                            let _ = tell.send(sequence);
                        }
                    }
                }
            }
        }
        Measure::Listen { at, ipv6, token } => {
            let _place = PLACES.acquire().await;
            let namespace = namespace(host, at.as_deref()).await?;
            let stop = Arc::new(AtomicBool::new(false));
            let _stop = Stop(stop.clone());
            let (told, mut tells) = mpsc::channel(64);
            let work = within(namespace, move || {
                search::listen(ipv6, token, &told, &stop).map_err(|e| format!("listening for echoes: {e}"))
            });
            tokio::pin!(work);
            loop {
                tokio::select! {
                    _ = &mut *closing => return Ok(()),
                    ended = &mut work => return ended,
                    Some(ear) = tells.recv() => say(out, &ear).await?,
                }
            }
        }
    }
}

/// The network namespace of a container; none for the host's own.
async fn namespace(host: &Host, container: Option<&str>) -> Result<Option<PathBuf>, String> {
    let Some(container) = container else { return Ok(None) };
    let engine = host.engine()?;
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
async fn within<T: Send + 'static>(
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
