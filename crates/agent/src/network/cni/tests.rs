//! The agent's side, as plugins ask for it, against the fake cloud; what it plugs is only noted down.

use super::config::AttachSpec;
use super::failure::{Failure, code};
use super::protocol::{AttachResult, CONFIGURED, CniRequest, Command, Reply};
use super::result::{previous_result, render};
use super::spec::{NEWEST, VERSIONS, Variables, Version, versions};
use super::{listen, serve, verbs};
use crate::network::bandwidth::Bandwidth;
use crate::network::observed::Suspects;
use crate::network::port_manager::{Frontend, PortManager};
use crate::network::tests::fake_wiring::FakeWiring;
use crate::network::tests::start;
use serde_json::{Map, Value, json};
use stackyard_fake::{Fake, Fault};
use stackyard_wire::namespace::Namespace;
use std::path::Path;
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

fn spec(more: Value) -> Result<AttachSpec, Failure> {
    AttachSpec::read(&request(Command::Add, "c", more))
}

#[test]
fn versions_are_those_of_the_specification() {
    for text in VERSIONS {
        let version = Version::of(&map(json!({"cniVersion": text}))).unwrap();
        assert_eq!(version.text(), text);
        assert_eq!(version.allows(Command::Check).is_ok(), text != "0.3.1");
        assert_eq!(version.allows(Command::Gc).is_ok(), text == "1.1.0");
    }
    for (config, code) in [(json!({}), 1), (json!({"cniVersion": "2.0.0"}), 1), (json!({"cniVersion": 1}), 6)] {
        assert_eq!(Version::of(&map(config)).unwrap_err().code, code);
    }
    assert_eq!(versions(&Map::new())["cniVersion"], NEWEST);
}

#[test]
fn variables_are_checked() {
    let all = [
        ("CNI_CONTAINERID", "c1"),
        ("CNI_NETNS", "/run/netns/x"),
        ("CNI_IFNAME", "eth0"),
        ("CNI_PATH", "/opt/cni/bin"),
        ("CNI_ARGS", "A=1;B=2"),
    ];
    let read = |command, change: (&str, &str)| {
        Variables::read(command, |name| {
            let of = all.iter().find(|(n, _)| *n == name)?;
            Some(if name == change.0 { change.1 } else { of.1 }.to_owned())
        })
    };
    let args = read(Command::Add, ("", "")).unwrap().args;
    assert_eq!(args, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())]);
    assert!(read(Command::Del, ("CNI_NETNS", "")).is_ok(), "DEL needs none");
    for (name, value) in [
        ("CNI_CONTAINERID", ""),
        ("CNI_CONTAINERID", "-x"),
        ("CNI_CONTAINERID", "a:b"),
        ("CNI_NETNS", ""),
        ("CNI_IFNAME", ".."),
        ("CNI_IFNAME", "a b"),
        ("CNI_IFNAME", "abcdefghijklmnop"),
        ("CNI_ARGS", "novalue"),
    ] {
        let failure = read(Command::Add, (name, value)).unwrap_err();
        assert_eq!(failure.code, code::ENVIRONMENT);
        assert!(failure.msg.contains(name), "{failure:?}");
    }
}

#[test]
fn a_configuration_says_what_a_port_has() {
    let read = spec(json!({
        "subnets": ["a"], "securityGroups": ["web"], "floatingIP": "public", "allowedAddressPairs": ["10.0.0.0/24=fa:16:3e:00:00:01"],
        "loadBalancers": ["web:80=3"], "firewallGroup": "guard", "dns": {"search": ["x"]}, "ipam": {}, "ipMasq": false, "cni.dev/attachments": [],
        "args": {"cni": {"ips": ["10.0.0.8"]}, "stackyard": {"port": "vip"}, "other": {"x": 1}},
        "runtimeConfig": {
            "ips": ["10.0.0.9/24", "fd00::9/64"], "mac": "FA:16:3E:00:00:09", "dns": {"servers": ["192.0.2.1"], "searches": []},
            "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "TCP"}], "aliases": {"n": ["a"]},
        },
    }))
    .unwrap();
    assert_eq!(read.ips, ["10.0.0.9".parse::<std::net::IpAddr>().unwrap(), "fd00::9".parse().unwrap()]);
    assert_eq!(read.mac.as_deref(), Some("fa:16:3e:00:00:09"));
    assert_eq!(read.options.port.as_deref(), Some("vip"));
    assert_eq!(read.options.publish[0].outside, 8080);
    assert_eq!(read.options.firewall_group.as_deref(), Some("guard"));
    let member = &read.options.load_balancers[0];
    assert_eq!((member.pool.as_str(), member.port, member.weight), ("web", 80, Some(3)));
    assert_eq!(read.options.address_pairs[0].1.as_deref(), Some("fa:16:3e:00:00:01"));
    assert_eq!(Value::Object(read.dns), json!({"search": ["x"], "nameservers": ["192.0.2.1"]}));
}

