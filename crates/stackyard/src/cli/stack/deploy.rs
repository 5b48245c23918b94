//! `stackyard stack deploy`

use super::YardNameArgs;
use super::source::SourceArgs;
use super::wait::WaitArgs;
use crate::cli::{Context, ExitStatus};
use crate::printer::duration;
use serde_json::json;
use stackyard_api::{StackChange, StackChangeKind};
use stackyard_client::{ArchiveContents, Client};
use stackyard_yard::PreparedStack;
use std::time::Instant;

/// Arguments of `stackyard stack deploy`.
#[derive(clap::Args)]
pub struct DeployArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Deploys a stack, and waits until all of its containers work.
pub async fn run(args: DeployArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let begun = Instant::now();
    let (client, prepared) = args.source.prepare(&args.yard, context).await?;
    let (yard, PreparedStack { name, deploy, archives, new_secrets }) = (args.yard.yard, prepared);
    let contents: ArchiveContents = archives.into_iter().map(|a| (a.digest, a.content)).collect();
    if !contents.is_empty() {
        client.check_archives(&yard, contents.keys().cloned().collect()).await?;
    }
    if !contents.is_empty() || new_secrets.is_some() {
        // Before anything is sent: the server may refuse the stack, or files of that size.
        client.plan_stack(&yard, &name, &deploy).await?;
    }
    if let Some(secrets) = new_secrets {
        secrets.keep(&client).await?;
    }
    upload(&client, &yard, &contents, context).await?;
    let changes = client.deploy_stack(&yard, &name, &deploy).await?;
    for change in changes.iter().filter(|c| c.kind != StackChangeKind::Same) {
        context.printer.note(text(change));
    }
    tell_notes(&changes, context);
    if !args.wait.waits() {
        let result = json!({"event": "result", "stack": name, "changes": changes});
        context.printer.result(&result, || format!("The server is deploying the stack `{name}`."))?;
        return Ok(ExitStatus::Done);
    }
    let stack = client.converged(&yard, &name, args.wait.patience(), &*context.printer.onlooker()).await?;
    let took = begun.elapsed();
    let result = json!({
        "event": "result", "stack": name, "changes": changes, "status": stack.status,
        "took_s": took.as_secs_f64(),
    });
    context.printer.result(&result, || {
        let containers: usize = stack.status.services.iter().map(|s| s.ready).sum();
        let notes: String = stack.status.notes.iter().map(|n| format!("note: {n}\n")).collect();
        format!("{notes}The stack `{name}` works: {containers} containers ({}).", duration(took))
    })?;
    Ok(ExitStatus::Done)
}

/// Uploads the files that a stack carries to its hosts and that the server does not have yet.
async fn upload(client: &Client, yard: &str, contents: &ArchiveContents, context: &Context) -> anyhow::Result<()> {
    let uploaded = client.upload_archives(yard, contents).await?;
    let bytes: usize = uploaded.iter().filter_map(|digest| contents.get(digest)).map(|content| content.len()).sum();
    if bytes > 0 {
        let kib = bytes.div_ceil(1024);
        context.printer.note(format!("uploaded {kib} KiB of files that the stack carries to its hosts"));
    }
    Ok(())
}

/// A change in a line.
pub fn text(change: &StackChange) -> String {
    let why = if change.reasons.is_empty() { String::new() } else { format!(": {}", change.reasons.join(", ")) };
    format!("service {} is {}{why}", change.service, change.kind)
}

/// Prints the notes of changes.
pub fn tell_notes(changes: &[StackChange], context: &Context) {
    for note in StackChange::notes(changes) {
        context.printer.note(format!("note: {note}"));
    }
}
