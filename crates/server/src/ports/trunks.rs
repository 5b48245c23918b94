//! Trunks on hosts' NICs: one for a NIC's port, made when its first container comes. What is to be put into one and
//! taken out of it goes in batches: while a request for a trunk is under way, further ones gather, and go together.
//!
//! Neutron takes a batch wholly or not at all. One that fails is tried again as it is after another look at the trunk
//! (somebody else has changed it), and then in halves, so that nobody fails for another's sake.
//!
//! VLAN ids go round: the one after the last that was given. One that has just become free may still be in use by a
//! network namespace that the host's kernel has not torn down yet.

use super::said;
use parking_lot::Mutex;
use stackyard_openstack::{Cloud, Error, NewTrunk, Port, SubPort, Trunk};
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
pub(super) enum No {
    /// There will be none.
    Trunk(String),
    /// It could not be found out.
    Answer(String),
}

/// The trunks of all NICs, by the ids of their ports.
#[derive(Debug, Default)]
pub(super) struct Trunks(Mutex<HashMap<String, Arc<Lane>>>);

impl Trunks {
    /// The way to the trunk of a NIC's port; `mark` says whose it is.
    pub(super) fn lane(&self, parent: &Port, mark: &str) -> Arc<Lane> {
        let new = || Arc::new(Lane { parent: parent.id.clone(), mark: mark.to_owned(), ..Lane::default() });
        self.0.lock().entry(parent.id.clone()).or_insert_with(new).clone()
    }

    /// Forgets what it knows of trunks that nobody waits for.
    pub(super) fn forget(&self) {
        self.0.lock().retain(|_, lane| Arc::strong_count(lane) > 1);
    }
}

/// The way to one trunk.
#[derive(Debug, Default)]
pub(super) struct Lane {
    parent: String,
    mark: String,
    /// Whether there was a trunk when it was looked for.
    is_there: AtomicBool,
    /// Why there will be none.
    without: Mutex<Option<String>>,
    waiting: Mutex<Vec<Change>>,
    /// Held while the trunk is asked for something.
    trunk: tokio::sync::Mutex<Option<Known>>,
}

/// A trunk as it was last.
#[derive(Debug)]
struct Known {
    id: String,
    /// Ports behind it, by VLAN id.
    taken: BTreeMap<u16, String>,
    /// The VLAN id that was given last.
    last: u16,
}

#[derive(Debug)]
enum Change {
    Add(Add),
    Remove(Remove),
}

#[derive(Debug)]
struct Add {
    port: String,
    /// The VLAN id that it must have.
    wanted: Option<u16>,
    /// VLAN ids that it must not have.
    taken: Vec<u16>,
    told: oneshot::Sender<Result<u16, String>>,
}

#[derive(Debug)]
struct Remove {
    port: String,
    told: oneshot::Sender<Result<(), String>>,
}

impl Known {
    fn of(trunk: Trunk) -> Self {
        let taken =
            trunk.sub_ports.into_iter().filter_map(|s| Some((u16::try_from(s.segmentation_id).ok()?, s.port_id)));
        Self { id: trunk.id, taken: taken.collect(), last: 0 }
    }

    fn id_of(&self, port: &str) -> Option<u16> {
        self.taken.iter().find(|(_, p)| *p == port).map(|(id, _)| *id)
    }

    /// A VLAN id for each.
    fn assign(&self, group: &[Add]) -> Result<Vec<u16>, String> {
        let mut used: BTreeSet<u16> = self.taken.keys().copied().collect();
        let mut last = self.last;
        let mut one = |add: &Add| {
            if let Some(id) = self.id_of(&add.port) {
                return Ok(id);
            }
            let id = match add.wanted {
                Some(id) if used.contains(&id) => {
                    return Err(format!("VLAN {id} of the host's NIC is another port's by now"));
                }
                Some(id) => id,
                None => {
                    let mut round = (0..IDS).map(|n| (last + n) % IDS + 1);
                    let free = round.find(|id| !used.contains(id) && !add.taken.contains(id));
                    last = free.ok_or_else(|| format!("all {IDS} VLANs of the host's NIC are taken"))?;
                    last
                }
            };
            used.insert(id);
            Ok(id)
        };
        group.iter().map(&mut one).collect()
    }
}

fn is_race(error: &Error) -> bool {
    matches!(error.status(), Some(404 | 409))
}

impl Lane {
    /// Sees to it that there is a trunk.
    pub(super) async fn ready(&self, cloud: &Cloud) -> Result<(), No> {
        if self.is_there.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.ensure(cloud, &mut *self.trunk.lock().await).await.map(drop)
    }

