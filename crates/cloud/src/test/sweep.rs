//! Finding and removing what tests made, by its mark alone.
//!
//! | kind | mark |
//! |---|---|
//! | all of Neutron and Octavia, backups | `description` is [`MARK`] |
//! | servers, volumes | metadata `stackyard` is `test` |
//! | keypairs, object containers | the name begins with [`PREFIX`] |
//! | EC2 credentials | the access key begins with [`ACCESS`] |
//!
//! Things go in any order the cloud takes: in each round everything that is left is asked to go,
//! and what is still in use (409) waits for the next round. What was accepted is not asked again
//! for a while. What the service calls gone but still lists (a backup without cinder-backup) is
//! stuck: it is told, and nobody waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use stackyard_openstack::{
    Backup, Cloud, Error, FirewallGroup, FirewallPolicy, FirewallRule, FloatingIp, Keypair, LoadBalancer, Network,
    NewFirewallGroup, Port, Resource, Router, SecurityGroup, Server, Service, Subnet, Trunk, Volume,
};

use super::TestFault;

/// Description of what has one.
pub const MARK: &str = "stackyard:test";
/// Metadata of servers and volumes.
pub const METADATA: (&str, &str) = ("stackyard", "test");
/// Begin of all names.
pub const PREFIX: &str = "stackyard-test-";
/// Begin of access keys.
pub const ACCESS: &str = "stackyardtest";
/// After so many rounds something that is called gone but listed is stuck.
const STUCK: u32 = 8;
/// How long a sweep tries.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Metadata that marks.
pub fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([(METADATA.0.to_owned(), METADATA.1.to_owned())])
}

/// What a sweep did.
#[derive(Debug, Default)]
pub struct SweepCounts {
    /// Names by noun.
    removed: BTreeMap<&'static str, BTreeSet<String>>,
    /// What cannot be removed, and why.
    pub stuck: BTreeSet<String>,
}

impl SweepCounts {
    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.stuck.is_empty()
    }
}

impl std::fmt::Display for SweepCounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing to remove");
        }
        let count =
            |(noun, ids): (&&str, &BTreeSet<String>)| format!("{} {noun}{}", ids.len(), plural(noun, ids.len()));
        let parts: Vec<_> = self.removed.iter().map(count).collect();
        if !parts.is_empty() {
            write!(f, "removed {}", parts.join(", "))?;
        }
        for stuck in &self.stuck {
            write!(f, "{}cannot be removed: {stuck}", if parts.is_empty() { "" } else { "; " })?;
        }
        Ok(())
    }
}

fn plural(noun: &str, count: usize) -> &'static str {
    match count {
        1 => "",
        _ if noun.ends_with('y') => "(s)",
        _ => "s",
    }
}

/// One thing to remove.
struct SweepItem {
    noun: &'static str,
    label: String,
    id: String,
    what: SweepKind,
}

impl SweepItem {
    fn label(&self) -> String {
        format!("{} {:?}", self.noun, self.label)
    }
}

#[derive(Clone, Copy)]
enum SweepKind {
    Server,
    Volume,
    Backup,
    LoadBalancer,
    FirewallGroup,
    FirewallPolicy,
    FirewallRule,
    FloatingIp,
    Trunk,
    Router,
    Port,
    Subnet,
    Network,
    SecurityGroup,
    Keypair,
    Container,
    Ec2,
}

const ALL: [SweepKind; 17] = [
    SweepKind::Server,
    SweepKind::Volume,
    SweepKind::Backup,
    SweepKind::LoadBalancer,
    SweepKind::FirewallGroup,
    SweepKind::FirewallPolicy,
    SweepKind::FirewallRule,
    SweepKind::FloatingIp,
    SweepKind::Trunk,
    SweepKind::Router,
    SweepKind::Port,
    SweepKind::Subnet,
    SweepKind::Network,
    SweepKind::SecurityGroup,
    SweepKind::Keypair,
    SweepKind::Container,
    SweepKind::Ec2,
];

/// How a removal was answered.
enum SweepAnswer {
    /// Accepted, or the thing was gone.
    Accepted(Instant),
    /// Called gone as often in turn.
    Gone(u32),
    Refused(String),
}

