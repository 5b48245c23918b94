//! Files that stacks carry to their hosts: uploaded once, got by the hosts that mount them, and by no one else.

use crate::stacks::{PATIENCE, obey, report};
use crate::support::Running;
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};
use stackyard_api::{AuditFilter, Role, StackChangeKind, StackDeploy};
use stackyard_catalog::{Memory, manifest};
use stackyard_client::{ArchiveContents, Client, ClientError};
use stackyard_core::agent::{ToAgent, ToServer};
use stackyard_core::rollout::Packed;
use stackyard_core::stack::{Archive, Mount, MountKind, Service, Stack};
use stackyard_core::text::hex;
use stackyard_core::yard::plan::Action;
use stackyard_server::daemon::Settings;
use stackyard_server::hub::HubTiming;
use stackyard_yard::{DeclaredStacks, TemplateRenderer};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn digest(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn contents(all: &[&[u8]]) -> ArchiveContents {
    all.iter().map(|c| (digest(c), c.to_vec().into())).collect()
}

/// The stack `site`, whose only service mounts one archive.
fn site(content: &[u8]) -> StackDeploy {
    let archive = Archive { source: "./conf".into(), digest: digest(content), size: content.len() as u64 };
    let mount = Mount { kind: MountKind::Archive(archive), target: "/conf".into(), read_only: true };
    let image = "registry.example/web:1".to_owned();
    let mut web = Service { image, volumes: vec![mount], ..Service::default() };
    web.deploy.update.monitor = Duration::ZERO;
    let stack = Stack { name: "site".into(), services: [("web".to_owned(), web)].into(), ..Stack::default() };
    StackDeploy { stack: Packed::pack(stack), pool: None, declared: false, network: None }
}

/// Archives on the server's disk, also ones that are being received.
fn on_disk(running: &Running) -> Vec<String> {
    let yards = std::fs::read_dir(running.home.path().join("server/archives")).unwrap();
    let files = yards.flat_map(|yard| std::fs::read_dir(yard.unwrap().path()).unwrap());
    files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect()
}

async fn gone(running: &Running, what: &str) {
    running.until(what, || on_disk(running).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_reach_the_hosts_that_mount_them_alone() {
    let running = Running::start().await;
    let host = running.host("shop", "web-1").await;
    let stranger = running.host("blog", "web-1").await;
    let mut agent = running.agent(&host.token, None).await;
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    let (one, two) = (b"one".as_slice(), b"two".as_slice());

    // Not before they are uploaded; then each content once.
    let refused = running.admin.deploy_stack("shop", "site", &site(one)).await.unwrap_err();
    assert_eq!(refused.status(), Some(422));
    assert!(refused.to_string().contains("does not have the files ./conf of stack site"), "{refused}");
    assert!(running.admin.stacks("shop").await.unwrap().is_empty());
    assert_eq!(running.admin.plan_stack("shop", "site", &site(one)).await.unwrap()[0].kind, StackChangeKind::New);
    assert_eq!(running.admin.upload_archives("shop", &contents(&[one])).await.unwrap(), [digest(one)]);
    assert!(running.admin.upload_archives("shop", &contents(&[one])).await.unwrap().is_empty());
    running.admin.deploy_stack("shop", "site", &site(one)).await.unwrap();

    // The host is told of them, and gets them; others do not.
    let path = format!("/api/v1/archives/{}", digest(one));
    loop {
        let Some(ToAgent::Desired(desired)) = agent.next().await else { continue };
        agent.send(&ToServer::Report(Box::new(report(&desired)))).await;
        if desired.parts.iter().any(|p| p.archives().contains_key(digest(one).as_str())) {
            break;
        }
    }
    let answer = running.http().get(format!("{}{path}", running.url)).bearer_auth(&host.token).send().await.unwrap();
    assert_eq!((answer.status(), answer.content_length()), (StatusCode::OK, Some(3)));
    assert_eq!(answer.bytes().await.unwrap(), one);
    assert_eq!(running.call("GET", &path, Some(&stranger.token), None).await.0, StatusCode::FORBIDDEN);
    let other = format!("/api/v1/archives/{}", digest(two));
    assert_eq!(running.call("GET", &other, Some(&host.token), None).await.0, StatusCode::FORBIDDEN);
    // Nor may another yard mount them for knowing their digest.
    assert_eq!(running.admin.deploy_stack("blog", "site", &site(one)).await.unwrap_err().status(), Some(422));

    // Other content changes the service, by the name of the files.
    running.admin.upload_archives("shop", &contents(&[two])).await.unwrap();
    let changes = running.admin.deploy_stack("shop", "site", &site(two)).await.unwrap();
    assert_eq!(
        (changes[0].kind, changes[0].reasons.as_slice()),
        (StackChangeKind::Changed, &["files ./conf".to_owned()][..])
    );
    assert_eq!(on_disk(&running).len(), 2, "a roll back needs the first");
    running.admin.remove_stack("shop", "site").await.unwrap();
    obey(agent);
    gone(&running, "files of a stack that is gone").await;

    // Each upload is in the audit log, and no question is.
    let audit = running.admin.audit(&AuditFilter::default(), None, 1000).await.unwrap();
    let verbs: Vec<&str> = audit.iter().map(|e| e.verb.as_str()).filter(|v| v.contains("archives")).collect();
    assert_eq!(verbs, ["PUT /api/v1/yards/{yard}/archives/{digest}"; 2]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_have_a_limit_and_must_be_what_they_are_called() {
    let home = tempfile::tempdir().unwrap();
    let settings = Settings { files_limit: Some(1), ..Settings::default() };
    let running = Running::start_as(home, settings, HubTiming::default()).await;
    let operator = running.token("o", Role::Operator).await;
    let put = async |name: &str, body: Vec<u8>| {
        let path = format!("{}/api/v1/yards/shop/archives/{name}", running.url);
        let answer = running.http().request(Method::PUT, path).bearer_auth(&operator).body(body).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let large = vec![0; (1 << 20) + 1];
    assert_eq!(put(&digest(&large), large.clone()).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    // Without a length that it could be judged by.
    let pieces = futures_util::stream::iter(
        large.chunks(64 << 10).map(|p| Ok::<_, std::io::Error>(p.to_vec())).collect::<Vec<_>>(),
    );
    let path = format!("{}/api/v1/yards/shop/archives/{}", running.url, digest(&large));
    let request = running.http().request(Method::PUT, path).bearer_auth(&operator);
    let answer = request.body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    for (name, status) in [
        (digest(b"other"), StatusCode::UNPROCESSABLE_ENTITY),
        ("..%2f..%2fca.key".to_owned(), StatusCode::BAD_REQUEST),
        ("x".repeat(64), StatusCode::BAD_REQUEST),
    ] {
        let (got, text) = put(&name, b"this".to_vec()).await;
        assert_eq!(got, status, "{text}");
    }
    assert!(on_disk(&running).is_empty(), "{:?}", on_disk(&running));
    let full = vec![1; 1 << 20];
    assert_eq!(put(&digest(&full), full.clone()).await.0, StatusCode::NO_CONTENT);

    // All archives of a stack count, also when it is only planned; what they say they have is looked at.
    let mut deploy = site(&full);
    let planned = |deploy: StackDeploy| {
        let admin = running.admin.clone();
        async move { admin.plan_stack("shop", "site", &deploy).await }
    };
    assert!(planned(deploy.clone()).await.is_ok());
    let mut stack = deploy.stack.clone().unpack();
    let small = stack.services["web"].volumes[0].clone();
    if let Some(web) = stack.services.get_mut("web") {
        let mut more = small.clone();
        let MountKind::Archive(archive) = &mut more.kind else { panic!("no archive") };
        (archive.digest, archive.size, archive.source) = (digest(b"x"), 1, "./more".into());
        web.volumes.push(more);
    }
    deploy.stack = Packed::pack(stack);
    let error = planned(deploy).await.unwrap_err().to_string();
    assert!(error.contains("1048577 bytes, and may have 1048576: ./conf has 1048576, ./more has 1"), "{error}");
    assert!(error.contains("--files-limit"), "{error}");
    let mut lies = site(&full).stack.unpack();
    let MountKind::Archive(archive) = &mut lies.services.get_mut("web").unwrap().volumes[0].kind else { panic!() };
    archive.size = 1;
    let lies = StackDeploy { stack: Packed::pack(lies), pool: None, declared: false, network: None };
    assert_eq!(running.admin.deploy_stack("shop", "site", &lies).await.unwrap_err().status(), Some(422));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stacks_of_a_manifest_bring_their_files() {
    let running = Running::start().await;
    let host = running.host("shop", "web-1").await;
    obey(running.agent(&host.token, None).await);
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(dir.path().join(name), text).unwrap();
    };
    write(
        "yard.yaml",
        "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\nspec:\n  \
         networks: [{name: n, cidr: 10.0.0.0/24}]\n  stacks: [{name: site, compose: site/compose.yaml}]\n",
    );
    let web = "{image: 'registry.example/web:1', volumes: ['./www:/www:ro']}";
    write("site/compose.yaml", &format!("services: {{web: {web}}}\n"));
    write("site/www/index.html", "one");
    let path = dir.path().join("yard.yaml");
    let look = async || {
        let yard = manifest::load(&path).unwrap();
        let looked = DeclaredStacks::look(&yard, Some(&running.admin), &TemplateRenderer::here(), &|_| {}).await;
        looked.unwrap().unwrap().at_server
    };
    let stacks = look().await;
    assert_eq!(stacks.steps[0].action, Action::Create);
    assert!(on_disk(&running).is_empty(), "to plan uploads nothing");
    stacks.apply(false, PATIENCE, &()).await.unwrap();
    assert_eq!(on_disk(&running).len(), 1);
    assert_eq!(look().await.steps[0].action, Action::Keep);
    write("site/www/index.html", "two");
    let stacks = look().await;
    assert_eq!(stacks.steps[0].services[0].parts, ["files ./www"]);
    stacks.apply(false, PATIENCE, &()).await.unwrap();
    assert_eq!(on_disk(&running).len(), 2);

    // A run of the server itself has texts and digests, and finds the same; without the digests it says what to do.
    let yard = manifest::load(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let there = async |files: &dyn Fn(&str) -> bool| {
        let mut tree = Memory::new("");
        let companions = manifest::companions(&yard, &path).into_iter().filter(|(path, _)| files(path));
        companions.for_each(|(path, text)| tree.insert(path, text));
        let yard = manifest::read_with("yard.yaml", text.clone(), std::sync::Arc::new(tree)).unwrap();
        DeclaredStacks::look(&yard, Some(&running.admin), &TemplateRenderer::here(), &|_| {}).await
    };
    assert_eq!(there(&|_| true).await.unwrap().unwrap().at_server.steps[0].action, Action::Keep);
    let error = there(&|path| !path.contains("archives")).await.unwrap_err();
    let error = stackyard_core::text::error_chain(&error);
    assert!(error.contains("is in no directory of this machine") && error.contains("`stackyard up`"), "{error}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_an_earlier_version_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            let body = r#"{"status":404,"title":"Not Found","detail":"there is no /api/v1/yards/shop/archives/check in this API"}"#;
            let head = format!("HTTP/1.1 404 Not Found\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes()).await;
        }
    });
    let client = Client::socket(&socket).unwrap();
    assert!(
        client.upload_archives("shop", &ArchiveContents::new()).await.unwrap().is_empty(),
        "without files all is well"
    );
    let error = client.upload_archives("shop", &contents(&[b"one"])).await.unwrap_err();
    assert!(matches!(error, ClientError::TooOld { .. }), "{error}");
    assert!(error.to_string().contains("earlier version and cannot carry files to hosts"), "{error}");
}
