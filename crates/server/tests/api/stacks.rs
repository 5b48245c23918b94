//! Stacks of a yard: planned, deployed, changed, rolled back, removed, by agents that do as they are
//! told.

use crate::support::{Agent, Running};
use futures_util::StreamExt;
use reqwest::StatusCode;
use reqwest::header::{ETAG, IF_MATCH};
use serde_json::{Value, json};
use stackyard_api::{AuditFilter, ContainerEvent, ContainerEventKind, Role, StackDeploy};
use stackyard_client::{EventQuery, EventsOf, Patience, WaitError};
use stackyard_core::agent::{ContainerReport, ContainerState, Desired, PartReport, Report, ToAgent, ToServer};
use stackyard_core::health::Health;
use stackyard_core::rollout::Packed;
use stackyard_core::stack::{Service, Stack};
use stackyard_core::yard::plan::{Action, StackStep};
use stackyard_yard::YardStacks;
use std::collections::BTreeMap;
use std::time::Duration;

pub const PATIENCE: Patience = Patience { most: Duration::from_secs(20), failing: Duration::from_secs(5) };

/// An image whose containers end, and say why.
const BAD: &str = "registry.example/bad:1";

/// An agent whose containers work at once, but for those of [`BAD`].
pub fn obey(mut agent: Agent) {
    tokio::spawn(async move {
        while let Some(message) = agent.next().await {
            if let ToAgent::Desired(desired) = message {
                agent.send(&ToServer::Report(Box::new(report(&desired)))).await;
            }
        }
    });
}

/// All containers work, but for those of [`BAD`].
pub fn report(desired: &Desired) -> Report {
    let mut report = Report { revision: desired.revision, settled: true, ..Report::default() };
    for part in &desired.parts {
        let stack = part.unpack();
        let container = |(name, replica): (&String, &stackyard_core::agent::Replica)| {
            let bad = stack.services[name].image == BAD;
            ContainerReport {
                replica: replica.clone(),
                generation: part.generations[name],
                id: format!("{name}-{}", part.generations[name]),
                state: if bad { ContainerState::Exited(7) } else { ContainerState::Running },
                healthy: (!bad).then_some(true),
                restarts: 0,
                started: Some(1),
                last_lines: if bad { vec!["boom".to_owned()] } else { Vec::new() },
                ended: None,
                addresses: Default::default(),
                ports: Vec::new(),
            }
        };
        let containers = part.replicas.iter().map(container).collect();
        report.parts.insert(part.name().to_owned(), PartReport { containers, ..PartReport::default() });
    }
    report
}

/// A server with two hosts.
async fn yard() -> Running {
    let running = Running::start().await;
    for name in ["web-1", "web-2"] {
        let host = running.host("shop", name).await;
        obey(running.agent(&host.token, None).await);
    }
    running.until("the agents", || running.server.app().hub().connected() == 2).await;
    running
}

fn stack(name: &str, image: &str) -> (String, StackDeploy) {
    let mut web = Service { image: image.to_owned(), ..Service::default() };
    web.deploy.replicas = 2;
    web.deploy.update.monitor = Duration::ZERO;
    let db = Service { image: "registry.example/db:1".to_owned(), ..Service::default() };
    let services = [("web".to_owned(), web), ("db".to_owned(), db)].into();
    let stack = Packed::pack(Stack { name: name.to_owned(), services, ..Stack::default() });
    (name.to_owned(), StackDeploy { stack, pool: None, declared: true, network: None })
}

async fn look(running: &Running, wanted: &[(String, StackDeploy)]) -> YardStacks {
    let wanted: BTreeMap<String, StackDeploy> = wanted.iter().cloned().collect();
    YardStacks::look(running.admin.clone(), "shop", wanted).await.unwrap()
}

async fn up(running: &Running, wanted: &[(String, StackDeploy)]) -> Result<Vec<StackStep>, WaitError> {
    let stacks = look(running, wanted).await;
    stacks.apply(false, PATIENCE, &()).await.map(|_| stacks.steps)
}

fn actions(stacks: &YardStacks) -> Vec<(&str, Action)> {
    stacks.steps.iter().map(|s| (s.name.as_str(), s.action)).collect()
}

