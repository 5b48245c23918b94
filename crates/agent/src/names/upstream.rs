//! The name servers that a container would ask without the agent's resolver.

use stackyard_core::stack::RESOLVER;
use std::fs;
use std::net::IpAddr;

/// Where the host's name servers are.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where systemd-resolved writes the servers that it asks (systemd-resolved.service(8)).
const SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";

/// Name servers that are asked for one question; more are left out, as by Docker and resolv.conf(5).
const MOST: usize = 3;

/// A name server, and from where it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Upstream {
    /// Its address; its port is 53.
    pub(super) address: IpAddr,
    /// It is asked from the host's network namespace: it listens on the host's loopback interface.
    pub(super) from_host: bool,
}

/// The name servers of a container: those that its service names, or else the host's. A server on the host's loopback
/// interface is asked from there, and not for a container whose networks have no way to the outside.
pub(super) fn upstreams(own: &[IpAddr], is_internal: bool) -> Vec<Upstream> {
    if !own.is_empty() {
        return list(own.iter().copied(), |_| false);
    }
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    of_host(&read(RESOLV_CONF), || read(SYSTEMD), is_internal)
}

fn of_host(resolv_conf: &str, systemd: impl FnOnce() -> String, is_internal: bool) -> Vec<Upstream> {
    let mut servers = name_servers(resolv_conf);
    if servers.iter().all(IpAddr::is_loopback) {
        let behind = name_servers(&systemd());
        if !behind.is_empty() {
            servers = behind;
        }
    }
    let reachable = servers.into_iter().filter(|s| !(is_internal && s.is_loopback()));
    list(reachable, |s| s.is_loopback())
}

fn list(servers: impl Iterator<Item = IpAddr>, from_host: impl Fn(IpAddr) -> bool) -> Vec<Upstream> {
    // The resolver itself would ask itself.
    let others = servers.filter(|s| *s != IpAddr::V4(RESOLVER));
    others.map(|address| Upstream { address, from_host: from_host(address) }).take(MOST).collect()
}

/// The addresses of `nameserver` lines (resolv.conf(5)).
fn name_servers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        // An address with a zone (`fe80::1%eth0`) is good for one link of the host, which a container does not have.
        words.next().filter(|w| *w == "nameserver").and_then(|_| words.next()?.parse().ok())
    };
    text.lines().filter_map(server).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(servers: &[Upstream]) -> Vec<String> {
        servers.iter().map(|s| format!("{}{}", s.address, if s.from_host { " host" } else { "" })).collect()
    }

    #[test]
    fn a_container_asks_the_servers_of_its_service_first() {
        assert_eq!(shown(&upstreams(&["127.0.0.1".parse().unwrap()], false)), ["127.0.0.1"]);
        let many: Vec<IpAddr> = (1..6).map(|i| IpAddr::from([10, 0, 0, i])).collect();
        assert_eq!(shown(&upstreams(&many, false)), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert!(upstreams(&[IpAddr::V4(RESOLVER)], false).is_empty(), "it does not ask itself");
    }

    #[test]
    fn a_local_resolver_of_the_host_is_asked_from_the_host() {
        let none = String::new;
        let text = "# x\nsearch a\nnameserver 10.0.0.2\nnameserver fd00::53 \nnameserver fe80::1%eth0\noptions edns0\n";
        assert_eq!(shown(&of_host(text, none, false)), ["10.0.0.2", "fd00::53"]);
        let local = "nameserver 127.0.0.53\n";
        assert_eq!(shown(&of_host(local, none, false)), ["127.0.0.53 host"]);
        assert!(of_host(local, none, true).is_empty(), "an internal network would have a way out");
        assert_eq!(shown(&of_host(local, || "nameserver 192.0.2.1".into(), false)), ["192.0.2.1"]);
        assert!(of_host("", none, false).is_empty());
    }
}
