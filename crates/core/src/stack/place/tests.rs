use super::*;
use crate::stack::deploy::Constraint;
use crate::stack::{PublishedPort, Volume};
use proptest::prelude::*;

const MIB: u64 = 1 << 20;

fn host(name: &str, memory: u64, labels: &[(&str, &str)]) -> Host {
    Host {
        id: format!("id-{name}"),
        name: name.into(),
        pool: Some("web".into()),
        labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        arch: "amd64".into(),
        nano_cpus: 2_000_000_000,
        memory: memory * MIB,
        ..Host::default()
    }
}

fn service(memory: u64) -> Service {
    Service { image: "i".into(), mem_reservation: Some(memory * MIB), ..Service::default() }
}

fn constrained(texts: &[&str]) -> Service {
    let mut s = service(0);
    s.deploy.placement.constraints = texts.iter().map(|t| Constraint::parse(t).unwrap()).collect();
    s
}

/// Names of the hosts of so many containers, one after the other, and why there are no more.
fn spread(hosts: &[Host], service: &Service, count: usize) -> String {
    let mut board = Board::new(hosts, None);
    let mut out = Vec::new();
    for _ in 0..count {
        match board.pick("s", service, Ties::default()) {
            Ok(host) => {
                board.put(&host.id, "s", service);
                out.push(host.name.clone());
            }
            Err(why) => {
                out.push(why.to_string());
                break;
            }
        }
    }
    out.join(" ")
}

#[test]
fn hosts_are_told_apart() {
    let hosts = [host("a", 1024, &[("disk", "ssd")]), host("b", 512, &[])];
    let arm = [Host { arch: "arm64".into(), ..host("c", 512, &[]) }];
    for (texts, expected) in [
        (&["node.labels.disk == ssd"][..], "a a"),
        (&["node.labels.disk != ssd"], "b b"),
        (&["node.hostname == b"], "b b"),
        (&["node.id == id-a"], "a a"),
        (&["node.pool == web", "node.role == worker", "node.platform.os == linux"], "a b"),
        (&["node.platform.arch == x86_64"], "a b"),
        (&["node.pool == db"], "2 hosts: 2 not node.pool == db"),
        (&["node.labels.disk == hdd"], "2 hosts: 2 without label disk=hdd"),
    ] {
        assert_eq!(spread(&hosts, &constrained(texts), 2), expected, "{texts:?}");
    }
    assert_eq!(spread(&arm, &constrained(&["node.platform.arch == aarch64"]), 1), "c");
}

#[test]
fn a_platform_is_that_of_the_host() {
    let hosts = [host("a", 1024, &[]), host("b", 512, &[])];
    let with = |platform: &str| {
        let mut s = service(0);
        s.engine.platform = Some(platform.into());
        s
    };
    assert_eq!(spread(&hosts, &with("linux/amd64"), 2), "a b");
    assert_eq!(spread(&hosts, &with("linux/arm64"), 1), "2 hosts: 2 not node.platform.arch == arm64");
    assert_eq!(spread(&hosts, &with("linux"), 1), "a");
}

#[test]
fn of_a_range_the_engine_takes_a_free_port() {
    let hosts = [host("a", 1024, &[])];
    let mut web = service(0);
    let protocol = PortProtocol::Tcp;
    web.ports =
        vec![PublishedPort { target: 80, published: Some(8000), published_last: Some(8003), host_ip: None, protocol }];
    assert_eq!(spread(&hosts, &web, 2), "a a");
}

#[test]
fn room_is_kept() {
    let hosts = [host("a", 1024, &[("disk", "ssd")]), host("b", 512, &[])];
    assert_eq!(
        spread(&hosts, &service(400), 4),
        "a b a 2 hosts: 1 too little memory (has 224 MiB free, needs 400 MiB), \
         1 too little memory (has 112 MiB free, needs 400 MiB)"
    );
    let mut wide = constrained(&["node.labels.disk == ssd"]);
    wide.mem_reservation = Some(1 << 31);
    assert_eq!(
        spread(&hosts, &wide, 1),
        "2 hosts: 1 too little memory (has 1 GiB free, needs 2 GiB), 1 without label disk=ssd"
    );
    let mut hungry = service(0);
    hungry.deploy.nano_cpus = 1_500_000_000;
    assert_eq!(spread(&hosts, &hungry, 3), "a b 2 hosts: 2 too few CPUs (has 0.5 free, needs 1.5)");
}

#[test]
fn ports_and_counts_are_kept() {
    let hosts = [host("a", 1024, &[]), host("b", 512, &[])];
    let port = |ip: Option<&str>| PublishedPort {
        target: 80,
        published: Some(80),
        published_last: None,
        host_ip: ip.map(str::to_owned),
        protocol: PortProtocol::Tcp,
    };
    let web = Service { ports: vec![port(None)], ..service(0) };
    assert_eq!(spread(&hosts, &web, 3), "a b 2 hosts: 2 port 80/tcp taken");
    let one = Service { ports: vec![port(Some("127.0.0.1"))], ..service(0) };
    let other = Service { ports: vec![port(Some("127.0.0.2"))], ..service(0) };
    let mut board = Board::new(&hosts[..1], None);
    board.put("id-a", "one", &one);
    assert!(board.pick("other", &other, Ties::default()).is_ok());
    assert!(board.pick("web", &web, Ties::default()).is_err());
    let own = Service { network_mode: NetworkMode::Host, expose: vec!["80/tcp".into()], ..service(0) };
    assert_eq!(board.pick("own", &own, Ties::default()).unwrap_err().to_string(), "1 host: port 80/tcp taken");
    let mut few = service(0);
    few.deploy.placement.max_per_host = Some(1);
    assert_eq!(spread(&hosts, &few, 3), "a b 2 hosts: 2 with 1 of it already (max_replicas_per_node)");
}

