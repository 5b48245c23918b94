//! `runtimeConfig.bandwidth`: how fast packets may go to a container and out of it.
//!
//! Where the cloud has the extension `qos`, that is a QoS policy of the port: Neutron's switches hold to it wherever the
//! packets go. Limits that are alike share a policy, which is made for the first container that has them and written
//! down (`limits/` in the ledger) when it is whole. Nobody keeps count: a pass of the reconciler removes what no
//! container has any more, and Neutron itself refuses that while a port has it. A policy that was found gone is made
//! anew.
//!
//! Elsewhere the kernel of this host does it ([`stackyard_wire::limit`]): to the container on the host's end of its
//! link, out of it on the container's, for an Open vSwitch in user space takes packets before anything at the host's
//! end could hold them. So a container that may change its own links can undo the latter.

use super::config::{AttachSpec, Limiter};
use super::failure::{Failure, code};
use crate::network::Error;
use crate::network::bandwidth::{Bandwidth, BandwidthPolicy};
use crate::network::ledger::Endpoint;
use crate::network::observed::{CloudView, Suspects};
use crate::network::options::EndpointOptions;
use crate::network::port_manager::PortManager;
use stackyard_openstack::{NewBandwidthLimit, NewQosPolicy, Port, QosPolicy, QosRule};
use stackyard_ports::place_mark;
use std::sync::PoisonError;
use std::time::Duration;

/// What stands for the network in a policy's mark.
const MARK: &str = "bandwidth";
/// Neutron's name of a limit among the kinds of rules.
const RULE: &str = "bandwidth_limit";

/// Sees to an attach's limits: either its port gets a policy, or what is returned is for the kernel.
pub(crate) async fn prepare(
    manager: &PortManager,
    spec: &AttachSpec,
    options: &mut EndpointOptions,
) -> Result<Bandwidth, Error> {
    let Some(limits) = spec.bandwidth else { return Ok(Bandwidth::default()) };
    // A port that was there before stays as it is.
    let may = options.port.is_none() && options.qos_policy.is_none();
    if spec.limiter == Some(Limiter::Kernel) || spec.limiter.is_none() && !(may && has_qos(manager).await?) {
        return Ok(limits);
    }
    if !may {
        return Err(Error::request(
            "`bandwidth: neutron` gives the container's port a QoS policy: it does not go with `qosPolicy` or `port`",
        ));
    }
    match policy(manager, &limits).await {
        Ok(id) => {
            options.qos_policy = Some(id);
            Ok(Bandwidth::default())
        }
        Err(Error::Cloud { source, .. }) if spec.limiter.is_none() && source.status() == Some(403) => {
            manager.say("the cloud lets this user make no QoS policies: bandwidth is limited by this host's kernel");
            *manager.qos.lock().unwrap_or_else(PoisonError::into_inner) = Some(false);
            Ok(limits)
        }
        Err(e) => Err(e),
    }
}

/// Whether the cloud has QoS policies; it is asked once.
async fn has_qos(manager: &PortManager) -> Result<bool, Error> {
    let known = *manager.qos.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known {
        return Ok(known);
    }
    let has = manager.cloud()?.has_extension("qos").await.map_err(Error::cloud("asking for Neutron's extensions"))?;
    *manager.qos.lock().unwrap_or_else(PoisonError::into_inner) = Some(has);
    Ok(has)
}

/// The id of the policy with these limits, which is made if there is none.
async fn policy(manager: &PortManager, limits: &Bandwidth) -> Result<String, Error> {
    let key = limits.key();
    let _lock = manager.locks.lock(&format!("limits {key}")).await;
    if let Some(policy) = manager.ledger.limits.get(&key) {
        return Ok(policy.id);
    }
    let doing = || Error::cloud(format!("making the QoS policy of bandwidth {key} (in kbit)"));
    let new =
        NewQosPolicy { name: format!("cni-{key}"), description: place_mark::of_endpoint(&manager.place(), MARK, &key) };
    let made: QosPolicy = manager.cloud()?.create(&new).await.map_err(doing())?;
    for (direction, (max_kbps, max_burst_kbps)) in limits.each() {
        let limit = NewBandwidthLimit { max_kbps, max_burst_kbps, direction: direction.to_owned() };
        manager.cloud()?.limit_bandwidth(&made.id, &limit).await.map_err(doing())?;
    }
    // Last: one that is not whole is nobody's.
    manager.ledger.limits.put(&key, &BandwidthPolicy { id: made.id.clone() })?;
    Ok(made.id)
}

