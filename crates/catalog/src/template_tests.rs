//! Templates: what they see, what they refuse.

use super::*;
use crate::answers::Answers;
use crate::package::Package;
use crate::source::Memory;
use std::sync::Arc;

const PACKAGE: &str = r#"
apiVersion: stackyard.dev/v1
kind: Package
metadata: {name: demo, version: 1.0.0}
questions:
  - {name: address, type: ip, default: 10.0.0.7}
  - {name: network, type: cidr, default: 10.0.0.16/28}
  - {name: debug, type: bool, default: true}
  - {name: nothing, type: string}
secrets: [{name: database_password, type: password}]
"#;

fn render(files: &[(&str, &str)]) -> Result<String, TemplateError> {
    let mut source = Memory::new("").with("package.yaml", PACKAGE);
    files.iter().for_each(|(path, text)| source.insert(*path, *text));
    let source: Arc<dyn Source> = Arc::new(source);
    let package = Package::load(source.clone()).expect("a package");
    let answers = Answers::default().resolve(&package.questions).expect("resolved");
    let secrets = Secrets::from_yaml("s", "database_password: hunter2hunter2\n").expect("read");
    let host = HostFacts { name: "yard".into(), cpus: 2, memory_mib: 4096, ..HostFacts::default() };
    let job = TemplateJob::new(source.as_ref(), &answers, &secrets, &Machines::One(host)).expect("a job");
    // Over the wire and back, as another process gets it.
    let job: TemplateJob = serde_json::from_str(&serde_json::to_string(&job).expect("JSON")).expect("a job");
    Templates::new(&job, &job.own_facts()).render(files[0].0)
}

fn go(text: &str) -> String {
    render(&[("config/a.conf.j2", text)]).unwrap_or_else(|e| e.to_string())
}

#[test]
fn values() {
    assert_eq!(
        go(
            "{{ answers.address }} {{ secrets.database_password }} {{ host.name }} {{ host.cpus * 2 }} {{ answers.debug }}\n"
        ),
        "10.0.0.7 hunter2hunter2 yard 4 True\n"
    );
    assert_eq!(go("a\n{% if answers.debug %}\n  b\n  {% endif %}\nc\n"), "a\n  b\nc\n");
    assert_eq!(go("{% if answers.nothing %}x{% else %}y{% endif %}"), "y");
    // Nothing is escaped, whatever the file is called.
    assert_eq!(render(&[("config/a.json.j2", "{{ '<&\"' }}")]).as_deref(), Ok("<&\""));
}

