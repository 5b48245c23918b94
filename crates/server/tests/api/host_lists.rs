//! Packages whose templates list the hosts of a yard: rendered for those that joined, and filled in on each.

use super::stacks::{PATIENCE, report};
use super::support::{Agent, Running, facts, request};
use base64::Engine as _;
use reqwest::StatusCode;
use stackyard_api::{AuditFilter, NewJoin, StackChangeKind};
use stackyard_catalog::{Answers, manifest};
use stackyard_core::agent::{AgentConfig, Facts, JoinRequest, Joined, PROTOCOL, ToAgent, ToServer};
use stackyard_core::yard::plan::{Action, StackStep};
use stackyard_fake::Fake;
use stackyard_openstack::{Cloud, CloudConfig, Options, Sources};
use stackyard_yard::{
    DataLoss, DeclaredStacks, PackageStackRequest, PreparedStack, Records, TemplateRenderer, UpOperation, scope,
};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;

const PACKAGE: &str = "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: cluster, version: 1.0.0}\nsecrets: [{name: key, type: password}]\n";

const COMPOSE: &str = "services:
  db:
    image: registry.example/db:1
    command: [db, '--bind=${host_address}']
    environment: {ME: '${host_name}'}
    configs: [db]
    deploy: {mode: global, placement: {constraints: [node.labels.db == yes]}, update_config: {monitor: 0s}}
configs: {db: {file: ./config/db.conf}}
";

const TEMPLATE: &str =
    "members = {% for h in hosts.db %}{{ h.name }}={{ h.address }}{{ ' ' if not loop.last else '' }}{% endfor %}

me = {{ host.name }}/{{ host.address }} of {{ hosts.all|length }}
";

/// A directory with a manifest and the package.
fn directory(spec: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "yard.yaml",
        &format!(
            "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  cloud: fake\n{spec}  \
             stacks: [{{name: db, package: ./cluster}}]\n"
        ),
    );
    write("cluster/package.yaml", PACKAGE);
    write("cluster/compose.yaml", COMPOSE);
    write("cluster/config/db.conf.j2", TEMPLATE);
    dir
}

/// The facts of a machine at an address.
fn at(name: &str, address: &str) -> Facts {
    Facts { addresses: vec![address.parse().unwrap()], ..facts(name) }
}

/// A machine that joins by hand, in place of another host of its name if there is one.
async fn join(running: &Running, facts: &Facts, labels: &[(&str, &str)]) -> Joined {
    let name = facts.hostname.as_str();
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let replaces = running.admin.host(&format!("shop/{name}")).await.ok().map(|h| h.id);
    let join = NewJoin { yard: "shop".into(), name: Some(name.into()), labels, replaces, ..NewJoin::default() };
    let ticket = running.ticket(join).await;
    let (status, answer) = running.join(&ticket.token, &JoinRequest { facts: facts.clone(), ..request(name) }).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    serde_json::from_value(answer).unwrap()
}

/// A machine that joins by hand and does what it is told; its id.
async fn machine(running: &Running, name: &str, address: &str, labels: &[(&str, &str)]) -> (String, JoinHandle<()>) {
    let facts = at(name, address);
    let joined = join(running, &facts, labels).await;
    (joined.host, obey(running.dial(&joined.token).await.unwrap(), facts).await)
}

/// Says hello, and does what it is told until it is aborted.
async fn obey(mut agent: Agent, facts: Facts) -> JoinHandle<()> {
    agent.send(&ToServer::Hello { protocol: PROTOCOL, facts, revision: None }).await;
    tokio::spawn(async move {
        while let Some(message) = agent.next().await {
            if let ToAgent::Desired(desired) = message {
                agent.send(&ToServer::Report(Box::new(report(&desired)))).await;
            }
        }
    })
}

/// What a host is told of `db`: command, environment, and the file at its mount.
fn told(running: &Running, host: &str) -> Option<(String, String, String)> {
    let desired = running.server.app().hub().desired(host)?;
    let stack = desired.parts.first()?.unpack();
    let db = stack.services.get("db-1")?;
    let file = &stack.configs[&db.configs[0].source].files[""];
    let command = db.command.clone().unwrap_or_default().join(" ");
    Some((command, db.environment["ME"].clone(), String::from_utf8(file.clone()).unwrap()))
}

