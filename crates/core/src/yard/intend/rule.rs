//! What makes a firewall rule the same as another one.
//!
//! Neutron gives a rule back in other words than it got: `icmp` of IPv6 as `ipv6-icmp`, a protocol under its name
//! or its number, as the rule was written, a prefix with or without bits behind it. Two rules that Neutron
//! holds for one (`_rule_to_key` in `neutron/db/securitygroups_db.py`) must have one key here, or a plan makes what
//! is there and removes it again.

use super::{Key, Kind};
use ipnet::IpNet;
use std::net::IpAddr;

/// Protocols by name and number: `IP_PROTOCOL_MAP` in `neutron_lib/constants.py`. ICMP for IPv6 has the name that
/// plans show.
const PROTOCOLS: [(&str, u8); 22] = [
    ("ah", 51),
    ("dccp", 33),
    ("egp", 8),
    ("esp", 50),
    ("gre", 47),
    ("icmp", 1),
    ("icmpv6", 58),
    ("igmp", 2),
    ("ipip", 4),
    ("ipv6-encap", 41),
    ("ipv6-frag", 44),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("ospf", 89),
    ("pgm", 113),
    ("rsvp", 46),
    ("sctp", 132),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("vrrp", 112),
];

/// A protocol by the one name that it has here, whatever a manifest or Neutron calls it; none for every protocol.
/// A number without a name stays a number.
pub fn protocol(text: &str, ipv6: bool) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let name = match text.parse::<u8>() {
        // Neutron's 0 is `ip`: every protocol.
        Ok(0) => return None,
        Ok(number) => match PROTOCOLS.iter().find(|(_, n)| *n == number) {
            Some((name, _)) => *name,
            None => return Some(number.to_string()),
        },
        Err(_) => match text.as_str() {
            "" | "any" | "all" | "ip" | "-1" => return None,
            "ipv6-icmp" | "icmp6" => "icmpv6",
            other => other,
        },
    };
    Some(if ipv6 && name == "icmp" { "icmpv6" } else { name }.to_owned())
}

/// Whether a protocol, by its name here, is one of IPv6 alone: Neutron refuses it in rules of IPv4.
pub(super) fn is_of_ipv6(protocol: &str) -> bool {
    protocol == "icmpv6" || protocol.starts_with("ipv6-")
}

/// Whether a protocol, by its name here, has ports.
pub(super) fn has_ports(protocol: &str) -> bool {
    matches!(protocol, "tcp" | "udp" | "sctp" | "dccp" | "udplite")
}

/// The addresses of a remote prefix, without bits behind it; none for everybody, and the text back if it is none.
///
/// # Errors
/// The text, if it is neither an address nor a prefix.
pub fn remote_prefix(text: &str) -> Result<Option<IpNet>, &str> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| text)?;
    Ok((net.prefix_len() > 0).then(|| net.trunc()))
}

