//! Attaching and detaching: looks at Cinder and Nova, takes a step, looks again.

use super::step::{ServerPower, VolumeHolder, VolumeState, VolumeStep};
use super::{HELD, VolumeQuestion, VolumeTrouble, Volumes, cinder};
use stackyard_core::agent::VolumeAnswer;
use stackyard_core::stack::CinderVolume;
use stackyard_openstack::{Server, Volume};
use stackyard_yard::container_volume::HOLDS_DATA;
use std::time::{Duration, Instant};

/// How long a question waits for the cloud, at most. An agent waits for 120 s.
const PATIENCE: Duration = Duration::from_secs(75);

/// First and longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));

/// Refusals of one step, one after the other, that are the answer.
const REFUSALS: u32 = 3;

/// The looks that one question may take.
struct LookPauses {
    next: Duration,
    began: Instant,
}

impl LookPauses {
    fn begin() -> Self {
        Self { next: PAUSES.0, began: Instant::now() }
    }

    /// Waits until the next look; false if the question has waited long enough.
    async fn wait(&mut self) -> bool {
        if self.began.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(PAUSES.1);
        true
    }
}

/// A volume as Cinder and Nova have it.
struct VolumeLook {
    volume: Volume,
    in_nova: bool,
    other: Option<VolumeHolder>,
}

impl VolumeLook {
    fn state<'a>(&'a self, server: &'a str) -> VolumeState<'a> {
        VolumeState {
            status: &self.volume.status,
            server,
            in_cinder: self.volume.attachments.iter().any(|a| a.server_id == server),
            in_nova: self.in_nova,
            other: self.other.clone(),
        }
    }
}

/// Steps that the cloud refused.
#[derive(Default)]
struct StepRefusals {
    count: u32,
    said: String,
}

impl StepRefusals {
    /// Notes how a step ended. Cinder and Nova refuse what they are doing already, as after a lost answer.
    fn note(&mut self, result: Result<(), VolumeTrouble>) -> Result<(), VolumeTrouble> {
        let Err(trouble) = result else { return Ok(()) };
        self.count += 1;
        if self.count >= REFUSALS {
            return Err(trouble);
        }
        self.said = trouble.into_text();
        Ok(())
    }
}

impl Volumes {
    /// Attaches a volume to the host that asks for it.
    pub(super) async fn attach(
        &self,
        q: &VolumeQuestion<'_>,
        wanted: &CinderVolume,
    ) -> Result<VolumeAnswer, VolumeTrouble> {
        let name = q.mark.to_string();
        if let Some((host, since, why)) = self.0.held.lock().get(&name)
            && *host == q.host.id
            && since.elapsed() < HELD
        {
            return Ok(VolumeAnswer::Wait { why: why.clone() });
        }
        let volume = cinder::find_or_create(q, wanted).await?;
        let what = format!("volume {}", volume.id);
        let (mut refusals, mut pauses) = (StepRefusals::default(), LookPauses::begin());
        loop {
            let look = look(q, &volume.id).await?;
            let why = match look.state(&q.server.id).toward_attached() {
                VolumeStep::Done => return Ok(VolumeAnswer::Attached { id: volume.id }),
                VolumeStep::Refuse(why) => return Err(VolumeTrouble::Refuse(format!("{what}: {why}"))),
                VolumeStep::Held(why) => {
                    let why = format!("{what}: {why}");
                    self.0.held.lock().insert(name, (q.host.id.clone(), Instant::now(), why.clone()));
                    return Ok(VolumeAnswer::Wait { why });
                }
                VolumeStep::Attach => {
                    refusals.note(begin(q, &look.volume).await)?;
                    format!("{what}: it is being attached. {}", refusals.said)
                }
                VolumeStep::Detach(server) => {
                    refusals.note(leave(q, &server, &volume.id).await)?;
                    format!("{what}: it is being detached from a server that is shut off. {}", refusals.said)
                }
                VolumeStep::Look(why) => format!("{what}: {why}"),
            };
            if !pauses.wait().await {
                return Ok(VolumeAnswer::Wait { why });
            }
        }
    }

