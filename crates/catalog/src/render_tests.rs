//! From a package to a stack.

use super::*;
use crate::facts::YardHost;
use crate::source::Memory;
use std::sync::Arc;

const PACKAGE: &str = r#"
apiVersion: stackyard.dev/v1
kind: Package
metadata: {name: demo, version: 1.0.0}
profiles: ["${profile}"]
questions:
  - {name: profile, type: enum, options: [core, full], default: core}
  - {name: tag, type: string, default: "1"}
  - {name: key, type: password, default: "openSesame"}
secrets: [{name: db, type: password}]
"#;

const COMPOSE: &str = r#"
services:
  web: {image: "web:${tag}", configs: [{source: web, target: /etc/web}], environment: {HOST: "${host_name}"}}
  more: {image: more, profiles: [full], configs: [one]}
configs: {web: {file: ./config/web}, one: {file: config/one.conf}}
"#;

fn source() -> Memory {
    Memory::new("")
        .with("package.yaml", PACKAGE)
        .with("compose.yaml", COMPOSE)
        .with("config/web/web.conf.j2", "{% include '_shared.j2' %}{% include 'web/_own.j2' %}\n")
        .with("config/web/_own.j2", "key={{ answers.key }}")
        .with("config/web/static/logo.png", [0xff, 0xd8])
        .with("config/_shared.j2", "db={{ secrets.db }}\n")
        .with("config/one.conf.j2", "{{ host.cpus }}")
}

fn go(source: Memory, pairs: &[&str]) -> Result<Rendered, Error> {
    let package = Package::load(Arc::new(source))?;
    let mut answers = Answers::default();
    pairs.iter().for_each(|p| answers.set_pair(p).expect("a pair"));
    let secrets = Secrets::from_yaml("s", "db: hunter2\n")?;
    let host = HostFacts { name: "yard".into(), cpus: 4, ..HostFacts::default() };
    render(&package, None, &answers, &secrets, &host)
}

/// Renders a package of one service over these hosts.
fn over(hosts: &[(&str, &str, &[&str])], compose: &str, conf: &str) -> Result<Rendered, Error> {
    let host = |(name, address, labels): &(&str, &str, &[&str])| YardHost {
        name: (*name).to_owned(),
        address: (*address).to_owned(),
        labels: labels.iter().map(|l| ((*l).to_owned(), "yes".to_owned())).collect(),
    };
    across(&Machines::Hosts(hosts.iter().map(host).collect()), compose, conf)
}

fn across(machines: &Machines, compose: &str, conf: &str) -> Result<Rendered, Error> {
    let source = source().with("compose.yaml", compose).with("config/one.conf.j2", conf);
    let package = Package::load(Arc::new(source))?;
    let secrets = Secrets::from_yaml("s", "db: hunter2\n")?;
    render_for_hosts(&package, "site", &Answers::default(), &secrets, machines, &|job| Ok(job.render()))
}

/// Out of the order of their names.
const THREE: &[(&str, &str, &[&str])] =
    &[("c2", "10.0.0.2", &["db", "first-class"]), ("c1", "10.0.0.1", &["db"]), ("n1", "10.0.0.9", &[])];

const SITE: &str = "services: {web: {image: 'web:${tag}', configs: [one], deploy: {replicas: 3}}}\n\
                    configs: {one: {file: config/one.conf}}\n";

