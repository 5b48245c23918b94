//! The agent's side, as plugins ask for it, against the fake cloud; what it plugs is only noted down.

mod attach;
mod bandwidth;
mod formats;

use crate::network::cni::protocol::{AttachResult, CONFIGURED, CniRequest, Command, Reply};
use crate::network::cni::{listen, serve};
use crate::network::observed::Suspects;
use crate::network::port_manager::{Frontend, PortManager};
use crate::network::tests::fake_wiring::FakeWiring;
use crate::network::tests::start;
use serde_json::{Map, Value, json};
use stackyard_fake::Fake;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn request(command: Command, container: &str, more: Value) -> CniRequest {
    let mut config = map(json!({"cniVersion": "1.1.0", "name": "net", "type": "stackyard-cni", "network": "front"}));
    config.extend(map(more));
    CniRequest {
        command,
        container: container.to_owned(),
        ifname: "eth0".to_owned(),
        args: Vec::new(),
        netns: String::new(),
        config,
    }
}

/// The agent's side, and a socket of it.
struct Fixture {
    fake: Fake,
    dir: tempfile::TempDir,
    fake_wiring: FakeWiring,
    manager: Arc<PortManager>,
}

impl Fixture {
    async fn new() -> Self {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        fake.fail(|_, _| None);
        let (dir, fake_wiring) = (tempfile::tempdir().unwrap(), FakeWiring::default());
        let manager = PortManager { frontend: Frontend::Cni, ..start(&fake, dir.path(), &fake_wiring, "node-1").await };
        let new = stackyard_openstack::NewNetwork { name: "front".into(), ..Default::default() };
        let network: stackyard_openstack::Network = manager.cloud().unwrap().create(&new).await.unwrap();
        let new = stackyard_openstack::NewSubnet {
            name: "four".into(),
            network_id: network.id,
            cidr: "10.5.0.0/24".into(),
            ip_version: 4,
            ..Default::default()
        };
        manager.cloud().unwrap().create::<stackyard_openstack::Subnet>(&new).await.unwrap();
        let manager = Arc::new(manager);
        let listener = listen(&dir.path().join("cni.sock")).unwrap();
        tokio::spawn(serve(listener, manager.clone()));
        Self { fake, dir, fake_wiring, manager }
    }

    /// Begins an operation.
    async fn begin(&self, request: &CniRequest) -> BufReader<UnixStream> {
        let mut stream = UnixStream::connect(self.dir.path().join("cni.sock")).await.unwrap();
        stream.write_all(format!("{}\n", serde_json::to_string(request).unwrap()).as_bytes()).await.unwrap();
        BufReader::new(stream)
    }

    async fn add(&self, container: &str, more: Value) -> AttachResult {
        let mut stream = self.begin(&request(Command::Add, container, more)).await;
        let Reply::Attached(attached) = answer(&mut stream).await else { panic!("no port") };
        stream.get_mut().write_all(format!("{CONFIGURED}\n").as_bytes()).await.unwrap();
        assert_eq!(answer(&mut stream).await, Reply::Done);
        attached
    }

    async fn ask(&self, request: &CniRequest) -> Reply {
        answer(&mut self.begin(request).await).await
    }

    fn requests(&self) -> Vec<String> {
        let seen = self.fake.seen();
        self.fake.fail(|_, _| None);
        seen.iter().map(|s| format!("{} {}", s.method, s.path.trim_start_matches("/network/v2.0"))).collect()
    }

    fn ports(&self) -> usize {
        self.fake.world().left().iter().filter(|l| l.starts_with("ports/")).count()
    }

    async fn pass(&self) {
        let cloud = self.manager.look_at_cloud().await.unwrap();
        let view = self.manager.attachments().await.unwrap();
        self.manager.mend(&cloud, &view, &mut Suspects::default(), Duration::ZERO).await;
    }
}

async fn answer(stream: &mut BufReader<UnixStream>) -> Reply {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    serde_json::from_str(&line).unwrap()
}