#[test]
fn mistakes_in_a_configuration_are_said() {
    for (more, number, text) in [
        (json!({"securityGroup": []}), 2, "did you mean `securityGroups`"),
        (json!({"flavour": "x"}), 2, "there are network"),
        (json!({"ipam": {"type": "host-local"}}), 2, "Neutron's"),
        (json!({"ipMasq": true}), 2, "router"),
        (json!({"network": ""}), 7, "which network"),
        (json!({"subnets": "a"}), 7, "list of texts"),
        (json!({"loadBalancers": ["web"]}), 7, "must be POOL:PORT"),
        (json!({"pool": "many"}), 7, "number of ports"),
        (json!({"args": {"stackyard": {"network": "x"}}}), 2, "args.stackyard.network"),
        (json!({"runtimeConfig": {"mac": "fa:16"}}), 7, "no MAC address"),
        (json!({"runtimeConfig": {"ips": ["x"]}}), 7, "no address"),
        (json!({"runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": 1}]}}), 7, "portmap"),
        (
            json!({"floatingIP": "p", "runtimeConfig": {"portMappings": [{"hostPort": 0, "containerPort": 1}]}}),
            7,
            "hostPort",
        ),
        (
            json!({"floatingIP": "p", "runtimeConfig": {"portMappings": [{"hostPort": 1, "containerPort": 1, "hostIP": "10.0.0.1"}]}}),
            7,
            "hostIP",
        ),
        (json!({"bandwidth": "both"}), 7, "\"neutron\" or \"tc\""),
        (json!({"runtimeConfig": {"bandwidth": {"ingressRate": "fast"}}}), 7, "number of bits"),
        (json!({"runtimeConfig": {"bandwidth": {"egressBurst": 8}}}), 7, "egressBurst needs egressRate"),
        (json!({"runtimeConfig": {"bandwidth": {"unshapedSubnets": ["10.0.0.0/8"]}}}), 2, "there are ingressRate"),
        (json!({"runtimeConfig": {"deviceID": "x"}}), 2, "runtimeConfig.deviceID"),
    ] {
        let failure = spec(more).unwrap_err();
        assert!(failure.code == number && failure.msg.contains(text), "{failure:?}");
    }
    let mut unknown = request(Command::Add, "c", json!({}));
    unknown.args = vec![("FOO".into(), "1".into()), ("IP".into(), "10.0.0.7".into())];
    assert_eq!(AttachSpec::read(&unknown).unwrap_err().code, code::ENVIRONMENT);
    unknown.args.push(("IgnoreUnknown".into(), "1".into()));
    assert_eq!(AttachSpec::read(&unknown).unwrap().ips.len(), 1);
}

fn attached() -> AttachResult {
    serde_json::from_value(json!({
        "host": "sy1", "device": "sc1", "mac": "fa:16:3e:00:00:0a", "mtu": 1442,
        "addresses": [{"address": "10.0.0.5/24", "gateway": "10.0.0.1"}, {"address": "fd00::5/64", "gateway": null}],
        "routes": [["0.0.0.0/0", "10.0.0.1"]], "dns": {"nameservers": ["192.0.2.1"]},
    }))
    .unwrap()
}

