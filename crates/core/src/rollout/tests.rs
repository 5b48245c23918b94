//! A small world of hosts that do what they are told, in which stacks are brought out.

use super::*;
use crate::agent::{ContainerReport, ContainerState, PartReport, Replica};
use crate::health::Health;
use crate::stack::deploy::{Mode, OnFailure, Order};
use crate::stack::place::HostState;
use crate::stack::plan::PlanError;
use crate::stack::{
    Config, Dependency, DependencyCondition, FileAccess, FileMount, HealthTest, Healthcheck, Mount, MountKind, Network,
    NetworkMode, PortProtocol, PublishedPort, RestartPolicy, Volume,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

/// Images whose containers never work.
const BAD: &str = "bad";

struct World {
    history: Vec<Version>,
    hosts: Vec<Host>,
    state: State,
    now: i64,
    /// What hosts run.
    running: BTreeMap<String, BTreeMap<Replica, ContainerReport>>,
    told: BTreeMap<String, Part>,
    status: Status,
    made: u32,
    /// Containers that never work: host and service.
    broken: BTreeSet<(String, String)>,
    /// Whether anything was ever wrong.
    complaints: Vec<String>,
}

impl World {
    fn new(hosts: &[&str]) -> Self {
        let hosts = hosts.iter().enumerate().map(|(i, name)| Host {
            id: (*name).into(),
            name: (*name).into(),
            nano_cpus: 4_000_000_000,
            memory: 4 << 30,
            arch: "amd64".into(),
            address: Some(format!("10.0.0.{}", i + 1).parse().unwrap()),
            ..Host::default()
        });
        Self {
            history: Vec::new(),
            hosts: hosts.collect(),
            state: State::default(),
            now: 1_000_000,
            running: BTreeMap::new(),
            told: BTreeMap::new(),
            status: Status::default(),
            made: 0,
            broken: BTreeSet::new(),
            complaints: Vec::new(),
        }
    }

    fn deploy(&mut self, stack: Stack) {
        check(&stack).unwrap();
        let version = Version::next(stack, BTreeMap::new(), None, &self.history);
        self.history.insert(0, version);
        self.history = needed(std::mem::take(&mut self.history), &self.state);
    }

    fn host(&mut self, name: &str) -> &mut Host {
        self.hosts.iter_mut().find(|h| h.id == name).unwrap()
    }

    /// One look, and time for hosts to do what they are told.
    fn tick(&mut self) {
        let parts: BTreeMap<String, PartReport> = self
            .running
            .iter()
            .map(|(h, c)| {
                (h.clone(), PartReport { containers: c.values().cloned().collect(), ..PartReport::default() })
            })
            .collect();
        let empty = PartReport::default();
        let heard = self.hosts.iter().filter(|h| matches!(h.state, HostState::Ready | HostState::Drained));
        let reports = heard
            .map(|h| (h.id.clone(), HostReport { part: Some(parts.get(&h.id).unwrap_or(&empty)), settled: true }))
            .collect();
        let input = Input { history: &self.history, hosts: &self.hosts, reports: &reports, now: self.now };
        let output = step(input, self.state.clone());
        // What is remembered survives the way to the store.
        let text = serde_json::to_string(&output.state).unwrap();
        self.state = serde_json::from_str(&text).unwrap();
        assert_eq!(self.state, output.state);
        self.told = output.parts;
        self.status = output.status;
        self.obey();
        self.now += 1000;
        self.watch();
    }

    /// Hosts that are there do what they are told.
    fn obey(&mut self) {
        for host in self.hosts.iter().filter(|h| matches!(h.state, HostState::Ready | HostState::Drained)) {
            let there = self.running.entry(host.id.clone()).or_default();
            let Some(part) = self.told.get(&host.id) else {
                there.clear();
                continue;
            };
            let stack = part.unpack();
            there.retain(|r, _| part.replicas.values().any(|p| p == r));
            for (name, replica) in &part.replicas {
                let generation = part.generations[name];
                let service = &stack.services[name];
                let broken = self.broken.contains(&(host.id.clone(), replica.service.clone()));
                let same = there.get(replica).is_some_and(|c| c.generation == generation);
                if !same {
                    self.made += 1;
                    let (job, bad) = (stack.is_job(name), broken || service.image.starts_with(BAD));
                    let state = match (job, bad) {
                        (true, false) => ContainerState::Exited(0),
                        (_, true) => ContainerState::Exited(1),
                        _ => ContainerState::Running,
                    };
                    let container = ContainerReport {
                        last_lines: Vec::new(),
                        ended: None,
                        addresses: Default::default(),
                        ports: Vec::new(),
                        replica: replica.clone(),
                        generation,
                        id: format!("c{}", self.made),
                        state,
                        healthy: service.healthcheck.as_ref().map(|_| true),
                        restarts: 0,
                        started: Some(self.now / 1000),
                    };
                    there.insert(replica.clone(), container);
                }
            }
        }
    }

    /// What must hold at any time.
    fn watch(&mut self) {
        for (host, part) in &self.told {
            let stack = part.unpack();
            let mut ports = BTreeSet::new();
            for (name, service) in &stack.services {
                for port in &service.ports {
                    if port.published.is_some_and(|p| !ports.insert(p)) {
                        self.complaints.push(format!("{host} has port {:?} twice", port.published));
                    }
                }
                if !service.depends_on.is_empty() {
                    self.complaints.push(format!("{name} tells its host what to wait for"));
                }
            }
            let memory: u64 = stack.services.values().filter_map(|s| s.mem_reservation).sum();
            let has = self.hosts.iter().find(|h| h.id == *host).unwrap().memory;
            if memory > has {
                self.complaints.push(format!("{host} has {has} and is to set aside {memory}"));
            }
        }
    }

    /// Until nothing has changed for longer than anything is watched.
    fn settle(&mut self) -> Health {
        let mut still = 0;
        for _ in 0..300 {
            let before = (self.state.clone(), self.told.clone());
            self.tick();
            still = if before == (self.state.clone(), self.told.clone()) { still + 1 } else { 0 };
            if still > 8 {
                break;
            }
        }
        assert_eq!(self.complaints, Vec::<String>::new());
        self.status.health
    }

    /// `a: web-1@1 web-2@1; b: db-1@1`
    fn shown(&self) -> String {
        let mut hosts = Vec::new();
        for (host, containers) in &self.running {
            let mut text = format!("{host}:");
            for (replica, container) in containers {
                let _ = write!(text, " {replica}@{}", container.generation);
            }
            hosts.push(text);
        }
        hosts.join("; ")
    }

    /// Every change of what runs, a line each, until all is at rest.
    fn story(&mut self) -> String {
        let mut lines = Vec::new();
        let mut last = String::new();
        for _ in 0..120 {
            self.tick();
            let reasons =
                if self.status.reasons.is_empty() { "all well".into() } else { self.status.reasons.join(", ") };
            let line = format!("{}\n    {reasons}", self.shown());
            if line != last {
                lines.push(format!("{:>3} s {line}", self.now / 1000 - 1000));
                last = line;
            }
        }
        lines.join("\n")
    }
}

fn service(image: &str, replicas: u32) -> Service {
    let mut s = Service { image: image.into(), ..Service::default() };
    s.deploy.replicas = replicas;
    s
}

fn healthy(mut s: Service) -> Service {
    s.healthcheck = Some(Healthcheck {
        test: HealthTest::Shell("true".into()),
        interval: Some(Duration::from_secs(1)),
        timeout: None,
        retries: Some(1),
        start_period: None,
        start_interval: None,
    });
    s
}

fn stack(services: &[(&str, Service)]) -> Stack {
    let services = services.iter().map(|(n, s)| ((*n).to_owned(), s.clone())).collect();
    Stack { name: "shop".into(), services, ..Stack::default() }
}

fn needs(mut s: Service, other: &str, condition: DependencyCondition) -> Service {
    s.depends_on.insert(other.into(), Dependency { condition, restart: false, required: true });
    s
}

fn publishes(mut s: Service, port: u16) -> Service {
    s.ports.push(PublishedPort {
        target: port,
        published: Some(port),
        published_last: None,
        host_ip: None,
        protocol: PortProtocol::Tcp,
    });
    s
}

/// The service with the volume `data`.
fn with_data(service: Service) -> Service {
    let kind = MountKind::Volume { name: "data".into(), nocopy: false, subpath: None };
    Service { volumes: vec![Mount { kind, target: "/d".into(), read_only: false }], ..service }
}

#[test]
fn a_stack_comes_up_in_order() {
    let mut w = World::new(&["a", "b"]);
    let migrate = needs(service("app:1", 1), "db", DependencyCondition::Healthy);
    let web = needs(healthy(service("app:1", 3)), "migrate", DependencyCondition::CompletedSuccessfully);
    w.deploy(stack(&[("db", healthy(service("db:1", 1))), ("migrate", migrate), ("web", web)]));
    insta::assert_snapshot!(w.story());
    assert_eq!(w.status.health, Health::Ready);
    // Nothing is done twice.
    let (made, state) = (w.made, w.state.clone());
    w.settle();
    assert_eq!((w.made, &w.state), (made, &state));
}

#[test]
fn an_update_rolls() {
    let mut w = World::new(&["a", "b"]);
    w.deploy(stack(&[("web", service("app:1", 4))]));
    assert_eq!(w.settle(), Health::Ready);
    let mut next = service("app:2", 4);
    next.deploy.update.parallelism = 2;
    next.deploy.update.delay = Duration::from_secs(7);
    w.deploy(stack(&[("web", next)]));
    insta::assert_snapshot!(w.story());
    assert_eq!(w.status.health, Health::Ready);
}

#[test]
fn a_failing_update_rolls_back() {
    let mut w = World::new(&["a", "b"]);
    for order in [Order::StopFirst, Order::StartFirst] {
        w.deploy(stack(&[("web", service("app:1", 3))]));
        assert_eq!(w.settle(), Health::Ready);
        let before = w.shown();
        let mut next = service(BAD, 3);
        next.deploy.update.on_failure = OnFailure::Rollback;
        next.deploy.update.order = order;
        w.deploy(stack(&[("web", next)]));
        if order == Order::StartFirst {
            insta::assert_snapshot!(w.story());
        } else {
            w.settle();
        }
        assert_eq!(w.status.health, Health::Failed);
        let images = |w: &World| w.shown().matches("@1").count();
        assert_eq!(images(&w), 3, "{before} became {}", w.shown());
        assert!(w.status.reasons[0].starts_with("web: was rolled back: web-"), "{:?}", w.status.reasons);
    }
}

#[test]
fn a_failing_update_pauses_and_goes_on_with_the_next() {
    let mut w = World::new(&["a", "b"]);
    w.deploy(stack(&[("web", service("app:1", 3))]));
    w.settle();
    w.deploy(stack(&[("web", service(BAD, 3))]));
    assert_eq!(w.settle(), Health::Failed);
    assert_eq!(w.status.reasons, ["web: the update is paused: web-1 on a: ended with status 1"]);
    assert_eq!((w.shown().matches("@1").count(), w.shown().matches("@2").count()), (2, 1));
    w.deploy(stack(&[("web", service("app:3", 3))]));
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown().matches("@3").count(), 3);
    // The first deployment again: its generation is known, and what it was is what it is.
    w.deploy(stack(&[("web", service("app:1", 3))]));
    assert_eq!(w.settle(), Health::Ready);
    let mut tolerant = service(BAD, 3);
    tolerant.deploy.update.on_failure = OnFailure::Continue;
    w.deploy(stack(&[("web", tolerant)]));
    w.settle();
    assert_eq!(w.status.health, Health::Degraded);
    assert!(w.running.values().flat_map(|c| c.values()).all(|c| c.state == ContainerState::Exited(1)));
}

