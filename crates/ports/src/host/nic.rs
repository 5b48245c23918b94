//! Ports of containers whose links are on their host's NIC: a macvlan or an ipvlan, whose packets are the NIC's to Neutron.

use super::pairs::take_off;
use super::subport::is_open;
use super::{HostBroker, container_port, fixed_ips};
use crate::container_port::{DEVICE_OWNER, ips, is_ours, mac_of};
use crate::extras::short;
use crate::{Error, Result};
use stackyard_core::agent::{ContainerPort, NewContainerPort, PortLink};
use stackyard_openstack::{AddressPair, NewPort, Port};
use std::net::IpAddr;

impl HostBroker {
    /// Makes a container's port, whose link will be one of `kinds` on the host's NIC; `without` says why by no trunk.
    pub(super) async fn create_on_nic(
        &self,
        new: &NewContainerPort,
        kinds: &[PortLink],
        without: &str,
    ) -> Result<ContainerPort> {
        let nic = match self.nic(&new.network).await? {
            // Without address pairs, nothing else would tell that it is not so any more.
            Some(nic) if is_open(&nic, new) => self
                .nics()
                .await?
                .into_iter()
                .find(|p| p.network_id == new.network),
            known => known,
        };
        let nic = nic.ok_or_else(|| {
            let why = self.no_server();
            let why = if why.is_empty() {
                format!(", and by no trunk: {without}")
            } else {
                why
            };
            Error::refused(format!(
                "no NIC of host {} is in network {}{why}",
                self.host.name, new.network
            ))
        })?;
        let failed = match self.create_with(&nic, new, kinds).await {
            Err(failed) if !is_open(&nic, new) => failed,
            other => return other,
        };
        // A user may have taken port security off it since it was last looked up.
        match self.nic(&new.network).await? {
            Some(nic) if is_open(&nic, new) => self.create_with(&nic, new, kinds).await,
            _ => Err(failed),
        }
    }

    /// Makes a container's port and lets its packets through the host's NIC, which was last seen so.
    async fn create_with(
        &self,
        nic: &Port,
        new: &NewContainerPort,
        kinds: &[PortLink],
    ) -> Result<ContainerPort> {
        let is_open = is_open(nic, new);
        let body = self.address_holder(nic, new, is_open).await?;
        let port: Port = self
            .cloud
            .create(&body)
            .await
            .map_err(Error::cloud("making the port"))?;
        // One that it had before, as a macvlan.
        let mac = new.mac.as_deref().filter(|mac| is_ours(mac));
        let mac = mac.map_or_else(|| mac_of(&port.id), str::to_owned);
        if is_open {
            let (link, mac) = match kinds.contains(&PortLink::Macvlan) {
                true => (PortLink::Macvlan, mac),
                false => (PortLink::Ipvlan, nic.mac_address.clone()),
            };
            return Ok(container_port(&port, link, mac, nic.mac_address.clone()));
        }
        match self.open_addresses(nic, &port, mac, kinds).await {
            Ok(made) => Ok(made),
            Err(e) => {
                let removed = self.cloud.delete::<Port>(&port.id).await;
                let removed = removed
                    .map(drop)
                    .map_err(Error::cloud("removing the port again"));
                Err(e.after_cleanup(removed))
            }
        }
    }

    /// The request for a port that is never bound: it keeps the addresses, and says whose they are.
    async fn address_holder(
        &self,
        nic: &Port,
        new: &NewContainerPort,
        is_open: bool,
    ) -> Result<NewPort> {
        Ok(NewPort {
            network_id: new.network.clone(),
            name: format!("{}-{}", self.host.name, short(&new.endpoint)),
            description: self.port_mark(&new.endpoint).await?,
            fixed_ips: fixed_ips(new),
            // Those that hold for its packets.
            security_groups: Some(nic.security_groups.clone()).filter(|_| !is_open),
            port_security_enabled: is_open.then_some(false),
            // The container's MAC address is another one, which a router of OVN asks for only where no port that is up
            // has the IP address.
            admin_state_up: is_open.then_some(false),
            device_id: self.host.device(&new.docker_network, &new.endpoint),
            device_owner: DEVICE_OWNER.to_owned(),
            ..NewPort::default()
        })
    }

    /// Lets the host's NIC use a container's addresses, with a MAC address of the container's if the cloud allows and it
    /// may be a macvlan.
    async fn open_addresses(
        &self,
        nic: &Port,
        port: &Port,
        mac: String,
        kinds: &[PortLink],
    ) -> Result<ContainerPort> {
        let (name, own_mac) = (&self.cloud.config().name, &nic.mac_address);
        let is_known = self.shared.own_mac_alone.lock().contains(name);
        if !is_known && kinds.contains(&PortLink::Macvlan) {
            match self
                .change_pairs(nic.clone(), |all| add(all, port, &mac))
                .await
            {
                Ok(()) => {
                    return Ok(container_port(
                        port,
                        PortLink::Macvlan,
                        mac,
                        own_mac.clone(),
                    ));
                }
                Err(e) if e.is_own_mac_only() => {
                    self.shared.own_mac_alone.lock().insert(name.clone());
                }
                Err(e) => return Err(e),
            }
        }
        if !kinds.contains(&PortLink::Ipvlan) {
            return Err(Error::refused(format!(
                "a macvlan needs a MAC address of its own, and cloud {name} lets a port use its own alone"
            )));
        }
        self.change_pairs(nic.clone(), |all| add(all, port, own_mac))
            .await?;
        Ok(container_port(
            port,
            PortLink::Ipvlan,
            own_mac.clone(),
            own_mac.clone(),
        ))
    }

    /// Takes addresses off the host's NIC whose ports were removed by others.
    pub(super) async fn close_free_addresses(
        &self,
        network: &str,
        addresses: &[IpAddr],
    ) -> Result<()> {
        if network.is_empty() || addresses.is_empty() {
            return Ok(());
        }
        let query = [("device_owner", DEVICE_OWNER), ("network_id", network)];
        let failed = Error::cloud("listing the ports of containers");
        let taken: Vec<Port> = self.cloud.list(&query).await.map_err(failed)?;
        let taken: Vec<String> = taken.iter().flat_map(ips).collect();
        let free = addresses
            .iter()
            .map(IpAddr::to_string)
            .filter(|a| !taken.contains(a));
        self.close_addresses(network, &free.collect::<Vec<_>>())
            .await
    }

    /// Takes containers' addresses off their host's NIC.
    pub(super) async fn close_addresses(&self, network: &str, addresses: &[String]) -> Result<()> {
        // A host whose server is gone has no NIC.
        let Some(nic) = self.nic(network).await? else {
            return Ok(());
        };
        let change = take_off(nic.mac_address.clone(), addresses);
        self.change_pairs(nic, change).await
    }
}

/// Adds a container's addresses to a NIC's pairs.
fn add(all: &mut Vec<AddressPair>, port: &Port, mac: &str) {
    let ips = ips(port);
    all.retain(|p| !(ips.contains(&p.ip_address) && p.mac_address.as_deref() == Some(mac)));
    let pair = |ip_address| AddressPair {
        ip_address,
        mac_address: Some(mac.to_owned()),
    };
    all.extend(ips.into_iter().map(pair));
}