    /// Detaches a volume from the host that has unmounted it; all of that mark, since an answer may have got lost.
    pub(super) async fn detach(&self, q: &VolumeQuestion<'_>) -> Result<VolumeAnswer, VolumeTrouble> {
        let (mut refusals, mut pauses) = (StepRefusals::default(), LookPauses::begin());
        loop {
            let mut open = None;
            for volume in cinder::find_all(q).await? {
                let look = look(q, &volume.id).await?;
                let why = match look.state(&q.server.id).toward_detached() {
                    VolumeStep::Detach(server) => {
                        refusals.note(leave(q, &server, &volume.id).await)?;
                        format!("it is being detached. {}", refusals.said)
                    }
                    VolumeStep::Look(why) => why,
                    VolumeStep::Done | VolumeStep::Attach | VolumeStep::Held(_) | VolumeStep::Refuse(_) => continue,
                };
                open = Some(format!("volume {}: {why}", volume.id));
            }
            let Some(why) = open else {
                self.0.held.lock().remove(&q.mark.to_string());
                return Ok(VolumeAnswer::Detached);
            };
            if !pauses.wait().await {
                return Ok(VolumeAnswer::Wait { why });
            }
        }
    }
}

/// Looks at a volume and at the servers that have it.
async fn look(q: &VolumeQuestion<'_>, id: &str) -> Result<VolumeLook, VolumeTrouble> {
    let volume: Volume = q.cloud.get(id).await.map_err(VolumeTrouble::of(format!("look at volume {id}")))?;
    let doing = || VolumeTrouble::of(format!("list the volumes of server {}", q.server.name));
    let in_nova = q.cloud.attached_volumes(&q.server.id).await.map_err(doing())?.iter().any(|v| v == id);
    let other = volume.attachments.iter().find(|a| a.server_id != q.server.id).map(|a| a.server_id.clone());
    let other = match other {
        Some(server) => Some(holder(q, server).await?),
        None => None,
    };
    Ok(VolumeLook { volume, in_nova, other })
}

async fn holder(q: &VolumeQuestion<'_>, id: String) -> Result<VolumeHolder, VolumeTrouble> {
    match q.cloud.get::<Server>(&id).await {
        Ok(server) => {
            let is_off = server.status == "SHUTOFF" && server.task_state.is_none();
            let power = if is_off { ServerPower::Off } else { ServerPower::On(server.status) };
            Ok(VolumeHolder { id, name: server.name, power })
        }
        Err(e) if e.is_not_found() => Ok(VolumeHolder { name: id.clone(), id, power: ServerPower::Deleted }),
        Err(e) => Err(VolumeTrouble::of(format!("look at server {id}, which has the volume"))(e)),
    }
}

/// Attaches a volume, which from now on may hold data.
async fn begin(q: &VolumeQuestion<'_>, volume: &Volume) -> Result<(), VolumeTrouble> {
    if !volume.metadata.contains_key(HOLDS_DATA) {
        let noted = q.cloud.set_volume_metadata(&volume.id, HOLDS_DATA, "yes").await;
        noted.map_err(VolumeTrouble::of(format!("note that volume {} holds data", volume.id)))?;
    }
    tracing::info!(volume = volume.id, host = q.host.name, key = q.mark.key.name, "attaching");
    let doing = format!("attach volume {} to host {}", volume.id, q.host.name);
    q.cloud.attach_volume(&q.server.id, &volume.id).await.map_err(VolumeTrouble::of(doing))
}

async fn leave(q: &VolumeQuestion<'_>, server: &str, id: &str) -> Result<(), VolumeTrouble> {
    tracing::info!(volume = id, server, key = q.mark.key.name, "detaching");
    let doing = format!("detach volume {id} from server {server}");
    q.cloud.detach_volume(server, id).await.map(drop).map_err(VolumeTrouble::of(doing))
}
