//! Bringing the cloud up, or to what is now intended.
//!
//! [`examine`] reads the answers, [`prepare`] decides and changes nothing but images; [`PreparedUp::carry_out`] acts. Between
//! the two the caller shows the plan and may ask. Killed anywhere, the next run goes on:
//! answers and secrets are stored before the first container is touched, the engine's steps
//! and the seeding are idempotent.

use crate::images::{self, ImagesError, Recipes};
use crate::local::{self, AnswerChanges, Intended, Local};
use crate::preflight::Input;
use crate::preflight::host;
use sha2::{Digest, Sha256};
use stackyard_catalog::HostFacts;
use stackyard_core::progress::Onlooker;
use stackyard_core::stack::plan::Plan;
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::{ApplyOptions, Engine};

/// Why the cloud could not be brought up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpError {
    /// Answers, secrets, the package, the state directory.
    #[error(transparent)]
    Local(#[from] local::Error),
    /// Images could not be built or pulled.
    #[error(transparent)]
    Images(#[from] ImagesError),
    /// The engine could not plan or carry out.
    #[error(transparent)]
    Engine(#[from] stackyard_platform::stack::Error),
}

/// A decided change of the cloud.
#[derive(Debug)]
pub struct PreparedUp<'a> {
    local: &'a Local,
    engine: Engine,
    /// What is intended.
    pub intended: Intended,
    /// What has to be done for it; nothing, if [`Plan::is_noop`].
    pub plan: Plan,
}

/// What the preflight is to look for, by the answers.
///
/// # Errors
/// Bad answers, all at once; mistakes in the package.
pub fn examine(local: &Local, given: &AnswerChanges) -> Result<Input, UpError> {
    let draft = local.intend(given, &HostFacts::default())?;
    let mut input = Input::new(local.home(), draft.answers(), Some(draft.stack()));
    input.builds_images = draft.answers().text("image_prefix") == images::PREFIX;
    Ok(input)
}

/// Makes sure of the images, takes the facts of this machine (one of them needs an image), and
/// works out the plan.
///
/// # Errors
/// See [`UpError`]; nothing but images was changed.
pub async fn prepare<'a>(
    local: &'a Local,
    docker: &Docker,
    recipes: &Recipes,
    given: &AnswerChanges,
    input: &Input,
    onlooker: &dyn Onlooker,
) -> Result<PreparedUp<'a>, UpError> {
    let draft = local.intend(given, &HostFacts::default())?;
    images::ensure(docker, draft.stack(), recipes, local.home(), onlooker).await?;
    let intended = local.intend(given, &host::facts(input).await)?;
    let engine = engine(local, docker);
    let plan = engine.plan(intended.stack()).await?;
    Ok(PreparedUp { local, engine, intended, plan })
}

/// The engine with this cloud's state directory.
pub fn engine(local: &Local, docker: &Docker) -> Engine {
    Engine::new(docker.clone(), local.home().dir())
}

impl PreparedUp<'_> {
    /// SHA-256 of what is to be done and of the answers behind it, in hexadecimal digits: who says yes to
    /// it says yes to nothing else.
    pub fn digest(&self) -> String {
        let plan = serde_json::to_vec(&self.plan).unwrap_or_default();
        let answers = self.intended.answers().given_to_yaml();
        let digest = Sha256::new().chain_update(plan).chain_update(answers).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Stores answers and secrets, then brings the containers to what is intended and waits
    /// until all are healthy.
    ///
    /// # Errors
    /// See [`UpError`]; what was done stays, the next run goes on.
    pub async fn carry_out(&self, onlooker: &dyn Onlooker) -> Result<(), UpError> {
        self.local.keep(&self.intended)?;
        let options =
            ApplyOptions { log_hint: Some("stackyard cloud logs {service}".to_owned()), ..Default::default() };
        self.engine.apply(self.intended.stack(), &self.plan, &options, onlooker).await?;
        Ok(())
    }
}
