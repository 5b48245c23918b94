//! The last step of `cloud up`: what a cloud needs before anybody can use it, and the entry
//! in clouds.yaml.

use crate::client;
use crate::client::CLOUD;
use crate::local::{Intended, Local};
use crate::push::{self, PushError, Target};
use crate::seed::{self, ExternalNetwork, Seed};
use stackyard_core::progress::Onlooker;
use stackyard_openstack::{Error, upsert_cloud};
use stackyard_platform::docker::Docker;
use stackyard_platform::image::Recipe;

/// Why the cloud is up but not ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadyError {
    /// Keystone refused the administrator, or clouds.yaml could not be written.
    #[error(transparent)]
    Cloud(#[from] Error),
    /// Something could not be made in the cloud.
    #[error("preparing the cloud for its users")]
    Seed(#[source] Error),
    /// The image of the tiny guest.
    #[error(transparent)]
    Push(#[from] PushError),
}

/// Seeds the cloud, with the image of the tiny guest, and writes the entry `local` into clouds.yaml; all
/// else in it stays as it is.
///
/// # Errors
/// See [`ReadyError`]; the next run goes on.
pub async fn run(
    local: &Local,
    intended: &Intended,
    docker: &Docker,
    tiny: &Recipe,
    onlooker: &dyn Onlooker,
) -> Result<(), ReadyError> {
    let answers = intended.answers();
    let entry = intended.entry();
    let cloud = client::connect(&entry).await?;
    let seed = Seed {
        external: ExternalNetwork {
            name: "public".to_owned(),
            physical_network: "public".to_owned(),
            cidr: answers.text("external_cidr"),
            gateway: answers.text("external_gateway"),
            pool: (answers.text("external_pool_start"), answers.text("external_pool_end")),
        },
        flavors: seed::flavors(),
        demo: None,
    };
    let target = Target { cloud: &cloud, home: local.home(), name: &tiny.name, public: true };
    tokio::try_join!(async { seed::seed(&cloud, &seed, onlooker).await.map_err(ReadyError::Seed) }, async {
        Ok(push::recipe(docker, tiny, &target, onlooker).await?)
    },)?;
    if let Some(file) = local.clouds_yaml() {
        upsert_cloud(file, CLOUD, &entry)?;
    }
    Ok(())
}
