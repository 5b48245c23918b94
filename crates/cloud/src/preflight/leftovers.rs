//! What an earlier cloud left behind.

use super::{Check, PreflightScene, some};
use stackyard_platform::stack::labels;

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    vec![
        containers(scene),
        volumes(scene),
        interfaces(scene),
        namespaces(scene),
        firewall(scene),
        domains(scene),
        databases(scene),
    ]
}

const PURGE: &str = "`stackyard cloud down --purge`";

/// Containers with our labels that this state directory knows nothing of.
fn containers(scene: &PreflightScene) -> Check {
    let (id, title) = ("leftovers.containers", "Containers of another cloud");
    let engine = &scene.engine;
    let ours = |c: &&super::docker::Container| c.stack.as_deref() == Some(&scene.input.stack);
    let foreign: Vec<_> = engine.containers.iter().filter(ours).filter(|c| !engine.owns(c)).collect();
    let Some(first) = foreign.first() else { return Check::pass(id, title, "none") };
    let names: Vec<String> = foreign.iter().map(|c| c.name.clone()).collect();
    let home = foreign.iter().find_map(|c| engine.foreign_home(c));
    let mend = match home {
        Some(home) => {
            format!("`stackyard cloud down --purge --home {}`, or work on that one: --home {0}", home.display())
        }
        None => format!("{PURGE}, or `docker rm -f {}` ...", first.name),
    };
    Check::fail(id, title, some(&names, 4))
        .means("they were made with secrets that are not in this state directory; a machine has room for one cloud")
        .mend(mend)
}

/// Volumes without the secrets that their content was made with.
fn volumes(scene: &PreflightScene) -> Check {
    let (id, title) = ("leftovers.volumes", "Volumes and networks of another cloud");
    let ours = |l: &std::collections::HashMap<String, String>| l.get(labels::STACK) == Some(&scene.input.stack);
    let volumes: Vec<String> = scene.engine.volumes.iter().filter(|(_, l)| ours(l)).map(|(n, _)| n.clone()).collect();
    let networks: Vec<String> = scene.engine.networks.iter().filter(|(_, l)| ours(l)).map(|(n, _)| n.clone()).collect();
    if volumes.is_empty() && networks.is_empty() {
        return Check::pass(id, title, "none");
    }
    if scene.input.exists {
        return Check::pass(id, title, format!("{} volumes of this cloud", volumes.len()));
    }
    let all: Vec<String> = volumes.iter().chain(&networks).cloned().collect();
    let check = |check: Check| check.mend(format!("give its state directory with --home, or remove the data: {PURGE}"));
    if volumes.is_empty() {
        return check(Check::warn(id, title, some(&all, 4)).means("they are used again"));
    }
    check(
        Check::fail(id, title, some(&all, 4))
            .means("their databases know other passwords than a new cloud would: its services could not log in"),
    )
}

/// Bridges and taps of Open vSwitch, Neutron, libvirt and Nova.
fn interfaces(scene: &PreflightScene) -> Check {
    let (id, title) = ("leftovers.interfaces", "Interfaces of an earlier cloud");
    let is_left = |name: &String| {
        ["br-int", "br-ex", "br-tun", "ovs-system", "ovs-netdev"].contains(&name.as_str())
            // Names are made of a prefix and the first 11 characters of a port's id.
            || ["tap", "qbr", "qvo", "qvb", "qr-", "qg-"].iter().any(|p| {
                name.strip_prefix(p).is_some_and(|id| id.len() == 11 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
            })
            || ["genev_sys_", "vxlan_sys_", "gre_sys"].iter().any(|p| name.starts_with(p))
    };
    let found: Vec<String> = scene.input.machine.names("/sys/class/net").into_iter().filter(is_left).collect();
    if found.is_empty() {
        return Check::pass(id, title, "none");
    }
    if scene.engine.own_running() {
        return Check::pass(id, title, format!("{} of this cloud", found.len()));
    }
    if scene.input.exists {
        return Check::info(id, title, some(&found, 6))
            .means("this cloud left them when it stopped; it takes them up again");
    }
    let removal: Vec<String> = found.iter().take(3).map(|name| format!("`ip link delete {name}`")).collect();
    Check::warn(id, title, some(&found, 6))
        .means("the bridges are taken over with whatever is plugged into them")
        .mend(format!("{PURGE}, or {} ...", removal.join(", ")))
}

fn namespaces(scene: &PreflightScene) -> Check {
    let (id, title) = ("leftovers.namespaces", "Network name spaces of an earlier cloud");
    let is_left =
        |name: &String| ["ovnmeta-", "qrouter-", "qdhcp-", "snat-", "qlbaas-"].iter().any(|p| name.starts_with(p));
    let found: Vec<String> = scene.input.machine.names("/run/netns").into_iter().filter(is_left).collect();
    if found.is_empty() {
        return Check::pass(id, title, "none");
    }
    if scene.input.exists {
        return Check::pass(id, title, format!("{} of this cloud", found.len()));
    }
    Check::warn(id, title, some(&found, 4))
        .means("addresses in them may be those of new networks")
        .mend(format!("{PURGE}, or `ip netns delete {}` ...", found[0]))
}

/// Tables that the external network's NAT is in.
fn firewall(scene: &PreflightScene) -> Check {
    let (id, title) = ("leftovers.firewall", "Firewall rules of an earlier cloud");
    let ours = |name: &String| name.starts_with("stackyard");
    let found: Vec<String> = super::nft::tables().into_iter().filter(ours).collect();
    if found.is_empty() {
        return Check::pass(id, title, "none");
    }
    if scene.input.exists {
        return Check::pass(id, title, format!("{} of this cloud", found.join(", ")));
    }
    Check::warn(id, title, found.join(", "))
        .means("traffic of the earlier external network is still translated")
        .mend(format!("{PURGE}, or `nft delete table ip {}`", found[0]))
}

/// Nova refuses a new database while libvirt still has its servers.
fn domains(scene: &PreflightScene) -> Check {
    let (id, title) = ("leftovers.domains", "Servers of an earlier cloud in libvirt");
    let names = scene.input.machine.names("/etc/libvirt/qemu");
    let found: Vec<String> = names
        .iter()
        .filter_map(|n| n.strip_suffix(".xml"))
        .filter(|n| n.starts_with("instance-"))
        .map(str::to_owned)
        .collect();
    if found.is_empty() {
        return Check::pass(id, title, "none");
    }
    Check::warn(id, title, some(&found, 4))
        .means(
            "a libvirt of the host would start them; a nova-compute that sees them refuses to work with a new database",
        )
        .mend(format!("`virsh undefine {}` ..., or remove /etc/libvirt/qemu/instance-*.xml", found[0]))
}

/// Databases of Open vSwitch and OVN on the host itself.
fn databases(scene: &PreflightScene) -> Check {
    let (id, title) = ("leftovers.databases", "Databases of Open vSwitch and OVN");
    let files = [
        "/etc/openvswitch/conf.db",
        "/var/lib/openvswitch/conf.db",
        "/var/lib/ovn/ovnnb_db.db",
        "/var/lib/ovn/ovnsb_db.db",
        "/var/lib/openvswitch/ovnnb_db.db",
    ];
    let found: Vec<String> = files.iter().filter(|f| scene.input.machine.has(f)).map(|f| (*f).to_owned()).collect();
    if found.is_empty() {
        return Check::pass(id, title, "none on the host");
    }
    Check::warn(id, title, found.join(", "))
        .means("the cloud keeps its own in volumes; these belong to daemons of the host, which would plug their bridges again")
        .mend(format!("`rm {}` once nothing of the host uses them", found.join(" ")))
}
