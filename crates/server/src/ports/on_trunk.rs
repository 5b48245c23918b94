//! Ports of containers behind trunks: each a port of its own, with all that a port can have.

use super::beside::Beside;
use super::here::Here;
use super::options::Wishes;
use super::trunks::{Lane, No};
use super::{Ports, and_left, container_port, is_of, said};
use serde_json::json;
use stackyard_core::agent::{ContainerPort, NewContainerPort, PortLink};
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{Cloud, FixedIp, NewPort, Port, PortChange, Trunk};
use stackyard_store::Host;
use stackyard_yard::container_port::{DEVICE_OWNER, SUBPORT, whose};
use std::sync::Arc;

/// The tag by which somebody says that a yard's containers may use a port or a floating IP that is there.
pub(super) fn tag(host: &Host) -> String {
    format!("stackyard:{}", host.yard)
}

impl Ports {
    /// The trunk by which a host's containers get into a network, and the port of the NIC that carries it: of the NIC
    /// in that network, else of the first.
    pub(super) async fn trunk(&self, cloud: &Cloud, host: &Host, network: &str) -> Result<(Arc<Lane>, Port), No> {
        if !self.has_trunks(cloud).await.map_err(No::Answer)? {
            let why = "has no trunks (Neutron's extension `trunk`)";
            return Err(No::Trunk(format!("cloud {} {why}", cloud.config().name)));
        }
        let nic = match self.nic_in(cloud, host, network).await.map_err(No::Answer)? {
            Some(nic) => nic,
            None => {
                self.check_yards(cloud, host, network).await.map_err(No::Answer)?;
                self.first_nic(host)
                    .ok_or_else(|| No::Trunk(format!("host {} has no NIC{}", host.name, self.no_server(cloud, host))))?
            }
        };
        let lane = self.lane(cloud, host, &nic).await.map_err(No::Answer)?;
        match lane.ready(cloud).await {
            Ok(()) => Ok((lane, nic)),
            Err(no) => {
                if let No::Answer(_) = no {
                    // It may be another NIC by now.
                    self.0.nics.lock().remove(&host.id);
                }
                Err(no)
            }
        }
    }

    /// The port of a host's NIC in a network, if there is one; nobody is asked where there is known to be none.
    async fn nic_in(&self, cloud: &Cloud, host: &Host, network: &str) -> Result<Option<Port>, String> {
        match self.first_nic(host).is_some() && self.is_yards(host, network) {
            true => Ok(None),
            false => self.nic(cloud, host, network).await,
        }
    }

    fn first_nic(&self, host: &Host) -> Option<Port> {
        let all = self.0.nics.lock();
        all.get(&host.id)?.iter().min_by(|a, b| (&a.created_at, &a.id).cmp(&(&b.created_at, &b.id))).cloned()
    }

    async fn lane(&self, cloud: &Cloud, host: &Host, nic: &Port) -> Result<Arc<Lane>, String> {
        let mark = Here::of(cloud).await?.mark(Kind::Port, host, format!("{}/trunk", host.name));
        Ok(self.0.trunks.lane(nic, &mark.to_string()))
    }

    /// Makes a container's port and puts it behind a trunk.
    pub(super) async fn make_on_trunk(
        &self,
        cloud: &Cloud,
        host: &Host,
        lane: &Arc<Lane>,
        nic: &Port,
        new: &NewContainerPort,
    ) -> Result<ContainerPort, String> {
        let port = match &new.options.port {
            Some(named) => self.take(cloud, host, named, nic, new).await?,
            None => self.make_port(cloud, host, nic, new).await?,
        };
        match self.put_behind(cloud, host, lane, nic, &port, new).await {
            Ok(made) => Ok(made),
            Err(why) => {
                // It may be another NIC by now.
                self.0.nics.lock().remove(&host.id);
                let beside = Beside::of(&new.options);
                Err(and_left(why, self.give_back(cloud, host, &port, beside, &new.endpoint).await))
            }
        }
    }

    async fn make_port(&self, cloud: &Cloud, host: &Host, nic: &Port, new: &NewContainerPort) -> Result<Port, String> {
        let own = if is_open(nic, new) { None } else { self.open_exposed(cloud, host, new).await? };
        match self.make_port_with(cloud, host, nic, new, own.as_deref()).await {
            Err(why) if own.is_some() => Err(and_left(why, self.close_exposed(cloud, host, &new.endpoint).await)),
            made => made,
        }
    }

