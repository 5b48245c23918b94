//! Plans as golden texts, refusals, and the laws that hold for every stack.

use super::super::observed::{Container, Image, Network as SeenNetwork, Observed, State};
use super::super::{
    Attachment, Config, Dependency, DependencyCondition as Condition, FileAccess, FileMount, Mount, MountKind, Network,
    NetworkMode, RestartPolicy, Service, Stack, Volume,
};
use super::*;
use proptest::prelude::*;

/// A stand-in for the engine: carries steps out on values.
#[derive(Default)]
struct Engine {
    seen: Observed,
    ids: i64,
}

impl Engine {
    /// An engine that has every image of `stack`.
    fn with_images(stack: &Stack) -> Self {
        let mut engine = Self::default();
        engine.images(stack);
        engine
    }

    fn images(&mut self, stack: &Stack) {
        for s in stack.services.values() {
            let image = Image { id: format!("sha256:{}", s.image), healthcheck: true };
            self.seen.images.insert(s.image.clone(), image);
        }
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("id{}", self.ids)
    }

    fn apply(&mut self, stack: &Stack, plan: &Plan) {
        for step in &plan.steps {
            self.step(stack, step);
        }
    }

    fn step(&mut self, stack: &Stack, step: &Step) {
        match (&step.resource, step.action) {
            (_, Action::Keep) => {}
            (Resource::Network(name), Action::Remove) => drop(self.seen.networks.remove(name)),
            (Resource::Network(name), _) => {
                let key = stack.network_keys().into_iter().find(|k| stack.network(k).name == *name).unwrap();
                let spec = Some(network_digest(&stack.network(&key)));
                let id = self.id();
                self.seen.networks.insert(name.clone(), SeenNetwork { id, spec });
            }
            (Resource::Volume(name), _) => drop(self.seen.volumes.insert(name.clone(), true)),
            (Resource::Orphan(name), _) => self.seen.containers.retain(|c| c.name != *name),
            (Resource::Container(name) | Resource::Job(name), action) => self.container(stack, name, step, action),
        }
    }

    fn container(&mut self, stack: &Stack, name: &str, step: &Step, action: Action) {
        let full = container_name(&stack.name, name);
        if matches!(action, Action::Create | Action::Recreate) {
            self.seen.containers.retain(|c| c.name != full);
            let service = &stack.services[name];
            let id = self.id();
            let ids = |o: &str| self.seen.container(stack, o).map(|c| (o.to_owned(), c.id.clone()));
            let networks = stack.attachments(service).into_keys().map(|k| stack.network(&k).name);
            let networks = networks.map(|n| (n.clone(), self.seen.networks[&n].id.clone())).collect();
            let follows = service.follows().into_iter().filter_map(ids).collect();
            let (name, service, spec) = (full.clone(), name.to_owned(), step.spec.clone());
            let job = matches!(step.resource, Resource::Job(_));
            self.seen.containers.push(Container {
                id,
                name,
                service,
                job,
                spec,
                follows,
                networks,
                ..Container::default()
            });
        }
        self.ids += 1;
        let container = self.seen.containers.iter_mut().find(|c| c.name == full).unwrap();
        container.started = Some(self.ids);
        container.state = if matches!(step.resource, Resource::Job(_)) { State::Exited(0) } else { State::Running };
    }

    fn container_mut(&mut self, service: &str) -> &mut Container {
        self.seen.containers.iter_mut().find(|c| c.service == service).unwrap()
    }
}

fn service(image: &str, after: &[(&str, Condition)]) -> Service {
    let dependency = |condition| Dependency { condition, restart: false, required: true };
    Service {
        image: image.into(),
        depends_on: after.iter().map(|(n, c)| ((*n).to_owned(), dependency(*c))).collect(),
        ..Service::default()
    }
}

