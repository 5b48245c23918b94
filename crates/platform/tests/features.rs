//! Every setting of a service, seen from inside its container.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Yard, check, config, mounted, sh, sleeper};
use stackyard_core::agent::BoundPort;
use stackyard_core::stack::{
    Attachment, Bind, CgroupMode, Device, FileAccess, FileMount, Logging, Mount, MountKind, Network, NetworkMode,
    PortProtocol, PublishedPort, RestartPolicy, Service, Ulimit,
};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn host_ns(kind: &str) -> String {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned()
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|s| (*s).to_owned()).collect()
}

fn mount(kind: MountKind, target: &str) -> Mount {
    Mount { kind, target: target.into(), read_only: false }
}

#[tokio::test]
async fn name_spaces_of_the_host_and_none() {
    let mut yard = Yard::new("ns").await;
    let host = Service {
        pid: Some("host".into()),
        ipc: Some("host".into()),
        uts: Some("host".into()),
        cgroup: Some(CgroupMode::Host),
        network_mode: NetworkMode::Host,
        ..sleeper()
    };
    let own = Service { cgroup: Some(CgroupMode::Private), hostname: Some("own-name".into()), ..sleeper() };
    yard.add("host", host).add("own", own);
    yard.up().await;
    for kind in ["pid", "ipc", "uts", "cgroup", "net"] {
        let line = format!("ls -l /proc/self/ns/{kind} | grep -o '{kind}:.*'");
        assert_eq!(yard.sh("host", &line).await, host_ns(kind));
        assert_ne!(yard.sh("own", &line).await, host_ns(kind));
    }
    assert_eq!(yard.sh("own", "hostname").await, "own-name");
    assert_eq!(yard.sh("own", "ls /sys/class/net").await, "lo", "network mode none");
    yard.end().await;
}

#[tokio::test]
async fn name_spaces_of_another_service() {
    let mut yard = Yard::new("share").await;
    let first = Service { ipc: Some("shareable".into()), network_mode: NetworkMode::default(), ..sleeper() };
    let second = Service {
        network_mode: NetworkMode::Service("first".into()),
        pid: Some("service:first".into()),
        ipc: Some("service:first".into()),
        ..sleeper()
    };
    yard.add("first", first).add("second", second);
    yard.up().await;
    let same = async |yard: &Yard| {
        for kind in ["net", "pid", "ipc"] {
            let line = format!("ls -l /proc/self/ns/{kind} | grep -o '{kind}:.*'");
            assert_eq!(yard.sh("first", &line).await, yard.sh("second", &line).await);
        }
    };
    same(&yard).await;
    let before = yard.id("second").await;
    yard.service("first").environment.insert("NEW".into(), "1".into());
    let plan = yard.up().await;
    assert_eq!(plan.summary().recreate, 2, "{plan}");
    assert_ne!(yard.id("second").await, before);
    same(&yard).await;
    // Killed and started again by somebody else: the other one must follow.
    let name = format!("{}-first-1", yard.stack.name);
    yard.api().restart_container(&name, None).await.unwrap();
    let plan = yard.up().await;
    assert_eq!(plan.summary().start, 1, "{plan}");
    same(&yard).await;
    assert!(yard.up().await.is_noop());
    yard.end().await;
}

