//! All that a project has, in one list a kind.

mod load_balancer;
mod needed;
mod object_container;

pub use load_balancer::Balancing;
pub(crate) use load_balancer::is_ovn;
pub use object_container::StoredContainer;

use crate::error::Error;
use crate::retry::{retry, retry_question};
use crate::unseen::{FailedListing, OptionalListing};
use futures_util::{join, try_join};
use stackyard_core::yard::intend::{Intended, Spec};
use stackyard_core::yard::{Key, Kind, Mark, Scope};
use stackyard_openstack::{
    Cloud, FloatingIp, Keypair, Network, Port, Resource, Router, SecurityGroup, Server,
    ServerGroup, Subnet, Volume,
};
use stackyard_ports::scope_of;
use std::collections::{BTreeMap, BTreeSet};

/// What a project has of the kinds that yards are made of, and the networks that it may use.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The project's id.
    pub project: String,
    /// The project in its region, as marks name it.
    pub scope: Scope,
    /// Networks: the project's, shared and external ones.
    pub networks: Vec<Network>,
    /// Subnets of these.
    pub subnets: Vec<Subnet>,
    /// The project's routers.
    pub routers: Vec<Router>,
    /// Ports.
    pub ports: Vec<Port>,
    /// Security groups.
    pub security_groups: Vec<SecurityGroup>,
    /// Floating IPs.
    pub floating_ips: Vec<FloatingIp>,
    /// Servers.
    pub servers: Vec<Server>,
    /// The user's keypairs; none where they cannot be listed.
    pub keypairs: Vec<Keypair>,
    /// Server groups; none where they cannot be listed.
    pub server_groups: Vec<ServerGroup>,
    /// Volumes; none on a cloud without Cinder, nor where they cannot be listed.
    pub volumes: Vec<Volume>,
    /// Load balancers.
    pub balancing: Availability<Balancing>,
    /// Object containers with marks.
    pub containers: Availability<Vec<StoredContainer>>,
    /// What of the above is not known.
    pub unseen: Vec<FailedListing>,
}

/// What a service has that not every cloud has and not every user may ask.
#[derive(Debug, Default)]
pub enum Availability<T> {
    /// It answered.
    There(T),
    /// The cloud has no such service.
    #[default]
    Missing,
    /// The user may not use it.
    Forbidden,
    /// It answered something else, or nothing.
    Failed(
        /// What happened.
        String,
    ),
}

impl<T> Availability<T> {
    /// What an answer means; one that leaves open what there is goes to `unseen`, too.
    fn of(
        what: OptionalListing,
        answer: stackyard_openstack::Result<T>,
        unseen: &mut Vec<FailedListing>,
    ) -> Self {
        let error = match answer {
            Ok(there) => return Self::There(there),
            Err(stackyard_openstack::Error::NoEndpoint { .. }) => return Self::Missing,
            Err(error) => error,
        };
        let reach = if error.status() == Some(403) {
            Self::Forbidden
        } else {
            Self::Failed(error.to_string())
        };
        unseen.push(FailedListing { what, error });
        reach
    }

    /// What it has, if it answered.
    pub fn there(&self) -> Option<&T> {
        match self {
            Self::There(there) => Some(there),
            Self::Missing | Self::Forbidden | Self::Failed(_) => None,
        }
    }

    /// The same, to keep.
    fn into_there(self) -> Option<T> {
        match self {
            Self::There(there) => Some(there),
            Self::Missing | Self::Forbidden | Self::Failed(_) => None,
        }
    }
}

/// A resource with a mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkedResource {
    /// Its mark.
    pub mark: Mark,
    /// Its id.
    pub id: String,
}

impl Inventory {
    /// Lists everything, all kinds at once: twelve requests in addition to the login, and a few for the
    /// parts of load balancers and for each object container. What of the optional kinds does not answer is
    /// [`Self::unseen`].
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn take(cloud: &Cloud) -> Result<Self, Error> {
        Self::take_for(cloud, |_| true).await
    }

