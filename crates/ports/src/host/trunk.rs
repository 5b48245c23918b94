//! Trunks on hosts' NICs: one for a NIC's port, made when its first container comes. What is to be put into one and
//! taken out of it goes in batches: while a request for a trunk is under way, further ones gather, and go together.
//!
//! Neutron takes a batch wholly or not at all. One that fails is tried again as it is after another look at the trunk
//! (others may have changed it), and then in halves, so that no port fails because of another.
//!
//! VLAN ids go round: the one after the last that was given. One that has just become free may still be in use by a
//! network namespace that the host's kernel has not torn down yet.

use crate::{Error, Result};
use parking_lot::Mutex;
use stackyard_openstack::{Cloud, NewTrunk, Port, SubPort, Trunk};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// How often the same is tried while others change a trunk at the same time.
const TRIES: u32 = 5;

/// How long a trunk may take until it works. OVN's does at once; where only ports that are not bound yet can carry
/// one, it never does.
const ACTIVE_WITHIN: Duration = Duration::from_secs(10);

/// VLAN ids that there are (IEEE 802.1Q).
const IDS: u16 = 4094;

/// Why there is no trunk.
#[derive(Debug)]
pub(super) enum NoTrunk {
    /// There will be none.
    Never(String),
    /// Whether there is one could not be found out.
    Failed(Error),
}

impl From<Error> for NoTrunk {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<NoTrunk> for Error {
    fn from(no: NoTrunk) -> Self {
        match no {
            NoTrunk::Never(why) => Self::Refused(why),
            NoTrunk::Failed(error) => error,
        }
    }
}

/// The trunks of all NICs, by the ids of their ports.
#[derive(Debug, Default)]
pub(super) struct Trunks(Mutex<HashMap<String, Arc<HostTrunk>>>);

impl Trunks {
    /// The trunk of a NIC's port; `mark` says whose it is.
    pub(super) fn on(&self, parent: &Port, mark: &str) -> Arc<HostTrunk> {
        let new = || {
            Arc::new(HostTrunk {
                parent: parent.id.clone(),
                mark: mark.to_owned(),
                ..HostTrunk::default()
            })
        };
        self.0
            .lock()
            .entry(parent.id.clone())
            .or_insert_with(new)
            .clone()
    }

    /// Forgets what it knows of trunks that nobody waits for.
    pub(super) fn forget(&self) {
        self.0
            .lock()
            .retain(|_, trunk| Arc::strong_count(trunk) > 1);
    }
}

/// One trunk, and the changes that wait for it.
#[derive(Debug, Default)]
pub(super) struct HostTrunk {
    parent: String,
    mark: String,
    /// Whether there was a trunk when it was looked for.
    is_there: AtomicBool,
    /// Why there will be none.
    without: Mutex<Option<String>>,
    waiting: Mutex<Vec<TrunkChange>>,
    /// Held while the trunk is asked for something.
    trunk: tokio::sync::Mutex<Option<KnownTrunk>>,
}

/// A trunk as it was last.
#[derive(Debug)]
struct KnownTrunk {
    id: String,
    /// Ports behind it, by VLAN id.
    taken: BTreeMap<u16, String>,
    /// The VLAN id that was given last.
    last: u16,
}

#[derive(Debug)]
enum TrunkChange {
    Add(AddPort),
    Remove(RemovePort),
}

#[derive(Debug)]
struct AddPort {
    port: String,
    /// The VLAN id that it must have.
    wanted: Option<u16>,
    /// VLAN ids that it must not have.
    taken: Vec<u16>,
    told: oneshot::Sender<Result<u16>>,
}

#[derive(Debug)]
struct RemovePort {
    port: String,
    told: oneshot::Sender<Result<()>>,
}

impl KnownTrunk {
    fn of(trunk: Trunk) -> Self {
        let taken = trunk
            .sub_ports
            .into_iter()
            .filter_map(|s| Some((u16::try_from(s.segmentation_id).ok()?, s.port_id)));
        Self {
            id: trunk.id,
            taken: taken.collect(),
            last: 0,
        }
    }

