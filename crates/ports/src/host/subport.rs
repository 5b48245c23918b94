//! Ports of containers behind trunks: each a port of its own, with all that a port can have.

use super::policy::OptionIds;
use super::trunk::{HostTrunk, NoTrunk};
use super::{HostBroker, Shared, container_port, fixed_ips};
use crate::container_port::{DEVICE_OWNER, SUBPORT};
use crate::extras::Extras;
use crate::{Error, Result};
use serde_json::json;
use stackyard_core::agent::{ContainerPort, NewContainerPort, PortLink};
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{Cloud, NewPort, Port, PortChange, Trunk};
use std::sync::Arc;

impl HostBroker {
    /// The trunk by which the host's containers get into a network, and the port of the NIC that carries it: of the NIC
    /// in that network, else of the first.
    pub(super) async fn trunk(
        &self,
        network: &str,
    ) -> std::result::Result<(Arc<HostTrunk>, Port), NoTrunk> {
        if !self.has_trunks().await? {
            let name = &self.cloud.config().name;
            return Err(NoTrunk::Never(format!(
                "cloud {name} has no trunks (Neutron's extension `trunk`)"
            )));
        }
        let nic = match self.nic_in(network).await? {
            Some(nic) => nic,
            None => {
                self.check_network(network).await?;
                self.first_nic().ok_or_else(|| {
                    NoTrunk::Never(format!(
                        "host {} has no NIC{}",
                        self.host.name,
                        self.no_server()
                    ))
                })?
            }
        };
        let trunk = self.trunk_on(&nic).await?;
        match trunk.ready(&self.cloud).await {
            Ok(()) => Ok((trunk, nic)),
            Err(no) => {
                if let NoTrunk::Failed(_) = no {
                    self.forget_nics();
                }
                Err(no)
            }
        }
    }

    /// The port of the host's NIC in a network, if there is one; makes no request where there is known to be none.
    async fn nic_in(&self, network: &str) -> Result<Option<Port>> {
        match self.first_nic().is_some() && self.is_known_network(network) {
            true => Ok(None),
            false => self.nic(network).await,
        }
    }

    fn first_nic(&self) -> Option<Port> {
        let all = self.shared.nics.lock();
        let nics = all.get(&self.host.id)?;
        nics.iter()
            .min_by_key(|nic| (&nic.created_at, &nic.id))
            .cloned()
    }

    async fn trunk_on(&self, nic: &Port) -> Result<Arc<HostTrunk>> {
        let mark = self
            .mark(Kind::Port, format!("{}/trunk", self.host.name))
            .await?;
        Ok(self.shared.trunks.on(nic, &mark.to_string()))
    }

    /// Makes a container's port and puts it behind a trunk.
    pub(super) async fn create_subport(
        &self,
        trunk: &Arc<HostTrunk>,
        nic: &Port,
        new: &NewContainerPort,
    ) -> Result<ContainerPort> {
        let port = match &new.options.port {
            Some(named) => self.take_port(named, nic, new).await?,
            None => self.create_own_port(nic, new).await?,
        };
        match self.put_behind(trunk, nic, &port, new).await {
            Ok(made) => Ok(made),
            Err(e) => {
                self.forget_nics();
                let extras = Extras::of(&new.options);
                Err(e.after_cleanup(self.delete_subport(&port, extras, &new.endpoint).await))
            }
        }
    }

    async fn create_own_port(&self, nic: &Port, new: &NewContainerPort) -> Result<Port> {
        let own = match is_open(nic, new) {
            true => None,
            false => self.open_exposed(new).await?,
        };
        match self.create_port_with(nic, new, own.as_deref()).await {
            Err(e) if own.is_some() => {
                Err(e.after_cleanup(self.close_exposed(&new.endpoint).await))
            }
            made => made,
        }
    }

    /// The same, with a security group of its own.
    async fn create_port_with(
        &self,
        nic: &Port,
        new: &NewContainerPort,
        own: Option<&str>,
    ) -> Result<Port> {
        let mut is_second = false;
        loop {
            let body = self.subport_body(nic, new, own).await?;
            match self.cloud.create::<Port>(&body).await {
                // A name may mean something else by now.
                Err(e) if e.is_not_found() && !new.options.is_empty() && !is_second => {
                    is_second = true;
                    self.shared.lookups.forget();
                }
                other => return other.map_err(Error::cloud("making the port")),
            }
        }
    }

