//! Networks that a host is in.

use super::{Ports, said};
use stackyard_core::agent::{HostNetwork, HostSubnet};
use stackyard_openstack::{Cloud, Network, Subnet};
use stackyard_store::Host;
use std::collections::BTreeSet;

impl Ports {
    /// A network that a NIC of a host is in, by name or id; its only one without.
    pub(super) async fn network(
        &self,
        cloud: &Cloud,
        host: &Host,
        wanted: Option<&str>,
    ) -> Result<HostNetwork, String> {
        let doing = || said(format!("looking up the networks of host {}", host.name));
        let ids: BTreeSet<String> = self.nics(cloud, host).await?.into_iter().map(|p| p.network_id).collect();
        let mut networks: Vec<Network> = Vec::new();
        for id in &ids {
            networks.push(cloud.get(id).await.map_err(doing())?);
        }
        let names: Vec<&str> = networks.iter().map(|n| n.name.as_str()).collect();
        let names = names.join(", ");
        let fits = |n: &&Network| wanted.is_none_or(|w| n.id == w || n.name == w);
        let found: Vec<&Network> = networks.iter().filter(fits).collect();
        let network = match (found.as_slice(), wanted) {
            ([one], _) => *one,
            ([], _) if networks.is_empty() => {
                return Err(format!("host {} is in no network{}", host.name, self.no_server(cloud, host)));
            }
            ([], Some(wanted)) => {
                return Err(format!(
                    "no NIC of host {} is in network {wanted:?}, and a container's can only be in the same as its \
                     host's; the host is in: {names}",
                    host.name
                ));
            }
            _ => return Err(format!("say which network (option `network`): host {} is in: {names}", host.name)),
        };
        let subnets: Vec<Subnet> = cloud.list(&[("network_id", &network.id)]).await.map_err(doing())?;
        let subnet = |s: Subnet| HostSubnet {
            id: s.id,
            name: s.name,
            cidr: s.cidr,
            ip_version: s.ip_version,
            gateway: s.gateway_ip,
            routes: s.host_routes.into_iter().map(|r| (r.destination, r.nexthop)).collect(),
            dns: s.dns_nameservers,
        };
        Ok(HostNetwork {
            id: network.id.clone(),
            name: network.name.clone(),
            mtu: network.mtu,
            subnets: subnets.into_iter().map(subnet).collect(),
        })
    }
}
