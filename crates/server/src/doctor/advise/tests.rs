use super::*;
use stackyard_api::{MtuAdvice, MtuEnd, MtuPair, MtuSet, MtuWay, PortKind};
use stackyard_core::agent::{MtuContainer, MtuLink};
use stackyard_core::mtu::Ip;
use stackyard_core::mtu::search::{Beyond, Found};
use std::net::IpAddr;

fn set(place: Place, name: &str, mtu: u32) -> MtuSet {
    MtuSet { place, name: name.to_owned(), id: Some(format!("{name}-id")), mtu }
}

/// A host whose interface has an MTU, in a network with another or in none.
fn host(n: u8, network: Option<u32>, link: u32) -> MtuEnd {
    MtuEnd {
        kind: PortKind::Host,
        name: format!("h{n}"),
        host: Some(format!("id{n}")),
        container: None,
        network: network.map(|_| "front".to_owned()),
        address: Some(IpAddr::from([10, 0, 0, n])),
        set: network
            .map(|m| set(Place::Network, "front", m))
            .into_iter()
            .chain([set(Place::Link, "eth0", link)])
            .collect(),
    }
}

fn server(network: u32) -> MtuEnd {
    let set = vec![set(Place::Network, "front", network)];
    MtuEnd { kind: PortKind::Server, name: "db".to_owned(), host: None, set, ..host(9, Some(network), 0) }
}

fn found(largest: u32, lets_in: u32, beyond: Beyond) -> MtuWay {
    MtuWay::of(Ok(Found { largest: Some(largest), lets_in: Some(lets_in), beyond, probes: 3 }), true)
}

fn fits(mtu: u32) -> MtuWay {
    found(mtu, mtu, Beyond::Held)
}

fn hole(largest: u32, lets_in: u32) -> MtuWay {
    found(largest, lets_in, Beyond::Lost)
}

fn pair(from: &MtuEnd, to: &MtuEnd, there: MtuWay, back: Option<MtuWay>) -> MtuPair {
    MtuPair { from: from.clone(), to: to.clone(), there, back }
}

/// A survey with a stack's network of containers, made with an option or without, and one container.
fn survey(link: u32, option: Option<u32>, containers: u32) -> MtuSurvey {
    let of_host = MtuLink { name: "eth0".into(), mtu: link, default: true, ..MtuLink::default() };
    let network = MtuNetwork {
        id: "net-id".into(),
        name: "shop_default".into(),
        driver: "bridge".into(),
        stack: Some("shop".into()),
        option,
        bridge: Some("br-1".into()),
    };
    let inside = MtuLink { name: "eth0".into(), mtu: containers, network: Some("net-id".into()), ..MtuLink::default() };
    let container = MtuContainer { id: "c1".into(), name: "shop-web-1".into(), links: vec![inside] };
    MtuSurvey { links: vec![of_host], networks: vec![network], containers: vec![container], problem: None }
}

struct Case {
    ends: Vec<MtuEnd>,
    pairs: Vec<MtuPair>,
    surveys: BTreeMap<String, MtuSurvey>,
    agents: BTreeMap<String, u32>,
    layers: BTreeMap<String, Layer>,
}

