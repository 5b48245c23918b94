//! `deploy` as it is read for the hosts of a yard.

use super::Target;
use super::tests::{load_for, service_for};

fn hosts(lines: &str) -> String {
    // Said, so that it is not in every answer.
    let restart = if lines.contains("restart") { "" } else { "\nrestart: \"no\"" };
    service_for(Target::Hosts, &format!("{lines}{restart}"))
}

#[test]
fn everything_counts() {
    let all = concat!(
        "deploy:\n  mode: replicated\n  replicas: 3\n  endpoint_mode: dnsrr\n",
        "  placement:\n    constraints: [node.labels.disk == ssd, node.pool!=db]\n",
        "    preferences: [{spread: node.labels.zone}]\n    max_replicas_per_node: 2\n",
        "  resources: {limits: {memory: 1g}, reservations: {cpus: '0.5', memory: 64m}}\n",
        "  update_config: {parallelism: 2, delay: 10s, failure_action: rollback, monitor: 1m, max_failure_ratio: 0.3, order: start-first}\n",
        "  rollback_config: {parallelism: 0, failure_action: continue}\n",
        "x-stackyard: {image: local}",
    );
    insta::assert_snapshot!(hosts(all));
}

#[test]
fn counts_and_modes() {
    services! { hosts;
        "scale: 3" => hosts("deploy: {replicas: 3}").as_str();
        "scale: 3\ndeploy: {replicas: 2}" => "error: compose.yaml:4:12: services.a.scale: `deploy.replicas` says another number";
        "deploy: {replicas: 1}" => "{}";
        "deploy: {replicas: -1}" => "error: compose.yaml:4:24: services.a.deploy.replicas: -1 is not from 0 to 1000";
        "deploy: {mode: global, replicas: 2}" => "error: compose.yaml:4:38: services.a.deploy.replicas: there is one on each host, as `mode` says";
        "deploy: {mode: everywhere}" => "error: compose.yaml:4:20: services.a.deploy.mode: `everywhere`: one of `replicated`, `global`, `replicated-job`, `global-job` is expected";
        "restart: always\ndeploy: {mode: global-job}" => "error: compose.yaml:5:20: services.a.deploy.mode: a job that is always started again never ends; set `restart` or `restart_policy.condition` to on-failure, or leave it out";
        "deploy: {endpoint_mode: vip}" => "{} !services.a.deploy.endpoint_mode: has no effect: a service's name leads to all its containers";
        "deploy: {labels: {a: b}}" => "{} !services.a.deploy: `labels` has no effect: labels of containers are the service's `labels`";
        "deploy: {replica: 2}" => "error: compose.yaml:4:14: services.a.deploy: unknown key `replica`; did you mean `replicas`?";
        "deploy: {rollback_config: {failure_action: rollback}}" => "error: compose.yaml:4:48: services.a.deploy.rollback_config.failure_action: `rollback`: one of `pause`, `continue` is expected";
        "deploy: {update_config: {max_failure_ratio: 2}}" => "error: compose.yaml:4:49: services.a.deploy.update_config.max_failure_ratio: `2`: a share from 0 to 1, such as `0.25`, is expected";
        "deploy: {placement: {constraints: [node.os == linux]}}" => "error: compose.yaml:4:40: services.a.deploy.placement.constraints: `node.os == linux`: only node.labels.<name>, node.hostname, node.id, node.pool, node.role, node.platform.os and node.platform.arch can be asked for";
        "deploy: {placement: {preferences: [{spread: zone}]}}" => "error: compose.yaml:4:40: services.a.deploy.placement.preferences: `zone`: node.labels.<name> is expected";
        "deploy: {resources: {reservations: {generic_resources: []}}}" => "error: compose.yaml:4:41: services.a.deploy.resources.reservations: `generic_resources` is not supported; label the hosts, and constrain the placement";
        "x-stackyard: {imge: local}" => "error: compose.yaml:4:19: services.a.x-stackyard: unknown key `imge`; did you mean `image`?";
    }
}

