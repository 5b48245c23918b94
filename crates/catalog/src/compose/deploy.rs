//! A service's `deploy`, `scale` and `restart`.
//!
//! On one engine, `deploy` says no more than the limits of the one container; among hosts all of
//! it counts. What has no effect is told either way.

use super::service::{duration, one_of, parsed};
use super::{LoadContext, Target, options, units};
use crate::yaml::{FieldFate, FieldReading, Fields, Node};
use stackyard_core::stack::deploy::{Constraint, Deploy, Mode, OnFailure, Order, Placement, Update, What};
use stackyard_core::stack::{JOB_LABEL, MountKind, NetworkMode, RestartPolicy, Service};
use std::collections::BTreeMap;

/// A service's `restart`.
pub(crate) fn restart(f: &Fields<'_, '_>) -> RestartPolicy {
    let policy = parsed(f, "restart", |text| match text.split_once(':').unwrap_or((text, "")) {
        ("no" | "", "") => Ok(RestartPolicy::No),
        ("always", "") => Ok(RestartPolicy::Always),
        ("unless-stopped", "") => Ok(RestartPolicy::UnlessStopped),
        ("on-failure", "") => Ok(RestartPolicy::OnFailure { max_retries: None }),
        ("on-failure", max) if max.parse::<u32>().is_ok() => {
            Ok(RestartPolicy::OnFailure { max_retries: max.parse().ok() })
        }
        _ => Err("one of `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:<count>` is expected".into()),
    });
    policy.unwrap_or_default()
}

/// Reads `deploy`, `scale` and our own extension into a service that has all its other parts.
pub(crate) fn read(f: &Fields<'_, '_>, service: &mut Service, node: &Node, cx: &LoadContext<'_>) {
    deploy(f, service, cx);
    if let Some(scale) = f.get("scale") {
        let replicas = f.get("deploy").and_then(Node::as_map).and_then(|m| m.get("replicas"));
        match (scale.int(&f.at("scale"), f.log), cx.project.target) {
            (Some(n), Target::Engine) if n != 1 => alone(scale, &f.at("scale"), f),
            (Some(n), Target::Hosts) => {
                let count = count(n, scale, &f.at("scale"), f);
                if replicas.is_some() && count.is_some_and(|c| c != service.deploy.replicas) {
                    f.log.problem(&scale.place, format!("{}: `deploy.replicas` says another number", f.at("scale")));
                }
                service.deploy.replicas = count.unwrap_or(service.deploy.replicas);
            }
            _ => {}
        }
    }
    if cx.project.target == Target::Hosts {
        service.deploy.local_image = extension(f);
        on_hosts(f, service, node);
    }
}

fn alone(node: &Node, path: &str, f: &Fields<'_, '_>) {
    f.log.problem(&node.place, format!("{path}: only one container a service is run"));
}

fn count(value: i64, node: &Node, path: &str, f: &Fields<'_, '_>) -> Option<u32> {
    // Numbers of replicas end up in names; a thousand of one service are more than hosts take.
    let count = u32::try_from(value).ok().filter(|n| *n <= 1000);
    if count.is_none() {
        f.log.problem(&node.place, format!("{path}: {value} is not from 0 to 1000"));
    }
    count
}

