//! What can be known to fail before the first creation: names that nothing has, flavors without a
//! disk, images that do not fit, quotas.

mod load_balancer;
mod machine;

use crate::error::Error;
use crate::inventory::{Availability, Inventory};
use crate::pools::{HookTargets, missing, will_be_too_large};
use crate::retry::retry;
use stackyard_core::yard::intend::{HostJoin, Intended, Peer, Ref, Spec};
use stackyard_core::yard::plan::{Action, Plan};
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{Cloud, Quota};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What preflight found out and apply needs.
#[derive(Debug, Default)]
pub struct ResolvedChoices {
    /// Ids of flavors, by name or id in the manifest.
    pub flavors: HashMap<String, String>,
    /// The same of images.
    pub images: HashMap<String, String>,
    /// The provider of load balancers that say none, where the cloud has only one.
    pub provider: Option<String>,
}

/// What preflight says.
#[derive(Debug, Default)]
pub struct PreflightResult {
    /// Why the plan cannot be carried out.
    pub blockers: Vec<String>,
    /// Ids for apply.
    pub choices: ResolvedChoices,
}

/// Checks a plan against the cloud; asks it nothing if nothing is to be made. `has_service` says
/// whether there is a server that hosts can join; `targets`, where requests of join commands may go.
///
/// # Errors
/// [`Error::Cloud`]
pub async fn preflight(
    cloud: &Cloud,
    inventory: &Inventory,
    intended: &Intended,
    plan: &Plan,
    has_service: bool,
    targets: &HookTargets,
) -> Result<PreflightResult, Error> {
    let mut found = PreflightResult {
        blockers: plan.refusals.clone(),
        ..PreflightResult::default()
    };
    let made = |s: &&stackyard_core::yard::plan::Step| {
        matches!(s.action, Action::Create | Action::Recreate)
    };
    let new: HashSet<&Key> = plan.steps.iter().filter(made).map(|s| &s.key).collect();
    let touched: HashSet<&Key> = plan
        .steps
        .iter()
        .filter(|s| s.action != Action::Keep)
        .map(|s| &s.key)
        .collect();
    let mut check = PreflightCheck {
        inventory,
        said: BTreeSet::new(),
    };
    intended
        .resources
        .iter()
        .filter(|r| touched.contains(&r.key))
        .for_each(|r| check.references(&r.spec));
    found.blockers.extend(check.said);
    found.blockers.extend(services(inventory, &touched));
    if new.is_empty() {
        return Ok(found);
    }
    let specs: Vec<(&Key, &Spec)> = intended
        .resources
        .iter()
        .filter(|r| new.contains(&r.key))
        .map(|r| (&r.key, &r.spec))
        .collect();
    hosts(&specs, has_service, targets, &mut found);
    machine::check(cloud, &specs, &mut found).await?;
    quotas(cloud, &specs, plan, &mut found).await?;
    if lack(&inventory.balancing).is_none() {
        load_balancer::check(cloud, &inventory.project, &specs, plan, &mut found).await?;
    }
    Ok(found)
}

struct PreflightCheck<'a> {
    inventory: &'a Inventory,
    said: BTreeSet<String>,
}

impl PreflightCheck<'_> {
    fn reference(&mut self, r: &Ref) {
        if let Ref::Cloud(kind, text) = r
            && let Err(why) = self.inventory.resolve(*kind, text)
        {
            self.said.insert(why);
        }
    }

    fn external(&mut self, text: Option<&String>) {
        if let Err(why) = self.inventory.external(text.map(String::as_str)) {
            self.said.insert(why);
        }
    }

    /// Neutron refuses groups on ports without port security, which they have from their network.
    fn groups_apply(&mut self, port: &str, network: &Ref) {
        let Ref::Cloud(kind, text) = network else {
            return;
        };
        let Ok(id) = self.inventory.resolve(*kind, text) else {
            return;
        };
        let mut networks = self.inventory.networks.iter();
        if networks.any(|n| n.id == id && n.port_security_enabled == Some(false)) {
            self.said.insert(format!(
                "port `{port}` cannot have security groups, since network `{text}` has no port security: leave them \
                 out (`securityGroups: []`), or set `portSecurity: true` for this network of the server"
            ));
        }
    }

    fn references(&mut self, spec: &Spec) {
        match spec {
            Spec::Router {
                external: Some(external),
            } => self.external(Some(external)),
            Spec::FloatingIp { external, .. } => self.external(external.as_ref()),
            Spec::Interface { router, .. } => self.reference(router),
            Spec::Rule {
                peer: Peer::Group(group),
                ..
            } => self.reference(group),
            Spec::Port {
                name,
                network,
                groups,
                port_security,
                ..
            } => {
                self.reference(network);
                groups.iter().flatten().for_each(|g| self.reference(g));
                if port_security.is_none() && groups.iter().flatten().next().is_some() {
                    self.groups_apply(name, network);
                }
            }
            Spec::Server(server) => {
                [&server.key, &server.group]
                    .into_iter()
                    .flatten()
                    .for_each(|r| self.reference(r));
            }
            Spec::Attachment { volume, .. } => self.reference(volume),
            Spec::LoadBalancer(balancer) => {
                self.reference(&balancer.network);
                balancer.subnet.iter().for_each(|s| self.reference(s));
            }
            _ => {}
        }
    }
}

