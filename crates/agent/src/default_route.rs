//! The interface of the default route.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Name of the interface that the default route leads to: IPv4's, else IPv6's.
pub(crate) fn interface() -> Option<String> {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    ipv4(&read("/proc/net/route")).or_else(|| ipv6(&read("/proc/net/ipv6_route")))
}

/// Greatest packet of an interface, in bytes.
pub(crate) fn mtu(interface: &str) -> Option<u32> {
    // Not from /sys, which may be another network namespace's.
    stackyard_wire::link::get(interface).ok().flatten().map(|link| link.mtu)
}

/// The address that this machine calls from when it calls far away, of each IP version.
pub(crate) fn source_addresses() -> Vec<IpAddr> {
    // Connecting a datagram socket sends nothing; it makes the kernel choose route and source.
    let far: [(IpAddr, SocketAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), (Ipv4Addr::new(192, 0, 2, 1), 9).into()),
        (Ipv6Addr::UNSPECIFIED.into(), (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into()),
    ];
    let source = |(any, far): (IpAddr, SocketAddr)| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect(far).ok()?;
        socket.local_addr().ok().map(|a| a.ip()).filter(|a| !a.is_loopback() && !a.is_unspecified())
    };
    far.into_iter().filter_map(source).collect()
}

/// The interface of the IPv4 default route with the least metric (proc(5), `/proc/net/route`).
fn ipv4(table: &str) -> Option<String> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, _, flags, _, _, metric, mask, ..] = fields.as_slice() else { return None };
        let up = u32::from_str_radix(flags, 16).ok()? & 1 == 1;
        let default = *destination == "00000000" && *mask == "00000000" && up;
        default.then(|| Some((metric.parse::<u32>().ok()?, (*interface).to_owned())))?
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, interface)| interface)
}

/// The same for IPv6 (`/proc/net/ipv6_route`); the route of unreachable destinations on `lo`
/// is none.
fn ipv6(table: &str) -> Option<String> {
    let routes = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [destination, length, _, _, _, metric, _, _, _, interface] = fields.as_slice() else { return None };
        let default = destination.bytes().all(|b| b == b'0') && *length == "00" && *interface != "lo";
        default.then(|| Some((u32::from_str_radix(metric, 16).ok()?, (*interface).to_owned())))?
    });
    routes.min_by_key(|(metric, _)| *metric).map(|(_, interface)| interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_metric_counts() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            ens3\t00000000\t0100140A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(ipv4(table).as_deref(), Some("ens3"));
        assert_eq!(ipv4("Iface\n"), None);
    }

    #[test]
    fn ipv6_has_a_route_to_nowhere() {
        let zero = "00000000000000000000000000000000";
        let table = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 ens3\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(ipv6(&table).as_deref(), Some("ens3"));
    }
}