    async fn subport_body(
        &self,
        nic: &Port,
        new: &NewContainerPort,
        own: Option<&str>,
    ) -> Result<NewPort> {
        let ids = self.option_ids(nic, new).await?;
        let of_nic = || {
            Some(nic.security_groups.clone()).filter(|_| nic.port_security_enabled != Some(false))
        };
        let mut groups = ids.security_groups.or_else(of_nic);
        if new.options.stack_group
            && !is_open(nic, new)
            && let Some(groups) = &mut groups
        {
            let stacks = self.stack_group().await?;
            if !groups.contains(&stacks) {
                groups.push(stacks);
            }
        }
        Ok(NewPort {
            network_id: new.network.clone(),
            name: self.host.device(&new.docker_network, &new.endpoint),
            description: self.port_mark(&new.endpoint).await?,
            fixed_ips: fixed_ips(new),
            mac_address: new.mac.clone(),
            security_groups: groups
                .map(|all| all.into_iter().chain(own.map(str::to_owned)).collect()),
            port_security_enabled: is_open(nic, new).then_some(false),
            qos_policy_id: ids.qos_policy,
            allowed_address_pairs: ids.pairs,
            dns_name: new.options.dns_name.clone(),
            device_owner: DEVICE_OWNER.to_owned(),
            ..NewPort::default()
        })
    }

    /// Takes a port that exists and is free.
    async fn take_port(&self, named: &str, nic: &Port, new: &NewContainerPort) -> Result<Port> {
        let doing = format!("taking port {named:?}");
        if !new.options.exposed.is_empty() {
            return Err(Error::refused(
                "the options name `port` and `expose`: they exclude each other",
            ));
        }
        let port: Port = self
            .cloud
            .need(named)
            .await
            .map_err(Error::cloud(doing.as_str()))?;
        self.check_free(named, &port, new)?;
        let OptionIds {
            security_groups,
            qos_policy,
            pairs,
        } = self.option_ids(nic, new).await?;
        let other_mac = |mac: &String| !mac.eq_ignore_ascii_case(&port.mac_address);
        let change = PortChange {
            security_groups,
            qos_policy_id: qos_policy,
            allowed_address_pairs: pairs,
            dns_name: new.options.dns_name.clone(),
            mac_address: new.mac.clone().filter(other_mac),
            ..PortChange::default()
        };
        self.cloud
            .update(&port.id, &change)
            .await
            .map_err(Error::cloud(doing))
    }

    /// Refuses a port that the yard's containers may not use, or that is in use.
    fn check_free(&self, named: &str, port: &Port, new: &NewContainerPort) -> Result<()> {
        let (yard, tag) = (&self.host.yard, self.host.tag());
        let refused = |text: String| Err(Error::refused(format!("port {named:?} is {text}")));
        if Mark::parse(&port.description).is_some() {
            return refused(format!("a yard's own: {}", port.description));
        }
        if port.network_id != new.network {
            return refused(format!("in another network, {}", port.network_id));
        }
        if !port.tags.contains(&tag) {
            return refused(format!(
                "not for containers of yard {yard}: `openstack port set --tag {tag} {}` says that it is",
                port.id
            ));
        }
        // One behind this host's own trunk was left there by a server that was killed.
        if !port.device_id.is_empty() || !matches!(port.device_owner.as_str(), "" | SUBPORT) {
            return refused(format!(
                "in use: by {} {}",
                port.device_owner, port.device_id
            ));
        }
        Ok(())
    }

    async fn put_behind(
        &self,
        trunk: &Arc<HostTrunk>,
        nic: &Port,
        port: &Port,
        new: &NewContainerPort,
    ) -> Result<ContainerPort> {
        let vlan = trunk
            .add(&self.cloud, &port.id, new.vlan, Vec::new())
            .await?;
        if new.options.port.is_some() {
            let its = json!({"device_id": self.host.device(&new.docker_network, &new.endpoint)});
            let named = self.cloud.update::<Port>(&port.id, &its).await;
            named.map_err(Error::cloud("saying whose the port is"))?;
        }
        self.give_floating_ip(port, new).await?;
        Ok(ContainerPort {
            docker_network: new.docker_network.clone(),
            endpoint: new.endpoint.clone(),
            vlan: Some(vlan),
            ..read_vlan_port(port, nic.mac_address.clone())
        })
    }

    /// Removes a container's port that is behind a trunk, or should be, with its extras.
    pub(super) async fn delete_subport(
        &self,
        port: &Port,
        extras: Extras,
        endpoint: &str,
    ) -> Result<()> {
        let nic = self
            .nic_in(&port.network_id)
            .await?
            .or_else(|| self.first_nic());
        if let Some(nic) = nic {
            self.trunk_on(&nic)
                .await?
                .remove(&self.cloud, &port.id)
                .await?;
        }
        free_or_delete(&self.cloud, port).await?;
        if extras.exposed {
            self.close_exposed(endpoint).await?;
        }
        if extras.floating_ip {
            self.remove_floating_ip(endpoint).await?;
        }
        Ok(())
    }