/// A small cloud: a database, a job on it, an API, and a sidecar in the API's network.
fn cloud() -> Stack {
    let mut mariadb = service("mariadb", &[]);
    let kind = MountKind::Volume { name: "mariadb".into(), nocopy: false, subpath: None };
    mariadb.volumes.push(Mount { kind, target: "/var/lib/mysql".into(), read_only: false });
    let mut keystone = service("keystone", &[("sync", Condition::CompletedSuccessfully)]);
    keystone.configs.push(FileMount {
        source: "keystone".into(),
        target: "/etc/keystone".into(),
        access: FileAccess::default(),
    });
    keystone.restart = RestartPolicy::UnlessStopped;
    let sync = service("keystone", &[("mariadb", Condition::Healthy)]);
    let mut proxy = service("proxy", &[]);
    proxy.network_mode = NetworkMode::Service("keystone".into());
    let files = BTreeMap::from([("keystone.conf".to_owned(), b"one".to_vec())]);
    Stack {
        name: "cloud".into(),
        services: [("mariadb", mariadb), ("keystone", keystone), ("sync", sync), ("proxy", proxy)]
            .map(|(n, s)| (n.to_owned(), s))
            .into(),
        volumes: BTreeMap::from([("mariadb".into(), Volume { name: "cloud_mariadb".into(), ..Volume::default() })]),
        configs: BTreeMap::from([("keystone".into(), Config { files })]),
        ..Stack::default()
    }
}

fn up(stack: &Stack) -> Engine {
    let mut engine = Engine::with_images(stack);
    let plan = plan(stack, &engine.seen).unwrap();
    engine.apply(stack, &plan);
    engine
}

fn text(stack: &Stack, engine: &Engine) -> String {
    plan(stack, &engine.seen).unwrap().to_string()
}

#[test]
fn first_deployment() {
    let stack = cloud();
    let engine = Engine::with_images(&stack);
    insta::assert_snapshot!(text(&stack, &engine));
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan(&stack, &engine.seen).unwrap()).unwrap());
}

#[test]
fn nothing_to_do() {
    let stack = cloud();
    insta::assert_snapshot!(text(&stack, &up(&stack)));
}

#[test]
fn a_changed_config_takes_its_users_and_their_sidecars() {
    let old = cloud();
    let mut new = cloud();
    new.configs.get_mut("keystone").unwrap().files.insert("keystone.conf".into(), b"two".to_vec());
    insta::assert_snapshot!(text(&new, &up(&old)));
}

#[test]
fn states_and_what_becomes_of_them() {
    let mut stack = cloud();
    for (i, _) in (0..4).enumerate() {
        stack.services.insert(format!("s{i}"), service("plain", &[]));
    }
    let mut engine = up(&stack);
    engine.container_mut("sync").state = State::Exited(1);
    engine.container_mut("s0").state = State::Exited(137);
    engine.container_mut("s1").state = State::Restarting;
    engine.container_mut("s2").state = State::Created;
    engine.container_mut("s3").state = State::Paused;
    engine.container_mut("mariadb").state = State::Dead;
    insta::assert_snapshot!(text(&stack, &engine));
}

#[test]
fn a_job_that_a_killed_run_left_running_is_waited_for() {
    let stack = cloud();
    let mut engine = up(&stack);
    engine.container_mut("sync").state = State::Running;
    insta::assert_snapshot!(text(&stack, &engine));
    engine.container_mut("sync").spec = Spec::default();
    assert_eq!(
        plan(&stack, &engine.seen).unwrap().step(&Resource::Job("sync".into())).unwrap().action,
        Action::Recreate
    );
}

