//! The plan: what must be done so that a stack is as intended.
//!
//! [`plan`] compares the intended stack with what the engine has and yields steps that form
//! a graph without cycles. It is pure: the same input gives the same plan. Carrying a plan
//! out, wholly or in part, and planning again never does a thing twice:
//!
//! | seen | intended | step |
//! |---|---|---|
//! | no container | service | create |
//! | another spec, half made, or what it follows was made anew | service | recreate, with the reasons |
//! | same spec, ended or stopped | service | start |
//! | same spec, in a restart loop, or what it shares name spaces with was started since | service | restart |
//! | same spec, running | service | keep |
//! | same spec, ended with 0 | job | keep |
//! | same spec, running (we were killed while it ran) | job | wait for its end |
//! | anything else | job | run, with the reasons |
//! | container | no such service | remove |
//!
//! Volumes are made when missing and never removed. A network whose settings changed is
//! made anew; the containers on it have another spec then, so they are made anew too.

mod check;
mod service;
mod text;

#[cfg(test)]
mod tests;

pub use check::{PlanError, check_alone, check_engine_names};

use service::Planner;

use super::observed::{Container, Observed};
use super::spec::{Spec, network_digest};
use super::{DependencyCondition, NetworkMode, RestartPolicy, Service, Stack};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What must be done, as a graph of steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Name of the stack.
    pub stack: String,
    /// The steps, each after all those it waits for.
    pub steps: Vec<Step>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What it is about.
    pub resource: Resource,
    /// What is done.
    pub action: Action,
    /// Why, in words; empty for what is simply missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Steps that must have got somewhere before this one begins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
    /// The container, network or volume that is there now: its id on the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Spec of the intended container.
    #[serde(skip)]
    pub spec: Spec,
}

/// What a step is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Resource {
    /// A network, by its name on the engine.
    Network(String),
    /// A volume, by its name on the engine.
    Volume(String),
    /// A container that the stack has no service for, by its name on the engine.
    Orphan(String),
    /// The container of a long-running service, by the service's name.
    Container(String),
    /// The container of a one-shot job, by the service's name.
    Job(String),
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make it; containers are started too.
    Create,
    /// Remove it and make it anew.
    Recreate,
    /// Start the container that is there.
    Start,
    /// Stop and start the container that is there.
    Restart,
    /// Wait for the end of the job that runs already.
    Await,
    /// Nothing.
    Keep,
    /// Remove it.
    Remove,
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct After {
    /// The other step.
    pub resource: Resource,
    /// State that it must have reached.
    pub condition: DependencyCondition,
    /// Whether this step is skipped when the other one fails; else it only comes later.
    pub required: bool,
}

/// How many resources a plan touches, by what happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// Networks, volumes and containers to make.
    pub create: usize,
    /// Containers and networks to make anew.
    pub recreate: usize,
    /// Containers to start.
    pub start: usize,
    /// Jobs to run or to wait for.
    pub jobs: usize,
    /// Things to remove.
    pub remove: usize,
    /// Things that stay as they are.
    pub keep: usize,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_noop(&self) -> bool {
        self.steps.iter().all(|s| s.action == Action::Keep)
    }

    /// Whether it touches what already runs.
    pub fn disturbs(&self) -> bool {
        self.steps.iter().any(|s| matches!(s.action, Action::Recreate | Action::Restart | Action::Remove))
    }

    /// Counts of the steps.
    pub fn summary(&self) -> Summary {
        let mut sum = Summary::default();
        for step in &self.steps {
            *match (&step.resource, step.action) {
                (_, Action::Keep) => &mut sum.keep,
                (_, Action::Remove) => &mut sum.remove,
                (Resource::Job(_), _) => &mut sum.jobs,
                (_, Action::Create) => &mut sum.create,
                (_, Action::Recreate) => &mut sum.recreate,
                (_, Action::Start | Action::Restart | Action::Await) => &mut sum.start,
            } += 1;
        }
        sum
    }

    /// The step about `resource`.
    pub fn step(&self, resource: &Resource) -> Option<&Step> {
        self.steps.iter().find(|s| s.resource == *resource)
    }
}

impl Service {
    /// Services whose name spaces this one shares (`service:<name>`), in order, each once.
    pub fn shares(&self) -> BTreeSet<&str> {
        let modes = [&self.pid, &self.ipc, &self.uts].into_iter().flatten();
        let mut names: BTreeSet<&str> = modes.filter_map(|m| m.strip_prefix("service:")).collect();
        if let NetworkMode::Service(name) = &self.network_mode {
            names.insert(name);
        }
        names
    }

    /// Services whose recreation recreates this one: those whose name spaces it shares and
    /// those that it depends on with `restart: true`.
    pub fn follows(&self) -> BTreeSet<&str> {
        let restarting = self.depends_on.iter().filter(|(_, d)| d.restart).map(|(name, _)| name.as_str());
        self.shares().into_iter().chain(restarting).collect()
    }
}

/// Name on the engine of the container of `service` in `stack`.
pub fn container_name(stack: &str, service: &str) -> String {
    format!("{stack}-{service}-1")
}

