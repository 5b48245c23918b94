//! A package as a stack that is deployed by hand: without a manifest, and so without a cloud.

use super::Say;
use super::declared::{PackageSecrets, SecretOwner, load_package, rendered, secret_key};
use super::known_hosts::KnownHosts;
use crate::error::WorkError;
use crate::templates::TemplateRenderer;
use stackyard_api::StackDeploy;
use stackyard_catalog::{Answers, PackedArchive};
use stackyard_client::{Client, ClientError};
use stackyard_core::rollout::Packed;
use std::path::PathBuf;

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

/// A package rendered for the hosts of a yard, to be deployed.
pub struct PackageStack {
    /// Name of the stack.
    pub name: String,
    /// The stack.
    pub deploy: StackDeploy,
    /// Files that it carries to hosts.
    pub archives: Vec<PackedArchive>,
    /// All secrets of the package, if the server does not have some of them yet.
    new_secrets: Option<String>,
    yard: String,
}

impl PackageStack {
    /// Renders a package for the hosts that joined a yard. Changes nothing. `say` hears what in its files has no
    /// effect.
    ///
    /// # Errors
    /// [`WorkError::Stack`] for mistakes in the package and its answers; [`WorkError::Client`].
    pub async fn look(
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
        let failed = |stack: &str| {
            let stack = stack.to_owned();
            |source| WorkError::Stack { stack, source }
        };
        let package = load_package(&dir, None).map_err(failed(&shown))?;
        let name = name.unwrap_or_else(|| package.name.clone());
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
        let made = rendered(
            &package,
            &name,
            &answers,
            &secrets,
            (&machines, &renderer),
            say,
        );
        let (stack, archives) = made.map_err(failed(&name))?;
        let deploy = StackDeploy {
            stack: Packed::pack(stack),
            pool,
            declared: false,
        };
        let new_secrets = known.new.remove(&name);
        Ok(Self {
            name,
            deploy,
            archives,
            new_secrets,
            yard,
        })
    }

    /// Has the server keep the secrets that are new, before the stack is deployed.
    ///
    /// # Errors
    /// What the server says.
    pub async fn keep_secrets(&self, client: &Client) -> Result<(), ClientError> {
        match &self.new_secrets {
            Some(secrets) => {
                client
                    .set_secret(&self.yard, &secret_key(&self.name), secrets)
                    .await
            }
            None => Ok(()),
        }
    }
}

/// Shows no secret.
impl std::fmt::Debug for PackageStack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackageStack")
            .field("name", &self.name)
            .field("deploy", &self.deploy)
            .finish_non_exhaustive()
    }
}
