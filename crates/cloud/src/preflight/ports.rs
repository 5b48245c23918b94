//! Ports that services will listen on, and who has them.

use super::docker::Engine;
use super::{Check, Machine, Port, PreflightScene};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A socket that listens (TCP) or is bound (UDP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Local address.
    pub address: IpAddr,
    /// Local port.
    pub port: u16,
    /// UDP instead of TCP.
    pub udp: bool,
    /// Number by which its owner's file descriptors name it.
    pub inode: u64,
}

/// All listening sockets of the network name space that this process is in.
///
/// Source: /proc/net/{tcp,tcp6,udp,udp6}, see proc_pid_net(5).
pub fn listening(machine: &Machine) -> Vec<Socket> {
    let tables = [("tcp", false), ("tcp6", false), ("udp", true), ("udp6", true)];
    tables
        .into_iter()
        .flat_map(|(table, udp)| {
            let text = machine.read(format!("/proc/net/{table}")).unwrap_or_default();
            text.lines().skip(1).filter_map(|line| parse(line, udp)).collect::<Vec<_>>()
        })
        .collect()
}

fn parse(line: &str, udp: bool) -> Option<Socket> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    // TCP_LISTEN is 10; a UDP socket without a peer is in state 7 (TCP_CLOSE).
    if *fields.get(3)? != if udp { "07" } else { "0A" } {
        return None;
    }
    // Words of four bytes, each in the byte order of the machine.
    let words: Option<Vec<u8>> = address
        .as_bytes()
        .chunks(8)
        .map(|hex| Some(u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?.to_ne_bytes()))
        .collect::<Option<Vec<_>>>()
        .map(|words| words.concat());
    let words = words?;
    let address = match words.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(words).ok()?)),
        _ => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?)).to_canonical(),
    };
    Some(Socket { address, port: u16::from_str_radix(port, 16).ok()?, udp, inode: fields.get(9)?.parse().ok()? })
}

/// Processes that hold sockets, by the sockets' numbers.
fn owners(machine: &Machine, inodes: &[u64]) -> HashMap<u64, u32> {
    let mut found = HashMap::new();
    for pid in machine.names("/proc").into_iter().filter_map(|n| n.parse::<u32>().ok()) {
        let Ok(descriptors) = std::fs::read_dir(machine.path(format!("/proc/{pid}/fd"))) else { continue };
        for target in descriptors.flatten().filter_map(|d| std::fs::read_link(d.path()).ok()) {
            let inode = target.to_str().and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|i| inodes.contains(i)) {
                // The first is the oldest: a parent before the workers that inherited it.
                found.entry(inode).or_insert(pid);
            }
        }
        if found.len() == inodes.len() {
            break;
        }
    }
    found
}

/// The id of the check that all ports are free.
pub(super) const FREE: &str = "ports.free";

pub(super) fn checks(scene: &PreflightScene) -> Vec<Check> {
    let mut checks = vec![free(scene)];
    checks.extend(ephemeral(scene));
    checks
}

fn free(scene: &PreflightScene) -> Check {
    let (id, title) = (FREE, "Ports");
    let input = &scene.input;
    if input.ports.is_empty() {
        return Check::info(id, title, "the package names none").means("not checked");
    }
    let api = input.api_address;
    // A listener on some other address of this machine is in nobody's way.
    let matters = |a: IpAddr| a.is_unspecified() || a.is_loopback() || a == api || api.is_unspecified();
    let sockets = listening(&input.machine);
    let mut taken: BTreeMap<(u16, bool), (&Port, &Socket)> = BTreeMap::new();
    for port in &input.ports {
        let hit = sockets.iter().find(|s| s.port == port.number && s.udp == port.udp && matters(s.address));
        if let Some(socket) = hit {
            taken.insert((port.number, port.udp), (port, socket));
        }
    }
    let inodes: Vec<u64> = taken.values().map(|(_, s)| s.inode).collect();
    let owners = if inodes.is_empty() { HashMap::new() } else { owners(&input.machine, &inodes) };

    let (mut own, mut clashes, mut mends) = (0, vec![], vec![]);
    for (port, socket) in taken.values() {
        let holder = PortHolder::of(scene, socket, owners.get(&socket.inode).copied());
        if holder.is_own {
            own += 1;
            continue;
        }
        let protocol = if port.udp { "/udp" } else { "" };
        clashes.push(format!(
            "{}{protocol} ({}) is held by {} on {}",
            port.number, port.service, holder.text, socket.address
        ));
        mends.extend(holder.mend.filter(|m| !mends.contains(m)).into_iter().collect::<Vec<_>>());
    }
    let total = input.ports.len();
    if clashes.is_empty() {
        let seen = if own > 0 {
            format!("{own} of {total} in use by this cloud, the others free")
        } else {
            format!("all {total} free")
        };
        return Check::pass(id, title, seen);
    }
    let movable: Vec<&str> = taken.values().map(|(p, _)| p.service.as_str()).collect();
    mends.push(format!("or move ours where the package has a question for it (`--set {}_port=...`)", movable[0]));
    Check::fail(id, title, clashes.join("; ")).means("these services could not start").mend(mends.join("; "))
}