async fn look(running: &Running, dir: &Path) -> DeclaredStacks {
    let yard = manifest::load(&dir.join("yard.yaml")).unwrap();
    let looked = DeclaredStacks::look(&yard, Some(&running.admin), &TemplateRenderer::here(), &|_| {}).await;
    looked.unwrap().unwrap()
}

fn step(stacks: &DeclaredStacks) -> &StackStep {
    &stacks.at_server.steps[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_lists_the_hosts_that_joined() {
    let running = Running::start().await;
    let dir = directory("");
    let yard = manifest::load(&dir.path().join("yard.yaml")).unwrap();
    let none = DeclaredStacks::look(&yard, Some(&running.admin), &TemplateRenderer::here(), &|_| {}).await;
    let error = stackyard_core::text::error_chain(&none.unwrap_err());
    assert!(
        error.contains("config/db.conf.j2:1") && error.contains("no host that the stack may use has the label `db`"),
        "{error}"
    );

    // Ordered by joining, not by name.
    let (two, two_agent) = machine(&running, "db-2", "10.9.0.2", &[("db", "yes")]).await;
    let (one, _) = machine(&running, "db-1", "10.9.0.1", &[("db", "yes")]).await;
    let (web, _) = machine(&running, "web-1", "10.9.0.3", &[]).await;
    running.until("the agents", || running.server.app().hub().connected() == 3).await;
    let stacks = look(&running, dir.path()).await;
    assert_eq!(step(&stacks).action, Action::Create);
    stacks.at_server.apply(false, PATIENCE, &()).await.unwrap();
    let members = "members = db-2=10.9.0.2 db-1=10.9.0.1\n";
    let expected = |name: &str, address: &str, members: &str, all: usize| {
        let file = format!("{members}me = {name}/{address} of {all}\n");
        Some((format!("db --bind={address}"), name.to_owned(), file))
    };
    assert_eq!(told(&running, &one), expected("db-1", "10.9.0.1", members, 3));
    assert_eq!(told(&running, &two), expected("db-2", "10.9.0.2", members, 3));
    assert_eq!(told(&running, &web), None);

    // A host that is only away changes no configuration.
    assert_eq!(step(&look(&running, dir.path()).await).action, Action::Keep);
    two_agent.abort();
    running.until("an agent away", || running.server.app().hub().connected() == 2).await;
    let away = look(&running, dir.path()).await;
    assert!(matches!(step(&away).action, Action::Keep | Action::Await), "{:?}", step(&away));

    // One that joins changes it, and the plan says where.
    let (three, _) = machine(&running, "db-3", "10.9.0.4", &[("db", "yes")]).await;
    running.until("the new agent", || running.server.app().hub().connected() == 3).await;
    let stacks = look(&running, dir.path()).await;
    assert_eq!(
        (step(&stacks).action, step(&stacks).services[0].parts.as_slice()),
        (Action::Change, &["config db".to_owned()][..])
    );
    running.admin.remove_host(&two).await.unwrap();
    let stacks = look(&running, dir.path()).await;
    stacks.at_server.apply(false, PATIENCE, &()).await.unwrap();
    let members = "members = db-1=10.9.0.1 db-3=10.9.0.4\n";
    assert_eq!(told(&running, &one), expected("db-1", "10.9.0.1", members, 3));
    assert_eq!(told(&running, &three), expected("db-3", "10.9.0.4", members, 3));
    running.stop().await;
}

/// The package in a directory as a stack of its name, with these answers, for hosts of this pool.
async fn prepare(
    running: &Running,
    dir: &Path,
    answers: &[(&str, &str)],
    pool: Option<&str>,
) -> Result<(PreparedStack, Vec<String>), String> {
    let mut given = Answers::default();
    answers.iter().for_each(|(name, value)| given.set(*name, *value));
    let (yard, dir, pool) = ("shop".to_owned(), dir.join("cluster"), pool.map(str::to_owned));
    let request = PackageStackRequest { yard, dir, name: None, answers: given, pool };
    let said = Mutex::new(Vec::new());
    let made = PreparedStack::of_package(request, &running.admin, &|text| said.lock().unwrap().push(text)).await;
    Ok((made.map_err(|e| stackyard_core::text::error_chain(&e))?, said.into_inner().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_is_deployed_to_hosts_that_joined_without_a_cloud() {
    let running = Running::start().await;
    let dir = directory("");
    let (one, _) = machine(&running, "db-1", "10.9.0.1", &[("db", "yes")]).await;
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    let (made, said) = prepare(&running, dir.path(), &[], None).await.unwrap();
    assert_eq!((made.name.as_str(), said), ("cluster", Vec::new()));
    assert!(running.admin.secrets("shop").await.unwrap().is_empty(), "a look keeps nothing");
    let changes = running.admin.plan_stack("shop", &made.name, &made.deploy).await.unwrap();
    assert!(changes.iter().all(|c| c.kind == StackChangeKind::New), "{changes:?}");
    made.new_secrets.unwrap().keep(&running.admin).await.unwrap();
    running.admin.deploy_stack("shop", &made.name, &made.deploy).await.unwrap();
    running.admin.converged("shop", &made.name, PATIENCE, &()).await.unwrap();
    let (_, _, file) = told(&running, &one).unwrap();
    assert_eq!(file, "members = db-1=10.9.0.1\nme = db-1/10.9.0.1 of 1\n");

    // The second time it has the secrets of the first, and nothing changes.
    let (again, _) = prepare(&running, dir.path(), &[], None).await.unwrap();
    assert!(again.new_secrets.is_none(), "{again:?}");
    let changes = running.admin.plan_stack("shop", &again.name, &again.deploy).await.unwrap();
    assert!(changes.iter().all(|c| c.kind == StackChangeKind::Same), "{changes:?}");

    // Another host is in the list with the next deployment, and the plan says so.
    let (two, _) = machine(&running, "db-2", "10.9.0.2", &[("db", "yes")]).await;
    running.until("the second agent", || running.server.app().hub().connected() == 2).await;
    let (more, _) = prepare(&running, dir.path(), &[], None).await.unwrap();
    let changes = running.admin.plan_stack("shop", &more.name, &more.deploy).await.unwrap();
    let db: Vec<_> = changes.iter().map(|c| (c.service.as_str(), c.kind, c.reasons.as_slice())).collect();
    assert_eq!(db, [("db", StackChangeKind::Changed, &["config db".to_owned()][..])]);
    running.admin.deploy_stack("shop", &more.name, &more.deploy).await.unwrap();
    running.admin.converged("shop", &more.name, PATIENCE, &()).await.unwrap();
    for (host, me) in [(&one, "db-1/10.9.0.1"), (&two, "db-2/10.9.0.2")] {
        let (_, _, file) = told(&running, host).unwrap();
        assert_eq!(file, format!("members = db-1=10.9.0.1 db-2=10.9.0.2\nme = {me} of 2\n"));
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_that_cannot_be_rendered_changes_nothing_at_the_server() {
    let running = Running::start().await;
    let dir = directory("");
    machine(&running, "web-1", "10.9.0.3", &[("web", "yes")]).await;
    let requests = async || {
        let entries = running.admin.audit(&AuditFilter::default(), None, 1000).await.unwrap();
        entries.iter().filter(|e| !e.verb.starts_with("GET")).count()
    };
    let before = requests().await;
    let missing = "no host that the stack may use has the label `db`: `stackyard host join --label db=yes` joins one";
    let error = prepare(&running, dir.path(), &[], None).await.unwrap_err();
    assert!(error.starts_with("stack cluster: ") && error.contains("config/db.conf.j2:1"), "{error}");
    assert!(error.contains(missing), "{error}");
    // A host of no pool is none of this pool.
    machine(&running, "db-1", "10.9.0.1", &[("db", "yes")]).await;
    let error = prepare(&running, dir.path(), &[], Some("data")).await.unwrap_err();
    assert!(error.contains(missing), "{error}");
    let before = before + 2;

    let error = prepare(&running, dir.path(), &[("sise", "3")], None).await.unwrap_err();
    assert!(error.contains("unknown answer `sise`"), "{error}");
    let compose = dir.path().join("cluster/compose.yaml");
    std::fs::write(&compose, COMPOSE.replace("host_name", "host_nam")).unwrap();
    let error = prepare(&running, dir.path(), &[], None).await.unwrap_err();
    assert!(error.contains("compose.yaml:5:") && error.contains("host_nam"), "{error}");
    std::fs::write(&compose, COMPOSE).unwrap();
    std::fs::remove_file(dir.path().join("cluster/package.yaml")).unwrap();
    let error = prepare(&running, dir.path(), &[], None).await.unwrap_err();
    assert!(error.contains("package.yaml"), "{error}");

    // Parts that need a manifest are named, not lost.
    std::fs::write(dir.path().join("cluster/package.yaml"), PACKAGE).unwrap();
    std::fs::write(dir.path().join("cluster/yard.yaml"), "networks: []\n").unwrap();
    let (_, said) = prepare(&running, dir.path(), &[], None).await.unwrap();
    assert!(said.len() == 1 && said[0].contains("cluster/yard.yaml has no effect"), "{said:?}");
    assert_eq!(requests().await, before);
    assert!(running.admin.secrets("shop").await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_keeps_the_address_that_it_joined_with() {
    let running = Running::start().await;
    let dir = directory("");
    let labels = [("db", "yes")];
    let joined = join(&running, &at("db-1", "10.9.0.1"), &labels).await;
    let one = joined.host;
    let agent = obey(running.dial(&joined.token).await.unwrap(), at("db-1", "10.9.0.1")).await;
    machine(&running, "db-2", "10.9.0.2", &labels).await;
    running.until("the agents", || running.server.app().hub().connected() == 2).await;
    look(&running, dir.path()).await.at_server.apply(false, PATIENCE, &()).await.unwrap();
    let file = |host: &str| told(&running, host).unwrap().2;
    let kept = "members = db-1=10.9.0.1 db-2=10.9.0.2\nme = db-1/10.9.0.1 of 2\n";
    assert_eq!(file(&one), kept);

    // Its agent comes back, and names the address of a later interface first.
    agent.abort();
    running.until("an agent away", || running.server.app().hub().connected() == 1).await;
    let later = ["10.9.0.100", "10.9.0.1"].map(|a| a.parse().unwrap());
    let facts = Facts { addresses: later.to_vec(), ..facts("db-1") };
    let agent = obey(running.dial(&joined.token).await.unwrap(), facts.clone()).await;
    running.until("the agent again", || running.server.app().hub().connected() == 2).await;
    let host = running.admin.host(&one).await.unwrap();
    assert_eq!((host.address, host.facts.addresses), (Some(later[1]), later.to_vec()));
    assert_eq!(step(&look(&running, dir.path()).await).action, Action::Keep);
    assert_eq!(file(&one), kept);

    // It changes by request alone, to an address of the host: there at once, in lists with the next deployment.
    let foreign = running.admin.set_host_address("shop/db-1", "10.9.0.2".parse().unwrap()).await.unwrap_err();
    let text = foreign.to_string();
    assert!(foreign.status() == Some(400) && text.contains("its agent reports 10.9.0.100, 10.9.0.1;"), "{text}");
    assert_eq!(running.admin.set_host_address("shop/db-1", later[0]).await.unwrap().address, Some(later[0]));
    let own = kept.replace("me = db-1/10.9.0.1 ", "me = db-1/10.9.0.100 ");
    running.until("the host's own address", || file(&one) == own).await;
    let stacks = look(&running, dir.path()).await;
    assert_eq!(step(&stacks).action, Action::Change);
    stacks.at_server.apply(false, PATIENCE, &()).await.unwrap();
    assert_eq!(file(&one), "members = db-1=10.9.0.100 db-2=10.9.0.2\nme = db-1/10.9.0.100 of 2\n");

    // A machine that joins again has the address of that join.
    agent.abort();
    let again = join(&running, &facts, &labels).await;
    running.admin.set_host_address(&again.host, later[1]).await.unwrap();
    let again = join(&running, &facts, &labels).await;
    assert_eq!(running.admin.host(&again.host).await.unwrap().address, Some(later[0]));
    running.stop().await;
}

/// Plays the machines of a pool: each server that boots joins with the token of its user data.
async fn boot(fake: Fake, running: Arc<Running>) {
    let (mut joined, mut agents) = (BTreeSet::new(), Vec::new());
    let base64 = base64::engine::general_purpose::STANDARD;
    loop {
        let booted = fake.world().booted();
        for server in booted {
            if !joined.insert(server.id.clone()) {
                continue;
            }
            let text = String::from_utf8(base64.decode(&server.user_data).unwrap()).unwrap();
            let lines = text.lines().skip_while(|l| !l.contains("agent.json.new <<")).skip(1);
            let block: String = lines.take_while(|l| *l != "STACKYARD").collect();
            let config: AgentConfig = serde_json::from_slice(&base64.decode(block).unwrap()).unwrap();
            let address = format!("10.9.1.{}", joined.len());
            let facts = Facts { server_id: Some(server.id.clone()), ..at(&server.name, &address) };
            let wish = JoinRequest { facts: facts.clone(), ..request(&server.name) };
            let (status, answer) = running.join(&config.token.unwrap(), &wish).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let answer: Joined = serde_json::from_value(answer).unwrap();
            agents.push(obey(running.dial(&answer.token).await.unwrap(), facts).await);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_of_a_pool_are_listed_once_they_have_joined() {
    let fake = Fake::start(Duration::ZERO).await.unwrap();
    let running = Arc::new(Running::start_with_cloud(&fake).await);
    let machines = tokio::spawn(boot(fake.clone(), running.clone()));
    let pool = |count: u32| {
        format!(
            "  networks: [{{name: front, cidr: 10.20.0.0/24, router: {{external: public}}}}]\n  \
             hosts: [{{pool: data, count: {count}, flavor: m1.host, image: tiny, labels: {{db: 'yes'}}}}]\n"
        )
    };
    let clouds = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(clouds.path(), fake.clouds_yaml(&[("fake", "p")])).unwrap();
    let config = CloudConfig::load_from(Some("fake"), &Sources::of_process().with_file(Some(clouds.path()))).unwrap();
    let cloud = Cloud::connect(config, Options::default()).await.unwrap();
    let scope = scope(&cloud).await.unwrap();
    let records = Records::new(running.home.path());
    for count in [2, 1] {
        let dir = directory(&pool(count));
        let yard = manifest::load(&dir.path().join("yard.yaml")).unwrap();
        let stacks = look(&running, dir.path()).await;
        let client = Some(&running.admin);
        let operation = UpOperation::look(&yard, &cloud, client, Some(stacks), &|_| {}).await.unwrap();
        let found = operation.preflight().await.unwrap();
        assert!(found.blockers.is_empty(), "{:?}", found.blockers);
        let lock = records.lock("shop", &scope).unwrap();
        operation.carry_out(&lock, &found.choices, &DataLoss::allowed_if(true), &()).await.unwrap();
        drop(lock);
        let hosts = running.admin.hosts(Some("shop"), None).await.unwrap();
        assert_eq!(hosts.len(), count as usize);
        let mut ordered: Vec<_> = hosts.iter().collect();
        ordered.sort_by_key(|h| h.id.clone());
        let members: Vec<String> = ordered.iter().map(|h| format!("{}={}", h.name, h.facts.addresses[0])).collect();
        for host in &hosts {
            let (_, _, file) = told(&running, &host.id).unwrap();
            assert!(file.starts_with(&format!("members = {}\n", members.join(" "))), "{file}");
            assert!(!file.contains("192.0.2.1") && file.contains(&format!("me = {}/", host.name)), "{file}");
        }
        // Nothing is left to be done.
        assert_eq!(step(&look(&running, dir.path()).await).action, Action::Keep);
    }
    machines.abort();
    let _ = machines.await;
    Arc::into_inner(running).unwrap().stop().await;
}
