//! `stackyard status`

use super::super::{Context, ExitStatus};
use super::{YardArgs, load_stacks};
use crate::printer::table;
use serde::Serialize;
use stackyard_api::ResourceStatus;
use stackyard_catalog::manifest::Yard;
use stackyard_core::rollout::{Phase, ServiceStatus, Standing};
use stackyard_core::yard::Kind;
use stackyard_core::yard::plan::{Action, StackStep};
use stackyard_yard::{UpOperation, YardSnapshot, YardStacks};
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
    /// Whether the yard matches its manifest.
    as_intended: bool,
    resources: Vec<ResourceRow>,
    stacks: Vec<StackRow>,
}

#[derive(Serialize)]
struct ResourceRow {
    kind: Kind,
    name: String,
    state: String,
    detail: String,
    id: Option<String>,
}

#[derive(Serialize)]
struct StackRow {
    name: String,
    state: String,
    services: Vec<ServiceRow>,
}

#[derive(Serialize)]
struct ServiceRow {
    name: String,
    state: &'static str,
    ready: usize,
    desired: usize,
    /// Containers by host.
    hosts: BTreeMap<String, usize>,
    /// Why the service is not healthy.
    why: Option<String>,
}

/// Shows the state of a yard; exit code 1 if it differs from its manifest.
pub async fn run(args: StatusArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let yard = args.yard.load()?;
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
        as_intended: session.plan.is_noop() && stacks.iter().all(|s| s.state == "ok"),
        resources: resources(session),
        stacks,
    };
    context.printer.result(&status, || text(&status))?;
    Ok(if status.as_intended { ExitStatus::Done } else { ExitStatus::Failed })
}

fn resources(session: &YardSnapshot<'_>) -> Vec<ResourceRow> {
    let row = |r: ResourceStatus| ResourceRow {
        kind: r.kind,
        state: r.state_text(),
        name: r.name,
        detail: r.detail,
        id: r.id,
    };
    session.resources().into_iter().map(row).collect()
}

fn stack_rows(yard: &Yard, stacks: Option<&YardStacks>) -> Vec<StackRow> {
    let Some(stacks) = stacks else {
        let names = yard.stacks.iter().map(|s| s.name.clone());
        let state = "unknown: no Stackyard server answers";
        return names.map(|name| StackRow { name, state: state.to_owned(), services: Vec::new() }).collect();
    };
    let statuses = stacks.statuses();
    let row = |step: &StackStep| {
        let status = statuses.get(&step.name);
        let state = match (step.action, status.map(|s| s.standing)) {
            (Action::Remove, _) => "not in the manifest",
            (Action::Create, _) => "missing",
            (_, Some(Standing::Failed)) => "GIVEN UP",
            (_, Some(Standing::Failing)) => "FAILING",
            (Action::Change, _) => "differs",
            (Action::Await, _) => "on its way",
            _ => "ok",
        };
        let services = status.map(|s| s.services.iter().map(service).collect()).unwrap_or_default();
        StackRow { name: step.name.clone(), state: state.to_owned(), services }
    };
    stacks.steps.iter().map(row).collect()
}

fn service(service: &ServiceStatus) -> ServiceRow {
    let mut hosts = BTreeMap::new();
    for replica in &service.replicas {
        *hosts.entry(replica.host_name.clone()).or_default() += 1;
    }
    let well = service.ready == service.desired;
    let state = match service.phase {
        Phase::Paused => "UPDATE PAUSED",
        Phase::RolledBack => "ROLLED BACK",
        Phase::RollingBack => "ROLLING BACK",
        _ if service.why.is_some() => "UNHEALTHY",
        phase if phase.is_busy() || !well => "on its way",
        _ => "ok",
    };
    let (name, why) = (service.name.clone(), service.why.clone());
    ServiceRow { name, state, ready: service.ready, desired: service.desired, hosts, why }
}

fn text(status: &YardStatus) -> String {
    let rows = status.resources.iter();
    let rows = rows.map(|r| [r.kind.noun().to_owned(), r.name.clone(), r.state.clone(), r.detail.clone()]);
    let mut text = table::table(["KIND", "NAME", "STATE", "DETAIL"], rows);
    let mut rows = Vec::new();
    for stack in &status.stacks {
        let none = String::new;
        rows.push([stack.name.clone(), none(), stack.state.clone(), none(), none(), none()]);
        for service in &stack.services {
            let host = |(name, count): (&String, &usize)| match count {
                1 => name.clone(),
                n => format!("{name} ({n})"),
            };
            let hosts: Vec<String> = service.hosts.iter().map(host).collect();
            let why = service.why.as_deref().and_then(|w| w.lines().next()).unwrap_or_default();
            let work = format!("{}/{}", service.ready, service.desired);
            rows.push([none(), service.name.clone(), service.state.into(), work, hosts.join(", "), why.to_owned()]);
        }
    }
    if !rows.is_empty() {
        text += &format!("\n{}", table::table(["STACK", "SERVICE", "STATE", "READY", "HOSTS", "PROBLEM"], rows));
    }
    let end = if status.as_intended {
        "The yard matches its manifest."
    } else {
        "The yard differs from its manifest. Run `stackyard plan` to see how."
    };
    format!("{text}\n{end}")
}
