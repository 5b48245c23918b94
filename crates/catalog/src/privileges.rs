//! What a stack wants of its hosts beyond a container of its own: what a user should know before it runs.
//!
//! Each field of a service is looked at or set aside by name, so that a new field does not compile until it is judged.

use stackyard_core::stack::{
    CgroupMode, DeviceRequest, EngineOptions, Mount, MountKind, NETWORK_DRIVER, Network, NetworkMode, Service,
    ServiceHook, Stack, Volume,
};

/// Drivers of networks whose containers are not on a network of the host.
const INNER_DRIVERS: [&str; 3] = ["bridge", "overlay", NETWORK_DRIVER];

/// The privileges of a stack, one phrase each, by service: empty if its containers are confined.
pub fn privileges(stack: &Stack) -> Vec<String> {
    let of = |(name, service)| of_service(service).into_iter().map(move |what| format!("service {name}: {what}"));
    let volumes = stack.volumes.iter().flat_map(|(key, volume)| {
        of_volume(&stack.name, key, volume).into_iter().map(move |what| format!("volume {key}: {what}"))
    });
    let networks = stack.networks.iter().flat_map(|(key, network)| {
        of_network(&stack.name, key, network).into_iter().map(move |what| format!("network {key}: {what}"))
    });
    stack.services.iter().flat_map(of).chain(volumes).chain(networks).collect()
}

/// Something that is not of the stack alone.
fn shared(stack: &str, key: &str, name: &str, external: bool) -> Option<String> {
    let is_own = !external && name == format!("{stack}_{key}");
    (!is_own).then(|| format!("{name} of the host, which others may use"))
}

fn options<'o>(options: impl IntoIterator<Item = (&'o String, &'o String)>) -> String {
    options.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

fn of_volume(stack: &str, key: &str, volume: &Volume) -> Vec<String> {
    let Volume { name, external, driver, driver_opts, labels: _ } = volume;
    // Its options are Stackyard's own, and its name is the stack's.
    if volume.is_cinder() && !external {
        return Vec::new();
    }
    let mut wanted = Vec::new();
    wanted.extend(shared(stack, key, name, *external));
    wanted.extend(driver.as_ref().filter(|d| *d != "local").map(|driver| format!("the volume driver {driver}")));
    match driver_opts.get("device").filter(|device| device.starts_with('/')) {
        Some(device) if driver_opts.keys().all(|k| ["device", "o", "type"].contains(&k.as_str())) => {
            wanted.push(format!("the host's {device}"));
        }
        _ if !driver_opts.is_empty() => wanted.push(format!("mounted by the host with {}", options(driver_opts))),
        _ => {}
    }
    wanted
}

fn of_network(stack: &str, key: &str, network: &Network) -> Vec<String> {
    let Network {
        name,
        external,
        driver,
        driver_opts,
        labels: _,
        internal: _,
        enable_ipv6: _,
        ipam_driver: _,
        subnets: _,
        ip_ranges: _,
        aux_addresses: _,
        ipam_options: _,
    } = network;
    let mut wanted = Vec::new();
    wanted.extend(shared(stack, key, name, *external));
    if let Some(driver) = driver.as_ref().filter(|d| !INNER_DRIVERS.contains(&d.as_str())) {
        wanted.push(format!("the network driver {driver}"));
    }
    // `com.docker.network.bridge.name` and `parent` name an interface of the host.
    if driver.as_deref() != Some(NETWORK_DRIVER) && !driver_opts.is_empty() {
        wanted.push(format!("network options {}", options(driver_opts)));
    }
    wanted
}

fn list(what: &str, items: &[String]) -> Option<String> {
    (!items.is_empty()).then(|| format!("{what} {}", items.join(", ")))
}

