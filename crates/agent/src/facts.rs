//! What a host says of itself.

use crate::default_route;
use crate::link_kinds::link_kinds;
use stackyard_core::agent::{Facts, Usage};
use std::net::IpAddr;
use std::path::Path;

/// Looks at this machine. `docker` is the version of its engine.
pub(crate) fn facts(docker: &str) -> Facts {
    let interface = default_route::interface();
    Facts {
        machine_id: line("/etc/machine-id").unwrap_or_default(),
        hostname: line("/proc/sys/kernel/hostname").unwrap_or_default(),
        server_id: server_id(),
        os: os(&text("/etc/os-release")),
        kernel: line("/proc/sys/kernel/osrelease").unwrap_or_default(),
        arch: arch().to_owned(),
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory: meminfo(&text("/proc/meminfo"), "MemTotal").unwrap_or_default(),
        docker: docker.to_owned(),
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        addresses: addresses(),
        mtu: interface.as_deref().and_then(default_route::mtu).unwrap_or_default(),
        // A kernel that cannot be asked makes none.
        links: link_kinds().unwrap_or_default(),
    }
}

/// What is in use. `root` is Docker's data directory.
pub(crate) fn usage(root: Option<&Path>) -> Usage {
    let memory = text("/proc/meminfo");
    let total = meminfo(&memory, "MemTotal").unwrap_or_default();
    let available = meminfo(&memory, "MemAvailable").unwrap_or_default();
    let (disk, disk_used) = root.and_then(|root| rustix::fs::statvfs(root).ok()).map_or((0, 0), |s| {
        let size = s.f_blocks.saturating_mul(s.f_frsize);
        (size, size.saturating_sub(s.f_bavail.saturating_mul(s.f_frsize)))
    });
    Usage {
        memory: total.saturating_sub(available),
        load: load(&text("/proc/loadavg")).unwrap_or_default(),
        disk,
        disk_used,
    }
}

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn line(path: &str) -> Option<String> {
    Some(text(path).trim().to_owned()).filter(|t| !t.is_empty())
}

/// A value of /proc/meminfo, in bytes.
fn meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Load of the last minute in hundredths, from /proc/loadavg.
fn load(text: &str) -> Option<u32> {
    let (whole, part) = text.split_whitespace().next()?.split_once('.')?;
    let part: u32 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    Some(whole.parse::<u32>().ok()?.saturating_mul(100).saturating_add(part))
}

fn os(release: &str) -> String {
    let name = release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64el",
        other => other,
    }
}

/// Id of the Nova server that this machine is: what its firmware says, else cloud-init.
fn server_id() -> Option<String> {
    let dmi = |name: &str| line(&format!("/sys/class/dmi/id/{name}")).unwrap_or_default();
    if dmi("product_name").contains("OpenStack") || dmi("sys_vendor").contains("OpenStack") {
        return Some(dmi("product_uuid").to_lowercase()).filter(|id| !id.is_empty());
    }
    let data: serde_json::Value = serde_json::from_str(&text("/run/cloud-init/instance-data.json")).ok()?;
    let v1 = &data["v1"];
    let ours = v1["cloud_name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case("openstack"));
    ours.then(|| v1["instance_id"].as_str().map(str::to_owned))?
}

/// Addresses that others may reach this machine at: those of the default routes first, no
/// loopback or link-local ones, none of bridges and of containers' ends.
fn addresses() -> Vec<IpAddr> {
    let mut all = default_route::source_addresses();
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return all };
    for interface in interfaces {
        let sys = Path::new("/sys/class/net").join(&interface.interface_name);
        let inner = sys.join("bridge").exists() || interface.interface_name.starts_with("veth");
        let Some(address) = interface.address.as_ref().and_then(address) else { continue };
        let outer = match address {
            IpAddr::V4(a) => !a.is_loopback() && !a.is_link_local(),
            IpAddr::V6(a) => !a.is_loopback() && !a.is_unicast_link_local(),
        };
        if outer && !inner && !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

pub(crate) fn address(storage: &nix::sys::socket::SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says() {
        assert_eq!(meminfo("MemTotal:  2048 kB\nMemAvailable: 1 kB\n", "MemAvailable"), Some(1024));
        assert_eq!(load("0.07 0.10 0.11 1/2 3"), Some(7));
        assert_eq!(load("12.5 0.10 0.11 1/2 3"), Some(1250));
        assert_eq!(os("NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"), "Debian GNU/Linux 12 (bookworm)");
    }

    #[test]
    fn this_machine() {
        let facts = facts("20.10");
        assert!(!facts.hostname.is_empty() && !facts.kernel.is_empty() && facts.memory > 0, "{facts:?}");
        assert!(facts.addresses.iter().all(|a| !a.is_loopback()), "{facts:?}");
        let usage = usage(Some(Path::new("/")));
        assert!(usage.memory > 0 && usage.disk > usage.disk_used, "{usage:?}");
    }
}
