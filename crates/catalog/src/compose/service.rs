//! One service.

use super::{LoadContext, Target, deploy, environment, mounts, network, options, units, words};
use crate::yaml::{FieldFate, FieldReading, Fields, Kind, Node};
use stackyard_core::stack::deploy::Deploy;
use stackyard_core::stack::{
    CgroupMode, Dependency, DependencyCondition, HealthTest, Healthcheck, Logging, NetworkMode, Service, Ulimit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Keys of the specification that are not carried out.
const OTHERS: &[(&str, FieldFate)] = &[
    ("attach", FieldFate::Ignored("nothing is attached to")),
    ("blkio_config", FieldFate::Refused("leave it out")),
    ("container_name", FieldFate::Ignored("containers are named <stack>-<service>-1")),
    ("cpu_count", FieldFate::Refused("use cpus; it is for Windows only")),
    ("cpu_percent", FieldFate::Refused("use cpus; it is for Windows only")),
    ("cpu_rt_period", FieldFate::Refused("use cpu_shares; engines on control groups 2 have no real-time quota")),
    ("cpu_rt_runtime", FieldFate::Refused("use cpu_shares; engines on control groups 2 have no real-time quota")),
    ("credential_spec", FieldFate::Refused("it is for Windows only")),
    ("develop", FieldFate::Ignored("it is for developing only")),
    ("external_links", FieldFate::Refused("put both on an external network")),
    ("isolation", FieldFate::Ignored("it is for Windows only")),
    ("models", FieldFate::Refused("models cannot be run here")),
    ("pre_start", FieldFate::Refused("use a one-shot service with depends_on")),
    ("provider", FieldFate::Refused("only containers can be run")),
    ("pull_policy", FieldFate::Ignored("a missing image is pulled")),
    ("pull_refresh_after", FieldFate::Ignored("a missing image is pulled")),
    ("umask", FieldFate::Refused("set it in the command")),
    ("use_api_socket", FieldFate::Refused("bind-mount the socket")),
    ("volumes_from", FieldFate::Refused("name the volumes")),
];

/// Reads one service; `None` after noting why not.
pub(crate) fn read(name: &str, node: &Node, cx: &LoadContext<'_>) -> Option<Service> {
    let log = cx.log;
    let f = Fields::of(node, format!("services.{name}"), log)?;
    let mut service = Service {
        image: f.string("image").unwrap_or_default(),
        command: self::words(&f, "command"),
        entrypoint: self::words(&f, "entrypoint"),
        environment: environment::environment(&f, cx),
        labels: environment::labels(&f, cx),
        user: f.string("user"),
        group_add: f.strings("group_add"),
        working_dir: f.string("working_dir"),
        hostname: f.string("hostname"),
        privileged: f.bool("privileged").unwrap_or(false),
        cap_add: f.strings("cap_add"),
        cap_drop: f.strings("cap_drop"),
        security_opt: f.strings("security_opt"),
        pid: f.string("pid"),
        ipc: f.string("ipc"),
        uts: f.string("uts"),
        cgroup: one_of(&f, "cgroup", &[("host", CgroupMode::Host), ("private", CgroupMode::Private)]),
        network_mode: NetworkMode::default(),
        ports: network::ports(&f),
        expose: network::expose(&f),
        volumes: mounts::mounts(&f, cx),
        tmpfs: mounts::tmpfs(&f),
        devices: mounts::devices(&f),
        configs: mounts::files(&f, "configs", "/"),
        secrets: mounts::files(&f, "secrets", "/run/secrets/"),
        ulimits: ulimits(&f),
        sysctls: f.text_map("sysctls"),
        extra_hosts: network::extra_hosts(&f),
        dns: f.strings("dns"),
        dns_search: f.strings("dns_search"),
        init: f.bool("init"),
        stop_signal: f.string("stop_signal"),
        stop_grace_period: duration(&f, "stop_grace_period"),
        shm_size: parsed(&f, "shm_size", units::bytes),
        mem_limit: parsed(&f, "mem_limit", units::bytes),
        mem_reservation: parsed(&f, "mem_reservation", units::bytes),
        nano_cpus: parsed(&f, "cpus", units::nano_cpus),
        pids_limit: f.int("pids_limit"),
        oom_score_adj: f.int("oom_score_adj"),
        read_only: f.bool("read_only").unwrap_or(false),
        tty: f.bool("tty").unwrap_or(false),
        stdin_open: f.bool("stdin_open").unwrap_or(false),
        logging: logging(&f),
        healthcheck: healthcheck(&f),
        depends_on: depends_on(&f),
        restart: deploy::restart(&f),
        profiles: f.strings("profiles"),
        deploy: Deploy::default(),
        engine: options::options(&f, cx),
    };
    service.network_mode = network::mode(&f);
    network::mac_address(&f, &mut service.network_mode);
    mounts::device_names(&f, &mut service.engine.device_requests);
    f.get("links");
    deploy::read(&f, &mut service, node, cx);
    if let Some(adj) = service.oom_score_adj
        && !(-1000..=1000).contains(&adj)
    {
        log.problem(&node.place, format!("{}: {adj} is not from -1000 to 1000", f.at("oom_score_adj")));
    }
    if let Some(build) = f.get("build") {
        if service.image.is_empty() {
            let hint = "build the image first and name it with `image`".to_owned();
            log.problem_hint(&build.place, format!("{}: images are not built here", f.at("build")), Some(hint));
        } else {
            log.warn(&build.place, format!("{}: has no effect: the image is taken as it is", f.at("build")));
        }
    } else if service.image.is_empty() && f.map.get("provider").is_none_or(Node::is_null) {
        log.problem(&node.place, format!("services.{name}: `image` is missing"));
    }
    share_namespaces(&mut service);
    targets(&service, node, &f);
    if cx.project.target == Target::Hosts {
        options::check_placeholders(&f, &service, node);
        if let Some(name) = f.get("container_name") {
            let what = "has no effect: containers are named <stack>-<service>-<number>-1";
            log.warn(&name.place, format!("{}: {what}", f.at("container_name")));
        }
    }
    f.finish(true, OTHERS);
    Some(service)
}

/// Notes targets in the container that are mounted twice.
fn targets(service: &Service, node: &Node, f: &Fields<'_, '_>) {
    let volumes = service.volumes.iter().map(|m| &m.target);
    let files = service.configs.iter().chain(&service.secrets).map(|m| &m.target);
    let mut seen = BTreeSet::new();
    for target in volumes.chain(files).chain(service.tmpfs.keys()) {
        if !seen.insert(target) {
            f.log.problem(&node.place, format!("{}: two things are mounted at `{target}`", f.path));
        }
    }
}

/// Who shares another service's name space starts after it.
fn share_namespaces(service: &mut Service) {
    let mut needed: Vec<String> = [&service.pid, &service.ipc]
        .into_iter()
        .flatten()
        .filter_map(|mode| mode.strip_prefix("service:"))
        .map(str::to_owned)
        .collect();
    if let NetworkMode::Service(other) = &service.network_mode {
        needed.push(other.clone());
    }
    for other in needed {
        let started = Dependency { condition: DependencyCondition::Started, restart: true, required: true };
        service.depends_on.entry(other).or_insert(started);
    }
}

/// A value read by a function that says what it expects.
pub(crate) fn parsed<T>(f: &Fields<'_, '_>, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
    let node = f.get(key)?;
    let text = node.string(&f.at(key), f.log)?;
    parse(&text).map_err(|e| f.log.problem(&node.place, format!("{}: `{text}`: {e}", f.at(key)))).ok()
}

pub(crate) fn duration(f: &Fields<'_, '_>, key: &'static str) -> Option<Duration> {
    parsed(f, key, units::duration)
}

/// One of some words.
pub(crate) fn one_of<T: Copy>(f: &Fields<'_, '_>, key: &'static str, words: &[(&str, T)]) -> Option<T> {
    parsed(f, key, |text| {
        words.iter().find(|(w, _)| *w == text).map(|(_, v)| *v).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(w, _)| format!("`{w}`")).collect();
            format!("one of {} is expected", words.join(", "))
        })
    })
}

