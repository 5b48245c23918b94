//! Floating IPs of endpoints of a stand-alone agent: the project's, or one that lives as long as the endpoint. On a host
//! of a yard the server gives them with the port.

use crate::network::Error;
use crate::network::ledger::Endpoint;
use crate::network::port_manager::PortManager;
use stackyard_openstack::FloatingIp;
use stackyard_ports::floating_ip::{self, Target};
use stackyard_ports::place_mark;
use std::net::IpAddr;

/// Noun under which the ids of external networks are known.
const EXTERNAL: &str = "external network";

fn target(endpoint: &Endpoint) -> Target<'_> {
    Target { port: &endpoint.port, addresses: &endpoint.ips, publish: &endpoint.options.publish }
}

impl PortManager {
    /// Makes a floating IP lead to an endpoint, if its options name one.
    pub(crate) async fn give_floating_ip(&self, id: &str, endpoint: &mut Endpoint) -> Result<(), Error> {
        let Some(wanted) = endpoint.options.floating_ip.clone().filter(|_| self.broker().is_none()) else {
            return Ok(());
        };
        if wanted.parse::<IpAddr>().is_ok() {
            // It is free again when the port goes.
            let ip = floating_ip::find_free(self.cloud()?, &wanted, target(endpoint), |_| Ok(())).await?;
            return self.lead(&ip.id, endpoint).await;
        }
        let network = self.external_network(&wanted).await?;
        let mark = place_mark::of_endpoint(&self.place(), &endpoint.network, id);
        let made = floating_ip::create(self.cloud()?, &network, mark, target(endpoint)).await;
        if made.as_ref().is_err_and(stackyard_ports::Error::is_not_found) {
            self.names.forget();
        }
        let made = made?;
        endpoint.floating_ip = Some(made.id.clone());
        if endpoint.options.publish.is_empty() { Ok(()) } else { self.lead(&made.id, endpoint).await }
    }

    /// Id of an external network, looked up once.
    async fn external_network(&self, wanted: &str) -> Result<String, Error> {
        if let Some(known) = self.names.known(EXTERNAL, wanted) {
            return Ok(known);
        }
        let found = floating_ip::external_network(self.cloud()?, wanted).await?;
        self.names.learn(EXTERNAL, wanted, &found.id);
        Ok(found.id)
    }

    /// Makes a floating IP that leads nowhere lead to an endpoint, or to its published ports.
    pub(crate) async fn lead(&self, floating_ip: &str, endpoint: &mut Endpoint) -> Result<(), Error> {
        let led = floating_ip::lead(self.cloud()?, floating_ip, target(endpoint)).await;
        let (made, led) = match led {
            Ok(made) => (made, Ok(())),
            Err(partly) => (partly.made, Err(partly.error.into())),
        };
        endpoint.forwardings.extend(made.into_iter().map(|id| (floating_ip.to_owned(), id)));
        led
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
