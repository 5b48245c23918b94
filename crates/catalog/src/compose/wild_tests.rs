//! Forms that Compose files in the wild have, and what becomes of them.

use super::Target;
use super::tests::{load_for, service_for};

fn hosts(lines: &str) -> String {
    service_for(Target::Hosts, &format!("{lines}\nrestart: \"no\""))
}

fn project(text: &str) -> Result<super::Loaded, String> {
    load_for(Target::Hosts, &[("compose.yaml", text)], &["compose.yaml"], &[])
}

fn mistakes(text: &str) -> String {
    project(text).expect_err(text)
}

#[test]
fn commands_keep_all_their_words() {
    services! { hosts;
        "command: \"--color #fff --port 1\"" => r##"{"command":["--color","#fff","--port","1"]}"##;
        "entrypoint: \"java -jar #opt\"" => r##"{"entrypoint":["java","-jar","#opt"]}"##;
        "command: |\n  server \\\n    --port 1" => r#"{"command":["server","--port","1"]}"#;
    }
}

#[test]
fn port_forms() {
    services! { hosts;
        "ports: [':443:443', '0:80', '80/UDP']" => concat!(
            r#"{"ports":[{"host_ip":null,"protocol":"tcp","published":443,"target":443},"#,
            r#"{"host_ip":null,"protocol":"tcp","published":null,"target":80},"#,
            r#"{"host_ip":null,"protocol":"udp","published":null,"target":80}]}"#);
        "ports: ['8000-8003:80']" => r#"{"ports":[{"host_ip":null,"protocol":"tcp","published":8000,"published_last":8003,"target":80}]}"#;
        "ports: [{target: 80, published: '8000-8003', host_ip: '', protocol: TCP}]" =>
            r#"{"ports":[{"host_ip":null,"protocol":"tcp","published":8000,"published_last":8003,"target":80}]}"#;
        "ports: ['8000:80-82']" => "error: compose.yaml:4:13: services.a.ports: `8000:80-82` has ranges of different lengths";
    }
}

#[test]
fn settings_of_the_engine() {
    services! { hosts;
        "platform: linux/amd64\ncpu_shares: 512\ndomainname: d\nannotations: [a=b]\nmemswap_limit: -1\ndns_opt: ndots:1" =>
            r#"{"annotations":{"a":"b"},"cpu_shares":512,"dns_opt":["ndots:1"],"domainname":"d","memswap_limit":-1,"platform":"linux/amd64"}"#;
        "platform: windows/amd64" => "error: compose.yaml:4:15: services.a.platform: `windows/amd64`: only containers of linux can be run";
        "platform: linux//v8" => "error: compose.yaml:4:15: services.a.platform: `linux//v8`: <os>/<architecture>[/<variant>] is expected";
        "gpus: all" => r#"{"device_requests":[{"capabilities":["gpu"],"count":-1,"device_ids":[],"driver":null,"options":{}}]}"#;
        "devices: ['vendor.com/gpu=all', /dev/kvm]" => concat!(
            r#"{"device_requests":[{"capabilities":[],"count":null,"device_ids":["vendor.com/gpu=all"],"driver":"cdi","options":{}}],"#,
            r#""devices":[{"permissions":"rwm","source":"/dev/kvm","target":"/dev/kvm"}]}"#);
        "deploy: {resources: {reservations: {devices: [{count: 1}]}}}" =>
            "error: compose.yaml:4:51: services.a.deploy.resources.reservations.devices[0]: `capabilities` is missing";
        "mac_address: 02:42:ac:11:00:01" => r#"{"network_mode":{"networks":{"default":{"mac_address":"02:42:ac:11:00:01"}}}}"#;
        "network_mode: bridge" => r#"{"network_mode":"bridge"} !services.a.network_mode: names of services do not resolve on the engine's own bridge"#;
        "privileged: yes\ntty: On\nstdin_open: \"off\"" => r#"{"privileged":true,"tty":true}"#;
        "stop_grace_period: 1d" => r#"{"stop_grace_period":{"nanos":0,"secs":86400}}"#;
        "volumes: ['/a:/b:noexec,ro']" => concat!(
            r#"{"volumes":[{"kind":{"bind":{"create_host_path":true,"propagation":null,"source":"/a"}},"read_only":true,"target":"/b"}]}"#,
            " !services.a.volumes: the mode `noexec` has no effect: the engine has no such mode");
        "pre_start: [{command: [x]}]" => "error: compose.yaml:4:5: services.a: `pre_start` is not supported; use a one-shot service with depends_on";
        "post_start: [{command: ./x 'a b', environment: [A=1]}]" =>
            r#"{"post_start":[{"command":["./x","a b"],"environment":{"A":"1"},"privileged":false,"user":null,"working_dir":null}]}"#;
        "pre_stop: [{user: root}]" => "error: compose.yaml:4:16: services.a.pre_stop[0]: `command` is missing";
    }
    assert_eq!(
        service_for(Target::Hosts, "restart: \"\""),
        r#"{"restart":"unless-stopped"}"#,
        "as if nothing were said"
    );
}

#[test]
fn links_are_names_on_common_networks() {
    let text = "services:\n  web: {image: i, links: [db, 'cache:redis']}\n  db: {image: i}\n  cache: {image: i}\n";
    let stack = project(text).expect("read").stack;
    let web = &stack.services["web"];
    assert!(web.depends_on["db"].restart && web.depends_on.contains_key("cache"));
    assert_eq!(stack.attachments(&stack.services["cache"])["default"].aliases, ["redis"]);
    assert_eq!(
        mistakes("services:\n  web: {image: i, links: [bd]}\n  db: {image: i}\n"),
        "compose.yaml:2:27: services.web.links: `bd` is not defined; did you mean `db`?"
    );
    assert_eq!(
        mistakes("services:\n  web: {image: i, links: ['db:web']}\n  db: {image: i}\n"),
        "compose.yaml:2:27: services.web.links: the alias `web` is the name of another service"
    );
    assert_eq!(
        mistakes("services:\n  web: {image: i, links: [db], network_mode: host}\n  db: {image: i}\n"),
        "compose.yaml:2:27: services.web.links: `db` is on no common network; put both on one network"
    );
}

#[test]
fn overlay_networks_are_ordinary_ones() {
    let text = "services: {a: {image: i, networks: [o]}}\nnetworks: {o: {driver: overlay, attachable: true, driver_opts: {encrypted: ''}}}\n";
    let loaded = project(text).expect("read");
    let network = &loaded.stack.networks["o"];
    assert!(network.driver.is_none() && network.driver_opts.is_empty());
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "compose.yaml:2:24: networks.o.driver: no overlay is built: the yard's network for stacks takes its place, or without one an ordinary network of each host"
        ]
    );
}

