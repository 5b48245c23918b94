//! Floating IPs of endpoints: the project's, or one that lives as long as the endpoint.

use super::ledger::Endpoint;
use super::names::Whose;
use super::{Error, Plugin, mark};
use serde_json::json;
use stackyard_openstack::{FloatingIp, Network, NewFloatingIp};
use std::net::IpAddr;

impl Plugin {
    /// Makes a floating IP lead to an endpoint, if its options name one.
    pub(crate) async fn give_floating_ip(&self, id: &str, endpoint: &mut Endpoint) -> Result<(), Error> {
        let Some(wanted) = endpoint.options.floating_ip.clone() else { return Ok(()) };
        let doing = || Error::cloud(format!("giving port {} floating IP {wanted:?}", endpoint.port));
        if wanted.parse::<IpAddr>().is_ok() {
            let found: Vec<FloatingIp> = self.cloud.list(&[("floating_ip_address", &wanted)]).await.map_err(doing())?;
            let ip = found.into_iter().find(|ip| ip.address == wanted);
            let ip = ip.ok_or_else(|| {
                Error::request(format!("the project has no floating IP {wanted}; name the external network to get one"))
            })?;
            if ip.port_id.as_deref().is_some_and(|port| port != endpoint.port) {
                return Err(Error::request(format!("floating IP {wanted} leads to another port already")));
            }
            // It is free again when the port goes.
            let to = json!({"port_id": endpoint.port});
            return self.cloud.update::<FloatingIp>(&ip.id, &to).await.map(drop).map_err(doing());
        }
        let new = NewFloatingIp {
            floating_network_id: self.id_of::<Network>(&wanted, Whose::Anybodys).await?,
            port_id: Some(endpoint.port.clone()),
            description: mark::of_endpoint(&self.place(), &endpoint.network, id),
            ..NewFloatingIp::default()
        };
        let made: FloatingIp = self.cloud.create(&new).await.map_err(doing())?;
        endpoint.floating_ip = Some(made.id);
        Ok(())
    }

    /// Removes the floating IP that was made for an endpoint.
    pub(crate) async fn remove_floating_ip(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let Some(id) = &endpoint.floating_ip else { return Ok(()) };
        let doing = Error::cloud(format!("removing the floating IP of port {}", endpoint.port));
        self.cloud.delete::<FloatingIp>(id).await.map(drop).map_err(doing)
    }
}