    /// Puts a port behind the trunk, with that VLAN id, or one that is free and not among `taken`; its VLAN id.
    pub(super) async fn add(
        self: &Arc<Self>,
        cloud: &Cloud,
        port: &str,
        wanted: Option<u16>,
        taken: Vec<u16>,
    ) -> Result<u16, String> {
        let (told, hears) = oneshot::channel();
        self.waiting.lock().push(Change::Add(Add { port: port.to_owned(), wanted, taken, told }));
        self.go(cloud);
        hears.await.unwrap_or_else(|_| Err("the server stops".to_owned()))
    }

    /// Takes a port out of the trunk, if it is in there.
    pub(super) async fn remove(self: &Arc<Self>, cloud: &Cloud, port: &str) -> Result<(), String> {
        let (told, hears) = oneshot::channel();
        self.waiting.lock().push(Change::Remove(Remove { port: port.to_owned(), told }));
        self.go(cloud);
        hears.await.unwrap_or_else(|_| Err("the server stops".to_owned()))
    }

    /// Works on what waits, beside whoever waits for it: an agent that is cut off leaves others' changes alone.
    fn go(self: &Arc<Self>, cloud: &Cloud) {
        let (lane, cloud) = (self.clone(), cloud.clone());
        tokio::spawn(async move {
            let mut known = lane.trunk.lock().await;
            let (mut adds, mut removes) = (Vec::new(), Vec::new());
            for change in std::mem::take(&mut *lane.waiting.lock()) {
                match change {
                    Change::Add(add) => adds.push(add),
                    Change::Remove(remove) => removes.push(remove),
                }
            }
            if !removes.is_empty() {
                lane.take_out(&cloud, &mut known, removes).await;
            }
            if !adds.is_empty() {
                lane.put_in(&cloud, &mut known, adds).await;
            }
        });
    }

    async fn look(&self, cloud: &Cloud) -> Result<Option<Trunk>, No> {
        let doing = format!("looking for the trunk of port {}", self.parent);
        let found: Vec<Trunk> =
            cloud.list(&[("port_id", &self.parent)]).await.map_err(|e| No::Answer(said(doing)(e)))?;
        Ok(found.into_iter().find(|t| t.port_id == self.parent))
    }