    /// The same, with a security group of its own.
    async fn make_port_with(
        &self,
        cloud: &Cloud,
        host: &Host,
        nic: &Port,
        new: &NewContainerPort,
        own: Option<&str>,
    ) -> Result<Port, String> {
        let mut is_second = false;
        loop {
            let Wishes { security_groups, qos_policy, pairs } = self.wishes(cloud, host, nic, new).await?;
            let of_nic = || Some(nic.security_groups.clone()).filter(|_| nic.port_security_enabled != Some(false));
            let ip = |a: &stackyard_core::agent::PortAddress| FixedIp {
                subnet_id: a.subnet.clone(),
                ip_address: a.address.map(|a| a.to_string()),
            };
            let body = NewPort {
                network_id: new.network.clone(),
                name: format!("{}/{}/{}", host.id, new.docker_network, new.endpoint),
                description: Here::of(cloud).await?.of_port(host, &new.endpoint),
                fixed_ips: new.addresses.iter().map(ip).collect(),
                mac_address: new.mac.clone(),
                security_groups: security_groups
                    .or_else(of_nic)
                    .map(|all| all.into_iter().chain(own.map(str::to_owned)).collect()),
                port_security_enabled: is_open(nic, new).then_some(false),
                qos_policy_id: qos_policy,
                allowed_address_pairs: pairs,
                dns_name: new.options.dns_name.clone(),
                device_owner: DEVICE_OWNER.to_owned(),
                ..NewPort::default()
            };
            match cloud.create::<Port>(&body).await {
                // A name may mean something else by now.
                Err(e) if e.is_not_found() && !new.options.is_empty() && !is_second => {
                    is_second = true;
                    self.forget();
                }
                other => return other.map_err(said("making the port")),
            }
        }
    }

    /// Takes a port that is there, and that nobody uses.
    async fn take(
        &self,
        cloud: &Cloud,
        host: &Host,
        named: &str,
        nic: &Port,
        new: &NewContainerPort,
    ) -> Result<Port, String> {
        let doing = || said(format!("taking port {named:?}"));
        if !new.options.exposed.is_empty() {
            return Err("the options name `port` and `expose`: they exclude each other".to_owned());
        }
        let port: Port = cloud.need(named).await.map_err(doing())?;
        let tag = tag(host);
        if Mark::parse(&port.description).is_some() {
            return Err(format!("port {named:?} is a yard's own: {}", port.description));
        }
        if port.network_id != new.network {
            return Err(format!("port {named:?} is in another network, {}", port.network_id));
        }
        if !port.tags.contains(&tag) {
            return Err(format!(
                "port {named:?} is not for containers of yard {}: `openstack port set --tag {tag} {}` says that it is",
                host.yard, port.id
            ));
        }
        // One behind this host's own trunk was left there by a server that was killed.
        if !port.device_id.is_empty() || !matches!(port.device_owner.as_str(), "" | SUBPORT) {
            return Err(format!("port {named:?} is in use: by {} {}", port.device_owner, port.device_id));
        }
        let wishes = self.wishes(cloud, host, nic, new).await?;
        let change = PortChange {
            security_groups: wishes.security_groups,
            qos_policy_id: wishes.qos_policy,
            allowed_address_pairs: wishes.pairs,
            dns_name: new.options.dns_name.clone(),
            mac_address: new.mac.clone().filter(|mac| !mac.eq_ignore_ascii_case(&port.mac_address)),
            ..PortChange::default()
        };
        cloud.update(&port.id, &change).await.map_err(doing())
    }

    async fn put_behind(
        &self,
        cloud: &Cloud,
        host: &Host,
        lane: &Arc<Lane>,
        nic: &Port,
        port: &Port,
        new: &NewContainerPort,
    ) -> Result<ContainerPort, String> {
        let vlan = lane.add(cloud, &port.id, new.vlan, Vec::new()).await?;
        if new.options.port.is_some() {
            let its = json!({"device_id": format!("{}/{}/{}", host.id, new.docker_network, new.endpoint)});
            cloud.update::<Port>(&port.id, &its).await.map_err(said("saying whose the port is"))?;
        }
        self.give_floating_ip(cloud, host, port, new).await?;
        let made = container_port(port, PortLink::Vlan, port.mac_address.clone(), nic.mac_address.clone());
        Ok(ContainerPort {
            docker_network: new.docker_network.clone(),
            endpoint: new.endpoint.clone(),
            vlan: Some(vlan),
            ..made
        })
    }

    /// Removes a container's port that is behind a trunk, or should be.
    pub(super) async fn remove_from_trunk(
        &self,
        cloud: &Cloud,
        host: &Host,
        port: &Port,
        beside: Beside,
    ) -> Result<(), String> {
        let endpoint = whose(port).map(|(.., endpoint)| endpoint.to_owned()).unwrap_or_default();
        self.give_back(cloud, host, port, beside, &endpoint).await
    }