#[tokio::test]
async fn rights_and_limits() {
    let mut yard = Yard::new("rights").await;
    let clerk = Service {
        user: Some("app".into()),
        group_add: strings(&["7777"]),
        cap_drop: strings(&["ALL"]),
        security_opt: strings(&["no-new-privileges:true"]),
        ulimits: BTreeMap::from([("nofile".into(), Ulimit { soft: 4321, hard: 5432 })]),
        sysctls: BTreeMap::from([("net.ipv4.ip_local_port_range".into(), "40000 40100".into())]),
        shm_size: Some(8 << 20),
        oom_score_adj: Some(123),
        mem_limit: Some(64 << 20),
        mem_reservation: Some(32 << 20),
        nano_cpus: Some(500_000_000),
        pids_limit: Some(77),
        read_only: true,
        ..sleeper()
    };
    let admin = Service { cap_drop: strings(&["ALL"]), cap_add: strings(&["NET_ADMIN", "SYS_TIME"]), ..sleeper() };
    yard.add("clerk", clerk).add("admin", admin);
    yard.up().await;
    let caps = async |service| {
        let line = yard.sh(service, "grep CapEff /proc/self/status").await;
        u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
    };
    assert_eq!(caps("clerk").await, 0);
    assert_eq!(caps("admin").await, 1 << 12 | 1 << 25, "CAP_NET_ADMIN and CAP_SYS_TIME");
    assert_eq!(yard.sh("clerk", "id -u").await, "42425");
    assert!(yard.sh("clerk", "id -G").await.contains("7777"));
    assert_eq!(yard.sh("clerk", "grep NoNewPrivs /proc/self/status | grep -o '.$'").await, "1");
    // Older runc now and then loses the soft limit of what it executes (opencontainers/runc#4195).
    let mut files = String::new();
    for _ in 0..5 {
        files = yard.sh("clerk", "ulimit -Sn; ulimit -Hn").await;
        if files == "4321\n5432" {
            break;
        }
    }
    assert_eq!(files, "4321\n5432");
    assert_eq!(yard.sh("clerk", "cat /proc/sys/net/ipv4/ip_local_port_range").await, "40000\t40100");
    assert_eq!(yard.sh("clerk", "cat /proc/1/oom_score_adj").await, "123");
    assert!(yard.sh("clerk", "df -k /dev/shm").await.contains(" 8192 "));
    assert!(yard.sh("clerk", "touch /x 2>&1 || echo refused").await.contains("refused"));
    let inspected = yard.api().inspect_container(&yard.id("clerk").await, None).await.unwrap().host_config.unwrap();
    assert_eq!(inspected.memory, Some(64 << 20));
    assert_eq!(inspected.memory_reservation, Some(32 << 20));
    assert_eq!(inspected.nano_cpus, Some(500_000_000));
    assert_eq!(inspected.pids_limit, Some(77));
    yard.end().await;
}

/// Capabilities that the kernel knows and that this process may pass on, as bits.
fn capabilities() -> (u64, u64) {
    let last: u32 = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap().trim().parse().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let bounding = status.lines().find_map(|l| l.strip_prefix("CapBnd:")).unwrap();
    ((1 << (last + 1)) - 1, u64::from_str_radix(bounding.trim(), 16).unwrap())
}

#[tokio::test]
async fn privileged() {
    let mut yard = Yard::new("privileged").await;
    yard.add("boss", Service { privileged: true, ..sleeper() });
    let (all, ours) = capabilities();
    match yard.try_up().await {
        Ok(_) => {
            let line = yard.sh("boss", "grep CapEff /proc/self/status").await;
            let has = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
            assert_eq!(has, all & ours);
            assert!(yard.sh("boss", "ls /dev").await.contains("kmsg"), "the host's devices");
        }
        // Engines before 23 want to give all capabilities, also where the machine lacks some.
        Err(error) => {
            assert_ne!(ours & all, all, "{error}");
            assert!(error.to_string().contains("lacks capabilities"), "{error}");
        }
    }
    let inspected = yard.api().inspect_container(&yard.id("boss").await, None).await.unwrap();
    assert_eq!(inspected.host_config.unwrap().privileged, Some(true));
    yard.end().await;
}

