//! Octavia's load balancers.
//!
//! One is made with all its parts by one request. Later, and for what a provider leaves out of that
//! request (OVN: health monitors), it is looked at and the first difference is mended, until there
//! is none: a run that was killed between two changes, an answer that got lost and a balancer that
//! is just changing (409) are all the same to that.

use crate::execute::{ActionError, Executor};
use crate::inventory::{Balancing, is_ovn};
use crate::observe::health;
use crate::retry::is_transient;
use serde_json::json;
use stackyard_core::yard::intend::{HealthSpec, ListenerSpec, LoadBalancerSpec, Spec};
use stackyard_core::yard::observed::OLDER_MARK;
use stackyard_core::yard::plan::Step;
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{
    Cloud, FixedIp, HealthMonitor, Listener, LoadBalancer, LoadBalancerPool, Member,
    NewHealthMonitor, NewListener, NewLoadBalancer, NewMember, NewPool, Port,
    Result as CloudResult,
};
use stackyard_ports::is_container;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

/// How long a balancer may take to be made or changed; one that is a server of its own is slow.
const READY: Duration = Duration::from_secs(900);
/// How long its removal may take.
const LEAVE: Duration = Duration::from_secs(300);
/// Failures in a row that pass by themselves.
const ATTEMPTS: u32 = 8;

impl Executor<'_> {
    pub(super) async fn create_load_balancer(
        &self,
        key: &Key,
        of: &LoadBalancerSpec,
    ) -> Result<String, ActionError> {
        let subnet = of.subnet.as_ref().map(|s| self.refer(s)).transpose()?;
        let network = self.refer(&of.network)?;
        let provider = of.provider.as_deref().or(self.choices.provider.as_deref());
        let places = self.places(key, of, subnet.as_deref()).await?;
        let listeners = of.listeners.iter().map(|l| {
            let pool = NewPool {
                members: members(l, &places),
                healthmonitor: l
                    .health
                    .as_ref()
                    .filter(|_| !is_ovn(provider))
                    .map(|h| new_monitor(l, h, None)),
                ..new_pool(l, provider)
            };
            NewListener {
                default_pool: Some(pool),
                ..new_listener(l)
            }
        });
        let new = NewLoadBalancer {
            name: key.name.clone(),
            description: self.mark(key).to_string(),
            vip_network_id: subnet.is_none().then_some(network),
            vip_subnet_id: subnet,
            vip_address: of.address.map(|a| a.to_string()),
            provider: of.provider.clone(),
            listeners: listeners.collect(),
            pools: Vec::new(),
        };
        let all = self.inventory.balancing.there();
        let known = all
            .iter()
            .flat_map(|a| &a.balancers)
            .map(|b| b.id.as_str())
            .collect();
        Ok(self
            .marked::<LoadBalancer>(key, &new, known, |b| &b.description)
            .await?
            .id)
    }

    /// Waits until a balancer is ready, and mends what differs.
    /// Writes the mark again where an older version wrote it.
    pub(super) async fn mark_load_balancer(
        &self,
        step: &Step,
        id: &str,
    ) -> Result<(), ActionError> {
        if step.changes.iter().all(|c| c.field != OLDER_MARK) {
            return Ok(());
        }
        let wait = async || {
            self.cloud
                .wait_for::<LoadBalancer>(id, &["ACTIVE"], READY)
                .await
        };
        self.retry_action(&step.key, wait).await?;
        let body = json!({"description": self.mark(&step.key).to_string()});
        self.retry_action(&step.key, async || {
            self.cloud.update::<LoadBalancer>(id, &body).await.map(drop)
        })
        .await
    }

    pub(super) async fn settle_load_balancer(
        &self,
        key: &Key,
        id: &str,
    ) -> Result<(), ActionError> {
        let Spec::LoadBalancer(of) = self.spec(key)? else {
            return Err(format!("{key} is no load balancer").into());
        };
        let wait = async || {
            self.cloud
                .wait_for::<LoadBalancer>(id, &["ACTIVE"], READY)
                .await
        };
        let mut ready = self.retry_action(key, wait).await?;
        let places = self.places(key, of, Some(&ready.vip_subnet_id)).await?;
        let mut failed = 0;
        loop {
            match mend(self.cloud, &self.inventory.project, &ready, of, &places).await {
                Ok(None) => return Ok(()),
                Ok(Some(did)) => {
                    failed = 0;
                    (self.on_retry(key))(did);
                }
                Err(e)
                    if failed < ATTEMPTS
                        && (is_transient(&e) || (e.is_conflict() && !e.is_quota())) =>
                {
                    failed += 1;
                    (self.on_retry(key))(format!("trying again: {e}"));
                    tokio::time::sleep(Duration::from_millis(250) * failed).await;
                }
                Err(e) => return Err(e.into()),
            }
            ready = self.retry_action(key, wait).await?;
        }
    }

    pub(super) async fn load_balancer_gone(&self, key: &Key, id: &str) -> Result<(), ActionError> {
        self.retry_action(key, async || {
            self.cloud.wait_gone::<LoadBalancer>(id, LEAVE).await
        })
        .await
    }

    /// The port to which a floating IP leads: a port, or that of a load balancer.
    pub(super) async fn floating_port(&self, of: &Key, to: &Key) -> Result<String, ActionError> {
        let id = self.id(to)?;
        if to.kind != Kind::LoadBalancer {
            return Ok(id);
        }
        Ok(self
            .retry_action(of, async || self.cloud.get::<LoadBalancer>(&id).await)
            .await?
            .vip_port_id)
    }

    /// Address and subnet of each member's port, by the port's key: one request for all.
    async fn places(
        &self,
        key: &Key,
        of: &LoadBalancerSpec,
        vip: Option<&str>,
    ) -> Result<Places, ActionError> {
        let wanted: BTreeSet<&Key> = of
            .listeners
            .iter()
            .flat_map(|l| &l.members)
            .map(|m| &m.port)
            .collect();
        if wanted.is_empty() {
            return Ok(Places::new());
        }
        let mine = [("project_id", self.inventory.project.as_str())];
        let ports: Vec<Port> = self
            .retry_action(key, async || self.cloud.list(&mine).await)
            .await?;
        let ports: HashMap<&str, &Port> = ports.iter().map(|p| (p.id.as_str(), p)).collect();
        let place = |port: &Key| {
            let id = self.id(port)?;
            let fixed = ports
                .get(id.as_str())
                .map(|p| p.fixed_ips.as_slice())
                .unwrap_or_default();
            let found = best(fixed, vip)
                .ok_or_else(|| ActionError::from(format!("{port} has no address")))?;
            let address = found.ip_address.clone().unwrap_or_default();
            Ok::<_, ActionError>((port.clone(), (address, found.subnet_id.clone())))
        };
        wanted.into_iter().map(place).collect()
    }
}

