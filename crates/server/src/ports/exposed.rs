//! What a container listens on is let in (option `expose`): a security group of its own, beside those that its port has
//! anyhow. It is made before the port, and goes after it.

use super::beside::{mark, remove};
use super::{Ports, and_left, said, short};
use stackyard_core::agent::{ExposedPorts, NewContainerPort};
use stackyard_core::yard::Kind;
use stackyard_openstack::{Cloud, NewSecurityGroup, NewSecurityGroupRule, SecurityGroup, SecurityGroupRule};
use stackyard_store::Host;

impl Ports {
    /// Makes the group of a container, if it is to have one: its id.
    pub(super) async fn open_exposed(
        &self,
        cloud: &Cloud,
        host: &Host,
        new: &NewContainerPort,
    ) -> Result<Option<String>, String> {
        let exposed = &new.options.exposed;
        if exposed.is_empty() {
            return Ok(None);
        }
        if new.mac.is_some() {
            // One that has lost its port may have one, of which not all may be there.
            self.close_exposed(cloud, host, &new.endpoint).await?;
        }
        let doing = || said("letting in what the container exposes");
        let group = NewSecurityGroup {
            name: format!("{}-{}", host.name, short(&new.endpoint)),
            description: mark(cloud, Kind::SecurityGroup, host, &new.endpoint).await?.to_string(),
        };
        let group: SecurityGroup = cloud.create(&group).await.map_err(doing())?;
        let rules = ["IPv4", "IPv6"].iter().flat_map(|version| {
            let rule =
                |e: &ExposedPorts| NewSecurityGroupRule::let_in(&group.id, version, &e.protocol, e.first, e.last);
            exposed.iter().map(rule)
        });
        let rules: Vec<_> = rules.collect();
        match cloud.create_many::<SecurityGroupRule>(&rules).await.map_err(doing()) {
            Ok(_) => Ok(Some(group.id)),
            Err(why) => {
                let removed = cloud.delete::<SecurityGroup>(&group.id).await.map_err(said("removing the group again"));
                Err(and_left(why, removed.map(drop)))
            }
        }
    }

    /// Removes the group of a container whose port is gone.
    pub(super) async fn close_exposed(&self, cloud: &Cloud, host: &Host, endpoint: &str) -> Result<(), String> {
        let mark = mark(cloud, Kind::SecurityGroup, host, endpoint).await?;
        remove(cloud, &mark, |group: &SecurityGroup| &group.description).await
    }
}