#[test]
fn start_first_never_has_too_few() {
    let mut w = World::new(&["a", "b"]);
    let mut web = service("app:1", 2);
    web.deploy.update.order = Order::StartFirst;
    w.deploy(stack(&[("web", web.clone())]));
    w.settle();
    web.image = "app:2".into();
    w.deploy(stack(&[("web", web)]));
    for _ in 0..60 {
        w.tick();
        let count = w.running.values().map(BTreeMap::len).sum::<usize>();
        assert!((2..=3).contains(&count), "{}", w.shown());
    }
    assert_eq!(w.shown().matches("@2").count(), 2);
}

#[test]
fn a_lost_host_gives_its_containers_away() {
    let mut w = World::new(&["a", "b", "c"]);
    let mut s = stack(&[("db", with_data(service("db:1", 1))), ("web", service("app:1", 3))]);
    s.volumes.insert("data".into(), Volume { name: "shop_data".into(), ..Volume::default() });
    w.deploy(s);
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: db-1@1 web-3@1; b: web-1@1; c: web-2@1");
    // For a moment, nothing happens.
    w.host("a").state = HostState::Away;
    w.settle();
    assert_eq!(w.told.len(), 3);
    w.host("a").state = HostState::Lost;
    w.running.remove("a");
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "b: db-1@1 web-1@1; c: web-2@1 web-3@1");
    assert_eq!(w.status.notes, ["db-1: its volumes stayed on lost host a"]);
    // It comes back: what runs stays.
    w.host("a").state = HostState::Ready;
    w.settle();
    assert_eq!(w.shown(), "a:; b: db-1@1 web-1@1; c: web-2@1 web-3@1");
}

