//! Syntaxes, overrides and mistakes, one by one.

use super::*;
use crate::source::Memory;

/// Reads `compose.yaml` (and further files) with some variables set.
fn load_all(files: &[(&str, &str)], paths: &[&str], profiles: &[&str]) -> Result<Loaded, String> {
    load_for(Target::Engine, files, paths, profiles)
}

pub(super) fn load_for(
    target: Target,
    files: &[(&str, &str)],
    paths: &[&str],
    profiles: &[&str],
) -> Result<Loaded, String> {
    let mut source = Memory::new("");
    files.iter().for_each(|(path, text)| source.insert(*path, *text));
    let values = [("TAG", "1.2"), ("PORT", "8080"), ("EMPTY", ""), ("FLAG", "true")];
    let variables = Variables::lenient(values.into_iter().map(|(k, v)| (k.into(), v.into())).collect());
    let project = Project {
        source: &source,
        paths: paths.iter().map(|p| (*p).to_owned()).collect(),
        name: Some("demo".into()),
        default_name: None,
        profiles: profiles.iter().map(|p| (*p).to_owned()).collect(),
        variables,
        files: &SourceFiles(&source),
        home: Some("/home/me".into()),
        target,
    };
    load(&project).map_err(|e| e.to_string())
}

fn load_text(text: &str) -> Result<Loaded, String> {
    load_all(&[("compose.yaml", text)], &["compose.yaml"], &[])
}

/// What a service says beyond the defaults, as JSON on one line.
fn shown(value: impl serde::Serialize) -> String {
    fn strip(value: serde_json::Value) -> Option<serde_json::Value> {
        use serde_json::Value::{Array, Bool, Null, Object};
        match value {
            Null | Bool(false) => None,
            Array(a) if a.is_empty() => None,

            Object(o) => {
                let o: serde_json::Map<_, _> = o.into_iter().filter_map(|(k, v)| Some((k, strip(v)?))).collect();
                (!o.is_empty()).then_some(Object(o))
            }
            other => Some(other),
        }
    }
    let mut value = serde_json::to_value(value).expect("serialised");
    if value["restart"] == "no" {
        value["restart"] = serde_json::Value::Null;
    }
    strip(value).unwrap_or_default().to_string()
}

/// The service `a` with these lines, image left out of the answer.
fn service(lines: &str) -> String {
    service_for(Target::Engine, lines)
}

pub(super) fn service_for(target: Target, lines: &str) -> String {
    let indented: String = lines.lines().map(|l| format!("    {l}\n")).collect();
    let tops = "networks: {front: {}, back: {}}\nvolumes: {data: {}}\nconfigs: {c: {content: x}}\nsecrets: {s: {content: x}}\n";
    let text = format!("services:\n  a:\n    image: i\n{indented}  b: {{image: j, depends_on: {{}}}}\n{tops}");
    match load_for(target, &[("compose.yaml", &text)], &["compose.yaml"], &[]) {
        Ok(loaded) => {
            let warnings: String = loaded.warnings.iter().map(|w| format!(" !{}", w.message)).collect();
            let mut service = serde_json::to_value(&loaded.stack.services["a"]).expect("serialised");
            service["image"] = serde_json::Value::Null;
            let shown = shown(service);
            (if shown == "null" { "{}".into() } else { shown }) + &warnings
        }
        Err(e) => format!("error: {e}"),
    }
}

#[test]
fn commands() {
    services! { service;
        "command: sh -c 'a b' \"c\"" => r#"{"command":["sh","-c","a b","c"]}"#;
        "command: [a, 1.10, 'b c']" => r#"{"command":["a","1.10","b c"]}"#;
        "entrypoint: []" => "{}";
        "command: it's" => "error: compose.yaml:4:14: services.a.command: `it's` has an open quote";
    }
    let loaded = load_text("services: {a: {image: i, entrypoint: []}}").expect("read");
    assert_eq!(loaded.stack.services["a"].entrypoint, Some(vec![]));
}

