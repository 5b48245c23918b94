//! What a container on a host of a yard has next to its port: a floating IP, a security group of its own.
//!
//! Each carries the mark `HOST:ENDPOINT` from the request that makes it. No manifest names a resource so, and
//! [`crate::HostPorts::sweep`] finds by it what a killed server leaves.

use crate::container_port::SEPARATOR;
use crate::{Error, Result};
use stackyard_core::agent::PortOptions;
use stackyard_core::yard::Mark;
use stackyard_openstack::{Cloud, Resource};

/// Which extras may have been made for a container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extras {
    pub(crate) floating_ip: bool,
    pub(crate) exposed: bool,
}

impl Extras {
    pub(crate) fn of(options: &PortOptions) -> Self {
        Self {
            floating_ip: options.floating_ip.is_some(),
            exposed: !options.exposed.is_empty(),
        }
    }
}

/// The beginning of one of Docker's ids, as Docker shows it.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// The name, in a mark, of the extras of a container.
pub(crate) fn name(host: &str, endpoint: &str) -> String {
    format!("{host}{SEPARATOR}{}", short(endpoint))
}

/// The host in such a name.
pub(crate) fn host_of(name: &str) -> &str {
    name.split(SEPARATOR).next().unwrap_or_default()
}

/// Ids of the resources that carry a mark, also as older versions wrote it.
pub(crate) async fn marked<T: Resource>(
    cloud: &Cloud,
    mark: &Mark,
    description: impl Fn(&T) -> &str,
) -> stackyard_openstack::Result<Vec<String>> {
    let (project, marks) = (
        cloud.project_id().await?,
        [mark.to_string(), mark.older().to_string()],
    );
    let mut query = vec![("project_id", project.as_str())];
    query.extend(marks.iter().map(|mark| ("description", mark.as_str())));
    let mut all: Vec<T> = cloud.list(&query).await?;
    all.retain(|made| marks.iter().any(|mark| mark == description(made)));
    Ok(all.iter().map(|made| made.id().to_owned()).collect())
}

/// Removes the resources that carry a mark.
pub(crate) async fn remove<T: Resource>(
    cloud: &Cloud,
    mark: &Mark,
    description: impl Fn(&T) -> &str,
) -> Result<()> {
    let failed = || Error::cloud(format!("removing the container's {}", T::KIND.noun));
    for id in marked(cloud, mark, description).await.map_err(failed())? {
        cloud.delete::<T>(&id).await.map_err(failed())?;
    }
    Ok(())
}
