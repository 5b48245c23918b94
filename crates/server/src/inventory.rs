//! All that a project has, in one list a kind.

mod load_balancer;
mod object_container;

pub use load_balancer::Balancing;
pub use object_container::Stored;

use crate::error::Error;
use crate::steady::steady;
use futures_util::future::try_join;
use futures_util::try_join;
use stackyard_core::yard::intend::{Intended, Spec};
use stackyard_core::yard::{Key, Kind, Mark, Scope};
use stackyard_openstack::{
    Cloud, FloatingIp, Keypair, Network, Port, Resource, Router, SecurityGroup, Server, ServerGroup, Subnet, Volume,
};
use std::collections::BTreeMap;

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
    /// The user's keypairs.
    pub keypairs: Vec<Keypair>,
    /// Server groups.
    pub server_groups: Vec<ServerGroup>,
    /// Volumes; none on a cloud without Cinder.
    pub volumes: Vec<Volume>,
    /// Load balancers.
    pub balancing: Reach<Balancing>,
    /// Object containers with marks.
    pub containers: Reach<Vec<Stored>>,
}

/// What a service has that not every cloud has and not every user may ask.
#[derive(Debug, Default)]
pub enum Reach<T> {
    /// It answered.
    There(T),
    /// The cloud has no such service.
    #[default]
    Missing,
    /// The user may not use it.
    Forbidden,
}

impl<T> Reach<T> {
    async fn of(asking: impl Future<Output = stackyard_openstack::Result<T>>) -> stackyard_openstack::Result<Self> {
        match asking.await {
            Ok(there) => Ok(Self::There(there)),
            Err(stackyard_openstack::Error::NoEndpoint { .. }) => Ok(Self::Missing),
            Err(e) if e.status() == Some(403) => Ok(Self::Forbidden),
            Err(e) => Err(e),
        }
    }

    /// What it has, if it answered.
    pub fn there(&self) -> Option<&T> {
        match self {
            Self::There(there) => Some(there),
            Self::Missing | Self::Forbidden => None,
        }
    }
}

/// A resource with a mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owned {
    /// Its mark.
    pub mark: Mark,
    /// Its id.
    pub id: String,
}