#[test]
fn addresses_of_networks() {
    let text = "services: {a: {image: i, networks: [n]}}\nnetworks: {n: {ipam: {config: [{subnet: 10.1.0.0/16, ip_range: 10.1.1.0/24, aux_addresses: {x: 10.1.0.9}}], options: {k: v}}}}\n";
    let network = project(text).expect("read").stack.networks["n"].clone();
    assert_eq!(network.ip_ranges["10.1.0.0/16"], "10.1.1.0/24");
    assert_eq!(
        (network.aux_addresses["10.1.0.0/16"]["x"].as_str(), network.ipam_options["k"].as_str()),
        ("10.1.0.9", "v")
    );
}

#[test]
fn the_files_name_is_a_variable() {
    let text = "name: MyShop\nservices: {a: {image: i, hostname: '${COMPOSE_PROJECT_NAME}-a', environment: [COMPOSE_PROJECT_NAME]}}\n";
    let source = crate::Memory::new("").with("compose.yaml", text);
    let loaded = super::load(&super::Project {
        source: &source,
        paths: vec!["compose.yaml".into()],
        name: None,
        default_name: Some("directory".into()),
        profiles: Vec::new(),
        variables: crate::Variables::default(),
        files: &super::SourceFiles(&source),
        home: None,
        target: Target::Hosts,
    })
    .expect("read");
    let a = &loaded.stack.services["a"];
    assert_eq!(loaded.stack.name, "myshop");
    assert_eq!((a.hostname.as_deref(), a.environment["COMPOSE_PROJECT_NAME"].as_str()), (Some("myshop-a"), "myshop"));
    assert_eq!(
        loaded.warnings[0].to_string(),
        "compose.yaml:1:7: name: the stack is called `myshop`, as `MyShop` cannot name one"
    );
}

