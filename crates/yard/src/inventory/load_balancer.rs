//! Load balancers with their parts.

use super::all;
use crate::retry::retry_question;
use futures_util::future::try_join_all;
use futures_util::try_join;
use stackyard_core::yard::Mark;
use stackyard_openstack::{
    Cloud, HealthMonitor, Listener, LoadBalancer, LoadBalancerPool, Member, Result,
};
use std::collections::HashMap;

/// A project's load balancers. Of parts there are those of marked ones at least.
#[derive(Debug, Default)]
pub struct Balancing {
    /// The balancers.
    pub balancers: Vec<LoadBalancer>,
    /// Listeners.
    pub listeners: Vec<Listener>,
    /// Pools.
    pub pools: Vec<LoadBalancerPool>,
    /// Health monitors.
    pub monitors: Vec<HealthMonitor>,
    /// Members by their pool's id.
    pub members: HashMap<String, Vec<Member>>,
}

impl Balancing {
    /// One request; where a balancer has a mark four, and one more for each of its pools, since
    /// Octavia lists members only by pool.
    pub(super) async fn take(cloud: &Cloud, project: &str) -> Result<Self> {
        let mine = [("project_id", project)];
        let balancers = all::<LoadBalancer>(cloud, &mine).await?;
        if !balancers
            .iter()
            .any(|b| Mark::parse(&b.description).is_some())
        {
            return Ok(Self {
                balancers,
                ..Self::default()
            });
        }
        Self::with_parts(cloud, project, balancers, |b| {
            Mark::parse(&b.description).is_some()
        })
        .await
    }

    /// A balancer of the project with its parts.
    pub(crate) async fn parts_of(
        cloud: &Cloud,
        project: &str,
        balancer: &LoadBalancer,
    ) -> Result<Self> {
        Self::with_parts(cloud, project, vec![balancer.clone()], |_| true).await
    }

    /// The project's listeners, pools (with the ids of their members) and health monitors.
    pub(crate) async fn parts(cloud: &Cloud, project: &str) -> Result<Self> {
        Self::with_parts(cloud, project, Vec::new(), |_| false).await
    }

    /// Lists the parts, and the members of those balancers that are `wanted`.
    async fn with_parts(
        cloud: &Cloud,
        project: &str,
        balancers: Vec<LoadBalancer>,
        wanted: impl Fn(&LoadBalancer) -> bool,
    ) -> Result<Self> {
        let mine = [("project_id", project)];
        let parts = try_join!(
            all::<Listener>(cloud, &mine),
            all::<LoadBalancerPool>(cloud, &mine),
            all::<HealthMonitor>(cloud, &mine)
        );
        let (listeners, pools, monitors) = parts?;
        let mut of = Self {
            balancers,
            listeners,
            pools,
            monitors,
            members: HashMap::new(),
        };
        let wanted = of.pools.iter().filter(|pool| {
            of.balancers
                .iter()
                .any(|b| wanted(b) && pool.loadbalancers.iter().any(|of| of.id == b.id))
        });
        let members = wanted.map(|pool| async {
            // It may go while it is looked at.
            let mut members = retry_question(cloud, async || cloud.find_members(&pool.id).await)
                .await?
                .unwrap_or_default();
            // Octavia lists them until its provider has taken them out.
            members.retain(|m| m.provisioning_status != "PENDING_DELETE");
            Ok::<_, stackyard_openstack::Error>((pool.id.clone(), members))
        });
        of.members = try_join_all(members).await?.into_iter().collect();
        Ok(of)
    }

    /// The listeners of a balancer, each with its pool and that one's health monitor.
    pub(crate) fn listeners_of(
        &self,
        balancer: &str,
    ) -> impl Iterator<Item = (&Listener, Option<&LoadBalancerPool>, Option<&HealthMonitor>)> {
        let of = move |l: &&Listener| l.loadbalancers.iter().any(|b| b.id == balancer);
        self.listeners.iter().filter(of).map(|listener| {
            let pool = listener
                .default_pool_id
                .as_ref()
                .and_then(|id| self.pools.iter().find(|p| p.id == *id));
            (listener, pool, pool.and_then(|p| self.monitor_of(&p.id)))
        })
    }

    /// Pools of a balancer that no listener leads to.
    pub(crate) fn stray_pools(&self, balancer: &str) -> impl Iterator<Item = &LoadBalancerPool> {
        let of = move |p: &&LoadBalancerPool| p.loadbalancers.iter().any(|b| b.id == balancer);
        self.pools.iter().filter(of).filter(|p| {
            !self
                .listeners
                .iter()
                .any(|l| l.default_pool_id.as_deref() == Some(p.id.as_str()))
        })
    }

    fn monitor_of(&self, pool: &str) -> Option<&HealthMonitor> {
        self.monitors
            .iter()
            .find(|m| m.pools.iter().any(|p| p.id == pool))
    }

    /// Members of a pool.
    pub(crate) fn members_of(&self, pool: &str) -> &[Member] {
        self.members.get(pool).map_or(&[], Vec::as_slice)
    }
}

/// Whether a provider is OVN's, which shares load by source address and port only, and takes no
/// health monitors with a balancer's creation.
pub(crate) fn is_ovn(provider: Option<&str>) -> bool {
    provider == Some("ovn")
}