    fn id_of(&self, port: &str) -> Option<u16> {
        self.taken
            .iter()
            .find(|(_, p)| *p == port)
            .map(|(id, _)| *id)
    }

    /// A VLAN id for each.
    fn assign(&self, group: &[AddPort]) -> Result<Vec<u16>> {
        let mut used: BTreeSet<u16> = self.taken.keys().copied().collect();
        let mut last = self.last;
        let mut one = |add: &AddPort| {
            if let Some(id) = self.id_of(&add.port) {
                return Ok(id);
            }
            let id = match add.wanted {
                Some(id) if used.contains(&id) => {
                    return Err(Error::refused(format!(
                        "VLAN {id} of the host's NIC is another port's by now"
                    )));
                }
                Some(id) => id,
                None => {
                    let mut round = (0..IDS).map(|n| (last + n) % IDS + 1);
                    let free = round.find(|id| !used.contains(id) && !add.taken.contains(id));
                    last = free.ok_or_else(|| {
                        Error::refused(format!("all {IDS} VLANs of the host's NIC are taken"))
                    })?;
                    last
                }
            };
            used.insert(id);
            Ok(id)
        };
        group.iter().map(&mut one).collect()
    }

    /// Puts ports that are not behind the trunk yet there, in one request.
    async fn add_subports(
        &mut self,
        cloud: &Cloud,
        group: &[AddPort],
        ids: &[u16],
    ) -> stackyard_openstack::Result<()> {
        let new = group
            .iter()
            .zip(ids)
            .filter(|(add, _)| self.id_of(&add.port).is_none());
        let subport = |(add, id): (&AddPort, &u16)| SubPort {
            port_id: add.port.clone(),
            segmentation_type: "vlan".to_owned(),
            segmentation_id: u32::from(*id),
        };
        let new: Vec<SubPort> = new.map(subport).collect();
        if !new.is_empty() {
            cloud.add_subports(&self.id, &new).await?;
        }
        self.taken.extend(
            ids.iter()
                .copied()
                .zip(group.iter().map(|add| add.port.clone())),
        );
        self.last = ids.last().copied().unwrap_or(self.last);
        Ok(())
    }
}

impl HostTrunk {
    /// Sees to it that there is a trunk.
    pub(super) async fn ready(&self, cloud: &Cloud) -> std::result::Result<(), NoTrunk> {
        if self.is_there.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.ensure(cloud, &mut *self.trunk.lock().await)
            .await
            .map(drop)
    }

    /// Puts a port behind the trunk, with that VLAN id, or one that is free and not among `taken`; its VLAN id.
    pub(super) async fn add(
        self: &Arc<Self>,
        cloud: &Cloud,
        port: &str,
        wanted: Option<u16>,
        taken: Vec<u16>,
    ) -> Result<u16> {
        let (told, hears) = oneshot::channel();
        self.waiting.lock().push(TrunkChange::Add(AddPort {
            port: port.to_owned(),
            wanted,
            taken,
            told,
        }));
        self.work(cloud);
        hears
            .await
            .unwrap_or_else(|_| Err(Error::refused("the server stops")))
    }

    /// Takes a port out of the trunk, if it is in there.
    pub(super) async fn remove(self: &Arc<Self>, cloud: &Cloud, port: &str) -> Result<()> {
        let (told, hears) = oneshot::channel();
        self.waiting.lock().push(TrunkChange::Remove(RemovePort {
            port: port.to_owned(),
            told,
        }));
        self.work(cloud);
        hears
            .await
            .unwrap_or_else(|_| Err(Error::refused("the server stops")))
    }

    /// Carries out the waiting changes in a task of its own: an agent that is cut off leaves others' changes alone.
    fn work(self: &Arc<Self>, cloud: &Cloud) {
        let (trunk, cloud) = (self.clone(), cloud.clone());
        tokio::spawn(async move {
            let mut known = trunk.trunk.lock().await;
            let (mut adds, mut removes) = (Vec::new(), Vec::new());
            for change in std::mem::take(&mut *trunk.waiting.lock()) {
                match change {
                    TrunkChange::Add(add) => adds.push(add),
                    TrunkChange::Remove(remove) => removes.push(remove),
                }
            }
            if !removes.is_empty() {
                trunk.take_out(&cloud, &mut known, removes).await;
            }
            if !adds.is_empty() {
                trunk.put_in(&cloud, &mut known, adds).await;
            }
        });
    }