#[test]
fn what_shares_name_spaces_goes_along() {
    let stack = cloud();
    let mut engine = up(&stack);
    engine.ids += 1;
    let now = engine.ids;
    engine.container_mut("keystone").started = Some(now);
    insta::assert_snapshot!(text(&stack, &engine), @r"
    ^ container proxy  restart: keystone, whose name spaces it shares, was started since
    1 to start, 5 unchanged
    ");
    // Made anew by a run that was killed before it came to the proxy.
    engine.container_mut("keystone").id = "other".into();
    insta::assert_snapshot!(text(&stack, &engine), @r"
    ~ container proxy  recreate: keystone, whose name spaces it shares, is recreated
    1 to recreate, 5 unchanged
    ");
    engine.container_mut("keystone").state = State::Exited(1);
    engine.container_mut("keystone").id = engine.container_mut("proxy").follows["keystone"].clone();
    insta::assert_snapshot!(text(&stack, &engine), @r"
    ^ container keystone  start: it ended with status 1
    ^ container proxy     restart: keystone, whose name spaces it shares, was started since
    2 to start, 4 unchanged
    ");
}

#[test]
fn depends_on_with_restart_goes_along() {
    let mut stack = cloud();
    stack
        .services
        .get_mut("keystone")
        .unwrap()
        .depends_on
        .insert("mariadb".into(), Dependency { condition: Condition::Started, restart: true, required: true });
    let engine = up(&stack);
    stack.services.get_mut("mariadb").unwrap().tty = true;
    insta::assert_snapshot!(text(&stack, &engine));
}

#[test]
fn a_profile_switched_off_removes_its_containers_only() {
    let stack = cloud();
    let engine = up(&stack);
    let mut core = cloud();
    core.services.remove("proxy");
    core.services.remove("mariadb");
    core.services.get_mut("sync").unwrap().depends_on.clear();
    insta::assert_snapshot!(text(&core, &engine), @r"
    - orphan cloud-mariadb-1  remove: the stack no longer has service mariadb
    - orphan cloud-proxy-1    remove: the stack no longer has service proxy
    2 to remove, 3 unchanged
    ");
}

#[test]
fn a_changed_network_is_made_anew_with_its_containers() {
    let mut stack = cloud();
    stack.networks.insert("front".into(), Network { name: "cloud_front".into(), ..Network::default() });
    let front = BTreeMap::from([("front".to_owned(), Attachment::default())]);
    stack.services.get_mut("mariadb").unwrap().network_mode = NetworkMode::Networks(front);
    let mut engine = up(&stack);
    stack.networks.get_mut("front").unwrap().internal = true;
    insta::assert_snapshot!(text(&stack, &engine));
    // Killed after the network: the containers still say that they are on another one.
    let first = plan(&stack, &engine.seen).unwrap();
    engine.step(&stack, first.step(&Resource::Network("cloud_front".into())).unwrap());
    let rest = plan(&stack, &engine.seen).unwrap();
    assert_eq!(rest.step(&Resource::Container("mariadb".into())).unwrap().action, Action::Recreate, "{rest}");
    stack.services.get_mut("mariadb").unwrap().network_mode = NetworkMode::Host;
    insta::assert_snapshot!(text(&stack, &engine));
}

#[test]
fn stacks_that_cannot_be() {
    let complete = |change: &dyn Fn(&mut Stack)| {
        let mut stack = cloud();
        change(&mut stack);
        let mut engine = Engine::with_images(&stack);
        engine.seen.images.remove("none");
        engine.seen.images.values_mut().for_each(|i| i.healthcheck = i.id != "sha256:mute");
        plan(&stack, &engine.seen).unwrap_err().to_string()
    };
    let dependency = |condition| Dependency { condition, restart: false, required: true };
    let errors = [
        complete(&|s| {
            let d = dependency(Condition::Started);
            s.services.get_mut("mariadb").unwrap().depends_on.insert("keystone".into(), d);
        }),
        complete(&|s| drop(s.services.remove("mariadb"))),
        complete(&|s| s.services.get_mut("sync").unwrap().pid = Some("service:nobody".into())),
        complete(&|s| s.volumes.clear()),
        complete(&|s| s.configs.clear()),
        complete(&|s| {
            let unknown = BTreeMap::from([("back".to_owned(), Attachment::default())]);
            s.services.get_mut("sync").unwrap().network_mode = NetworkMode::Networks(unknown);
        }),
        complete(&|s| s.volumes.get_mut("mariadb").unwrap().external = true),
        complete(&|s| s.services.get_mut("sync").unwrap().restart = RestartPolicy::Always),
        complete(&|s| s.services.get_mut("mariadb").unwrap().image = "mute".into()),
        complete(&|s| s.services.get_mut("mariadb").unwrap().image = "none".into()),
    ];
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn an_optional_dependency_may_be_missing() {
    let mut stack = cloud();
    stack
        .services
        .get_mut("sync")
        .unwrap()
        .depends_on
        .insert("cache".into(), Dependency { condition: Condition::Healthy, restart: true, required: false });
    assert!(plan(&stack, &up(&stack).seen).unwrap().is_noop());
}

prop_compose! {
    /// A service that depends on some of those before it.
    fn any_service(before: usize)(
        image in 0..3u8,
        privileged: bool,
        on_network: bool,
        share in prop::option::weighted(0.2, 0..before.max(1)),
        after in prop::collection::btree_map(0..before.max(1), (0..3u8, any::<bool>(), any::<bool>()), 0..=before.min(3)),
    ) -> Service {
        let conditions = [Condition::Started, Condition::Healthy, Condition::CompletedSuccessfully];
        let after = after.into_iter().filter(|_| before > 0).map(|(n, (c, restart, required))| {
            (format!("s{n}"), Dependency { condition: conditions[c as usize], restart, required })
        });
        let network_mode = match share.filter(|_| before > 0) {
            Some(n) => NetworkMode::Service(format!("s{n}")),
            None if on_network => NetworkMode::default(),
            None => NetworkMode::Host,
        };
        Service { image: format!("i{image}"), privileged, network_mode, depends_on: after.collect(), ..Service::default() }
    }
}

fn any_stack() -> impl Strategy<Value = Stack> {
    let services: Vec<_> = (0..6).map(|n| prop::option::weighted(0.8, any_service(n))).collect();
    (services, any::<bool>()).prop_map(|(services, internal)| {
        let mut stack = Stack { name: "p".into(), ..Stack::default() };
        let named = services.into_iter().enumerate().filter_map(|(n, s)| Some((format!("s{n}"), s?)));
        stack.services = named.collect();
        let network = Network { name: "p_default".into(), internal, ..Network::default() };
        stack.networks.insert("default".into(), network);
        // Without those that refer to what was left out.
        loop {
            let names: BTreeSet<String> = stack.services.keys().cloned().collect();
            let before = stack.services.len();
            stack.services.retain(|_, s| {
                s.depends_on.iter().all(|(n, d)| names.contains(n) || !d.required)
                    && s.shares().into_iter().all(|n| names.contains(n))
            });
            if stack.services.len() == before {
                return stack;
            }
        }
    })
}

fn any_state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Created),
        Just(State::Running),
        Just(State::Restarting),
        Just(State::Paused),
        Just(State::Exited(0)),
        Just(State::Exited(1)),
        Just(State::Dead),
    ]
}

proptest! {
    /// From whatever an older version and accidents left, one deployment leads to where
    /// nothing is to be done, also when an earlier one was cut short anywhere.
    #[test]
    fn deployments_converge(
        old in any_stack(),
        new in any_stack(),
        states in prop::collection::vec(any_state(), 6),
        lost in prop::collection::vec(any::<bool>(), 6),
        done in 0..20usize,
        half: bool,
    ) {
        let mut engine = up(&old);
        engine.images(&new);
        for (container, state) in engine.seen.containers.iter_mut().zip(states) {
            container.state = state;
        }
        let mut lost = lost.into_iter();
        engine.seen.containers.retain(|_| !lost.next().unwrap_or(false));

        let first = plan(&new, &engine.seen).unwrap();
        for step in first.steps.iter().take(done) {
            engine.step(&new, step);
        }
        let step = first.steps.get(done).filter(|s| half && matches!(s.action, Action::Create | Action::Recreate));
        if let Some(step) = step
            && let Resource::Container(name) | Resource::Job(name) = &step.resource
        {
            engine.step(&new, step);
            engine.container_mut(name).state = State::Created;
        }
        let second = plan(&new, &engine.seen).unwrap();
        engine.apply(&new, &second);
        let third = plan(&new, &engine.seen).unwrap();
        prop_assert!(third.is_noop(), "{third}");
        prop_assert_eq!(engine.seen.containers.len(), new.services.len());
    }

    /// Whatever a step waits for comes before it in the plan, and is in it.
    #[test]
    fn steps_come_after_what_they_wait_for(old in any_stack(), new in any_stack()) {
        let mut engine = up(&old);
        engine.images(&new);
        let plan = plan(&new, &engine.seen).unwrap();
        for (i, step) in plan.steps.iter().enumerate() {
            for after in &step.after {
                prop_assert!(plan.steps[..i].iter().any(|s| s.resource == after.resource), "{:?} in {plan}", after);
            }
        }
    }

    /// What is done is not done again: neither a finished job nor a running service.
    #[test]
    fn a_stack_in_place_stays_in_place(stack in any_stack()) {
        let engine = up(&stack);
        prop_assert!(plan(&stack, &engine.seen).unwrap().is_noop());
    }
}
