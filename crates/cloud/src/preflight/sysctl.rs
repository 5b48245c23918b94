//! Settings of the kernel that services run into.

use super::{Check, PreflightScene};

pub fn checks(scene: &PreflightScene) -> Vec<Check> {
    let mut checks = vec![];
    checks.extend(forwarding(scene));
    checks.extend(reverse_path(scene));
    for limit in &LIMITS {
        checks.extend(at_least(scene, limit));
    }
    checks
}

fn forwarding(scene: &PreflightScene) -> Option<Check> {
    let (id, title) = ("sysctl.ip_forward", "Forwarding");
    match scene.input.machine.number("/proc/sys/net/ipv4/ip_forward")? {
        0 => Some(
            Check::info(id, title, "net.ipv4.ip_forward is 0")
                .means("the external network turns it on; turning it off again cuts servers off")
                .mend("`sysctl -w net.ipv4.ip_forward=1`, and the same in /etc/sysctl.d/"),
        ),
        _ => Some(Check::pass(id, title, "net.ipv4.ip_forward is 1")),
    }
}

/// Source: Documentation/networking/ip-sysctl.rst, `rp_filter`: the larger of `all` and the
/// interface's own value counts, 1 is strict, 2 is loose.
fn reverse_path(scene: &PreflightScene) -> Option<Check> {
    let (id, title) = ("sysctl.rp_filter", "Reverse path filter");
    let value = |name: &str| scene.input.machine.number(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"));
    let (all, default) = (value("all")?, value("default")?);
    let seen = format!("all {all}, default {default}");
    if all.max(default) != 1 {
        return Some(Check::pass(id, title, seen));
    }
    if scene.input.neutron_interface.is_none() {
        return Some(Check::info(id, title, format!("{seen} (strict)")).means("fine with one way out"));
    }
    Some(
        Check::warn(id, title, format!("{seen} (strict)"))
            .means("answers that leave by another card than requests came in by are dropped, as with floating IPs on a second card")
            .mend("`sysctl -w net.ipv4.conf.all.rp_filter=2`"),
    )
}

/// A limit with the least that does.
struct Limit {
    id: &'static str,
    title: &'static str,
    /// Name with dots.
    name: &'static str,
    least: u64,
    means: &'static str,
}

const LIMITS: [Limit; 5] = [
    Limit {
        id: "sysctl.file_max",
        title: "Open files",
        name: "fs.file-max",
        least: 262_144,
        means: "services run out of file descriptors",
    },
    Limit {
        id: "sysctl.inotify",
        title: "inotify instances",
        name: "fs.inotify.max_user_instances",
        least: 128,
        means: "services that watch files fail with \"too many open files\"",
    },
    Limit {
        id: "sysctl.pid_max",
        title: "Process ids",
        name: "kernel.pid_max",
        least: 32_768,
        means: "forks fail: a cloud has hundreds of processes and thousands of threads",
    },
    Limit {
        id: "sysctl.threads_max",
        title: "Threads",
        name: "kernel.threads-max",
        least: 16_384,
        means: "databases, Erlang and QEMU cannot start threads",
    },
    Limit {
        id: "sysctl.somaxconn",
        title: "Waiting connections",
        name: "net.core.somaxconn",
        least: 128,
        means: "connections are refused under load, and uwsgi complains about its queue",
    },
];

fn at_least(scene: &PreflightScene, limit: &Limit) -> Option<Check> {
    let path = format!("/proc/sys/{}", limit.name.replace('.', "/"));
    let value = scene.input.machine.number(path)?;
    let seen = format!("{} is {value}", limit.name);
    if value >= limit.least {
        return Some(Check::pass(limit.id, limit.title, seen));
    }
    Some(
        Check::warn(limit.id, limit.title, seen)
            .means(limit.means)
            .mend(format!("`sysctl -w {}={}`, and the same in /etc/sysctl.d/", limit.name, limit.least)),
    )
}
