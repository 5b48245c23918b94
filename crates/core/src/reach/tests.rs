use super::*;

fn rule(text: &str) -> Rule {
    // `in tcp 80 any`, `out6 - 0 10.0.0.0/8`, `in icmp 8 @db`
    let words: Vec<&str> = text.split(' ').collect();
    let [way, proto, ports, peer] = words.as_slice() else { panic!("{text}") };
    let (min, max) = match ports.split_once('-') {
        Some((min, max)) => (min.parse().ok(), max.parse().ok()),
        None => {
            (ports.parse().ok().filter(|n| *n > 0), ports.parse().ok().filter(|n| *n > 0 && !proto.contains("icmp")))
        }
    };
    Rule {
        name: text.to_owned(),
        ingress: way.starts_with("in"),
        ipv6: way.ends_with('6'),
        proto: (*proto != "-").then(|| (*proto).to_owned()),
        ports: (min, max),
        peer: match (peer.strip_prefix('@'), *peer) {
            (Some(group), _) => Peer::Group(group.to_owned()),
            (None, "any") => Peer::Any,
            (None, net) => Peer::Net(net.parse().unwrap()),
        },
    }
}

fn group(name: &str, rules: &[&str]) -> (String, Group) {
    let rules = rules.iter().map(|r| rule(r)).collect();
    (name.to_owned(), Group { name: name.to_owned(), known: !name.starts_with('x'), rules })
}

fn party(name: &str, addresses: &[&str], groups: &[&str]) -> Party {
    let member = |(i, address): (usize, &&str)| Member {
        machine: format!("{name}-{i}"),
        addresses: vec![address.parse().unwrap()],
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        filtered: true,
        ..Member::default()
    };
    let members = addresses.iter().enumerate().map(member).collect();
    Party { id: format!("server/{name}"), name: name.to_owned(), members, ..Party::default() }
}

/// Rows by column: `web <- anywhere: tcp 80`.
fn lines(table: &Table) -> Vec<String> {
    let name = |end: &End| if end.name.is_empty() { "anywhere".to_owned() } else { end.name.clone() };
    let mut lines = Vec::new();
    for to in &table.targets {
        for from in &table.sources {
            let grants: Vec<String> = table.cell(&from.id, &to.id).iter().map(Grant::label).collect();
            if !grants.is_empty() {
                lines.push(format!("{} <- {}: {}", name(to), name(from), grants.join("; ")));
            }
        }
    }
    lines
}

const OUT: &str = "out - 0 any";

#[test]
fn a_shop() {
    let scene = Scene {
        groups: BTreeMap::from([
            group("web", &["in tcp 80 any", "in tcp 22 192.0.2.0/24", "in icmp 0 any", OUT]),
            group("db", &["in tcp 5432 @web", "in tcp 22 @xbastion", OUT]),
            group("xbastion", &[OUT]),
        ]),
        parties: vec![
            party("web", &["10.0.0.1", "10.0.0.2"], &["web"]),
            party("db", &["10.0.0.9"], &["db"]),
            party("bare", &["10.0.0.20"], &[]),
        ],
    };
    let table = scene.table();
    assert_eq!(
        lines(&table),
        [
            "web <- anywhere: icmp; tcp 80",
            "web <- 192.0.2.0/24: icmp; tcp 22; tcp 80",
            "web <- xbastion: icmp; tcp 80",
            "web <- web: icmp; tcp 80",
            "web <- db: icmp; tcp 80",
            "db <- xbastion: tcp 22",
            "db <- web: tcp 5432",
        ]
    );
    assert_eq!(table.cell("server/web", "server/db")[0].by, [Why::Rule("in tcp 5432 @web".into())]);
    assert_eq!(table.sources.len(), 6);
    let text = table.text();
    assert!(text.contains("server web (2) [no floating IP]\n  <- anywhere "), "{text}");
    assert!(text.ends_with("server bare [no floating IP]\n  no other member\n"), "{text}");
}

#[test]
fn what_may_not_go_out_does_not_arrive() {
    let scene = Scene {
        groups: BTreeMap::from([
            group("in", &["in tcp 1-1000 any", "in udp 53 any"]),
            group("out", &["out tcp 80-2000 10.0.0.0/8"]),
            group("mute", &[]),
        ]),
        parties: vec![
            party("in", &["10.0.0.1"], &["in"]),
            party("out", &["10.0.0.2"], &["out"]),
            party("mute", &["10.0.0.3"], &["mute"]),
        ],
    };
    let table = scene.table();
    assert_eq!(lines(&table), ["in <- anywhere: tcp 1-1000; udp 53", "in <- out: tcp 80-1000"]);
    let by = &table.cell("server/out", "server/in")[0].by;
    assert_eq!(by, &[Why::Rule("in tcp 1-1000 any".into()), Why::Rule("out tcp 80-2000 10.0.0.0/8".into())]);
}

