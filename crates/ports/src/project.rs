//! Which project and region a resource is in, and the marks of that project's yards.

use crate::{Error, Result};
use stackyard_core::yard::{Key, Kind, Mark, Scope};
use stackyard_openstack::Cloud;

/// The scope of the project and region that a cloud's requests are for. The login has told both; no request is made.
///
/// # Errors
/// The login failed.
pub async fn scope_of(cloud: &Cloud) -> stackyard_openstack::Result<Scope> {
    let (project, region) = (cloud.project_id().await?, cloud.region_id().await?);
    Ok(Scope::of(&project, &region))
}

/// The project and region of a cloud. An administrator's requests see other projects' resources, too.
#[derive(Debug)]
pub(crate) struct ProjectScope {
    /// Id of the project.
    pub(crate) project: String,
    pub(crate) scope: Scope,
}

impl ProjectScope {
    /// Those that a cloud's requests are for.
    pub(crate) async fn of(cloud: &Cloud) -> Result<Self> {
        let failed = || {
            Error::cloud(format!(
                "asking cloud {} for project and region",
                cloud.config().name
            ))
        };
        let project = cloud.project_id().await.map_err(failed())?;
        Ok(Self {
            project,
            scope: scope_of(cloud).await.map_err(failed())?,
        })
    }

    /// The mark of a resource of a yard.
    pub(crate) fn mark(&self, yard: &str, kind: Kind, name: impl Into<String>) -> Mark {
        Mark::new(yard, &self.scope, &Key::new(kind, name))
    }

    /// The mark of a resource, if a yard of this project and region has it. `project_id` is empty where the
    /// resource's listing was already limited to the project.
    pub(crate) fn read(&self, project_id: &str, description: &str) -> Option<Mark> {
        let is_here = project_id.is_empty() || project_id == self.project;
        Mark::parse(description).filter(|mark| is_here && mark.is_in(&self.scope))
    }
}