fn case(ends: &[&MtuEnd], pairs: Vec<MtuPair>) -> Case {
    let (surveys, agents, layers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    Case { ends: ends.iter().copied().cloned().collect(), pairs, surveys, agents, layers }
}

fn advice(case: &Case) -> Vec<MtuAdvice> {
    let Case { ends, pairs, surveys, agents, layers } = case;
    advise(&Measurements { ends, pairs, surveys, agents, layers })
}

fn steps(case: &Case) -> Vec<String> {
    advice(case).iter().map(|a| a.step.as_ref().map_or_else(|| a.problem.clone(), ToString::to_string)).collect()
}

#[test]
fn where_all_arrives_nothing_is_advised() {
    let (a, b, db) = (host(1, Some(1442), 1442), host(2, Some(1442), 1442), server(1442));
    let pairs = vec![pair(&a, &b, fits(1442), Some(fits(1442))), pair(&a, &db, fits(1442), None)];
    assert_eq!(steps(&case(&[&a, &b, &db], pairs)), [""; 0]);
    // What a router tells of is no mistake between machines that are in no network of the cloud.
    let (a, b) = (host(1, None, 1500), host(2, None, 1500));
    let told = found(1400, 1500, Beyond::Told { by: IpAddr::from([192, 0, 2, 1]) });
    assert_eq!(steps(&case(&[&a, &b], vec![pair(&a, &b, told, Some(fits(1500)))])), [""; 0]);
}

#[test]
fn a_network_that_promises_too_much() {
    let (a, b, db) = (host(1, Some(1500), 1500), host(2, Some(1500), 1500), server(1500));
    let pairs = vec![
        pair(&a, &b, hole(1450, 1500), Some(hole(1442, 1500))),
        pair(&b, &db, hole(1442, 1500), None),
        pair(&a, &db, found(1400, 1500, Beyond::Held), None),
    ];
    let mut case = case(&[&a, &b, &db], pairs);
    case.layers.insert("front".into(), Layer::ovn_geneve(Ip::V4));
    assert_eq!(
        steps(&case),
        [
            "network front: MTU 1500 -> 1442",
            "host h1, interface eth0: MTU 1500 -> 1442",
            "host h2, interface eth0: MTU 1500 -> 1442"
        ]
    );
    let first = &advice(&case)[0];
    assert!(first.remedy.contains("carry 1558 bytes") && first.remedy.contains("about 1500"), "{}", first.remedy);
    assert!(first.remedy.contains("VLAN"), "{}", first.remedy);
    case.layers.insert("front".into(), Layer::Flat);
    assert!(!advice(&case)[0].remedy.contains("VLAN"));
}

#[test]
fn one_machine_that_differs_from_its_network() {
    // A larger one loses packets to all others, whose interfaces are as the network says.
    let (a, b) = (host(1, Some(1442), 1500), host(2, Some(1442), 1442));
    let pairs = vec![pair(&a, &b, hole(1442, 1500), Some(fits(1442)))];
    assert_eq!(steps(&case(&[&a, &b], pairs)), ["host h1, interface eth0: MTU 1500 -> 1442"]);
    let db = server(1442);
    let pairs = vec![pair(&a, &db, hole(1442, 1500), None)];
    assert_eq!(steps(&case(&[&a, &db], pairs)), ["host h1, interface eth0: MTU 1500 -> 1442"]);
    // A veth lets in four bytes more than it is set to.
    let (a, b) = (host(1, Some(1500), 1500), host(2, Some(1500), 1400));
    let pairs = vec![pair(&a, &b, hole(1404, 1500), Some(fits(1400)))];
    assert_eq!(steps(&case(&[&a, &b], pairs)), ["host h2, interface eth0: MTU 1400 -> 1500"]);
    // A smaller one to which nothing is lost is let be.
    let pairs = vec![pair(&a, &b, fits(1500), Some(fits(1400)))];
    assert_eq!(steps(&case(&[&a, &b], pairs)), [""; 0]);
}

#[test]
fn machines_in_no_network_of_the_cloud() {
    let (a, b, c) = (host(1, None, 1500), host(2, None, 1500), host(3, None, 1500));
    let pairs = vec![
        pair(&a, &b, hole(1400, 1500), Some(fits(1500))),
        pair(&b, &c, fits(1500), Some(fits(1500))),
        pair(&c, &a, fits(1500), Some(hole(1380, 1500))),
    ];
    assert_eq!(
        steps(&case(&[&a, &b, &c], pairs)),
        [
            "host h1, interface eth0: MTU 1500 -> 1380",
            "host h2, interface eth0: MTU 1500 -> 1400",
            "host h3, interface eth0: MTU 1500 -> 1380"
        ]
    );
    let small = host(2, None, 1200);
    let all = case(&[&a, &small], vec![pair(&a, &small, hole(1204, 1500), Some(fits(1200)))]);
    assert_eq!(steps(&all), ["host h1, interface eth0: MTU 1500 -> 1200"]);
    assert!(advice(&all)[0].lasts.contains("IPv6 needs 1280"));
}

#[test]
fn containers_get_what_their_host_has() {
    let (a, b) = (host(1, Some(1442), 1442), host(2, Some(1442), 1442));
    let mut inside = MtuEnd { kind: PortKind::Container, name: "shop-web-1 on h1".into(), ..a.clone() };
    inside.container = Some("c1".into());
    inside.set.push(MtuSet { id: Some("net-id".into()), ..set(Place::Containers, "shop_default", 1500) });
    let told = found(1442, 1500, Beyond::Told { by: IpAddr::from([172, 18, 0, 1]) });
    let pairs = vec![pair(&a, &b, fits(1442), Some(fits(1442))), pair(&inside, &b, told, None)];
    let mut case = case(&[&a, &b, &inside], pairs);
    case.surveys.insert("id1".into(), survey(1442, Some(1500), 1500));
    case.agents.insert("id1".into(), 1442);
    assert_eq!(steps(&case), ["host h1, containers in network shop_default: MTU 1500 -> 1442"]);
    let chosen = advice(&case);
    assert!(chosen[0].remedy.contains("Compose file of stack shop (it says 1500)"), "{}", chosen[0].remedy);
    assert!(chosen[0].lasts.contains("recreated"));
    // Nobody has chosen: the agent follows its host by itself.
    case.surveys.insert("id1".into(), survey(1442, None, 1500));
    assert!(advice(&case)[0].remedy.contains("agent gives"));
    // They follow what their host's interface is to be.
    case.surveys.insert("id1".into(), survey(1442, Some(1442), 1442));
    assert_eq!(steps(&case), [""; 0]);
    case.pairs[0].there = hole(1400, 1442);
    let all = steps(&case);
    assert!(all.contains(&"host h1, interface eth0: MTU 1442 -> 1400".to_owned()), "{all:?}");
    assert_eq!(all.last().unwrap(), "host h1, containers in network shop_default: MTU 1442 -> 1400");
    assert!(advice(&case)[1].lasts.contains("a minute later the host's agent"), "{:?}", advice(&case)[1]);
}

#[test]
fn what_is_lost_between_networks_is_said() {
    let (a, mut db) = (host(1, Some(1500), 1500), server(1500));
    db.network = Some("back".into());
    let all = case(&[&a, &db], vec![pair(&a, &db, hole(1400, 1500), None)]);
    assert_eq!(steps(&all), ["packets of more than 1400 bytes from host h1 to server db vanish"]);
    assert!(advice(&all)[0].remedy.contains("type 3, code 4"));
    // Where nothing passes, nothing is known of sizes.
    let filtered = Found { largest: None, lets_in: None, beyond: Beyond::Lost, probes: 3 };
    let all = case(&[&a, &db], vec![pair(&a, &db, MtuWay::of(Ok(filtered), false), None)]);
    assert_eq!(steps(&all), [""; 0]);
}
