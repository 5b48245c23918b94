//! Networks that a host's containers may be in.

use super::here::Here;
use super::options::is_network_of;
use super::{OLDER_LINKS, Ports, said};
use stackyard_core::agent::{HostNetwork, HostSubnet, PortLink};
use stackyard_core::yard::Mark;
use stackyard_openstack::{Cloud, Network, Subnet};
use stackyard_store::Host;
use std::collections::BTreeSet;

impl Ports {
    /// A network that a NIC of a host is in, by name or id, its only one without; or, for what can be behind a trunk,
    /// another one of the host's yard.
    pub(super) async fn network(
        &self,
        cloud: &Cloud,
        host: &Host,
        wanted: Option<&str>,
        links: &[PortLink],
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
                let why = match self.other_network(cloud, host, wanted, links).await? {
                    Ok(found) => return self.read_network(cloud, host, &found).await,
                    Err(why) => why,
                };
                return Err(format!(
                    "no NIC of host {} is in network {wanted:?}, and {why}; the host is in: {names}",
                    host.name
                ));
            }
            _ => return Err(format!("say which network (option `network`): host {} is in: {names}", host.name)),
        };
        self.read_network(cloud, host, network).await
    }

    /// Another network of the host's yard, by id, name, or the name that the yard's manifest gives it; or why not.
    async fn other_network(
        &self,
        cloud: &Cloud,
        host: &Host,
        wanted: &str,
        links: &[PortLink],
    ) -> Result<Result<Network, String>, String> {
        let links = if links.is_empty() { &OLDER_LINKS[..] } else { links };
        if !links.contains(&PortLink::Vlan) {
            return Ok(Err("another network is to be had by a trunk alone, which the host's kernel (VLAN links) or \
                           option `link` excludes"
                .to_owned()));
        }
        if !self.has_trunks(cloud).await? {
            return Ok(Err("another network is to be had by a trunk alone, which the cloud has none of".to_owned()));
        }
        let all: Vec<Network> = cloud.list(&[]).await.map_err(said("looking up the yard's networks"))?;
        let is = |n: &Network| {
            n.id == wanted || n.name == wanted || Mark::parse(&n.description).is_some_and(|m| m.key.name == wanted)
        };
        let here = Here::of(cloud).await?;
        let mut found: Vec<Network> =
            all.into_iter().filter(|n| is_network_of(n, &host.yard, &here) && is(n)).collect();
        Ok(match (found.pop(), found.len()) {
            (Some(one), 0) => Ok(one),
            (None, _) => Err(format!("yard {} has none of that name", host.yard)),
            _ => Err(format!("yard {} has several of that name", host.yard)),
        })
    }

    async fn read_network(&self, cloud: &Cloud, host: &Host, network: &Network) -> Result<HostNetwork, String> {
        let doing = || said(format!("looking up the networks of host {}", host.name));
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
