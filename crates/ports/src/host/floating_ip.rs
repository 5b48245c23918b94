//! Floating IPs of containers on hosts of a yard: made with their port, or tagged for the yard; gone with it.

use super::HostBroker;
use crate::extras::{self, marked};
use crate::floating_ip::{self, Target};
use crate::{Error, Result};
use stackyard_core::agent::NewContainerPort;
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{FloatingIp, Port};
use std::net::IpAddr;

impl HostBroker {
    /// Makes a floating IP lead to a container's port, if one is wanted.
    pub(super) async fn give_floating_ip(&self, port: &Port, new: &NewContainerPort) -> Result<()> {
        let target = Target::new(port, &new.options.publish);
        let Some(wanted) = &new.options.floating_ip else {
            return match target.publish.is_empty() {
                true => Ok(()),
                false => Err(Error::refused(
                    "ports are published (-p) by a floating IP here: name one (option `floating-ip`)",
                )),
            };
        };
        let id = match wanted.parse::<IpAddr>() {
            Ok(_) => Some(self.tagged_floating_ip(wanted, target).await?),
            Err(_) => self.own_floating_ip(wanted, target, new).await?,
        };
        match id {
            Some(id) => floating_ip::lead(&self.cloud, &id, target)
                .await
                .map(drop)
                .map_err(|e| e.error),
            None => Ok(()),
        }
    }

    /// The id of a floating IP that exists, that the yard's containers may use, and that is free.
    async fn tagged_floating_ip(&self, address: &str, target: Target<'_>) -> Result<String> {
        let (yard, tag) = (&self.host.yard, self.host.tag());
        let is_tagged = |found: &FloatingIp| match found.tags.contains(&tag) {
            true => Ok(()),
            false => Err(Error::refused(format!(
                "floating IP {address} is not for containers of yard {yard}: `openstack floating ip set --tag {tag} \
                 {address}` says that it is"
            ))),
        };
        Ok(
            floating_ip::find_free(&self.cloud, address, target, is_tagged)
                .await?
                .id,
        )
    }

    /// Makes a floating IP, or finds the one that a container had which has lost its port. Its id, if it does not lead
    /// to the port yet.
    async fn own_floating_ip(
        &self,
        external: &str,
        target: Target<'_>,
        new: &NewContainerPort,
    ) -> Result<Option<String>> {
        let mark = self.floating_ip_mark(&new.endpoint).await?;
        if new.mac.is_some() {
            let failed = Error::cloud("looking up the container's floating IP");
            let before = marked(&self.cloud, &mark, |ip: &FloatingIp| &ip.description).await;
            if let Some(found) = before.map_err(failed)?.into_iter().next() {
                return Ok(Some(found));
            }
        }
        let network = floating_ip::external_network(&self.cloud, external).await?;
        let made = floating_ip::create(&self.cloud, &network.id, mark.to_string(), target).await?;
        Ok((!target.publish.is_empty()).then_some(made.id))
    }

    async fn floating_ip_mark(&self, endpoint: &str) -> Result<Mark> {
        self.mark(Kind::FloatingIp, extras::name(&self.host.name, endpoint))
            .await
    }

    /// Removes the floating IP that was made for a container whose port is gone.
    pub(super) async fn remove_floating_ip(&self, endpoint: &str) -> Result<()> {
        let mark = self.floating_ip_mark(endpoint).await?;
        extras::remove(&self.cloud, &mark, |ip: &FloatingIp| &ip.description).await
    }
}
