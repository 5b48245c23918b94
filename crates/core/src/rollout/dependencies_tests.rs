//! Dependencies between services that are on all hosts.

use super::*;

/// On each host that its constraints allow.
fn global(mut s: Service) -> Service {
    s.deploy.mode = Mode::Global;
    s.deploy.update.on_failure = OnFailure::Continue;
    s
}

/// A switch on each host, and what needs the switch of its host.
fn switch_and_compute(switch: &str, compute: &str) -> Stack {
    let compute = needs(global(healthy(service(compute, 1))), "switch", DependencyCondition::Healthy);
    stack(&[("switch", global(healthy(service(switch, 1)))), ("compute", compute)])
}

impl World {
    fn breaks(&mut self, host: &str, service: &str) {
        self.broken.insert((host.into(), service.into()));
        self.running.entry(host.into()).or_default().retain(|r, _| r.service != service);
    }

    fn repair(&mut self) {
        for (host, service) in std::mem::take(&mut self.broken) {
            self.running.entry(host).or_default().retain(|r, _| r.service != service);
        }
    }

    /// Hosts where a container of a service works, whatever they are told.
    fn hosts_with(&self, service: &str) -> BTreeSet<String> {
        let works = |c: &ContainerReport| c.replica.service == service && !matches!(c.state, ContainerState::Exited(1));
        let hosts = self.running.iter().filter(|(_, containers)| containers.values().any(works));
        hosts.map(|(host, _)| host.clone()).collect()
    }

    /// The images that a host's containers of a service are of, with whether they work.
    fn has(&self, host: &str, service: &str) -> Vec<(String, bool)> {
        let Some(part) = self.told.get(host) else { return Vec::new() };
        let stack = part.unpack();
        let of = part.replicas.iter().filter(|(_, replica)| replica.service == service);
        let there = of.map(|(name, replica)| {
            let container = self.running.get(host).and_then(|c| c.get(replica));
            let works = container.is_some_and(|c| !matches!(c.state, ContainerState::Exited(1)));
            (stack.services[name].image.clone(), works)
        });
        there.collect()
    }
}

#[test]
fn one_broken_host_holds_back_no_other() {
    let mut w = World::new(&["a", "b", "c"]);
    w.breaks("b", "switch");
    w.deploy(switch_and_compute("switch:1", "compute:1"));
    assert_eq!(w.settle(), Health::Degraded);
    assert_eq!(w.shown(), "a: compute-1@1 switch-1@1; b: switch-1@1; c: compute-1@1 switch-1@1");
    let reasons = w.status.reasons.join("\n");
    assert!(reasons.contains("b: waits until switch is healthy (switch-1: ended with status 1)"), "{reasons}");
    // An update passes by the broken host, and comes there when it works.
    w.deploy(switch_and_compute("switch:1", "compute:2"));
    w.settle();
    assert_eq!(w.shown(), "a: compute-1@2 switch-1@1; b: switch-1@1; c: compute-1@2 switch-1@1");
    w.repair();
    assert_eq!(w.settle(), Health::Ready, "{:?}", w.status.reasons);
    assert_eq!(w.shown(), "a: compute-1@2 switch-1@1; b: compute-1@2 switch-1@1; c: compute-1@2 switch-1@1");
}

#[test]
fn a_host_that_joins_waits_for_its_own_containers_only() {
    let mut w = World::new(&["a", "b", "c"]);
    w.host("c").state = HostState::Lost;
    let mut s = switch_and_compute("switch:1", "compute:1");
    s.services.insert("web".into(), needs(service("web:1", 1), "switch", DependencyCondition::Healthy));
    w.deploy(s.clone());
    assert_eq!(w.settle(), Health::Ready);
    let made = w.made;
    w.breaks("c", "switch");
    w.host("c").state = HostState::Ready;
    w.settle();
    assert_eq!((w.has("c", "switch").len(), w.has("c", "compute").len(), w.made), (1, 0, made + 1));
    // What depends on all of the switches is not held back by the newcomer's.
    s.services.get_mut("web").unwrap().image = "web:2".into();
    w.deploy(s);
    w.settle();
    assert!(w.shown().contains("web-1@2"), "{}", w.shown());
    w.repair();
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.has("c", "compute").len(), 1);
}

#[test]
fn a_host_without_the_other_service_waits_for_all_of_it() {
    let mut w = World::new(&["a", "b", "c"]);
    w.host("a").labels.insert("role".into(), "control".into());
    w.host("b").labels.insert("role".into(), "control".into());
    let mut s = switch_and_compute("switch:1", "compute:1");
    let constraint = crate::stack::deploy::Constraint::parse("node.labels.role == control").unwrap();
    s.services.get_mut("switch").unwrap().deploy.placement.constraints = vec![constraint];
    w.breaks("b", "switch");
    w.deploy(s);
    w.settle();
    assert_eq!(w.shown(), "a: compute-1@1 switch-1@1; b: switch-1@1; c:");
    w.repair();
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: compute-1@1 switch-1@1; b: compute-1@1 switch-1@1; c: compute-1@1");
}