fn deploy(f: &Fields<'_, '_>, service: &mut Service, cx: &LoadContext<'_>) {
    let Some(d) = f.get("deploy").and_then(|n| Fields::of(n, f.at("deploy"), f.log)) else { return };
    let hosts = cx.project.target == Target::Hosts;
    if let Some(node) = d.get("replicas") {
        match node.int(&d.at("replicas"), d.log) {
            Some(n) if hosts => {
                service.deploy.replicas = count(n, node, &d.at("replicas"), &d).unwrap_or(1);
            }
            Some(n) if n != 1 => alone(node, &d.at("replicas"), &d),
            _ => {}
        }
    }
    resources(&d, service, hosts);
    restart_policy(f, &d, service);
    const LABELS: (&str, FieldFate) = ("labels", FieldFate::Ignored("labels of containers are the service's `labels`"));
    if !hosts {
        const MANY: FieldFate = FieldFate::Ignored("it is for clusters");
        let keys = ["mode", "placement", "update_config", "rollback_config", "endpoint_mode"];
        let others: Vec<_> = keys.into_iter().map(|k| (k, MANY)).chain([LABELS]).collect();
        return d.finish(true, &others);
    }
    let modes = [
        ("replicated", Mode::Replicated),
        ("global", Mode::Global),
        ("replicated-job", Mode::ReplicatedJob),
        ("global-job", Mode::GlobalJob),
    ];
    let Deploy { mode, placement: place, update: changes, rollback, .. } = &mut service.deploy;
    *mode = one_of(&d, "mode", &modes).unwrap_or_default();
    *place = placement(&d);
    *changes = update(&d, "update_config", true);
    *rollback = update(&d, "rollback_config", false);
    if let Some(node) = d.get("replicas").filter(|_| mode.is_global()) {
        d.log.problem(&node.place, format!("{}: there is one on each host, as `mode` says", d.at("replicas")));
    }
    if mode.is_job() && service.restarts_forever() {
        let place = d.get("mode").map_or(&f.map.entries[0].1.place, |n| &n.place);
        let hint = Some("set `restart` or `restart_policy.condition` to on-failure, or leave it out".to_owned());
        d.log.problem_hint(place, format!("{}: a job that is always started again never ends", d.at("mode")), hint);
    }
    if let Some(node) = d.get("endpoint_mode")
        && one_of(&d, "endpoint_mode", &[("dnsrr", false), ("vip", true)]) == Some(true)
    {
        let what = d.at("endpoint_mode");
        d.log.warn(&node.place, format!("{what}: has no effect: a service's name leads to all its containers"));
    }
    d.finish(true, &[LABELS]);
}

fn resources(d: &Fields<'_, '_>, service: &mut Service, hosts: bool) {
    let Some(r) = d.get("resources").and_then(|n| Fields::of(n, d.at("resources"), d.log)) else { return };
    if let Some(limits) = r.get("limits").and_then(|n| Fields::of(n, r.at("limits"), r.log)) {
        service.nano_cpus =
            one(parsed(&limits, "cpus", units::nano_cpus), service.nano_cpus, &limits, ["cpus", "cpus"]);
        service.mem_limit =
            one(parsed(&limits, "memory", units::bytes), service.mem_limit, &limits, ["memory", "mem_limit"]);
        service.pids_limit = one(limits.int("pids"), service.pids_limit, &limits, ["pids", "pids_limit"]);
        limits.finish(true, &[]);
    }
    if let Some(kept) = r.get("reservations").and_then(|n| Fields::of(n, r.at("reservations"), r.log)) {
        let memory = parsed(&kept, "memory", units::bytes);
        service.mem_reservation = one(memory, service.mem_reservation, &kept, ["memory", "mem_reservation"]);
        if let Some(devices) = kept.get("devices") {
            let requests = options::device_requests(devices, &kept.at("devices"), &kept, true);
            service.engine.device_requests.extend(requests);
        }
        let mut others =
            vec![("generic_resources", FieldFate::Refused("label the hosts, and constrain the placement"))];
        if hosts {
            service.deploy.nano_cpus = parsed(&kept, "cpus", units::nano_cpus).unwrap_or_default();
        } else {
            others[0].1 = FieldFate::Refused("leave it out");
            others.push(("cpus", FieldFate::Ignored("one engine reserves no CPUs")));
        }
        kept.finish(true, &others);
    }
    r.finish(true, &[]);
}

