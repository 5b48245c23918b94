//! Docker networks as kuryr marks them in Neutron.

use crate::network::kuryr_names::SUBNET;
use crate::network::ledger::Network;
use crate::network::port_manager::PortManager;
use crate::network::subnets::record;
use crate::network::{Error, kuryr_names, ledger};
use stackyard_openstack::Subnet;

type Neutron = stackyard_openstack::Network;

impl PortManager {
    /// A Docker network: the ledger's, or the one with its tags.
    pub(crate) async fn network(&self, id: &str) -> Result<Network, Error> {
        match self.ledger.networks.get(id) {
            Some(known) => Ok(known),
            None if self.kuryr => match self.find_network(id).await? {
                Some(found) => Ok(found),
                None => self.ledger.networks.need(id),
            },
            None => self.ledger.networks.need(id),
        }
    }

    /// Looks a Docker network up by its tags (`controllers.py`, `_get_networks_by_identifier`), and writes it
    /// down.
    pub(crate) async fn find_network(&self, id: &str) -> Result<Option<Network>, Error> {
        let doing = || Error::cloud(format!("looking up kuryr's network {id}"));
        let tags = kuryr_names::id_tags(id);
        let found: Vec<Neutron> = self.cloud()?.list(&[("tags", &tags.join(","))]).await.map_err(doing())?;
        let Some(found) = found.into_iter().find(|n| kuryr_names::has_all(&n.tags, &tags)) else { return Ok(None) };
        let all: Vec<Subnet> = self.cloud()?.list(&[("network_id", &found.id)]).await.map_err(doing())?;
        let mut subnets = Vec::new();
        for subnet in &all {
            // The pool's id is a tag of its subnet (`_create_kuryr_subnet`), in older releases not of its own ones.
            let made = subnet.name.starts_with(SUBNET).then_some(subnet.subnetpool_id.as_ref()).flatten();
            let pool = subnet.tags.iter().find(|t| is_id(t)).or(made);
            if pool.is_some() {
                subnets.push(ledger::Subnet { pool: pool.cloned(), ..record(subnet)? });
            }
        }
        let network = Network {
            neutron: found.id,
            mtu: found.mtu.filter(|m| *m > 0).unwrap_or(1500),
            subnets,
            made: !found.tags.contains(&kuryr_names::existing_network_tag(id)),
            defaults: Default::default(),
            pool: None,
            port_security: found.port_security_enabled,
            guarded: None,
            internal: false,
        };
        self.ledger.networks.put(id, &network)?;
        self.say(format!("network {id} is taken over from kuryr's tags"));
        Ok(Some(network))
    }

    /// Tags a network and its subnets, so that kuryr finds them.
    pub(crate) async fn tag_network(&self, id: &str, network: &Network) -> Result<(), Error> {
        let doing = || Error::cloud(format!("tagging network {}", network.neutron));
        let mut tags = kuryr_names::id_tags(id);
        if !network.made {
            tags.push(kuryr_names::existing_network_tag(id));
        }
        for tag in &tags {
            self.cloud()?.add_tag::<Neutron>(&network.neutron, tag).await.map_err(doing())?;
        }
        for subnet in &network.subnets {
            if let Some(pool) = &subnet.pool {
                self.cloud()?.add_tag::<Subnet>(&subnet.id, pool).await.map_err(doing())?;
            }
        }
        Ok(())
    }

    /// Removes a Docker network's network, or from an existing one its tags and the subnets that were made for
    /// it (`network_driver_delete_network`).
    pub(crate) async fn release_network(&self, id: &str, network: &Network) -> Result<(), Error> {
        let doing = || Error::cloud(format!("removing network {}", network.neutron));
        if network.made {
            self.remove_parts(id).await?;
            return self.cloud()?.delete::<Neutron>(&network.neutron).await.map(drop).map_err(doing());
        }
        for tag in kuryr_names::id_tags(id).iter().chain([&kuryr_names::existing_network_tag(id)]) {
            self.cloud()?.remove_tag::<Neutron>(&network.neutron, tag).await.map_err(doing())?;
        }
        for subnet in network.subnets.iter().filter_map(|s| s.pool.as_deref()) {
            self.remove_subnets(subnet).await?;
        }
        Ok(())
    }
}

/// Ids of Neutron's, as those of subnet pools in tags.
fn is_id(tag: &str) -> bool {
    tag.len() == 36 && tag.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}
