use super::*;

const HEAD: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}   # ours\nspec:\n";

/// Texts of the rules of the first group, in short: `tcp 80 web`, `> 10.0.0.0/8`.
fn rules(text: &str) -> Vec<RuleText> {
    groups("yard.yaml", text).unwrap()[0].rules.clone()
}

fn short(rule: &RuleText) -> String {
    let way = if rule.egress { ">" } else { "" };
    let v6 = rule.ipv6.map_or("", |on| if on { "v6" } else { "v4" });
    [way, &rule.proto, &rule.port, &rule.peer, v6].into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
}

fn text(proto: &str, port: &str, peer: &str) -> RuleText {
    RuleText { proto: proto.into(), port: port.into(), peer: peer.into(), ..RuleText::default() }
}

/// All rules as they are.
fn kept(text: &str) -> Vec<RuleChange> {
    rules(text).into_iter().enumerate().map(|(i, rule)| RuleChange { was: Some(i), rule }).collect()
}

fn new(rule: RuleText) -> RuleChange {
    RuleChange { was: None, rule }
}

fn changed(before: &str, change: impl FnOnce(&mut Vec<RuleChange>)) -> String {
    let before = format!("{HEAD}{before}");
    let mut wanted = kept(&before);
    change(&mut wanted);
    let after = rewrite("yard.yaml", &before, "web", &wanted).unwrap();
    let says: Vec<String> = rules(&after).iter().map(short).collect();
    assert_eq!(says, wanted.iter().map(|w| short(&w.rule)).collect::<Vec<_>>(), "{after}");
    after.strip_prefix(HEAD).unwrap().to_owned()
}

const BLOCK: &str = "  securityGroups:   # who may\n    - name: web\n      rules:\n        # the shop\n        - {proto: tcp, port: 80}   # for all\n        - proto: tcp  # ssh\n          port: '22'   # from the office\n          from: 192.0.2.0/24\n        # ping\n        - {proto: icmp}\n    - {name: db, rules: [{proto: tcp, port: 5432, from: web}]}\n  networks: [{name: front, cidr: 10.0.0.0/24}]\n";

#[test]
fn what_is_not_changed_stays_as_it_is() {
    assert_eq!(changed(BLOCK, |_| {}), BLOCK);
    let one_value = changed(BLOCK, |w| w[0].rule.port = "443".into());
    assert_eq!(one_value, BLOCK.replace("{proto: tcp, port: 80}", "{proto: tcp, port: 443}"));
    let in_a_block = changed(BLOCK, |w| w[1].rule.port = "2222".into());
    assert_eq!(in_a_block, BLOCK.replace("port: '22'   #", "port: 2222   #"));
}

#[test]
fn rules_of_a_block_list() {
    let added = changed(BLOCK, |w| {
        w.insert(1, new(text("tcp", "8000-8100", "db")));
        w.push(new(text("", "", "fd00::/8")));
        w.insert(0, new(text("udp", "53", "::/0")));
    });
    assert_eq!(
        added,
        BLOCK
            .replace("        - {proto: tcp, port: 80}   # for all\n", "        - {proto: udp, port: 53, from: \"::/0\"}\n        - {proto: tcp, port: 80}   # for all\n        - {proto: tcp, port: 8000-8100, from: db}\n")
            .replace("        - {proto: icmp}\n", "        - {proto: icmp}\n        - {from: fd00::/8}\n")
    );
    let removed = changed(BLOCK, |w| drop(w.remove(1)));
    assert!(!removed.contains("ssh") && removed.contains("# for all\n        # ping\n"), "{removed}");
    // There a comment would lose its place.
    let before = format!("{HEAD}{BLOCK}");
    assert!(matches!(rewrite("yard.yaml", &before, "web", &[]), Err(Error::Elsewhere { .. })));
    let bare = BLOCK.replace("        # the shop\n", "");
    let none = changed(&bare, Vec::clear);
    assert!(none.contains("    - name: web\n      rules: []\n    - {name: db"), "{none}");
}