    async fn look(&self, cloud: &Cloud) -> Result<Option<Trunk>> {
        let failed = Error::cloud(format!("looking for the trunk of port {}", self.parent));
        let found: Vec<Trunk> = cloud
            .list(&[("port_id", &self.parent)])
            .await
            .map_err(failed)?;
        Ok(found.into_iter().find(|t| t.port_id == self.parent))
    }

    /// The trunk, made if there is none.
    async fn ensure<'k>(
        &self,
        cloud: &Cloud,
        known: &'k mut Option<KnownTrunk>,
    ) -> std::result::Result<&'k mut KnownTrunk, NoTrunk> {
        if known.is_none() {
            if let Some(why) = self.without.lock().clone() {
                return Err(NoTrunk::Never(why));
            }
            let found = self.find_or_create(cloud).await;
            self.is_there.store(found.is_ok(), Ordering::Relaxed);
            if let Err(NoTrunk::Never(why)) = &found {
                *self.without.lock() = Some(why.clone());
            }
            *known = Some(KnownTrunk::of(found?));
        }
        known
            .as_mut()
            .ok_or_else(|| Error::refused("there is no trunk").into())
    }

    async fn find_or_create(&self, cloud: &Cloud) -> std::result::Result<Trunk, NoTrunk> {
        let (trunk, is_new) = match self.look(cloud).await? {
            Some(trunk) => (trunk, false),
            None => self.create(cloud).await?,
        };
        if trunk.status == "ACTIVE" {
            return Ok(trunk);
        }
        // While others change it, it is down for a moment.
        let usable = &["ACTIVE", "DEGRADED"];
        match cloud
            .wait_for::<Trunk>(&trunk.id, usable, ACTIVE_WITHIN)
            .await
        {
            Ok(trunk) => Ok(trunk),
            Err(e) => {
                let doing = format!("waiting for the trunk of the NIC's port {}", self.parent);
                let why = Error::cloud(doing)(e).to_string();
                if is_new {
                    let removed = cloud.delete::<Trunk>(&trunk.id).await;
                    removed.map_err(Error::cloud(why.as_str()))?;
                }
                Err(NoTrunk::Never(why))
            }
        }
    }

    /// Makes the trunk; whether it is new, since another server may have been quicker.
    async fn create(&self, cloud: &Cloud) -> std::result::Result<(Trunk, bool), NoTrunk> {
        let new = NewTrunk {
            name: "stackyard".to_owned(),
            description: self.mark.clone(),
            port_id: self.parent.clone(),
            ..NewTrunk::default()
        };
        let refused = match cloud.create::<Trunk>(&new).await {
            Ok(made) => return Ok((made, true)),
            Err(e) => e,
        };
        let is_final = matches!(refused.status(), Some(403 | 409));
        let error =
            Error::cloud(format!("making a trunk of the NIC's port {}", self.parent))(refused);
        match self.look(cloud).await? {
            Some(trunk) => Ok((trunk, false)),
            None if is_final => Err(NoTrunk::Never(error.to_string())),
            None => Err(error.into()),
        }
    }

    async fn put_in(&self, cloud: &Cloud, known: &mut Option<KnownTrunk>, adds: Vec<AddPort>) {
        let mut groups = VecDeque::from([adds]);
        while let Some(mut group) = groups.pop_front() {
            match self.put_in_group(cloud, known, &group).await {
                Ok(ids) => {
                    group
                        .into_iter()
                        .zip(ids)
                        .for_each(|(add, id)| drop(add.told.send(Ok(id))));
                }
                Err(_) if group.len() > 1 => {
                    let half = group.split_off(group.len() / 2);
                    groups.extend([group, half]);
                }
                Err(e) => drop(group.pop().map(|add| add.told.send(Err(e)))),
            }
        }
    }

    async fn put_in_group(
        &self,
        cloud: &Cloud,
        known: &mut Option<KnownTrunk>,
        group: &[AddPort],
    ) -> Result<Vec<u16>> {
        let most = if group.len() > 1 { 2 } else { TRIES };
        let mut tries = 0;
        loop {
            tries += 1;
            let trunk = self.ensure(cloud, known).await?;
            let (error, is_race) = match trunk.assign(group) {
                Err(e) => (e, true),
                Ok(ids) => match trunk.add_subports(cloud, group, &ids).await {
                    Ok(()) => return Ok(ids),
                    Err(e) => {
                        let is_race = matches!(e.status(), Some(404 | 409));
                        let doing =
                            format!("putting a port behind the trunk of port {}", self.parent);
                        (Error::cloud(doing)(e), is_race)
                    }
                },
            };
            let last = known.take().map_or(0, |k| k.last);
            if tries >= most || !is_race {
                return Err(error);
            }
            // It is looked up again, and the round of ids continues.
            if let Ok(again) = self.ensure(cloud, known).await {
                again.last = last;
            }
        }
    }

    async fn take_out(
        &self,
        cloud: &Cloud,
        known: &mut Option<KnownTrunk>,
        removes: Vec<RemovePort>,
    ) {
        let id = match known {
            Some(trunk) => Ok(Some(trunk.id.clone())),
            None => self.look(cloud).await.map(|found| found.map(|t| t.id)),
        };
        let id = match id {
            Ok(Some(id)) => id,
            Ok(None) => return removes.into_iter().for_each(|r| drop(r.told.send(Ok(())))),
            Err(e) => {
                let why = e.to_string();
                let refuse = |r: RemovePort| drop(r.told.send(Err(Error::refused(why.as_str()))));
                return removes.into_iter().for_each(refuse);
            }
        };
        let ports: Vec<String> = removes.iter().map(|r| r.port.clone()).collect();
        let at_once = cloud.remove_subports(&id, &ports).await.is_ok();
        for RemovePort { port, told } in removes {
            let done = match at_once {
                true => Ok(()),
                false => match cloud
                    .remove_subports(&id, std::slice::from_ref(&port))
                    .await
                {
                    // The port is out of it already, or the trunk is gone.
                    Err(e) if e.is_not_found() => Ok(()),
                    other => other.map_err(Error::cloud(format!(
                        "taking port {port} out of the trunk of port {}",
                        self.parent
                    ))),
                },
            };
            if done.is_ok()
                && let Some(trunk) = known
            {
                trunk.taken.retain(|_, p| *p != port);
            }
            let _ = told.send(done);
        }
        if !at_once {
            *known = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(taken: &[u16], last: u16) -> KnownTrunk {
        KnownTrunk {
            id: "t".into(),
            taken: taken.iter().map(|id| (*id, format!("p{id}"))).collect(),
            last,
        }
    }

    fn adds(wanted: &[(Option<u16>, &[u16])]) -> Vec<AddPort> {
        let one = |(n, (wanted, taken)): (usize, &(Option<u16>, &[u16]))| AddPort {
            port: format!("new{n}"),
            wanted: *wanted,
            taken: taken.to_vec(),
            told: oneshot::channel().0,
        };
        wanted.iter().enumerate().map(one).collect()
    }

    #[test]
    fn vlan_ids_go_round() {
        let any = adds(&[(None, &[]), (None, &[]), (Some(9), &[]), (None, &[4])]);
        assert_eq!(known(&[2], 0).assign(&any).unwrap(), [1, 3, 9, 5]);
        assert_eq!(
            known(&[1, 4094], 4093).assign(&any[..2]).unwrap(),
            [2, 3],
            "after the last comes the first"
        );
        let refused =
            |known: KnownTrunk, adds: &[AddPort]| known.assign(adds).unwrap_err().to_string();
        assert!(refused(known(&[9], 0), &any).contains("VLAN 9"));
        let all: Vec<u16> = (1..=4094).collect();
        assert!(refused(known(&all, 7), &any[..1]).contains("all 4094"));
        let mut there = adds(&[(None, &[])]);
        there[0].port = "p7".into();
        assert_eq!(
            known(&[7], 0).assign(&there).unwrap(),
            [7],
            "it is in there already"
        );
    }
}