#[test]
fn results_have_the_shape_of_their_version() {
    let of = |version, before: Option<&Map<String, Value>>| {
        render(version, before, &attached(), "ee:ee:ee:00:00:01", "eth0", "/run/netns/x")
    };
    let newest = of(Version::V1_1_0, None);
    assert_eq!(
        newest,
        json!({
            "cniVersion": "1.1.0",
            "interfaces": [
                {"name": "sy1", "mac": "ee:ee:ee:00:00:01", "mtu": 1442},
                {"name": "eth0", "mac": "fa:16:3e:00:00:0a", "mtu": 1442, "sandbox": "/run/netns/x"},
            ],
            "ips": [
                {"address": "10.0.0.5/24", "gateway": "10.0.0.1", "interface": 1},
                {"address": "fd00::5/64", "interface": 1},
            ],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.0.0.1"}],
            "dns": {"nameservers": ["192.0.2.1"]},
        })
    );
    let old = of(Version::V0_4_0, None);
    assert_eq!((&old["ips"][0]["version"], &old["ips"][1]["version"]), (&json!("4"), &json!("6")));
    assert_eq!(old["interfaces"][1].get("mtu"), None);
    // Behind another plugin.
    let before = map(json!({
        "cniVersion": "1.0.0", "interfaces": [{"name": "eth9", "sandbox": "/run/netns/x"}],
        "ips": [{"address": "192.0.2.2/24", "interface": 0}], "dns": {"search": ["a"]},
    }));
    let both = of(Version::V1_0_0, Some(&before));
    assert_eq!((both["interfaces"].as_array().unwrap().len(), &both["ips"][1]["interface"]), (3, &json!(2)));
    assert_eq!(both["dns"], json!({"search": ["a"]}));
    let read = previous_result(&map(both), "eth0").unwrap();
    assert_eq!(read.addresses.len(), 2, "not that of the other link");
    assert_eq!((read.mac.as_deref(), read.mtu, read.routes.len()), (Some("fa:16:3e:00:00:0a"), None, 1));
    assert_eq!(previous_result(&map(newest), "eth1"), None);
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

#[tokio::test]
async fn add_is_one_request_and_del_one() {
    let fixture = Fixture::new().await;
    fixture.add("first", json!({})).await;
    fixture.requests();
    let attached = fixture.add("second", json!({})).await;
    assert_eq!(fixture.requests(), ["POST /ports"]);
    assert_eq!(attached.addresses[0].gateway.map(|g| g.to_string()).as_deref(), Some("10.5.0.1"));
    assert_eq!(attached.routes[0].0.to_string(), "0.0.0.0/0");
    assert!(matches!(fixture.ask(&request(Command::Check, "second", json!({}))).await, Reply::Attached(_)));
    assert_eq!(fixture.requests(), Vec::<String>::new());
    for container in ["first", "second", "second"] {
        assert_eq!(fixture.ask(&request(Command::Del, container, json!({}))).await, Reply::Done);
    }
    assert_eq!(fixture.requests().len(), 2);
    assert_eq!(fixture.ports(), 0);
    let Reply::Failed(failure) = fixture.ask(&request(Command::Check, "second", json!({}))).await else { panic!() };
    assert_eq!(failure.code, code::DIFFERENT);
}

#[tokio::test]
async fn from_a_pool_an_add_asks_nothing() {
    let fixture = Fixture::new().await;
    let groups = json!({"pool": 2, "securityGroups": []});
    fixture.add("a", groups.clone()).await;
    fixture.manager.tend().await.unwrap();
    assert_eq!(fixture.ports(), 3);
    fixture.requests();
    fixture.add("b", groups.clone()).await;
    assert_eq!(fixture.requests(), Vec::<String>::new());
    fixture.manager.tend().await.unwrap();
    let requests = fixture.requests();
    assert!(requests.iter().any(|r| r.starts_with("PUT /ports/")), "it learns whose it is: {requests:?}");
    fixture.pass().await;
    assert_eq!(fixture.ports(), 4, "two in use, two ready");
    // One that wants more than the pool has is made.
    fixture.add("c", json!({"pool": 2, "args": {"cni": {"ips": ["10.5.0.200"]}}})).await;
    for container in ["a", "b", "c"] {
        assert_eq!(fixture.ask(&request(Command::Del, container, json!({}))).await, Reply::Done);
    }
    assert_eq!(fixture.ports(), 2);
    fixture.add("d", json!({"pool": 0})).await;
    assert_eq!(fixture.ports(), 1, "the pool is gone");
}

#[tokio::test]
async fn a_plugin_that_goes_away_has_its_attach_taken_back() {
    let fixture = Fixture::new().await;
    let mut stream = fixture.begin(&request(Command::Add, "c", json!({}))).await;
    assert!(matches!(answer(&mut stream).await, Reply::Attached(_)));
    assert_eq!(fixture.ports(), 1);
    drop(stream);
    // Whoever comes next waits until that is done.
    assert_eq!(fixture.ask(&request(Command::Del, "c", json!({}))).await, Reply::Done);
    assert_eq!((fixture.ports(), fixture.fake_wiring.0.lock().unwrap().len()), (0, 0));
}

/// 8 and 4 Mbit/s.
fn limited(more: Value) -> Value {
    let bandwidth = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 4_000_000});
    let mut config = map(json!({"runtimeConfig": {"bandwidth": bandwidth}}));
    config.extend(map(more));
    Value::Object(config)
}