#[tokio::test]
async fn process_settings() {
    let mut yard = Yard::new("process").await;
    let service = Service {
        entrypoint: Some(strings(&["/bin/sh"])),
        command: Some(strings(&["-c", "sleep 1000 & wait"])),
        environment: BTreeMap::from([("WORD".into(), "a b=c".into())]),
        labels: BTreeMap::from([("org.example".into(), "yes".into())]),
        working_dir: Some("/etc".into()),
        init: Some(true),
        tty: true,
        stdin_open: true,
        extra_hosts: strings(&["other:10.9.8.7"]),
        dns: strings(&["10.1.1.1"]),
        dns_search: strings(&["example.org"]),
        expose: strings(&["80", "53/udp"]),
        logging: Some(Logging {
            driver: Some("json-file".into()),
            options: BTreeMap::from([("max-size".into(), "1m".into())]),
        }),
        restart: RestartPolicy::OnFailure { max_retries: Some(2) },
        healthcheck: Some(stackyard_core::stack::Healthcheck {
            interval: Some(Duration::from_secs(7)),
            timeout: Some(Duration::from_secs(3)),
            retries: Some(4),
            start_period: Some(Duration::from_secs(1)),
            start_interval: None,
            ..check("true")
        }),
        ..sleeper()
    };
    // DNS settings need a network of the container's own.
    let service = Service { network_mode: NetworkMode::default(), ..service };
    yard.add("app", service);
    yard.up().await;
    assert_eq!(
        yard.sh("app", "echo $WORD; cat /proc/1/comm; ls -l /proc/1/cwd | grep -o '/etc'").await,
        "a b=c\ndocker-init\n/etc"
    );
    assert!(yard.sh("app", "cat /etc/hosts").await.contains("10.9.8.7\tother"));
    assert!(yard.sh("app", "cat /etc/resolv.conf").await.contains("search example.org"));
    let inspected = yard.api().inspect_container(&yard.id("app").await, None).await.unwrap();
    let (config, host) = (inspected.config.unwrap(), inspected.host_config.unwrap());
    assert_eq!(config.labels.unwrap()["org.example"], "yes");
    assert_eq!((config.tty, config.open_stdin), (Some(true), Some(true)));
    let mut exposed = config.exposed_ports.unwrap();
    exposed.sort();
    assert_eq!(exposed, ["53/udp", "80/tcp"]);
    assert_eq!(host.dns.unwrap(), ["10.1.1.1"]);
    let log = host.log_config.unwrap();
    assert_eq!((log.typ.as_deref(), log.config.unwrap()["max-size"].as_str()), (Some("json-file"), "1m"));
    let restart = host.restart_policy.unwrap();
    assert_eq!((restart.name.unwrap().to_string().as_str(), restart.maximum_retry_count), ("on-failure", Some(2)));
    let health = config.healthcheck.unwrap();
    assert_eq!(health.test.unwrap(), ["CMD-SHELL", "true"]);
    let seconds = |n: Option<i64>| n.unwrap() / 1_000_000_000;
    assert_eq!((seconds(health.interval), seconds(health.timeout), seconds(health.start_period)), (7, 3, 1));
    assert_eq!(health.retries, Some(4));
    yard.end().await;
}

