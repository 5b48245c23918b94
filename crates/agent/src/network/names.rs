//! Ids of what options name, asked for once.

use crate::network::Error;
use crate::network::port_manager::Plugin;
use crate::network::port_manager::name_cache::DEFAULT_GROUP;
use stackyard_openstack::{Kind, Resource, SecurityGroup};

/// Whose resources a name may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// This project's: each has a security group `default`, and administrators see them all.
    Ours,
    /// Anybody's that are visible: external networks, shared policies.
    Anybodys,
}

impl Plugin {
    /// Asks for the project's default group: told its id, Neutron makes a port faster than when it looks for the
    /// group itself. Without it ports get the same group.
    pub(crate) async fn learn_default_group(&self) {
        let _ = self.id_of::<SecurityGroup>(DEFAULT_GROUP, Whose::Ours).await;
    }

    /// The id of what `wanted` (a name or an id) means; ids are believed.
    pub(crate) async fn id_of<T: Resource>(&self, wanted: &str, whose: Whose) -> Result<String, Error> {
        let Kind { noun, .. } = T::KIND;
        if is_uuid(wanted) {
            return Ok(wanted.to_owned());
        }
        if let Some(known) = self.names.known(noun, wanted) {
            return Ok(known);
        }
        let failed = || Error::cloud(format!("looking up {noun} {wanted:?}"));
        let found: Vec<T> = match whose {
            Whose::Anybodys => self.cloud()?.find(wanted).await.map_err(failed())?.into_iter().collect(),
            Whose::Ours => {
                let project = self.cloud()?.project_id().await.map_err(failed())?;
                self.cloud()?.list(&[("name", wanted), ("project_id", &project)]).await.map_err(failed())?
            }
        };
        match found.as_slice() {
            [one] => {
                self.names.learn(noun, wanted, one.id());
                Ok(one.id().to_owned())
            }
            [] => Err(Error::request(format!("there is no {noun} {wanted:?} in the cloud"))),
            many => Err(Error::request(format!("{} {noun}s are named {wanted:?}; say the id", many.len()))),
        }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use crate::network::tests::Ground;
    use serde_json::json;
    use stackyard_openstack::{NewSecurityGroup, Port, SecurityGroup};

    #[tokio::test]
    async fn the_default_group_is_told_where_it_is_known() {
        let ground = Ground::new().await;
        let group = NewSecurityGroup { name: "default".into(), ..NewSecurityGroup::default() };
        let group: SecurityGroup = ground.plugin.cloud().unwrap().create(&group).await.unwrap();
        ground.network().await;
        ground.attach("e1", json!({})).await;
        ground.plugin.learn_default_group().await;
        ground.requests();
        ground.attach("e2", json!({})).await;
        ground.attach("e3", json!({"security-groups": ""})).await;
        assert_eq!(ground.requests(), ["POST /ports", "POST /ports"]);
        let ports: Vec<Port> =
            ground.plugin.cloud().unwrap().list(&[("device_owner", "compute:stackyard")]).await.unwrap();
        let groups = |of: &str| ports.iter().find(|p| p.device_id == of).unwrap().security_groups.clone();
        assert_eq!(groups("e1"), Vec::<String>::new(), "Neutron's own choice");
        assert_eq!(groups("e2"), [group.id]);
        assert_eq!(groups("e3"), Vec::<String>::new(), "none is wanted");
    }
}