#[test]
fn a_job_on_each_host_holds_back_its_own_host() {
    let mut w = World::new(&["a", "b"]);
    let mut job = service("job:1", 1);
    job.deploy.mode = Mode::GlobalJob;
    let agent = needs(global(service("agent:1", 1)), "job", DependencyCondition::CompletedSuccessfully);
    w.breaks("b", "job");
    w.deploy(stack(&[("job", job), ("agent", agent)]));
    w.settle();
    assert_eq!(w.shown(), "a: agent-1@1 job-1@1; b: job-1@1");
    w.repair();
    assert_eq!(w.settle(), Health::Ready);
    assert_eq!(w.shown(), "a: agent-1@1 job-1@1; b: agent-1@1 job-1@1");
}

/// What may happen to hosts with global services.
#[derive(Debug, Clone)]
enum GlobalEvent {
    Tick,
    Deploy { switch: u8, compute: u8 },
    Break { host: usize, compute: bool },
    Repair,
    Host { host: usize, state: u8 },
}

fn global_event() -> impl Strategy<Value = GlobalEvent> {
    prop_oneof![
        6 => Just(GlobalEvent::Tick),
        2 => (0u8..3, 0u8..3).prop_map(|(switch, compute)| GlobalEvent::Deploy { switch, compute }),
        2 => (0usize..3, any::<bool>()).prop_map(|(host, compute)| GlobalEvent::Break { host, compute }),
        1 => Just(GlobalEvent::Repair),
        2 => (0usize..3, 0u8..4).prop_map(|(host, state)| GlobalEvent::Host { host, state }),
    ]
}

/// Complains of hosts that got a new container of `compute` before their switch works.
fn watch_order(w: &mut World, before: &BTreeMap<String, Vec<(String, bool)>>, worked: &BTreeSet<String>) {
    let hosts: Vec<String> = w.hosts.iter().map(|h| h.id.clone()).collect();
    for host in hosts {
        let now = w.has(&host, "compute");
        let images = |of: &[(String, bool)]| of.iter().map(|(image, _)| image.clone()).collect::<Vec<_>>();
        let is_new = !now.is_empty() && images(&now) != before.get(&host).map(|b| images(b)).unwrap_or_default();
        if is_new && !worked.contains(&host) {
            w.complaints.push(format!("{host} got {now:?} although its switch does not work"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever is broken on some hosts, the others come to the newest version, in order.
    #[test]
    fn hosts_that_work_come_right_whatever_the_others_do(events in proptest::collection::vec(global_event(), 0..40)) {
        let mut w = World::new(&["a", "b", "c"]);
        w.deploy(switch_and_compute("switch:0", "compute:0"));
        for event in events {
            match event {
                GlobalEvent::Tick => {
                    let hosts = w.hosts.iter().map(|h| (h.id.clone(), w.has(&h.id, "compute")));
                    let before = hosts.collect();
                    let worked = w.hosts_with("switch");
                    w.tick();
                    watch_order(&mut w, &before, &worked);
                }
                GlobalEvent::Deploy { switch, compute } => {
                    w.deploy(switch_and_compute(&format!("switch:{switch}"), &format!("compute:{compute}")));
                }
                GlobalEvent::Break { host, compute } => {
                    let host = w.hosts[host].id.clone();
                    w.breaks(&host, if compute { "compute" } else { "switch" });
                }
                GlobalEvent::Repair => w.repair(),
                GlobalEvent::Host { host, state } => {
                    w.hosts[host].state =
                        [HostState::Ready, HostState::Away, HostState::Drained, HostState::Lost][state as usize];
                }
            }
            prop_assert_eq!(&w.complaints, &Vec::<String>::new());
        }
        w.hosts.iter_mut().for_each(|h| h.state = HostState::Ready);
        w.deploy(switch_and_compute("switch:9", "compute:9"));
        w.settle();
        let is_broken = |w: &World, host: &str| w.broken.iter().any(|(h, _)| h == host);
        for host in ["a", "b", "c"] {
            if !is_broken(&w, host) {
                prop_assert_eq!(w.has(host, "switch"), vec![("switch:9".to_owned(), true)], "{}", w.shown());
                prop_assert_eq!(w.has(host, "compute"), vec![("compute:9".to_owned(), true)], "{}", w.shown());
            }
        }
        w.repair();
        prop_assert_eq!(w.settle(), Health::Ready, "{:?}\n{}", w.status.reasons, w.shown());
    }
}
