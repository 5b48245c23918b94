//! Other libvirts, other OpenStacks, earlier clouds.

use crate::docker::{Image, container};
use crate::support::{Files, Place, Sleeper, ask, elsewhere, expect, question, sh};
use stackyard_cloud::preflight::{Machine, Outcome};

/// A place with processes and interfaces of its own, which a cloud on this machine is not in.
const ALONE: &str = "-pfnm --kill-child --mount-proc";
const FRESH: &str = "mount -t sysfs none /sys; mount -t tmpfs none /run; ";

/// Starts a copied `sleep` with this name.
fn starting(name: &str) -> String {
    format!("{FRESH} cp /bin/sleep /run/{name}; /run/{name} 600 & sleep 0.2")
}

#[test]
fn a_libvirt_of_the_host() {
    let (_home, input) = question();
    let id = "libvirt.host";
    expect(&elsewhere(&Place::new(ALONE, FRESH), &input), id, Outcome::Pass, "none");
    for name in ["libvirtd", "virtqemud"] {
        expect(&elsewhere(&Place::new(ALONE, &starting(name)), &input), id, Outcome::Fail, &format!("{name} (pid "));
    }
    let listening =
        Place { unshare: ALONE, script: FRESH, listen: Some("/run/libvirt/libvirt-sock"), ..Place::default() };
    expect(&elsewhere(&listening, &input), id, Outcome::Fail, "listens at /run/libvirt/libvirt-sock");
    // Seen from outside, too.
    let daemon = Sleeper::called("libvirtd");
    let report = ask(&input);
    expect(&report, id, Outcome::Fail, "libvirtd (pid ");
    assert!(report.blocked() && daemon.pid() > 0);
}

const DPKG: &str = "Package: libvirt-daemon-system
Status: install ok installed
Version: 9.0.0

Package: nova-compute
Status: install ok installed
Version: 2:26.1.0

Package: neutron-common
Status: install ok installed

Package: glance-api
Status: deinstall ok config-files

Package: openvswitch-switch
Status: install ok installed
";

#[test]
fn packages_of_the_distribution() {
    let files = Files::new(&[("/var/lib/dpkg/status", DPKG)]);
    let (_home, mut input) = question();
    input.machine = files.machine();
    let report = ask(&input);
    expect(&report, "libvirt.host", Outcome::Warn, "libvirt-daemon-system is installed");
    expect(&report, "packages.openstack", Outcome::Warn, "apt-get remove nova-compute`");
    expect(&report, "packages.openvswitch", Outcome::Warn, "systemctl disable --now openvswitch-switch");
}

#[test]
fn daemons_of_the_host() {
    let (_home, input) = question();
    let report = elsewhere(&Place::new(ALONE, &starting("ovs-vswitchd")), &input);
    expect(&report, "packages.daemons", Outcome::Fail, "ovs-vswitchd (pid ");
    expect(&report, "packages.services", Outcome::Pass, "none runs");
    let report = elsewhere(&Place::new(ALONE, &starting("nova-compute")), &input);
    expect(&report, "packages.services", Outcome::Fail, "nova-compute (pid ");
    expect(&report, "packages.daemons", Outcome::Pass, "none runs");
    // A script is known by its own name, not by its interpreter's, and not cut off.
    let script = format!(
        "{FRESH} cp /bin/busybox /run/busybox; printf '#!/run/busybox sh\\nsleep 600; :\\n' > /run/neutron-periodic-workers;
         chmod +x /run/neutron-periodic-workers; /run/neutron-periodic-workers & sleep 0.3"
    );
    expect(
        &elsewhere(&Place::new(ALONE, &script), &input),
        "packages.services",
        Outcome::Fail,
        "neutron-periodic-workers (pid ",
    );
}

