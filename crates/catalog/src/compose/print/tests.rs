//! What is printed is read back as the same stack.

use super::super::tests::load_for;
use super::super::{Loaded, Target};
use super::*;
use proptest::prelude::*;

fn load(text: &str) -> Result<Loaded, String> {
    load_for(Target::Hosts, &[("compose.yaml", text)], &["compose.yaml"], &["*"])
}

/// Everything that a service may say, in short forms where there are some.
const ALL: &str = r##"
services:
  a:
    image: i
    platform: linux/amd64
    command: "sh -c 'echo \"$$HOME #1\"'"
    entrypoint: []
    environment: {A: "yes", B: "1.10", C: "a: b", D: "$$x", E: "", F: "- x", G: "line\n  two\n", H: "# no", I: "null"}
    labels: [a=b]
    user: "1000:1000"
    hostname: h
    domainname: d
    cap_add: [NET_ADMIN]
    ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}
    sysctls: {net.core.somaxconn: "1024"}
    ports: ["80", "8080:80/udp", "127.0.0.1:8000-8003:81", "[::1]:1-2:1-2"]
    expose: [90]
    volumes: ["data:/d:ro", "/abs:/x:rshared", "/anon", {type: tmpfs, target: /t, tmpfs: {size: 64m, mode: 01770}},
      {type: volume, source: data, target: /s, volume: {subpath: p/q}}]
    tmpfs: ["/run:size=64m", /tmp]
    devices: ["/dev/kvm", "/dev/a:/dev/b:r", "vendor.com/gpu=all"]
    configs: [c, {source: c, target: /etc/c, mode: 0440, uid: "5"}]
    secrets: [s]
    networks: {front: {aliases: [x]}, back: }
    dns: 1.1.1.1
    dns_opt: [ndots:1]
    extra_hosts: [x=10.0.0.1, "y=::1"]
    mem_limit: 64m
    memswap_limit: -1
    cpus: 0.5
    cpu_shares: 512
    cpuset: 0-1
    gpus: [{count: 1}]
    device_cgroup_rules: ["c 1:3 mr"]
    annotations: {a: b}
    runtime: runc
    shm_size: 1gb
    stop_grace_period: 1m30s
    healthcheck: {test: curl -f x, interval: 5s, retries: 3, start_period: 2s, start_interval: 500ms}
    depends_on: {b: {condition: service_healthy, restart: true}}
    restart: on-failure:3
    logging: {driver: json-file, options: {max-size: 10m}}
    post_start: [{command: echo 'a b', user: root, privileged: true}]
    pre_stop: [{command: [sync], environment: [X=1]}]
    deploy:
      replicas: 2
      placement: {constraints: [node.labels.disk == ssd], preferences: [{spread: node.labels.zone}]}
      resources: {reservations: {cpus: "0.25"}}
      update_config: {parallelism: 2, delay: 10s, order: start-first, failure_action: rollback, max_failure_ratio: 0.3}
    x-stackyard: {image: local}
  b: {image: j, healthcheck: {test: [CMD, x]}, network_mode: host}
networks:
  front: {driver: bridge, ipam: {config: [{subnet: 10.1.0.0/24, gateway: 10.1.0.1, ip_range: 10.1.0.128/25}]}}
  back: {external: true, name: shared}
volumes: {data: {driver_opts: {type: nfs}}}
configs: {c: {content: "x: $$y\n"}}
secrets: {s: {environment: TAG}}
"##;

#[test]
fn what_is_printed_is_read_back_as_the_same_stack() {
    let loaded = load(ALL).expect("read");
    let printed = document(&loaded, Path::new("/p"));
    let text = yaml(&printed).expect("written");
    let again = load(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(again.stack, loaded.stack, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn secrets_are_not_printed() {
    let text = "services: {a: {image: i, secrets: [s]}}\nsecrets: {s: {content: hush}}\n";
    let printed = document(&load(text).expect("read"), Path::new("/p")).to_string();
    assert!(!printed.contains("hush"), "{printed}");
}

proptest! {
    #[test]
    fn any_text_is_read_back(value in "[ -~\n\u{e4}]{0,40}") {
        let source = serde_json::json!({"services": {"a": {"image": "i", "environment": {"A": value.replace('$', "$$")}}}});
        let loaded = load(&source.to_string()).expect("read");
        prop_assert_eq!(&loaded.stack.services["a"].environment["A"], &value);
        let text = yaml(&document(&loaded, Path::new("/p"))).expect("written");
        let again = load(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(again.stack, loaded.stack, "{}", text);
    }
}
