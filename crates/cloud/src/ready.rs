//! The last step of `cloud up`: what a cloud needs before anybody can use it, and the entry
//! in clouds.yaml.

use crate::client;
use crate::images::PREFIX;
use crate::local::Intended;
use crate::seed::{self, ExternalNetwork, Seed, SeedError, SeedImage};
use stackyard_core::progress::Onlooker;
use stackyard_platform::docker::Docker;
use stackyard_platform::image::{self, Recipe};
use std::path::PathBuf;

/// File of the tiny guest in its image.
const GUEST: &str = "/tiny.qcow2";

/// Why the cloud is up but not ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadyError {
    /// Keystone refused the administrator, or clouds.yaml could not be written.
    #[error(transparent)]
    Cloud(#[from] stackyard_openstack::Error),
    /// Something could not be made in the cloud.
    #[error("preparing the cloud for its users")]
    Seed(#[from] SeedError),
    /// The place for the guest's file.
    #[error("making a temporary directory")]
    Temporary(#[from] std::io::Error),
}

/// Seeds the cloud and writes clouds.yaml; answers its path.
///
/// # Errors
/// See [`ReadyError`]; the next run goes on.
pub async fn run(
    intended: &Intended,
    docker: &Docker,
    tiny: &Recipe,
    onlooker: &dyn Onlooker,
) -> Result<Option<PathBuf>, ReadyError> {
    let answers = intended.answers();
    let entry = intended.entry();
    let cloud = client::connect(&entry).await?;
    let guest = format!("{PREFIX}/{}:{}", tiny.name, tiny.release);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("tiny.qcow2");
    let fetch = || -> futures_util::future::BoxFuture<'_, Result<PathBuf, String>> {
        let (guest, file) = (&guest, file.clone());
        Box::pin(async move {
            image::extract(docker, guest, GUEST, &file).await.map_err(|e| e.to_string())?;
            Ok(file)
        })
    };
    let seed = Seed {
        external: ExternalNetwork {
            name: "public".to_owned(),
            physical_network: "public".to_owned(),
            cidr: answers.text("external_cidr"),
            gateway: answers.text("external_gateway"),
            pool: (answers.text("external_pool_start"), answers.text("external_pool_end")),
        },
        flavors: seed::flavors(),
        image: Some(SeedImage {
            name: "tiny".to_owned(),
            digest: tiny.content("tiny").to_owned(),
            disk_format: "qcow2".to_owned(),
            min_ram: 128,
            fetch: &fetch,
        }),
        demo: None,
    };
    seed::seed(&cloud, &seed, onlooker).await?;
    Ok(client::publish(&entry)?)
}
