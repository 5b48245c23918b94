//! Networks that a host's containers may be in.

use super::policy::is_network_of;
use super::{HostBroker, OLDER_LINKS};
use crate::{Error, Result};
use stackyard_core::agent::{HostNetwork, HostSubnet, PortLink};
use stackyard_core::yard::Mark;
use stackyard_openstack::{Network, Subnet};
use std::collections::BTreeSet;

impl HostBroker {
    /// A network that a NIC of the host is in, by name or id, its only one without; or, for what can be behind a trunk,
    /// another one of the host's yard.
    pub(super) async fn find_network(
        &self,
        wanted: Option<&str>,
        links: &[PortLink],
    ) -> Result<HostNetwork> {
        let name = &self.host.name;
        let networks = self.own_networks().await?;
        let names: Vec<&str> = networks.iter().map(|n| n.name.as_str()).collect();
        let names = names.join(", ");
        let fits = |n: &&Network| wanted.is_none_or(|w| n.id == w || n.name == w);
        let found: Vec<&Network> = networks.iter().filter(fits).collect();
        match (found.as_slice(), wanted) {
            ([one], _) => self.read_network(one).await,
            ([], _) if networks.is_empty() => Err(Error::refused(format!(
                "host {name} is in no network{}",
                self.no_server()
            ))),
            ([], Some(wanted)) => match self.other_network(wanted, links).await? {
                Ok(found) => self.read_network(&found).await,
                Err(why) => Err(Error::refused(format!(
                    "no NIC of host {name} is in network {wanted:?}, and {why}; the host is in: {names}"
                ))),
            },
            _ => Err(Error::refused(format!(
                "say which network (option `network`): host {name} is in: {names}"
            ))),
        }
    }

    /// The networks that the host's NICs are in.
    async fn own_networks(&self) -> Result<Vec<Network>> {
        let ids: BTreeSet<String> = self
            .nics()
            .await?
            .into_iter()
            .map(|p| p.network_id)
            .collect();
        let mut networks = Vec::new();
        for id in &ids {
            networks.push(self.cloud.get(id).await.map_err(self.failed_lookup())?);
        }
        Ok(networks)
    }

    fn failed_lookup(&self) -> impl FnOnce(stackyard_openstack::Error) -> Error {
        Error::cloud(format!(
            "looking up the networks of host {}",
            self.host.name
        ))
    }

    /// Another network of the host's yard, by id, name, or the name that the yard's manifest gives it; or why there is
    /// none.
    async fn other_network(
        &self,
        wanted: &str,
        links: &[PortLink],
    ) -> Result<std::result::Result<Network, String>> {
        let links = if links.is_empty() {
            &OLDER_LINKS[..]
        } else {
            links
        };
        if !links.contains(&PortLink::Vlan) {
            return Ok(Err("another network is to be had by a trunk alone, which the host's kernel (VLAN links) or \
                           option `link` excludes"
                .to_owned()));
        }
        if !self.has_trunks().await? {
            return Ok(Err(
                "another network is to be had by a trunk alone, which the cloud has none of"
                    .to_owned(),
            ));
        }
        let yard = &self.host.yard;
        let failed = Error::cloud("looking up the yard's networks");
        let all: Vec<Network> = self.cloud.list(&[]).await.map_err(failed)?;
        let is_meant = |n: &Network| {
            n.id == wanted
                || n.name == wanted
                || Mark::parse(&n.description).is_some_and(|m| m.key.name == wanted)
        };
        let project = self.project().await?;
        let mut found: Vec<Network> = all
            .into_iter()
            .filter(|n| is_network_of(n, yard, &project) && is_meant(n))
            .collect();
        Ok(match (found.pop(), found.len()) {
            (Some(one), 0) => Ok(one),
            (None, _) => Err(format!("yard {yard} has none of that name")),
            _ => Err(format!("yard {yard} has several of that name")),
        })
    }

    async fn read_network(&self, network: &Network) -> Result<HostNetwork> {
        let query = [("network_id", network.id.as_str())];
        let subnets: Vec<Subnet> = self
            .cloud
            .list(&query)
            .await
            .map_err(self.failed_lookup())?;
        let subnet = |s: Subnet| HostSubnet {
            id: s.id,
            name: s.name,
            cidr: s.cidr,
            ip_version: s.ip_version,
            gateway: s.gateway_ip,
            routes: s
                .host_routes
                .into_iter()
                .map(|r| (r.destination, r.nexthop))
                .collect(),
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
