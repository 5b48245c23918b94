//! Ids of what options name, asked for once.

use crate::network::Error;
use crate::network::port_manager::PortManager;
use crate::network::port_manager::name_cache::DEFAULT_GROUP;
use stackyard_openstack::{Kind, Resource, SecurityGroup};

/// Whose resources a name may mean.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This project's: each has a security group `default`, and administrators see them all.
    Project,
    /// Anybody's that are visible: external networks, shared policies.
    Visible,
}

impl PortManager {
    /// Asks for the project's default group: told its id, Neutron makes a port faster than when it looks for the
    /// group itself. Without it ports get the same group.
    pub(crate) async fn learn_default_group(&self) {
        let _ = self.id_of::<SecurityGroup>(DEFAULT_GROUP, Scope::Project).await;
    }

    /// The id of what `wanted` (a name or an id) means; ids are believed.
    pub(crate) async fn id_of<T: Resource>(&self, wanted: &str, whose: Scope) -> Result<String, Error> {
        let Kind { noun, .. } = T::KIND;
        if is_uuid(wanted) {
            return Ok(wanted.to_owned());
        }
        if let Some(known) = self.names.known(noun, wanted) {
            return Ok(known);
        }
        let failed = || Error::cloud(format!("looking up {noun} {wanted:?}"));
        let found: Vec<T> = match whose {
            Scope::Visible => self.cloud()?.find(wanted).await.map_err(failed())?.into_iter().collect(),
            Scope::Project => {
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
    use crate::network::tests::Fixture;
    use serde_json::json;
    use stackyard_openstack::{NewSecurityGroup, Port, SecurityGroup};

    #[tokio::test]
    async fn the_default_group_is_told_where_it_is_known() {
        let fixture = Fixture::new().await;
        let group = NewSecurityGroup { name: "default".into(), ..NewSecurityGroup::default() };
        let group: SecurityGroup = fixture.manager.cloud().unwrap().create(&group).await.unwrap();
        fixture.network().await;
        fixture.attach("e1", json!({})).await;
        fixture.manager.learn_default_group().await;
        fixture.requests();
        fixture.attach("e2", json!({})).await;
        fixture.attach("e3", json!({"security-groups": ""})).await;
        assert_eq!(fixture.requests(), ["POST /ports", "POST /ports"]);
        let ports: Vec<Port> =
            fixture.manager.cloud().unwrap().list(&[("device_owner", "compute:stackyard")]).await.unwrap();
        let groups = |of: &str| ports.iter().find(|p| p.device_id == of).unwrap().security_groups.clone();
        assert_eq!(groups("e1"), Vec::<String>::new(), "Neutron's own choice");
        assert_eq!(groups("e2"), [group.id]);
        assert_eq!(groups("e3"), Vec::<String>::new(), "none is wanted");
    }
}
