//! From a package to a stack.

use super::*;
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

#[test]
fn for_hosts_there_is_no_machine_to_ask_about() {
    let hosts = |compose: &str, conf: &str| {
        let source = source().with("compose.yaml", compose).with("config/one.conf.j2", conf);
        let package = Package::load(Arc::new(source))?;
        let secrets = Secrets::from_yaml("s", "db: hunter2\n")?;
        render_for_hosts(&package, "site", &Answers::default(), &secrets, &|job| Ok(job.render()))
    };
    let good = "services: {web: {image: 'web:${tag}', configs: [one], deploy: {replicas: 3}}}\n\
                configs: {one: {file: config/one.conf}}\n";
    let stack = hosts(good, "{{ secrets.db }}").expect("rendered").stack;
    assert_eq!((stack.name.as_str(), stack.services["web"].deploy.replicas), ("site", 3));
    assert_eq!(stack.configs["one"].files[""], b"hunter2");
    let error = hosts(COMPOSE, "").expect_err("a fact").to_string();
    assert!(error.contains("host_name") && error.contains("this stack has several"), "{error}");
    let error = hosts(good, "{{ host.cpus }}").expect_err("a fact").to_string();
    assert!(error.contains("host.cpus") && !error.contains("hunter2"), "{error}");
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
