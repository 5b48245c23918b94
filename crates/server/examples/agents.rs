//! A thousand simulated agents on one real server: `agents BINARY [COUNT [SECONDS]]`, printed as JSON.
//!
//! The server is a process of its own on loopback, on an empty store in a folder that goes again. The
//! agents are tasks of this process, but what they send is what real ones do: each joins with a token
//! of its own, opens a WebSocket of its own over TLS, says hello, pings every 15 s and reports every
//! 30 s and at each change. They run nothing. Then one stack that has a container on each host is
//! deployed. All of it ends after some minutes at the latest.
//!
//! `agents BINARY COUNT hold CONTAINERS` is for who measures something else on such a server: it has a
//! stack of so many containers on the agents, prints the server's address and an admin's token, and
//! stays until its input ends.

#![allow(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use futures_util::{SinkExt, StreamExt, stream};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use stackyard_api::{NewJoin, NewToken, Role, StackDeploy};
use stackyard_client::Client;
use stackyard_core::agent::{
    ContainerReport, ContainerState, Facts, JoinRequest, Joined, PROTOCOL, PartReport, Report, ToAgent, ToServer, Usage,
};
use stackyard_core::health::Health;
use stackyard_core::rollout::Packed;
use stackyard_core::stack::deploy::Mode;
use stackyard_core::stack::{Service, Stack};
use stackyard_server::daemon;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Message, protocol::WebSocketConfig};

const YARD: &str = "bench";
/// Agents that join at once.
const AT_ONCE: usize = 32;
/// As the agent's.
const PING: Duration = Duration::from_secs(15);
const REPORT: Duration = Duration::from_secs(30);
/// The longest that all of it may take.
const LIMIT: Duration = Duration::from_secs(600);

type Socket = WebSocketStream<TlsStream<TcpStream>>;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().expect("usage: agents BINARY [COUNT [SECONDS]]");
    let count: usize = arguments.next().map_or(1000, |n| n.parse().expect("a number of agents"));
    let seconds = arguments.next();
    assert!(count <= 10_000, "no more than 10,000 agents");
    let home = tempfile::tempdir().unwrap();
    if seconds.as_deref() == Some("hold") {
        let containers = arguments.next().expect("a number of containers").parse().unwrap();
        return hold(&binary, home.path(), count, containers).await;
    }
    let seconds: u64 = seconds.map_or(60, |n| n.parse().expect("seconds"));
    match tokio::time::timeout(LIMIT, measure(&binary, home.path(), count, Duration::from_secs(seconds))).await {
        Ok(result) => println!("{result}"),
        Err(_) => panic!("it took more than {} s", LIMIT.as_secs()),
    }
}

/// What all agents share.
struct World {
    tls: TlsConnector,
    address: SocketAddr,
    /// Agents that have been told to run something.
    told: AtomicUsize,
}