/// Removes everything with the mark, and waits until it is gone.
pub async fn sweep(cloud: &Cloud, patience: Duration) -> Result<SweepCounts, TestFault> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(400);
    let mut swept = SweepCounts::default();
    let mut kinds: Vec<SweepKind> = ALL.to_vec();
    let mut answers: HashMap<String, SweepAnswer> = HashMap::new();
    loop {
        let lists = join_all(kinds.iter().map(|kind| list(cloud, *kind))).await;
        let (mut left, mut busy) = (Vec::new(), Vec::new());
        for (kind, items) in kinds.iter().zip(lists) {
            let (gone, here): (Vec<_>, Vec<_>) =
                items?.into_iter().partition(|i| matches!(answers.get(&i.id), Some(SweepAnswer::Gone(STUCK))));
            swept.stuck.extend(gone.iter().map(SweepItem::label));
            if !here.is_empty() {
                busy.push(*kind);
            }
            left.extend(here);
        }
        if left.is_empty() {
            return Ok(swept);
        }
        let backups = left.iter().any(|i| matches!(i.what, SweepKind::Backup));
        let due = |item: &&SweepItem| match answers.get(&item.id) {
            // A backup whose objects are gone cannot be removed any more: its container waits for it.
            _ if backups && matches!(item.what, SweepKind::Container) => false,
            Some(SweepAnswer::Accepted(when)) => when.elapsed() > Duration::from_secs(15),
            _ => true,
        };
        let now: Vec<_> = left.iter().filter(due).collect();
        let outcomes = join_all(now.iter().map(|item| remove(cloud, item))).await;
        for (item, outcome) in now.iter().zip(outcomes) {
            let times = match answers.get(&item.id) {
                Some(SweepAnswer::Gone(times)) => *times,
                _ => 0,
            };
            let answer = match outcome {
                Ok(true) => {
                    swept.removed.entry(item.noun).or_default().insert(item.id.clone());
                    SweepAnswer::Accepted(Instant::now())
                }
                Ok(false) => SweepAnswer::Gone(times + 1),
                Err(e) => SweepAnswer::Refused(e.to_string()),
            };
            answers.insert(item.id.clone(), answer);
        }
        if started.elapsed() > patience {
            let words = |item: &SweepItem| match answers.get(&item.id) {
                Some(SweepAnswer::Refused(why)) => format!("{} ({why})", item.label()),
                _ => item.label(),
            };
            let left: Vec<_> = left.iter().map(words).collect();
            return Err(TestFault(format!("still there after {} s: {}", patience.as_secs(), left.join("; "))));
        }
        // What was not there a moment ago does not come back by itself.
        kinds = busy;
        tokio::time::sleep(pause).await;
        pause = pause.mul_f64(1.3).min(Duration::from_secs(2));
    }
}

async fn list(cloud: &Cloud, kind: SweepKind) -> Result<Vec<SweepItem>, Error> {
    let described = [("description", MARK)];
    Ok(match kind {
        SweepKind::Server => {
            let named = format!("^{PREFIX}");
            let all: Vec<Server> = cloud.list(&[("name", &named)]).await?;
            items(kind, all.into_iter().filter(|s| s.metadata.get(METADATA.0).map(String::as_str) == Some(METADATA.1)))
        }
        SweepKind::Volume => {
            let all: Vec<Volume> = cloud.list(&[]).await?;
            items(kind, all.into_iter().filter(|v| v.metadata.get(METADATA.0).map(String::as_str) == Some(METADATA.1)))
        }
        SweepKind::Backup => {
            let all: Vec<Backup> = cloud.list(&[]).await?;
            items(kind, all.into_iter().filter(|b| b.description.as_deref() == Some(MARK)))
        }
        SweepKind::LoadBalancer if !cloud.has(Service::LoadBalancer).await? => Vec::new(),
        SweepKind::LoadBalancer => items(kind, cloud.list::<LoadBalancer>(&described).await?),
        SweepKind::FirewallGroup => items(kind, optional(cloud.list::<FirewallGroup>(&described).await)?),
        SweepKind::FirewallPolicy => items(kind, optional(cloud.list::<FirewallPolicy>(&described).await)?),
        SweepKind::FirewallRule => items(kind, optional(cloud.list::<FirewallRule>(&described).await)?),
        SweepKind::FloatingIp => items(kind, cloud.list::<FloatingIp>(&described).await?),
        SweepKind::Trunk => items(kind, optional(cloud.list::<Trunk>(&described).await)?),
        SweepKind::Router => items(kind, cloud.list::<Router>(&described).await?),
        SweepKind::Port => items(kind, cloud.list::<Port>(&described).await?),
        SweepKind::Subnet => items(kind, cloud.list::<Subnet>(&described).await?),
        SweepKind::Network => items(kind, cloud.list::<Network>(&described).await?),
        SweepKind::SecurityGroup => items(kind, cloud.list::<SecurityGroup>(&described).await?),
        SweepKind::Keypair => {
            let all: Vec<Keypair> = cloud.list(&[]).await?;
            items(kind, all.into_iter().filter(|k| k.name.starts_with(PREFIX)))
        }
        SweepKind::Container if !cloud.has(Service::ObjectStore).await? => Vec::new(),
        SweepKind::Container => {
            let all = cloud.containers(PREFIX).await?;
            let item = |name: String| SweepItem { noun: "object container", label: name.clone(), id: name, what: kind };
            all.into_iter().map(|c| item(c.name)).collect()
        }
        SweepKind::Ec2 => {
            let all = optional(cloud.ec2_credentials().await)?.into_iter().filter(|c| c.access.starts_with(ACCESS));
            all.map(|c| SweepItem { noun: "EC2 credential", label: c.access, id: c.id, what: kind }).collect()
        }
    })
}

