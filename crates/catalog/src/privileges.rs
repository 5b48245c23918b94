//! What a stack wants of its hosts beyond a container of its own: what a user should know before it runs.

use stackyard_core::stack::{MountKind, NetworkMode, Service, Stack};

/// The privileges of a stack, one phrase each, by service: empty if its containers are confined.
pub fn privileges(stack: &Stack) -> Vec<String> {
    let of = |(name, service)| of_service(service).into_iter().map(move |what| format!("service {name}: {what}"));
    let devices = stack.volumes.iter().filter_map(|(name, volume)| {
        let device = volume.driver_opts.get("device").filter(|d| d.starts_with('/'))?;
        Some(format!("volume {name}: the host's {device}"))
    });
    stack.services.iter().flat_map(of).chain(devices).collect()
}

fn of_service(service: &Service) -> Vec<String> {
    let mut wanted = Vec::new();
    if service.privileged {
        wanted.push("privileged, which is root on the host".to_owned());
    }
    if matches!(service.network_mode, NetworkMode::Host) {
        wanted.push("the host's network".to_owned());
    }
    for (name, space) in [("pid", &service.pid), ("ipc", &service.ipc), ("uts", &service.uts)] {
        if space.as_deref() == Some("host") {
            wanted.push(format!("the host's {name} name space"));
        }
    }
    let list = |what: &str, items: Vec<&str>| (!items.is_empty()).then(|| format!("{what} {}", items.join(", ")));
    let binds = service.volumes.iter().filter_map(|m| match &m.kind {
        MountKind::Bind(bind) if m.read_only => Some(format!("{} (read-only)", bind.source)),
        MountKind::Bind(bind) => Some(bind.source.clone()),
        _ => None,
    });
    let binds: Vec<String> = binds.collect();
    wanted.extend(list("paths of the host", binds.iter().map(String::as_str).collect()));
    wanted.extend(list("devices", service.devices.iter().map(|d| d.source.as_str()).collect()));
    wanted.extend(list("capabilities", service.cap_add.iter().map(String::as_str).collect()));
    let unconfined = service.security_opt.iter().filter(|o| o.contains("unconfined") || o.contains("disable"));
    wanted.extend(list("no confinement:", unconfined.map(String::as_str).collect()));
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::{Bind, Device, Mount, Volume};

    #[test]
    fn every_way_out_of_a_container_is_named() {
        let confined = Service { cap_drop: vec!["ALL".into()], read_only: true, ..Service::default() };
        let bind = Bind { source: "/var/run/docker.sock".into(), create_host_path: false, propagation: None };
        let device = Device { source: "/dev/kvm".into(), target: "/dev/kvm".into(), permissions: "rwm".into() };
        let free = Service {
            privileged: true,
            network_mode: NetworkMode::Host,
            pid: Some("host".into()),
            volumes: vec![Mount { kind: MountKind::Bind(bind), target: "/s".into(), read_only: true }],
            devices: vec![device],
            cap_add: vec!["NET_ADMIN".into(), "SYS_TIME".into()],
            security_opt: vec!["seccomp=unconfined".into(), "no-new-privileges".into()],
            ..Service::default()
        };
        let services = [("a".to_owned(), confined), ("b".to_owned(), free)].into();
        let driver_opts = [("type".to_owned(), "none".to_owned()), ("device".to_owned(), "/etc".to_owned())].into();
        let volumes = [("v".to_owned(), Volume { driver_opts, ..Volume::default() })].into();
        let stack = Stack { services, volumes, ..Stack::default() };
        assert_eq!(
            privileges(&stack),
            [
                "service b: privileged, which is root on the host",
                "service b: the host's network",
                "service b: the host's pid name space",
                "service b: paths of the host /var/run/docker.sock (read-only)",
                "service b: devices /dev/kvm",
                "service b: capabilities NET_ADMIN, SYS_TIME",
                "service b: no confinement: seccomp=unconfined",
                "volume v: the host's /etc",
            ]
        );
    }
}
