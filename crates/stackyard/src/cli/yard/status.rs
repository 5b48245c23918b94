//! `stackyard status`

use super::super::{Context, ExitStatus};
use super::{YardArgs, load_stacks};
use crate::printer::table;
use serde::Serialize;
use stackyard_api::ResourceStatus;
use stackyard_catalog::manifest::Yard;
use stackyard_core::health::Health;
use stackyard_core::rollout::{Phase, ServiceStatus};
use stackyard_core::yard::plan::{Action, StackStep};
use stackyard_yard::{UpOperation, YardStacks};
use std::collections::BTreeMap;

/// Arguments of `stackyard status`.
#[derive(clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    yard: YardArgs,
}

#[derive(Serialize)]
struct YardStatus {
    yard: String,
    /// Whether a run would change nothing.
    in_sync: bool,
    resources: Vec<ResourceStatus>,
    stacks: Vec<StackRow>,
}

#[derive(Serialize)]
struct StackRow {
    name: String,
    health: Health,
    reason: Option<String>,
    /// What the next run does with it; absent where no server could say what runs.
    planned: Option<Action>,
    services: Vec<ServiceRow>,
}

#[derive(Serialize)]
struct ServiceRow {
    name: String,
    health: Health,
    phase: Phase,
    ready: usize,
    desired: usize,
    /// Containers by host.
    hosts: BTreeMap<String, usize>,
    /// Why the service is not ready.
    reason: Option<String>,
}

/// Shows the state of a yard; exit code 1 if it differs from its manifest.
pub async fn run(args: StatusArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let yard = args.yard.load(context)?;
    let cloud = args.yard.connect(&yard, context).await?;
    let service = args.yard.service(context)?;
    let stacks = match &service {
        Some(_) => load_stacks(&yard, service.as_ref(), context).await?,
        None => None,
    };
    let note = |text: String| context.printer.note(text);
    let operation = UpOperation::look(&yard, &cloud, service.as_ref(), stacks, &note).await?;
    operation.snapshot.inventory.warn(&*context.printer.onlooker());
    let (session, stacks) = (&operation.snapshot, stack_rows(&yard, operation.stacks()));
    let status = YardStatus {
        yard: yard.intended.yard.clone(),
        in_sync: session.plan.is_noop() && stacks.iter().all(StackRow::in_sync),
        resources: session.resources(),
        stacks,
    };
    context.printer.result(&status, || text(&status))?;
    Ok(if status.in_sync { ExitStatus::Done } else { ExitStatus::Failed })
}

impl StackRow {
    fn in_sync(&self) -> bool {
        self.planned == Some(Action::Keep) && self.health == Health::Ready
    }

    /// Health and difference from the manifest, for people.
    fn state_text(&self) -> &'static str {
        match (self.planned, self.health) {
            (None, _) => "unknown: no Stackyard server answers",
            (Some(Action::Remove), _) => "not in the manifest",
            (Some(Action::Change | Action::Recreate), Health::Ready | Health::Progressing) => "differs",
            (_, health) => health.label(),
        }
    }
}

fn stack_rows(yard: &Yard, stacks: Option<&YardStacks>) -> Vec<StackRow> {
    let Some(stacks) = stacks else {
        let row = |name| StackRow {
            name,
            health: Health::Unknown,
            reason: Some("no Stackyard server answers".to_owned()),
            planned: None,
            services: Vec::new(),
        };
        return yard.stacks.iter().map(|s| row(s.name.clone())).collect();
    };
    let statuses = stacks.statuses();
    let row = |step: &StackStep| {
        let status = statuses.get(&step.name);
        let reasons = status.map(|s| s.reasons.join("; ")).filter(|r| !r.is_empty());
        StackRow {
            name: step.name.clone(),
            health: status.map_or(Health::Missing, |s| s.health),
            reason: reasons,
            planned: Some(step.action),
            services: status.map(|s| s.services.iter().map(service).collect()).unwrap_or_default(),
        }
    };
    stacks.steps.iter().map(row).collect()
}

fn service(service: &ServiceStatus) -> ServiceRow {
    let mut hosts = BTreeMap::new();
    for replica in &service.replicas {
        *hosts.entry(replica.host_name.clone()).or_default() += 1;
    }
    ServiceRow {
        name: service.name.clone(),
        health: service.health,
        phase: service.phase,
        ready: service.ready,
        desired: service.desired,
        hosts,
        reason: service.reason.clone(),
    }
}

/// Health of a service, or what has become of its update.
fn service_state(service: &ServiceRow) -> &'static str {
    match service.phase {
        Phase::Paused => "UPDATE PAUSED",
        Phase::RolledBack => "ROLLED BACK",
        Phase::RollingBack => "ROLLING BACK",
        Phase::Starting | Phase::Updating | Phase::Done => service.health.label(),
    }
}

fn text(status: &YardStatus) -> String {
    let rows = status.resources.iter();
    let rows = rows.map(|r| [r.kind.noun().to_owned(), r.name.clone(), r.state_text(), r.detail.clone()]);
    let mut text = table::table(["KIND", "NAME", "STATE", "DETAIL"], rows);
    let mut rows = Vec::new();
    for stack in &status.stacks {
        let none = String::new;
        rows.push([stack.name.clone(), none(), stack.state_text().to_owned(), none(), none(), none()]);
        for service in &stack.services {
            let host = |(name, count): (&String, &usize)| match count {
                1 => name.clone(),
                n => format!("{name} ({n})"),
            };
            let hosts: Vec<String> = service.hosts.iter().map(host).collect();
            let reason = service.reason.as_deref().and_then(|w| w.lines().next()).unwrap_or_default();
            let ready = format!("{}/{}", service.ready, service.desired);
            rows.push([
                none(),
                service.name.clone(),
                service_state(service).into(),
                ready,
                hosts.join(", "),
                reason.to_owned(),
            ]);
        }
    }
    if !rows.is_empty() {
        text += &format!("\n{}", table::table(["STACK", "SERVICE", "STATE", "READY", "HOSTS", "PROBLEM"], rows));
    }
    let end = if status.in_sync {
        "The yard matches its manifest."
    } else {
        "The yard differs from its manifest. Run `stackyard plan` to see how."
    };
    format!("{text}\n{end}")
}
