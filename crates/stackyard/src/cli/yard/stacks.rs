//! The stacks of a manifest, for `up`, `plan` and `down`.

use super::super::Context;
use super::super::stack::deploy::{read, text};
use super::super::stack::wait::{WaitArgs, converged, gone};
use anyhow::Context as _;
use stackyard_catalog::manifest::Yard;
use stackyard_core::stack::rollout::Packed;
use stackyard_server::api::{StackChange, StackDeploy};
use stackyard_server::client::Client;
use stackyard_server::daemon;

/// The stacks of a manifest, read, with the server that they are deployed by.
pub struct Stacks {
    client: Client,
    yard: String,
    deploys: Vec<(String, StackDeploy)>,
}

impl Stacks {
    /// Reads the Compose files; nothing if the manifest has no stacks.
    pub fn of(yard: &Yard, context: &Context) -> anyhow::Result<Option<Self>> {
        if yard.stacks.is_empty() {
            return Ok(None);
        }
        let deploys = yard.stacks.iter().map(|stack| {
            let name = stack.wanted.name.clone().unwrap_or_default();
            let loaded = read(&stack.wanted, context).with_context(|| format!("stack {name}"))?;
            Ok((name, StackDeploy { stack: Packed::pack(loaded), pool: stack.pool.clone() }))
        });
        let deploys = deploys.collect::<anyhow::Result<Vec<_>>>()?;
        let client = Client::socket(&daemon::socket(&context.home))?;
        Ok(Some(Self { client, yard: yard.intended.yard.clone(), deploys }))
    }

    /// What deploying them would change, by stack.
    pub async fn plan(&self) -> anyhow::Result<Vec<(String, Vec<StackChange>)>> {
        let mut all = Vec::new();
        for (name, deploy) in &self.deploys {
            let changes = self.client.plan_stack(&self.yard, name, deploy).await.context(SERVER)?;
            all.push((name.clone(), changes.into_iter().filter(|c| c.what != "same").collect()));
        }
        Ok(all)
    }

    /// Deploys those that changed, and waits until all of them work. Whether any changed.
    pub async fn deploy(&self, context: &Context) -> anyhow::Result<bool> {
        let mut changed = false;
        for ((name, changes), (_, deploy)) in self.plan().await?.into_iter().zip(&self.deploys) {
            if !changes.is_empty() {
                self.client.deploy_stack(&self.yard, &name, deploy).await?;
                changed = true;
            }
        }
        for (name, _) in &self.deploys {
            converged(&self.client, &self.yard, name, &WaitArgs::patient(), context).await?;
        }
        let known = self.client.stacks(&self.yard).await?;
        for stack in known.iter().filter(|s| !self.deploys.iter().any(|(name, _)| *name == s.name)) {
            let hint = format!("stackyard stack remove --yard {} {}", self.yard, stack.name);
            context.printer.say(format!("note: the stack {} is not in the manifest; `{hint}` removes it", stack.name));
        }
        Ok(changed)
    }
}

/// Where a server is missing.
const SERVER: &str = "stacks are deployed by the server of this machine; `stackyard server --detach` starts it";

/// Changes as lines, each under its stack.
pub fn lines(all: &[(String, Vec<StackChange>)]) -> String {
    let lines = all
        .iter()
        .flat_map(|(stack, changes)| changes.iter().map(move |change| format!("stack {stack}: {}\n", text(change))));
    lines.collect()
}

/// Stacks that the server of this machine knows of the yard; none where no server runs.
pub async fn known(yard: &str, context: &Context) -> Vec<String> {
    let Ok(client) = Client::socket(&daemon::socket(&context.home)) else { return Vec::new() };
    let stacks = client.stacks(yard).await.unwrap_or_default();
    stacks.into_iter().map(|s| s.name).collect()
}

/// Removes stacks, and waits until nothing of them runs.
pub async fn remove(yard: &str, stacks: &[String], context: &Context) -> anyhow::Result<()> {
    let client = Client::socket(&daemon::socket(&context.home))?;
    for stack in stacks {
        client.remove_stack(yard, stack).await?;
    }
    for stack in stacks {
        context.printer.say(format!("removing stack {stack}"));
        gone(&client, yard, stack, &WaitArgs::usual()).await?;
    }
    Ok(())
}