#[tokio::test]
async fn limits_that_are_alike_share_a_policy_that_goes_with_the_last_of_them() {
    let fixture = Fixture::new().await;
    let policies = || fixture.fake.world().list_all("policies");
    assert_eq!(fixture.add("a", limited(json!({}))).await.limits, Bandwidth::default(), "not for the kernel");
    fixture.requests();
    fixture.add("b", limited(json!({}))).await;
    assert_eq!(fixture.requests(), ["POST /ports"]);
    assert_eq!(policies().len(), 1);
    let limit = |direction, rate, burst| json!({"type": "bandwidth_limit", "direction": direction, "max_kbps": rate, "max_burst_kbps": burst});
    assert_eq!(policies()[0]["rules"], json!([limit("ingress", 8000, 6400), limit("egress", 4000, 3200)]));
    let policy = policies()[0]["id"].clone();
    assert!(fixture.fake.world().list_all("ports").iter().all(|p| p["qos_policy_id"] == policy));
    let check = |more: Value| request(Command::Check, "b", more);
    assert!(matches!(fixture.ask(&check(limited(json!({})))).await, Reply::Attached(_)));
    let other = json!({"runtimeConfig": {"bandwidth": {"egressRate": 5_000_000}}});
    let Reply::Failed(failure) = fixture.ask(&check(other)).await else { panic!() };
    assert!(failure.code == code::DIFFERENT && failure.msg.contains("4000 kbit/s"), "{failure:?}");

    for (container, left) in [("a", 1), ("b", 0)] {
        assert_eq!(fixture.ask(&request(Command::Del, container, json!({}))).await, Reply::Done);
        fixture.pass().await;
        assert_eq!(policies().len(), left, "after {container}");
    }
    fixture.add("c", limited(json!({}))).await;
    assert_eq!(fixture.ask(&request(Command::Del, "c", json!({}))).await, Reply::Done);
    // An administrator was faster.
    let policy = policies()[0]["id"].as_str().unwrap().to_owned();
    fixture.manager.cloud().unwrap().delete::<stackyard_openstack::QosPolicy>(&policy).await.unwrap();
    fixture.add("d", limited(json!({}))).await;
    assert_eq!(policies().len(), 1, "made anew");
}

#[tokio::test]
async fn a_policy_that_is_not_whole_is_nobodys() {
    let fixture = Fixture::new().await;
    fixture.fake.fail(|_, seen| seen.path.ends_with("/bandwidth_limit_rules").then_some(Fault::Status(409)));
    let failure =
        verbs::add(&fixture.manager, &request(Command::Add, "c", limited(json!({}))), None).await.unwrap_err();
    assert!(failure.msg.contains("bandwidth ingress-8000-6400-egress-4000-3200"), "{failure:?}");
    fixture.fake.fail(|_, _| None);
    assert_eq!((fixture.ports(), fixture.fake.world().count("policies")), (0, 1));
    fixture.pass().await;
    assert_eq!(fixture.fake.world().count("policies"), 0);
}

#[tokio::test]
async fn where_the_cloud_does_not_limit_the_kernel_does() {
    let fixture = Fixture::new().await;
    fixture
        .fake
        .fail(|_, seen| (seen.method == "POST" && seen.path.ends_with("/qos/policies")).then_some(Fault::Status(403)));
    let limits = fixture.add("a", limited(json!({}))).await.limits;
    let (ingress, egress) = (limits.ingress.unwrap(), limits.egress.unwrap());
    assert_eq!((ingress.rate, ingress.burst, egress.rate), (8_000_000, 800_000, 4_000_000));
    assert_eq!(fixture.manager.ledger.endpoints.get("a@eth0").unwrap().limits, limits);
    fixture.requests();
    assert_eq!(fixture.add("b", limited(json!({}))).await.limits, limits);
    assert_eq!(fixture.requests(), ["POST /ports"], "not asked again");
    let Reply::Attached(checked) = fixture.ask(&request(Command::Check, "b", limited(json!({})))).await else {
        panic!()
    };
    assert_eq!(checked.limits, limits, "for the plugin to look at");
    // Whoever wants Neutron's limits, or none of them, has them or an error.
    assert_eq!(fixture.add("c", limited(json!({"bandwidth": "tc"}))).await.limits, limits);
    let wanted = request(Command::Add, "d", limited(json!({"bandwidth": "neutron", "port": "vip"})));
    let failure = verbs::add(&fixture.manager, &wanted, None).await.unwrap_err();
    assert!(failure.code == code::CONFIG && failure.msg.contains("`port`"), "{failure:?}");
}

