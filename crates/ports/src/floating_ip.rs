//! Floating IPs of containers. With published ports (`-p`) only those lead to the container, else all of it.

use crate::{Error, Result};
use serde_json::json;
use stackyard_core::agent::PublishedPort;
use stackyard_openstack::{
    Cloud, FixedIp, FloatingIp, Network, NewFloatingIp, NewPortForwarding, Port,
};

/// What a floating IP is to lead to.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The container's port, by id.
    pub port: &'a str,
    /// Addresses of that port.
    pub addresses: &'a [FixedIp],
    /// The ports that lead to the container; all of it if there is none.
    pub publish: &'a [PublishedPort],
}

impl<'a> Target<'a> {
    /// A container's port, with the ports that it publishes.
    pub fn new(port: &'a Port, publish: &'a [PublishedPort]) -> Self {
        Self {
            port: &port.id,
            addresses: &port.fixed_ips,
            publish,
        }
    }
}

/// A floating IP of the project that the caller `may_use`, and that leads nowhere, or already to all of the target.
///
/// # Errors
/// The project has no such floating IP, `may_use` refuses it, it leads to another port, or the cloud refused.
pub async fn find_free(
    cloud: &Cloud,
    address: &str,
    target: Target<'_>,
    may_use: impl FnOnce(&FloatingIp) -> Result<()>,
) -> Result<FloatingIp> {
    let failed = Error::cloud(format!("looking up floating IP {address}"));
    let found: Vec<FloatingIp> = cloud
        .list(&[("floating_ip_address", address)])
        .await
        .map_err(failed)?;
    let found = found.into_iter().find(|ip| ip.address == address).ok_or_else(|| {
        Error::refused(format!(
            "the project has no floating IP {address}; name the external network to get one from"
        ))
    })?;
    may_use(&found)?;
    let may_lead_there = |port: &str| target.publish.is_empty() && port == target.port;
    match &found.port_id {
        Some(port) if !may_lead_there(port) => Err(Error::refused(format!(
            "floating IP {address} leads to a port already"
        ))),
        _ => Ok(found),
    }
}

/// The external network that option `floating-ip` names.
///
/// # Errors
/// There is no such network, it is not external, or the cloud refused.
pub async fn external_network(cloud: &Cloud, wanted: &str) -> Result<Network> {
    let network: Network = cloud
        .need(wanted)
        .await
        .map_err(Error::cloud("option `floating-ip`"))?;
    if network.external {
        return Ok(network);
    }
    Err(Error::refused(format!(
        "option `floating-ip`: network {wanted:?} does not lead outside"
    )))
}

/// Makes a floating IP of an external network, with the mark `description`. It leads to all of the target at once; if
/// the target publishes ports, [`lead`] makes it lead there.
///
/// # Errors
/// The cloud refused.
pub async fn create(
    cloud: &Cloud,
    external_network: &str,
    description: String,
    target: Target<'_>,
) -> Result<FloatingIp> {
    let new = NewFloatingIp {
        floating_network_id: external_network.to_owned(),
        port_id: target.publish.is_empty().then(|| target.port.to_owned()),
        description,
        ..NewFloatingIp::default()
    };
    let doing = format!(
        "getting a floating IP of network {external_network:?} for port {}",
        target.port
    );
    cloud.create(&new).await.map_err(Error::cloud(doing))
}

/// A failure after some forwardings were made.
#[derive(Debug)]
pub struct PartlyLed {
    /// Ids of the forwardings that were made before.
    pub made: Vec<String>,
    /// Why the next one failed.
    pub error: Error,
}

/// Makes a floating IP that leads nowhere lead to a target: ids of the forwardings that it took.
///
/// # Errors
/// The cloud refused, or the target has no IPv4 address to publish; with what was made before.
pub async fn lead(
    cloud: &Cloud,
    floating_ip: &str,
    target: Target<'_>,
) -> std::result::Result<Vec<String>, PartlyLed> {
    let failed = || {
        Error::cloud(format!(
            "making floating IP {floating_ip} lead to port {}",
            target.port
        ))
    };
    let mut made = Vec::new();
    if target.publish.is_empty() {
        let led = cloud
            .update::<FloatingIp>(floating_ip, &json!({"port_id": target.port}))
            .await;
        return led.map(|_| Vec::new()).map_err(|e| PartlyLed {
            made,
            error: failed()(e),
        });
    }
    let mut addresses = target
        .addresses
        .iter()
        .filter_map(|ip| ip.ip_address.as_deref());
    let Some(address) = addresses.find(|address| !address.contains(':')) else {
        let error = Error::refused("a container without IPv4 address can publish nothing");
        return Err(PartlyLed { made, error });
    };
    for published in target.publish {
        let new = NewPortForwarding {
            protocol: published.protocol.clone(),
            internal_port_id: target.port.to_owned(),
            internal_ip_address: address.to_owned(),
            internal_port: published.inside.into(),
            external_port: published.outside.into(),
        };
        match cloud.forward_port(floating_ip, &new).await {
            Ok(id) => made.push(id),
            Err(e) => {
                return Err(PartlyLed {
                    made,
                    error: failed()(e),
                });
            }
        }
    }
    Ok(made)
}