impl Inventory {
    /// Lists everything, all kinds at once: twelve requests beside the login, and a few for the
    /// parts of load balancers and for each object container.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn take(cloud: &Cloud) -> Result<Self, Error> {
        let doing = || format!("listing what is in cloud {}", cloud.config().name);
        let project = steady(|_| {}, async || cloud.project_id().await).await.map_err(Error::cloud(doing()))?;
        let scope = scope_of(cloud).await.map_err(Error::cloud(doing()))?;
        let mine = [("project_id", project.as_str())];
        let neutron = async {
            try_join!(
                all::<Network>(cloud, &[]),
                all::<Subnet>(cloud, &[]),
                all::<Router>(cloud, &mine),
                all::<Port>(cloud, &mine),
                all::<SecurityGroup>(cloud, &mine),
                all::<FloatingIp>(cloud, &mine),
            )
        };
        let others = async {
            try_join!(all::<Server>(cloud, &[]), all::<Keypair>(cloud, &[]), all::<ServerGroup>(cloud, &[]), async {
                match all::<Volume>(cloud, &[]).await {
                    Err(stackyard_openstack::Error::NoEndpoint { .. }) => Ok(Vec::new()),
                    other => other,
                }
            },)
        };
        let further = try_join(Box::pin(Balancing::take(cloud, &project)), Box::pin(Stored::take(cloud, &scope)));
        let listed = try_join!(neutron, others, further);
        let (neutron, others, (balancing, containers)) = listed.map_err(Error::cloud(doing()))?;
        let (networks, subnets, routers, ports, security_groups, floating_ips) = neutron;
        let (servers, keypairs, server_groups, volumes) = others;
        Ok(Self {
            project,
            scope,
            networks,
            subnets,
            routers,
            ports,
            security_groups,
            floating_ips,
            servers,
            keypairs,
            server_groups,
            volumes,
            balancing,
            containers,
        })
    }

    /// Everything of the project that carries a mark of a yard in this project and region.
    ///
    /// Keypairs are a user's and not a project's. The name of one that an older version made says nothing of the
    /// project, so that it counts only where a server of its yard has it.
    pub fn owned(&self) -> Vec<Owned> {
        let mut all = Vec::new();
        let mut note = |mark: Option<Mark>, id: &str| {
            let here = mark.filter(|mark| mark.is_in(&self.scope));
            all.extend(here.map(|mark| Owned { mark, id: id.to_owned() }));
        };
        let ours = |project: &str| project.is_empty() || project == self.project;
        for n in self.networks.iter().filter(|n| ours(&n.project_id)) {
            note(Mark::parse(&n.description), &n.id);
        }
        for s in self.subnets.iter().filter(|s| ours(&s.project_id)) {
            note(Mark::parse(&s.description), &s.id);
        }
        self.routers.iter().for_each(|r| note(Mark::parse(&r.description), &r.id));
        self.ports.iter().for_each(|p| note(Mark::parse(&p.description), &p.id));
        self.security_groups.iter().for_each(|g| note(Mark::parse(&g.description), &g.id));
        self.floating_ips.iter().for_each(|f| note(Mark::parse(&f.description), &f.id));
        self.servers.iter().for_each(|s| note(metadata_mark(&s.metadata), &s.id));
        self.volumes.iter().for_each(|v| note(metadata_mark(&v.metadata), &v.id));
        self.server_groups.iter().for_each(|g| note(Mark::parse_name(Kind::ServerGroup, &g.name), &g.id));
        for b in self.balancing.there().iter().flat_map(|b| &b.balancers) {
            note(Mark::parse(&b.description), &b.id);
        }
        for c in self.containers.there().into_iter().flatten() {
            note(Mark::parse_name(Kind::ObjectContainer, &c.name), &c.name);
        }
        let pairs = self.keypairs.iter().filter_map(|k| Some((Mark::parse_name(Kind::Keypair, &k.name)?, &k.name)));
        let pairs = pairs.filter(|(mark, name)| match &mark.scope {
            Some(scope) => *scope == self.scope,
            None => self.servers_of(&mark.yard).any(|s| s.key_name.as_ref() == Some(*name)),
        });
        all.extend(pairs.map(|(mark, name)| Owned { mark, id: name.clone() }));
        all
    }

    /// Servers of a yard.
    pub(crate) fn servers_of(&self, yard: &str) -> impl Iterator<Item = &Server> {
        let is_its = move |s: &&Server| {
            metadata_mark(&s.metadata).is_some_and(|mark| mark.yard == yard && mark.is_in(&self.scope))
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
        pools.filter(|(key, _)| there(key)).map(|(_, pool)| pool).collect()
    }

    /// Names of the yards that have something here, and how much.
    pub fn yards(&self) -> BTreeMap<String, usize> {
        let mut yards = BTreeMap::new();
        for owned in self.owned() {
            *yards.entry(owned.mark.yard).or_default() += 1;
        }
        yards
    }

    /// The id of the only resource of a kind with this name or id.
    ///
    /// # Errors
    /// A sentence that says that there is none, or more than one.
    pub fn resolve(&self, kind: Kind, text: &str) -> Result<String, String> {
        let names: Vec<(&str, &str)> = match kind {
            Kind::Network => self.networks.iter().map(|n| (n.id.as_str(), n.name.as_str())).collect(),
            Kind::Subnet => self.subnets.iter().map(|s| (s.id.as_str(), s.name.as_str())).collect(),
            Kind::Router => self.routers.iter().map(|r| (r.id.as_str(), r.name.as_str())).collect(),
            Kind::SecurityGroup => self.security_groups.iter().map(|g| (g.id.as_str(), g.name.as_str())).collect(),
            Kind::Keypair => self.keypairs.iter().map(|k| (k.name.as_str(), k.name.as_str())).collect(),
            Kind::Volume => self.volumes.iter().map(|v| (v.id.as_str(), v.name())).collect(),
            Kind::ServerGroup => self.server_groups.iter().map(|g| (g.id.as_str(), g.name.as_str())).collect(),
            _ => Vec::new(),
        };
        only(kind.noun(), text, &names)
    }

    /// The id of the external network of this name or id; without, of the only one.
    ///
    /// # Errors
    /// A sentence.
    pub fn external(&self, text: Option<&str>) -> Result<String, String> {
        let names: Vec<(&str, &str)> =
            self.networks.iter().filter(|n| n.external).map(|n| (n.id.as_str(), n.name.as_str())).collect();
        match (text, names.as_slice()) {
            (Some(text), names) => only("external network", text, names),
            (None, [(id, _)]) => Ok((*id).to_owned()),
            (None, []) => Err("the cloud has no external network".to_owned()),
            (None, many) => Err(format!(
                "the cloud has several external networks ({}): name one with `external`",
                many.iter().map(|(_, n)| *n).collect::<Vec<_>>().join(", ")
            )),
        }
    }
}

pub(crate) async fn all<T: Resource>(cloud: &Cloud, query: &[(&str, &str)]) -> stackyard_openstack::Result<Vec<T>> {
    Box::pin(steady(|_| {}, async || cloud.list::<T>(query).await)).await
}

/// The scope of the project and region that a cloud's requests are for.
pub(crate) async fn scope_of(cloud: &Cloud) -> stackyard_openstack::Result<Scope> {
    let (project, region) = (cloud.project_id().await?, cloud.region_id().await?);
    Ok(Scope::of(&project, &region))
}

/// The mark in metadata of Nova and Cinder.
pub(crate) fn metadata_mark(metadata: &BTreeMap<String, String>) -> Option<Mark> {
    Mark::parse(metadata.get(MARK)?)
}

/// Key of the mark in metadata.
pub(crate) const MARK: &str = "stackyard";

fn only(noun: &str, text: &str, names: &[(&str, &str)]) -> Result<String, String> {
    if let Some((id, _)) = names.iter().find(|(id, _)| *id == text) {
        return Ok((*id).to_owned());
    }
    let found: Vec<&str> = names.iter().filter(|(_, name)| *name == text).map(|(id, _)| *id).collect();
    match found.as_slice() {
        [id] => Ok((*id).to_owned()),
        [] => {
            let mut known: Vec<&str> = names.iter().map(|(_, n)| *n).filter(|n| !n.is_empty()).collect();
            known.sort_unstable();
            known.dedup();
            known.truncate(8);
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(format!("neither the yard nor the cloud has a {noun} `{text}`; the cloud has {known}"))
        }
        many => Err(format!("{} {noun}s of the cloud are named `{text}`; use the id of one of them", many.len())),
    }
}

/// A key's id by what was listed, for kinds with marks.
pub(crate) fn key_in<'a>(owned: &'a [Owned], yard: &'a str) -> impl Iterator<Item = (&'a str, &'a Key)> {
    owned.iter().filter(move |o| o.mark.yard == yard).map(|o| (o.id.as_str(), &o.mark.key))
}