fn items<T: Resource>(what: SweepKind, all: impl IntoIterator<Item = T>) -> Vec<SweepItem> {
    let item = |t: T| SweepItem { noun: T::KIND.noun, label: t.name().to_owned(), id: t.id().to_owned(), what };
    all.into_iter().map(item).collect()
}

/// An extension that is not there holds nothing.
fn optional<T>(outcome: Result<Vec<T>, Error>) -> Result<Vec<T>, Error> {
    match outcome {
        Err(e) if matches!(e.status(), Some(403 | 404)) => Ok(Vec::new()),
        other => other,
    }
}

/// Whether there was something to remove, as the service says.
async fn remove(cloud: &Cloud, item: &SweepItem) -> Result<bool, Error> {
    let id = &item.id;
    match item.what {
        SweepKind::Server => cloud.delete::<Server>(id).await,
        SweepKind::Volume => cloud.delete::<Volume>(id).await,
        SweepKind::Backup => cloud.delete::<Backup>(id).await,
        SweepKind::LoadBalancer => cloud.delete_load_balancer(id).await,
        SweepKind::FirewallGroup => {
            // In use as long as it has ports.
            let free = NewFirewallGroup { ports: Some(Vec::new()), ..NewFirewallGroup::default() };
            cloud.update::<FirewallGroup>(id, &free).await?;
            cloud.delete::<FirewallGroup>(id).await
        }
        SweepKind::FirewallPolicy => cloud.delete::<FirewallPolicy>(id).await,
        SweepKind::FirewallRule => cloud.delete::<FirewallRule>(id).await,
        SweepKind::FloatingIp => cloud.delete::<FloatingIp>(id).await,
        SweepKind::Trunk => cloud.delete::<Trunk>(id).await,
        SweepKind::Router => {
            let feet: Vec<Port> =
                cloud.list(&[("device_id", id), ("device_owner", "network:router_interface")]).await?;
            for subnet in feet.iter().flat_map(|p| &p.fixed_ips) {
                cloud.remove_router_subnet(id, &subnet.subnet_id).await?;
            }
            cloud.delete::<Router>(id).await
        }
        SweepKind::Port => cloud.delete::<Port>(id).await,
        SweepKind::Subnet => cloud.delete::<Subnet>(id).await,
        SweepKind::Network => cloud.delete::<Network>(id).await,
        SweepKind::SecurityGroup => cloud.delete::<SecurityGroup>(id).await,
        SweepKind::Keypair => cloud.delete::<Keypair>(id).await,
        SweepKind::Container => {
            for object in cloud.objects(id, "").await? {
                cloud.delete_object(id, &object.name).await?;
            }
            cloud.delete_container(id).await
        }
        SweepKind::Ec2 => cloud.delete_ec2_credential(id).await,
    }
}