#[tokio::test]
async fn mounts_of_all_kinds() {
    let mut yard = Yard::new("mounts").await;
    let host = tempfile::tempdir().unwrap();
    let at = |name: &str| host.path().join(name).to_str().unwrap().to_owned();
    std::fs::create_dir(at("there")).unwrap();
    std::fs::write(at("there/file"), "from the host").unwrap();
    let bind = |name: &str, make| MountKind::Bind(Bind { source: at(name), create_host_path: make, propagation: None });
    let volume = stackyard_core::stack::Volume { name: format!("{}_data", yard.stack.name), ..Default::default() };
    yard.stack.volumes.insert("data".into(), volume);
    yard.stack.secrets.insert("key".into(), config(&[("", "hush")]));
    yard.add_config("dir", &[("a", "1"), ("sub/b", "2")]);
    let mut app = Service {
        volumes: vec![
            Mount { read_only: true, ..mount(bind("there", false), "/there") },
            mount(bind("made", true), "/made"),
            mount(MountKind::Volume { name: "data".into(), nocopy: true, subpath: None }, "/data"),
            mount(MountKind::Volume { name: "data".into(), nocopy: false, subpath: None }, "/copied"),
            mount(MountKind::Anonymous, "/anonymous"),
            mount(MountKind::Tmpfs { size: Some(4 << 20), mode: None }, "/memory"),
        ],
        tmpfs: BTreeMap::from([("/run".into(), "size=1m,mode=0711".into())]),
        devices: vec![Device { source: "/dev/zero".into(), target: "/dev/nothing".into(), permissions: "r".into() }],
        ..sleeper()
    };
    app.configs.push(mounted("dir", "/etc/dir"));
    app.secrets.push(mounted("key", "/run/secrets/key"));
    let owned = FileAccess { uid: 42425, gid: 7, mode: 0o400 };
    let clerk = Service {
        user: Some("app".into()),
        configs: vec![mounted("dir", "/etc/dir")],
        secrets: vec![FileMount { access: owned, ..mounted("key", "/own") }],
        ..sleeper()
    };
    yard.add("app", app).add("clerk", clerk);
    yard.up().await;
    assert_eq!(
        yard.sh("app", "cat /there/file; touch /there/x 2>/dev/null || echo refused").await,
        "from the hostrefused"
    );
    yard.sh("app", "echo hello > /made/file; echo one > /data/f; echo two > /anonymous/f").await;
    assert_eq!(std::fs::read_to_string(at("made/file")).unwrap(), "hello\n");
    assert_eq!(yard.sh("app", "cat /copied/f").await, "one");
    assert!(yard.sh("app", "df -k /memory").await.contains(" 4096 "));
    assert_eq!(yard.sh("app", "stat -c %a /run").await, "711");
    assert_eq!(yard.sh("app", "stat -c %t,%T /dev/nothing").await, "1,5");
    assert_eq!(yard.sh("app", "cat /etc/dir/a /etc/dir/sub/b; cat /run/secrets/key").await, "12hush");
    assert_eq!(yard.sh("app", "touch /etc/dir/a /run/secrets/key 2>/dev/null || echo refused").await, "refused");
    assert_eq!(yard.sh("app", "stat -c '%a %u' /etc/dir/a /run/secrets/key").await, "444 0\n444 0");
    assert_eq!(yard.sh("clerk", "cat /etc/dir/sub/b /own; stat -c '%a %u %g' /own").await, "2hush400 42425 7");
    let anonymous = async |yard: &Yard| {
        let all = yard.api().inspect_container(&yard.id("app").await, None).await.unwrap().mounts.unwrap();
        all.into_iter().find(|m| m.destination.as_deref() == Some("/anonymous")).unwrap().name.unwrap()
    };
    let old = anonymous(&yard).await;
    yard.service("app").tty = true;
    yard.up().await;
    assert_ne!(anonymous(&yard).await, old);
    assert!(yard.api().inspect_volume(&old).await.is_err(), "anonymous volumes go with their container");
    assert_eq!(yard.sh("app", "cat /data/f").await, "one");
    yard.end().await;
}

#[tokio::test]
async fn networks_names_and_addresses() {
    let mut yard = Yard::new("net").await;
    let front = Network {
        name: format!("{}_front", yard.stack.name),
        subnets: vec![("10.213.7.0/24".into(), Some("10.213.7.9".into()))],
        ..Network::default()
    };
    let back = Network { name: format!("{}_back", yard.stack.name), internal: true, ..Network::default() };
    yard.stack.networks.insert("front".into(), front);
    yard.stack.networks.insert("back".into(), back);
    let fixed = Attachment {
        aliases: strings(&["www", "shop"]),
        ipv4_address: Some("10.213.7.77".into()),
        ..Attachment::default()
    };
    let both = BTreeMap::from([("front".to_owned(), fixed), ("back".to_owned(), Attachment::default())]);
    let mut web = sh("mkdir -p /tmp/www; echo hello > /tmp/www/index.html; httpd -f -p 80 -h /tmp/www & wait");
    web.network_mode = NetworkMode::Networks(both);
    web.init = Some(true);
    web.ports = vec![PublishedPort {
        target: 80,
        published: None,
        published_last: None,
        host_ip: Some("127.0.0.1".into()),
        protocol: PortProtocol::Tcp,
    }];
    let mut client = sleeper();
    client.network_mode = NetworkMode::Networks(BTreeMap::from([("front".to_owned(), Attachment::default())]));
    let mut inside = sleeper();
    inside.network_mode = NetworkMode::Networks(BTreeMap::from([("back".to_owned(), Attachment::default())]));
    yard.add("web", web).add("client", client).add("inside", inside);
    yard.up().await;
    for name in ["web", "www", "shop", "10.213.7.77"] {
        assert_eq!(yard.sh("client", &format!("wget -q -O - http://{name}/")).await, "hello", "{name}");
    }
    assert_eq!(yard.sh("inside", "wget -q -O - http://web/").await, "hello");
    assert!(yard.sh("client", "ip route").await.contains("default via 10.213.7.9"));
    let back = format!("{}_back", yard.stack.name);
    assert_eq!(yard.api().inspect_network(&back, None).await.unwrap().internal, Some(true));
    let ports = yard
        .api()
        .inspect_container(&yard.id("web").await, None)
        .await
        .unwrap()
        .network_settings
        .unwrap()
        .ports
        .unwrap();
    let binding = ports["80/tcp"].clone().unwrap().remove(0);
    assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
    let look = yard.engine.look_at(&yard.stack.name).await.unwrap();
    let told = |service: &str| look.containers.iter().find(|c| c.service == service).unwrap().ports.clone();
    let published = binding.host_port.as_deref().unwrap().parse().unwrap();
    let host_ip = Some("127.0.0.1".parse().unwrap());
    assert_eq!(told("web"), [BoundPort { target: 80, protocol: PortProtocol::Tcp, published, host_ip }]);
    assert!(told("client").is_empty());
    let mut stream = TcpStream::connect(("127.0.0.1", binding.host_port.unwrap().parse().unwrap())).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello\n"), "{answer}");
    assert!(yard.up().await.is_noop());
    // A change of the network makes its containers anew, and they are on it again.
    yard.stack.networks.get_mut("front").unwrap().labels.insert("a".into(), "b".into());
    let plan = yard.up().await;
    assert_eq!(plan.summary().recreate, 3, "{plan}");
    assert_eq!(yard.sh("client", "wget -q -O - http://shop/").await, "hello");
    assert!(yard.up().await.is_noop());
    yard.end().await;
}

