//! Cinder volumes of stacks, on hosts that are Nova servers.
//!
//! ```text
//!   agent ── Attach(stack, volume) ──> find by mark, or create ──> attach ──> in-use ──> Attached(id)
//!   agent ── Detach(stack, volume) ──> (it has unmounted)  detach ──> available ──> Detached
//! ```
//!
//! The attachment in the cloud is the lock; nothing about it is stored here. A host mounts a volume only while its own
//! server has the attachment. The server detaches in two cases only: the host says that it has unmounted the volume, or
//! Nova says that the server which has it is shut off. In all other cases the host that wants the volume waits, and the
//! stack's status says for what. `step` decides this, without I/O.
//!
//! A host gets a volume only while the state that it should run has a service with that volume. Which server a host is,
//! is looked up by its mark, never believed.
//!
//! One thing at a time happens to a volume. An agent that was cut off asks again, and a lost answer is repaired then: the
//! volume's mark is in the request that creates it ([`Volumes::list`] and `attach` find it by that).

mod attach;
mod cinder;
mod step;

pub use cinder::{StackVolume, VolumeRemoveError};

use crate::ports::{Ports, yard_host};
use parking_lot::Mutex;
use stackyard_core::agent::{Answer, Desired, Part, VolumeAnswer, VolumeAsk};
use stackyard_core::stack::CinderVolume;
use stackyard_core::text::error_chain;
use stackyard_core::yard::Mark;
use stackyard_openstack::{Cloud, Server};
use stackyard_ports::{KeyedMutex, scope_of};
use stackyard_store::Host;
use stackyard_yard::container_volume::mark;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;

/// For so long another host's hold on a volume is told again without asking the cloud.
const HELD: Duration = Duration::from_secs(5);

/// Questions about one volume that wait for one another.
const WAITING: usize = 15;

/// Bytes of the name of a stack or volume at most: any agent may ask for any.
const NAME: usize = 255;

/// Volumes of stacks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Volumes(Arc<VolumesState>);

#[derive(Debug)]
struct VolumesState {
    /// Connects to clouds of yards.
    ports: Ports,
    /// Held while something is done about a volume, by its mark.
    turns: KeyedMutex,
    /// Volumes that other servers have, by their marks: for which host that was found when, and in words.
    held: Mutex<HashMap<String, (String, Instant, String)>>,
}

/// Why a question has no good answer.
#[derive(Debug)]
enum VolumeTrouble {
    /// It may pass: the agent asks again.
    Wait(String),
    /// It does not pass by itself.
    Refuse(String),
}

impl VolumeTrouble {
    /// Sorts what a cloud said: problems of the way and of the service pass.
    fn of(doing: impl Into<String>) -> impl FnOnce(stackyard_openstack::Error) -> Self {
        let doing = doing.into();
        move |error| {
            let hint = error.hint().map(|h| format!("; {h}")).unwrap_or_default();
            let text = format!("cannot {doing}: {}{hint}", error_chain(&error));
            let passes = match error.status() {
                Some(status) => matches!(status, 408 | 409 | 429 | 500..),
                None => matches!(error, stackyard_openstack::Error::Transport(_)),
            };
            if passes { Self::Wait(text) } else { Self::Refuse(text) }
        }
    }

    /// For callers who do not wait.
    fn into_text(self) -> String {
        match self {
            Self::Wait(text) | Self::Refuse(text) => text,
        }
    }
}

/// A volume that a host asks about.
struct VolumeQuestion<'a> {
    cloud: &'a Cloud,
    host: &'a Host,
    /// Whose the volume is.
    mark: Mark,
    /// The Nova server that the host is.
    server: Server,
}

impl Volumes {
    /// Volumes on the clouds that `ports` connects to.
    pub fn new(ports: Ports) -> Self {
        let (turns, held) = (KeyedMutex::default(), Mutex::default());
        Self(Arc::new(VolumesState { ports, turns, held }))
    }