/// A limit that `deploy` has, else the service's own; two that differ are a mistake.
fn one<T: PartialEq>(
    here: Option<T>,
    own: Option<T>,
    f: &Fields<'_, '_>,
    [key, other]: [&'static str; 2],
) -> Option<T> {
    if let (Some(here), Some(own), Some(node)) = (&here, &own, f.map.get(key))
        && here != own
    {
        f.log.problem(&node.place, format!("{}: the service's `{other}` has another value", f.at(key)));
    }
    here.or(own)
}

fn restart_policy(f: &Fields<'_, '_>, d: &Fields<'_, '_>, service: &mut Service) {
    let Some(p) = d.get("restart_policy").and_then(|n| Fields::of(n, d.at("restart_policy"), d.log)) else { return };
    let max_retries = p.int("max_attempts").and_then(|n| u32::try_from(n).ok());
    let policies = [
        ("none", RestartPolicy::No),
        ("on-failure", RestartPolicy::OnFailure { max_retries }),
        ("any", RestartPolicy::Always),
        // Words of `restart`, which Compose takes here, too.
        ("no", RestartPolicy::No),
        ("always", RestartPolicy::Always),
        ("unless-stopped", RestartPolicy::UnlessStopped),
    ];
    let policy = one_of(&p, "condition", &policies).unwrap_or(RestartPolicy::Always);
    if f.get("restart").and_then(Node::as_text).is_none_or(str::is_empty) {
        service.restart = policy;
    }
    let why = "the engine has its own back-off";
    p.finish(true, &[("delay", FieldFate::Ignored(why)), ("window", FieldFate::Ignored(why))]);
}

fn placement(d: &Fields<'_, '_>) -> Placement {
    let mut placement = Placement::default();
    let Some(p) = d.get("placement").and_then(|n| Fields::of(n, d.at("placement"), d.log)) else { return placement };
    let path = p.at("constraints");
    for node in p.get("constraints").map(|n| n.items(&path, p.log)).unwrap_or_default() {
        let Some(text) = node.string(&path, p.log) else { continue };
        match Constraint::parse(&text) {
            Ok(constraint) => {
                if constraint.what == What::Role && (constraint.value == "worker") != constraint.equal {
                    let why = "every host is a worker; leave the constraint out";
                    p.log.warn(&node.place, format!("{path}: no host meets `{constraint}`: {why}"));
                }
                placement.constraints.push(constraint);
            }
            Err(e) => p.log.problem(&node.place, format!("{path}: `{text}`: {e}")),
        }
    }
    let path = p.at("preferences");
    for node in p.get("preferences").map(|n| n.items(&path, p.log)).unwrap_or_default() {
        let Some(preference) = Fields::of(node, path.as_str(), p.log) else { continue };
        if let Some(by) = preference.need("spread", node).and_then(|n| n.string(&preference.at("spread"), p.log)) {
            match by.strip_prefix("node.labels.").filter(|l| !l.is_empty()) {
                Some(label) => placement.spread.push(label.to_owned()),
                None => p.log.problem(&node.place, format!("{path}: `{by}`: node.labels.<name> is expected")),
            }
        }
        preference.finish(true, &[]);
    }
    if let Some(node) = p.get("max_replicas_per_node") {
        let path = p.at("max_replicas_per_node");
        let max = node.int(&path, p.log).and_then(|n| count(n, node, &path, &p));
        // Swarm's zero means that there is no limit.
        placement.max_per_host = max.filter(|n| *n > 0);
    }
    p.finish(true, &[]);
    placement
}

fn update(d: &Fields<'_, '_>, key: &'static str, may_roll_back: bool) -> Update {
    let mut update = Update::default();
    let Some(u) = d.get(key).and_then(|n| Fields::of(n, d.at(key), d.log)) else { return update };
    if let Some(node) = u.get("parallelism") {
        let path = u.at("parallelism");
        let given = node.int(&path, u.log).and_then(|n| count(n, node, &path, &u));
        update.parallelism = given.unwrap_or(update.parallelism);
    }
    update.delay = duration(&u, "delay").unwrap_or_default();
    update.monitor = duration(&u, "monitor").unwrap_or(update.monitor);
    let actions = [("pause", OnFailure::Pause), ("continue", OnFailure::Continue), ("rollback", OnFailure::Rollback)];
    let actions = if may_roll_back { &actions[..] } else { &actions[..2] };
    update.on_failure = one_of(&u, "failure_action", actions).unwrap_or_default();
    let orders = [("stop-first", Order::StopFirst), ("start-first", Order::StartFirst)];
    update.order = one_of(&u, "order", &orders).unwrap_or_default();
    update.max_failures = parsed(&u, "max_failure_ratio", units::millionths).unwrap_or_default();
    u.finish(true, &[]);
    update
}

/// Among hosts, what should run is started again when it ends unless the file says otherwise (the
/// default of `restart_policy.condition` is `any`); a job is not.
pub(crate) fn restarts(services: &mut BTreeMap<String, Service>, nodes: &BTreeMap<&str, &Node>) {
    let said = |name: &str| {
        let map = nodes.get(name).and_then(|n| n.as_map());
        let deploy = map.and_then(|m| m.get("deploy")).and_then(Node::as_map);
        let restart = map.and_then(|m| m.get("restart")).and_then(Node::as_text);
        restart.is_some_and(|r| !r.is_empty()) || deploy.is_some_and(|d| d.get("restart_policy").is_some())
    };
    let silent: Vec<String> = services
        .iter()
        .filter(|(name, s)| !said(name) && !s.deploy.mode.is_job() && !Service::is_job(name, services.values()))
        .filter(|(_, s)| s.labels.get(JOB_LABEL).is_none_or(|v| v != "true"))
        .map(|(name, _)| name.clone())
        .collect();
    for name in silent {
        if let Some(service) = services.get_mut(&name) {
            service.restart = RestartPolicy::UnlessStopped;
        }
    }
}

/// `x-stackyard` of a service: whether its image comes from the server.
fn extension(f: &Fields<'_, '_>) -> bool {
    let Some(x) = f.get("x-stackyard").and_then(|n| Fields::of(n, f.at("x-stackyard"), f.log)) else { return false };
    let local = one_of(&x, "image", &[("local", true), ("registry", false)]).unwrap_or(false);
    x.finish(false, &[]);
    local
}

/// What goes on one engine, but not where containers come and go among hosts.
fn on_hosts(f: &Fields<'_, '_>, service: &Service, node: &Node) {
    let Deploy { mode, replicas, update, .. } = &service.deploy;
    let several = mode.is_global() || *replicas > 1 || update.order == Order::StartFirst;
    if service.network_mode == NetworkMode::Bridge
        && let Some(mode) = f.get("network_mode")
    {
        let what = "names of services do not resolve on the engine's own bridge";
        f.log.warn(&mode.place, format!("{}: {what}", f.at("network_mode")));
    }
    if let NetworkMode::Container(_) = service.network_mode {
        f.log
            .problem(&node.place, format!("{}: containers of others are on no host for certain", f.at("network_mode")));
    }
    let NetworkMode::Networks(networks) = &service.network_mode else { return };
    let fixed = |a: &&stackyard_core::stack::Attachment| {
        a.ipv4_address.is_some() || a.ipv6_address.is_some() || a.mac_address.is_some()
    };
    if several && networks.values().any(|a| fixed(&a)) {
        let hint = Some("leave the address out; the service's name leads to all its containers".to_owned());
        f.log.problem_hint(&node.place, format!("{}: several containers cannot have one address", f.path), hint);
    }
    if several {
        for mount in &service.volumes {
            if let MountKind::Volume { name, .. } = &mount.kind {
                let what = "each host has its own, which containers on other hosts do not see";
                f.log.warn(&node.place, format!("{}: the volume `{name}` is not shared: {what}", f.path));
            }
        }
    }
}