#[test]
fn labels_are_spread_over_before_hosts() {
    let zone = |name: &str, zone: &str| host(name, 1024, &[("zone", zone)]);
    let hosts = [zone("a1", "a"), zone("a2", "a"), zone("a3", "a"), zone("b1", "b")];
    let mut s = service(0);
    assert_eq!(spread(&hosts, &s, 4), "a1 a2 a3 b1");
    s.deploy.placement.spread = vec!["zone".into()];
    assert_eq!(spread(&hosts, &s, 4), "a1 b1 a2 b1");
}

#[test]
fn volumes_and_companions_tie() {
    let mut hosts = [host("a", 1024, &[]), host("b", 512, &[])];
    let home = Ties { home: Some("id-b"), ..Ties::default() };
    let pick = |hosts: &[Host], s: &Service, ties| {
        Board::new(hosts, None).pick("s", s, ties).map(|h| h.name.clone()).map_err(|e| e.to_string())
    };
    assert_eq!(pick(&hosts, &service(0), home), Ok("b".into()));
    assert_eq!(
        pick(&hosts, &service(800), home),
        Err("2 hosts: 1 without its volumes (they are on b), 1 too little memory (has 512 MiB free, needs 800 MiB)"
            .into())
    );
    hosts[1].state = HostState::Away;
    assert_eq!(
        pick(&hosts, &service(0), home),
        Err("2 hosts: 1 without its volumes (they are on b), 1 not heard of for the moment".into())
    );
    // It may not be there any more.
    assert_eq!(pick(&hosts, &constrained(&["node.hostname != b"]), home), Ok("a".into()));
    hosts[1].state = HostState::Lost;
    assert_eq!(pick(&hosts, &service(0), home), Ok("a".into()));
    hosts[1].state = HostState::Ready;
    assert_eq!(pick(&hosts, &service(0), Ties { with: Some("id-b"), ..Ties::default() }), Ok("b".into()));

    let mut stack = Stack::default();
    let mount = |name: &str| crate::stack::Mount {
        kind: MountKind::Volume { name: name.into(), nocopy: false, subpath: None },
        target: "/d".into(),
        read_only: false,
    };
    let nfs = Volume { driver_opts: [("type".to_owned(), "nfs".to_owned())].into(), ..Volume::default() };
    stack.volumes = [("data".to_owned(), Volume::default()), ("shared".to_owned(), nfs)].into();
    assert!(stack.is_tied(&Service { volumes: vec![mount("data")], ..Service::default() }));
    assert!(!stack.is_tied(&Service { volumes: vec![mount("shared")], ..Service::default() }));
}

prop_compose! {
    fn any_host()(id in 0u32..1000, memory in 0u64..4096, zone in 0u8..3, state in 0u8..4, taken in 0u64..2048) -> Host {
        let zones = ["a", "b", "c"];
        let mut h = host(&format!("h{id}"), memory, &[("zone", zones[zone as usize])]);
        h.state = [HostState::Ready, HostState::Ready, HostState::Away, HostState::Drained][state as usize];
        h.taken.memory = taken * MIB;
        h
    }
}

proptest! {
    #[test]
    fn never_more_than_there_is_room_for(
        hosts in proptest::collection::vec(any_host(), 0..8),
        wants in proptest::collection::vec((0u64..1024, 0u16..4, 0u32..3), 0..40),
    ) {
        let mut board = Board::new(&hosts, None);
        let mut on: BTreeMap<String, Vec<(u64, u16)>> = BTreeMap::new();
        for (i, (memory, port, max)) in wants.into_iter().enumerate() {
            let mut s = service(memory);
            s.deploy.placement.max_per_host = (max > 0).then_some(max);
            if port > 0 {
                s.ports = vec![PublishedPort { target: 1, published: Some(port), published_last: None, host_ip: None, protocol: PortProtocol::Tcp }];
            }
            let name = format!("s{}", i % 3);
            let picked = board.pick(&name, &s, Ties::default());
            // The same board gives the same answer.
            prop_assert_eq!(&picked, &board.pick(&name, &s, Ties::default()));
            match picked {
                Ok(host) => {
                    prop_assert_eq!(host.state, HostState::Ready);
                    board.put(&host.id, &name, &s);
                    on.entry(host.id.clone()).or_default().push((memory, port));
                }
                Err(why) => {
                    prop_assert!(hosts.iter().all(|h| board.fits(&h.id, &name, &s, Ties::default()).is_err()));
                    let ids: BTreeSet<&String> = hosts.iter().map(|h| &h.id).collect();
                    let text = why.to_string();
                    prop_assert!(text.starts_with(&format!("{} host", ids.len())) || ids.is_empty(), "{}", text);
                }
            }
        }
        for (id, containers) in on {
            // Of two hosts with one id the last one counts.
            let h = hosts.iter().rev().find(|h| h.id == id).unwrap();
            let memory: u64 = containers.iter().map(|c| c.0 * MIB).sum();
            prop_assert!(memory == 0 || memory + h.taken.memory <= h.memory);
            let ports: Vec<u16> = containers.iter().map(|c| c.1).filter(|p| *p > 0).collect();
            prop_assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        }
    }
}