    async fn give_back(
        &self,
        cloud: &Cloud,
        host: &Host,
        port: &Port,
        beside: Beside,
        endpoint: &str,
    ) -> Result<(), String> {
        let nic = self.nic_in(cloud, host, &port.network_id).await?.or_else(|| self.first_nic(host));
        if let Some(nic) = nic {
            self.lane(cloud, host, &nic).await?.remove(cloud, &port.id).await?;
        }
        free_or_delete(cloud, port).await?;
        if beside.exposed {
            self.close_exposed(cloud, host, endpoint).await?;
        }
        if beside.floating_ip {
            self.remove_floating_ip(cloud, host, endpoint).await?;
        }
        Ok(())
    }

    /// Gives a port another VLAN id.
    pub(super) async fn other_vlan(
        &self,
        cloud: &Cloud,
        host: &Host,
        id: &str,
        taken: Vec<u16>,
    ) -> Result<ContainerPort, String> {
        let port: Port = cloud.get(id).await.map_err(said(format!("looking up port {id}")))?;
        if !is_of(&port, host) {
            return Err(format!("port {id} is no port of a container of host {}", host.name));
        }
        let (lane, nic) = match self.trunk(cloud, host, &port.network_id).await {
            Ok(found) => found,
            Err(No::Trunk(why) | No::Answer(why)) => return Err(why),
        };
        let _moving = Moving::begin(self, id);
        lane.remove(cloud, id).await?;
        let vlan = lane.add(cloud, id, None, taken).await?;
        let made = container_port(&port, PortLink::Vlan, port.mac_address.clone(), nic.mac_address);
        Ok(ContainerPort { vlan: Some(vlan), ..made })
    }

    /// The trunks on these ports.
    pub(super) async fn trunks_of(&self, cloud: &Cloud, nics: &[Port]) -> Result<Vec<Trunk>, String> {
        let query: Vec<(&str, &str)> = nics.iter().map(|nic| ("port_id", nic.id.as_str())).collect();
        if query.is_empty() {
            return Ok(Vec::new());
        }
        cloud.list(&query).await.map_err(said("listing the trunks of the host's NICs"))
    }

    /// A container's port as it is behind one of these trunks. One that was torn out of its trunk is removed, so that
    /// its container gets another one with its address.
    pub(super) async fn behind(
        &self,
        cloud: &Cloud,
        nics: &[Port],
        trunks: &[Trunk],
        port: &Port,
    ) -> Result<Option<ContainerPort>, String> {
        let place = trunks.iter().find_map(|t| Some((t, t.sub_ports.iter().find(|s| s.port_id == port.id)?)));
        let is_new = port.device_owner == DEVICE_OWNER;
        let is_torn = place.is_none() && !nics.is_empty() && !is_new && port.device_id.is_empty();
        if is_torn && !self.0.memory.moving.lock().contains(&port.id) {
            cloud.delete_port(&port.id).await.map_err(said(format!("removing port {}", port.id)))?;
            return Ok(None);
        }
        let nic = place.and_then(|(trunk, _)| nics.iter().find(|n| n.id == trunk.port_id));
        let parent = nic.map(|n| n.mac_address.clone()).unwrap_or_default();
        let made = container_port(port, PortLink::Vlan, port.mac_address.clone(), parent);
        let vlan = place.and_then(|(_, subport)| u16::try_from(subport.segmentation_id).ok());
        Ok(Some(ContainerPort { vlan, ..made }))
    }
}

/// Whether a container's port has no port security, as the host's NIC: all is let in, and it has no groups.
pub(super) fn is_open(nic: &Port, new: &NewContainerPort) -> bool {
    nic.port_security_enabled == Some(false) && new.options.security_groups.is_none()
}

/// Removes a port that was made for a container, which has its mark; one that was there before is free again.
pub(super) async fn free_or_delete(cloud: &Cloud, port: &Port) -> Result<(), String> {
    let doing = || said(format!("removing port {}", port.id));
    if Mark::parse(&port.description).is_some_and(|m| m.key.kind == Kind::Port) {
        return cloud.delete_port(&port.id).await.map(drop).map_err(doing());
    }
    cloud.untrunk(&port.id).await.map_err(doing())?;
    match cloud.update::<Port>(&port.id, &json!({"device_id": "", "device_owner": ""})).await {
        Err(e) if !e.is_not_found() => Err(doing()(e)),
        _ => Ok(()),
    }
}

/// A port that is out of its trunk for a moment.
struct Moving<'a>(&'a Ports, &'a str);

impl<'a> Moving<'a> {
    fn begin(ports: &'a Ports, port: &'a str) -> Self {
        ports.0.memory.moving.lock().insert(port.to_owned());
        Self(ports, port)
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.0.memory.moving.lock().remove(self.1);
    }
}
