//! Cards, addresses, packet sizes: in a network name space with interfaces made for the test.

use crate::support::{Place, ask, elsewhere, expect, question};
use stackyard_cloud::preflight::{Input, Outcome, Report};

/// A name space with `va` and `vb`, the ends of a pair, after `script`.
fn with_links(script: &str, input: &Input) -> Report {
    let script =
        format!("mount -t sysfs none /sys; ip link set lo up; ip link add va type veth peer name vb; {script}");
    elsewhere(&Place { unshare: "-nm", script: &script, ..Place::default() }, input)
}

fn api(address: &str) -> Input {
    let (_home, mut input) = question();
    input.api_address = address.parse().unwrap();
    input
}

fn neutron(interface: &str) -> Input {
    let (_home, mut input) = question();
    input.neutron_interface = Some(interface.to_owned());
    input
}

const UP: &str = "ip link set va up; ip link set vb up;";

#[test]
fn an_api_address_must_be_on_a_working_interface() {
    let id = "network.api_address";
    expect(&ask(&api("192.0.2.77")), id, Outcome::Fail, "is on no interface");
    expect(&ask(&api("0.0.0.0")), id, Outcome::Fail, "stands for all addresses");
    expect(&ask(&api("127.0.0.1")), id, Outcome::Pass, "this machine only");
    let address = "ip address add 192.0.2.7/24 dev va;";
    expect(&with_links(address, &api("192.0.2.7")), id, Outcome::Fail, "which is down");
    expect(&with_links(&format!("{address} ip link set va up"), &api("192.0.2.7")), id, Outcome::Warn, "has no link");
    expect(&with_links(&format!("{address} {UP}"), &api("192.0.2.7")), id, Outcome::Info, "without TLS");
    expect(&with_links("ip link set lo down", &api("127.0.0.1")), id, Outcome::Fail, "is");
}

#[test]
fn a_neutron_interface_must_be_free() {
    let id = "network.neutron_interface";
    let a = neutron("va");
    expect(&with_links(UP, &a), id, Outcome::Pass, "up, without an address");
    expect(&with_links(UP, &neutron("eth7")), id, Outcome::Fail, "there is no interface eth7");
    expect(&with_links(UP, &neutron("lo")), id, Outcome::Fail, "no network card");
    expect(
        &with_links(&format!("{UP} ip address add 198.51.100.2/24 dev va"), &a),
        id,
        Outcome::Fail,
        "carries 198.51.100.2/24",
    );
    expect(&with_links(&format!("{UP} ip address add 2001:db8::2/64 dev va"), &a), id, Outcome::Fail, "2001:db8::2/64");
    expect(&with_links(&format!("{UP} ip route add default dev va"), &a), id, Outcome::Fail, "the default route");
    let bridged = format!("{UP} ip link add bridge0 type bridge; ip link set va master bridge0");
    expect(&with_links(&bridged, &a), id, Outcome::Fail, "belongs to bridge0");
    expect(&with_links("", &a), id, Outcome::Warn, "is down");
    expect(&with_links("ip link set va up", &a), id, Outcome::Warn, "has no link");

    let mut same = neutron("va");
    same.api_address = "198.51.100.2".parse().unwrap();
    let report = with_links(&format!("{UP} ip address add 198.51.100.2/24 dev va"), &same);
    expect(&report, id, Outcome::Fail, "fall off the network");
}

#[test]
fn few_cards_cost_something() {
    let (_home, input) = question();
    // A pair of software interfaces counts as no card.
    expect(&with_links(UP, &input), "network.cards", Outcome::Warn, "NAT");
    expect(&with_links(UP, &neutron("va")), "network.cards", Outcome::Pass, "va is given");
}

#[test]
fn the_external_network_must_not_be_in_use() {
    let id = "network.external";
    let (_home, input) = question();
    expect(&with_links(UP, &input), id, Outcome::Pass, "is free");
    let address = format!("{UP} ip address add 172.31.250.9/25 dev va");
    expect(&with_links(&address, &input), id, Outcome::Fail, "172.31.250.9/25 on va");
    let route = format!("{UP} ip address add 192.0.2.1/24 dev va; ip route add 172.31.0.0/16 via 192.0.2.2");
    expect(&with_links(&route, &input), id, Outcome::Fail, "172.31.0.0/16 on va");
    // With a card of its own, the network is the card's.
    let mut given = input.clone();
    given.neutron_interface = Some("vb".to_owned());
    expect(&with_links(&address, &given), id, Outcome::Info, "over va");
}

#[test]
fn packets_must_fit() {
    let id = "mtu.external";
    let small = format!("ip link set va mtu 1400; ip link set vb mtu 1400; {UP}");
    expect(&with_links(&small, &neutron("va")), id, Outcome::Fail, "--set external_mtu=1400 --set tenant_mtu=1400");
    expect(&with_links(UP, &neutron("va")), id, Outcome::Pass, "va has 1500");
    let (_home, mut input) = question();
    let way_out = "ip address add 192.0.2.1/24 dev va; ip route add default via 192.0.2.2";
    expect(&with_links(&format!("{small} {way_out}"), &input), id, Outcome::Warn, "va has 1400");
    let way_out6 = "ip address add 2001:db8::1/64 dev va nodad; ip route add default via 2001:db8::2";
    expect(&with_links(&format!("{small} {way_out6}"), &input), id, Outcome::Warn, "va has 1400");
    expect(&with_links(UP, &input), id, Outcome::Info, "no way out");

    expect(&ask(&input), "mtu.tenants", Outcome::Pass, "1442: Geneve over IPv4 needs 1500");
    input.tenant_mtu = 1279;
    expect(&ask(&input), "mtu.tenants", Outcome::Warn, "no IPv6");
    input.tenant_mtu = 1501;
    expect(&ask(&input), "mtu.tenants", Outcome::Warn, "connections hang");

    let tiny = format!("ip link set va mtu 1000; {UP} ip address add 192.0.2.7/24 dev va");
    expect(&with_links(&tiny, &api("192.0.2.7")), "mtu.api", Outcome::Warn, "va: 1000");
}
