//! The stacks of a manifest, and the server that they and hosts of pools need.

use super::super::Context;
use super::super::stack::deploy::read;
use anyhow::{Context as _, bail};
use stackyard_catalog::manifest::{StackSource, Yard, YardStack};
use stackyard_catalog::{Answers, Dir, Package, Secrets, render_for_hosts};
use stackyard_core::stack::Stack;
use stackyard_core::stack::rollout::Packed;
use stackyard_core::yard::plan::{Action, Plan, StackStep};
use stackyard_server::api::{StackDeploy, StackView};
use stackyard_server::client::{Client, ClientError};
use stackyard_server::{Session, YardStacks};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What to do where there is no server.
const START: &str = "`stackyard server --detach --listen ADDRESS:7440` starts one on an address that hosts can reach, \
                     `--server URL` names another";

/// The stacks of a manifest at the server.
pub struct Stacks {
    /// What is there, and what is to be done.
    pub at_server: YardStacks,
    client: Client,
    yard: String,
    /// By stack: secrets of packages that the server does not have yet, all of a stack in one text.
    new_secrets: BTreeMap<String, String>,
}

/// Looks at the stacks of a manifest; none where no server runs and none is needed. Changes nothing.
///
/// # Errors
/// A server that is missing although hosts of pools or stacks need it; mistakes in Compose files and
/// packages.
pub async fn look(yard: &Yard, client: Option<&Client>, context: &Context) -> anyhow::Result<Option<Stacks>> {
    let name = &yard.intended.yard;
    let needs = match (yard.stacks.first(), Session::has_agents(&yard.intended)) {
        (Some(_), _) => Some("stacks, which a Stackyard server deploys"),
        (None, true) => Some("pools of hosts that join a Stackyard server"),
        (None, false) => None,
    };
    let Some(client) = client else {
        return match needs {
            Some(needs) => bail!("the yard {name} has {needs}, and no server runs on this machine; {START}"),
            None => Ok(None),
        };
    };
    let mut new_secrets = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    let looked = async {
        for stack in &yard.stacks {
            let made = make(stack, name, client, &mut new_secrets, context).await;
            let made = made.with_context(|| format!("stack {}", stack.name))?;
            let deploy = StackDeploy { stack: Packed::pack(made), pool: stack.pool.clone(), declared: true };
            wanted.insert(stack.name.clone(), deploy);
        }
        Ok::<_, anyhow::Error>(YardStacks::look(client.clone(), name, wanted).await?)
    };
    match looked.await {
        Ok(at_server) => Ok(Some(Stacks { at_server, client: client.clone(), yard: name.clone(), new_secrets })),
        Err(error) if matches!(error.downcast_ref(), Some(ClientError::Unreachable { .. })) => match needs {
            Some(needs) => Err(error.context(format!("the yard {name} has {needs}; {START}"))),
            // A socket that a killed server left behind: whether it had stacks of this yard matters
            // to whoever starts it again.
            None => Ok(None),
        },
        Err(other) => Err(other),
    }
}

/// Reads the Compose files of a stack, or renders its package.
async fn make(
    stack: &YardStack,
    yard: &str,
    client: &Client,
    new_secrets: &mut BTreeMap<String, String>,
    context: &Context,
) -> anyhow::Result<Stack> {
    match &stack.source {
        StackSource::Compose(wanted) => read(wanted, context),
        StackSource::Package { dir, answers } => {
            let package = open(dir)?;
            let mut secrets = Secrets::default();
            if !package.secrets.is_empty() {
                let key = secret_key(&stack.name);
                match client.secret(yard, &key).await {
                    Ok(text) => secrets = Secrets::from_yaml(&key, &text)?,
                    Err(error) if error.status() == Some(404) => {}
                    Err(other) => return Err(other.into()),
                }
                // Kept when it is deployed, not before: a plan changes nothing.
                if !secrets.generate(&package.secrets)?.is_empty() {
                    new_secrets.insert(stack.name.clone(), secrets.to_yaml());
                }
            }
            rendered(&package, &stack.name, answers, &secrets, context)
        }
    }
}

fn open(dir: &Path) -> anyhow::Result<Package> {
    let source = Dir::package(dir).with_context(|| format!("reading the package in {}", dir.display()))?;
    Ok(Package::load(Arc::new(source))?)
}

fn rendered(
    package: &Package,
    stack: &str,
    answers: &Answers,
    secrets: &Secrets,
    context: &Context,
) -> anyhow::Result<Stack> {
    let rendered = render_for_hosts(package, stack, answers, secrets)?;
    for warning in &rendered.warnings {
        context.printer.say(format!("warning: {warning}"));
    }
    Ok(rendered.stack)
}

/// Name of the secret of a yard that holds those of a stack's package.
fn secret_key(stack: &str) -> String {
    format!("package.{stack}")
}

impl Stacks {
    /// Has the server keep new secrets of packages that are about to be deployed.
    ///
    /// # Errors
    /// What the server says.
    pub async fn keep_secrets(&self) -> anyhow::Result<()> {
        let goes = |name: &str| {
            let step = self.at_server.steps.iter().find(|s| s.name == name);
            step.is_some_and(|s| matches!(s.action, Action::Create | Action::Change))
        };
        for (stack, secrets) in self.new_secrets.iter().filter(|(stack, _)| goes(stack)) {
            self.client.set_secret(&self.yard, &secret_key(stack), secrets).await?;
        }
        Ok(())
    }
}

/// Has the server forget the secrets of packages of a yard that is gone with all its data.
///
/// # Errors
/// What the server says.
pub async fn forget_secrets(yard: &str, client: &Client) -> Result<(), ClientError> {
    for secret in client.secrets(yard).await?.iter().filter(|s| s.name.starts_with(&secret_key(""))) {
        match client.remove_secret(yard, &secret.name).await {
            Err(error) if error.status() != Some(404) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A plan for the cloud with what is done about stacks.
pub fn with_stacks(plan: &Plan, stacks: Option<&YardStacks>) -> Plan {
    let steps: Vec<StackStep> = stacks.map(|s| s.steps.clone()).unwrap_or_default();
    Plan { stacks: steps, ..plan.clone() }
}

/// The stacks of a yard; none where no server answers.
///
/// # Errors
/// A server that says no.
pub async fn there(name: &str, client: Option<&Client>) -> anyhow::Result<Option<Vec<StackView>>> {
    let Some(client) = client else { return Ok(None) };
    match client.stacks(name).await {
        Ok(stacks) => Ok(Some(stacks)),
        Err(ClientError::Unreachable { .. }) => Ok(None),
        Err(other) => Err(other.into()),
    }
}