/// A command: a list of words, or one line that is split as Compose does.
pub(crate) fn words(f: &Fields<'_, '_>, key: &'static str) -> Option<Vec<String>> {
    let node = f.get(key)?;
    if !matches!(node.kind, Kind::Scalar(_)) {
        return Some(node.strings(&f.at(key), f.log));
    }
    let text = node.as_text()?;
    let words = words::split(text);
    if words.is_none() {
        f.log.problem(&node.place, format!("{}: `{}` has an open quote", f.at(key), crate::yaml::shorten(text)));
    }
    words
}

fn ulimits(f: &Fields<'_, '_>) -> BTreeMap<String, Ulimit> {
    let mut ulimits = BTreeMap::new();
    let Some(node) = f.get("ulimits") else { return ulimits };
    let path = f.at("ulimits");
    for (key, value) in node.entries(&path, f.log) {
        let path = format!("{path}.{}", key.text);
        let ulimit = if value.as_map().is_some() {
            let Some(limits) = Fields::of(value, path, f.log) else { continue };
            let soft = limits.need("soft", value).and_then(|n| n.int("soft", f.log));
            let hard = limits.need("hard", value).and_then(|n| n.int("hard", f.log));
            limits.finish(true, &[]);
            soft.zip(hard).map(|(soft, hard)| Ulimit { soft, hard })
        } else {
            value.int(&path, f.log).map(|v| Ulimit { soft: v, hard: v })
        };
        ulimits.extend(ulimit.map(|u| (key.text.clone(), u)));
    }
    ulimits
}