#[test]
fn a_drained_host_is_left() {
    let mut w = World::new(&["a", "b"]);
    w.deploy(stack(&[
        ("web", service("app:1", 4)),
        ("all", {
            let mut s = service("log:1", 1);
            s.deploy.mode = Mode::Global;
            s
        }),
    ]));
    w.settle();
    w.host("a").state = HostState::Drained;
    insta::assert_snapshot!(w.story());
    w.host("a").state = HostState::Ready;
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: all-1@1; b: all-1@1 web-1@1 web-2@1 web-3@1 web-4@1");
    w.host("b").state = HostState::Drained;
    w.host("a").memory = 0;
    w.settle();
    w.host("a").state = HostState::Drained;
    w.settle();
    assert_eq!(w.shown(), "a:; b:");
    assert_eq!(w.status.reasons, ["web: 4 without a host: 2 hosts: 2 drained"]);
}

#[test]
fn a_cinder_volume_moves_with_its_container() {
    let mut w = World::new(&["a", "b", "c"]);
    let mut s = stack(&[("db", with_data(service("db:1", 1)))]);
    let driver = Some(crate::stack::VOLUME_DRIVER.to_owned());
    let driver_opts = [("size".to_owned(), "1Gi".to_owned())].into();
    s.volumes.insert("data".into(), Volume { name: "shop_data".into(), driver, driver_opts, ..Volume::default() });
    w.deploy(s);
    // Machines that are no Nova servers are no place for it.
    assert_ne!(w.settle(), Health::Ready);
    assert!(w.status.reasons[0].contains("3 no Nova server"), "{:?}", w.status.reasons);
    for host in ["a", "b"] {
        w.host(host).nova_server = true;
    }
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: db-1@1; b:; c:");
    w.host("a").state = HostState::Drained;
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a:; b: db-1@1; c:");
    // Nothing was left behind, and nothing draws it back.
    assert!(w.status.notes.is_empty() && w.state.homes.is_empty());
    w.host("a").state = HostState::Ready;
    w.host("b").state = HostState::Lost;
    w.running.remove("b");
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: db-1@1; c:");
    assert!(w.status.notes.is_empty());
}