/// Who holds a port.
struct PortHolder {
    is_own: bool,
    text: String,
    mend: Option<String>,
}

impl PortHolder {
    fn of(scene: &PreflightScene, socket: &Socket, pid: Option<u32>) -> Self {
        let engine = &scene.engine;
        // A published port is held by Docker's proxy, on behalf of a container.
        let published = engine.publisher(socket.port);
        let process = pid.and_then(|pid| scene.processes.iter().find(|p| p.pid == pid));
        let container = process.and_then(|p| p.container.as_deref()).or(published);
        if let Some(container) = container {
            let name = engine.name_of(container);
            return Self {
                is_own: engine.is_own(container),
                text: format!("the container {name}"),
                mend: Some(format!("`docker stop {name}`")),
            };
        }
        let Some(process) = process else {
            return Self {
                is_own: false,
                text: if rustix::process::geteuid().is_root() {
                    "the kernel or another name space".to_owned()
                } else {
                    "a process that only root may see".to_owned()
                },
                mend: Some(format!("`ss -ltnup 'sport = :{}'` as root tells who it is", socket.port)),
            };
        };
        let unit = unit(&scene.input.machine, process.pid);
        Self {
            is_own: false,
            text: process.describe(engine),
            mend: Some(match unit {
                Some(unit) => format!("`systemctl disable --now {unit}`"),
                None => format!("stop {} (`kill {}`)", process.name, process.pid),
            }),
        }
    }
}

/// The systemd service that a process belongs to.
fn unit(machine: &Machine, pid: u32) -> Option<String> {
    let cgroup = machine.read(format!("/proc/{pid}/cgroup"))?;
    let service = cgroup.lines().filter_map(|l| l.rsplit('/').next()).find(|u| u.ends_with(".service"))?;
    Some(service.to_owned())
}

/// Ports that the kernel may give to outgoing connections first (ip_local_port_range).
fn ephemeral(scene: &PreflightScene) -> Option<Check> {
    let (id, title) = ("ports.ephemeral", "Ports of outgoing connections");
    let machine = &scene.input.machine;
    let range = machine.line("/proc/sys/net/ipv4/ip_local_port_range")?;
    let (first, last) = range.split_once(char::is_whitespace)?;
    let range: std::ops::RangeInclusive<u16> = first.parse().ok()?..=last.trim().parse().ok()?;
    let reserved = machine.line("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default();
    let is_reserved = |n: u16| {
        reserved.split(',').any(|part| {
            let (a, b) = part.split_once('-').unwrap_or((part, part));
            matches!((a.parse::<u16>(), b.parse::<u16>()), (Ok(a), Ok(b)) if (a..=b).contains(&n))
        })
    };
    let inside: Vec<String> = scene
        .input
        .ports
        .iter()
        .map(|p| p.number)
        .filter(|n| range.contains(n) && !is_reserved(*n))
        .map(|n| n.to_string())
        .collect();
    let seen = format!("{} to {}", range.start(), range.end());
    if inside.is_empty() {
        return Some(Check::pass(id, title, seen));
    }
    Some(
        Check::warn(id, title, format!("{seen}, which holds {}", super::some(&inside, 5)))
            .means("now and then an outgoing connection has the port when a service restarts, which then fails until it is closed")
            .mend(format!("`sysctl -w net.ipv4.ip_local_reserved_ports={}`", inside.join(","))),
    )
}

impl Engine {
    /// The container that publishes `port` on the host.
    fn publisher(&self, port: u16) -> Option<&str> {
        let publishes = |c: &&super::docker::Container| c.published.contains(&port);
        self.containers.iter().find(publishes).map(|c| c.id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_kernel_are_read() {
        let v4 = "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23456 1 0";
        let socket = parse(v4, false).unwrap();
        assert_eq!((socket.address.to_string().as_str(), socket.port, socket.inode), ("127.0.0.1", 3306, 23456));
        let v6 = "   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 77 1 0";
        assert_eq!(parse(v6, false).unwrap().address.to_string(), "::1");
        assert!(parse(&v4.replace(" 0A ", " 01 "), false).is_none());
    }
}