/// Entries of the audit log: every request that may change something.
async fn mutations(running: &Running) -> usize {
    running.admin.audit(&AuditFilter::default(), None, 1000).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stacks_come_change_and_go() {
    let running = yard().await;
    let (one, two) = ("registry.example/web:1", "registry.example/web:2");
    let wanted = [stack("site", one), stack("blog", one)];
    assert_eq!(actions(&look(&running, &wanted).await), [("blog", Action::Create), ("site", Action::Create)]);
    assert!(running.admin.stacks("shop").await.unwrap().is_empty(), "to plan changes nothing");
    up(&running, &wanted).await.unwrap();
    for view in running.admin.stacks("shop").await.unwrap() {
        assert_eq!(view.status.health, Health::Ready);
        assert_eq!(view.versions.iter().map(|v| (v.number, v.succeeded)).collect::<Vec<_>>(), [(1, true)]);
    }

    // Again: nothing to do, nothing done, and no waiting.
    let before = mutations(&running).await;
    let begun = std::time::Instant::now();
    let stacks = look(&running, &wanted).await;
    assert_eq!(actions(&stacks), [("blog", Action::Keep), ("site", Action::Keep)]);
    assert!(stacks.apply(false, PATIENCE, &()).await.unwrap().is_empty());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    // Where hosts are others, it is looked whether all came to its place.
    assert_eq!(stacks.apply(true, PATIENCE, &()).await.unwrap().len(), 2);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(mutations(&running).await, before);

    // One changes, one goes.
    let wanted = [stack("site", two)];
    let stacks = look(&running, &wanted).await;
    assert_eq!(actions(&stacks), [("blog", Action::Remove), ("site", Action::Change)]);
    let services = &stacks.steps[1].services;
    assert_eq!((services.len(), services[0].name.as_str(), services[0].parts.join(",")), (1, "web", "image".into()));
    // Broken off after the removals began: the next run goes on.
    stacks.begin_removals().await.unwrap();
    drop(stacks);
    up(&running, &wanted).await.unwrap();
    let names: Vec<String> = running.admin.stacks("shop").await.unwrap().into_iter().map(|s| s.name).collect();
    assert_eq!(names, ["site"]);

    // Removed, and wanted again before it is gone.
    look(&running, &[]).await.begin_removals().await.unwrap();
    let steps = up(&running, &wanted).await.unwrap();
    assert_eq!(steps[0].action, Action::Create);
    // What was deployed by hand stays, until the manifest has it, too.
    let (name, by_hand) = stack("by-hand", one);
    let by_hand = StackDeploy { declared: false, ..by_hand };
    running.admin.deploy_stack("shop", &name, &by_hand).await.unwrap();
    let steps = up(&running, &[]).await.unwrap();
    assert_eq!(steps.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["site"]);
    assert_eq!(running.admin.stacks("shop").await.unwrap().len(), 1);
    up(&running, &[stack("by-hand", one)]).await.unwrap();
    assert_eq!(actions(&look(&running, &[stack("by-hand", one)]).await), [("by-hand", Action::Keep)]);
    up(&running, &[]).await.unwrap();
    assert!(running.admin.stacks("shop").await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_that_fails_says_why_and_goes_back_to_what_worked() {
    let running = yard().await;
    let (one, two) = ("registry.example/web:1", "registry.example/web:2");
    for image in [one, two] {
        up(&running, &[stack("site", image)]).await.unwrap();
    }
    for _ in 0..2 {
        // The second time it was given up already, and is tried again.
        let error = up(&running, &[stack("site", BAD)]).await.unwrap_err().to_string();
        assert!(error.contains("site was given up") && error.contains("ended with status 7"), "{error}");
        assert!(error.contains("the last lines of its log:\n    boom"), "{error}");
    }
    let stacks = look(&running, &[stack("site", BAD)]).await;
    assert_eq!(actions(&stacks), [("site", Action::Change)]);
    let why = stacks.steps[0].reasons.join("");
    assert!(why.starts_with("it was given up, and is tried again: web: the update is paused") && !why.contains("boom"));

    let back = async |to| {
        let version = running.admin.roll_back_stack("shop", "site", to).await.unwrap();
        running.admin.converged("shop", "site", PATIENCE, &()).await.unwrap();
        let view = running.admin.stack("shop", "site", false).await.unwrap();
        (version.number, view.status.services[1].image.clone())
    };
    // Not to the version before, which never worked.
    assert_eq!(back(None).await, (2, two.to_owned()));
    // Again: to what worked before that one.
    assert_eq!(back(None).await, (1, one.to_owned()));
    let view = running.admin.stack("shop", "site", false).await.unwrap();
    let failed = view.versions.iter().find(|v| !v.succeeded).unwrap().number;
    assert!((3..=4).contains(&failed), "{:?}", view.versions);
    let error = running.admin.roll_back_stack("shop", "site", Some(99)).await.unwrap_err().to_string();
    assert!(error.contains("no version 99") && error.contains(&failed.to_string()), "{error}");
    // Whoever says which one gets it.
    assert_eq!(running.admin.roll_back_stack("shop", "site", Some(failed)).await.unwrap().number, failed);
    let error = running.admin.converged("shop", "site", PATIENCE, &()).await.unwrap_err();
    assert!(matches!(error, WaitError::GivenUp { .. }), "{error}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_host_takes_containers_again() {
    let running = yard().await;
    up(&running, &[stack("site", "registry.example/web:1")]).await.unwrap();
    let on = async |name: &str| -> usize {
        let view = running.admin.converged("shop", "site", PATIENCE, &()).await.unwrap();
        view.status.services.iter().flat_map(|s| &s.replicas).filter(|r| r.host_name == name).count()
    };
    let host = running.admin.host("shop/web-2").await.unwrap();
    running.admin.host_leaves(&host.id, true).await.unwrap();
    assert_eq!(on("web-2").await, 0);
    let view: Value = serde_json::to_value(running.admin.host(&host.id).await.unwrap()).unwrap();
    assert_eq!((&view["drain"], &view["leaving"]), (&true.into(), &true.into()));
    running.admin.host_leaves(&host.id, false).await.unwrap();
    up(&running, &[stack("site", "registry.example/web:1"), stack("more", "registry.example/web:1")]).await.unwrap();
    let more = running.admin.stack("shop", "more", false).await.unwrap();
    assert!(more.status.services.iter().flat_map(|s| &s.replicas).any(|r| r.host_name == "web-2"));
    // What a person set apart stays so.
    running.admin.drain_host(&host.id, true).await.unwrap();
    running.admin.host_leaves(&host.id, true).await.unwrap();
    running.admin.host_leaves(&host.id, false).await.unwrap();
    let view = running.admin.host(&host.id).await.unwrap();
    assert!(view.drain && !view.leaving);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_containers_is_told() {
    let running = yard().await;
    let deploy = async |image: &str| {
        look(&running, &[stack("site", image)]).await.apply(false, PATIENCE, &()).await.unwrap();
    };
    let site = EventsOf::Stack { yard: "shop", stack: "site" };
    let all = EventQuery::default();
    // Whether these are events depends on whether their hosts were heard before.
    deploy("registry.example/web:1").await;
    let before = running.admin.events(site, &all).await.unwrap().first().map_or(0, |e| e.seq);
    let mut live = running.admin.follow_events(site, &all, Some(0)).await.unwrap();
    deploy("registry.example/web:2").await;
    let mut events = running.admin.events(site, &all).await.unwrap();
    events.retain(|e| e.seq > before);
    let of = |what| events.iter().filter(|e| e.kind == what).count();
    assert_eq!(of(ContainerEventKind::Recreated) + of(ContainerEventKind::Created), 2, "{events:?}");
    assert_eq!((of(ContainerEventKind::Started), of(ContainerEventKind::Healthy)), (2, 2), "{events:?}");
    assert!(events.iter().all(|e| e.service == "web" && e.yard == "shop"), "{events:?}");
    assert!(events.is_sorted_by(|a, b| a.seq > b.seq), "{events:?}");
    for event in events.iter().rev() {
        assert_eq!(live.next().await.unwrap(), *event);
    }

    // In pages, filtered, and of a host.
    let token = running.token("v", Role::Viewer).await;
    let list = async |path: &str| {
        let (status, list) = running.call("GET", path, Some(&token), None).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        serde_json::from_value::<Vec<ContainerEvent>>(list).unwrap()
    };
    let path = "/api/v1/yards/shop/stacks/site/events";
    assert_eq!(list(&format!("{path}?limit=2")).await, events[..2]);
    assert_eq!(list(&format!("{path}?limit=2&marker={}", events[1].seq)).await, events[2..4]);
    let of_one = list(&format!("{path}?only={}&kind=started", events[0].replica)).await;
    assert!(
        of_one.iter().all(|e| e.replica == events[0].replica && e.kind == ContainerEventKind::Started),
        "{of_one:?}"
    );
    assert!(!of_one.is_empty());
    assert_eq!(list(&format!("{path}?only=nosuch")).await, []);
    let (status, _) = running.call("GET", &format!("{path}?marker=x"), Some(&token), None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let there = list(&format!("/api/v1/hosts/shop%2F{}/events", events[0].host_name)).await;
    assert!(there.iter().any(|e| *e == events[0]) && there.iter().all(|e| e.host == events[0].host), "{there:?}");

    // Whoever was away is told what came meanwhile, and nothing twice.
    let ask = running.http().get(format!("{}{path}/stream", running.url)).bearer_auth(&token);
    let answer = ask.header("last-event-id", events[1].seq).send().await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (StatusCode::OK, &"text/event-stream".parse().unwrap())
    );
    running.admin.scale_stack("shop", "site", [("web".to_owned(), 1)].into()).await.unwrap();
    let removed = live.next().await.unwrap();
    assert_eq!(removed.kind, ContainerEventKind::Removed);
    let (mut pieces, mut text) = (Box::pin(answer.bytes_stream()), String::new());
    while !text.contains(&format!("id: {}\n", removed.seq)) {
        text += std::str::from_utf8(&pieces.next().await.unwrap().unwrap()).unwrap();
    }
    let told: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("id: ")).collect();
    assert_eq!(told, [events[1].seq, events[0].seq, removed.seq].map(|seq| seq.to_string()), "{text}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_updated_and_nothing_else() {
    let running = yard().await;
    let (name, mut deploy) = stack("site", "registry.example/web:1");
    let mut unpacked = deploy.stack.unpack();
    let web = unpacked.services.get_mut("web").unwrap();
    web.environment = [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())].into();
    deploy.stack = Packed::pack(unpacked);
    running.admin.deploy_stack("shop", &name, &deploy).await.unwrap();
    running.admin.converged("shop", "site", PATIENCE, &()).await.unwrap();

    let (viewer, operator) = (running.token("v", Role::Viewer).await, running.token("o", Role::Operator).await);
    let path = |rest: &str| format!("{}/api/v1/yards/shop/stacks/site{rest}", running.url);
    let get = running.http().get(path("/definition")).bearer_auth(&operator).send().await.unwrap();
    let tag = get.headers()[ETAG].to_str().unwrap().to_owned();
    let definition: Value = get.json().await.unwrap();
    let has = json!({"image": "registry.example/web:1", "environment": {"A": "1", "B": "2"}});
    assert_eq!(definition["services"]["web"], has);
    let refused = running.call("GET", "/api/v1/yards/shop/stacks/site/definition", Some(&viewer), None).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN);

    let wish = json!({"services": {"web": {"image": "registry.example/web:2", "environment": {"A": "3", "B": null}}}});
    let post = async |rest: &str, body: &Value, tag: &str| {
        let request = running.http().post(path(rest)).bearer_auth(&operator).header(IF_MATCH, tag).json(body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let (status, planned) = post("/update/plan", &wish, &tag).await;
    assert_eq!(status, StatusCode::OK);
    let same = json!({"service": "db", "kind": "same", "reasons": []});
    let changed = json!({"service": "web", "kind": "changed", "reasons": ["environment", "image"]});
    assert_eq!(planned, json!([same, changed]));
    assert_eq!(running.admin.stack("shop", "site", false).await.unwrap().versions.len(), 1, "a plan changes nothing");

    assert_eq!(post("/update", &wish, "\"other\"").await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(post("/update", &wish, &tag).await, (StatusCode::OK, planned));
    assert_eq!(post("/update", &wish, &tag).await.0, StatusCode::PRECONDITION_FAILED, "it is another by now");
    let now = running.admin.converged("shop", "site", PATIENCE, &()).await.unwrap();
    assert!(now.declared, "whose it is, stays");
    let web = now.status.services.iter().find(|s| s.name == "web").unwrap();
    assert_eq!((web.image.as_str(), web.ready), ("registry.example/web:2", 2));
    let stacks = running.server.app().stacks().get("shop", "site").await.unwrap();
    assert_eq!(stacks.stack.services["web"].environment, [("A".to_owned(), "3".to_owned())].into());

    // One that fails says why, and what is no change is none.
    let bad = json!({"services": {"web": {"image": BAD}}});
    assert_eq!(post("/update", &bad, "*").await.0, StatusCode::OK);
    let error = running.admin.converged("shop", "site", PATIENCE, &()).await.unwrap_err().to_string();
    assert!(error.contains("boom"), "{error}");
    for (wish, status) in [
        (json!({"services": {"nope": {}}}), StatusCode::NOT_FOUND),
        (json!({"services": {}}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"services": {"web": {"image": "a b"}}}), StatusCode::UNPROCESSABLE_ENTITY),
        // It would follow the engine's events, which never end.
        (json!({"services": {"web": {"image": "../events?"}}}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"services": {"web": {"environment": {"A=B": "1"}}}}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"services": {"web": {"command": []}}}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(post("/update/plan", &wish, "*").await.0, status, "{wish}");
    }
    running.stop().await;
}