/// Addresses and subnets by port.
type Places = HashMap<Key, (String, String)>;

/// The address in the balancer's own subnet, else one of IPv4, else the first.
fn best<'a>(fixed: &'a [FixedIp], vip: Option<&str>) -> Option<&'a FixedIp> {
    let v4 = |f: &&FixedIp| {
        f.ip_address
            .as_ref()
            .is_some_and(|a| a.parse::<IpAddr>().is_ok_and(|a| a.is_ipv4()))
    };
    let has = || fixed.iter().filter(|f| f.ip_address.is_some());
    has()
        .find(|f| Some(f.subnet_id.as_str()) == vip)
        .or_else(|| has().find(v4))
        .or_else(|| has().next())
}

fn new_listener(l: &ListenerSpec) -> NewListener {
    let (protocol, protocol_port) = (l.protocol.to_owned(), l.port.into());
    NewListener {
        name: l.name(),
        protocol,
        protocol_port,
        ..NewListener::default()
    }
}

fn new_pool(l: &ListenerSpec, provider: Option<&str>) -> NewPool {
    let usual = if is_ovn(provider) {
        "SOURCE_IP_PORT"
    } else {
        "ROUND_ROBIN"
    };
    NewPool {
        name: l.name(),
        protocol: l.protocol.to_owned(),
        lb_algorithm: l.algorithm.unwrap_or(usual).to_owned(),
        ..NewPool::default()
    }
}

fn new_monitor(l: &ListenerSpec, health: &HealthSpec, pool: Option<&str>) -> NewHealthMonitor {
    NewHealthMonitor {
        pool_id: pool.map(str::to_owned),
        name: l.name(),
        r#type: Some(health.monitor_type.clone()),
        delay: health.delay,
        timeout: health.timeout,
        max_retries: health.retries,
        max_retries_down: health.retries,
        url_path: health.path.clone(),
    }
}

fn members(l: &ListenerSpec, places: &Places) -> Vec<NewMember> {
    let member = |m: &stackyard_core::yard::intend::MemberSpec| {
        let (address, subnet) = places.get(&m.port)?;
        Some(NewMember {
            name: m.port.name.split('/').next().unwrap_or_default().to_owned(),
            address: address.clone(),
            protocol_port: m.number.into(),
            subnet_id: Some(subnet.clone()),
            weight: (m.weight != 1).then(|| m.weight.into()),
        })
    };
    l.members.iter().filter_map(member).collect()
}