/// What becomes of a template over [`THREE`].
fn listed(conf: &str) -> String {
    match over(THREE, SITE, conf) {
        Ok(rendered) => String::from_utf8(rendered.stack.configs["one"].files[""].clone()).expect("text"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn for_hosts_there_is_no_machine_to_ask_about() {
    let stack = over(THREE, SITE, "{{ secrets.db }}").expect("rendered").stack;
    assert_eq!((stack.name.as_str(), stack.services["web"].deploy.replicas), ("site", 3));
    assert_eq!(stack.configs["one"].files[""], b"hunter2");
    let error = over(THREE, &COMPOSE.replace("host_name", "host_cpus"), "").expect_err("a fact").to_string();
    assert!(error.starts_with("compose.yaml:3:") && error.contains("host_cpus"), "{error}");
    assert!(error.contains("this stack has several"), "{error}");
    let error = listed("{{ host.cpus }}");
    assert!(error.starts_with("config/one.conf.j2:1: ") && error.contains("this stack has several"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn templates_list_hosts_in_the_order_of_joining() {
    assert_eq!(listed("{{ hosts.db|map(attribute='address')|join(',') }}"), "10.0.0.2,10.0.0.1");
    assert_eq!(listed("{% for h in hosts.all %}{{ h.name }} {% endfor %}"), "c2 c1 n1 ");
    assert_eq!(listed("{{ hosts['first-class'][0].labels.db }}"), "yes");
    assert_eq!(listed("{{ hosts.web|default([])|length }}"), "0");
    let error = listed("a\n{% for h in hosts.dbs %}{{ h.name }}{% endfor %}");
    assert!(error.starts_with("config/one.conf.j2:2: ") && error.contains("did you mean `db`"), "{error}");
    let error = listed("{% for h in hosts.storage %}{% endfor %}");
    assert!(error.contains("no host that the stack may use has the label `storage`"), "{error}");
}

#[test]
fn a_review_has_three_example_hosts_with_each_label() {
    let reviewed = |conf: &str| match across(&Machines::Example, SITE, conf) {
        Ok(made) => String::from_utf8(made.stack.configs["one"].files[""].clone()).expect("text"),
        Err(error) => error.to_string(),
    };
    let members = reviewed("{% for h in hosts.db %}{{ h.name }}={{ h.address }} {% endfor %}");
    assert_eq!(members, "host-1=192.0.2.1 host-2=192.0.2.2 host-3=192.0.2.3 ");
    assert_eq!(reviewed("{{ hosts.all[1].address }} {{ hosts.db[2].labels.rack }}"), "192.0.2.2 example");
    // What no deployment accepts, no review accepts.
    let error = reviewed("{% if host.name == hosts.db[0].name %}first{% endif %}");
    assert!(error.contains("can print `host.name`"), "{error}");
}

#[test]
fn what_a_host_has_of_its_own_is_filled_in_there() {
    use stackyard_core::stack::own_host::{ADDRESS, NAME};
    let text = listed("me={{ host.name }} at {{ host.address }}, rabbit@{{ host.name ~ '.local' }}");
    assert_eq!(text, format!("me={NAME} at {ADDRESS}, rabbit@{NAME}.local"));
    let compose = "services: {web: {image: web, command: ['--at', '${host_address}'], hostname: '${host_name}'}}";
    let web = over(THREE, compose, "").expect("rendered").stack.services["web"].clone();
    assert_eq!(
        (web.hostname.as_deref(), web.command.as_deref()),
        (Some(NAME), Some(&["--at".into(), ADDRESS.into()][..]))
    );
    let compose = "services: {web: {image: 'web:1', user: '${host_name}'}}";
    let error = over(THREE, compose, "").expect_err("misplaced").to_string();
    assert!(error.contains("compose.yaml") && error.contains("services.web.user"), "{error}");
}

#[test]
fn a_template_for_hosts_decides_nothing_by_the_host() {
    for text in [
        "\n{% for h in hosts.db if h.name != host.name %}{{ h.name }}{% endfor %}",
        "\n{% if host.address == hosts.db[1].address %}first{% endif %}",
        "\n{{ host.name|upper }}",
        "\n{{ host.address|b64encode }}",
    ] {
        let error = listed(text);
        assert!(error.starts_with("config/one.conf.j2:2: ") && error.contains("can print `host.name`"), "{error}");
        assert!(error.contains("for host c2") || error.contains("for host c1"), "{error}");
    }
    // Of one machine the facts are known.
    let source = source().with("config/one.conf.j2", "{% if host.name == 'yard' %}{{ host.address }}{% endif %}");
    let one = go(source, &["profile=full"]).expect("rendered");
    assert_eq!(one.stack.configs["one"].files[""], b"127.0.0.1");
}

#[test]
fn one_machine_is_all_hosts_that_a_template_lists() {
    let text = "{% for h in hosts.controller + hosts.all %}{{ h.name }}={{ h.address }} {% endfor %}";
    let one = go(source().with("config/one.conf.j2", text), &["profile=full"]).expect("rendered");
    assert_eq!(one.stack.configs["one"].files[""], b"yard=127.0.0.1 yard=127.0.0.1 ");
}

#[test]
fn files_are_rendered() {
    let rendered = go(source(), &["tag=2"]).expect("rendered");
    assert_eq!(rendered.profiles, ["core"]);
    assert_eq!(rendered.stack.services.keys().collect::<Vec<_>>(), ["web"]);
    assert_eq!(rendered.stack.services["web"].image, "web:2");
    assert_eq!(rendered.stack.services["web"].environment["HOST"], "yard");
    let files = &rendered.stack.configs["web"].files;
    assert_eq!(files.keys().collect::<Vec<_>>(), ["static/logo.png", "web.conf"]);
    assert_eq!(files["web.conf"], b"db=hunter2\nkey=openSesame");
    assert!(!rendered.stack.configs.contains_key("one"));
    let full = go(source(), &["profile=full"]).expect("rendered");
    assert_eq!(full.stack.configs["one"].files[""], b"4");
}

#[test]
fn the_same_input_gives_the_same_stack() {
    assert_eq!(go(source(), &[]).expect("rendered").stack, go(source(), &[]).expect("rendered").stack);
}

#[test]
fn secrets_stay_out_of_the_description() {
    for (name, hint) in [("db", "it is a secret"), ("key", "it is a password")] {
        let source =
            source().with("compose.yaml", format!("services: {{a: {{image: i, environment: {{X: '${{{name}}}'}}}}}}"));
        let error = go(source, &[]).expect_err("refused").to_string();
        assert_eq!(
            error,
            format!("compose.yaml:1:44: `{name}` cannot be used here; {hint}: use it in a template under config/")
        );
    }
}

#[test]
fn mistakes() {
    let error = |source: Memory| go(source, &[]).expect_err("refused").to_string();
    assert_eq!(
        error(source().with("config/web/web.conf.j2", "a\n{{ secrets.dbb }}")),
        "config/web/web.conf.j2:2: undefined value: `secrets.dbb` is undefined in `secrets.dbb`; did you mean `db`?"
    );
    assert_eq!(
        error(source().with("compose.yaml", "services: {a: {image: 'i:${tga}'}}")),
        "compose.yaml:1:26: the variable `tga` is not known; did you mean `tag`?"
    );
    assert_eq!(
        error(source().with("compose.yaml", "services: {a: {image: i, environment: [db]}}")),
        "compose.yaml:1:40: services.a.environment: `db` has no value, and no answer has its name"
    );
    assert_eq!(
        error(source().with("compose.yaml", "services: {a: {image: i, configs: [c]}}\nconfigs: {c: {file: ../x}}")),
        "compose.yaml:2:21: configs.c: `../x` leads out of the package"
    );
    assert_eq!(
        error(
            source()
                .with("compose.yaml", "services: {a: {image: i, configs: [c]}}\nconfigs: {c: {file: ./config/none}}")
        ),
        "compose.yaml:2:21: configs.c: the package has no file `config/none`"
    );
    assert_eq!(
        error(source().with("config/web/web.conf", "twice")),
        "compose.yaml:5:23: configs.web: both `config/web/web.conf` and `config/web/web.conf.j2` are there"
    );
    let package = Package::load(Arc::new(source())).expect("read");
    let none = render(&package, None, &Answers::default(), &Secrets::default(), &HostFacts::default());
    assert_eq!(none.expect_err("no secrets").to_string(), "the package demo declares secrets that were not made: db");
    let bad = render(
        &package,
        Some("No"),
        &Answers::default(),
        &Secrets::from_yaml("s", "db: x").expect("read"),
        &HostFacts::default(),
    );
    assert_eq!(
        bad.expect_err("bad name").to_string(),
        "package.yaml: `No` cannot name a stack: only [a-z0-9][a-z0-9_-]* can"
    );
}