    /// The same with patience only for those optional kinds that are `needed`.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn take_for(
        cloud: &Cloud,
        needed: impl Fn(OptionalListing) -> bool,
    ) -> Result<Self, Error> {
        let doing = || format!("listing what is in cloud {}", cloud.config().name);
        let project = retry(|_| {}, async || cloud.project_id().await)
            .await
            .map_err(Error::cloud(doing()))?;
        let scope = scope_of(cloud).await.map_err(Error::cloud(doing()))?;
        let mine = [("project_id", project.as_str())];
        let neutron = async {
            try_join!(
                all::<Network>(cloud, &[]),
                all::<Subnet>(cloud, &[]),
                all::<Router>(cloud, &mine),
                all::<Port>(cloud, &mine),
                // Those that other projects share are listed without a project only.
                all::<SecurityGroup>(cloud, &[]),
                all::<FloatingIp>(cloud, &mine),
            )
        };
        let known = async { try_join!(neutron, all::<Server>(cloud, &[])) };
        let optional = async {
            Ok(join!(
                needed::ask(cloud, needed(OptionalListing::Keypairs), async |c| all::<
                    Keypair,
                >(
                    c, &[]
                )
                .await),
                needed::ask(cloud, needed(OptionalListing::ServerGroups), async |c| {
                    all::<ServerGroup>(c, &[]).await
                }),
                needed::ask(cloud, needed(OptionalListing::Volumes), async |c| all::<
                    Volume,
                >(
                    c, &[]
                )
                .await),
                needed::ask(cloud, needed(OptionalListing::LoadBalancers), async |c| {
                    Box::pin(Balancing::take(c, &project)).await
                }),
                needed::ask(
                    cloud,
                    needed(OptionalListing::ObjectContainers),
                    async |c| Box::pin(StoredContainer::take(c, &scope)).await
                ),
            ))
        };
        let ((neutron, servers), optional) =
            try_join!(known, optional).map_err(Error::cloud(doing()))?;
        let (networks, subnets, routers, ports, security_groups, floating_ips) = neutron;
        let (keypairs, server_groups, volumes, balancing, containers) = optional;
        let mut unseen = Vec::new();
        let keypairs = Availability::of(OptionalListing::Keypairs, keypairs, &mut unseen);
        let server_groups =
            Availability::of(OptionalListing::ServerGroups, server_groups, &mut unseen);
        let volumes = Availability::of(OptionalListing::Volumes, volumes, &mut unseen);
        Ok(Self {
            scope,
            networks,
            subnets,
            routers,
            ports,
            security_groups,
            floating_ips,
            servers,
            keypairs: keypairs.into_there().unwrap_or_default(),
            server_groups: server_groups.into_there().unwrap_or_default(),
            volumes: volumes.into_there().unwrap_or_default(),
            balancing: Availability::of(OptionalListing::LoadBalancers, balancing, &mut unseen),
            containers: Availability::of(
                OptionalListing::ObjectContainers,
                containers,
                &mut unseen,
            ),
            unseen,
            project,
        })
    }

    /// Everything of the project that carries a mark of a yard in this project and region.
    ///
    /// Keypairs are a user's and not a project's. The name of one that an older version made says nothing of the
    /// project, so that it counts only where a server of its yard has it.
    pub fn owned(&self) -> Vec<MarkedResource> {
        let mut all = Vec::new();
        let mut note = |mark: Option<Mark>, id: &str| {
            let here = mark.filter(|mark| mark.is_in(&self.scope));
            all.extend(here.map(|mark| MarkedResource {
                mark,
                id: id.to_owned(),
            }));
        };
        let ours = |project: &str| project.is_empty() || project == self.project;
        for n in self.networks.iter().filter(|n| ours(&n.project_id)) {
            note(Mark::parse(&n.description), &n.id);
        }
        for s in self.subnets.iter().filter(|s| ours(&s.project_id)) {
            note(Mark::parse(&s.description), &s.id);
        }
        self.routers
            .iter()
            .for_each(|r| note(Mark::parse(&r.description), &r.id));
        self.ports
            .iter()
            .for_each(|p| note(Mark::parse(&p.description), &p.id));
        for g in self.security_groups.iter().filter(|g| ours(&g.project_id)) {
            note(Mark::parse(&g.description), &g.id);
        }
        self.floating_ips
            .iter()
            .for_each(|f| note(Mark::parse(&f.description), &f.id));
        self.servers
            .iter()
            .for_each(|s| note(Mark::from_metadata(&s.metadata), &s.id));
        self.volumes
            .iter()
            .for_each(|v| note(Mark::from_metadata(&v.metadata), &v.id));
        self.server_groups
            .iter()
            .for_each(|g| note(Mark::parse_name(Kind::ServerGroup, &g.name), &g.id));
        for b in self.balancing.there().iter().flat_map(|b| &b.balancers) {
            note(Mark::parse(&b.description), &b.id);
        }
        for c in self.containers.there().into_iter().flatten() {
            note(Mark::parse_name(Kind::ObjectContainer, &c.name), &c.name);
        }
        let pairs = self
            .keypairs
            .iter()
            .filter_map(|k| Some((Mark::parse_name(Kind::Keypair, &k.name)?, &k.name)));
        let pairs = pairs.filter(|(mark, name)| match &mark.scope {
            Some(scope) => *scope == self.scope,
            None => self
                .servers_of(&mark.yard)
                .any(|s| s.key_name.as_ref() == Some(*name)),
        });
        all.extend(pairs.map(|(mark, name)| MarkedResource {
            mark,
            id: name.clone(),
        }));
        all
    }

    /// Servers of a yard.
    pub(crate) fn servers_of(&self, yard: &str) -> impl Iterator<Item = &Server> {
        let is_its = move |s: &&Server| {
            Mark::from_metadata(&s.metadata)
                .is_some_and(|mark| mark.yard == yard && mark.is_in(&self.scope))
        };
        self.servers.iter().filter(is_its)
    }

    /// Pools whose SSH key is in the cloud already.
    pub(crate) fn pools_with_keys<'i>(&self, intended: &'i Intended) -> Vec<&'i str> {
        let pools = intended.resources.iter().filter_map(|r| match &r.spec {
            Spec::PoolKeypair { pool } => Some((&r.key, pool.as_str())),
            _ => None,
        });
        let owned = self.owned();
        let there = |key: &Key| key_in(&owned, &intended.yard).any(|(_, own)| own == key);
        pools
            .filter(|(key, _)| there(key))
            .map(|(_, pool)| pool)
            .collect()
    }

    /// Names of the yards that have something here, and how much.
    pub fn yards(&self) -> BTreeMap<String, usize> {
        let mut yards = BTreeMap::new();
        for owned in self.owned() {
            *yards.entry(owned.mark.yard).or_default() += 1;
        }
        yards
    }

    /// The id of the only resource of a kind with this name or id. Among several of one name the project's own comes
    /// first: an administrator sees those of all projects.
    ///
    /// # Errors
    /// A sentence that says that there is none, or more than one.
    pub fn resolve(&self, kind: Kind, text: &str) -> Result<String, String> {
        let own = |project: &str| project.is_empty() || project == self.project;
        let names: Vec<Choice<'_>> = match kind {
            Kind::Network => self
                .networks
                .iter()
                .map(|n| (n.id.as_str(), n.name.as_str(), own(&n.project_id)))
                .collect(),
            Kind::Subnet => self
                .subnets
                .iter()
                .map(|s| (s.id.as_str(), s.name.as_str(), own(&s.project_id)))
                .collect(),
            Kind::Router => self
                .routers
                .iter()
                .map(|r| (r.id.as_str(), r.name.as_str(), true))
                .collect(),
            Kind::SecurityGroup => self
                .security_groups
                .iter()
                .map(|g| (g.id.as_str(), g.name.as_str(), own(&g.project_id)))
                .collect(),
            Kind::Keypair => self
                .keypairs
                .iter()
                .map(|k| (k.name.as_str(), k.name.as_str(), true))
                .collect(),
            Kind::Volume => self
                .volumes
                .iter()
                .map(|v| (v.id.as_str(), v.name(), true))
                .collect(),
            Kind::ServerGroup => self
                .server_groups
                .iter()
                .map(|g| (g.id.as_str(), g.name.as_str(), true))
                .collect(),
            _ => Vec::new(),
        };
        only(kind.noun(), text, &names)
    }

    /// The id of the external network of this name or id; without, of the only one.
    ///
    /// # Errors
    /// A sentence.
    pub fn external(&self, text: Option<&str>) -> Result<String, String> {
        let own = |n: &Network| n.project_id == self.project;
        let external = self.networks.iter().filter(|n| n.external);
        let names: Vec<Choice<'_>> = external
            .map(|n| (n.id.as_str(), n.name.as_str(), own(n)))
            .collect();
        match (text, names.as_slice()) {
            (Some(text), names) => only("external network", text, names),
            (None, [(id, ..)]) => Ok((*id).to_owned()),
            (None, []) => Err("the cloud has no external network".to_owned()),
            (None, many) => Err(format!(
                "the cloud has several external networks ({}): name one with `external`",
                many.iter()
                    .map(|(_, n, _)| *n)
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }
}

pub(crate) async fn all<T: Resource>(
    cloud: &Cloud,
    query: &[(&str, &str)],
) -> stackyard_openstack::Result<Vec<T>> {
    Box::pin(retry_question(cloud, async || cloud.list::<T>(query).await)).await
}

/// Something that may be meant: its id, its name, and whether it is the project's own.
type Choice<'a> = (&'a str, &'a str, bool);

fn only(noun: &str, text: &str, names: &[Choice<'_>]) -> Result<String, String> {
    if let Some((id, ..)) = names.iter().find(|(id, ..)| *id == text) {
        return Ok((*id).to_owned());
    }
    let named: Vec<&Choice<'_>> = names.iter().filter(|(_, name, _)| *name == text).collect();
    let own: Vec<&Choice<'_>> = named.iter().filter(|(.., own)| *own).copied().collect();
    match if own.is_empty() { named } else { own }.as_slice() {
        [(id, ..)] => Ok((*id).to_owned()),
        [] => {
            // Own ones first: the list may be long.
            let mut known: Vec<(bool, &str)> = names
                .iter()
                .filter(|(_, n, _)| !n.is_empty())
                .map(|(_, n, own)| (!own, *n))
                .collect();
            known.sort_unstable();
            let known: BTreeSet<&str> = known.into_iter().take(8).map(|(_, n)| n).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known
            };
            Err(format!(
                "neither the yard nor the cloud has a {noun} `{text}`; the cloud has {known}"
            ))
        }
        many => Err(format!(
            "{} {noun}s of the cloud are named `{text}`; use the id of one of them",
            many.len()
        )),
    }
}

/// A key's id by what was listed, for kinds with marks.
pub(crate) fn key_in<'a>(
    owned: &'a [MarkedResource],
    yard: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Key)> {
    owned
        .iter()
        .filter(move |o| o.mark.yard == yard)
        .map(|o| (o.id.as_str(), &o.mark.key))
}
