//! What tests of the network's modules share: a fake cloud, a host of which nothing is real, and the calls as Docker
//! makes them.

pub(crate) mod fake_wiring;

use crate::network::PLUGIN;
use crate::network::docker::plugin;
use crate::network::observed::{RuntimeView, Suspects};
use crate::network::port_manager::port_demand::PortDemand;
use crate::network::port_manager::{Frontend, PortManager, PortSource};
use crate::network::tests::fake_wiring::FakeWiring;
use crate::state::StateDir;
use serde_json::{Value, json};
use stackyard_core::text::error_chain;
use stackyard_fake::Fake;
use stackyard_openstack::{Cloud, CloudConfig, CloudEntry, Options, RetryPolicy};
use std::sync::Arc;
use std::time::Duration;

/// A cloud, a host, and a plugin that can be killed.
pub(crate) struct Fixture {
    pub(crate) fake: Fake,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) fake_wiring: FakeWiring,
    pub(crate) manager: PortManager,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::on_host("node-1").await
    }

    pub(crate) async fn on_host(host: &str) -> Self {
        let fake = Fake::start(Duration::ZERO).await.unwrap();
        fake.fail(|_, _| None);
        let (dir, fake_wiring) = (tempfile::tempdir().unwrap(), FakeWiring::default());
        let manager = start(&fake, dir.path(), &fake_wiring, host).await;
        Self { fake, dir, fake_wiring, manager }
    }

    /// The same in kuryr's place.
    pub(crate) async fn in_place_of_kuryr() -> Self {
        let mut fixture = Self::new().await;
        fixture.manager.kuryr = true;
        fixture
    }

    /// Starts again in kuryr's place, knowing nothing.
    pub(crate) async fn forget(&mut self) {
        self.dir = tempfile::tempdir().unwrap();
        self.restart().await;
        self.manager.kuryr = true;
    }

    /// Kills the plugin and starts it again: what it had in memory is gone.
    pub(crate) async fn restart(&mut self) {
        self.manager = start(&self.fake, self.dir.path(), &self.fake_wiring, "node-1").await;
    }

    /// Kills it, and what it has written down of some kinds is lost.
    pub(crate) async fn lose(&mut self, kinds: &[&str]) {
        for kind in kinds {
            std::fs::remove_dir_all(self.dir.path().join(kind)).unwrap();
        }
        self.restart().await;
    }

    pub(crate) async fn try_call(&self, method: &str, body: Value) -> Result<Value, String> {
        let answer = plugin::call(&self.manager, method, body.to_string().as_bytes()).await;
        answer.map(|a| a.expect("a method that there is")).map_err(|e| error_chain(&e))
    }

    pub(crate) async fn call(&self, method: &str, body: Value) -> Value {
        self.try_call(method, body).await.unwrap()
    }

    /// A Docker network with IPAM `null`, on a new Neutron network.
    pub(crate) async fn network(&self) {
        let generic = json!({"subnet": "10.5.0.0/24", "external": "public"});
        let options = json!({"com.docker.network.generic": generic});
        let pool = json!([{"AddressSpace": "null", "Pool": "0.0.0.0/0"}]);
        self.call(
            "NetworkDriver.CreateNetwork",
            json!({"NetworkID": "n1", "Options": options, "IPv4Data": pool, "IPv6Data": null}),
        )
        .await;
    }

    /// One with this plugin's IPAM and both IP versions; ids of the pools.
    pub(crate) async fn dual_network(&self) -> (String, String) {
        let mut ids = Vec::new();
        for (pool, v6) in [("10.6.0.0/24", false), ("fd00:6::/64", true)] {
            let answer = self.call("IpamDriver.RequestPool", json!({"Pool": pool, "V6": v6, "Options": {}})).await;
            assert_eq!(answer["Pool"], pool);
            let id = answer["PoolID"].as_str().unwrap().to_owned();
            let gateway = json!({"PoolID": id, "Options": {"RequestAddressType": "com.docker.network.gateway"}});
            self.call("IpamDriver.RequestAddress", gateway).await;
            ids.push(id);
        }
        self.call(
            "NetworkDriver.CreateNetwork",
            json!({
                "NetworkID": "n2", "Options": {},
                "IPv4Data": [{"Pool": "10.6.0.0/24", "Gateway": "10.6.0.1/24"}],
                "IPv6Data": [{"Pool": "fd00:6::/64", "Gateway": "fd00:6::1/64"}],
            }),
        )
        .await;
        (ids[0].clone(), ids[1].clone())
    }

    pub(crate) async fn attach(&self, endpoint: &str, options: Value) -> Value {
        let body = json!({"NetworkID": "n1", "EndpointID": endpoint, "Interface": {}, "Options": options});
        self.call("NetworkDriver.CreateEndpoint", body).await
    }

    /// Methods and paths of requests since the last time.
    pub(crate) fn requests(&self) -> Vec<String> {
        let seen = self.fake.seen();
        self.fake.fail(|_, _| None);
        seen.iter().map(|s| format!("{} {}", s.method, s.path.trim_start_matches("/network/v2.0"))).collect()
    }

    pub(crate) async fn pass(&self, view: &RuntimeView, suspects: &mut Suspects) {
        let cloud = self.manager.look_at_cloud().await.unwrap();
        self.manager.mend(&cloud, view, suspects, Duration::ZERO).await;
    }

    pub(crate) fn ports(&self) -> usize {
        // The network's router has one, too.
        self.fake.world().left().iter().filter(|l| l.starts_with("ports/")).count()
    }
}

