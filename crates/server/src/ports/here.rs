//! Whose the resources are that marks speak of: those of one project in one region.

use super::{said, short};
use stackyard_core::yard::{Key, Kind, Mark, Scope};
use stackyard_openstack::Cloud;
use stackyard_store::Host;
use stackyard_yard::scope_of;

/// The project and region of a cloud. An administrator's requests see other projects' resources, too.
pub(super) struct Here {
    pub(super) project: String,
    pub(super) scope: Scope,
}

impl Here {
    /// Those that a cloud's requests are for; the login has told it, so no request is made.
    pub(super) async fn of(cloud: &Cloud) -> Result<Self, String> {
        let doing = || said(format!("asking cloud {} for project and region", cloud.config().name));
        let project = cloud.project_id().await.map_err(doing())?;
        Ok(Self { project, scope: scope_of(cloud).await.map_err(doing())? })
    }

    /// The mark of a resource of a host.
    pub(super) fn mark(&self, kind: Kind, host: &Host, name: impl Into<String>) -> Mark {
        Mark::new(&host.yard, &self.scope, &Key::new(kind, name))
    }

    /// The mark of a container's port.
    pub(super) fn of_port(&self, host: &Host, endpoint: &str) -> String {
        self.mark(Kind::Port, host, format!("{}.{}", host.name, short(endpoint))).to_string()
    }

    /// The mark of a resource, if a yard of this project and region has it.
    pub(super) fn read(&self, project_id: &str, description: &str) -> Option<Mark> {
        let is_here = project_id.is_empty() || project_id == self.project;
        Mark::parse(description).filter(|mark| is_here && mark.is_in(&self.scope))
    }
}