/// A server, and what agents need to join it.
async fn begin(binary: &str, home: &Path) -> (Child, Client, Arc<World>, String) {
    let server = start(binary, home);
    let client = Client::socket(&daemon::socket(home)).unwrap();
    while client.health().await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let address = client.server().await.unwrap().listen[0].parse().unwrap();
    let ca = std::fs::read_to_string(daemon::dir(home).join("ca.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    // Each agent is a process that has never met the server.
    config.resumption = rustls::client::Resumption::disabled();
    let tls = TlsConnector::from(Arc::new(config));
    (server, client, Arc::new(World { tls, address, told: AtomicUsize::new(0) }), ca)
}

/// Has all agents join.
async fn gather(client: &Client, world: &Arc<World>, ca: &str, count: usize) -> Vec<JoinHandle<()>> {
    let agents = stream::iter(0..count)
        .map(|n| join(client, world.clone(), ca, n))
        .buffer_unordered(AT_ONCE)
        .map(|(host, socket)| tokio::spawn(live(world.clone(), host, socket)))
        .collect()
        .await;
    while client.server().await.unwrap().connected < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    agents
}

async fn hold(binary: &str, home: &Path, count: usize, containers: u32) {
    let (server, client, world, ca) = begin(binary, home).await;
    let agents = gather(&client, &world, &ca, count).await;
    let mut deploy = everywhere();
    let mut stack = deploy.stack.unpack();
    let names = ["web", "api", "worker", "cache"];
    let service = stack.services.remove("app").unwrap();
    for (i, name) in names.into_iter().enumerate() {
        let mut service = service.clone();
        service.deploy.mode = Mode::Replicated;
        service.deploy.replicas = (containers + i as u32) / names.len() as u32;
        stack.services.insert(name.to_owned(), service);
    }
    deploy.stack = Packed::pack(stack);
    client.deploy_stack(YARD, "everywhere", &deploy).await.unwrap();
    while client.stack(YARD, "everywhere", true).await.unwrap().status.health != Health::Ready {}
    let token = NewToken { name: "bench".to_owned(), role: Role::Admin, ttl_s: None };
    let token = client.new_token(&token).await.unwrap().token;
    println!("{}", json!({"url": format!("https://{}", world.address), "token": token, "yard": YARD}));
    let ends = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(ends).await.unwrap().unwrap();
    agents.iter().for_each(|agent| agent.abort());
    drop(server);
}

async fn measure(binary: &str, home: &Path, count: usize, idle: Duration) -> serde_json::Value {
    let (server, client, world, ca) = begin(binary, home).await;
    let pid = server.id().unwrap();
    let empty = Memory::of(pid);

    let begun = Instant::now();
    let before = cpu(pid);
    let agents = gather(&client, &world, &ca, count).await;
    let joined = (begun.elapsed().as_secs_f64(), cpu(pid) - before);

    // What joining left behind settles, and every agent has reported once more.
    tokio::time::sleep(REPORT).await;
    let (begun, before) = (Instant::now(), cpu(pid));
    tokio::time::sleep(idle).await;
    let per_minute = (cpu(pid) - before) * 60.0 / begun.elapsed().as_secs_f64();
    let connected = Memory::of(pid);

    let (begun, before) = (Instant::now(), cpu(pid));
    client.deploy_stack(YARD, "everywhere", &everywhere()).await.unwrap();
    while world.told.load(Ordering::Relaxed) < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let told = begun.elapsed().as_secs_f64();
    loop {
        let now = client.stack(YARD, "everywhere", true).await.unwrap().status;
        if now.health == Health::Ready && now.services.iter().all(|s| s.replicas.len() == count) {
            break;
        }
    }
    let converged = (begun.elapsed().as_secs_f64(), cpu(pid) - before);
    let deployed = Memory::of(pid);
    assert_eq!(client.server().await.unwrap().connected, count, "nobody was lost meanwhile");
    agents.iter().for_each(|agent| agent.abort());
    drop(server);
    json!({
        "agents": count, "empty": empty.json(), "connected": connected.json(), "deployed": deployed.json(),
        "kib_per_agent": (connected.anonymous - empty.anonymous) / count as f64,
        "join_s": joined.0, "join_cpu_s": joined.1, "idle_cpu_s_per_minute": per_minute,
        "told_s": told, "converged_s": converged.0, "converged_cpu_s": converged.1,
    })
}

/// The server, with as many file descriptors as systemd gives a service.
fn start(binary: &str, home: &Path) -> Child {
    let log = std::fs::File::create(home.join("log")).unwrap();
    let script = r#"ulimit -Sn 1024; exec "$0" --home "$1" server --listen 127.0.0.1:0"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, binary]).arg(home).stdin(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().unwrap()
}

/// Joins, connects and says hello.
async fn join(client: &Client, world: Arc<World>, ca: &str, n: usize) -> (String, Socket) {
    let name = format!("host-{n}");
    let ticket = NewJoin { yard: YARD.to_owned(), name: Some(name.clone()), ..NewJoin::default() };
    let ticket = client.new_join(&ticket).await.unwrap();
    let facts = Facts {
        machine_id: format!("{n:032x}"),
        hostname: name.clone(),
        os: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        kernel: "6.1.0-32-cloud-amd64".to_owned(),
        arch: "amd64".to_owned(),
        cpus: 4,
        memory: 8 << 30,
        docker: "20.10.24+dfsg1".to_owned(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        addresses: vec![[10, 0, (n >> 8) as u8, n as u8].into()],
        mtu: 1442,
        ..Facts::default()
    };
    let request = JoinRequest { facts: facts.clone(), name, labels: BTreeMap::new(), nonce: format!("{n:064x}") };
    let ca = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    let http = reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
    let url = format!("https://{}/api/v1/join", world.address);
    let answer = http.post(url).bearer_auth(&ticket.token).json(&request).send().await.unwrap();
    let joined: Joined = answer.error_for_status().unwrap().json().await.unwrap();

    let stream = TcpStream::connect(world.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let stream = world.tls.connect(ServerName::from(world.address.ip()), stream).await.unwrap();
    let mut request = format!("wss://{}/api/v1/agent", world.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {}", joined.token).parse().unwrap());
    let config = WebSocketConfig::default().read_buffer_size(8 << 10).write_buffer_size(8 << 10);
    let (mut socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await.unwrap();
    send(&mut socket, &ToServer::Hello { protocol: PROTOCOL, facts, revision: None }).await;
    (joined.host, socket)
}

async fn send(socket: &mut Socket, message: &ToServer) {
    socket.send(Message::text(serde_json::to_string(message).unwrap())).await.unwrap();
}

/// Stays connected.
async fn live(world: Arc<World>, host: String, mut socket: Socket) {
    let mut report = Report { settled: true, ..Report::default() };
    let (mut ping, mut again) = (tokio::time::interval(PING), tokio::time::interval(REPORT));
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let ToAgent::Desired(desired) = serde_json::from_str(&text).unwrap() {
                        let container = |replica: &stackyard_core::agent::Replica, generation: u64| ContainerReport {
                            last_lines: Vec::new(),
                            ended: None,
                            addresses: Default::default(),
                            ports: Vec::new(),
                            replica: replica.clone(),
                            generation,
                            id: format!("{host:0>64}"),
                            state: ContainerState::Running,
                            healthy: None,
                            restarts: 0,
                            started: Some(1),
                        };
                        report.revision = desired.revision;
                        report.parts = desired.parts.iter().map(|part| {
                            let one = |(name, replica)| container(replica, part.generations.get(name).copied().unwrap_or_default());
                            let containers = part.replicas.iter().map(one).collect();
                            (part.name().to_owned(), PartReport { containers, ..PartReport::default() })
                        }).collect();
                        if !report.parts.is_empty() {
                            world.told.fetch_add(1, Ordering::Relaxed);
                        }
                        again.reset_immediately();
                    }
                }
                Some(Ok(_)) => {}
                other => panic!("the server ended the connection of {host}: {other:?}"),
            },
            _ = ping.tick() => socket.send(Message::Ping(Vec::new().into())).await.unwrap(),
            _ = again.tick() => {
                report.usage = Usage { memory: report.usage.memory + 4096, load: 10, disk: 40 << 30, disk_used: 4 << 30 };
                send(&mut socket, &ToServer::Report(Box::new(report.clone()))).await;
            }
        }
    }
}

/// A stack with a container on each host, from an image that nobody pulls.
fn everywhere() -> StackDeploy {
    let mut service = Service { image: "registry.example/app:1".to_owned(), ..Service::default() };
    service.deploy.mode = Mode::Global;
    let stack =
        Stack { name: "everywhere".to_owned(), services: [("app".to_owned(), service)].into(), ..Stack::default() };
    StackDeploy { stack: Packed::pack(stack), pool: None, declared: false, network: None }
}

/// Memory of a process in KiB.
struct Memory {
    rss: f64,
    pss: f64,
    anonymous: f64,
}

impl Memory {
    fn of(pid: u32) -> Self {
        let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let of = |name: &str| -> f64 {
            let line = rollup.lines().find_map(|l| l.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Self { rss: of("Rss:"), pss: of("Pss:"), anonymous: of("Anonymous:") }
    }

    fn json(&self) -> serde_json::Value {
        json!({"rss_mib": self.rss / 1024.0, "pss_mib": self.pss / 1024.0, "anonymous_mib": self.anonymous / 1024.0})
    }
}

/// Processor time of a process, in seconds (proc(5): 14th and 15th field of `stat`, in hundredths).
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(") ").next().unwrap();
    let of = |field: usize| -> f64 { after_name.split(' ').nth(field - 3).unwrap().parse().unwrap() };
    (of(14) + of(15)) / 100.0
}
