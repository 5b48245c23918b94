//! Ports of containers whose links are on their host's NIC: a macvlan or an ipvlan, whose packets are the NIC's to Neutron.

use super::here::Here;
use super::on_trunk::is_open;
use super::pairs::{VRRP, take_off};
use super::{Ports, and_left, container_port, said, short};
use stackyard_core::agent::{ContainerPort, NewContainerPort, PortLink};
use stackyard_openstack::{AddressPair, Cloud, FixedIp, NewPort, Port};
use stackyard_store::Host;
use stackyard_yard::container_port::{DEVICE_OWNER, ips, is_ours, mac_of};
use std::net::IpAddr;

impl Ports {
    /// Makes a container's port, whose link will be one of `kinds` on the host's NIC; `without` says why by no trunk.
    pub(super) async fn make_on_nic(
        &self,
        cloud: &Cloud,
        host: &Host,
        new: &NewContainerPort,
        kinds: &[PortLink],
        without: &str,
    ) -> Result<ContainerPort, String> {
        let nic = match self.nic(cloud, host, &new.network).await? {
            // Without address pairs, nothing else would tell that it is not so any more.
            Some(nic) if is_open(&nic, new) => {
                self.nics(cloud, host).await?.into_iter().find(|p| p.network_id == new.network)
            }
            known => known,
        };
        let nic = nic.ok_or_else(|| {
            let why = self.no_server(cloud, host);
            let why = if why.is_empty() { format!(", and by no trunk: {without}") } else { why };
            format!("no NIC of host {} is in network {}{why}", host.name, new.network)
        })?;
        let why = match self.make_on(cloud, host, &nic, new, kinds).await {
            Err(why) if !is_open(&nic, new) => why,
            other => return other,
        };
        // Somebody may have taken port security off it since it was last looked up.
        match self.nic(cloud, host, &new.network).await? {
            Some(nic) if is_open(&nic, new) => self.make_on(cloud, host, &nic, new, kinds).await,
            _ => Err(why),
        }
    }

    /// Makes a container's port and lets its packets through the host's NIC, which was last seen so.
    async fn make_on(
        &self,
        cloud: &Cloud,
        host: &Host,
        nic: &Port,
        new: &NewContainerPort,
        kinds: &[PortLink],
    ) -> Result<ContainerPort, String> {
        // One that it had before, as a macvlan.
        let mac = new.mac.as_deref().filter(|mac| is_ours(mac));
        let is_open = is_open(nic, new);
        let wanted = new
            .addresses
            .iter()
            .map(|a| FixedIp { subnet_id: a.subnet.clone(), ip_address: a.address.map(|a| a.to_string()) });
        let body = NewPort {
            network_id: new.network.clone(),
            name: format!("{}-{}", host.name, short(&new.endpoint)),
            description: Here::of(cloud).await?.of_port(host, &new.endpoint),
            fixed_ips: wanted.collect(),
            // Those that hold for its packets.
            security_groups: Some(nic.security_groups.clone()).filter(|_| !is_open),
            port_security_enabled: is_open.then_some(false),
            // The container's MAC address is another one, which a router of OVN asks for only where no port that is up
            // has the IP address.
            admin_state_up: is_open.then_some(false),
            device_id: format!("{}/{}/{}", host.id, new.docker_network, new.endpoint),
            device_owner: DEVICE_OWNER.to_owned(),
            ..NewPort::default()
        };
        let port: Port = cloud.create(&body).await.map_err(said("making the port"))?;
        let mac = mac.map_or_else(|| mac_of(&port.id), str::to_owned);
        if is_open {
            let (link, mac) = match kinds.contains(&PortLink::Macvlan) {
                true => (PortLink::Macvlan, mac),
                false => (PortLink::Ipvlan, nic.mac_address.clone()),
            };
            return Ok(container_port(&port, link, mac, nic.mac_address.clone()));
        }
        match self.open(cloud, host, nic, &port, mac, kinds).await {
            Ok(made) => Ok(made),
            Err(why) => {
                let removed = cloud.delete::<Port>(&port.id).await.map_err(said("removing the port again"));
                Err(and_left(why, removed.map(drop)))
            }
        }
    }

    /// Lets a host's NIC use a container's addresses, with a MAC address of the container's if the cloud allows and it
    /// may be a macvlan.
    async fn open(
        &self,
        cloud: &Cloud,
        host: &Host,
        nic: &Port,
        port: &Port,
        mac: String,
        kinds: &[PortLink],
    ) -> Result<ContainerPort, String> {
        let name = &cloud.config().name;
        let known = self.0.own_mac_alone.lock().contains(name);
        if !known && kinds.contains(&PortLink::Macvlan) {
            let tried = self.change_pairs(cloud, host, nic.clone(), |all| add(all, port, &mac)).await;
            match tried {
                Ok(()) => return Ok(container_port(port, PortLink::Macvlan, mac, nic.mac_address.clone())),
                Err(why) if why.contains(VRRP) => drop(self.0.own_mac_alone.lock().insert(name.clone())),
                Err(why) => return Err(why),
            }
        }
        if !kinds.contains(&PortLink::Ipvlan) {
            return Err(format!(
                "a macvlan needs a MAC address of its own, and cloud {name} lets a port use its own alone"
            ));
        }
        self.change_pairs(cloud, host, nic.clone(), |all| add(all, port, &nic.mac_address)).await?;
        Ok(container_port(port, PortLink::Ipvlan, nic.mac_address.clone(), nic.mac_address.clone()))
    }

    /// Takes addresses off a host's NIC whose ports somebody else has removed.
    pub(super) async fn close_what_is_free(
        &self,
        cloud: &Cloud,
        host: &Host,
        network: &str,
        addresses: &[IpAddr],
    ) -> Result<(), String> {
        if network.is_empty() || addresses.is_empty() {
            return Ok(());
        }
        let query = [("device_owner", DEVICE_OWNER), ("network_id", network)];
        let taken: Vec<Port> = cloud.list(&query).await.map_err(said("listing the ports of containers"))?;
        let taken: Vec<String> = taken.iter().flat_map(ips).collect();
        let free: Vec<String> = addresses.iter().map(IpAddr::to_string).filter(|a| !taken.contains(a)).collect();
        self.close(cloud, host, network, &free).await
    }

    /// Takes containers' addresses off their host's NIC.
    pub(super) async fn close(
        &self,
        cloud: &Cloud,
        host: &Host,
        network: &str,
        addresses: &[String],
    ) -> Result<(), String> {
        // A host whose server is gone has no NIC.
        let Some(nic) = self.nic(cloud, host, network).await? else { return Ok(()) };
        let change = take_off(nic.mac_address.clone(), addresses);
        self.change_pairs(cloud, host, nic, change).await
    }
}

/// Adds a container's addresses to a NIC's pairs.
fn add(all: &mut Vec<AddressPair>, port: &Port, mac: &str) {
    let ips = ips(port);
    all.retain(|p| !(ips.contains(&p.ip_address) && p.mac_address.as_deref() == Some(mac)));
    all.extend(ips.into_iter().map(|ip_address| AddressPair { ip_address, mac_address: Some(mac.to_owned()) }));
}
