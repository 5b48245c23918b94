//! Settings of a service that the engine takes as they are: `platform`, `cpu_shares`, `gpus`, hooks ...

use super::LoadContext;
use super::service::{parsed, words};
use super::units;
use crate::yaml::{FieldReading, Fields, Kind, Node};
use stackyard_core::stack::template::{self, PLACEHOLDERS};
use stackyard_core::stack::{DeviceRequest, EngineOptions, MountKind, Service, ServiceHook, debian_arch};

/// Reads the settings.
pub(crate) fn options(f: &Fields<'_, '_>, cx: &LoadContext<'_>) -> EngineOptions {
    EngineOptions {
        platform: platform(f, cx),
        domainname: f.string("domainname"),
        runtime: f.string("runtime"),
        userns_mode: parsed(f, "userns_mode", |text| match text {
            "host" | "" => Ok(text.to_owned()),
            _ => Err("only `host` is expected".into()),
        }),
        cgroup_parent: f.string("cgroup_parent"),
        annotations: f.text_map("annotations"),
        storage_opt: f.text_map("storage_opt"),
        cpu_shares: f.int("cpu_shares"),
        cpu_period: microseconds(f, "cpu_period"),
        cpu_quota: microseconds(f, "cpu_quota"),
        cpuset: f.string("cpuset"),
        memswap_limit: parsed(f, "memswap_limit", |text| match text {
            "-1" => Ok(-1),
            _ => units::bytes(text).and_then(|n| i64::try_from(n).map_err(|_| "it is too large".to_owned())),
        }),
        mem_swappiness: parsed(f, "mem_swappiness", |text| {
            text.parse().ok().filter(|n| (-1..=100).contains(n)).ok_or_else(|| "0 to 100 is expected".to_owned())
        }),
        oom_kill_disable: f.bool("oom_kill_disable").unwrap_or(false),
        device_cgroup_rules: f.strings("device_cgroup_rules"),
        dns_opt: f.strings("dns_opt"),
        device_requests: gpus(f),
        post_start: hooks(f, "post_start", cx),
        pre_stop: hooks(f, "pre_stop", cx),
    }
}

/// `os[/arch[/variant]]`; containers run on Linux here.
fn platform(f: &Fields<'_, '_>, cx: &LoadContext<'_>) -> Option<String> {
    parsed(f, "platform", |text| {
        if text.is_empty() {
            return Ok(String::new());
        }
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() > 3 || parts.iter().any(|p| p.is_empty()) {
            return Err("<os>/<architecture>[/<variant>] is expected".to_owned());
        }
        if parts[0] != "linux" {
            return Err("only containers of linux can be run".to_owned());
        }
        let (arch, own) = (text.split_once('/').map(|(_, arch)| arch), std::env::consts::ARCH);
        match arch {
            Some(arch) if cx.project.target == super::Target::Engine && debian_arch(arch) != debian_arch(own) => {
                Err(format!("this machine is linux/{}", debian_arch(own)))
            }
            _ => Ok(text.to_owned()),
        }
    })
    .filter(|text| !text.is_empty())
}

/// A number of microseconds, or a duration.
fn microseconds(f: &Fields<'_, '_>, key: &'static str) -> Option<i64> {
    parsed(f, key, |text| match text.parse::<i64>() {
        Ok(number) => Ok(number),
        Err(_) => units::duration(text).and_then(|d| i64::try_from(d.as_micros()).map_err(|_| "it is too long".into())),
    })
}

/// `gpus: all`, or a list of requests for devices that are GPUs.
fn gpus(f: &Fields<'_, '_>) -> Vec<DeviceRequest> {
    let Some(node) = f.get("gpus") else { return Vec::new() };
    let gpu = || vec!["gpu".to_owned()];
    match &node.kind {
        Kind::Scalar(s) if s.text == "all" => {
            vec![DeviceRequest { count: Some(-1), capabilities: gpu(), ..DeviceRequest::default() }]
        }
        Kind::List(_) => {
            let mut requests = device_requests(node, &f.at("gpus"), f, false);
            requests.iter_mut().filter(|r| r.capabilities.is_empty()).for_each(|r| r.capabilities = gpu());
            requests
        }
        _ => {
            f.log.problem(&node.place, format!("{}: `all` or a list is expected", f.at("gpus")));
            Vec::new()
        }
    }
}

