//! Floating IPs of containers: made with their port, or tagged for the yard; gone with it.

use super::beside::{mark, marked, remove};
use super::on_trunk::tag;
use super::{Ports, said};
use serde_json::json;
use stackyard_core::agent::NewContainerPort;
use stackyard_core::yard::Kind;
use stackyard_openstack::{Cloud, FloatingIp, Network, NewFloatingIp, NewPortForwarding, Port};
use stackyard_store::Host;
use std::net::IpAddr;

impl Ports {
    /// Makes a floating IP lead to a container's port, if one is wanted.
    pub(super) async fn give_floating_ip(
        &self,
        cloud: &Cloud,
        host: &Host,
        port: &Port,
        new: &NewContainerPort,
    ) -> Result<(), String> {
        let publish = &new.options.publish;
        let Some(wanted) = &new.options.floating_ip else {
            return match publish.is_empty() {
                true => Ok(()),
                false => {
                    Err("ports are published (-p) by a floating IP here: name one (option `floating-ip`)".to_owned())
                }
            };
        };
        let id = match wanted.parse::<IpAddr>() {
            Ok(_) => self.tagged(cloud, host, wanted, publish.is_empty().then_some(port.id.as_str())).await?,
            Err(_) => match self.own_floating_ip(cloud, host, wanted, port, new).await? {
                Some(id) => id,
                None => return Ok(()),
            },
        };
        let doing = || said(format!("making floating IP {wanted:?} lead to port {}", port.id));
        if publish.is_empty() {
            return cloud.update::<FloatingIp>(&id, &json!({"port_id": port.id})).await.map(drop).map_err(doing());
        }
        let mut addresses = port.fixed_ips.iter().filter_map(|ip| ip.ip_address.clone());
        let address = addresses.find(|a| !a.contains(':'));
        let address = address.ok_or("a container without IPv4 address can publish nothing")?;
        for one in publish {
            let forwarding = NewPortForwarding {
                protocol: one.protocol.clone(),
                internal_port_id: port.id.clone(),
                internal_ip_address: address.clone(),
                internal_port: one.inside.into(),
                external_port: one.outside.into(),
            };
            cloud.forward_port(&id, &forwarding).await.map_err(doing())?;
        }
        Ok(())
    }

    /// A floating IP that is there, that the yard's containers may use and nobody else does; `port` may be it.
    async fn tagged(&self, cloud: &Cloud, host: &Host, address: &str, port: Option<&str>) -> Result<String, String> {
        let query = [("floating_ip_address", address)];
        let all: Vec<FloatingIp> =
            cloud.list(&query).await.map_err(said(format!("looking up floating IP {address}")))?;
        let found = all.into_iter().find(|ip| ip.address == address);
        let found = found.ok_or_else(|| {
            format!("the project has no floating IP {address}; name the external network to get one from")
        })?;
        let tag = tag(host);
        if !found.tags.contains(&tag) {
            return Err(format!(
                "floating IP {address} is not for containers of yard {}: `openstack floating ip set --tag {tag} \
                 {address}` says that it is",
                host.yard
            ));
        }
        if found.port_id.as_deref().is_some_and(|of| Some(of) != port) {
            return Err(format!("floating IP {address} leads to a port already"));
        }
        Ok(found.id)
    }

    /// Makes a floating IP. With published ports, or if a container that has lost its port had it before, it does not
    /// lead to the port yet: then its id.
    async fn own_floating_ip(
        &self,
        cloud: &Cloud,
        host: &Host,
        external: &str,
        port: &Port,
        new: &NewContainerPort,
    ) -> Result<Option<String>, String> {
        let mark = mark(cloud, Kind::FloatingIp, host, &new.endpoint).await?;
        if new.mac.is_some() {
            let doing = said("looking up the container's floating IP");
            let before = marked(cloud, &mark, |ip: &FloatingIp| &ip.description).await.map_err(doing)?;
            if let Some(found) = before.into_iter().next() {
                return Ok(Some(found));
            }
        }
        let network: Network = cloud.need(external).await.map_err(said("option `floating-ip`"))?;
        if !network.external {
            return Err(format!("option `floating-ip`: network {external:?} does not lead outside"));
        }
        let publishes = !new.options.publish.is_empty();
        let wanted = NewFloatingIp {
            floating_network_id: network.id,
            port_id: (!publishes).then(|| port.id.clone()),
            description: mark.to_string(),
            ..NewFloatingIp::default()
        };
        let made: FloatingIp =
            cloud.create(&wanted).await.map_err(said(format!("getting a floating IP of network {external:?}")))?;
        Ok(publishes.then_some(made.id))
    }

    /// Removes what was made for a container whose port is gone.
    pub(super) async fn remove_floating_ip(&self, cloud: &Cloud, host: &Host, endpoint: &str) -> Result<(), String> {
        let mark = mark(cloud, Kind::FloatingIp, host, endpoint).await?;
        remove(cloud, &mark, |ip: &FloatingIp| &ip.description).await
    }
}