fn of_service(service: &Service) -> Vec<String> {
    let Service {
        privileged,
        cap_add,
        security_opt,
        pid,
        ipc,
        uts,
        cgroup,
        network_mode,
        volumes,
        devices,
        engine,
        image: _,
        command: _,
        entrypoint: _,
        environment: _,
        labels: _,
        user: _,
        group_add: _,
        working_dir: _,
        hostname: _,
        cap_drop: _,
        ports: _,
        expose: _,
        tmpfs: _,
        configs: _,
        secrets: _,
        ulimits: _,
        sysctls: _,
        extra_hosts: _,
        dns: _,
        dns_search: _,
        init: _,
        stop_signal: _,
        stop_grace_period: _,
        shm_size: _,
        mem_limit: _,
        mem_reservation: _,
        nano_cpus: _,
        pids_limit: _,
        oom_score_adj: _,
        read_only: _,
        tty: _,
        stdin_open: _,
        logging: _,
        healthcheck: _,
        depends_on: _,
        restart: _,
        profiles: _,
        deploy: _,
    } = service;
    let mut wanted = Vec::new();
    if *privileged {
        wanted.push("privileged, which is root on the host".to_owned());
    }
    match network_mode {
        NetworkMode::Host => wanted.push("the host's network".to_owned()),
        NetworkMode::Container(name) => wanted.push(format!("the network of the container {name}")),
        NetworkMode::Bridge => wanted.push("the engine's network `bridge`, which others may use".to_owned()),
        NetworkMode::Networks(_) | NetworkMode::None | NetworkMode::Service(_) => {}
    }
    for (name, space) in [("pid", pid), ("ipc", ipc), ("uts", uts)] {
        match space.as_deref() {
            Some("host") => wanted.push(format!("the host's {name} name space")),
            Some(of) => wanted.extend(
                of.strip_prefix("container:").map(|other| format!("the {name} name space of the container {other}")),
            ),
            None => {}
        }
    }
    if *cgroup == Some(CgroupMode::Host) {
        wanted.push("the host's cgroup name space".to_owned());
    }
    let binds: Vec<String> = volumes.iter().filter_map(bind).collect();
    wanted.extend(list("paths of the host", &binds));
    wanted.extend(list("devices", &devices.iter().map(|d| d.source.clone()).collect::<Vec<_>>()));
    wanted.extend(list("capabilities", cap_add));
    let is_open = |option: &&String| option.contains("unconfined") || option.contains("disable");
    wanted.extend(list("no confinement:", &security_opt.iter().filter(is_open).cloned().collect::<Vec<_>>()));
    let others = security_opt.iter().filter(|o| !is_open(o) && !o.starts_with("no-new-privileges"));
    wanted.extend(list("security options", &others.cloned().collect::<Vec<_>>()));
    wanted.extend(of_engine(engine));
    wanted
}

/// The path of the host that a mount shows.
fn bind(mount: &Mount) -> Option<String> {
    match &mount.kind {
        MountKind::Bind(bind) if mount.read_only => Some(format!("{} (read-only)", bind.source)),
        MountKind::Bind(bind) => Some(bind.source.clone()),
        MountKind::Volume { .. } | MountKind::Archive(_) | MountKind::Anonymous | MountKind::Tmpfs { .. } => None,
    }
}

fn of_engine(engine: &EngineOptions) -> Vec<String> {
    let EngineOptions {
        runtime,
        userns_mode,
        cgroup_parent,
        annotations,
        device_cgroup_rules,
        device_requests,
        post_start,
        pre_stop,
        platform: _,
        domainname: _,
        storage_opt: _,
        cpu_shares: _,
        cpu_period: _,
        cpu_quota: _,
        cpuset: _,
        memswap_limit: _,
        mem_swappiness: _,
        oom_kill_disable: _,
        dns_opt: _,
    } = engine;
    let mut wanted = Vec::new();
    wanted.extend(list("rules for devices", device_cgroup_rules));
    wanted.extend(list("devices of a driver:", &device_requests.iter().map(request).collect::<Vec<_>>()));
    if userns_mode.as_deref() == Some("host") {
        wanted.push("the host's user name space".to_owned());
    }
    wanted.extend(cgroup_parent.as_ref().map(|parent| format!("the host's control group {parent}")));
    wanted.extend(runtime.as_ref().map(|runtime| format!("the OCI runtime {runtime}")));
    if !annotations.is_empty() {
        wanted.push(format!("annotations for the OCI runtime {}", options(annotations)));
    }
    for (name, hooks) in [("post_start", post_start), ("pre_stop", pre_stop)] {
        let is_free = |hook: &&ServiceHook| hook.privileged;
        let programs: Vec<String> = hooks.iter().filter(is_free).map(|hook| hook.command.join(" ")).collect();
        wanted.extend(list(&format!("a privileged {name}, which is root on the host:"), &programs));
    }
    wanted
}

