//! The security group of a yard's stacks: its members reach each other at all ports.
//!
//! On a single engine, containers on one network reach each other. Ports in Neutron have the groups of their host's NIC,
//! which may not allow that. So ports of networks of stacks are in this group, too. It is made when the first one is, and
//! goes with the yard.

use super::HostBroker;
use crate::container_port::SEPARATOR;
use crate::{Error, Result};
use stackyard_core::yard::Kind;
use stackyard_openstack::{
    NewSecurityGroup, NewSecurityGroupRule, SecurityGroup, SecurityGroupRule,
};

/// What its name in its mark ends in. Names of what belongs to a container have a host before the separator.
const NAME: &str = "stacks";

/// IP versions, as Neutron names them.
const VERSIONS: [&str; 2] = ["IPv4", "IPv6"];

/// The name, in a mark, of the group.
fn mark_name() -> String {
    format!("{SEPARATOR}{NAME}")
}

/// Whether that is the name, in a mark, of a yard's group for stacks.
pub(super) fn is_stack_group(name: &str) -> bool {
    name == mark_name()
}

impl HostBroker {
    /// Id of the group for stacks of the host's yard, which is made if there is none.
    pub(super) async fn stack_group(&self) -> Result<String> {
        let project = self.project().await?;
        let mark = self.mark(Kind::SecurityGroup, mark_name()).await?;
        let key = format!("{} {mark}", project.project);
        // Containers that start together would make one each.
        let _lock = self.shared.pair_locks.lock(&key).await;
        if let Some(known) = self.shared.lookups.stack_groups.lock().get(&key) {
            return Ok(known.clone());
        }
        let failed = || {
            Error::cloud(format!(
                "making the security group for stacks of yard {}",
                self.host.yard
            ))
        };
        let description = mark.to_string();
        let query = [
            ("project_id", project.project.as_str()),
            ("description", description.as_str()),
        ];
        let mut there: Vec<SecurityGroup> = self.cloud.list(&query).await.map_err(failed())?;
        there.retain(|group| group.description == description);
        // A request whose answer got lost may have made another one. All take the oldest.
        there.sort_by(|a, b| (&a.created_at, &a.id).cmp(&(&b.created_at, &b.id)));
        let group = match there.into_iter().next() {
            Some(group) => group,
            None => {
                let name = format!("{}-{NAME}", self.host.yard);
                let new = NewSecurityGroup { name, description };
                self.cloud.create(&new).await.map_err(failed())?
            }
        };
        self.let_members_in(&group).await?;
        self.shared
            .lookups
            .stack_groups
            .lock()
            .insert(key, group.id.clone());
        Ok(group.id)
    }

    /// Adds the rules that a killed server has not added.
    async fn let_members_in(&self, group: &SecurityGroup) -> Result<()> {
        for version in VERSIONS {
            let is_it = |rule: &SecurityGroupRule| {
                let whole =
                    rule.protocol.is_none() && rule.remote_group_id.as_deref() == Some(&group.id);
                whole && rule.direction == "ingress" && rule.ethertype == version
            };
            if group.rules.iter().any(is_it) {
                continue;
            }
            let rule = NewSecurityGroupRule {
                security_group_id: group.id.clone(),
                direction: "ingress".to_owned(),
                ethertype: version.to_owned(),
                remote_group_id: Some(group.id.clone()),
                ..NewSecurityGroupRule::default()
            };
            match self.cloud.create::<SecurityGroupRule>(&rule).await {
                Err(e) if !e.is_conflict() => {
                    let doing = format!(
                        "letting members of security group {} reach each other",
                        group.name
                    );
                    return Err(Error::cloud(doing)(e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