#[test]
fn scaling_takes_the_last_and_comes_back_to_volumes() {
    let mut w = World::new(&["a", "b", "c"]);
    let mut s = stack(&[("db", with_data(service("db:1", 3)))]);
    s.volumes.insert("data".into(), Volume { name: "shop_data".into(), ..Volume::default() });
    w.deploy(s.clone());
    w.settle();
    let three = w.shown();
    w.history[0].stack.services.get_mut("db").unwrap().deploy.replicas = 1;
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: db-1@1; b:; c:");
    // Something else fills up where they were.
    w.host("b").taken.containers = 9;
    w.host("c").taken.containers = 9;
    w.history[0].stack.services.get_mut("db").unwrap().deploy.replicas = 3;
    w.settle();
    assert_eq!(w.shown(), three);
    assert!(w.status.notes.is_empty());
}

#[test]
fn names_lead_to_other_hosts() {
    let mut w = World::new(&["a", "b"]);
    let mut api = publishes(service("api:1", 1), 8080);
    api.deploy.placement.constraints = vec![crate::stack::deploy::Constraint::parse("node.hostname == b").unwrap()];
    let mut web = needs(service("web:1", 2), "api", DependencyCondition::Started);
    web.deploy.placement.max_per_host = Some(1);
    w.deploy(stack(&[("api", api), ("web", web)]));
    assert_eq!(w.settle(), Health::Ready);
    let hosts = |w: &World, host: &str| {
        let services = w.told[host].unpack().services;
        let web = services.iter().find(|(n, _)| n.starts_with("web")).map(|(_, s)| s.clone()).unwrap();
        (web.extra_hosts.clone(), web.network_mode)
    };
    assert_eq!(hosts(&w, "a").0, ["api:10.0.0.2"]);
    assert!(hosts(&w, "b").0.is_empty());
    let NetworkMode::Networks(networks) = hosts(&w, "a").1 else { panic!("no networks") };
    assert_eq!(networks["default"].aliases, ["web"]);
    // Made once, although `api` was placed after `web` could have been.
    assert_eq!(w.made, 3);
}

