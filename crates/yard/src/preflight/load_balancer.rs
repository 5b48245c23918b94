//! What can be known of load balancers before they are made.

use super::{PreflightResult, exceeded};
use crate::error::Error;
use crate::inventory::{Balancing, is_ovn};
use crate::retry::retry;
use futures_util::try_join;
use stackyard_core::yard::intend::{LoadBalancerSpec, Spec};
use stackyard_core::yard::plan::{Action, Plan};
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{Cloud, HealthMonitor, LoadBalancer, LoadBalancerPool, PartOf, Quota};
use std::collections::{BTreeMap, HashSet};

/// Octavia's provider, what it can do, and its quota.
pub(super) async fn check(
    cloud: &Cloud,
    project: &str,
    specs: &[(&Key, &Spec)],
    plan: &Plan,
    found: &mut PreflightResult,
) -> Result<(), Error> {
    let wanted: Vec<(&Key, &LoadBalancerSpec)> = specs
        .iter()
        .filter_map(|(key, spec)| {
            if let Spec::LoadBalancer(of) = spec {
                Some((*key, &**of))
            } else {
                None
            }
        })
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let mut known = retry(|_| {}, async || cloud.load_balancer_providers().await)
        .await
        .map_err(Error::cloud("asking for Octavia's providers"))?;
    known.sort();
    // An old name of the same.
    known.retain(|p| p != "octavia");
    if let [only] = known.as_slice() {
        found.choices.provider = Some(only.clone());
    }
    for &(key, of) in &wanted {
        if let Some(provider) = of
            .provider
            .as_ref()
            .filter(|p| !known.contains(p) && *p != "octavia")
        {
            found.blockers.push(format!(
                "{key}: the cloud has no provider `{provider}`; it has {}",
                known.join(", ")
            ));
        }
        if !is_ovn(of.provider.as_deref().or(found.choices.provider.as_deref())) {
            continue;
        }
        for listener in &of.listeners {
            let mut cannot = |what: &str, instead: &str| {
                let label = listener.label();
                found.blockers.push(format!(
                    "{key}, {label}: the provider `ovn` cannot do {what}; {instead}"
                ));
            };
            if listener.protocol == "HTTP" {
                cannot("HTTP", "use `proto: tcp`");
            }
            if listener.algorithm.is_some_and(|a| a != "SOURCE_IP_PORT") {
                cannot("that algorithm", "leave it out, or use `source-ip-port`");
            }
            if listener
                .health
                .as_ref()
                .is_some_and(|h| !matches!(h.monitor_type.as_str(), "TCP" | "UDP-CONNECT"))
            {
                cannot("that health monitor", "use `type: tcp`");
            }
        }
    }
    let specs: Vec<&LoadBalancerSpec> = wanted.into_iter().map(|(_, of)| of).collect();
    quota(cloud, project, &specs, plan, found).await
}

/// Octavia tells limits alone: what is in use is counted.
async fn quota(
    cloud: &Cloud,
    project: &str,
    wanted: &[&LoadBalancerSpec],
    plan: &Plan,
    found: &mut PreflightResult,
) -> Result<(), Error> {
    // Not every cloud lets its users see it.
    let Ok(mut limits) = cloud.load_balancer_limits().await else {
        return Ok(());
    };
    limits.retain(|_, limit| *limit >= 0);
    if limits.is_empty() {
        return Ok(());
    }
    // What goes may go first, but need not: it is not counted.
    let going: HashSet<&str> = plan
        .steps
        .iter()
        .filter(|s| s.key.kind == Kind::LoadBalancer && s.action == Action::Discard)
        .filter_map(|s| s.id.as_deref())
        .collect();
    let mine = [("project_id", project)];
    let balancers = retry(|_| {}, async || cloud.list::<LoadBalancer>(&mine).await);
    let listed = try_join!(balancers, Balancing::parts(cloud, project));
    let (balancers, parts) =
        listed.map_err(Error::cloud("counting what Octavia's quota is used for"))?;
    let stays = |of: &[PartOf]| {
        !of.iter()
            .any(|balancer| going.contains(balancer.id.as_str()))
    };
    let pools: Vec<&LoadBalancerPool> = parts
        .pools
        .iter()
        .filter(|p| stays(&p.loadbalancers))
        .collect();
    let of_these =
        |m: &&HealthMonitor| m.pools.iter().any(|of| pools.iter().any(|p| p.id == of.id));
    let listeners = wanted.iter().map(|of| of.listeners.len()).sum::<usize>();
    let all = || wanted.iter().flat_map(|of| &of.listeners);
    let counts = [
        (
            "loadbalancer",
            balancers
                .iter()
                .filter(|b| !going.contains(b.id.as_str()))
                .count(),
            wanted.len(),
        ),
        (
            "listener",
            parts
                .listeners
                .iter()
                .filter(|l| stays(&l.loadbalancers))
                .count(),
            listeners,
        ),
        ("pool", pools.len(), listeners),
        (
            "member",
            pools.iter().map(|p| p.members.len()).sum(),
            all().map(|l| l.members.len()).sum(),
        ),
        (
            "healthmonitor",
            parts.monitors.iter().filter(of_these).count(),
            all().filter(|l| l.health.is_some()).count(),
        ),
    ];
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let used = |name: &str, used| {
        Some((
            name.to_owned(),
            Quota {
                limit: *limits.get(name)?,
                used: count(used),
                reserved: 0,
            },
        ))
    };
    let quota: BTreeMap<String, Quota> = counts
        .iter()
        .filter_map(|(name, n, _)| used(name, *n))
        .collect();
    exceeded(
        &quota,
        &counts.map(|(name, _, need)| (name, count(need))),
        &mut found.blockers,
    );
    Ok(())
}
