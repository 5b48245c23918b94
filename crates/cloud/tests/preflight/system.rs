//! Kernel, settings, host name.

use crate::support::{Files, Place, ask, elsewhere, expect, question};
use stackyard_cloud::preflight::Outcome;

/// Features that the kernel of this machine lacks are missed for real.
#[test]
fn what_this_kernel_lacks_is_missed() {
    let (_home, input) = question();
    let report = ask(&input);
    for (feature, id) in
        [("geneve", "kernel.geneve"), ("vxlan", "kernel.vxlan"), ("veth", "kernel.veth"), ("bridge", "kernel.bridge")]
    {
        let script = format!(
            "ip link add probe0 type {feature} {}",
            match feature {
                "geneve" => "id 7 remote 192.0.2.1",
                "vxlan" => "id 7 dstport 4789",
                _ => "",
            }
        );
        let works =
            std::process::Command::new("unshare").args(["-n", "sh", "-c", &script]).output().unwrap().status.success();
        let check = report.get(id).unwrap();
        assert_eq!(check.result == Outcome::Pass, works, "{feature}: {check:?}");
    }
    let vlan = "ip link add probe0 type veth; ip link add link probe0 name probe0.7 type vlan id 7";
    let works = std::process::Command::new("unshare").args(["-n", "sh", "-c", vlan]).output().unwrap().status.success();
    assert_eq!(report.get("kernel.8021q").unwrap().result == Outcome::Pass, works);
}

/// The device of TAP interfaces taken away, for real.
#[test]
fn devices_that_are_not_there() {
    let files = Files::new(&[("/proc/sys/kernel/osrelease", "6.1.0\n"), ("/boot/config-6.1.0", "CONFIG_TUN=m\n")]);
    let (_home, mut input) = question();
    input.machine = files.machine();
    expect(&ask(&input), "kernel.tun", Outcome::Fail, "a module that is not in /lib/modules/6.1.0");
}

#[test]
fn a_kernel_without_anything_names_what_is_used_instead() {
    let files = Files::new(&[
        ("/proc/sys/kernel/osrelease", "6.1.0\n"),
        ("/boot/config-6.1.0", "CONFIG_SMP=y\n"),
        ("/proc/filesystems", "nodev\tproc\n"),
    ]);
    let (_home, mut input) = question();
    input.machine = files.machine();
    let report = ask(&input);
    for (feature, result, says) in [
        ("openvswitch", Outcome::Warn, "the datapath in user space is used"),
        ("geneve", Outcome::Info, "user space"),
        ("vxlan", Outcome::Info, "user space"),
        ("8021q", Outcome::Info, "tags frames itself"),
        ("tun", Outcome::Fail, "cannot be plugged"),
        ("veth", Outcome::Fail, "metadata"),
        ("bridge", Outcome::Warn, "Docker"),
        ("br_netfilter", Outcome::Info, "OVN"),
        ("vhost_net", Outcome::Info, "less throughput"),
        ("nf_conntrack", Outcome::Fail, "NAT"),
        ("nftables", Outcome::Fail, "no way out"),
        ("overlay", Outcome::Warn, "vfs"),
        ("kvm", Outcome::Warn, "QEMU without acceleration"),
        ("nfs", Outcome::Info, "bind-mounted"),
    ] {
        expect(&report, &format!("kernel.{feature}"), result, says);
    }
}