#[test]
fn names_on_a_network_that_crosses_hosts_are_left_to_the_resolver() {
    let mut w = World::new(&["a", "b"]);
    // Only hosts of pools have Neutron ports.
    w.hosts.iter_mut().for_each(|host| host.pool = Some("web".to_owned()));
    let mut api = publishes(service("api:1", 1), 8080);
    api.deploy.placement.constraints = vec![crate::stack::deploy::Constraint::parse("node.hostname == b").unwrap()];
    let mut web = needs(service("web:1", 1), "api", DependencyCondition::Started);
    web.deploy.placement.constraints = vec![crate::stack::deploy::Constraint::parse("node.hostname == a").unwrap()];
    for service in [&mut api, &mut web] {
        service.network_mode = NetworkMode::Networks([("front".to_owned(), Default::default())].into());
    }
    let mut stack = stack(&[("api", api), ("web", web)]);
    let driver = Some(crate::stack::NETWORK_DRIVER.to_owned());
    let front = crate::stack::Network { name: "s_front".into(), driver, ..Default::default() };
    stack.networks.insert("front".into(), front);
    w.deploy(stack);
    assert_eq!(w.settle(), Health::Ready);
    assert!(w.told["a"].unpack().services["web-1"].extra_hosts.is_empty());
}

#[test]
fn placeholders_have_each_containers_values() {
    let mut w = World::new(&["a", "b"]);
    let mut web = service("web:1", 2);
    web.deploy.placement.max_per_host = Some(1);
    web.hostname = Some("{{.Node.Hostname}}-{{.Task.Slot}}".into());
    web.environment = [("NAME", "{{.Service.Name}}/{{.Task.Name}}"), ("KEPT", "{{.Names}}")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into();
    w.deploy(stack(&[("web", web)]));
    assert_eq!(w.settle(), Health::Ready);
    let shown = |host: &str| {
        let services = w.told[host].unpack().services;
        let web = services.values().next().cloned().unwrap();
        format!("{} {} {}", web.hostname.unwrap_or_default(), web.environment["NAME"], web.environment["KEPT"])
    };
    assert_eq!(shown("a"), "a-1 shop_web/shop_web.1 {{.Names}}");
    assert_eq!(shown("b"), "b-2 shop_web/shop_web.2 {{.Names}}");
}

#[test]
fn two_versions_of_a_config_are_on_a_host_at_once() {
    let mut w = World::new(&["a"]);
    let with = |text: &str| {
        let mut s = service("app:1", 2);
        s.configs = vec![FileMount { source: "app".into(), target: "/app".into(), access: FileAccess::default() }];
        let mut s = stack(&[("web", s)]);
        s.configs.insert("app".into(), Config { files: [(String::new(), text.as_bytes().to_vec())].into() });
        s
    };
    w.deploy(with("one"));
    w.settle();
    w.deploy(with("two"));
    w.tick();
    w.tick();
    let part = w.told["a"].unpack();
    let contents: BTreeSet<&[u8]> = part.configs.values().map(|c| c.files[""].as_slice()).collect();
    assert_eq!(contents, BTreeSet::from([&b"one"[..], b"two"]));
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.told["a"].unpack().configs.len(), 1);
}