/// Looks at a balancer and mends the first difference; says which. `None` if there is none.
async fn mend(
    cloud: &Cloud,
    project: &str,
    now: &LoadBalancer,
    of: &LoadBalancerSpec,
    places: &Places,
) -> CloudResult<Option<String>> {
    let parts = Balancing::parts_of(cloud, project, now).await?;
    let is = |l: &Listener, spec: &ListenerSpec| {
        l.protocol == spec.protocol && l.protocol_port == spec.port
    };
    let done = |what: String| Ok(Some(what));
    for (listener, _, _) in parts.listeners_of(&now.id) {
        if !of.listeners.iter().any(|spec| is(listener, spec)) {
            cloud.delete::<Listener>(&listener.id).await?;
            return done(format!("removed listener {}", listener.name));
        }
    }
    if let Some(pool) = parts.stray_pools(&now.id).next() {
        cloud.delete::<LoadBalancerPool>(&pool.id).await?;
        return done(format!("removed pool {}", pool.name));
    }
    for spec in &of.listeners {
        let name = spec.name();
        let Some((listener, pool, monitor)) =
            parts.listeners_of(&now.id).find(|(l, _, _)| is(l, spec))
        else {
            let new = NewListener {
                loadbalancer_id: Some(now.id.clone()),
                ..new_listener(spec)
            };
            cloud.create::<Listener>(&new).await?;
            return done(format!("added listener {name}"));
        };
        let Some(pool) = pool else {
            let new = NewPool {
                listener_id: Some(listener.id.clone()),
                ..new_pool(spec, Some(&now.provider))
            };
            cloud.create::<LoadBalancerPool>(&new).await?;
            return done(format!("added pool {name}"));
        };
        if let Some(algorithm) = spec.algorithm.filter(|a| *a != pool.lb_algorithm) {
            cloud
                .update::<LoadBalancerPool>(&pool.id, &json!({"lb_algorithm": algorithm}))
                .await?;
            return done(format!("pool {name} is {algorithm} now"));
        }
        let wanted = members(spec, places);
        let (containers, there): (Vec<&Member>, Vec<&Member>) = parts
            .members_of(&pool.id)
            .iter()
            .partition(|m| is_container(m));
        if !same(&there, &wanted) {
            // Their agents take care of those; one that leaves just now is found by its name, and leaves again.
            let all: Vec<NewMember> = wanted
                .iter()
                .cloned()
                .chain(containers.into_iter().map(as_it_is))
                .collect();
            cloud.set_members(&pool.id, &all).await?;
            return done(format!("pool {name} has {} members now", all.len()));
        }
        if let Some(did) = mend_monitor(cloud, spec, pool, monitor).await? {
            return done(did);
        }
    }
    Ok(None)
}

async fn mend_monitor(
    cloud: &Cloud,
    spec: &ListenerSpec,
    pool: &LoadBalancerPool,
    monitor: Option<&HealthMonitor>,
) -> CloudResult<Option<String>> {
    let name = spec.name();
    match (monitor, &spec.health) {
        (None, None) => Ok(None),
        (None, Some(wanted)) => {
            cloud
                .create::<HealthMonitor>(&new_monitor(spec, wanted, Some(&pool.id)))
                .await?;
            Ok(Some(format!("added health monitor {name}")))
        }
        (Some(there), Some(wanted)) if health(there) == *wanted => Ok(None),
        (Some(there), Some(wanted)) if there.monitor_type == wanted.monitor_type => {
            // Its kind cannot be changed.
            let change = NewHealthMonitor {
                r#type: None,
                ..new_monitor(spec, wanted, None)
            };
            cloud.update::<HealthMonitor>(&there.id, &change).await?;
            Ok(Some(format!("changed health monitor {name}")))
        }
        (Some(there), _) => {
            cloud.delete::<HealthMonitor>(&there.id).await?;
            Ok(Some(format!("removed health monitor {name}")))
        }
    }
}

/// A member that is to stay.
fn as_it_is(member: &Member) -> NewMember {
    NewMember {
        name: member.name.clone(),
        address: member.address.clone(),
        protocol_port: member.protocol_port.into(),
        subnet_id: member.subnet_id.clone(),
        weight: member.weight,
    }
}

fn same(there: &[&Member], wanted: &[NewMember]) -> bool {
    let there: BTreeSet<(&str, u32, u32)> = there
        .iter()
        .map(|m| {
            (
                m.address.as_str(),
                m.protocol_port.into(),
                m.weight.unwrap_or(1),
            )
        })
        .collect();
    let wanted = wanted
        .iter()
        .map(|m| (m.address.as_str(), m.protocol_port, m.weight.unwrap_or(1)))
        .collect();
    there == wanted
}