fn request(request: &DeviceRequest) -> String {
    let DeviceRequest { driver, count, device_ids, capabilities, options: _ } = request;
    let mut words: Vec<String> = driver.iter().chain(capabilities).chain(device_ids).cloned().collect();
    match count {
        Some(-1) => words.push("(all)".to_owned()),
        Some(count) => words.push(format!("({count})")),
        None => {}
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::{Bind, Device};

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    /// The privileges of a stack `s` with this service `b`, and a confined one.
    fn of(free: Service) -> Vec<String> {
        let confined = Service { cap_drop: vec!["ALL".into()], read_only: true, ..Service::default() };
        let services = [("a".to_owned(), confined), ("b".to_owned(), free)].into();
        privileges(&Stack { name: "s".into(), services, ..Stack::default() })
    }

    #[test]
    fn every_way_out_of_a_container_is_named() {
        let bind = Bind { source: "/var/run/docker.sock".into(), create_host_path: false, propagation: None };
        let device = Device { source: "/dev/kvm".into(), target: "/dev/kvm".into(), permissions: "rwm".into() };
        let free = Service {
            privileged: true,
            network_mode: NetworkMode::Host,
            pid: text("host"),
            volumes: vec![Mount { kind: MountKind::Bind(bind), target: "/s".into(), read_only: true }],
            devices: vec![device],
            cap_add: vec!["NET_ADMIN".into(), "SYS_TIME".into()],
            security_opt: vec!["seccomp=unconfined".into(), "no-new-privileges".into()],
            ..Service::default()
        };
        assert_eq!(
            of(free),
            [
                "service b: privileged, which is root on the host",
                "service b: the host's network",
                "service b: the host's pid name space",
                "service b: paths of the host /var/run/docker.sock (read-only)",
                "service b: devices /dev/kvm",
                "service b: capabilities NET_ADMIN, SYS_TIME",
                "service b: no confinement: seccomp=unconfined",
            ]
        );
    }

    #[test]
    fn each_setting_of_the_engine_that_leads_out_is_named() {
        let hook = |privileged| ServiceHook { command: vec!["sh".into(), "x".into()], privileged, ..<_>::default() };
        let gpus = DeviceRequest { count: Some(-1), capabilities: vec!["gpu".into()], ..<_>::default() };
        let engine = EngineOptions::default;
        for (engine, wanted) in [
            (
                EngineOptions { post_start: vec![hook(false), hook(true)], ..engine() },
                "a privileged post_start, which is root on the host: sh x",
            ),
            (
                EngineOptions { pre_stop: vec![hook(true)], ..engine() },
                "a privileged pre_stop, which is root on the host: sh x",
            ),
            (
                EngineOptions { device_cgroup_rules: vec!["b *:* rwm".into()], ..engine() },
                "rules for devices b *:* rwm",
            ),
            (EngineOptions { device_requests: vec![gpus], ..engine() }, "devices of a driver: gpu (all)"),
            (EngineOptions { userns_mode: text("host"), ..engine() }, "the host's user name space"),
            (EngineOptions { cgroup_parent: text("/x"), ..engine() }, "the host's control group /x"),
            (EngineOptions { runtime: text("evil"), ..engine() }, "the OCI runtime evil"),
            (
                EngineOptions { annotations: [("a".to_owned(), "b".to_owned())].into(), ..engine() },
                "annotations for the OCI runtime a=b",
            ),
        ] {
            assert_eq!(of(Service { engine, ..Service::default() }), [format!("service b: {wanted}")]);
        }
        let service = Service::default;
        for (service, wanted) in [
            (Service { cgroup: Some(CgroupMode::Host), ..service() }, "the host's cgroup name space"),
            (Service { ipc: text("container:x"), ..service() }, "the ipc name space of the container x"),
            (
                Service { network_mode: NetworkMode::Container("x".into()), ..service() },
                "the network of the container x",
            ),
            (Service { security_opt: vec!["label=type:x".into()], ..service() }, "security options label=type:x"),
        ] {
            assert_eq!(of(service), [format!("service b: {wanted}")]);
        }
        let confined = Service {
            cgroup: Some(CgroupMode::Private),
            security_opt: vec!["no-new-privileges:true".into()],
            ipc: text("shareable"),
            pid: text("service:a"),
            engine: EngineOptions { post_start: vec![hook(false)], ..engine() },
            ..service()
        };
        assert_eq!(of(confined), [""; 0]);
    }

    #[test]
    fn volumes_and_networks_of_others_are_named() {
        let opts = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let own = || Volume { name: "s_v".into(), ..Volume::default() };
        let network = || Network { name: "s_n".into(), ..Network::default() };
        let volume = |volume: Volume| {
            privileges(&Stack { name: "s".into(), volumes: [("v".to_owned(), volume)].into(), ..Stack::default() })
        };
        for (free, wanted) in [
            (
                Volume { driver_opts: opts(&[("type", "none"), ("o", "bind"), ("device", "/etc")]), ..own() },
                "the host's /etc",
            ),
            (
                Volume { driver_opts: opts(&[("type", "nfs"), ("o", "addr=10.0.0.1"), ("device", ":/x")]), ..own() },
                "mounted by the host with device=:/x, o=addr=10.0.0.1, type=nfs",
            ),
            (
                Volume { driver_opts: opts(&[("type", "overlay"), ("o", "lowerdir=/")]), ..own() },
                "mounted by the host with o=lowerdir=/, type=overlay",
            ),
            (Volume { driver: text("evil"), ..own() }, "the volume driver evil"),
            (Volume { external: true, ..own() }, "s_v of the host, which others may use"),
            (Volume { name: "other_v".into(), ..own() }, "other_v of the host, which others may use"),
        ] {
            assert_eq!(volume(free), [format!("volume v: {wanted}")]);
        }
        let cinder = Volume { driver: text("stackyard"), driver_opts: opts(&[("size", "1Gi")]), ..own() };
        assert_eq!((volume(cinder), volume(own())), (Vec::new(), Vec::new()));
        let of = |network: Network| {
            privileges(&Stack { name: "s".into(), networks: [("n".to_owned(), network)].into(), ..Stack::default() })
        };
        for (free, wanted) in [
            (Network { external: true, ..network() }, "s_n of the host, which others may use"),
            (Network { name: "host".into(), ..network() }, "host of the host, which others may use"),
            (Network { driver: text("macvlan"), ..network() }, "the network driver macvlan"),
            (Network { driver_opts: opts(&[("parent", "eth0")]), ..network() }, "network options parent=eth0"),
        ] {
            assert_eq!(of(free), [format!("network n: {wanted}")]);
        }
        assert_eq!(of(Network { driver: text("bridge"), ..network() }), [""; 0]);
    }
}