#[test]
fn each_host_gets_its_own_name_and_address_in_files_and_settings() {
    use crate::stack::own_host::{ADDRESS, NAME};
    let mut w = World::new(&["a", "b"]);
    let mut db = service("db:1", 1);
    db.deploy.mode = Mode::Global;
    db.command = Some(vec![format!("--bind={ADDRESS}")]);
    db.configs = vec![FileMount { source: "db".into(), target: "/db".into(), access: FileAccess::default() }];
    let mut s = stack(&[("db", db)]);
    let text = format!("me={NAME} at {ADDRESS}\n");
    s.configs.insert("db".into(), Config { files: [(String::new(), text.into_bytes())].into() });
    w.deploy(s.clone());
    assert_eq!(w.settle(), Health::Ready);
    for (host, command, text) in
        [("a", "--bind=10.0.0.1", "me=a at 10.0.0.1\n"), ("b", "--bind=10.0.0.2", "me=b at 10.0.0.2\n")]
    {
        let part = w.told[host].unpack();
        let db = &part.services["db-1"];
        assert_eq!(db.command.as_deref(), Some(&[command.to_owned()][..]));
        // The mount leads to the content of this host, under a name that is made of it.
        let content = &part.configs[&db.configs[0].source];
        assert_eq!(content.files[""], text.as_bytes());
        assert_eq!(db.configs[0].source, version::file_key("db", Some(content)));
    }
    // A host that does not answer for a moment changes nothing, and neither does the same again.
    let told = w.told.clone();
    w.host("b").state = HostState::Away;
    w.settle();
    w.host("b").state = HostState::Ready;
    w.deploy(s);
    w.settle();
    assert_eq!((w.told, w.made), (told, 2));
}

#[test]
fn a_job_runs_once() {
    let mut w = World::new(&["a", "b"]);
    let mut job = service("job:1", 2);
    job.deploy.mode = Mode::ReplicatedJob;
    w.deploy(stack(&[("job", job.clone()), ("web", service("app:1", 1))]));
    assert_eq!(w.settle(), Health::Ready);
    let made = w.made;
    w.host("a").state = HostState::Lost;
    w.running.remove("a");
    assert_eq!(w.settle(), Health::Ready);
    assert!(w.made <= made + 1, "only web may come up again");
    job.image = "job:2".into();
    w.deploy(stack(&[("job", job), ("web", service("app:1", 1))]));
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown().matches("@2").count(), 2);
    let mut bad = needs(service("app:1", 1), "job", DependencyCondition::CompletedSuccessfully);
    bad.restart = RestartPolicy::Always;
    w.deploy(stack(&[("job", service(BAD, 1)), ("web", bad)]));
    w.settle();
    assert_eq!(
        w.status.reasons,
        ["job: job-1 on b: ended with status 1", "web: waits until job has ended (job-1 on b: ended with status 1)"]
    );
}

#[test]
fn shared_name_spaces_stay_together() {
    let mut w = World::new(&["a", "b"]);
    let mut side = service("side:1", 2);
    side.network_mode = NetworkMode::Service("web".into());
    w.deploy(stack(&[("side", side.clone()), ("web", service("app:1", 2))]));
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: side-1@1 web-1@1; b: side-2@1 web-2@1");
    w.host("b").state = HostState::Drained;
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: side-1@1 side-2@1 web-1@1 web-2@1; b:");
    let part = w.told["a"].unpack();
    assert_eq!(part.services["side-2"].network_mode, NetworkMode::Service("web-2".into()));
    side.deploy.replicas = 1;
    assert!(check(&stack(&[("side", side), ("web", service("app:1", 2))])).is_err());
}

