//! Floating IPs of endpoints: the project's, or one that lives as long as the endpoint. With published
//! ports (`-p`) only those lead to the endpoint, else all of it.

use crate::network::ledger::Endpoint;
use crate::network::names::Scope;
use crate::network::port_manager::{PortManager, PortSource};
use crate::network::{Error, mark};
use serde_json::json;
use stackyard_openstack::{FloatingIp, Network, NewFloatingIp, NewPortForwarding};
use std::net::IpAddr;

impl PortManager {
    /// Makes a floating IP lead to an endpoint, if its options name one.
    pub(crate) async fn give_floating_ip(&self, id: &str, endpoint: &mut Endpoint) -> Result<(), Error> {
        let Some(wanted) = endpoint.options.floating_ip.clone() else { return Ok(()) };
        // The server has done it with the port.
        let PortSource::Cloud(_) = self.source else { return Ok(()) };
        let doing = || Error::cloud(format!("giving port {} floating IP {wanted:?}", endpoint.port));
        let publishes = !endpoint.options.publish.is_empty();
        if wanted.parse::<IpAddr>().is_ok() {
            let found: Vec<FloatingIp> =
                self.cloud()?.list(&[("floating_ip_address", &wanted)]).await.map_err(doing())?;
            let ip = found.into_iter().find(|ip| ip.address == wanted);
            let ip = ip.ok_or_else(|| {
                Error::request(format!("the project has no floating IP {wanted}; name the external network to get one"))
            })?;
            if ip.port_id.as_deref().is_some_and(|port| publishes || port != endpoint.port) {
                return Err(Error::request(format!("floating IP {wanted} leads to a port already")));
            }
            // It is free again when the port goes.
            return self.lead(&ip.id, endpoint).await;
        }
        let new = NewFloatingIp {
            floating_network_id: self.id_of::<Network>(&wanted, Scope::Visible).await?,
            port_id: (!publishes).then(|| endpoint.port.clone()),
            description: mark::of_endpoint(&self.place(), &endpoint.network, id),
            ..NewFloatingIp::default()
        };
        let made: FloatingIp = self.cloud()?.create(&new).await.map_err(doing())?;
        endpoint.floating_ip = Some(made.id.clone());
        if publishes { self.lead(&made.id, endpoint).await } else { Ok(()) }
    }

    /// Makes a floating IP that leads nowhere lead to an endpoint, or to its published ports.
    pub(crate) async fn lead(&self, floating_ip: &str, endpoint: &mut Endpoint) -> Result<(), Error> {
        let doing = |port: &str| Error::cloud(format!("making floating IP {floating_ip} lead to port {port}"));
        if endpoint.options.publish.is_empty() {
            let to = json!({"port_id": endpoint.port});
            let led = self.cloud()?.update::<FloatingIp>(floating_ip, &to).await;
            return led.map(drop).map_err(doing(&endpoint.port));
        }
        let mut ips = endpoint.ips.iter().filter_map(|ip| ip.ip_address.clone());
        let address = ips.find(|a| !a.contains(':'));
        let address = address.ok_or_else(|| Error::request("a container without IPv4 address can publish nothing"))?;
        for published in endpoint.options.publish.clone() {
            let new = NewPortForwarding {
                protocol: published.protocol,
                internal_port_id: endpoint.port.clone(),
                internal_ip_address: address.clone(),
                internal_port: published.inside.into(),
                external_port: published.outside.into(),
            };
            let made = self.cloud()?.forward_port(floating_ip, &new).await.map_err(doing(&endpoint.port))?;
            endpoint.forwardings.push((floating_ip.to_owned(), made));
        }
        Ok(())
    }

    /// Ends what leads to an endpoint, with the floating IP that was made for it.
    pub(crate) async fn remove_floating_ip(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let doing = || Error::cloud(format!("removing the floating IP of port {}", endpoint.port));
        // Neutron removes no floating IP that has some.
        for (floating_ip, forwarding) in &endpoint.forwardings {
            self.cloud()?.end_forwarding(floating_ip, forwarding).await.map_err(doing())?;
        }
        let Some(id) = &endpoint.floating_ip else { return Ok(()) };
        self.cloud()?.delete::<FloatingIp>(id).await.map(drop).map_err(doing())
    }
}
