//! Memory, swap and the kernel's promises of it.

use super::{Check, PreflightScene};

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    let mut checks = vec![ram(scene)];
    checks.extend(swap(scene));
    checks.extend(overcommit(scene));
    checks
}

fn ram(scene: &PreflightScene) -> Check {
    let (id, title) = ("memory.ram", "Memory");
    let (machine, needs) = (&scene.input.machine, scene.input.needs);
    let Some(total) = machine.memory("MemTotal") else {
        return Check::warn(id, title, "/proc/meminfo cannot be read").means("not checked");
    };
    let free = machine.memory("MemAvailable").unwrap_or(total);
    let seen = format!("{} of {} available", gib(free), gib(total));
    let wanted = format!("the services need {}, and servers theirs", gib(needs.memory));
    if total < needs.memory {
        return Check::fail(id, title, seen)
            .means(format!("{wanted}; the kernel would kill what it finds"))
            .mend("give this machine more memory, or choose profile=core");
    }
    // What the cloud uses already is no longer available, and need not be.
    if !scene.engine.own_running() && free < needs.memory {
        return Check::fail(id, title, seen)
            .means(format!("{wanted}; other programs hold the rest"))
            .mend("stop what is not needed (`ps -e --sort -rss -o rss,pid,comm | head`), or choose profile=core");
    }
    if total < needs.memory_comfort {
        return Check::warn(id, title, seen)
            .means(format!("{wanted}; from {} on a few servers fit well", gib(needs.memory_comfort)))
            .mend("use small flavors, or give this machine more memory");
    }
    Check::pass(id, title, seen)
}

fn swap(scene: &PreflightScene) -> Option<Check> {
    let (id, title) = ("memory.swap", "Swap");
    let machine = &scene.input.machine;
    let (swap, total) = (machine.memory("SwapTotal")?, machine.memory("MemTotal")?);
    if swap == 0 && total < scene.input.needs.memory_comfort {
        return Some(
            Check::warn(id, title, "none")
                .means("when memory runs out, the kernel kills a service or a server")
                .mend("`fallocate -l 4G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile`"),
        );
    }
    Some(Check::pass(id, title, if swap == 0 { "none, and memory enough".to_owned() } else { gib(swap) }))
}

/// Source: Documentation/admin-guide/sysctl/vm.rst, `overcommit_memory`.
fn overcommit(scene: &PreflightScene) -> Option<Check> {
    let (id, title) = ("memory.overcommit", "Memory overcommit");
    match scene.input.machine.number("/proc/sys/vm/overcommit_memory")? {
        2 => Some(
            Check::warn(id, title, "vm.overcommit_memory is 2: the kernel promises no more than it has")
                .means("databases, Erlang and QEMU ask for far more than they use, and would be refused")
                .mend("`sysctl -w vm.overcommit_memory=0`"),
        ),
        mode => Some(Check::pass(id, title, format!("vm.overcommit_memory is {mode}"))),
    }
}

/// MiB as text.
pub fn gib(mib: u64) -> String {
    if mib < 1024 {
        return format!("{mib} MiB");
    }
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let gib = mib as f64 / 1024.0;
    format!("{gib:.1} GiB")
}