/// Forgets an attach's policy: the cloud does not have it any more.
pub(crate) fn forget(manager: &PortManager, spec: &AttachSpec) -> Result<(), Error> {
    spec.bandwidth.map_or(Ok(()), |limits| manager.ledger.limits.remove(&limits.key()))
}

/// Compares what the runtime gives with what the port has. What is the kernel's to do the plugin looks at itself.
pub(crate) async fn check(manager: &PortManager, spec: &AttachSpec, endpoint: &Endpoint) -> Result<(), Failure> {
    let Some(limits) = spec.bandwidth else { return Ok(()) };
    let different = |msg: String| Failure::new(code::DIFFERENT, msg);
    if endpoint.limits != Bandwidth::default() {
        let same = endpoint.limits == limits;
        return if same { Ok(()) } else { Err(different("the container has other limits of bandwidth".to_owned())) };
    }
    let id = &endpoint.port;
    let doing = || Error::cloud(format!("looking up the QoS policy of port {id}"));
    let port: Port = manager.cloud()?.get(id).await.map_err(doing())?;
    let policy = port.qos_policy_id.ok_or_else(|| different(format!("port {id} has no QoS policy")))?;
    let policy: QosPolicy = manager.cloud()?.get(&policy).await.map_err(doing())?;
    for (direction, (rate, burst)) in limits.each() {
        let rule = policy.rules.iter().find(|r| r.kind == RULE && r.direction.as_deref() == Some(direction));
        let is_it = |r: &QosRule| r.max_kbps == Some(rate) && r.max_burst_kbps == Some(burst);
        if !rule.is_some_and(is_it) {
            let kbit = |n: Option<u64>| n.map_or_else(|| "no".to_owned(), |n| n.to_string());
            let (max, at_once) = (rule.and_then(|r| r.max_kbps), rule.and_then(|r| r.max_burst_kbps));
            return Err(different(format!(
                "the {direction} limit of port {id} is {} kbit/s with {} kbit at once, by QoS policy {}; it should be {rate} \
                 and {burst}",
                kbit(max),
                kbit(at_once),
                policy.name
            )));
        }
    }
    Ok(())
}

/// Policies that this plugin has made.
pub(crate) async fn policies(manager: &PortManager) -> Result<Vec<QosPolicy>, Error> {
    if !has_qos(manager).await? {
        return Ok(Vec::new());
    }
    let place = manager.place();
    let mut policies: Vec<QosPolicy> =
        manager.cloud()?.list(&[]).await.map_err(Error::cloud("listing this plugin's QoS policies"))?;
    policies.retain(|p| place_mark::network(&place, &p.description) == Some(MARK));
    Ok(policies)
}

/// Removes policies that nobody needs.
pub(crate) async fn remove_unused(manager: &PortManager, cloud: &CloudView, suspects: &mut Suspects, grace: Duration) {
    let place = manager.place();
    for policy in &cloud.policies {
        let is_it = |options: &EndpointOptions| options.qos_policy.as_ref() == Some(&policy.id);
        let used = manager.ledger.endpoints.all().values().any(|e| is_it(&e.options))
            || manager.ledger.spares.all().values().any(|s| is_it(&s.endpoint.options))
            || manager.port_demand.keeps(is_it);
        if used || !suspects.lasts(format!("QoS policy {}", policy.id), grace) {
            continue;
        }
        let key = place_mark::endpoint(&place, &policy.description).unwrap_or_default();
        let Some(_lock) = manager.locks.try_lock(&format!("limits {key}")) else { continue };
        let what = format!("QoS policy {} belongs to no container", policy.name);
        match remove(manager, key, policy).await {
            Ok(true) => manager.say(what),
            // A port that is about to be written down has it, or somebody else's.
            Ok(false) => {}
            Err(e) => manager.complain(&what, &e),
        }
    }
}

/// Whether Neutron let it go.
async fn remove(manager: &PortManager, key: &str, policy: &QosPolicy) -> Result<bool, Error> {
    if manager.ledger.limits.get(key).is_some_and(|known| known.id == policy.id) {
        manager.ledger.limits.remove(key)?;
    }
    match manager.cloud()?.delete::<QosPolicy>(&policy.id).await {
        Err(e) if e.status() == Some(409) => Ok(false),
        done => done.map(|_| true).map_err(Error::cloud(format!("removing QoS policy {}", policy.name))),
    }
}