#[tokio::test]
async fn external_networks_and_volumes_are_used_and_left() {
    let mut yard = Yard::new("external").await;
    let name = format!("{}-outside", yard.stack.name);
    let network = Network { name: name.clone(), external: true, ..Network::default() };
    let volume = stackyard_core::stack::Volume { name: name.clone(), external: true, ..Default::default() };
    yard.stack.networks.insert("out".into(), network);
    yard.stack.volumes.insert("out".into(), volume);
    let mut app = sleeper();
    app.network_mode = NetworkMode::Networks(BTreeMap::from([("out".to_owned(), Attachment::default())]));
    app.volumes.push(mount(MountKind::Volume { name: "out".into(), nocopy: false, subpath: None }, "/out"));
    yard.add("app", app);
    let error = yard.try_up().await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("external network {name} is not there")), "{error}");
    let request = bollard::models::NetworkCreateRequest { name: name.clone(), ..Default::default() };
    yard.api().create_network(request).await.unwrap();
    let request = bollard::models::VolumeCreateRequest { name: Some(name.clone()), ..Default::default() };
    yard.api().create_volume(request).await.unwrap();
    yard.up().await;
    assert!(yard.up().await.is_noop());
    yard.engine.remove(&yard.stack.name, true, &()).await.unwrap();
    yard.api().remove_network(&name).await.unwrap();
    yard.api().remove_volume(&name, None::<bollard::query_parameters::RemoveVolumeOptions>).await.unwrap();
    yard.end().await;
}

#[tokio::test]
async fn stop_signal_and_grace_period() {
    let mut yard = Yard::new("grace").await;
    let mut polite = sh("trap 'echo bye > /data/said; exit 0' USR1; while :; do sleep 0.1; done");
    polite.stop_signal = Some("SIGUSR1".into());
    let volume = stackyard_core::stack::Volume { name: format!("{}_data", yard.stack.name), ..Default::default() };
    yard.stack.volumes.insert("data".into(), volume);
    polite.volumes.push(mount(MountKind::Volume { name: "data".into(), nocopy: false, subpath: None }, "/data"));
    polite.stop_grace_period = Some(Duration::from_secs(20));
    // Deaf to the signal; killed after its grace period.
    let mut deaf = sh("trap '' TERM; while :; do sleep 0.1; done");
    deaf.stop_grace_period = Some(Duration::from_secs(2));
    yard.add("polite", polite).add("deaf", deaf);
    yard.up().await;
    let begun = Instant::now();
    yard.engine.stop(&yard.stack.name, &()).await.unwrap();
    let took = begun.elapsed().as_secs_f64();
    assert!((1.5..8.0).contains(&took), "took {took} s");
    yard.service("polite").command = sleeper().command;
    yard.up().await;
    assert_eq!(yard.sh("polite", "cat /data/said").await, "bye");
    yard.end().await;
}
