//! The stacks of a manifest at the Stackyard server: what is there, what is to be done, and doing it.
//!
//! As with the cloud, what there is decides, and nothing is remembered here: stacks that came from
//! the manifest and are not in it any more go. Killed at any point, the next run goes on.

use futures_util::future::{join_all, try_join_all};
use stackyard_api::{StackChange, StackChangeKind, StackDeploy, StackView};
use stackyard_client::{ArchiveContents, Client, ClientError, Patience, WaitError};
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::rollout::Status;
use stackyard_core::yard::plan::{Action, Deployed, ServiceStep, StackStep};
use std::collections::BTreeMap;
use std::time::Instant;

/// The stacks of a yard.
#[derive(Debug)]
pub struct YardStacks {
    client: Client,
    yard: String,
    wanted: BTreeMap<String, StackDeploy>,
    /// Files that the wanted stacks carry to hosts.
    archives: ArchiveContents,
    /// What the server has.
    pub there: Vec<StackView>,
    /// What is to be done, by name; first those that go.
    pub steps: Vec<StackStep>,
}

impl YardStacks {
    /// Looks at what the server has of a yard, and plans to have the stacks that are `wanted`, by
    /// name. Changes nothing: one request, and one for each stack that is wanted.
    ///
    /// # Errors
    /// [`ClientError`], also for a stack that contradicts itself.
    pub async fn look(
        client: Client,
        yard: &str,
        wanted: BTreeMap<String, StackDeploy>,
    ) -> Result<Self, ClientError> {
        let there = client.stacks(yard).await?;
        let gone = there
            .iter()
            .filter(|s| (s.declared || s.removing) && !wanted.contains_key(&s.name));
        let mut steps: Vec<StackStep> = gone
            .map(|s| StackStep::unwanted(&s.name, as_deployed(s)))
            .collect();
        let changes = try_join_all(
            wanted
                .iter()
                .map(|(name, deploy)| client.plan_stack(yard, name, deploy)),
        )
        .await?;
        for (name, changes) in wanted.keys().zip(changes) {
            let view = there.iter().find(|s| s.name == *name);
            let notes = StackChange::notes(&changes);
            let services = changes.into_iter().filter_map(step).collect();
            let wanted = StackStep::wanted(name, services, view.map(as_deployed));
            steps.push(wanted.with_notes(notes));
        }
        Ok(Self {
            client,
            yard: yard.to_owned(),
            wanted,
            archives: ArchiveContents::new(),
            there,
            steps,
        })
    }

    /// The same with the files that the stacks carry to hosts, which are uploaded before those are deployed.
    #[must_use]
    pub fn with_archives(self, archives: ArchiveContents) -> Self {
        Self { archives, ..self }
    }

    /// Plans to remove all stacks of a yard.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn removal(client: Client, yard: &str) -> Result<Self, ClientError> {
        let there = client.stacks(yard).await?;
        let steps = there
            .iter()
            .map(|s| StackStep::unwanted(&s.name, as_deployed(s)))
            .collect();
        Ok(Self {
            client,
            yard: yard.to_owned(),
            wanted: BTreeMap::new(),
            archives: ArchiveContents::new(),
            there,
            steps,
        })
    }

    /// How the stacks that there are stand, by name; without those that go.
    pub fn statuses(&self) -> BTreeMap<String, Status> {
        self.there
            .iter()
            .filter(|s| !s.removing)
            .map(|s| (s.name.clone(), s.status.clone()))
            .collect()
    }

    /// Begins to remove stacks that nobody wants, and does not wait: their hosts may go, too.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn begin_removals(&self) -> Result<(), ClientError> {
        for step in self.steps.iter().filter(|s| s.action == Action::Remove) {
            let known = self.there.iter().find(|s| s.name == step.name);
            if known.is_some_and(|s| !s.removing) {
                self.client.remove_stack(&self.yard, &step.name).await?;
            }
        }
        Ok(())
    }

    /// Removes what goes, deploys what changed, and waits for all that did, and with `all` also for
    /// what stays as it is, since its hosts may be others. How those stand then, by name.
    ///
    /// # Errors
    /// [`WaitError`] of every stack that does not come up, or does not go.
    pub async fn apply(
        &self,
        all: bool,
        patience: Patience,
        onlooker: &dyn Onlooker,
    ) -> Result<BTreeMap<String, Status>, WaitError> {
        self.begin_removals().await?;
        // Those that go first: ports of theirs may be what new ones wait for.
        let removed = self.steps.iter().filter(|s| s.action == Action::Remove);
        let removed =
            join_all(removed.map(|step| self.vanish(&step.name, patience, onlooker))).await;
        let mut errors: Vec<WaitError> = removed.into_iter().filter_map(Result::err).collect();
        let others = self.steps.iter().filter(|s| s.action != Action::Remove);
        let others = others.filter(|s| all || s.action != Action::Keep);
        let brought = join_all(others.map(|step| self.bring(step, patience, onlooker))).await;
        let mut statuses = BTreeMap::new();
        for result in brought {
            match result {
                Ok(view) => drop(statuses.insert(view.name, view.status)),
                Err(error) => errors.push(error),
            }
        }
        WaitError::of(errors).map(|()| statuses)
    }

    async fn bring(
        &self,
        step: &StackStep,
        patience: Patience,
        onlooker: &dyn Onlooker,
    ) -> Result<StackView, WaitError> {
        let name = &step.name;
        if let (Action::Create | Action::Change, Some(deploy)) =
            (step.action, self.wanted.get(name))
        {
            if self.there.iter().any(|s| s.name == *name && s.removing) {
                self.client.gone(&self.yard, name, patience).await?;
            }
            let mounted = deploy.stack.archives();
            let archives = self.archives.iter().filter(|(d, _)| mounted.contains(*d));
            let archives = archives.map(|(d, content)| (d.clone(), content.clone()));
            self.client
                .upload_archives(&self.yard, &archives.collect())
                .await?;
            self.client.deploy_stack(&self.yard, name, deploy).await?;
        }
        self.client
            .converged(&self.yard, name, patience, onlooker)
            .await
    }

    async fn vanish(
        &self,
        name: &str,
        patience: Patience,
        onlooker: &dyn Onlooker,
    ) -> Result<(), WaitError> {
        let (step, begun) = (format!("stack {name}"), Instant::now());
        onlooker.see(Event::Started {
            step: step.clone(),
            doing: "removing".to_owned(),
        });
        let gone = self.client.gone(&self.yard, name, patience).await;
        onlooker.see(match &gone {
            Ok(()) => Event::Done {
                step,
                did: "removed".to_owned(),
                took: begun.elapsed(),
            },
            Err(error) => Event::Failed {
                step,
                error: error.to_string(),
            },
        });
        gone
    }
}

fn as_deployed(view: &StackView) -> Deployed<'_> {
    Deployed {
        status: &view.status,
        removing: view.removing,
        declared: view.declared,
    }
}

/// A change as a step; none for what stays.
fn step(change: StackChange) -> Option<ServiceStep> {
    let action = match change.kind {
        StackChangeKind::New => Action::Create,
        StackChangeKind::Changed => Action::Change,
        StackChangeKind::Removed => Action::Remove,
        StackChangeKind::Same => return None,
    };
    Some(ServiceStep {
        name: change.service,
        action,
        parts: change.reasons,
    })
}