    /// Answers a host; `desired` tells what it should run by then. It is carried out to its end, also when the host goes
    /// away.
    pub(crate) async fn answer(
        &self,
        host: Arc<Host>,
        desired: impl Fn() -> Option<Arc<Desired>> + Send + Sync + 'static,
        ask: VolumeAsk,
    ) -> Answer {
        let volumes = self.clone();
        let work = tokio::spawn(async move { volumes.carry_out(&host, &desired, &ask).await });
        match work.await {
            Ok(Ok(answer)) => Answer::Volume(answer),
            Ok(Err(VolumeTrouble::Wait(why))) => Answer::Volume(VolumeAnswer::Wait { why }),
            Ok(Err(VolumeTrouble::Refuse(why))) => Answer::Refused { why },
            Err(error) => Answer::Refused { why: format!("the server failed: {error}") },
        }
    }

    async fn carry_out(
        &self,
        host: &Host,
        desired: &(impl Fn() -> Option<Arc<Desired>> + Sync),
        ask: &VolumeAsk,
    ) -> Result<VolumeAnswer, VolumeTrouble> {
        let (stack, key) = ask.volume();
        if stack.len() > NAME || key.len() > NAME {
            return Err(VolumeTrouble::Refuse(format!("a stack or volume has a name of more than {NAME} bytes")));
        }
        // First of all, so that questions are answered in their order.
        let _turn = self.turn(&host.yard, stack, key).await?;
        let wanted = match ask {
            VolumeAsk::Attach { .. } => Some(wanted(desired().as_deref(), host, stack, key)?),
            VolumeAsk::Detach { .. } => None,
        };
        let cloud = self.cloud(&host.yard).await?;
        let scope = scope_of(&cloud).await.map_err(VolumeTrouble::of("ask the cloud for its project"))?;
        let mark = mark(&host.yard, &scope, stack, key);
        let server = server_of(&cloud, host).await?;
        let question = VolumeQuestion { cloud: &cloud, host, mark, server };
        match wanted {
            Some(wanted) => self.attach(&question, &wanted).await,
            None => self.detach(&question).await,
        }
    }

    /// Waits until nothing else is done about a volume, unless too many wait for that already.
    async fn turn(&self, yard: &str, stack: &str, key: &str) -> Result<OwnedMutexGuard<()>, VolumeTrouble> {
        let turn = self.0.turns.lock_among(&format!("{yard}/{stack}:{key}"), WAITING).await;
        turn.ok_or_else(|| VolumeTrouble::Wait("the server is at work on it for others".to_owned()))
    }

    async fn cloud(&self, yard: &str) -> Result<Cloud, VolumeTrouble> {
        let cloud = self.0.ports.cloud(yard).await.map_err(|e| VolumeTrouble::Refuse(error_chain(&e)))?;
        let none = || format!("the server has no manifest of yard {yard}, and so knows no cloud of it");
        cloud.ok_or_else(|| VolumeTrouble::Refuse(none()))
    }
}

/// The volume that a stack of a host should have there.
fn wanted(desired: Option<&Desired>, host: &Host, stack: &str, key: &str) -> Result<CinderVolume, VolumeTrouble> {
    let Some(desired) = desired else {
        return Err(VolumeTrouble::Wait("the server has just started and has not looked at the stack yet".to_owned()));
    };
    let stack_here = desired.parts.iter().find(|p| p.name() == stack).map(Part::stack);
    let volume = stack_here.and_then(|s| s.volumes.get(key).filter(|_| s.cinder_users(key).next().is_some()));
    let volume = volume.ok_or_else(|| {
        VolumeTrouble::Refuse(format!("no service of stack {stack} with volume {key} should run on host {}", host.name))
    })?;
    volume.cinder().map_err(|why| VolumeTrouble::Refuse(format!("volume {key} of stack {stack}: {why}")))
}

/// The Nova server that a host is.
async fn server_of(cloud: &Cloud, host: &Host) -> Result<Server, VolumeTrouble> {
    let found = stackyard_ports::server_of(cloud, &yard_host(host)).await;
    let doing = format!("look up the server that host {} is", host.name);
    found.map_err(VolumeTrouble::of(doing))?.ok_or_else(|| {
        VolumeTrouble::Refuse(format!(
            "host {} is no server of a pool of yard {} on cloud {}, and Cinder volumes can only be attached to those",
            host.name,
            host.yard,
            cloud.config().name
        ))
    })
}