#[test]
fn names_that_lead_elsewhere_in_an_engines_api_are_refused() {
    for image in ["../events?", "../containers/db/json?", "../images/big:tag/get?", ""] {
        let error = check(&stack(&[("web", service(image, 1))])).unwrap_err();
        assert!(matches!(error, PlanError::BadImage { .. }), "{image}: {error}");
    }
    for name in ["../events?", "..", "a/b", "a?b", "a#b", "%2e%2e", ""] {
        let name = name.to_owned();
        let mut volumes = stack(&[("web", service("app:1", 1))]);
        volumes.volumes.insert("data".into(), Volume { name: name.clone(), ..Volume::default() });
        let mut networks = stack(&[("web", service("app:1", 1))]);
        networks.networks.insert("front".into(), Network { name: name.clone(), external: true, ..Network::default() });
        for stack in [volumes, networks] {
            let error = check(&stack).unwrap_err();
            assert!(matches!(error, PlanError::BadName { .. }), "{name}: {error}");
        }
    }
}

/// What may happen to a world.
#[derive(Debug, Clone)]
enum ContainerEventKind {
    Tick,
    Deploy { image: u8, replicas: u32, bad: bool, start_first: bool, parallelism: u32 },
    Host { host: usize, state: u8 },
    Forget,
}

fn happening() -> impl Strategy<Value = ContainerEventKind> {
    prop_oneof![
        4 => Just(ContainerEventKind::Tick),
        2 => (0u8..3, 0u32..5, proptest::bool::weighted(0.2), any::<bool>(), 0u32..3).prop_map(
            |(image, replicas, bad, start_first, parallelism)| ContainerEventKind::Deploy { image, replicas, bad, start_first, parallelism }
        ),
        2 => (0usize..3, 0u8..4).prop_map(|(host, state)| ContainerEventKind::Host { host, state }),
        1 => Just(ContainerEventKind::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever happens, in the end a good stack on good hosts is as it should be, and nothing of
    /// it is anywhere else.
    #[test]
    fn everything_comes_right_in_the_end(happenings in proptest::collection::vec(happening(), 0..40)) {
        let mut w = World::new(&["a", "b", "c"]);
        let make = |image: String, replicas: u32, start_first: bool, parallelism: u32| {
            let mut web = needs(publishes(service(&image, replicas.min(2)), 80), "db", DependencyCondition::Healthy);
            web.deploy.update.parallelism = parallelism;
            web.deploy.update.on_failure = OnFailure::Rollback;
            if start_first {
                web.deploy.update.order = Order::StartFirst;
            }
            let mut all = service("log:1", 1);
            all.deploy.mode = Mode::Global;
            let mut db = healthy(service("db:1", replicas));
            db.mem_reservation = Some(900 << 20);
            stack(&[("db", db), ("web", web), ("all", all)])
        };
        w.deploy(make("app:0".into(), 1, false, 1));
        for happening in happenings {
            match happening {
                ContainerEventKind::Tick => w.tick(),
                ContainerEventKind::Deploy { image, replicas, bad, start_first, parallelism } => {
                    let image = if bad { format!("{BAD}:{image}") } else { format!("app:{image}") };
                    w.deploy(make(image, replicas, start_first, parallelism));
                }
                ContainerEventKind::Host { host, state } => {
                    w.hosts[host].state =
                        [HostState::Ready, HostState::Away, HostState::Drained, HostState::Lost][state as usize];
                }
                // The server forgets what hosts reported, as after a kill.
                ContainerEventKind::Forget => w.told.clear(),
            }
            prop_assert_eq!(&w.complaints, &Vec::<String>::new());
        }
        w.hosts.iter_mut().for_each(|h| h.state = HostState::Ready);
        w.deploy(make("app:9".into(), 2, false, 1));
        prop_assert_eq!(w.settle(), Health::Ready, "{:?}\n{}", w.status.reasons, w.shown());
        let count = |name: &str| w.running.values().flat_map(|c| c.keys()).filter(|r| r.service == name).count();
        prop_assert_eq!((count("web"), count("db"), count("all")), (2, 2, 3));
        let made = w.made;
        let state = w.state.clone();
        w.tick();
        prop_assert_eq!((w.made, &w.state), (made, &state));
    }
}

#[path = "dependencies_tests.rs"]
mod dependencies;