#[test]
fn modules_may_be_loaded_or_built_in_or_unknown() {
    let release = ("/proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
    let dep = "kernel/net/openvswitch/openvswitch.ko: kernel/net/nsh/nsh.ko\nkernel/drivers/vhost/vhost_net.ko.xz:\n";
    let files = Files::new(&[
        release,
        ("/lib/modules/6.1.0-18-amd64/modules.dep", dep),
        ("/lib/modules/6.1.0-18-amd64/modules.builtin", "kernel/drivers/net/tun.ko\n"),
    ]);
    let (_home, mut input) = question();
    input.machine = files.machine();
    let report = ask(&input);
    expect(&report, "kernel.openvswitch", Outcome::Pass, "can be loaded");
    expect(&report, "kernel.vhost_net", Outcome::Pass, "can be loaded");
    expect(&report, "kernel.tun", Outcome::Pass, "built in");
    expect(&report, "kernel.geneve", Outcome::Info, "not in /lib/modules/6.1.0-18-amd64");
    let empty = Files::new(&[release]);
    input.machine = empty.machine();
    expect(&ask(&input), "kernel.nftables", Outcome::Info, "modprobe nf_tables");
}

/// Settings that belong to a network name space are really set.
#[test]
fn settings_of_the_network() {
    let (_home, input) = question();
    let set = |ip_forward, rp_filter, somaxconn| {
        format!(
            "cd /proc/sys/net; echo {ip_forward} > ipv4/ip_forward; echo {rp_filter} > ipv4/conf/all/rp_filter; echo {somaxconn} > core/somaxconn"
        )
    };
    let report = elsewhere(&Place::new("-n", &set(0, 1, 64)), &input);
    expect(&report, "sysctl.ip_forward", Outcome::Info, "is 0");
    expect(&report, "sysctl.rp_filter", Outcome::Info, "strict");
    expect(&report, "sysctl.somaxconn", Outcome::Warn, "sysctl -w net.core.somaxconn=128");
    let mut second = input.clone();
    second.neutron_interface = Some("lo".to_owned());
    expect(&elsewhere(&Place::new("-n", &set(0, 1, 64)), &second), "sysctl.rp_filter", Outcome::Warn, "rp_filter=2");
    let report = elsewhere(&Place::new("-n", &set(1, 2, 4096)), &input);
    for id in ["sysctl.ip_forward", "sysctl.rp_filter", "sysctl.somaxconn"] {
        assert_eq!(report.get(id).unwrap().result, Outcome::Pass, "{id}");
    }
}

/// These belong to the whole machine, which has other users.
#[test]
fn settings_of_the_machine() {
    let files = Files::new(&[
        ("/proc/sys/fs/file-max", "1024\n"),
        ("/proc/sys/fs/inotify/max_user_instances", "8\n"),
        ("/proc/sys/kernel/pid_max", "4096\n"),
        ("/proc/sys/kernel/threads-max", "1000\n"),
    ]);
    let (_home, mut input) = question();
    input.machine = files.machine();
    let report = ask(&input);
    for (id, says) in [
        ("sysctl.file_max", "fs.file-max=262144"),
        ("sysctl.inotify", "too many open files"),
        ("sysctl.pid_max", "kernel.pid_max=32768"),
        ("sysctl.threads_max", "kernel.threads-max"),
    ] {
        expect(&report, id, Outcome::Warn, says);
    }
}

#[test]
fn host_names() {
    let (_home, input) = question();
    let named = |name: &str, hosts: &str| {
        let script = format!(
            "echo {name} > /proc/sys/kernel/hostname; mount -t tmpfs none /mnt; echo '{hosts}' > /mnt/hosts; : > /mnt/resolv.conf;
             mount --bind /mnt/hosts /etc/hosts; mount --bind /mnt/resolv.conf /etc/resolv.conf"
        );
        elsewhere(&Place { unshare: "-umn", script: &script, ..Place::default() }, &input)
    };
    expect(&named("under_score", ""), "hostname.valid", Outcome::Fail, "RFC 1123");
    expect(&named("localhost", "127.0.0.1 localhost"), "hostname.valid", Outcome::Warn, "hostnamectl");
    expect(&named("nowhere-to-be-found", ""), "hostname.resolves", Outcome::Warn, "127.0.1.1 nowhere-to-be-found");
    expect(
        &named("elsewhere", "192.0.2.99 elsewhere"),
        "hostname.resolves",
        Outcome::Warn,
        "no address of this machine",
    );
    let report = named("here", "127.0.1.1 here");
    expect(&report, "hostname.valid", Outcome::Pass, "here");
    expect(&report, "hostname.resolves", Outcome::Pass, "127.0.1.1");
}