    /// The trunk, made if there is none.
    async fn ensure<'k>(&self, cloud: &Cloud, known: &'k mut Option<Known>) -> Result<&'k mut Known, No> {
        if known.is_none() {
            if let Some(why) = self.without.lock().clone() {
                return Err(No::Trunk(why));
            }
            match self.find_or_make(cloud).await {
                Ok(trunk) => {
                    self.is_there.store(true, Ordering::Relaxed);
                    *known = Some(Known::of(trunk));
                }
                Err(no) => {
                    self.is_there.store(false, Ordering::Relaxed);
                    if let No::Trunk(why) = &no {
                        *self.without.lock() = Some(why.clone());
                    }
                    return Err(no);
                }
            }
        }
        known.as_mut().ok_or_else(|| No::Answer("there is no trunk".to_owned()))
    }

    async fn find_or_make(&self, cloud: &Cloud) -> Result<Trunk, No> {
        let (trunk, is_new) = match self.look(cloud).await? {
            Some(trunk) => (trunk, false),
            None => {
                let new = NewTrunk {
                    name: "stackyard".to_owned(),
                    description: self.mark.clone(),
                    port_id: self.parent.clone(),
                    ..NewTrunk::default()
                };
                match cloud.create::<Trunk>(&new).await {
                    Ok(made) => (made, true),
                    Err(e) => {
                        let is_refused = matches!(e.status(), Some(403 | 409));
                        let why = said(format!("making a trunk of the NIC's port {}", self.parent))(e);
                        // Another server may have been quicker.
                        match self.look(cloud).await? {
                            Some(trunk) => (trunk, false),
                            None if is_refused => return Err(No::Trunk(why)),
                            None => return Err(No::Answer(why)),
                        }
                    }
                }
            }
        };
        if trunk.status == "ACTIVE" {
            return Ok(trunk);
        }
        // While others change it, it is down for a moment.
        match cloud.wait_for::<Trunk>(&trunk.id, &["ACTIVE", "DEGRADED"], ACTIVE_WITHIN).await {
            Ok(trunk) => Ok(trunk),
            Err(e) => {
                let why = said(format!("waiting for the trunk of the NIC's port {}", self.parent))(e);
                if is_new {
                    cloud.delete::<Trunk>(&trunk.id).await.map_err(|e| No::Answer(said(why.as_str())(e)))?;
                }
                Err(No::Trunk(why))
            }
        }
    }

    async fn put_in(&self, cloud: &Cloud, known: &mut Option<Known>, adds: Vec<Add>) {
        let mut groups = VecDeque::from([adds]);
        while let Some(mut group) = groups.pop_front() {
            match self.put_in_group(cloud, known, &group).await {
                Ok(ids) => group.into_iter().zip(ids).for_each(|(add, id)| drop(add.told.send(Ok(id)))),
                Err(_) if group.len() > 1 => {
                    let half = group.split_off(group.len() / 2);
                    groups.extend([group, half]);
                }
                Err(why) => group.into_iter().for_each(|add| drop(add.told.send(Err(why.clone())))),
            }
        }
    }

    async fn put_in_group(&self, cloud: &Cloud, known: &mut Option<Known>, group: &[Add]) -> Result<Vec<u16>, String> {
        let most = if group.len() > 1 { 2 } else { TRIES };
        let mut tries = 0;
        loop {
            tries += 1;
            let trunk = match self.ensure(cloud, known).await {
                Ok(trunk) => trunk,
                Err(No::Trunk(why) | No::Answer(why)) => return Err(why),
            };
            let (why, is_race) = match trunk.assign(group) {
                Err(why) => (why, true),
                Ok(ids) => {
                    let new = group.iter().zip(&ids).filter(|(add, _)| trunk.id_of(&add.port).is_none());
                    let new = new.map(|(add, id)| SubPort {
                        port_id: add.port.clone(),
                        segmentation_type: "vlan".to_owned(),
                        segmentation_id: u32::from(*id),
                    });
                    let new: Vec<SubPort> = new.collect();
                    let done = if new.is_empty() { Ok(()) } else { cloud.add_subports(&trunk.id, &new).await };
                    match done {
                        Ok(()) => {
                            trunk.taken.extend(ids.iter().copied().zip(group.iter().map(|add| add.port.clone())));
                            trunk.last = ids.last().copied().unwrap_or(trunk.last);
                            return Ok(ids);
                        }
                        Err(e) => {
                            let is_race = is_race(&e);
                            (said(format!("putting a port behind the trunk of port {}", self.parent))(e), is_race)
                        }
                    }
                }
            };
            let last = known.take().map_or(0, |k| k.last);
            if tries >= most || !is_race {
                return Err(why);
            }
            // It is looked at again, and the round of ids goes on.
            if let Ok(again) = self.ensure(cloud, known).await {
                again.last = last;
            }
        }
    }

    async fn take_out(&self, cloud: &Cloud, known: &mut Option<Known>, removes: Vec<Remove>) {
        let id = match known {
            Some(trunk) => Ok(Some(trunk.id.clone())),
            None => self.look(cloud).await.map(|found| found.map(|t| t.id)),
        };
        let id = match id {
            Ok(Some(id)) => id,
            Ok(None) => return removes.into_iter().for_each(|r| drop(r.told.send(Ok(())))),
            Err(No::Trunk(why) | No::Answer(why)) => {
                return removes.into_iter().for_each(|r| drop(r.told.send(Err(why.clone()))));
            }
        };
        let ports: Vec<String> = removes.iter().map(|r| r.port.clone()).collect();
        let at_once = cloud.remove_subports(&id, &ports).await.is_ok();
        for Remove { port, told } in removes {
            let done = match at_once {
                true => Ok(()),
                false => match cloud.remove_subports(&id, std::slice::from_ref(&port)).await {
                    // It is in there no more, or the trunk is gone.
                    Err(e) if e.is_not_found() => Ok(()),
                    other => {
                        other.map_err(said(format!("taking port {port} out of the trunk of port {}", self.parent)))
                    }
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

    fn known(taken: &[u16], last: u16) -> Known {
        Known { id: "t".into(), taken: taken.iter().map(|id| (*id, format!("p{id}"))).collect(), last }
    }

    fn adds(wanted: &[(Option<u16>, &[u16])]) -> Vec<Add> {
        let one = |(n, (wanted, taken)): (usize, &(Option<u16>, &[u16]))| Add {
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
        assert_eq!(known(&[2], 0).assign(&any), Ok(vec![1, 3, 9, 5]));
        assert_eq!(known(&[1, 4094], 4093).assign(&any[..2]), Ok(vec![2, 3]), "after the last comes the first");
        assert!(known(&[9], 0).assign(&any).unwrap_err().contains("VLAN 9"));
        let all: Vec<u16> = (1..=4094).collect();
        assert!(known(&all, 7).assign(&any[..1]).unwrap_err().contains("all 4094"));
        let mut there = adds(&[(None, &[])]);
        there[0].port = "p7".into();
        assert_eq!(known(&[7], 0).assign(&there), Ok(vec![7]), "it is in there already");
    }
}
