//! Removing the cloud, with or without its data.

use crate::client::CLOUD;
use crate::local::{self, Local, STACK};
use crate::up;
use stackyard_core::progress::Onlooker;
use stackyard_openstack::remove_cloud;
use stackyard_platform::docker::Docker;

/// Why the cloud could not be removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownError {
    /// The state directory.
    #[error(transparent)]
    Local(#[from] local::Error),
    /// The containers.
    #[error(transparent)]
    Engine(#[from] stackyard_platform::stack::Error),
    /// The entry in clouds.yaml.
    #[error("taking the entry `local` out of clouds.yaml")]
    CloudsYaml(#[from] stackyard_openstack::Error),
}

/// Removes the containers; with `purge` also volumes, secrets, answers and the entry in
/// clouds.yaml. The containers that hold kernel state (bridges, addresses, firewall rules)
/// take it away when they are stopped. Secrets go last: killed before, the next run still
/// knows that there is something to remove.
///
/// # Errors
/// See [`DownError`]; another run goes on.
pub async fn run(local: &Local, docker: &Docker, purge: bool, onlooker: &dyn Onlooker) -> Result<(), DownError> {
    up::engine(local, docker).remove(STACK, purge, onlooker).await?;
    if purge {
        if let Some(file) = local.clouds_yaml() {
            remove_cloud(file, CLOUD)?;
        }
        local.home().purge().map_err(local::Error::from)?;
    }
    Ok(())
}