#[test]
fn keys_come_and_go() {
    let gone = changed(BLOCK, |w| w[1].rule.peer = String::new());
    assert_eq!(gone, BLOCK.replace("          from: 192.0.2.0/24\n", ""));
    let first = changed(BLOCK, |w| (w[1].rule.proto, w[1].rule.port) = (String::new(), String::new()));
    assert!(first.contains("        - from: 192.0.2.0/24\n"), "{first}");
    let come = changed(BLOCK, |w| w[1].rule.ipv6 = Some(false));
    assert!(come.contains("          from: 192.0.2.0/24\n          ipv6: false\n"), "{come}");
    let flow = changed(BLOCK, |w| (w[0].rule.port, w[0].rule.peer) = (String::new(), "10.0.0.0/8".into()));
    assert!(flow.contains("- {proto: tcp, from: 10.0.0.0/8}   # for all\n"), "{flow}");
    let out = changed(BLOCK, |w| (w[2].rule.egress, w[2].rule.peer) = (true, "db".into()));
    assert!(out.contains("- {proto: icmp, to: db}\n"), "{out}");
    let all_out = changed(BLOCK, |w| w[2].rule = RuleText { egress: true, ..RuleText::default() });
    assert!(all_out.contains("- {direction: egress}\n"), "{all_out}");
}

#[test]
fn rules_of_a_flow_list() {
    let one_line = "  securityGroups: [{name: web, rules: [{proto: tcp, port: 80}, {proto: icmp}, {proto: udp, port: 1}]}]  # all\n";
    assert_eq!(changed(one_line, |_| {}), one_line);
    let mixed = changed(one_line, |w| {
        w.remove(1);
        w[1].rule.port = "2".into();
        w.push(new(text("tcp", "", "web")));
    });
    assert_eq!(
        mixed,
        "  securityGroups: [{name: web, rules: [{proto: tcp, port: 80}, {proto: udp, port: 2}, {proto: tcp, from: web}]}]  # all\n"
    );
    let last_two = changed(one_line, |w| w.truncate(1));
    assert_eq!(last_two, "  securityGroups: [{name: web, rules: [{proto: tcp, port: 80}]}]  # all\n");
    assert_eq!(changed(one_line, Vec::clear), "  securityGroups: [{name: web, rules: []}]  # all\n");
    let many_lines = "  securityGroups:\n    - name: web\n      rules: [\n        {proto: tcp, port: 80}, # shop\n        {proto: icmp},\n      ]\n";
    let more = changed(many_lines, |w| w[1].rule.peer = "10.0.0.0/8".into());
    assert_eq!(more, many_lines.replace("{proto: icmp}", "{proto: icmp, from: 10.0.0.0/8}"));
}

#[test]
fn a_group_without_rules_gets_some() {
    let wish = |w: &mut Vec<RuleChange>| w.push(new(text("tcp", "80", "")));
    for (before, after) in [
        ("  securityGroups: [{name: web}]\n", "  securityGroups: [{name: web, rules: [{proto: tcp, port: 80}]}]\n"),
        (
            "  securityGroups:\n    - name: web  # x\n",
            "  securityGroups:\n    - name: web  # x\n      rules:\n        - {proto: tcp, port: 80}\n",
        ),
        (
            "  securityGroups:\n    - name: web\n      rules: []  # none\n",
            "  securityGroups:\n    - name: web\n      rules: [{proto: tcp, port: 80}]  # none\n",
        ),
        (
            "  securityGroups:\n    - name: web\n      rules:  # none\n",
            "  securityGroups:\n    - name: web\n      rules: [{proto: tcp, port: 80}]  # none\n",
        ),
        (
            "  securityGroups:\n    - rules: ~\n      name: web\n",
            "  securityGroups:\n    - rules: [{proto: tcp, port: 80}]\n      name: web\n",
        ),
    ] {
        assert_eq!(changed(before, wish), after);
    }
}

#[test]
fn what_cannot_be_changed_in_place_is_left_alone() {
    let alias = format!(
        "{HEAD}  securityGroups:\n    - {{name: other, rules: &r [{{proto: tcp}}]}}\n    - {{name: web, rules: *r}}\n"
    );
    let wish = [new(text("tcp", "80", ""))];
    let error = rewrite("yard.yaml", &alias, "web", &wish).unwrap_err().to_string();
    assert_eq!(
        error,
        "the rules of `web` cannot be changed in place, since they use anchors, aliases or tags; edit the manifest itself"
    );
    let plain = format!("{HEAD}{BLOCK}");
    assert!(matches!(rewrite("yard.yaml", &plain, "nope", &wish), Err(Error::NoGroup(_))));
    let wrong = [RuleChange { was: Some(7), ..RuleChange::default() }];
    assert!(matches!(rewrite("yard.yaml", &plain, "web", &wrong), Err(Error::NoRule(3))));
    let mut turned = kept(&plain);
    turned.reverse();
    assert!(matches!(rewrite("yard.yaml", &plain, "web", &turned), Err(Error::NoRule(3))));
    assert!(matches!(rewrite("yard.yaml", "a: [", "web", &wish), Err(Error::Mistakes(_))));
}