pub(crate) async fn start(fake: &Fake, dir: &std::path::Path, fake_wiring: &FakeWiring, host: &str) -> PortManager {
    let entry = CloudEntry {
        auth_url: fake.auth_url(),
        username: "u".into(),
        password: "p".into(),
        project_name: "p".into(),
        domain_name: "Default".into(),
        region_name: "R".into(),
        cacert: None,
    };
    let config = CloudConfig::from_entry("fake", &entry);
    let retry = RetryPolicy { attempts: 2, first_wait: Duration::from_millis(1), ..RetryPolicy::default() };
    let cloud = Cloud::connect(config, Options { retry, ..Options::default() }).await.unwrap();
    let state = StateDir::open(dir).unwrap();
    let (source, wiring) = (PortSource::Cloud(cloud), Box::new(fake_wiring.clone()));
    let manager = PortManager::new(Frontend::Docker, PLUGIN, source, wiring, &state, Arc::new(())).unwrap();
    PortManager { host: host.to_owned(), port_demand: PortDemand::default(), ..manager }
}

pub(crate) fn view(endpoints: &[(&str, &str, &str)]) -> RuntimeView {
    let own = ["n1", "n2"].into_iter().chain(endpoints.iter().map(|(_, n, _)| *n));
    RuntimeView {
        networks: own.map(str::to_owned).collect(),
        endpoints: endpoints.iter().map(|(e, n, m)| ((*e).to_owned(), ((*n).to_owned(), (*m).to_owned()))).collect(),
    }
}

/// Docker's calls for a container on the network with both IP versions, until it runs; its MAC address.
pub(crate) async fn run_container(fixture: &Fixture, pools: &(String, String), endpoint: &str) -> String {
    let ask = |pool: &str| json!({"PoolID": pool, "Address": "", "Options": {}});
    let v4 = fixture.call("IpamDriver.RequestAddress", ask(&pools.0)).await["Address"].clone();
    let v6 = fixture.call("IpamDriver.RequestAddress", ask(&pools.1)).await["Address"].clone();
    let interface = json!({"Address": v4, "AddressIPv6": v6});
    let of = json!({"NetworkID": "n2", "EndpointID": endpoint, "Interface": interface, "Options": {}});
    let made = fixture.call("NetworkDriver.CreateEndpoint", of.clone()).await;
    fixture.call("NetworkDriver.Join", json!({"NetworkID": "n2", "EndpointID": endpoint, "SandboxKey": "/x"})).await;
    made["Interface"]["MacAddress"].as_str().expect("the port's").to_owned()
}
