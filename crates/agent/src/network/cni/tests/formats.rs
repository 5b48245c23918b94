//! What runtimes send and get: versions, variables, configurations, results.

use super::{map, request};
use crate::network::cni::config::AttachSpec;
use crate::network::cni::failure::{Failure, code};
use crate::network::cni::protocol::{AttachResult, Command};
use crate::network::cni::result::{previous_result, render};
use crate::network::cni::spec::{NEWEST, VERSIONS, Variables, Version, versions};
use serde_json::{Map, Value, json};

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
