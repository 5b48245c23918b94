//! A package as a stack that is deployed by hand: without a manifest, and so without a cloud.

use super::Say;
use super::declared::{PackageSecrets, SecretOwner, load_package, of, rendered, secret_key};
use super::known_hosts::KnownHosts;
use crate::error::WorkError;
use crate::templates::TemplateRenderer;
use stackyard_api::StackDeploy;
use stackyard_catalog::{Answers, PackedArchive};
use stackyard_client::{Client, ClientError};
use stackyard_core::rollout::Packed;
use std::fmt;
use std::path::{Path, PathBuf};

/// The package that a stack is made from.
#[derive(Debug, Clone)]
pub struct PackageStackRequest {
    /// The yard whose hosts run the stack.
    pub yard: String,
    /// Directory of the package.
    pub dir: PathBuf,
    /// Name of the stack; that of the package if absent.
    pub name: Option<String>,
    /// Answers to its questions.
    pub answers: Answers,
    /// Only hosts of this pool are used.
    pub pool: Option<String>,
}

/// A stack that was read, and what the server needs before it is deployed.
#[derive(Debug)]
pub struct PreparedStack {
    /// Name of the stack.
    pub name: String,
    /// The stack.
    pub deploy: StackDeploy,
    /// Files that it carries to hosts.
    pub archives: Vec<PackedArchive>,
    /// Secrets of its package that the server does not keep yet.
    pub new_secrets: Option<NewSecrets>,
}

/// Secrets of a package, of which the server does not keep all yet.
pub struct NewSecrets {
    yard: String,
    /// Name of the yard's secret that holds them.
    key: String,
    /// All secrets of the package.
    text: String,
}

impl PreparedStack {
    /// Renders a package for the hosts that joined a yard. Changes nothing. `say` hears what in its files has no
    /// effect.
    ///
    /// # Errors
    /// [`WorkError::Stack`] for mistakes in the package and its answers; [`WorkError::Client`].
    pub async fn of_package(
        request: PackageStackRequest,
        client: &Client,
        say: Say<'_>,
    ) -> Result<Self, WorkError> {
        let PackageStackRequest {
            yard,
            dir,
            name,
            answers,
            pool,
        } = request;
        let shown = name.clone().unwrap_or_else(|| dir.display().to_string());
        let package = load_package(&dir, None).map_err(of(&shown))?;
        let name = name.unwrap_or_else(|| package.name.clone());
        warn_of_parts(&dir, say);
        let owner = SecretOwner {
            name: &name,
            package: package.name.clone(),
        };
        let mut known = PackageSecrets::default();
        let secrets = known.look(&package, &owner, &name, &yard, client).await?;
        let machines = KnownHosts::joined(&yard, client)
            .await?
            .machines(pool.as_deref());
        let renderer = TemplateRenderer::here();
        let (stack, archives) = rendered(
            &package,
            &name,
            &answers,
            &secrets,
            (&machines, &renderer),
            say,
        )
        .map_err(of(&name))?;
        let deploy = StackDeploy {
            stack: Packed::pack(stack),
            pool,
            declared: false,
            network: None,
        };
        let new_secrets = known.new.remove(&name).map(|text| NewSecrets {
            yard,
            key: secret_key(&name),
            text,
        });
        Ok(Self {
            name,
            deploy,
            archives,
            new_secrets,
        })
    }
}

impl NewSecrets {
    /// Has the server keep them, before the stack is deployed.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn keep(&self, client: &Client) -> Result<(), ClientError> {
        client.set_secret(&self.yard, &self.key, &self.text).await
    }
}

/// Shows no secret.
impl fmt::Debug for NewSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSecrets")
            .field("yard", &self.yard)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Tells that the parts of a package other than its Compose file need a manifest.
fn warn_of_parts(dir: &Path, say: Say<'_>) {
    let file = dir.join("yard.yaml");
    if file.exists() {
        say(format!(
            "warning: {} has no effect here: `packages` of a manifest deploys the parts in it",
            file.display()
        ));
    }
}
