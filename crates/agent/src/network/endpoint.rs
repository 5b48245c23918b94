//! An endpoint from its port to its end, for Docker and CNI alike: what it wants next to its port, and how all of it is
//! given back.

use crate::network::Error;
use crate::network::ledger::{Endpoint, short};
use crate::network::options::EndpointOptions;
use crate::network::port_manager::PortManager;
use stackyard_core::text::error_chain;
use std::net::IpAddr;

impl PortManager {
    /// Whether there is in the cloud what an endpoint wants beside its port.
    pub(crate) async fn check_extras(&self, options: &EndpointOptions) -> Result<(), Error> {
        if let Some(group) = &options.firewall_group {
            self.firewall_group(group).await?;
        }
        self.check_pools(options).await
    }

    /// Gives an endpoint what it wants beside its port; load balancers take it in some time later.
    pub(crate) async fn give_extras(&self, key: &str, endpoint: &mut Endpoint) -> Result<(), Error> {
        if let Some(group) = &endpoint.options.firewall_group {
            self.guard(group, std::slice::from_ref(&endpoint.port)).await?;
        }
        if endpoint.options.floating_ip.is_some() {
            self.give_floating_ip(key, endpoint).await?;
            self.ledger.endpoints.put(key, endpoint)?;
        }
        self.enlist(key, endpoint).await
    }

    /// Unplugs an endpoint and gives back what it had; goes on after a failure, so that as little as possible
    /// is left to the reconciler.
    pub(crate) async fn detach(&self, id: &str, endpoint: &Endpoint) -> Result<(), Error> {
        self.end_preparing(&endpoint.port).await;
        // The port before its link: Neutron otherwise takes note of a port that is down, and is slower to remove it.
        let done = [
            // First: nobody is to be sent where nobody is.
            self.dismiss(id).await,
            self.remove_floating_ip(endpoint).await,
            self.return_port(id, endpoint).await,
            self.close_exposed(&endpoint.options).await,
            self.wiring.unplug(endpoint).await,
        ];
        let failed: Vec<String> = done.into_iter().filter_map(Result::err).map(|e| error_chain(&e)).collect();
        if failed.is_empty() {
            // Last: what is not done yet is done again by it.
            return self.ledger.endpoints.remove(id);
        }
        Err(Error::request(format!("endpoint {} is not wholly gone: {}", short(id), failed.join("; "))))
    }

    /// Takes an attach back that failed; returns why it failed, and what could not be taken back.
    pub(crate) async fn undo(&self, id: &str, endpoint: &Endpoint, why: Error) -> Error {
        match self.detach(id, endpoint).await {
            Ok(()) => why,
            Err(e) => Error::request(format!("{}; then, {}", error_chain(&why), error_chain(&e))),
        }
    }
}

impl Endpoint {
    /// Its addresses.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.ips.iter().filter_map(|ip| ip.ip_address.as_deref()?.parse().ok())
    }

    /// Whether that is one of its addresses.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.addresses().any(|a| a == address)
    }
}