#[test]
fn environments() {
    services! { service;
        "environment: [A=1, B=x=y, TAG, NONE]" => r#"{"environment":{"A":"1","B":"x=y","TAG":"1.2"}}"#;
        "environment: {A: 1.10, B: true, C: '', TAG: , NONE: , D: 0440}"
            => r#"{"environment":{"A":"1.10","B":"true","C":"","D":"0440","TAG":"1.2"}}"#;
        "environment: {A: [1]}" => "error: compose.yaml:4:22: services.a.environment.A: text is expected, not a list";
        "environment: [=x]" => "error: compose.yaml:4:19: services.a.environment: `` cannot name a variable";
    }
    let files = [
        (
            "compose.yaml",
            "services: {a: {image: i, env_file: [one.env, {path: no.env, required: false}], environment: {B: b}}}",
        ),
        ("one.env", "A=1\nB=2\nC=$A$TAG\n"),
    ];
    let loaded = load_all(&files, &["compose.yaml"], &[]).expect("read");
    assert_eq!(shown(&loaded.stack.services["a"].environment), r#"{"A":"1","B":"b","C":"11.2"}"#);
    let missing = load_text("services: {a: {image: i, env_file: no.env}}").expect_err("missing");
    assert_eq!(missing, "compose.yaml:1:36: cannot read no.env: entity not found");
}

#[test]
fn mounts() {
    services! { service;
        "volumes: ['data:/d', '/h:/t:ro,rshared', '~/x:/x', /anon]" => concat!(
            r#"{"volumes":[{"kind":{"volume":{"name":"data","nocopy":false}},"read_only":false,"target":"/d"},"#,
            r#"{"kind":{"bind":{"create_host_path":true,"propagation":"rshared","source":"/h"}},"read_only":true,"target":"/t"},"#,
            r#"{"kind":{"bind":{"create_host_path":true,"propagation":null,"source":"/home/me/x"}},"read_only":false,"target":"/x"},"#,
            r#"{"kind":"anonymous","read_only":false,"target":"/anon"}]}"#);
        "volumes:\n- type: bind\n  source: /a/../b/./c\n  target: /t\n  bind: {propagation: slave, create_host_path: false}" =>
            r#"{"volumes":[{"kind":{"bind":{"create_host_path":false,"propagation":"slave","source":"/b/c"}},"read_only":false,"target":"/t"}]}"#;
        "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 64m}}]" =>
            r#"{"volumes":[{"kind":{"tmpfs":{"size":67108864}},"read_only":false,"target":"/t"}]}"#;
        "volumes: [{type: volume, source: data, target: /t, volume: {nocopy: true}}]" =>
            r#"{"volumes":[{"kind":{"volume":{"name":"data","nocopy":true}},"read_only":false,"target":"/t"}]}"#;
        "volumes: ['/a:/b:z']" => concat!(
            r#"{"volumes":[{"kind":{"bind":{"create_host_path":true,"propagation":null,"source":"/a"}},"read_only":false,"target":"/b"}]}"#,
            " !services.a.volumes[0].bind: `selinux` has no effect: volumes are not relabelled; use security_opt");
        "volumes: ['dat:/d']" => "error: compose.yaml:4:15: services.a: the volume `dat` is not defined; did you mean `data`?";
        "volumes: ['data:d']" => "error: compose.yaml:4:15: services.a.volumes: `data:d` has a target that is not an absolute path";
        "volumes: ['data:/d:rx']" => "error: compose.yaml:4:15: services.a.volumes: `data:/d:rx` has the unknown mode `rx`";
        "volumes: ['x/y:/d']" => "error: compose.yaml:4:15: services.a.volumes: `x/y:/d` has a source that is neither a volume nor starts with `./` or `/`";
        "volumes: ['./x:/d']" => "error: compose.yaml:4:15: services.a.volumes[0]: `./x` is in no directory of this machine; mount files of the package with `configs`";
        "volumes: [{type: image, source: i, target: /t}]" => concat!(
            "error: compose.yaml:4:15: services.a.volumes[0]: `type: image`: only volume, bind and tmpfs can be mounted; ",
            "copy its files into a volume with a one-shot service");
        "volumes: ['/a:/t', 'data:/t/']" => "error: compose.yaml:3:5: services.a: two things are mounted at `/t`";
        "tmpfs: /run" => r#"{"tmpfs":{"/run":""}}"#;
        "tmpfs: ['/run:size=64m,mode=755', /tmp]" => r#"{"tmpfs":{"/run":"size=64m,mode=755","/tmp":""}}"#;
        "devices: ['/dev/kvm', '/dev/a:/dev/b:r', {source: /dev/c}]" => concat!(
            r#"{"devices":[{"permissions":"rwm","source":"/dev/kvm","target":"/dev/kvm"},"#,
            r#"{"permissions":"r","source":"/dev/a","target":"/dev/b"},{"permissions":"rwm","source":"/dev/c","target":"/dev/c"}]}"#);
        "devices: ['/dev/a:/dev/b:q']" => "error: compose.yaml:4:15: services.a.devices[0].permissions: `q` is not of `rwm`";
        "devices: ['gpu=all']" => "error: compose.yaml:4:15: services.a.devices: `gpu=all` is not a path; give a path below /dev, or a CDI name, `vendor.com/class=name`";
    }
}

#[test]
fn mounted_files() {
    services! { service;
        "configs: [c]" => r#"{"configs":[{"source":"c","target":"/c"}]}"#;
        "configs: [{source: c, target: /etc/c}]" => r#"{"configs":[{"source":"c","target":"/etc/c"}]}"#;
        "secrets: [s, {source: s, target: t}]" => r#"{"secrets":[{"source":"s","target":"/run/secrets/s"},{"source":"s","target":"/run/secrets/t"}]}"#;
        "configs: [{source: c, mode: 0440}]" => r#"{"configs":[{"mode":288,"source":"c","target":"/c"}]}"#;
        "configs: [{source: c, mode: '0444', uid: '0'}]" => r#"{"configs":[{"source":"c","target":"/c"}]}"#;
        "secrets: [{source: s, uid: '103', gid: 104, mode: 0o400}]"
            => r#"{"secrets":[{"gid":104,"mode":256,"source":"s","target":"/run/secrets/s","uid":103}]}"#;
        "configs: [{source: c, mode: 4755}]" => "error: compose.yaml:4:33: services.a.configs[0].mode: `4755` is not a file mode; write it in octal, 0444";
        "configs: [{source: c, uid: www-data}]" => "error: compose.yaml:4:32: services.a.configs[0].uid: a whole number is expected, not `www-data`";
        "configs: [d]" => "error: compose.yaml:4:15: services.a: the config `d` is not defined; did you mean `c`?";
    }
    let files = [
        (
            "compose.yaml",
            "services: {a: {image: i, configs: [dir, one, var, text]}}\nconfigs: {dir: {file: ./conf}, one: {file: conf/x}, var: {environment: TAG}, text: {content: 'v=${TAG}'}, unused: {file: ./nowhere}}",
        ),
        ("conf/x", "X"),
        ("conf/d/y", "Y"),
    ];
    let loaded = load_all(&files, &["compose.yaml"], &[]).expect("read");
    let shown: Vec<String> = loaded
        .stack
        .configs
        .iter()
        .flat_map(|(name, c)| c.files.iter().map(move |(p, b)| format!("{name}:{p}={}", String::from_utf8_lossy(b))))
        .collect();
    assert_eq!(shown, ["dir:d/y=Y", "dir:x=X", "one:=X", "text:=v=1.2", "var:=1.2"]);
    for (config, expected) in [
        (
            "{external: true}",
            "compose.yaml:2:14: configs.c: no config is kept outside of stacks; give its `file` or `environment`",
        ),
        (
            "{file: a, content: b}",
            "compose.yaml:2:14: configs.c: exactly one of `file`, `content`, `environment` is needed",
        ),
        ("{environment: NONE}", "compose.yaml:2:28: configs.c: the variable `NONE` is not set"),
        ("{file: ./none}", "compose.yaml:2:21: configs.c: there is no file ./none"),
    ] {
        let text = format!("services: {{a: {{image: i, configs: [c]}}}}\nconfigs: {{c: {config}}}");
        assert_eq!(load_text(&text).expect_err(config), expected);
    }
}

#[test]
fn networks_and_ports() {
    services! { service;
        "network_mode: host" => r#"{"network_mode":"host"}"#;
        "network_mode: service:b" => r#"{"depends_on":{"b":{"condition":"started","required":true,"restart":true}},"network_mode":{"service":"b"}}"#;
        "networks: [front]" => r#"{"network_mode":{"networks":{"front":{"aliases":[],"driver_opts":{},"ipv4_address":null,"ipv6_address":null,"mac_address":null}}}}"#
            .replace(r#"{"aliases":[],"driver_opts":{},"ipv4_address":null,"ipv6_address":null,"mac_address":null}"#, "{}").replace(r#"{"network_mode":{"networks":{"front":{}}}}"#, "{}").as_str();
        "networks: {front: {aliases: [x], ipv4_address: 10.0.0.2}, back: }" =>
            r#"{"network_mode":{"networks":{"front":{"aliases":["x"],"ipv4_address":"10.0.0.2"}}}}"#;
        "networks: [frond]" => "error: compose.yaml:4:16: services.a: the network `frond` is not defined; did you mean `front`?";
        "networks: [front]\nnetwork_mode: host" => "error: compose.yaml:4:15: services.a: `networks` and `network_mode` exclude each other";
        "network_mode: hosst" => "error: compose.yaml:4:19: services.a.network_mode: `hosst`: one of `host`, `none`, `bridge`, `service:<name>`, `container:<name>` is expected";
        "ports: ['80', '8080:80', '127.0.0.1:53:53/udp', '[::1]:6001-6002:7001-7002', '127.0.0.1::90']" => concat!(
            r#"{"ports":[{"host_ip":null,"protocol":"tcp","published":null,"target":80},"#,
            r#"{"host_ip":null,"protocol":"tcp","published":8080,"target":80},"#,
            r#"{"host_ip":"127.0.0.1","protocol":"udp","published":53,"target":53},"#,
            r#"{"host_ip":"::1","protocol":"tcp","published":6001,"target":7001},"#,
            r#"{"host_ip":"::1","protocol":"tcp","published":6002,"target":7002},"#,
            r#"{"host_ip":"127.0.0.1","protocol":"tcp","published":null,"target":90}]}"#);
        "ports: [{target: 80, published: '${PORT}', host_ip: 127.0.0.1, protocol: tcp, mode: host}]" =>
            r#"{"ports":[{"host_ip":"127.0.0.1","protocol":"tcp","published":8080,"target":80}]}"#;
        "ports: ['8000-8003:80-81']" => "error: compose.yaml:4:13: services.a.ports: `8000-8003:80-81` has ranges of different lengths";
        "ports: ['x:80']" => "error: compose.yaml:4:13: services.a.ports: `x:80` has a published port that is not a port from 0 to 65535";
        "ports: ['1.2.3:1:80']" => "error: compose.yaml:4:13: services.a.ports: `1.2.3:1:80` has a host address that is not an IP address";
        "ports: ['80/tpc']" => "error: compose.yaml:4:13: services.a.ports[0].protocol: `tpc`: one of `tcp`, `udp`, `sctp` is expected";
        "ports: ['70000']" => "error: compose.yaml:4:13: services.a.ports: `70000` is not [[address:]port:]port[/protocol]";
        "expose: [80, 90-91/udp]" => r#"{"expose":["80/tcp","90/udp","91/udp"]}"#;
        "extra_hosts: [a=10.0.0.1, 'b:::1', 'c=[::2]']" => r#"{"extra_hosts":["a:10.0.0.1","b:::1","c:::2"]}"#;
        "extra_hosts: {a: 10.0.0.1, b: [1.1.1.1, 2.2.2.2]}" => r#"{"extra_hosts":["a:10.0.0.1","b:1.1.1.1","b:2.2.2.2"]}"#;
        "dns: 1.1.1.1" => r#"{"dns":["1.1.1.1"]}"#;
    }
    let text = "services: {a: {image: i, networks: [n, e]}, b: {image: i}}\nnetworks:\n  n: {internal: true, ipam: {config: [{subnet: 10.1.0.0/24, gateway: 10.1.0.1}]}}\n  e: {external: true, name: shared}\n  unused: {}\n";
    let loaded = load_text(text).expect("read");
    let shown: Vec<String> = loaded.stack.networks.iter().map(|(k, n)| format!("{k} {}", shown(n))).collect();
    assert_eq!(
        shown,
        [
            r#"default {"name":"demo_default"}"#,
            r#"e {"external":true,"name":"shared"}"#,
            r#"n {"internal":true,"name":"demo_n","subnets":[["10.1.0.0/24","10.1.0.1"]]}"#
        ]
    );
}

#[test]
fn health_and_dependencies() {
    services! { service;
        "healthcheck: {test: [CMD, a, b], interval: 1m30s, timeout: 500ms, retries: 3, start_period: 2s}" =>
            r#"{"healthcheck":{"interval":{"nanos":0,"secs":90},"retries":3,"start_period":{"nanos":0,"secs":2},"test":{"cmd":["a","b"]},"timeout":{"nanos":500000000,"secs":0}}}"#;
        "healthcheck: {test: curl -f x}" => r#"{"healthcheck":{"test":{"shell":"curl -f x"}}}"#;
        "healthcheck: {test: [CMD-SHELL, a || b]}" => r#"{"healthcheck":{"test":{"shell":"a || b"}}}"#;
        "healthcheck: {disable: true}" => r#"{"healthcheck":{"test":"disabled"}}"#;
        "healthcheck: {test: [NONE]}" => r#"{"healthcheck":{"test":"disabled"}}"#;
        "healthcheck: {test: [curl, x]}" => "error: compose.yaml:4:25: services.a.healthcheck.test: a list starts with `CMD`, `CMD-SHELL` (and one line) or is [`NONE`]";
        "healthcheck: {interval: 5s}" => "error: compose.yaml:4:18: services.a.healthcheck: `test` is missing; give the `test`, or `disable: true`";
        "healthcheck: {test: x, interval: 30}" => "error: compose.yaml:4:38: services.a.healthcheck.interval: `30`: a duration such as `1m30s` (units us, ms, s, m, h, d, w) is expected";
        "depends_on: [b]" => r#"{"depends_on":{"b":{"condition":"started","required":true}}}"#;
        "depends_on: {b: {condition: service_healthy, restart: true}}" => r#"{"depends_on":{"b":{"condition":"healthy","required":true,"restart":true}}}"#;
        "depends_on: {b: {condition: healthy}}" => "error: compose.yaml:4:33: services.a.depends_on.b.condition: `healthy`: one of `service_started`, `service_healthy`, `service_completed_successfully` is expected";
        "depends_on: {b: {}}" => "error: compose.yaml:4:21: services.a.depends_on.b: `condition` is missing";
        "depends_on: [bb]" => "error: compose.yaml:4:18: services.a: depends on `bb`, which is not defined; did you mean `b`?";
        "depends_on: {c: {condition: service_started, required: false}}" => "{}";
    }
    let circle = "services:\n  a: {image: i, depends_on: [b]}\n  b: {image: i, depends_on: [c]}\n  c: {image: i, depends_on: [b]}\n  d: {image: i, depends_on: [a]}\n";
    assert_eq!(
        load_text(circle).expect_err("a circle"),
        "compose.yaml:3:30: services depend on each other in a circle: b -> c -> b"
    );
}

#[test]
fn other_keys() {
    services! { service;
        "restart: unless-stopped" => r#"{"restart":"unless-stopped"}"#;
        "restart: no" => "{}";
        "restart: \"on-failure:3\"" => r#"{"restart":{"on-failure":{"max_retries":3}}}"#;
        "restart: sometimes" => "error: compose.yaml:4:14: services.a.restart: `sometimes`: one of `no`, `always`, `unless-stopped`, `on-failure`, `on-failure:<count>` is expected";
        "ulimits: {nofile: {soft: 1, hard: 2}, nproc: 65535, memlock: -1}" => r#"{"ulimits":{"memlock":{"hard":-1,"soft":-1},"nofile":{"hard":2,"soft":1},"nproc":{"hard":65535,"soft":65535}}}"#;
        "privileged: ${FLAG}\nshm_size: 1gb\nmem_limit: 64m\ncpus: 0.5\npids_limit: -1" => r#"{"mem_limit":67108864,"nano_cpus":500000000,"pids_limit":-1,"privileged":true,"shm_size":1073741824}"#;
        "privileged: maybe" => "error: compose.yaml:4:17: services.a.privileged: `true` or `false` is expected, not `maybe`";
        "sysctls: [net.ipv4.ip_forward=1]" => r#"{"sysctls":{"net.ipv4.ip_forward":"1"}}"#;
        "labels: [a=b, c]" => r#"{"labels":{"a":"b","c":""}}"#;
        "stop_grace_period: 1m" => r#"{"stop_grace_period":{"nanos":0,"secs":60}}"#;
        "cgroup: host\npid: host\nipc: shareable\nuts: host\ninit: true\nuser: 1000:1000" => r#"{"cgroup":"host","init":true,"ipc":"shareable","pid":"host","user":"1000:1000","uts":"host"}"#;
        "cap_add: [NET_ADMIN]\nsecurity_opt: [apparmor=unconfined]\ngroup_add: [mail, 100]" => r#"{"cap_add":["NET_ADMIN"],"group_add":["mail","100"],"security_opt":["apparmor=unconfined"]}"#;
        "logging: {driver: json-file, options: {max-size: 10m, max-file: 2}}" => r#"{"logging":{"driver":"json-file","options":{"max-file":"2","max-size":"10m"}}}"#;
        "deploy: {resources: {limits: {cpus: '2', memory: 1g, pids: 5}, reservations: {memory: 64m}}, restart_policy: {condition: on-failure, max_attempts: 2}}" =>
            r#"{"mem_limit":1073741824,"mem_reservation":67108864,"nano_cpus":2000000000,"pids_limit":5,"restart":{"on-failure":{"max_retries":2}}}"#;
        "deploy: {replicas: 1, mode: global}" => "{} !services.a.deploy: `mode` has no effect: it is for clusters";
        "deploy: {replicas: 2}" => "error: compose.yaml:4:24: services.a.deploy.replicas: only one container a service is run";
        "scale: 3" => "error: compose.yaml:4:12: services.a.scale: only one container a service is run";
        "container_name: x" => "{} !services.a: `container_name` has no effect: containers are named <stack>-<service>-1";
        "build: ." => "{} !services.a.build: has no effect: the image is taken as it is";
        "x-mine: {a: b}" => "{}";
        "prots: ['80']" => "error: compose.yaml:4:5: services.a: unknown key `prots`; did you mean `ports`?";
        "volumes_from: [b]" => "error: compose.yaml:4:5: services.a: `volumes_from` is not supported; name the volumes";
        "oom_score_adj: 2000" => "error: compose.yaml:3:5: services.a.oom_score_adj: 2000 is not from -1000 to 1000";
    }
}

#[test]
fn profiles() {
    let text = "services:\n  a: {image: i, depends_on: {b: {condition: service_started, required: false}}}\n  b: {image: i, profiles: [full]}\n  c: {image: i, profiles: [debug], depends_on: [b]}\n";
    let names = |profiles: &[&str]| {
        load_all(&[("compose.yaml", text)], &["compose.yaml"], profiles).map(|l| {
            l.stack.services.iter().map(|(n, s)| format!("{n}{}", s.depends_on.len())).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(names(&[]).as_deref(), Ok("a0"));
    assert_eq!(names(&["full"]).as_deref(), Ok("a1 b0"));
    assert_eq!(names(&["*"]).as_deref(), Ok("a1 b0 c1"));
    assert_eq!(
        names(&["debug"]),
        Err("compose.yaml:4:49: services.c: depends on `b`, which is not in the active profiles; activate its profile, or say `required: false`".into())
    );
}

#[test]
fn anchors_and_extensions() {
    let text = "x-base: &base\n  image: 'i:${TAG}'\n  environment: &env {A: 1}\nservices:\n  a:\n    <<: *base\n    environment: {<<: *env, B: 2}\n  b: {<<: *base, image: j}\n";
    let loaded = load_text(text).expect("read");
    assert_eq!(shown(&loaded.stack.services["a"]), r#"{"environment":{"A":"1","B":"2"},"image":"i:1.2"}"#);
    assert_eq!(shown(&loaded.stack.services["b"]), r#"{"environment":{"A":"1"},"image":"j"}"#);
}

#[test]
fn extends() {
    let files = [
        (
            "compose.yaml",
            "services:\n  a: {extends: base, environment: {B: 2}, command: [x], ports: ['81:81']}\n  base: {image: i, environment: [A=1, B=1], command: [y, z], ports: ['80:80'], profiles: [never]}\n  c: {extends: {file: sub/other.yaml, service: web}}\n",
        ),
        ("sub/other.yaml", "services:\n  web: {extends: {file: deep/d.yaml, service: d}, env_file: e.env}\n"),
        ("sub/e.env", "E=1\n"),
        ("sub/deep/d.yaml", "services:\n  d: {image: d, env_file: d.env}\n"),
        ("sub/deep/d.env", "D=1\n"),
    ];
    let loaded = load_all(&files, &["compose.yaml"], &["*"]).expect("read");
    let a = &loaded.stack.services["a"];
    assert_eq!((a.command.clone(), a.ports.len()), (Some(vec!["x".into()]), 2));
    assert_eq!(shown(&a.environment), r#"{"A":"1","B":"2"}"#);
    assert_eq!(shown(&loaded.stack.services["c"]), r#"{"environment":{"D":"1","E":"1"},"image":"d"}"#);
    for (text, expected) in [
        (
            "services:\n  a: {extends: b}\n  b: {extends: a}\n",
            "compose.yaml:2:16: services extend each other in a circle: b -> a -> b\ncompose.yaml:3:16: services extend each other in a circle: a -> b -> a",
        ),
        (
            "services:\n  a: {extends: bse}\n  base: {image: i}\n",
            "compose.yaml:2:16: extends: this file has no service `bse`; did you mean `base`?",
        ),
        (
            "services:\n  a: {extends: {file: no.yaml, service: x}}\n",
            "compose.yaml:2:16: cannot read no.yaml: entity not found",
        ),
    ] {
        assert_eq!(load_text(text).expect_err("wrong"), expected);
    }
}

#[test]
fn include() {
    let files = [
        (
            "compose.yaml",
            "include:\n  - sub/compose.yaml\n  - path: other.yaml\n    env_file: other.env\nservices: {a: {image: i, depends_on: [s]}}\n",
        ),
        ("sub/compose.yaml", "services: {s: {image: i, configs: [c]}}\nconfigs: {c: {file: ./c.conf}}\n"),
        ("sub/c.conf", "C"),
        ("other.yaml", "services: {o: {image: 'o:${OTHER}'}}\n"),
        ("other.env", "OTHER=9\n"),
    ];
    let loaded = load_all(&files, &["compose.yaml"], &[]).expect("read");
    assert_eq!(loaded.stack.services.keys().collect::<Vec<_>>(), ["a", "o", "s"]);
    assert_eq!(loaded.stack.services["o"].image, "o:9");
    assert_eq!(loaded.stack.configs["c"].files[""], b"C");
    let clash =
        [("compose.yaml", "include: [b.yaml]\nservices: {a: {image: i}}\n"), ("b.yaml", "services: {a: {image: j}}\n")];
    assert_eq!(
        load_all(&clash, &["compose.yaml"], &[]).expect_err("a clash"),
        "b.yaml:1:15: services.a is also defined by compose.yaml:2:15; rename one, or merge the files instead of including one"
    );
    let circle =
        [("compose.yaml", "include: [b.yaml]\nservices: {a: {image: i}}\n"), ("b.yaml", "include: [compose.yaml]\n")];
    assert_eq!(
        load_all(&circle, &["compose.yaml"], &[]).expect_err("a circle"),
        "b.yaml:1:11: files include each other in a circle: compose.yaml -> b.yaml -> compose.yaml"
    );
}

#[test]
fn several_files() {
    let files = [
        (
            "compose.yaml",
            "services:\n  a:\n    image: i\n    command: [x, y]\n    environment: [A=1, B=1]\n    volumes: ['data:/d', 'data:/e']\n    ports: ['80:80']\n    dns: [1.1.1.1]\n    cap_add: [X]\n    logging: {driver: json-file, options: {max-size: 1m}}\n    healthcheck: {test: [CMD, a], interval: 5s}\n    labels: {l: '1'}\nvolumes: {data: }\n",
        ),
        (
            "over.yaml",
            "services:\n  a:\n    command: z\n    environment: {B: 2, C: 3}\n    volumes: ['/host:/d:ro']\n    ports: ['80:80', '81:81']\n    dns: !override [2.2.2.2]\n    cap_add: [X, Y]\n    logging: {driver: local}\n    healthcheck: {test: b}\n    labels: !reset {}\n    restart: always\n",
        ),
    ];
    let loaded = load_all(&files, &["compose.yaml", "over.yaml"], &[]).expect("read");
    assert_eq!(
        shown(&loaded.stack.services["a"]),
        concat!(
            r#"{"cap_add":["X","Y"],"command":["z"],"dns":["2.2.2.2"],"environment":{"A":"1","B":"2","C":"3"},"#,
            r#""healthcheck":{"interval":{"nanos":0,"secs":5},"test":{"shell":"b"}},"image":"i","logging":{"driver":"local"},"#,
            r#""ports":[{"host_ip":null,"protocol":"tcp","published":80,"target":80},{"host_ip":null,"protocol":"tcp","published":81,"target":81}],"#,
            r#""restart":"always","volumes":[{"kind":{"bind":{"create_host_path":true,"propagation":null,"source":"/host"}},"read_only":true,"target":"/d"},"#,
            r#"{"kind":{"volume":{"name":"data","nocopy":false}},"read_only":false,"target":"/e"}]}"#
        )
    );
}

#[test]
fn mistakes_at_the_top() {
    for (text, expected) in [
        ("", "compose.yaml:1:1: the file has no services"),
        ("services: {}\n", "compose.yaml:1:1: the file has no services"),
        ("[]\n", "compose.yaml:1:1: a mapping is expected, not a list"),
        (
            "service:\n  a: {image: i}\nservices: {b: {image: i}}\n",
            "compose.yaml:1:1: the file: unknown key `service`; did you mean `services`?",
        ),
        ("services: {a: }\n", "compose.yaml:1:13: services.a: a mapping is expected, not nothing"),
        ("services: {a: {}}\n", "compose.yaml:1:15: services.a: `image` is missing"),
        (
            "services:\n  a: {image: 'i:${TAG:?no}${NONE:?the tag}'}\n",
            "compose.yaml:2:27: the variable `NONE` is required: the tag",
        ),
        (
            "services:\n  a:\n    image: i\n    command: |\n      one\n      two ${\n",
            "compose.yaml:6:11: `${` without a name; write `$$` for a dollar sign",
        ),
    ] {
        let got = load_text(text).expect_err(text);
        assert_eq!(got, expected, "{text}");
    }
    let null = [
        ("compose.yaml", "services: {a: {image: i, environment: {TAG: 1, B: 1}, user: x}}"),
        ("over.yaml", "services: {a: {environment: [TAG], user: }}"),
    ];
    let loaded = load_all(&null, &["compose.yaml", "over.yaml"], &[]).expect("read");
    assert_eq!(shown(&loaded.stack.services["a"]), r#"{"environment":{"B":"1","TAG":"1.2"},"image":"i","user":"x"}"#);
    // All at once, in the order of the file.
    let text = "services:\n  a: {imge: i}\n  b: {image: i, cpus: many}\nvolums: {}\n";
    assert_eq!(load_text(text).expect_err("three").lines().count(), 4);
    let unset = load_text("services: {a: {image: 'i:$NONE'}}").expect("read");
    assert_eq!(
        unset.warnings[0].to_string(),
        "compose.yaml:1:26: the variable `NONE` is not set; it is taken as empty"
    );
}

mod foreign {
    use super::*;
    use proptest::prelude::*;

    const WORDS: &[&str] = &[
        "services",
        "a",
        "image",
        "i",
        "volumes",
        "ports",
        "environment",
        "depends_on",
        "networks",
        "configs",
        "file",
        "content",
        "extends",
        "include",
        "healthcheck",
        "test",
        "deploy",
        "resources",
        "limits",
        "memory",
        "ulimits",
        "nofile",
        "x-a",
        "profiles",
        "command",
        "restart",
        "network_mode",
        "service:a",
        "logging",
        "ipam",
        "config",
        "external",
        "compose.yaml",
        ":",
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&b ",
        "*b",
        "<<: ",
        "!reset ",
        "!override ",
        "'",
        "\"",
        "|",
        ">",
        "# ",
        "~",
        "${TAG}",
        "${X:-",
        "$",
        "80:80",
        "/a:/b",
        "1m",
        "5s",
        "true",
        "0440",
        "-1",
        "\u{e4}",
        "\t",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn nothing_panics(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..60)) {
            let _ = load_text(&words.concat());
            let _ = load_text(&format!("services:\n  a:\n    image: i\n    {}", words.concat()));
        }
    }
}
