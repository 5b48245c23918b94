//! What a container has beside its port: a floating IP, a security group of its own.
//!
//! What is made for it carries the mark `HOST:ENDPOINT` from the beginning. Manifests name nothing so, and what a killed
//! server leaves is found by it ([`super::tidy`]).

use super::here::Here;
use super::{said, short};
use stackyard_core::agent::PortOptions;
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{Cloud, Resource};
use stackyard_store::Host;
use stackyard_yard::container_port::SEPARATOR;

/// What may have been made for a container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside {
    pub(super) floating_ip: bool,
    pub(super) exposed: bool,
}

impl Beside {
    pub(super) fn of(options: &PortOptions) -> Self {
        Self { floating_ip: options.floating_ip.is_some(), exposed: !options.exposed.is_empty() }
    }
}

/// The name, in a mark, of what is made for a container.
pub(super) fn name(host: &str, endpoint: &str) -> String {
    format!("{host}{SEPARATOR}{}", short(endpoint))
}

/// The host in such a name.
pub(super) fn host_of(name: &str) -> &str {
    name.split(SEPARATOR).next().unwrap_or_default()
}

/// The mark of what is made for a container.
pub(super) async fn mark(cloud: &Cloud, kind: Kind, host: &Host, endpoint: &str) -> Result<Mark, String> {
    Ok(Here::of(cloud).await?.mark(kind, host, name(&host.name, endpoint)))
}

/// Ids of what carries a mark, also as older versions wrote it.
pub(super) async fn marked<T: Resource>(
    cloud: &Cloud,
    mark: &Mark,
    description: impl Fn(&T) -> &str,
) -> stackyard_openstack::Result<Vec<String>> {
    let (project, marks) = (cloud.project_id().await?, [mark.to_string(), mark.older().to_string()]);
    let mut query = vec![("project_id", project.as_str())];
    query.extend(marks.iter().map(|mark| ("description", mark.as_str())));
    let mut all: Vec<T> = cloud.list(&query).await?;
    all.retain(|made| marks.iter().any(|mark| mark == description(made)));
    Ok(all.iter().map(|made| made.id().to_owned()).collect())
}

/// Removes what carries a mark.
pub(super) async fn remove<T: Resource>(
    cloud: &Cloud,
    mark: &Mark,
    description: impl Fn(&T) -> &str,
) -> Result<(), String> {
    let doing = || said(format!("removing the container's {}", T::KIND.noun));
    for id in marked(cloud, mark, description).await.map_err(doing())? {
        cloud.delete::<T>(&id).await.map_err(doing())?;
    }
    Ok(())
}
