//! CPUs, memory, disks, clock.

use crate::support::{Files, Place, Sleeper, ask, elsewhere, expect, question};
use stackyard_cloud::preflight::Outcome;
use std::time::{Duration, SystemTime};

#[test]
fn a_single_cpu_is_few() {
    let (_home, mut input) = question();
    input.needs.cpus = 2;
    expect(
        &elsewhere(&Place { through: "taskset 1", ..Place::default() }, &input),
        "cpu.count",
        Outcome::Warn,
        "1 CPU",
    );
    input.needs.cpus = 1;
    expect(
        &elsewhere(&Place { through: "taskset 1", ..Place::default() }, &input),
        "cpu.count",
        Outcome::Pass,
        "1 CPU",
    );
}

#[test]
fn cpus_without_virtualization() {
    for (cpuinfo, result, says) in [
        ("vendor_id : GenuineIntel\nflags : fpu vmx\n", Outcome::Pass, "vmx on a physical machine"),
        ("vendor_id : AuthenticAMD\nflags : fpu svm hypervisor\n", Outcome::Pass, "nested virtualization is on"),
        ("vendor_id : AuthenticAMD\nflags : fpu hypervisor\n", Outcome::Warn, "modprobe kvm_amd nested=1"),
        ("vendor_id : GenuineIntel\nflags : fpu hypervisor\n", Outcome::Warn, "modprobe kvm_intel nested=1"),
        ("vendor_id : GenuineIntel\nflags : fpu\n", Outcome::Warn, "firmware"),
        ("CPU implementer : 0x41\nFeatures : fp asimd\n", Outcome::Info, "architecture"),
    ] {
        let (_home, mut input) = question();
        input.machine = Files::new(&[("/proc/cpuinfo", cpuinfo)]).machine();
        let files = Files::new(&[("/proc/cpuinfo", cpuinfo)]);
        input.machine = files.machine();
        let report = ask(&input);
        let check = report.get("cpu.virtualization").unwrap();
        assert_eq!(check.result, result, "{cpuinfo}");
        assert!(format!("{check:?}").contains(says), "{check:?}");
    }
}

/// The machine's own memory, asked to be more than any machine has.
#[test]
fn too_little_memory() {
    let (_home, mut input) = question();
    input.needs.memory = 1 << 40;
    input.needs.memory_comfort = 1 << 41;
    let report = ask(&input);
    expect(&report, "memory.ram", Outcome::Fail, "more memory");
    assert!(report.blocked());
    input.needs.memory = 16;
    expect(&ask(&input), "memory.ram", Outcome::Warn, "small flavors");
    input.needs.memory_comfort = 64;
    expect(&ask(&input), "memory.ram", Outcome::Pass, "available");
}

#[test]
fn memory_that_others_hold_and_no_swap() {
    let meminfo = "MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\nSwapTotal: 0 kB\n";
    let files = Files::new(&[("/proc/meminfo", meminfo), ("/proc/sys/vm/overcommit_memory", "2\n")]);
    let (_home, mut input) = question();
    input.machine = files.machine();
    input.needs.memory = 3584;
    input.needs.memory_comfort = 16384;
    let report = ask(&input);
    expect(&report, "memory.ram", Outcome::Fail, "other programs hold the rest");
    expect(&report, "memory.swap", Outcome::Warn, "swapon");
    expect(&report, "memory.overcommit", Outcome::Warn, "vm.overcommit_memory=0");
}

#[test]
fn a_state_directory_on_a_full_disk() {
    let (home, input) = question();
    let dir = home.path().display();
    let at = |options: &str| format!("mount -t tmpfs -o {options} none {dir}");
    let ask = |options: &str| elsewhere(&Place { unshare: "-m", script: &at(options), ..Place::default() }, &input);
    expect(&ask("size=32m"), "disk.home", Outcome::Fail, "at least 64 MiB");
    expect(&ask("size=128m"), "disk.home", Outcome::Warn, "256 MiB are meant");
    expect(&ask("size=512m"), "disk.home", Outcome::Pass, " free for ");
    expect(&ask("size=512m,ro"), "disk.home", Outcome::Fail, "read-only");
}

#[test]
fn a_clock_that_is_behind() {
    let files = Files::new(&[("/var/lib/dpkg/status", "")]);
    let later = SystemTime::now() + Duration::from_hours(10 * 24);
    std::fs::File::open(files.path("/var/lib/dpkg/status")).unwrap().set_modified(later).unwrap();
    let (_home, mut input) = question();
    input.machine = files.machine();
    expect(&ask(&input), "clock.sane", Outcome::Fail, "before the last change of /var/lib/dpkg/status");
}

/// In a place with processes of its own, so that no keeper of the machine is seen.
#[test]
fn a_clock_that_nobody_keeps() {
    let (_home, input) = question();
    let alone = "mount -t tmpfs none /run";
    expect(
        &elsewhere(&Place::new("-pfm --mount-proc", alone), &input),
        "clock.kept",
        Outcome::Warn,
        "nothing keeps the clock",
    );
    let kept = format!("{alone}; mkdir -p /run/systemd/timesync; touch /run/systemd/timesync/synchronized");
    expect(&elsewhere(&Place::new("-pfm --mount-proc", &kept), &input), "clock.kept", Outcome::Pass, "timesyncd");
    let _keeper = Sleeper::called("chronyd");
    expect(&ask(&input), "clock.kept", Outcome::Pass, "keeps it");
}
