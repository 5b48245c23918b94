//! OpenStack, or its daemons, installed from packages or running outside of this cloud.

use super::{Check, Machine, PreflightScene, some};
use std::collections::BTreeMap;

/// Packages of OpenStack's services begin like this.
const OPENSTACK: [&str; 11] = [
    "nova-",
    "neutron-",
    "cinder-",
    "glance-",
    "keystone",
    "heat-",
    "octavia-",
    "placement-",
    "swift-",
    "barbican-",
    "kolla-ansible",
];
/// Clients and documentation of the same projects do no harm.
const HARMLESS: [&str; 4] = ["-doc", "-common", "-client", "-tempest-plugin"];

/// Daemons of which a machine can have one only, with what they share with ours.
const SINGLE: [(&str, &str); 5] = [
    ("ovs-vswitchd", "the kernel's datapath and the bridges br-int and br-ex"),
    ("ovsdb-server", "/run/openvswitch and its port 6640"),
    ("ovn-controller", "the bridge br-int"),
    ("ovn-northd", "/run/ovn"),
    ("neutron-openvswitch-agent", "the bridge br-int"),
];
/// Services of OpenStack, as their processes are called.
const SERVICES: [&str; 9] =
    ["nova-", "neutron-", "cinder-", "glance-", "keystone-", "heat-", "octavia-", "placement-", "swift-"];
/// Packages that start one of [`SINGLE`] at boot.
const DATAPATH: [&str; 4] = ["openvswitch-switch", "ovn-host", "ovn-central", "openvswitch-switch-dpdk"];

/// Installed Debian packages with their versions.
pub fn installed(machine: &Machine) -> BTreeMap<String, String> {
    let text = machine.read("/var/lib/dpkg/status").unwrap_or_default();
    let mut found = BTreeMap::new();
    for entry in text.split("\n\n") {
        let field = |name: &str| entry.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
        if field("Status").is_some_and(|s| s.ends_with(" installed")) {
            found.extend(field("Package").map(|p| (p.to_owned(), field("Version").unwrap_or_default().to_owned())));
        }
    }
    found
}

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    let packages = installed(&scene.input.machine);
    vec![daemons(scene), services(scene), openstack(scene, &packages), datapath(&packages)]
}

fn outside<'a>(
    scene: &'a PreflightScene,
    is: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = &'a super::processes::Process> {
    let own = |c: &Option<String>| c.as_deref().is_some_and(|c| scene.engine.is_own(c));
    scene.processes.iter().filter(move |p| is(&p.name) && !own(&p.container))
}

fn daemons(scene: &PreflightScene) -> Check {
    let (id, title) = ("packages.daemons", "Open vSwitch and OVN of the host");
    let shares = |name: &str| SINGLE.iter().find(|(n, _)| *n == name).map(|(_, shares)| *shares);
    let found: Vec<_> = outside(scene, |n| shares(n).is_some()).collect();
    let Some(first) = found.first() else { return Check::pass(id, title, "none runs") };
    let texts: Vec<String> = found.iter().map(|p| p.describe(&scene.engine)).collect();
    let mend = match &first.container {
        Some(c) => format!("`docker stop {}`", scene.engine.name_of(c)),
        None => {
            "`systemctl disable --now openvswitch-switch ovs-vswitchd ovsdb-server ovn-host ovn-central`".to_owned()
        }
    };
    Check::fail(id, title, some(&texts, 4))
        .means(format!(
            "a machine can have one only: it shares {} with the cloud's own",
            shares(&first.name).unwrap_or_default()
        ))
        .mend(mend)
}

fn services(scene: &PreflightScene) -> Check {
    let (id, title) = ("packages.services", "OpenStack of the host");
    let is_service =
        |name: &str| SERVICES.iter().any(|s| name.starts_with(s)) && !SINGLE.iter().any(|(n, _)| *n == name);
    let found: Vec<String> = outside(scene, is_service).map(|p| p.describe(&scene.engine)).collect();
    if found.is_empty() {
        return Check::pass(id, title, "none runs");
    }
    Check::fail(id, title, some(&found, 4))
        .means("two OpenStacks share the machine's guests, bridges and ports, and clean up each other's")
        .mend("stop the other one first")
}

fn openstack(scene: &PreflightScene, packages: &BTreeMap<String, String>) -> Check {
    let (id, title) = ("packages.openstack", "Packages of OpenStack");
    let is_service = |p: &&String| {
        OPENSTACK.iter().any(|o| p.starts_with(o))
            && !HARMLESS.iter().any(|h| p.ends_with(h))
            && !p.starts_with("python")
    };
    let found: Vec<String> = packages.keys().filter(is_service).cloned().collect();
    if found.is_empty() {
        let none =
            if scene.input.machine.has("/var/lib/dpkg/status") { "none installed" } else { "no package database" };
        return Check::pass(id, title, none);
    }
    Check::warn(id, title, some(&found, 6))
        .means("their services start at boot and take ports, bridges and guests from the cloud's own")
        .mend(format!("`apt-get remove {}`", found.join(" ")))
}

fn datapath(packages: &BTreeMap<String, String>) -> Check {
    let (id, title) = ("packages.openvswitch", "Packages of Open vSwitch");
    let found: Vec<String> = DATAPATH.iter().filter(|p| packages.contains_key(**p)).map(|p| (*p).to_owned()).collect();
    if found.is_empty() {
        return Check::pass(id, title, "none installed");
    }
    Check::warn(id, title, found.join(", "))
        .means("their daemons start at boot and take the datapath from the cloud's own")
        .mend(format!("`systemctl disable --now {0}` or `apt-get remove {0}`", found.join(" ")))
}
