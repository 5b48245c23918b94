//! Settings that are handed to the engine, and programs that run when a container starts or stops.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Yard, sleeper};
use stackyard_core::stack::{
    EngineOptions, Mount, MountKind, NetworkMode, PortProtocol, PublishedPort, Service, ServiceHook, Volume,
};
use std::collections::BTreeSet;

fn hook(line: &str) -> ServiceHook {
    ServiceHook { command: ["/bin/sh", "-c", line].map(str::to_owned).to_vec(), ..ServiceHook::default() }
}

#[tokio::test]
async fn the_engine_has_the_settings() {
    let mut yard = Yard::new("options").await;
    let engine = EngineOptions {
        domainname: Some("example.org".into()),
        cpu_shares: Some(512),
        cpuset: Some("0".into()),
        dns_opt: vec!["ndots:3".into()],
        device_cgroup_rules: vec!["c 1:3 mr".into()],
        ..EngineOptions::default()
    };
    let range = PublishedPort {
        target: 80,
        published: Some(28_000),
        published_last: Some(28_009),
        host_ip: Some("127.0.0.1".into()),
        protocol: PortProtocol::Tcp,
    };
    let app = Service {
        engine,
        hostname: Some("app".into()),
        network_mode: NetworkMode::Bridge,
        ports: vec![range],
        ..sleeper()
    };
    yard.add("app", app.clone()).add("other", Service { engine: EngineOptions::default(), ..app });
    yard.up().await;
    assert!(yard.up().await.is_noop());
    let mut ports = BTreeSet::new();
    for name in ["app", "other"] {
        let there = yard.api().inspect_container(&yard.id(name).await, None).await.unwrap();
        let networks = there.network_settings.unwrap();
        ports.insert(networks.ports.unwrap()["80/tcp"].clone().unwrap()[0].host_port.clone().unwrap());
    }
    assert_eq!(ports.len(), 2, "each has a port of the range: {ports:?}");
    assert!(ports.iter().all(|p| (28_000..28_010).contains(&p.parse::<u16>().unwrap())), "{ports:?}");
    let there = yard.api().inspect_container(&yard.id("app").await, None).await.unwrap();
    let config = there.host_config.unwrap();
    assert_eq!((config.cpu_shares, config.cpuset_cpus.as_deref()), (Some(512), Some("0")));
    assert_eq!(config.device_cgroup_rules.unwrap(), ["c 1:3 mr"]);
    assert_eq!(yard.sh("app", "cat /proc/sys/kernel/domainname").await, "example.org");
    assert!(yard.sh("app", "cat /etc/resolv.conf").await.contains("ndots:3"));
    yard.end().await;
}

#[tokio::test]
async fn programs_run_when_a_container_starts_and_stops() {
    let mut yard = Yard::new("hooks").await;
    let volume = Volume { name: format!("{}_data", yard.stack.name), ..Volume::default() };
    yard.stack.volumes.insert("data".into(), volume);
    let kind = MountKind::Volume { name: "data".into(), nocopy: false, subpath: None };
    let mut app = Service { volumes: vec![Mount { kind, target: "/data".into(), read_only: false }], ..sleeper() };
    let started = ServiceHook {
        environment: [("WHO".to_owned(), "hook".to_owned())].into(),
        ..hook("echo $WHO >> /data/started")
    };
    app.engine.post_start = vec![started];
    app.engine.pre_stop = vec![hook("echo bye >> /data/stopped"), hook("exit 3")];
    yard.add("app", app);
    yard.up().await;
    assert_eq!(yard.sh("app", "cat /data/started; ls /data").await, "hook\nstarted");
    // A failing program does not keep the container from being stopped.
    yard.service("app").environment.insert("NEW".into(), "1".into());
    yard.up().await;
    assert_eq!(yard.sh("app", "cat /data/started /data/stopped").await, "hook\nhook\nbye");
    yard.service("app").engine.post_start = vec![hook("echo no >&2; exit 7")];
    let error = yard.try_up().await.unwrap_err().to_string();
    assert!(
        error.contains("cannot run post_start program `/bin/sh`: ended with status 7; it last wrote: no"),
        "{error}"
    );
    let left = yard.api().inspect_container(&yard.id("app").await, None).await.unwrap();
    assert_eq!(left.state.unwrap().running, Some(false), "it is started again, with its program, next time");
    yard.service("app").engine.post_start = vec![];
    yard.up().await;
    yard.end().await;
}
