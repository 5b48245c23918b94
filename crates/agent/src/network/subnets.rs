//! Neutron's subnets and networks, as the ledger has them.

use crate::network::{Error, ledger};
use ipnet::IpNet;
use stackyard_openstack::Subnet;
use std::net::IpAddr;

pub(crate) fn record(subnet: &Subnet) -> Result<ledger::Subnet, Error> {
    let routes = subnet.host_routes.iter();
    let routes = routes.filter_map(|r| Some((r.destination.parse().ok()?, r.nexthop.parse().ok()?)));
    Ok(ledger::Subnet {
        id: subnet.id.clone(),
        cidr: cidr(&subnet.cidr)?,
        gateway: gateway(subnet),
        routes: routes.collect(),
        dns: subnet.dns_nameservers.clone(),
        pool: None,
    })
}

/// The subnet of that IP version which `wanted` (CIDR, name or id) means; the first if nothing is wanted.
pub(crate) fn choose<'a>(subnets: &'a [Subnet], version: u32, wanted: Option<&str>) -> Option<&'a Subnet> {
    let net = wanted.and_then(|w| w.parse::<IpNet>().ok());
    subnets.iter().filter(|s| s.ip_version == version).find(|s| match (wanted, net) {
        (None, _) => true,
        (_, Some(net)) => s.cidr.parse::<IpNet>().is_ok_and(|c| c == net.trunc()),
        (Some(wanted), None) => s.id == wanted || s.name == wanted,
    })
}

pub(crate) fn no_subnet(network: &str, version: u32, wanted: Option<&str>) -> Error {
    let which = wanted.map(|w| format!(" {w:?}")).unwrap_or_default();
    Error::request(format!("network {network:?} has no IPv{version} subnet{which}"))
}

pub(crate) fn gateway(subnet: &Subnet) -> Option<IpAddr> {
    subnet.gateway_ip.as_deref()?.parse().ok()
}

pub(crate) fn cidr(text: &str) -> Result<IpNet, Error> {
    text.parse::<IpNet>().map(|n| n.trunc()).map_err(|_| Error::request(format!("{text:?} is no CIDR")))
}

/// Greatest packet of a network, in bytes.
pub(crate) fn mtu_of(network: &stackyard_openstack::Network) -> u32 {
    network.mtu.filter(|m| *m > 0).unwrap_or(1500)
}
