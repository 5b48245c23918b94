//! The built-in package `openstack`, rendered.

use stackyard_catalog::{Answers, Dir, HostFacts, Package, Rendered, Secrets, render};
use stackyard_core::stack::spec::config_digest;
use stackyard_core::stack::{Config, HealthTest, MountKind, NetworkMode, RestartPolicy, Service, Stack};
use std::path::PathBuf;
use std::sync::Arc;

fn package() -> Package {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../catalog/openstack");
    let source = Dir::package(dir).expect("the package's directory");
    Package::load(Arc::new(source)).unwrap_or_else(|e| panic!("{e}"))
}

fn secrets(package: &Package) -> Secrets {
    let mut secrets = Secrets::default();
    secrets.generate(&package.secrets).expect("random bytes");
    secrets
}

fn rendered(answers: &[&str], host: &HostFacts) -> (Rendered, Secrets) {
    let package = package();
    let mut given = Answers::default();
    answers.iter().for_each(|pair| given.set_pair(pair).expect("a pair"));
    let secrets = secrets(&package);
    let rendered = render(&package, None, &given, &secrets, host).unwrap_or_else(|e| panic!("{e}"));
    (rendered, secrets)
}

fn small() -> HostFacts {
    HostFacts { name: "yard".into(), kvm: false, ovs_kernel: false, cpus: 2, memory_mib: 15_900 }
}

/// What a reviewer wants to see of a stack: who runs what, after whom, with which files.
fn summary(stack: &Stack) -> String {
    let mut out = String::new();
    for (name, service) in &stack.services {
        out.push_str(&format!("{name}  {}\n", service.image));
        let mut traits = Vec::new();
        if stack.is_job(name) {
            traits.push("job".to_owned());
        }
        if service.network_mode == NetworkMode::Host {
            traits.push("host network".into());
        }
        traits.extend(service.privileged.then(|| "privileged".into()));
        traits.extend(service.pid.iter().map(|p| format!("pid {p}")));
        traits.extend(service.ipc.iter().map(|i| format!("ipc {i}")));
        traits.extend(service.user.iter().map(|u| format!("user {u}")));
        traits.extend(service.cap_add.iter().map(|c| format!("+{c}")));
        traits.push(format!("restart {:?}", service.restart));
        traits.push(health(service).to_owned());
        out.push_str(&format!("  {}\n", traits.join(", ")));
        for (other, dependency) in &service.depends_on {
            out.push_str(&format!("  after {other}: {:?}\n", dependency.condition));
        }
        for mount in &service.volumes {
            let what = match &mount.kind {
                MountKind::Volume { name, .. } => format!("volume {name}"),
                MountKind::Bind(bind) => {
                    format!("host {}{}", bind.source, bind.propagation.map(|p| format!(" {p:?}")).unwrap_or_default())
                }
                MountKind::Archive(archive) => format!("archive {}", archive.source),
                MountKind::Anonymous => "anonymous".into(),
                MountKind::Tmpfs { .. } => "memory".into(),
            };
            let mode = if mount.read_only { " (ro)" } else { "" };
            out.push_str(&format!("  {} <- {what}{mode}\n", mount.target));
        }
        for (target, options) in &service.tmpfs {
            out.push_str(&format!("  {target} <- memory {options}\n"));
        }
        for device in &service.devices {
            out.push_str(&format!("  {} <- device {}\n", device.target, device.source));
        }
        for mount in &service.configs {
            let files: Vec<&str> = stack.configs[&mount.source].files.keys().map(String::as_str).collect();
            out.push_str(&format!("  {} <- config {}: {}\n", mount.target, mount.source, files.join(" ")));
        }
    }
    out
}

fn health(service: &Service) -> &'static str {
    match service.healthcheck.as_ref().map(|h| &h.test) {
        None => "no health check",
        Some(HealthTest::Disabled) => "health check off",
        Some(HealthTest::Cmd(_)) => "health by program",
        Some(HealthTest::Shell(_)) => "health by shell",
    }
}

#[test]
fn the_full_profile() {
    let (rendered, _) = rendered(&["profile=full"], &small());
    assert_eq!(rendered.warnings, []);
    insta::assert_snapshot!("full", summary(&rendered.stack));
}

