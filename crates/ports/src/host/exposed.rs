//! Security groups of containers' own on hosts of a yard (option `expose`).

use super::HostBroker;
use crate::exposed::{IpVersions, create_group};
use crate::extras::{self, short};
use crate::{Error, Result};
use stackyard_core::agent::NewContainerPort;
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{NewSecurityGroup, SecurityGroup, Subnet};

impl HostBroker {
    /// Makes the group of a container, if it is to have one: its id.
    pub(super) async fn open_exposed(&self, new: &NewContainerPort) -> Result<Option<String>> {
        let exposed = &new.options.exposed;
        if exposed.is_empty() {
            return Ok(None);
        }
        if new.mac.is_some() {
            // A container that has lost its port may have one, perhaps without all rules.
            self.close_exposed(&new.endpoint).await?;
        }
        let group = NewSecurityGroup {
            name: format!("{}-{}", self.host.name, short(&new.endpoint)),
            description: self.group_mark(&new.endpoint).await?.to_string(),
        };
        let versions = self.versions_of(&new.network).await?;
        create_group(&self.cloud, &group, exposed, versions)
            .await
            .map(Some)
            .map_err(|e| e.error)
    }

    /// The IP versions of a network, looked up once.
    async fn versions_of(&self, network: &str) -> Result<IpVersions> {
        if let Some(known) = self.shared.lookups.versions.lock().get(network) {
            return Ok(*known);
        }
        let failed = Error::cloud(format!("looking up the subnets of network {network}"));
        let subnets: Vec<Subnet> = self
            .cloud
            .list(&[("network_id", network)])
            .await
            .map_err(failed)?;
        let versions = IpVersions::of(subnets.iter().map(|s| s.ip_version));
        self.shared
            .lookups
            .versions
            .lock()
            .insert(network.to_owned(), versions);
        Ok(versions)
    }

    async fn group_mark(&self, endpoint: &str) -> Result<Mark> {
        self.mark(Kind::SecurityGroup, extras::name(&self.host.name, endpoint))
            .await
    }

    /// Removes the group of a container whose port is gone.
    pub(super) async fn close_exposed(&self, endpoint: &str) -> Result<()> {
        let mark = self.group_mark(endpoint).await?;
        extras::remove(&self.cloud, &mark, |group: &SecurityGroup| {
            &group.description
        })
        .await
    }
}