#[test]
fn without_port_security_everything_comes_in_and_goes_out() {
    let mut open = party("open", &["10.0.0.1"], &[]);
    open.members[0].filtered = false;
    let scene = Scene {
        groups: BTreeMap::from([group("web", &["in tcp 80 any"])]),
        parties: vec![open, party("web", &["10.0.0.2"], &["web"])],
    };
    let table = scene.table();
    // The group of `web` has no egress rule.
    assert_eq!(lines(&table), ["open <- anywhere: everything", "web <- anywhere: tcp 80", "web <- open: tcp 80"]);
    assert_eq!(table.cell("anywhere", "server/open")[0].by, [Why::Open]);
}

#[test]
fn ip_versions_are_told_where_they_differ() {
    let mut both = party("both", &["10.0.0.1"], &["g"]);
    both.members[0].addresses.push("fd00::1".parse().unwrap());
    let rules = ["in tcp 80 any", "in6 tcp 80 any", "in6 tcp 443 any", "in6 ipv6-icmp 0 any", "in6 icmp 0 any", OUT];
    let four = party("four", &["10.0.0.2"], &["g"]);
    let scene = Scene { groups: BTreeMap::from([group("g", &rules)]), parties: vec![both, four] };
    assert_eq!(
        lines(&scene.table()),
        [
            "both <- anywhere: icmpv6; tcp 443 (IPv6); tcp 80",
            "both <- four: tcp 80",
            "four <- anywhere: tcp 80",
            "four <- both: tcp 80",
        ]
    );
}

#[test]
fn what_a_wider_rule_says_as_well_is_left_out() {
    let rules = [
        "in tcp 0 any",
        "in tcp 22 any",
        "in 6 1-65535 any",
        "in icmp 8 any",
        "in icmp 0 any",
        "in - 0 10.0.0.0/8",
        OUT,
    ];
    let scene = Scene {
        groups: BTreeMap::from([group("g", &rules)]),
        parties: vec![party("a", &["10.0.0.1"], &["g"]), party("b", &["192.0.2.1"], &["g"])],
    };
    assert_eq!(
        lines(&scene.table()),
        [
            "a <- anywhere: icmp; tcp",
            "a <- 10.0.0.0/8: everything",
            "a <- b: icmp; tcp",
            "b <- anywhere: icmp; tcp",
            "b <- 10.0.0.0/8: everything",
            "b <- a: everything",
        ]
    );
}

#[test]
fn networks_that_no_router_joins_and_members_that_differ() {
    let mut web = party("web", &["10.0.0.1", "10.0.0.2"], &["g"]);
    web.members[1].groups.clear();
    web.members[0].doors = vec!["203.0.113.5".into()];
    let mut far = party("far", &["10.9.0.1"], &["g"]);
    far.members[0].zone = 1;
    let scene = Scene { groups: BTreeMap::from([group("g", &["in tcp 80 any", OUT])]), parties: vec![web, far] };
    let table = scene.table();
    assert_eq!(
        lines(&table),
        ["web <- anywhere: tcp 80, some of them", "far <- anywhere: tcp 80"],
        "the other of `web` has no group and lets nothing out, and nothing goes to `far`"
    );
    assert_eq!(table.targets[0].doors, ["203.0.113.5"]);
}

#[test]
fn a_balancer_takes_what_its_members_let_in() {
    let balancer = |transparent| Party {
        kind: PartyKind::LoadBalancer,
        listeners: vec![
            Listener {
                proto: "tcp".into(),
                port: 80,
                backends: vec![("10.0.0.1".parse().unwrap(), 8080)],
                transparent,
            },
            Listener { proto: "udp".into(), port: 53, backends: vec![("10.7.7.7".parse().unwrap(), 53)], transparent },
        ],
        ..party("all", &["10.0.0.100"], &[])
    };
    let scene = |rule: &str, transparent| Scene {
        groups: BTreeMap::from([group("web", &[rule, OUT]), group("out", &["out tcp 80 any"])]),
        parties: vec![
            party("web", &["10.0.0.1"], &["web"]),
            party("other", &["10.0.0.2"], &["out"]),
            balancer(transparent),
        ],
    };
    let of =
        |scene: Scene| -> Vec<String> { lines(&scene.table()).into_iter().filter(|l| l.starts_with("all")).collect() };
    // Who is not known behind a listener is taken to answer.
    assert_eq!(
        of(scene("in tcp 8080 any", true)),
        ["all <- anywhere: tcp 80; udp 53", "all <- web: tcp 80; udp 53", "all <- other: tcp 80"]
    );
    // With OVN the members see the client.
    assert_eq!(
        of(scene("in tcp 8080 10.0.0.100/32", true)),
        [
            "all <- anywhere: tcp 80, no member lets it in; udp 53",
            "all <- 10.0.0.100/32: tcp 80; udp 53",
            "all <- web: tcp 80, no member lets it in; udp 53",
            "all <- other: tcp 80, no member lets it in"
        ]
    );
    // With others the balancer.
    assert_eq!(of(scene("in tcp 8080 10.0.0.100/32", false))[0], "all <- anywhere: tcp 80; udp 53");
    let table = scene("in tcp 8080 any", true).table();
    assert_eq!(
        table.cell("server/other", "server/all")[0].by,
        [Why::Rule("out tcp 80 any".into()), Why::Listener("tcp 80".into())]
    );
}