/// What new hosts need to join.
fn hosts(
    specs: &[(&Key, &Spec)],
    has_service: bool,
    targets: &HookTargets,
    found: &mut PreflightResult,
) {
    let mut seen = BTreeSet::new();
    for (_, spec) in specs {
        let Spec::Server(server) = spec else { continue };
        let Some(host) = server
            .host
            .as_ref()
            .filter(|h| seen.insert(h.pool.as_str()))
        else {
            continue;
        };
        let pool = &host.pool;
        let mut say = |what: String| found.blockers.push(format!("pool `{pool}`: {what}"));
        if host.has_agent() && !has_service {
            say(
                "its hosts join a Stackyard server, and none runs here: start `stackyard server`"
                    .to_owned(),
            );
        }
        if let HostJoin::Command(command) = &host.join {
            missing(command, targets).into_iter().for_each(&mut say);
        }
        will_be_too_large(server.user_data.as_deref(), &host.join, host.disk.is_some())
            .into_iter()
            .for_each(&mut say);
    }
}

/// Services that the plan needs and that do not answer.
fn services(inventory: &Inventory, touched: &HashSet<&Key>) -> Vec<String> {
    let wants = |kind| touched.iter().any(|k| k.kind == kind);
    let mut said = Vec::new();
    let mut check = |lack: Option<String>, wanted: bool, service: &str, key: &str| {
        if let Some(lack) = lack.filter(|_| wanted) {
            said.push(format!("{lack} {service}, which `{key}` needs"));
        }
    };
    check(
        lack(&inventory.balancing),
        wants(Kind::LoadBalancer),
        "load balancers (Octavia)",
        "loadBalancers",
    );
    check(
        lack(&inventory.containers),
        wants(Kind::ObjectContainer),
        "object store (Swift)",
        "objectContainers",
    );
    said
}

fn lack<T>(service: &Availability<T>) -> Option<String> {
    match service {
        Availability::There(_) => None,
        Availability::Missing => Some("the cloud has no".to_owned()),
        Availability::Forbidden => Some("the user may not use".to_owned()),
        Availability::Failed(why) => Some(format!("it is not known ({why}) what there is of the")),
    }
}

/// Neutron's and Cinder's.
async fn quotas(
    cloud: &Cloud,
    specs: &[(&Key, &Spec)],
    plan: &Plan,
    found: &mut PreflightResult,
) -> Result<(), Error> {
    let count = |kind| specs.iter().filter(|(k, _)| k.kind == kind).count() as i64;
    // What goes may go first, but need not: it is not counted.
    let replaced = |kind| {
        plan.steps
            .iter()
            .filter(|s| s.key.kind == kind && s.action == Action::Discard)
            .count() as i64
    };
    let new = |kind| count(kind) - replaced(kind);
    let network = [
        ("network", new(Kind::Network)),
        ("subnet", new(Kind::Subnet)),
        ("router", new(Kind::Router)),
        ("port", new(Kind::Port) + new(Kind::Interface)),
        ("security_group", new(Kind::SecurityGroup)),
        ("security_group_rule", new(Kind::Rule)),
        ("floatingip", new(Kind::FloatingIp)),
    ];
    if network.iter().any(|(_, n)| *n > 0) {
        // Not every cloud lets its users see it.
        if let Ok(quota) = cloud.network_quota().await {
            exceeded(&quota, &network, &mut found.blockers);
        }
    }
    if count(Kind::Volume) > 0 {
        let gib: u64 = specs
            .iter()
            .map(|(_, s)| {
                if let Spec::Volume { size, .. } = s {
                    size.0
                } else {
                    0
                }
            })
            .sum();
        let quota = retry(|_| {}, async || cloud.volume_quota().await)
            .await
            .map_err(Error::cloud("asking Cinder's quota"))?;
        let gib = i64::try_from(gib).unwrap_or(i64::MAX);
        exceeded(
            &quota,
            &[("volumes", new(Kind::Volume)), ("gigabytes", gib)],
            &mut found.blockers,
        );
    }
    Ok(())
}

fn exceeded(quota: &BTreeMap<String, Quota>, wanted: &[(&str, i64)], blockers: &mut Vec<String>) {
    for (name, need) in wanted.iter().filter(|(_, n)| *n > 0) {
        if let Some(left) = quota.get(*name).and_then(|q| q.left())
            && left < *need
        {
            blockers.push(format!(
                "the quota `{name}` has room for {left} more, {need} are needed"
            ));
        }
    }
}
