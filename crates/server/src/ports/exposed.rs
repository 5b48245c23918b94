//! What a container listens on is let in (option `expose`): a security group of its own, beside those that its port has
//! anyhow. It is made before the port, and goes after it.
//!
//! As floating IPs of containers, it carries the mark `HOST:ENDPOINT` from the beginning; what a killed server leaves is
//! found by it ([`super::tidy`]).

use super::floating::{OF, name};
use super::{Ports, said, short};
use stackyard_core::agent::{ExposedPorts, NewContainerPort};
use stackyard_core::yard::{Key, Kind, Mark};
use stackyard_openstack::{Cloud, NewSecurityGroup, NewSecurityGroupRule, SecurityGroup, SecurityGroupRule};
use stackyard_store::Host;

/// The mark of a container's own group.
fn mark(yard: &str, host: &str, endpoint: &str) -> Mark {
    Mark::new(yard, &Key::new(Kind::SecurityGroup, name(host, endpoint)))
}

/// Whether a group was made for a container.
pub(crate) fn is_containers_group(group: &SecurityGroup) -> bool {
    Mark::parse(&group.description).is_some_and(|m| m.key.kind == Kind::SecurityGroup && m.key.name.contains(OF))
}

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
            description: mark(&host.yard, &host.name, &new.endpoint).to_string(),
        };
        let group: SecurityGroup = cloud.create(&group).await.map_err(doing())?;
        let rule = |ethertype: &str, exposed: &ExposedPorts| NewSecurityGroupRule {
            security_group_id: group.id.clone(),
            direction: "ingress".to_owned(),
            ethertype: ethertype.to_owned(),
            protocol: Some(exposed.protocol.clone()),
            port_range_min: Some(exposed.first.into()),
            port_range_max: Some(exposed.last.into()),
            ..NewSecurityGroupRule::default()
        };
        let rules: Vec<_> = ["IPv4", "IPv6"].iter().flat_map(|v| exposed.iter().map(|e| rule(v, e))).collect();
        match cloud.create_many::<SecurityGroupRule>(&rules).await.map_err(doing()) {
            Ok(_) => Ok(Some(group.id)),
            Err(why) => {
                match cloud.delete::<SecurityGroup>(&group.id).await.map_err(said("removing the group again")) {
                    Ok(_) => Err(why),
                    Err(left) => Err(format!("{why}; then, {left}")),
                }
            }
        }
    }

    /// Removes the group of a container whose port is gone.
    pub(super) async fn close_exposed(&self, cloud: &Cloud, host: &Host, endpoint: &str) -> Result<(), String> {
        let mark = mark(&host.yard, &host.name, endpoint).to_string();
        let doing = || said("removing the container's own security group");
        let all: Vec<SecurityGroup> = cloud.list(&[("description", &mark)]).await.map_err(doing())?;
        for group in all.iter().filter(|g| g.description == mark) {
            cloud.delete::<SecurityGroup>(&group.id).await.map_err(doing())?;
        }
        Ok(())
    }
}