#[tokio::test]
async fn what_is_in_use_stays_and_what_is_not_goes() {
    let fixture = Fixture::new().await;
    let attached = fixture.add("c", json!({})).await;
    fixture.pass().await;
    assert_eq!(fixture.ports(), 1, "its host's end is there, and the container's is not here");
    fixture.fake_wiring.0.lock().unwrap().insert(attached.device.unwrap(), String::new());
    let view = fixture.manager.attachments().await.unwrap();
    assert!(view.endpoints.is_empty(), "the container's end was left here");
    fixture.fake_wiring.0.lock().unwrap().clear();
    fixture.pass().await;
    assert_eq!(fixture.ports(), 0);
}

#[tokio::test]
async fn what_was_begun_and_not_ended_goes() {
    let fixture = Fixture::new().await;
    let wanted = request(Command::Add, "c", json!({}));
    for ended in [true, false] {
        verbs::add(&fixture.manager, &wanted, None).await.unwrap();
        if ended {
            verbs::finish(&fixture.manager, &wanted).unwrap();
        }
        fixture.pass().await;
        assert_eq!(fixture.ports(), usize::from(ended));
    }
}

#[tokio::test]
async fn a_link_is_made_in_a_namespace_that_comes_with_the_request() {
    let fixture = Fixture::new().await;
    let path = fixture.dir.path().join("cni.sock");
    let wanted = request(Command::Add, "c", json!({"pool": 1, "securityGroups": []}));
    let line = format!("{}\n", serde_json::to_string(&wanted).unwrap());
    let sent = tokio::task::spawn_blocking(move || {
        let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        let namespace = Namespace::open(Path::new("/proc/self/ns/net")).unwrap();
        // In pieces: the file comes with the first of them.
        assert_eq!(super::shim::pass(&stream, &line.as_bytes()[..7], &namespace).unwrap(), 7);
        std::io::Write::write_all(&mut &stream, &line.as_bytes()[7..]).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    });
    let mut stream = BufReader::new(UnixStream::from_std(sent.await.unwrap()).unwrap());
    let Reply::Attached(attached) = answer(&mut stream).await else { panic!() };
    assert_eq!(attached.device, None);
    assert_eq!(fixture.fake_wiring.container_ends(), ["eth0"]);
    stream.get_mut().write_all(format!("{CONFIGURED}\n").as_bytes()).await.unwrap();
    assert_eq!(answer(&mut stream).await, Reply::Done);
}

#[tokio::test]
async fn what_is_not_listed_is_given_back() {
    let fixture = Fixture::new().await;
    for container in ["a", "b", "c"] {
        fixture.add(container, json!({})).await;
    }
    fixture.add("d", json!({"name": "other"})).await;
    let Reply::Failed(failure) = fixture.ask(&request(Command::Gc, "", json!({}))).await else { panic!() };
    assert_eq!(failure.code, code::CONFIG);
    let listed = json!({"cni.dev/valid-attachments": [{"containerID": "b", "ifname": "eth0"}]});
    assert_eq!(fixture.ask(&request(Command::Gc, "", listed)).await, Reply::Done);
    let left: Vec<String> = fixture.manager.ledger.endpoints.all().into_keys().collect();
    assert_eq!(left, ["b@eth0", "d@eth0"]);
    assert_eq!(fixture.ports(), 2);
}

#[tokio::test]
async fn status_says_whether_an_attach_could_succeed() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.ask(&request(Command::Status, "", json!({}))).await, Reply::Done);
    let nowhere = request(Command::Status, "", json!({"network": "nowhere"}));
    let Reply::Failed(failure) = fixture.ask(&nowhere).await else { panic!() };
    assert_eq!(failure.code, code::UNAVAILABLE);
    let failure = verbs::add(&fixture.manager, &request(Command::Add, "c", json!({"network": "nowhere"})), None).await;
    assert_eq!(failure.unwrap_err().code, code::CONFIG);
}

#[tokio::test]
async fn a_second_agent_does_not_take_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/cni.sock");
    let first = listen(&path).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions()) & 0o777,
        0o600
    );
    assert!(listen(&path).unwrap_err().to_string().contains("--cni-socket"));
    drop(first);
    listen(&path).unwrap();
}