#[test]
fn what_should_run_is_started_again() {
    let text = |lines: &str| service_for(Target::Hosts, lines);
    assert_eq!(text("init: true"), r#"{"init":true,"restart":"unless-stopped"}"#);
    assert_eq!(text("restart: \"no\""), "{}");
    assert_eq!(text("deploy: {restart_policy: {condition: none}}"), "{}");
    assert!(!text("deploy: {mode: replicated-job}").contains("unless"));
    assert!(!text("labels: {dev.stackyard.job: 'true'}").contains("unless"));
}

#[test]
fn what_goes_on_one_engine_only() {
    services! { hosts;
        "volumes: ['./x:/d']" => "error: compose.yaml:4:15: services.a.volumes[0]: `./x` is in no directory of this machine; mount text with `configs`, or deploy with `stackyard stack deploy` or `stackyard up`";
        "volumes: ['~/x:/d']" => "error: compose.yaml:4:15: services.a.volumes[0]: `~/x` is in no directory of this machine; mount text with `configs`, or deploy with `stackyard stack deploy` or `stackyard up`";
        "volumes: ['./x:/d:rw']" => "error: compose.yaml:4:15: services.a.volumes[0]: `./x` is carried to the hosts and cannot be written there; mount a named volume there for what a container writes (`volumes: {data: }`, `data:/path`)";
        "network_mode: container:x" => "error: compose.yaml:3:5: services.a.network_mode: containers of others are on no host for certain";
        "container_name: x" => "{} !services.a.container_name: has no effect: containers are named <stack>-<service>-<number>-1";
        "scale: 2\nnetworks: {front: {ipv4_address: 10.0.0.2}}" => "error: compose.yaml:3:5: services.a: several containers cannot have one address; leave the address out; the service's name leads to all its containers";
    }
    let shared = hosts("scale: 2\nvolumes: ['data:/d']");
    assert!(
        shared.ends_with(
            "!services.a: the volume `data` is not shared: each host has its own, which containers on other hosts do not see"
        ),
        "{shared}"
    );
}

/// What is said of a service with a volume of the driver `stackyard`: "" if it is fine.
fn cinder(target: Target, volume: &str, service: &str) -> String {
    let text = format!(
        "services:\n  db: {{image: i, volumes: ['data:/d']{service}}}\nvolumes:\n  data: {{driver: stackyard{volume}}}\n"
    );
    load_for(target, &[("compose.yaml", &text)], &["compose.yaml"], &[]).err().unwrap_or_default()
}

#[test]
fn cinder_volumes_are_checked_with_their_places() {
    let good = ", driver_opts: {size: 20Gi, type: ssd, fs: xfs}";
    assert_eq!(cinder(Target::Hosts, good, ""), "");
    for (volume, expected) in [
        ("", "compose.yaml:4:9: volumes.data.driver_opts: `size` is missing; add one, such as `size: 20Gi`"),
        (
            ", driver_opts: {size: 20Mi}",
            "compose.yaml:4:49: volumes.data.driver_opts.size: `20Mi`: a size in GiB is expected, such as 20Gi or 1Ti",
        ),
        (
            ", driver_opts: {size: 1Gi, sise: 2Gi}",
            "compose.yaml:4:54: volumes.data.driver_opts.sise: unknown option; did you mean `size`?",
        ),
        (
            ", driver_opts: {size: 1Gi, fs: zfs}",
            "compose.yaml:4:58: volumes.data.driver_opts.fs: `zfs`: one of `ext4`, `xfs` is expected",
        ),
        (
            ", external: true, name: x",
            "compose.yaml:4:39: volumes.data.external: an external volume is not supported with this driver",
        ),
        (
            ", name: x, driver_opts: {size: 1Gi}",
            "compose.yaml:4:35: volumes.data.name: not supported with this driver; leave it out; the volume is named after its yard and stack",
        ),
    ] {
        assert_eq!(cinder(Target::Hosts, volume, ""), expected);
    }
    assert!(
        cinder(Target::Engine, good, "")
            .starts_with("compose.yaml:4:18: volumes.data.driver: Cinder volumes exist only on hosts of a yard")
    );
    let two = cinder(Target::Hosts, good, ", scale: 2");
    assert!(two.starts_with("compose.yaml:2:7: volume data: service db has 2 replicas"), "{two}");
    let first = cinder(Target::Hosts, good, ", deploy: {update_config: {order: start-first}}");
    assert!(first.contains("starts the new container first"), "{first}");
}

#[test]
fn ndots_has_no_effect_where_names_reach_across_hosts() {
    let warnings = |target, driver: &str, lines: &str| {
        let text = format!(
            "services:\n  a: {{image: i, networks: [front], {lines}}}\nnetworks:\n  front: {{driver: {driver}}}\n"
        );
        let loaded = load_for(target, &[("compose.yaml", &text)], &["compose.yaml"], &[]).expect("read");
        loaded.warnings.iter().map(ToString::to_string).collect::<String>()
    };
    let said = warnings(Target::Hosts, "stackyard", "dns_opt: [timeout:1, ndots:1]");
    assert!(said.contains("compose.yaml:2") && said.contains("services.a.dns_opt: `ndots` has no effect"), "{said}");
    for (target, driver, lines) in [
        (Target::Hosts, "stackyard", "dns_opt: [timeout:1]"),
        (Target::Hosts, "stackyard", "dns_opt: [ndots:1], expose: [53]"),
        (Target::Hosts, "bridge", "dns_opt: [ndots:1]"),
        (Target::Engine, "bridge", "dns_opt: [ndots:1]"),
    ] {
        assert_eq!(warnings(target, driver, lines), "", "{driver} {lines}");
    }
}
