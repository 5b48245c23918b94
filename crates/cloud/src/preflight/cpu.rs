//! CPUs: how many, and whether they can run guests themselves.

use super::{Check, Machine, PreflightScene};

/// CPU flags that matter here, from /proc/cpuinfo.
pub struct Flags {
    /// `vmx` (Intel) or `svm` (AMD).
    pub virtualization: Option<&'static str>,
    /// This machine is itself a guest.
    pub guest: bool,
    /// There are flags at all; on ARM, virtualization is no flag.
    pub x86: bool,
}

/// Reads the flags of the first CPU.
pub fn flags(machine: &Machine) -> Flags {
    let text = machine.read("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("flags")?.split_once(':').map(|(_, v)| v));
    let has = |flag: &str| line.is_some_and(|l| l.split_whitespace().any(|f| f == flag));
    Flags { virtualization: ["vmx", "svm"].into_iter().find(|f| has(f)), guest: has("hypervisor"), x86: line.is_some() }
}

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    let machine = &scene.input.machine;
    vec![count(scene), virtualization(&flags(machine), machine)]
}

fn count(scene: &PreflightScene) -> Check {
    let (id, title) = ("cpu.count", "CPUs");
    let seen = count_of(&scene.input.machine);
    let wanted = scene.input.needs.cpus;
    let text = if seen == 1 { "1 CPU".to_owned() } else { format!("{seen} CPUs") };
    if seen >= wanted {
        return Check::pass(id, title, text);
    }
    Check::warn(id, title, text)
        .means(format!("bringing up and every request takes long; {wanted} or more are meant"))
        .mend("give this machine more CPUs")
}

/// CPUs of the machine that this process may use.
pub fn count_of(machine: &Machine) -> u32 {
    if machine.is_this() {
        return std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
    }
    let text = machine.read("/proc/cpuinfo").unwrap_or_default();
    u32::try_from(text.lines().filter(|l| l.starts_with("processor")).count().max(1)).unwrap_or(1)
}

fn virtualization(flags: &Flags, machine: &Machine) -> Check {
    let (id, title) = ("cpu.virtualization", "CPU virtualization");
    let place = if flags.guest { "a virtual machine" } else { "a physical machine" };
    if let Some(flag) = flags.virtualization {
        let nested = if flags.guest { "; nested virtualization is on" } else { "" };
        return Check::pass(id, title, format!("flag {flag} on {place}{nested}"));
    }
    if !flags.x86 {
        return Check::info(id, title, "this architecture has no flag for it; the guest under KVM tells");
    }
    let vendor = machine.read("/proc/cpuinfo").unwrap_or_default();
    let module = if vendor.contains("AuthenticAMD") { "kvm_amd" } else { "kvm_intel" };
    Check::warn(id, title, format!("neither vmx nor svm among the CPU flags of {place}"))
        .means("servers run under QEMU without acceleration: they work, several times slower")
        .mend(if flags.guest {
            format!(
                "on the machine that hosts this one: turn on nested virtualization (`modprobe {module} nested=1`) and give this one the host's CPU (host-passthrough)"
            )
        } else {
            "turn on virtualization (Intel VT-x, AMD-V) in the firmware's settings".to_owned()
        })
}