fn logging(f: &Fields<'_, '_>) -> Option<Logging> {
    let logging = Fields::of(f.get("logging")?, f.at("logging"), f.log)?;
    let read = Logging { driver: logging.string("driver"), options: logging.text_map("options") };
    logging.finish(true, &[]);
    Some(read)
}

fn healthcheck(f: &Fields<'_, '_>) -> Option<Healthcheck> {
    let node = f.get("healthcheck")?;
    let h = Fields::of(node, f.at("healthcheck"), f.log)?;
    let disable = h.bool("disable").unwrap_or(false);
    let test = match h.get("test") {
        _ if disable => Some(HealthTest::Disabled),
        Some(test) => health_test(test, &h),
        None => {
            let hint = Some("give the `test`, or `disable: true`".into());
            f.log.problem_hint(&node.place, format!("{}: `test` is missing", h.path), hint);
            None
        }
    };
    let retries = h.get("retries").and_then(|n| {
        let value = n.int(&h.at("retries"), h.log)?;
        let fits = u32::try_from(value).ok();
        if fits.is_none() {
            h.log.problem(&n.place, format!("{}: {value} is not a count", h.at("retries")));
        }
        fits
    });
    let (interval, timeout) = (duration(&h, "interval"), duration(&h, "timeout"));
    let start_period = duration(&h, "start_period");
    let start_interval = duration(&h, "start_interval");
    h.finish(true, &[]);
    Some(Healthcheck { test: test?, interval, timeout, retries, start_period, start_interval })
}

fn health_test(node: &Node, h: &Fields<'_, '_>) -> Option<HealthTest> {
    if !matches!(node.kind, Kind::List(_)) {
        return node.string(&h.at("test"), h.log).map(HealthTest::Shell);
    }
    let words = node.strings(&h.at("test"), h.log);
    let (kind, rest) = words.split_first().map(|(k, r)| (k.as_str(), r)).unwrap_or_default();
    match (kind, rest) {
        ("NONE", []) => Some(HealthTest::Disabled),
        ("CMD", [_, ..]) => Some(HealthTest::Cmd(rest.to_vec())),
        ("CMD-SHELL", [line]) => Some(HealthTest::Shell(line.clone())),
        _ => {
            let message =
                format!("{}: a list starts with `CMD`, `CMD-SHELL` (and one line) or is [`NONE`]", h.at("test"));
            h.log.problem(&node.place, message);
            None
        }
    }
}

fn depends_on(f: &Fields<'_, '_>) -> BTreeMap<String, Dependency> {
    let mut all = BTreeMap::new();
    let Some(node) = f.get("depends_on") else { return all };
    for (key, value) in node.entries(&f.at("depends_on"), f.log) {
        let Some(d) = Fields::of(value, format!("{}.{}", f.at("depends_on"), key.text), f.log) else { continue };
        d.need("condition", value);
        let condition = one_of(
            &d,
            "condition",
            &[
                ("service_started", DependencyCondition::Started),
                ("service_healthy", DependencyCondition::Healthy),
                ("service_completed_successfully", DependencyCondition::CompletedSuccessfully),
            ],
        );
        let dependency = condition.map(|condition| Dependency {
            condition,
            restart: d.bool("restart").unwrap_or(false),
            required: d.bool("required").unwrap_or(true),
        });
        d.finish(true, &[]);
        all.extend(dependency.map(|d| (key.text.clone(), d)));
    }
    all
}
