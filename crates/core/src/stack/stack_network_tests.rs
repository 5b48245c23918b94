use super::*;
use crate::stack::{Attachment, PublishedPort};
use std::collections::BTreeMap;

/// A service on these networks.
fn on(networks: &[&str]) -> Service {
    let attachments = networks.iter().map(|n| ((*n).to_owned(), Attachment::default())).collect();
    Service { network_mode: NetworkMode::Networks(attachments), ..Service::default() }
}

/// A stack with services `web` and `db` on its implied network.
fn plain() -> Stack {
    let services = [("web".to_owned(), on(&[])), ("db".to_owned(), on(&[]))].into();
    Stack { name: "shop".into(), services, ..Stack::default() }
}

fn with_network(network: Network) -> Stack {
    let services = [("web".to_owned(), on(&["back"])), ("db".to_owned(), on(&["back"]))].into();
    let networks = [("back".to_owned(), Network { name: "shop_back".into(), ..network })].into();
    Stack { name: "shop".into(), services, networks, ..Stack::default() }
}

fn input(network: &StackNetwork) -> NetworkInput<'_> {
    NetworkInput { network, obstacle: None, before: None, several_hosts: true }
}

/// Settles a stack; the sentences.
fn settled(stack: &mut Stack, input: NetworkInput<'_>) -> Vec<String> {
    stack.settle_networks(input).into_iter().map(|n| n.text).collect()
}

fn only() -> StackNetwork {
    StackNetwork::Only("front".into())
}

fn named() -> StackNetwork {
    StackNetwork::Named("front".into())
}

#[test]
fn a_network_without_a_driver_is_in_the_yards_network() {
    for network in [only(), named()] {
        let mut stack = plain();
        let texts = settled(&mut stack, input(&network));
        let made = &stack.networks["default"];
        assert!(made.crosses_hosts() && stack.meet_across_hosts(&stack.services["web"], &stack.services["db"]));
        assert_eq!((made.name.as_str(), made.driver_opts["network"].as_str()), ("shop_default", "front"));
        assert_eq!(made.driver_opts[STACK_GROUP_OPTION], "true");
        assert_eq!(texts, ["network `default` is in the yard's network `front`"]);
    }
    let mut stack = with_network(Network::default());
    settled(&mut stack, input(&only()));
    assert!(stack.networks["back"].crosses_hosts());
}

#[test]
fn what_its_file_says_more_about_stays_on_each_host() {
    let bridge = || Network { driver: Some("bridge".into()), ..Network::default() };
    for (network, why) in [
        (Network { internal: true, ..Network::default() }, "it is `internal`"),
        (bridge(), "it has a driver"),
        (Network { subnets: vec![("10.0.0.0/24".into(), None)], ..Network::default() }, "(`ipam`)"),
        (Network { enable_ipv6: true, ..Network::default() }, "`enable_ipv6`"),
        (Network { driver_opts: BTreeMap::from([("a".into(), "b".into())]), ..Network::default() }, "(`driver_opts`)"),
    ] {
        let mut stack = with_network(network);
        let before = stack.clone();
        let texts = settled(&mut stack, input(&named()));
        assert_eq!(stack, before);
        assert!(texts.len() == 1 && texts[0].contains(why), "{texts:?}");
        assert!(texts[0].ends_with("its services reach those on other hosts at published ports alone"));
    }
    let only = only();
    let one_host = NetworkInput { several_hosts: false, ..input(&only) };
    assert!(settled(&mut with_network(bridge()), one_host).is_empty());
    let mut alone = with_network(bridge());
    alone.services.remove("db");
    assert!(settled(&mut alone, input(&only)).is_empty(), "a container alone meets nobody");
    let external = Network { external: true, ..Network::default() };
    assert!(settled(&mut with_network(external), input(&only)).is_empty());
}