/// A rule's key: its group and all that makes it different from others. `ports` are the first and the last port, of
/// ICMP type and code; `other` says whom it is from or to, in the manifest's words, if not everybody.
pub fn rule_key(
    group: &str,
    ingress: bool,
    ipv6: bool,
    proto: Option<&str>,
    ports: (Option<u32>, Option<u32>),
    other: Option<&str>,
) -> Key {
    let mut name = format!("{group}: ");
    let proto = proto.and_then(|p| protocol(p, ipv6));
    name += proto.as_deref().unwrap_or("everything");
    match ports {
        (Some(kind), code) if matches!(proto.as_deref(), Some("icmp" | "icmpv6")) => {
            name += &format!(" type {kind}");
            name += &code.map(|code| format!(" code {code}")).unwrap_or_default();
        }
        (Some(min), Some(max)) if min != max => name += &format!(" {min}-{max}"),
        (Some(port), _) => name += &format!(" {port}"),
        (None, _) => {}
    }
    if ipv6 && !proto.is_some_and(|p| is_of_ipv6(&p)) {
        name += " (IPv6)";
    }
    name += if ingress { " from " } else { " to " };
    name += other.unwrap_or("anywhere");
    Key::new(Kind::Rule, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_protocol_is_one() {
        for (spellings, ipv6, name) in [
            (["tcp", "TCP", "6", " tcp ", "006"].as_slice(), false, Some("tcp")),
            (&["udp", "17"], true, Some("udp")),
            (&["icmp", "1", "ICMP"], false, Some("icmp")),
            (&["icmp", "1", "icmpv6", "icmp6", "ipv6-icmp", "IPv6-ICMP", "58"], true, Some("icmpv6")),
            (&["icmpv6", "ipv6-icmp", "58"], false, Some("icmpv6")),
            (&["ah", "51"], false, Some("ah")),
            (&["dccp", "33"], false, Some("dccp")),
            (&["egp", "8"], false, Some("egp")),
            (&["esp", "50"], false, Some("esp")),
            (&["gre", "47"], false, Some("gre")),
            (&["igmp", "2"], false, Some("igmp")),
            (&["ipip", "4"], false, Some("ipip")),
            (&["ipv6-encap", "41"], true, Some("ipv6-encap")),
            (&["ipv6-frag", "44"], true, Some("ipv6-frag")),
            (&["ipv6-nonxt", "59"], true, Some("ipv6-nonxt")),
            (&["ipv6-opts", "60"], true, Some("ipv6-opts")),
            (&["ipv6-route", "43"], true, Some("ipv6-route")),
            (&["ospf", "89"], false, Some("ospf")),
            (&["pgm", "113"], false, Some("pgm")),
            (&["rsvp", "46"], false, Some("rsvp")),
            (&["sctp", "132"], false, Some("sctp")),
            (&["udplite", "136"], false, Some("udplite")),
            (&["vrrp", "112"], false, Some("vrrp")),
            (&["253"], false, Some("253")),
            (&["hopopt"], false, Some("hopopt")),
            (&["", "any", "all", "ip", "0", "-1"], false, None),
        ] {
            for spelling in spellings {
                assert_eq!(protocol(spelling, ipv6).as_deref(), name, "{spelling} {ipv6}");
            }
        }
    }

    #[test]
    fn prefixes_are_one_however_they_are_written() {
        for (spellings, net) in [
            (["10.0.0.0/8", "10.1.2.3/8"].as_slice(), Some("10.0.0.0/8")),
            (&["192.0.2.1", "192.0.2.1/32"], Some("192.0.2.1/32")),
            (&["2001:db8::/32", "2001:DB8:0::/32", "2001:0db8:0000::1/32"], Some("2001:db8::/32")),
            (&["0.0.0.0/0", "::/0", "10.0.0.0/0"], None),
        ] {
            for spelling in spellings {
                assert_eq!(remote_prefix(spelling), Ok(net.map(|n| n.parse().expect(n))), "{spelling}");
            }
        }
        assert_eq!(remote_prefix("web"), Err("web"));
    }

    #[test]
    fn a_key_has_all_that_makes_a_rule_another_one() {
        let key = |ingress, ipv6, proto, ports, other| rule_key("web", ingress, ipv6, proto, ports, other).name;
        let all = (None, None);
        for (name, text) in [
            (key(true, false, Some("6"), (Some(80), Some(80)), None), "web: tcp 80 from anywhere"),
            (key(true, true, Some("tcp"), (Some(80), Some(90)), Some("db")), "web: tcp 80-90 (IPv6) from db"),
            (key(true, true, Some("icmp"), all, None), "web: icmpv6 from anywhere"),
            (key(true, true, Some("ipv6-icmp"), (Some(128), None), None), "web: icmpv6 type 128 from anywhere"),
            (key(true, false, Some("1"), (Some(8), Some(8)), None), "web: icmp type 8 code 8 from anywhere"),
            (key(true, false, Some("icmp"), (Some(3), Some(4)), None), "web: icmp type 3 code 4 from anywhere"),
            (key(false, true, Some("any"), all, None), "web: everything (IPv6) to anywhere"),
            (key(false, false, None, all, Some("10.0.0.0/8")), "web: everything to 10.0.0.0/8"),
        ] {
            assert_eq!(name, text);
        }
    }
}