    /// Moves a port to another VLAN id.
    pub(super) async fn change_vlan(&self, id: &str, taken: &[u16]) -> Result<ContainerPort> {
        let port = self.own_port(id, &format!("looking up port {id}")).await?;
        let (trunk, nic) = match self.trunk(&port.network_id).await {
            Ok(found) => found,
            Err(no) => return Err(no.into()),
        };
        let _moving = MovingPort::begin(&self.shared, id);
        trunk.remove(&self.cloud, id).await?;
        let vlan = trunk.add(&self.cloud, id, None, taken.to_vec()).await?;
        Ok(ContainerPort {
            vlan: Some(vlan),
            ..read_vlan_port(&port, nic.mac_address)
        })
    }

    /// The trunks on these ports.
    pub(super) async fn trunks_of(&self, nics: &[Port]) -> Result<Vec<Trunk>> {
        let query: Vec<(&str, &str)> = nics
            .iter()
            .map(|nic| ("port_id", nic.id.as_str()))
            .collect();
        if query.is_empty() {
            return Ok(Vec::new());
        }
        let failed = Error::cloud("listing the trunks of the host's NICs");
        self.cloud.list(&query).await.map_err(failed)
    }

    /// A container's port as it is behind one of these trunks. One that was torn out of its trunk is removed, so that
    /// its container gets another one with its address.
    pub(super) async fn read_subport(
        &self,
        nics: &[Port],
        trunks: &[Trunk],
        port: &Port,
    ) -> Result<Option<ContainerPort>> {
        let place = trunks
            .iter()
            .find_map(|t| Some((t, t.sub_ports.iter().find(|s| s.port_id == port.id)?)));
        let is_new = port.device_owner == DEVICE_OWNER;
        let is_torn = place.is_none() && !nics.is_empty() && !is_new && port.device_id.is_empty();
        if is_torn && !self.shared.moving.lock().contains(&port.id) {
            let failed = Error::cloud(format!("removing port {}", port.id));
            self.cloud.delete_port(&port.id).await.map_err(failed)?;
            return Ok(None);
        }
        let nic = place.and_then(|(trunk, _)| nics.iter().find(|n| n.id == trunk.port_id));
        let parent = nic.map(|n| n.mac_address.clone()).unwrap_or_default();
        let vlan = place.and_then(|(_, subport)| u16::try_from(subport.segmentation_id).ok());
        Ok(Some(ContainerPort {
            vlan,
            ..read_vlan_port(port, parent)
        }))
    }
}

/// A port behind a trunk; which VLAN's, the caller knows.
fn read_vlan_port(port: &Port, parent_mac: String) -> ContainerPort {
    container_port(port, PortLink::Vlan, port.mac_address.clone(), parent_mac)
}

/// Whether a container's port has no port security, as the host's NIC: all is let in, and it has no groups.
pub(super) fn is_open(nic: &Port, new: &NewContainerPort) -> bool {
    nic.port_security_enabled == Some(false) && new.options.security_groups.is_none()
}

/// Deletes a port that was made for a container, which has its mark; frees one that existed before.
pub(super) async fn free_or_delete(cloud: &Cloud, port: &Port) -> Result<()> {
    let failed = || Error::cloud(format!("removing port {}", port.id));
    if Mark::parse(&port.description).is_some_and(|m| m.key.kind == Kind::Port) {
        return cloud
            .delete_port(&port.id)
            .await
            .map(drop)
            .map_err(failed());
    }
    cloud.untrunk(&port.id).await.map_err(failed())?;
    match cloud
        .update::<Port>(&port.id, &json!({"device_id": "", "device_owner": ""}))
        .await
    {
        Err(e) if !e.is_not_found() => Err(failed()(e)),
        _ => Ok(()),
    }
}

/// A port that is out of its trunk for a moment.
struct MovingPort<'a>(&'a Shared, &'a str);

impl<'a> MovingPort<'a> {
    fn begin(shared: &'a Shared, port: &'a str) -> Self {
        shared.moving.lock().insert(port.to_owned());
        Self(shared, port)
    }
}

impl Drop for MovingPort<'_> {
    fn drop(&mut self) {
        self.0.moving.lock().remove(self.1);
    }
}