#[test]
fn interfaces_and_name_spaces_and_rules() {
    let (_home, mut input) = question();
    let clean = elsewhere(&Place::new(ALONE, FRESH), &input);
    for id in ["leftovers.interfaces", "leftovers.namespaces", "leftovers.firewall"] {
        expect(&clean, id, Outcome::Pass, "none");
    }
    let script = format!(
        "{FRESH} ip link add br-int type bridge; ip tuntap add tap0123abcd-ef mode tap; ip tuntap add tapdance mode tap;
         ip netns add ovnmeta-0815; ip netns add mine; nft add table ip stackyard_external; nft add table ip other"
    );
    let report = elsewhere(&Place::new(ALONE, &script), &input);
    expect(&report, "leftovers.interfaces", Outcome::Warn, "br-int, tap0123abcd-ef |");
    expect(&report, "leftovers.namespaces", Outcome::Warn, "ip netns delete ovnmeta-0815");
    expect(&report, "leftovers.firewall", Outcome::Warn, "nft delete table ip stackyard_external");
    // The same after a cloud of this very state directory was stopped.
    input.exists = true;
    let report = elsewhere(&Place::new(ALONE, &script), &input);
    expect(&report, "leftovers.interfaces", Outcome::Info, "takes them up again");
    expect(&report, "leftovers.namespaces", Outcome::Pass, "1 of this cloud");
    expect(&report, "leftovers.firewall", Outcome::Pass, "of this cloud");
}

#[test]
fn domains_and_databases() {
    let files = Files::new(&[("/etc/libvirt/qemu/instance-00000001.xml", ""), ("/etc/openvswitch/conf.db", "")]);
    let (_home, mut input) = question();
    input.machine = files.machine();
    let report = ask(&input);
    expect(&report, "leftovers.domains", Outcome::Warn, "virsh undefine instance-00000001");
    expect(&report, "leftovers.databases", Outcome::Warn, "rm /etc/openvswitch/conf.db");
    input.machine = Machine::at("/nonexistent");
    let report = ask(&input);
    expect(&report, "leftovers.domains", Outcome::Pass, "none");
    expect(&report, "leftovers.databases", Outcome::Pass, "none");
}

#[test]
fn containers_and_volumes_of_another_home() {
    let image = Image::busybox();
    let (home, mut input) = question();
    let label = format!("--label dev.stackyard.stack={}", input.stack);

    // With no cloud in this state directory, any of them is another's.
    let other = tempfile::tempdir().unwrap();
    let stacks = other.path().join("stacks").join(&input.stack);
    std::fs::create_dir_all(&stacks).unwrap();
    let left = container(&image, &format!("{label} --volume {}:/config:ro", stacks.display()), "sleep 600");
    expect(&ask(&input), "leftovers.containers", Outcome::Fail, &format!("--purge --home {}", other.path().display()));
    // With one, those that mount another's files still are.
    input.exists = true;
    expect(&ask(&input), "leftovers.containers", Outcome::Fail, &left.name);
    drop(left);

    let mine = home.path().join("stacks").join(&input.stack);
    std::fs::create_dir_all(&mine).unwrap();
    let own = container(&image, &format!("{label} --volume {}:/config:ro", mine.display()), "sleep 600");
    expect(&ask(&input), "leftovers.containers", Outcome::Pass, "none");
    drop(own);

    let volume = sh(&format!("docker volume create {label} {}_mariadb", input.stack));
    let with = ask(&input);
    input.exists = false;
    let without = ask(&input);
    sh(&format!("docker volume rm {volume}"));
    expect(&with, "leftovers.volumes", Outcome::Pass, "1 volumes of this cloud");
    expect(&without, "leftovers.volumes", Outcome::Fail, "other passwords");

    let network = format!("{}_front", input.stack);
    sh(&format!("docker network create {label} {network}"));
    let report = ask(&input);
    sh(&format!("docker network rm {network}"));
    expect(&report, "leftovers.volumes", Outcome::Warn, &network);
    expect(&ask(&input), "leftovers.volumes", Outcome::Pass, "none");
}