/// Works out what must be done so that the engine has `stack` as intended.
///
/// # Errors
/// A stack that contradicts itself (missing or circular dependencies, a wait for a health
/// test that is not there ...) or that needs images, external networks or volumes that are
/// not there.
pub fn plan(stack: &Stack, observed: &Observed) -> Result<Plan, PlanError> {
    let order = check::check(stack, observed)?;
    let mut steps = Vec::new();
    let names: BTreeMap<String, &str> = order.iter().map(|s| (container_name(&stack.name, s), *s)).collect();
    orphans(&names, observed, &mut steps);
    networks(stack, observed, &mut steps);
    volumes(stack, observed, &mut steps);
    let mut planner = Planner::new(stack, observed, resources(&steps, Action::Remove));
    for service in order {
        let name = container_name(&stack.name, service);
        let seen = observed.containers.iter().find(|c| c.name == name && c.service == service);
        steps.push(planner.service(service, seen));
    }
    unused_networks(stack, observed, &mut steps);
    Ok(Plan { stack: stack.name.clone(), steps })
}

fn resources(steps: &[Step], action: Action) -> Vec<Resource> {
    steps.iter().filter(|s| s.action == action).map(|s| s.resource.clone()).collect()
}

/// Containers of the stack that are no service's.
fn orphans(names: &BTreeMap<String, &str>, observed: &Observed, steps: &mut Vec<Step>) {
    let mut orphans: Vec<&Container> =
        observed.containers.iter().filter(|c| names.get(&c.name) != Some(&c.service.as_str())).collect();
    orphans.sort_by(|a, b| a.name.cmp(&b.name));
    for c in orphans {
        let mut step = Step::new(Resource::Orphan(c.name.clone()), Action::Remove);
        step.reasons.push(format!("the stack no longer has service {}", c.service));
        step.id = Some(c.id.clone());
        steps.push(step);
    }
}

fn networks(stack: &Stack, observed: &Observed, steps: &mut Vec<Step>) {
    for key in stack.network_keys() {
        let network = stack.network(&key);
        let seen = observed.networks.get(&network.name);
        let mut step = Step::new(Resource::Network(network.name.clone()), Action::Keep);
        step.id = seen.map(|n| n.id.clone());
        match seen {
            None => step.action = Action::Create,
            Some(n) if !network.external && n.spec.as_ref().is_some_and(|s| *s != network_digest(&network)) => {
                step.action = Action::Recreate;
                step.reasons.push("its settings".into());
            }
            Some(_) => {}
        }
        if !network.external {
            steps.push(step);
        }
    }
}

fn volumes(stack: &Stack, observed: &Observed, steps: &mut Vec<Step>) {
    let mut wanted: Vec<&super::Volume> =
        stack.volume_keys().iter().filter_map(|k| stack.volumes.get(*k)).filter(|v| !v.external).collect();
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    for volume in wanted {
        let action = if observed.volumes.contains_key(&volume.name) { Action::Keep } else { Action::Create };
        steps.push(Step::new(Resource::Volume(volume.name.clone()), action));
    }
}

/// Networks of the stack that no service is on any more; removed at the very end.
fn unused_networks(stack: &Stack, observed: &Observed, steps: &mut Vec<Step>) {
    let wanted: BTreeSet<String> = stack.network_keys().iter().map(|k| stack.network(k).name).collect();
    let before: Vec<After> =
        steps.iter().filter(|s| s.action != Action::Keep).map(|s| After::softly(s.resource.clone())).collect();
    for (name, seen) in &observed.networks {
        if seen.spec.is_some() && !wanted.contains(name) {
            let mut step = Step::new(Resource::Network(name.clone()), Action::Remove);
            step.reasons.push("no service uses it".into());
            step.after.clone_from(&before);
            step.id = Some(seen.id.clone());
            steps.push(step);
        }
    }
}

impl Step {
    fn new(resource: Resource, action: Action) -> Self {
        Self { resource, action, reasons: Vec::new(), after: Vec::new(), id: None, spec: Spec::default() }
    }
}

impl After {
    /// Later than `resource`, whatever becomes of it.
    fn softly(resource: Resource) -> Self {
        Self { resource, condition: DependencyCondition::Started, required: false }
    }

    fn started(resource: Resource) -> Self {
        Self { resource, condition: DependencyCondition::Started, required: true }
    }
}

impl Stack {
    /// The step's resource of the service `name`.
    pub fn resource(&self, name: &str) -> Resource {
        if self.is_job(name) { Resource::Job(name.to_owned()) } else { Resource::Container(name.to_owned()) }
    }

    /// Keys of the volumes that services mount.
    pub fn volume_keys(&self) -> BTreeSet<&str> {
        self.services.values().flat_map(Service::volume_keys).collect()
    }
}

impl Service {
    /// Keys of the volumes that it mounts.
    pub fn volume_keys(&self) -> impl Iterator<Item = &str> {
        self.volumes.iter().filter_map(|m| match &m.kind {
            super::MountKind::Volume { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether the engine starts it again after a successful end, so that it never completes.
    pub fn restarts_forever(&self) -> bool {
        matches!(self.restart, RestartPolicy::Always | RestartPolicy::UnlessStopped)
    }
}

impl Observed {
    /// The container of `service` in `stack`.
    pub fn container(&self, stack: &Stack, service: &str) -> Option<&Container> {
        let name = container_name(&stack.name, service);
        self.containers.iter().find(|c| c.service == service && c.name == name)
    }
}
