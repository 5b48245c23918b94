//! Neutron ports and members of load balancers that belong to containers, as other parts of a yard see them.
//!
//! Their agents and the Stackyard server take care of them. A yard's plan leaves them alone.

use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{AddressPair, Member, Port};

/// By what such ports are used.
pub const DEVICE_OWNER: &str = "stackyard:container";

/// The same of one behind a trunk: OVN's driver and ML2/OVS's put it there, and nothing once it is there no more.
pub const SUBPORT: &str = "trunk:subport";

/// How the name of a member begins that is a container on a host of a yard.
pub const PLACE: &str = "stackyard-host:";

/// The same of containers of agents that stand alone; see [`crate::place_mark`].
const STANDALONE: [&str; 2] = ["stackyard-docker:", "stackyard-cni:"];

/// How MAC addresses of containers' links begin: locally administered, and no other's here.
const OURS: &str = "02:59:";

/// Separates host and endpoint in the names of resources that belong to a container; no name of a manifest has it.
pub const SEPARATOR: char = ':';

/// `HOST/NETWORK/ENDPOINT` taken apart.
pub fn device(id: &str) -> Option<(&str, &str, &str)> {
    let (host, rest) = id.split_once('/')?;
    let (network, endpoint) = rest.split_once('/')?;
    Some((host, network, endpoint))
}

/// Whose a container's port is: the host's id, Docker's network and endpoint. None of other ports.
pub fn whose(port: &Port) -> Option<(&str, &str, &str)> {
    let is_marked = || Mark::parse(&port.description).is_some_and(|m| m.key.kind == Kind::Port);
    match port.device_owner.as_str() {
        DEVICE_OWNER | SUBPORT | "" => device(&port.device_id)
            .or_else(|| device(&port.name).filter(|_| port.device_id.is_empty() && is_marked())),
        _ => None,
    }
}

/// The addresses of a port.
pub fn ips(port: &Port) -> Vec<String> {
    port.fixed_ips
        .iter()
        .filter_map(|ip| ip.ip_address.clone())
        .collect()
}

/// Whether a floating IP or a security group with that description was made for a container.
pub fn is_containers(description: &str) -> bool {
    Mark::parse(description).is_some_and(|Mark { key, .. }| {
        matches!(key.kind, Kind::FloatingIp | Kind::SecurityGroup) && key.name.contains(SEPARATOR)
    })
}

/// Whether a member of a pool is a container, whose agent takes care of it.
pub fn is_container(member: &Member) -> bool {
    member.name.starts_with(PLACE)
        || STANDALONE
            .iter()
            .any(|place| member.name.starts_with(place))
}

/// Whether that is a MAC address of a container's link.
pub fn is_ours(mac: &str) -> bool {
    mac.len() == 17
        && mac
            .get(..OURS.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(OURS))
}

/// Whether that pair of a NIC with the MAC address `own` was made for one of these addresses.
pub fn is_pair_of(pair: &AddressPair, own: &str, addresses: &[String]) -> bool {
    let is_its = |mac: &str| is_ours(mac) || mac.eq_ignore_ascii_case(own);
    addresses.contains(&pair.ip_address) && pair.mac_address.as_deref().is_none_or(is_its)
}

/// The MAC address of the link of a container whose port has this id: [`OURS`] and the id's first eight digits.
pub fn mac_of(port: &str) -> String {
    let digits: Vec<char> = port
        .chars()
        .filter(char::is_ascii_hexdigit)
        .chain("00000000".chars())
        .take(8)
        .collect();
    let bytes: Vec<String> = digits
        .chunks(2)
        .map(|b| b.iter().collect::<String>().to_ascii_lowercase())
        .collect();
    format!("{OURS}{}", bytes.join(":"))
}

/// The MAC address of the link of a container whose port keeps its addresses on its host's NIC.
pub fn mac_on(nic: Option<&Port>, port: &Port) -> String {
    let (nic, its) = (nic.into_iter(), ips(port));
    let pair = nic
        .flat_map(|n| {
            n.allowed_address_pairs
                .iter()
                .filter(|p| is_pair_of(p, &n.mac_address, &its))
        })
        .next();
    pair.and_then(|p| p.mac_address.clone())
        .unwrap_or_else(|| mac_of(&port.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_mac_addresses_of_their_own() {
        let mac = mac_of("0a1B2c3d-4e5f-6071-8293-a4b5c6d7e8f9");
        assert_eq!(mac, "02:59:0a:1b:2c:3d");
        assert!(is_ours(&mac) && is_ours("02:59:FF:00:00:01"));
        assert!(
            !is_ours("fa:16:3e:00:00:01") && !is_ours("02:59:") && !is_ours("02:59:0a:1b:2c:3d:00")
        );
        let pair = |mac: &str| AddressPair {
            ip_address: "10.0.0.1".into(),
            mac_address: Some(mac.into()),
        };
        let (own, its) = ("fa:16:3e:00:00:01", ["10.0.0.1".to_owned()]);
        assert!(is_pair_of(&pair(&mac), own, &its) && is_pair_of(&pair(own), own, &its));
        assert!(
            !is_pair_of(&pair("00:00:5e:00:01:07"), own, &its),
            "somebody's VRRP"
        );
        assert!(!is_pair_of(&pair(own), own, &["10.0.0.2".to_owned()]));
    }
}