/// A line for each service and each file, with a digest of it: a change of the engine must not change what one machine
/// gets. A change of the package shows here which files it changes.
fn digests(stack: &Stack) -> String {
    let digest = |content: Vec<u8>| config_digest(&Config { files: [(String::new(), content)].into() });
    let services = stack.services.iter().map(|(name, service)| {
        let json = serde_json::to_vec(service).expect("serialised");
        format!("service {name} {}\n", digest(json))
    });
    let files = stack.configs.iter().chain(&stack.secrets).flat_map(|(name, config)| {
        config.files.iter().map(move |(path, content)| format!("file {name}/{path} {}\n", digest(content.clone())))
    });
    services.chain(files).collect()
}

#[test]
fn one_machine_gets_the_same_bytes_as_ever() {
    let package = package();
    let text: String = package.secrets.iter().map(|s| format!("{0}: value-of-{0}\n", s.name)).collect();
    let secrets = Secrets::from_yaml("secrets", &text).expect("secrets");
    let mut answers = Answers::default();
    answers.set("profile", "full");
    let rendered = render(&package, None, &answers, &secrets, &small()).unwrap_or_else(|e| panic!("{e}"));
    insta::assert_snapshot!("bytes", digests(&rendered.stack));
}

#[test]
fn the_core_profile_is_a_part_of_the_full_one() {
    let (core, secrets) = rendered(&[], &small());
    assert_eq!(core.profiles, ["core"]);
    let package = package();
    let mut answers = Answers::default();
    answers.set("profile", "full");
    let full = render(&package, None, &answers, &secrets, &small()).unwrap_or_else(|e| panic!("{e}"));
    for name in core.stack.services.keys() {
        assert!(full.stack.services.contains_key(name), "{name} is in core only");
    }
    assert!(core.stack.services.len() < full.stack.services.len());
}

#[test]
fn every_machine_is_served() {
    for (kvm, ovs_kernel) in [(false, false), (true, false), (false, true), (true, true)] {
        let host = HostFacts { kvm, ovs_kernel, ..small() };
        for answers in
            [vec![], vec!["api_address=10.0.0.5"], vec!["neutron_interface=eth1"], vec!["dns_servers=1.1.1.1,9.9.9.9"]]
        {
            rendered(&answers, &host);
        }
    }
}

#[test]
fn no_secret_is_in_a_public_description() {
    let (rendered, secrets) = rendered(&["profile=full"], &small());
    let public = serde_json::to_string(&rendered.stack).expect("serialised");
    for (name, value) in secrets.iter() {
        assert!(!public.contains(value), "{name} is in the containers' description");
    }
}

#[test]
fn who_stays_has_a_health_check() {
    let (rendered, _) = rendered(&["profile=full"], &small());
    for (name, service) in &rendered.stack.services {
        if service.restart != RestartPolicy::No {
            assert!(service.healthcheck.is_some(), "{name} has no health check");
        }
    }
}

#[test]
fn services_that_check_tokens_know_their_type_in_the_catalog() {
    let (full, _) = rendered(&["profile=full"], &small());
    let configs = &full.stack.configs;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let files = || configs.iter().flat_map(|(name, c)| c.files.values().map(move |file| (name, text(file))));
    let (_, catalog) = files().find(|(name, _)| *name == "catalog").expect("the catalog");
    let catalog: serde_json::Value = serde_json::from_str(&catalog).expect("JSON");
    let types: Vec<&str> =
        catalog["services"].as_array().expect("a list").iter().filter_map(|s| s["type"].as_str()).collect();
    let mut checked = 0;
    for (name, file) in files().filter(|(_, file)| file.contains("[keystone_authtoken]")) {
        let (_, section) = file.split_once("[keystone_authtoken]").expect("the section");
        let section = section.split("\n[").next().unwrap_or_default();
        let own = section.lines().find_map(|l| l.strip_prefix("service_type = "));
        assert!(own.is_some_and(|own| types.contains(&own)), "{name}: {own:?} of {types:?}");
        checked += 1;
    }
    assert!(checked >= 7, "{checked}");
}