#[test]
fn services_that_need_the_engines_network_keep_it() {
    let mut stack = plain();
    stack.services.get_mut("web").unwrap().extra_hosts.push("host.docker.internal:host-gateway".into());
    let texts = settled(&mut stack, input(&named()));
    assert!(stack.networks.is_empty() && texts[0].contains("service `web` reaches its host as `host-gateway`"));
    let mut stack = plain();
    let dns = PublishedPort { target: 53, ..stack_port() };
    stack.services.get_mut("db").unwrap().ports.push(dns);
    let texts = settled(&mut stack, input(&named()));
    assert!(stack.networks.is_empty() && texts[0].contains("service `db` is a name server"), "{texts:?}");
}

fn stack_port() -> PublishedPort {
    serde_json::from_value(serde_json::json!({"target": 80, "protocol": "tcp"})).unwrap()
}

#[test]
fn without_a_network_or_ports_all_is_as_on_one_host() {
    for network in [StackNetwork::Off, StackNetwork::Unknown] {
        let mut stack = plain();
        let texts = settled(&mut stack, input(&network));
        assert!(stack.networks.is_empty());
        assert_eq!(
            texts,
            ["network `default` is one of each host: its services reach those on other hosts at published ports alone"]
        );
    }
    let mut stack = plain();
    let why = "host edge is no server of a pool";
    let texts = settled(&mut stack, NetworkInput { obstacle: Some(why), ..input(&named()) });
    assert!(stack.networks.is_empty());
    assert_eq!(texts[0], "network `default` is not in the yard's network `front`: host edge is no server of a pool");
}

#[test]
fn a_stack_that_runs_moves_only_if_the_manifest_says_so() {
    let running = plain();
    let before = |before| NetworkInput { before: Some(before), ..input(&StackNetwork::Unknown) };
    let mut stack = plain();
    let texts = settled(&mut stack, NetworkInput { network: &only(), ..before(&running) });
    assert!(stack.networks.is_empty());
    assert!(texts[0].starts_with("network `default` stays on each host") && texts[0].contains("`stackNetwork: front`"));
    let texts = settled(&mut stack, NetworkInput { network: &named(), ..before(&running) });
    assert!(stack.networks["default"].crosses_hosts());
    assert_eq!(
        texts,
        ["network `default` moves to the yard's network `front`: its containers are recreated at once, not one after \
          the other"]
    );

    // Once it has moved, it stays there without a word, whatever is known of the yard, until the manifest says `none`.
    let moved = stack;
    let obstacle = Some("the cloud does not answer");
    for (network, obstacle) in [(only(), None), (named(), None), (StackNetwork::Unknown, None), (only(), obstacle)] {
        let mut stack = plain();
        let input = NetworkInput { network: &network, obstacle, ..before(&moved) };
        let texts = settled(&mut stack, input);
        assert_eq!(stack, moved);
        assert_eq!(texts.is_empty(), obstacle.is_none(), "{texts:?}");
    }
    let mut stack = plain();
    let texts = settled(&mut stack, NetworkInput { network: &StackNetwork::Off, ..before(&moved) });
    assert!(stack.networks.is_empty());
    assert!(texts[0].starts_with("network `default` moves from the yard's network `front` to each host"), "{texts:?}");
    let other = StackNetwork::Named("back".into());
    let texts = settled(&mut plain(), NetworkInput { network: &other, ..before(&moved) });
    assert!(texts[0].starts_with("network `default` moves to the yard's network `back`"), "{texts:?}");
}

#[test]
fn modes_of_the_host_say_what_they_mean() {
    let mut stack = plain();
    stack.services.get_mut("web").unwrap().network_mode = NetworkMode::Host;
    let texts = settled(&mut stack, input(&only()));
    assert_eq!(
        texts[1],
        "service `web` has `network_mode: host`: other services reach it at its host's address, and not by name"
    );
    assert_eq!(settled(&mut stack, NetworkInput { several_hosts: false, ..input(&only()) }).len(), 0);
}