/// Requests for devices: `gpus`, or `deploy.resources.reservations.devices`, where capabilities are a must.
pub(crate) fn device_requests(node: &Node, path: &str, f: &Fields<'_, '_>, strict: bool) -> Vec<DeviceRequest> {
    let items = node.items(path, f.log).iter().enumerate();
    let read = items.filter_map(|(i, item)| {
        let d = Fields::of(item, format!("{path}[{i}]"), f.log)?;
        let ids = d.strings("device_ids");
        let count = parsed(&d, "count", |text| match text {
            "all" => Ok(-1),
            _ => text.parse().map_err(|_| "a number or `all` is expected".to_owned()),
        });
        if count.is_some() && !ids.is_empty() {
            d.log.problem(&item.place, format!("{}: `count` and `device_ids` exclude each other", d.path));
        }
        if strict {
            d.need("capabilities", item);
        }
        let request = DeviceRequest {
            driver: d.string("driver"),
            // As Compose does: all of them unless something else is said.
            count: count.or(ids.is_empty().then_some(-1)),
            device_ids: ids,
            capabilities: d.strings("capabilities"),
            options: d.text_map("options"),
        };
        d.finish(true, &[]);
        Some(request)
    });
    read.collect()
}

/// `post_start` or `pre_stop`.
fn hooks(f: &Fields<'_, '_>, key: &'static str, cx: &LoadContext<'_>) -> Vec<ServiceHook> {
    let Some(node) = f.get(key) else { return Vec::new() };
    let path = f.at(key);
    let items = node.items(&path, f.log).iter().enumerate();
    let read = items.filter_map(|(i, item)| {
        let h = Fields::of(item, format!("{path}[{i}]"), f.log)?;
        h.need("command", item);
        let hook = ServiceHook {
            command: words(&h, "command").unwrap_or_default(),
            user: h.string("user"),
            privileged: h.bool("privileged").unwrap_or(false),
            working_dir: h.string("working_dir"),
            environment: super::environment::entries(&h, cx),
        };
        h.finish(true, &[]);
        Some(hook)
    });
    read.collect()
}

/// Notes placeholders of Swarm's in the fields in which Swarm replaces them, where they are not known.
pub(crate) fn check_placeholders(f: &Fields<'_, '_>, service: &Service, node: &Node) {
    let check = |text: &str, place: &crate::diag::Place, path: &str| {
        if let Err(unknown) = template::expand(text, |_| String::new()) {
            let hint = Some(format!("the placeholders are {PLACEHOLDERS}"));
            f.log.problem_hint(place, format!("{path}: `{{{{{unknown}}}}}` cannot be replaced here"), hint);
        }
    };
    let place_of = |key: &str| f.map.get(key).map_or(&node.place, |n| &n.place);
    if let Some(hostname) = &service.hostname {
        check(hostname, place_of("hostname"), &f.at("hostname"));
    }
    let written = f.map.get("environment").and_then(Node::as_map);
    for (name, value) in &service.environment {
        let place = written.and_then(|m| m.get(name)).map_or(&node.place, |n| &n.place);
        check(value, place, &format!("{}.{name}", f.at("environment")));
    }
    for mount in &service.volumes {
        let source = if let MountKind::Bind(bind) = &mount.kind { bind.source.as_str() } else { "" };
        for text in [mount.target.as_str(), source] {
            check(text, place_of("volumes"), &f.at("volumes"));
        }
    }
    // Swarm leaves them there, too.
    let words = |words: &Option<Vec<String>>| words.iter().flatten().any(|text| has_placeholder(text));
    let kept = [
        ("command", words(&service.command)),
        ("entrypoint", words(&service.entrypoint)),
        ("labels", service.labels.values().any(|text| has_placeholder(text))),
    ];
    for (key, _) in kept.into_iter().filter(|(_, has)| *has) {
        let what = "placeholders stay as they are; they count in hostname, environment and paths of mounts only";
        f.log.warn(place_of(key), format!("{}: {what}", f.at(key)));
    }
}

/// Whether a text has a placeholder of Swarm's.
fn has_placeholder(text: &str) -> bool {
    template::expand(text, |_| String::new()).as_deref() != Ok(text)
}