#[test]
fn placeholders_of_swarm_are_checked() {
    services! { hosts;
        "hostname: '{{.Node.Hostname}}-{{.Task.Slot}}'" => r#"{"hostname":"{{.Node.Hostname}}-{{.Task.Slot}}"}"#;
        "command: [a, '{{.Node.Hostname}}']" => concat!(
            r#"{"command":["a","{{.Node.Hostname}}"]} !services.a.command: placeholders stay as they are; "#,
            "they count in hostname, environment and paths of mounts only");
        "labels: {a: '{{.Task.Foo}}', b: '{{.Names}}'}" => concat!(
            r#"{"labels":{"a":"{{.Task.Foo}}","b":"{{.Names}}"}} !services.a.labels: placeholders stay as they are; "#,
            "they count in hostname, environment and paths of mounts only");
        "command: [ps, --format, '{{.Names}}']" => r#"{"command":["ps","--format","{{.Names}}"]}"#;
        "environment: {F: '{{.Names}}'}" => r#"{"environment":{"F":"{{.Names}}"}}"#;
    }
    let error = hosts("environment: {ID: '{{.Task.ID}}'}");
    let start = "error: compose.yaml:4:23: services.a.environment.ID: `{{.Task.ID}}` cannot be replaced here; the placeholders are .Node.Hostname,";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_constraint_that_no_host_meets_is_told() {
    let shown = hosts("deploy: {placement: {constraints: [node.role == manager]}}");
    let warning = "!services.a.deploy.placement.constraints: no host meets `node.role == manager`: every host is a worker; leave the constraint out";
    assert!(shown.ends_with(warning), "{shown}");
    for text in ["node.role == worker", "node.role != manager"] {
        assert!(!hosts(&format!("deploy: {{placement: {{constraints: ['{text}']}}}}")).contains('!'), "{text}");
    }
}

#[test]
fn external_files_are_refused_where_they_are_used() {
    let unused = "services: {a: {image: i}}\nsecrets: {s: {external: true}}\nconfigs: {c: {external: {name: d}}}\n";
    assert!(project(unused).expect("read").stack.secrets.is_empty());
    assert_eq!(
        mistakes("services: {a: {image: i, secrets: [s]}}\nsecrets: {s: {external: true}}\n"),
        "compose.yaml:2:14: secrets.s: no secret is kept outside of stacks; give its `file` or `environment`"
    );
}

#[test]
fn a_volume_of_a_directory_here_is_no_volume_of_hosts() {
    let text = "services: {a: {image: i, volumes: ['data:/v']}}\nvolumes: {data: {driver_opts: {type: none, o: bind, device: ./data}}}\n";
    let error = mistakes(text);
    let start =
        "compose.yaml:2:31: volumes.data.driver_opts.device: `./data` is a path of this machine, not of the hosts;";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "services:\n  a:\n    image: 'i:${NONE:?set it}'\n    ports: ['x:80', '80']\n    volumes: ['./a:/b']\n    imge: x\n  b: {image: i, extends: c, cpus: many}\n";
    assert_eq!(
        mistakes(text),
        concat!(
            "compose.yaml:3:15: the variable `NONE` is required: set it\n",
            "compose.yaml:4:13: services.a.ports: `x:80` has a published port that is not a port from 0 to 65535\n",
            "compose.yaml:5:15: services.a.volumes[0]: `./a` is in no directory of this machine; mount text with `configs`, or deploy with `stackyard stack deploy` or `stackyard up`\n",
            "compose.yaml:6:5: services.a: unknown key `imge`; did you mean `image`?\n",
            "compose.yaml:7:26: extends: this file has no service `c`; did you mean `a`?\n",
            "compose.yaml:7:35: services.b.cpus: `many`: a number of CPUs such as `0.5` is expected",
        )
    );
}

#[test]
fn files_extend_services_of_each_other() {
    let files = [
        (
            "compose.yaml",
            "services: {a: {extends: {file: compose.yaml, service: b}, hostname: a}, b: {image: i, user: u}, c: {extends: {file: other.yaml, service: x}}}\n",
        ),
        ("other.yaml", "services: {x: {extends: {file: compose.yaml, service: b}, hostname: x}}\n"),
    ];
    let stack = load_for(Target::Hosts, &files, &["compose.yaml"], &[]).expect("read").stack;
    let shown = |name: &str| (stack.services[name].user.clone(), stack.services[name].hostname.clone());
    assert_eq!(shown("a"), (Some("u".into()), Some("a".into())));
    assert_eq!(shown("c"), (Some("u".into()), Some("x".into())));
    let circle = [
        ("compose.yaml", "services: {a: {extends: {file: other.yaml, service: x}}}\n"),
        ("other.yaml", "services: {x: {extends: {file: compose.yaml, service: a}}}\n"),
    ];
    assert_eq!(
        load_for(Target::Hosts, &circle, &["compose.yaml"], &[]).expect_err("a circle"),
        "other.yaml:1:25: services extend each other in a circle: a -> x of other.yaml -> a"
    );
}

#[test]
fn documents_of_a_file_are_merged() {
    let text = "services: {a: {image: i, environment: {A: 1, B: 1}, labels: {x: y}}}\n---\nservices: {a: {environment: {B: 2}, labels: !reset {}}}\n";
    let a = project(text).expect("read").stack.services["a"].clone();
    assert_eq!((a.environment["A"].as_str(), a.environment["B"].as_str(), a.labels.len()), ("1", "2", 0));
    // A service extends what stands in its own document.
    let text = "services: {a: {image: i}, b: {extends: a}}\n---\nservices: {a: {hostname: x}}\n";
    assert!(project(text).expect("read").stack.services["b"].hostname.is_none());
    let text = "services: {a: {image: i}, b: {extends: {file: compose.yaml, service: a}}}\n---\nservices: {a: {hostname: x}}\n";
    assert_eq!(project(text).expect("read").stack.services["b"].hostname.as_deref(), Some("x"));
}

#[test]
fn an_included_project_has_its_own_variables() {
    let files = [
        ("compose.yaml", "include: [sub/compose.yaml]\nservices: {a: {image: 'a:${TAG}'}}\n"),
        ("sub/compose.yaml", "services: {b: {image: 'b:${TAG}${ONLY}'}}\n"),
        ("sub/.env", "TAG=ignored\nONLY=3\n"),
    ];
    let stack = load_for(Target::Hosts, &files, &["compose.yaml"], &[]).expect("read").stack;
    assert_eq!((stack.services["a"].image.as_str(), stack.services["b"].image.as_str()), ("a:1.2", "b:1.23"));
}

#[test]
fn names_of_services_are_those_of_containers() {
    assert_eq!(
        mistakes("services: {'a b': {image: i}}\n"),
        "compose.yaml:1:12: `a b` cannot name a service: only letters, digits, `_`, `.` and `-` can"
    );
    assert_eq!(
        mistakes("services: {a: {image: i}}\nmodels: {m: {model: x}}\n"),
        "compose.yaml:2:1: the file: `models` is not supported; models cannot be run here"
    );
}

#[test]
fn a_limit_has_one_value_and_a_port_is_published_once() {
    services! { hosts;
        "mem_limit: 64m\ndeploy: {resources: {limits: {memory: 32m}}}" =>
            "error: compose.yaml:5:43: services.a.deploy.resources.limits.memory: the service's `mem_limit` has another value";
        "mem_limit: 64m\ndeploy: {resources: {limits: {memory: 65536k}}}" => r#"{"mem_limit":67108864}"#;
        "ports: ['80:80', {target: 80, published: 80}]" =>
            r#"{"ports":[{"host_ip":null,"protocol":"tcp","published":80,"target":80}]}"#;
    }
}

#[test]
fn env_files_see_what_is_set_and_then_the_lines_before() {
    let files = [
        ("compose.yaml", "services: {a: {image: i, env_file: [one.env, two.env], environment: {E: mine}}}\n"),
        ("one.env", "A=1\nB=$A$E\nTAG=file\nC=$TAG\n"),
        ("two.env", "D=$A\nA=2\nF=$A\n"),
    ];
    let stack = load_for(Target::Hosts, &files, &["compose.yaml"], &[]).expect("read").stack;
    let all: Vec<String> = stack.services["a"].environment.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(all, ["A=2", "B=1mine", "C=1.2", "D=1", "E=mine", "F=2", "TAG=file"]);
}
