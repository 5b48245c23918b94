//! Which addresses lead to the public internet, and which to a machine itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the public internet: not a machine's own, not a private network's, not set apart for
/// something else (IANA's registries of special-purpose addresses, RFC 6890).
///
/// IPv6 addresses that carry one of IPv4 (mapped, RFC 4291; NAT64's 64:ff9b::/96, RFC 6052; 6to4, RFC 3056) are what that
/// is. NAT64's 64:ff9b:1::/48 is for local use (RFC 8215), and so not public.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => embedded(v6).map_or_else(|| is_public_v6(v6), is_public_v4),
    }
}

/// Whether an address leads to the machine that uses it or to its link, or is no single machine's: loopback,
/// unspecified, link-local, multicast, broadcast.
pub fn is_local(address: IpAddr) -> bool {
    let v4 = |a: Ipv4Addr| {
        a.octets()[0] == 0 || a.is_loopback() || a.is_link_local() || a.is_multicast() || a.is_broadcast()
    };
    match address {
        IpAddr::V4(a) => v4(a),
        IpAddr::V6(a) => embedded(a)
            .map_or_else(|| a.is_loopback() || a.is_unspecified() || a.is_unicast_link_local() || a.is_multicast(), v4),
    }
}

fn is_public_v4(a: Ipv4Addr) -> bool {
    let [first, second, third, _] = a.octets();
    let shared = first == 100 && second & 0xc0 == 64;
    let protocols = (first, second, third) == (192, 0, 0) || (first, second, third) == (192, 88, 99);
    let benchmarks = first == 198 && second & 0xfe == 18;
    !(is_local(a.into()) || a.is_private() || a.is_documentation() || shared || protocols || benchmarks || first >= 240)
}

fn is_public_v6(a: Ipv6Addr) -> bool {
    let [first, second, ..] = a.segments();
    // Global unicast without documentation and what 2001::/23 sets apart.
    first & 0xe000 == 0x2000 && !(first == 0x2001 && (second < 0x200 || second == 0xdb8)) && first != 0x3fff
}

/// The IPv4 address within one of IPv6.
fn embedded(a: Ipv6Addr) -> Option<Ipv4Addr> {
    let [first, second, third, fourth, fifth, sixth, high, low] = a.segments();
    let from = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match (first, second) {
        (0x2002, _) => Some(from(second, third)),
        // The rest of 64:ff9b::/32 has the IPv4 address elsewhere, or none.
        (0x64, 0xff9b) if (third, fourth, fifth, sixth) == (0, 0, 0, 0) => Some(from(high, low)),
        _ if a.is_loopback() || a.is_unspecified() => None,
        _ => a.to_ipv4_mapped().or_else(|| a.to_ipv4()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for text in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2a00:1450::1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(public(text), "{text}");
        }
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.1",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            // For local use: 169.254.169.254 where a network's prefix has 48 or 96 bits, 1.1.1.1 at the end.
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00:101:101",
            "64:ff9b:0:1::101:101",
            "2002:7f00:1::1",
            "2002:a00:1::1",
        ] {
            assert!(!public(text), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_machine_and_its_link_are_local() {
        let local = |text: &str| is_local(text.parse().unwrap());
        for text in ["127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.1", "::1", "::", "fe80::1", "::ffff:127.0.0.1"]
        {
            assert!(local(text), "{text}");
        }
        for text in ["10.0.0.1", "192.168.1.1", "1.1.1.1", "fd00::1", "2a00::1"] {
            assert!(!local(text), "{text}");
        }
    }
}