#[test]
fn mistakes_are_at_their_fields() {
    let plain = format!("{HEAD}{BLOCK}");
    let mut wanted = kept(&plain);
    wanted[0].rule.port = "80x".into();
    let faults = |wanted: &[RuleChange]| match rewrite("yard.yaml", &plain, "web", wanted) {
        Err(Error::Faults(faults)) => faults.iter().map(|f| format!("{} {}: {}", f.rule, f.field, f.message)).collect(),
        other => vec![format!("{other:?}")],
    };
    assert_eq!(faults(&wanted), ["0 port: a port or a range of ports is expected, as 80 or 8000-8100"]);
    wanted[0].rule = text("icmp", "80", "");
    wanted[1].rule.peer = "10.0.0.0/99".into();
    assert_eq!(
        faults(&wanted),
        ["0 port: a port goes with tcp or udp, not with icmp", "1 peer: `10.0.0.0/99` is no CIDR"]
    );
    wanted[0].rule = RuleText { ipv6: Some(true), ..text("tcp", "80", "10.0.0.0/8") };
    wanted[1].rule.peer = String::new();
    assert_eq!(faults(&wanted), ["0 ipv6: it contradicts the CIDR"]);
    // The same rule twice.
    wanted[0] = kept(&plain).remove(0);
    wanted.push(new(text("tcp", "80", "")));
    let twice = faults(&wanted);
    assert!(twice.len() == 1 && twice[0].starts_with("3 "), "{twice:?}");
}

mod any {
    use super::*;
    use proptest::prelude::*;

    const LAYOUTS: [&str; 4] = [
        BLOCK,
        "  securityGroups: [{name: web, rules: [{proto: tcp, port: 80}, {proto: icmp}, {proto: udp, port: 1}]}]  # all\n",
        "  securityGroups:\n    - name: web\n      rules: [\n        {proto: tcp, port: 80}, # shop\n        {proto: icmp},\n        {from: db}\n      ]\n",
        "  securityGroups:\n  - rules:\n    # first\n    - direction: ingress # in\n      port: 80-90\n      proto: 'tcp'\n\n    -   from: \"10.0.0.0/8\"\n        proto: udp\n    - {to: 'fd00::/8', ipv6: true}\n    name: web",
    ];

    fn rule() -> impl Strategy<Value = RuleText> {
        let words = |of: &'static [&'static str]| prop::sample::select(of).prop_map(str::to_owned);
        (
            words(&["", "tcp", "udp", "icmp", "47"]),
            words(&["", "80", "1-5", "x"]),
            any::<bool>(),
            words(&["", "10.0.0.0/8", "db", "::/0", "fd00::/8", "null", "12", "a: b"]),
            prop::option::of(any::<bool>()),
        )
            .prop_map(|(proto, port, egress, peer, ipv6)| RuleText { proto, port, egress, peer, ipv6 })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn what_is_written_is_what_is_meant(
            layout in prop::sample::select(&LAYOUTS[..]),
            kept in prop::collection::vec((any::<bool>(), prop::option::of(rule())), 3),
            more in prop::collection::vec((0usize..4, rule()), 0..3),
        ) {
            let before = format!("{HEAD}{layout}");
            let mut wanted: Vec<RuleChange> = super::kept(&before);
            for (want, (_, other)) in wanted.iter_mut().zip(&kept) {
                want.rule = other.clone().unwrap_or_else(|| want.rule.clone());
            }
            let mut stays = kept.iter().map(|(stays, _)| *stays);
            wanted.retain(|_| stays.next().unwrap_or(true));
            for (at, rule) in more {
                wanted.insert(at.min(wanted.len()), new(rule));
            }
            let none = wanted.is_empty();
            match rewrite("yard.yaml", &before, "web", &wanted) {
                Ok(after) => {
                    prop_assert_eq!(rules(&after), wanted.into_iter().map(|w| w.rule).collect::<Vec<_>>());
                    // Whatever follows the list stays.
                    let tail = |text: &str| text.lines().last().unwrap_or_default().to_owned();
                    prop_assert!(none || layout.contains("]}]") || tail(&after) == tail(&before), "{}", after);
                }
                Err(Error::Faults(faults)) => prop_assert!(!faults.is_empty()),
                // A comment would lose its place with the last rule.
                Err(Error::Elsewhere { .. }) => prop_assert!(none, "{:?}", wanted),
                Err(other) => panic!("{other}"),
            }
        }
    }
}
