//! A service in the words of the specification.

use super::absolute;
use super::value::{absent, decimal, duration, mapping, object};
use serde_json::{Map, Value, json};
use stackyard_core::stack::deploy::{Deploy, Mode, OnFailure, Order, Update};
use stackyard_core::stack::{
    Attachment, CgroupMode, DependencyCondition, EngineOptions, FileAccess, FileMount, HealthTest, Healthcheck, Mount,
    MountKind, NetworkMode, PublishedPort, RestartPolicy, Service, ServiceHook,
};
use std::path::Path;

/// One billion: billionths of a CPU in one CPU.
const BILLION: u64 = 1_000_000_000;

/// The service with all that it says. Relative paths start at `dir`.
pub(super) fn service(s: &Service, dir: &Path) -> Value {
    let mut all = Map::new();
    for part in [process(s), access(s), files(s, dir), network(s), limits(s), life(s), options(&s.engine)] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

fn process(s: &Service) -> Value {
    let mut part = object([
        ("image", json!(s.image)),
        ("environment", mapping(&s.environment)),
        ("labels", mapping(&s.labels)),
        ("user", json!(s.user)),
        ("group_add", json!(s.group_add)),
        ("working_dir", json!(s.working_dir)),
        ("hostname", json!(s.hostname)),
        ("tty", absent(s.tty)),
        ("stdin_open", absent(s.stdin_open)),
        ("init", json!(s.init)),
        ("stop_signal", json!(s.stop_signal)),
        ("stop_grace_period", duration(s.stop_grace_period)),
        ("profiles", json!(s.profiles)),
    ]);
    // An empty list says something here: the image's is not to be used.
    part["command"] = json!(s.command);
    part["entrypoint"] = json!(s.entrypoint);
    part
}

fn access(s: &Service) -> Value {
    let cgroup = s.cgroup.map(|c| match c {
        CgroupMode::Host => "host",
        CgroupMode::Private => "private",
    });
    object([
        ("privileged", absent(s.privileged)),
        ("read_only", absent(s.read_only)),
        ("cap_add", json!(s.cap_add)),
        ("cap_drop", json!(s.cap_drop)),
        ("security_opt", json!(s.security_opt)),
        ("pid", json!(s.pid)),
        ("ipc", json!(s.ipc)),
        ("uts", json!(s.uts)),
        ("cgroup", json!(cgroup)),
        ("sysctls", mapping(&s.sysctls)),
    ])
}

fn files(s: &Service, dir: &Path) -> Value {
    let devices =
        s.devices.iter().map(|d| json!({"source": d.source, "target": d.target, "permissions": d.permissions}));
    let tmpfs = s.tmpfs.iter().map(|(target, options)| match options.as_str() {
        "" => json!(target),
        options => json!(format!("{target}:{options}")),
    });
    let cdi =
        s.engine.device_requests.iter().filter(|r| r.driver.as_deref() == Some("cdi")).flat_map(|r| &r.device_ids);
    object([
        ("volumes", s.volumes.iter().map(|m| mount(m, dir)).collect()),
        ("tmpfs", tmpfs.collect()),
        ("devices", devices.chain(cdi.map(|name| json!(name))).collect()),
        ("configs", s.configs.iter().map(file).collect()),
        ("secrets", s.secrets.iter().map(file).collect()),
    ])
}

fn mount(m: &Mount, dir: &Path) -> Value {
    let read_only = absent(m.read_only);
    match &m.kind {
        MountKind::Volume { name, nocopy, subpath } => object([
            ("type", json!("volume")),
            ("source", json!(name)),
            ("target", json!(m.target)),
            ("read_only", read_only),
            ("volume", object([("nocopy", absent(*nocopy)), ("subpath", json!(subpath))])),
        ]),
        MountKind::Anonymous => {
            object([("type", json!("volume")), ("target", json!(m.target)), ("read_only", read_only)])
        }
        MountKind::Tmpfs { size, mode } => object([
            ("type", json!("tmpfs")),
            ("target", json!(m.target)),
            ("read_only", read_only),
            ("tmpfs", object([("size", json!(size.map(|s| s.to_string()))), ("mode", json!(mode))])),
        ]),
        MountKind::Archive(archive) => object([
            ("type", json!("bind")),
            ("source", json!(carried(&archive.source, dir))),
            ("target", json!(m.target)),
            ("read_only", read_only),
            // The hosts do not mount this path; they get its files.
            ("x-carried", json!(true)),
        ]),
        MountKind::Bind(bind) => object([
            ("type", json!("bind")),
            ("source", json!(bind.source)),
            ("target", json!(m.target)),
            ("read_only", read_only),
            (
                "bind",
                object([("create_host_path", json!(bind.create_host_path)), ("propagation", json!(bind.propagation))]),
            ),
        ]),
    }
}

/// The path on this machine of files that are carried to the hosts.
fn carried(source: &str, dir: &Path) -> String {
    match source.strip_prefix('~').zip(std::env::home_dir()) {
        Some((below, home)) => format!("{}{below}", home.display()),
        None => absolute(dir, source),
    }
}

fn file(m: &FileMount) -> Value {
    let (own, default) = (m.access, FileAccess::default());
    let id = |own: u32, default: u32| if own == default { Value::Null } else { json!(own.to_string()) };
    object([
        ("source", json!(m.source)),
        ("target", json!(m.target)),
        ("uid", id(own.uid, default.uid)),
        ("gid", id(own.gid, default.gid)),
        ("mode", if own.mode == default.mode { Value::Null } else { json!(format!("0{:o}", own.mode)) }),
    ])
}

fn network(s: &Service) -> Value {
    let (mode, networks) = match &s.network_mode {
        NetworkMode::Networks(all) => {
            (None, all.iter().map(|(key, a)| (key.clone(), attachment(a))).collect::<Map<_, _>>())
        }
        NetworkMode::Host => (Some("host".to_owned()), Map::new()),
        NetworkMode::None => (Some("none".to_owned()), Map::new()),
        NetworkMode::Bridge => (Some("bridge".to_owned()), Map::new()),
        NetworkMode::Service(name) => (Some(format!("service:{name}")), Map::new()),
        NetworkMode::Container(name) => (Some(format!("container:{name}")), Map::new()),
    };
    object([
        ("network_mode", json!(mode)),
        ("networks", Value::Object(networks)),
        ("ports", s.ports.iter().map(port).collect()),
        ("expose", json!(s.expose)),
        ("extra_hosts", s.extra_hosts.iter().map(|h| json!(h.replacen(':', "=", 1))).collect()),
        ("dns", json!(s.dns)),
        ("dns_search", json!(s.dns_search)),
    ])
}

fn attachment(a: &Attachment) -> Value {
    let said = object([
        ("aliases", json!(a.aliases)),
        ("ipv4_address", json!(a.ipv4_address)),
        ("ipv6_address", json!(a.ipv6_address)),
        ("mac_address", json!(a.mac_address)),
        ("driver_opts", mapping(&a.driver_opts)),
    ]);
    if said.as_object().is_some_and(Map::is_empty) { Value::Null } else { said }
}

fn port(p: &PublishedPort) -> Value {
    let published = p.published.map(|first| match p.published_last {
        Some(last) => format!("{first}-{last}"),
        None => first.to_string(),
    });
    object([
        ("target", json!(p.target)),
        ("published", json!(published)),
        ("host_ip", json!(p.host_ip)),
        ("protocol", json!(p.protocol)),
    ])
}

fn limits(s: &Service) -> Value {
    let ulimits = s.ulimits.iter().map(|(name, u)| {
        let value = if u.soft == u.hard { json!(u.soft) } else { json!({"soft": u.soft, "hard": u.hard}) };
        (name.clone(), value)
    });
    let size = |bytes: Option<u64>| json!(bytes.map(|b| b.to_string()));
    object([
        ("ulimits", Value::Object(ulimits.collect())),
        ("shm_size", size(s.shm_size)),
        ("mem_limit", size(s.mem_limit)),
        ("mem_reservation", size(s.mem_reservation)),
        ("cpus", json!(s.nano_cpus.map(|n| decimal(n, BILLION)))),
        ("pids_limit", json!(s.pids_limit)),
        ("oom_score_adj", json!(s.oom_score_adj)),
    ])
}

fn life(s: &Service) -> Value {
    let depends = s.depends_on.iter().map(|(name, d)| {
        let condition = match d.condition {
            DependencyCondition::Started => "service_started",
            DependencyCondition::Healthy => "service_healthy",
            DependencyCondition::CompletedSuccessfully => "service_completed_successfully",
        };
        let dependency =
            object([("condition", json!(condition)), ("restart", absent(d.restart)), ("required", json!(d.required))]);
        (name.clone(), dependency)
    });
    let logging = s.logging.as_ref().map(|l| object([("driver", json!(l.driver)), ("options", mapping(&l.options))]));
    object([
        ("depends_on", Value::Object(depends.collect())),
        ("restart", json!(restart(s.restart))),
        ("healthcheck", s.healthcheck.as_ref().map_or(Value::Null, healthcheck)),
        ("logging", logging.unwrap_or_default()),
        ("deploy", if s.deploy.is_default() { Value::Null } else { deploy(&s.deploy) }),
        ("x-stackyard", if s.deploy.local_image { json!({"image": "local"}) } else { Value::Null }),
    ])
}

fn restart(policy: RestartPolicy) -> String {
    match policy {
        RestartPolicy::No => "no".to_owned(),
        RestartPolicy::Always => "always".to_owned(),
        RestartPolicy::UnlessStopped => "unless-stopped".to_owned(),
        RestartPolicy::OnFailure { max_retries: None } => "on-failure".to_owned(),
        RestartPolicy::OnFailure { max_retries: Some(max) } => format!("on-failure:{max}"),
    }
}

fn healthcheck(h: &Healthcheck) -> Value {
    let test = match &h.test {
        HealthTest::Disabled => return json!({"disable": true}),
        HealthTest::Cmd(words) => std::iter::once("CMD").chain(words.iter().map(String::as_str)).collect(),
        HealthTest::Shell(line) => vec!["CMD-SHELL", line],
    };
    object([
        ("test", json!(test)),
        ("interval", duration(h.interval)),
        ("timeout", duration(h.timeout)),
        ("retries", json!(h.retries)),
        ("start_period", duration(h.start_period)),
        ("start_interval", duration(h.start_interval)),
    ])
}

fn deploy(d: &Deploy) -> Value {
    let mode = match d.mode {
        Mode::Replicated => "replicated",
        Mode::Global => "global",
        Mode::ReplicatedJob => "replicated-job",
        Mode::GlobalJob => "global-job",
    };
    let constraints = d.placement.constraints.iter().map(ToString::to_string).collect::<Vec<_>>();
    let spread = d.placement.spread.iter().map(|label| json!({"spread": format!("node.labels.{label}")}));
    let cpus = (d.nano_cpus > 0).then(|| json!({"reservations": {"cpus": decimal(d.nano_cpus, BILLION)}}));
    object([
        ("mode", json!(mode)),
        ("replicas", if d.mode.is_global() { Value::Null } else { json!(d.replicas) }),
        (
            "placement",
            object([
                ("constraints", json!(constraints)),
                ("preferences", spread.collect()),
                ("max_replicas_per_node", json!(d.placement.max_per_host)),
            ]),
        ),
        ("resources", json!(cpus)),
        ("update_config", update(&d.update)),
        ("rollback_config", update(&d.rollback)),
    ])
}

/// Nothing if it is as nobody said anything.
fn update(u: &Update) -> Value {
    if *u == Update::default() {
        return Value::Null;
    }
    let action = match u.on_failure {
        OnFailure::Pause => "pause",
        OnFailure::Continue => "continue",
        OnFailure::Rollback => "rollback",
    };
    let order = match u.order {
        Order::StopFirst => "stop-first",
        Order::StartFirst => "start-first",
    };
    object([
        ("parallelism", json!(u.parallelism)),
        ("delay", duration(Some(u.delay).filter(|d| !d.is_zero()))),
        ("monitor", duration(Some(u.monitor))),
        ("failure_action", json!(action)),
        ("max_failure_ratio", json!(f64::from(u.max_failures) / 1e6)),
        ("order", json!(order)),
    ])
}

fn options(o: &EngineOptions) -> Value {
    let hooks = |hooks: &[ServiceHook]| hooks.iter().map(hook).collect::<Value>();
    let gpus = o.device_requests.iter().filter(|r| r.driver.as_deref() != Some("cdi")).map(|r| {
        object([
            ("driver", json!(r.driver)),
            ("count", json!(r.count)),
            ("device_ids", json!(r.device_ids)),
            ("capabilities", json!(r.capabilities)),
            ("options", mapping(&r.options)),
        ])
    });
    let mut part = object([
        ("platform", json!(o.platform)),
        ("domainname", json!(o.domainname)),
        ("runtime", json!(o.runtime)),
        ("userns_mode", json!(o.userns_mode)),
        ("cgroup_parent", json!(o.cgroup_parent)),
        ("annotations", mapping(&o.annotations)),
        ("storage_opt", mapping(&o.storage_opt)),
        ("cpu_shares", json!(o.cpu_shares)),
        ("cpu_period", json!(o.cpu_period.map(|n| n.to_string()))),
        ("cpu_quota", json!(o.cpu_quota.map(|n| n.to_string()))),
        ("cpuset", json!(o.cpuset)),
        ("memswap_limit", json!(o.memswap_limit.map(|n| n.to_string()))),
        ("mem_swappiness", json!(o.mem_swappiness.map(|n| n.to_string()))),
        ("oom_kill_disable", absent(o.oom_kill_disable)),
        ("device_cgroup_rules", json!(o.device_cgroup_rules)),
        ("dns_opt", json!(o.dns_opt)),
    ]);
    for (key, value) in
        [("gpus", gpus.collect::<Value>()), ("post_start", hooks(&o.post_start)), ("pre_stop", hooks(&o.pre_stop))]
    {
        if value.as_array().is_some_and(|items| !items.is_empty()) {
            part[key] = value;
        }
    }
    part
}

fn hook(h: &ServiceHook) -> Value {
    object([
        ("command", json!(h.command)),
        ("user", json!(h.user)),
        ("privileged", absent(h.privileged)),
        ("working_dir", json!(h.working_dir)),
        ("environment", mapping(&h.environment)),
    ])
}