#[test]
fn filters() {
    for (expression, expected) in [
        ("answers.network|network", "10.0.0.16"),
        ("answers.network|netmask", "255.255.255.240"),
        ("answers.network|prefix", "28"),
        ("answers.network|broadcast", "10.0.0.31"),
        ("answers.network|host(1)", "10.0.0.17"),
        ("answers.network|host(-2)", "10.0.0.30"),
        ("'10.0.0.17/28'|address", "10.0.0.17"),
        ("'fd00::/64'|host(10)", "fd00::a"),
        ("'fd00::1'|ip_version", "6"),
        ("answers.address|ip_version", "4"),
        ("'a b'|b64encode", "YSBi"),
        ("{'a': [1, 'x']}|tojson", r#"{"a": [1, "x"]}"#),
    ] {
        assert_eq!(go(&format!("{{{{ {expression} }}}}")), expected, "{expression}");
    }
}

#[test]
fn mistakes() {
    for (text, expected) in [
        (
            "ok\n{{ answers.adress }}\n",
            "2: undefined value: `answers.adress` is undefined in `answers.adress`; did you mean `address`?",
        ),
        (
            "{{ secrets.other }}",
            "1: undefined value: `secrets.other` is undefined in `secrets.other`; there is no `other` in `secrets`",
        ),
        (
            "{{ answers.nothing }}",
            "1: invalid operation: the value is none; if it is an optional answer, guard it with `if` in `answers.nothing`",
        ),
        (
            "{{ answers.network|host(16) }}",
            "1: invalid operation: the network 10.0.0.16/28 has no address number 16 in `host(16)`",
        ),
        (
            "{{ 'x'|netmask }}",
            "1: invalid operation: `x` is neither an address nor a network such as 10.0.0.0/24 in `netmask`",
        ),
        ("a\n{% if %}", "2: syntax error: unexpected end of block in `%}`"),
        (
            "{% include 'none.j2' %}",
            "1: template not found: tried to include non-existing template 'none.j2' in `include 'none.j2'`",
        ),
        (
            "{{ secrets.database_password|netmask }}",
            "1: invalid operation: `******` is neither an address nor a network such as 10.0.0.0/24 in `netmask`",
        ),
        ("{{ answers.address|nosuch }}", "1: unknown filter: filter nosuch is unknown in `nosuch`"),
    ] {
        assert_eq!(go(text), format!("config/a.conf.j2:{expected}"));
    }
}

#[test]
fn includes() {
    let files = [
        ("config/svc/a.conf.j2", "{% include '_common/log.j2' %}{% include './b.j2' %}{% include '../top.j2' %}"),
        ("config/_common/log.j2", "log={{ answers.debug }}\n"),
        ("config/svc/b.j2", "b\n"),
        ("config/top.j2", "top\n"),
    ];
    assert_eq!(render(&files).as_deref(), Ok("log=True\nb\ntop\n"));
    let broken = [files[0], ("config/_common/log.j2", "\n{{ nope }}"), files[2], files[3]];
    let error = render(&broken).expect_err("broken");
    assert_eq!((error.file.as_str(), error.line), ("config/_common/log.j2", 2));
    assert!(render(&[("config/a.j2", "{% include 'a.j2' %}")]).is_err());
}

/// Each of these would take gigabytes or hours.
#[test]
fn what_takes_too_much_is_stopped() {
    for attack in [
        "{% set n = namespace(x='aaaaaaaaaaaaaaaa') %}{% for a in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10000000000 }}",
        "{{ ('a' * 1000000) * 1000000 }}",
        "{{ ([1] * 10000000000)|list }}",
        "{% set n = namespace(x='a') %}{% for a in range(40) %}{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
        "{% set n = namespace(x='a') %}{% for a in range(80) %}{% set n.x = (n.x ~ n.x)|b64encode %}{% endfor %}",
        "{% set n = namespace(x='a') %}{% for a in range(40) %}{% set n.x = n.x|replace('a', 'aa') %}{% endfor %}",
        "{% set n = namespace(x='\"') %}{% for a in range(80) %}{% set n.x = n.x|tojson %}{% endfor %}",
        "{{ '%10000000000d'|format(1) }}",
        "{{ 'a\nb'|indent(10000000000) }}",
        "{{ range(100000)|map('string')|join('a' * 100000) }}",
        "{% macro twice(x, n) %}{% if n %}{{ twice(x, n - 1) }}{{ twice(x, n - 1) }}{% endif %}{{ x }}{% endmacro %}{{ twice('a', 40) }}",
    ] {
        let begun = std::time::Instant::now();
        let error = render(&[("config/a.conf.j2", attack)]).expect_err(attack);
        // A busy machine in mind; without a limit none would end.
        assert!(begun.elapsed().as_secs() < 60, "{attack}");
        assert!(error.message.len() < 1000, "{attack}");
    }
    let error = go("a\n{% for a in range(100000) %}{% for b in range(1000) %}{{ b }}{% endfor %}{% endfor %}");
    assert!(error.starts_with("config/a.conf.j2:2: rendering it takes too much"), "{error}");
    assert!(error.contains("500000 instructions or 32 MB"), "{error}");
}

#[test]
fn the_files_of_a_package_share_a_limit() {
    let text = "{% for a in range(50000) %}{{ a }}{% endfor %}";
    let source: Arc<dyn Source> = Arc::new(Memory::new("").with("package.yaml", PACKAGE).with("config/a.j2", text));
    let package = Package::load(source.clone()).expect("a package");
    let answers = Answers::default().resolve(&package.questions).expect("resolved");
    let job = TemplateJob::new(source.as_ref(), &answers, &Secrets::default(), &Machines::Example).expect("a job");
    let templates = Templates::new(&job, &job.own_facts());
    let rendered = (0..10).take_while(|_| templates.render("config/a.j2").is_ok()).count();
    assert!((2..9).contains(&rendered), "{rendered}");
}
