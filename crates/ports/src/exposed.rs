//! What a container listens on is let in (option `expose`): a security group of its own, in addition to those that its
//! port has anyhow, with a rule for each range of ports and each IP version of the network. The group is made before
//! the port, and goes after it.

use crate::{Error, Result};
use stackyard_core::agent::ExposedPorts;
use stackyard_openstack::{
    Cloud, NewSecurityGroup, NewSecurityGroupRule, SecurityGroup, SecurityGroupRule,
};

/// Which IP versions a network has subnets of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpVersions {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl IpVersions {
    /// Those of subnets, each 4 or 6.
    pub fn of(versions: impl IntoIterator<Item = u32>) -> Self {
        versions.into_iter().fold(
            Self {
                v4: false,
                v6: false,
            },
            |seen, version| Self {
                v4: seen.v4 || version == 4,
                v6: seen.v6 || version == 6,
            },
        )
    }

    /// As Neutron's `ethertype` names them.
    fn ethertypes(self) -> impl Iterator<Item = &'static str> {
        [("IPv4", self.v4), ("IPv6", self.v6)]
            .into_iter()
            .filter(|(_, has)| *has)
            .map(|(name, _)| name)
    }
}

/// A group that could not be made.
#[derive(Debug)]
pub struct GroupFailed {
    /// Why, with a failed removal.
    pub error: Error,
    /// Id of the group, if it was made and is still there.
    pub left: Option<String>,
}

/// Makes the group of a container, with its rules: its id.
///
/// # Errors
/// The cloud refused; then the group was removed again, unless [`GroupFailed::left`] says otherwise.
pub async fn create_group(
    cloud: &Cloud,
    group: &NewSecurityGroup,
    exposed: &[ExposedPorts],
    versions: IpVersions,
) -> std::result::Result<String, GroupFailed> {
    let failed = || Error::cloud(format!("letting in what container {} exposes", group.name));
    let made: SecurityGroup = match cloud.create(group).await {
        Ok(made) => made,
        Err(e) => {
            return Err(GroupFailed {
                error: failed()(e),
                left: None,
            });
        }
    };
    let rule = |version: &'static str, e: &ExposedPorts| {
        NewSecurityGroupRule::let_in(&made.id, version, &e.protocol, e.first, e.last)
    };
    let rules: Vec<NewSecurityGroupRule> = versions
        .ethertypes()
        .flat_map(|version| exposed.iter().map(move |e| rule(version, e)))
        .collect();
    match cloud.create_many::<SecurityGroupRule>(&rules).await {
        Ok(_) => Ok(made.id),
        Err(e) => {
            let removed = delete_group(cloud, &made.id).await;
            let left = removed.is_err().then_some(made.id);
            Err(GroupFailed {
                error: failed()(e).after_cleanup(removed),
                left,
            })
        }
    }
}

/// Removes a container's group, once no port has it; one that is gone already is removed.
///
/// # Errors
/// The cloud refused.
pub async fn delete_group(cloud: &Cloud, group: &str) -> Result<()> {
    let failed = Error::cloud(format!("removing security group {group}"));
    cloud
        .delete::<SecurityGroup>(group)
        .await
        .map(drop)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_made_for_the_versions_that_the_network_has() {
        let of = |versions: &[u32]| {
            IpVersions::of(versions.iter().copied())
                .ethertypes()
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&[4]), ["IPv4"]);
        assert_eq!(of(&[6, 6]), ["IPv6"]);
        assert_eq!(of(&[4, 6, 4]), ["IPv4", "IPv6"]);
    }
}
