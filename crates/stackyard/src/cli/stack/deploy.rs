//! `stackyard stack deploy`

use super::YardNameArgs;
use super::wait::WaitArgs;
use crate::cli::{Context, ExitStatus};
use crate::printer::duration;
use serde_json::json;
use stackyard_api::{StackChange, StackChangeKind, StackDeploy};
use stackyard_catalog::compose::Loaded;
use stackyard_catalog::compose::open::{ComposeRequest, open};
use stackyard_catalog::{Answers, PackedArchive};
use stackyard_client::{ArchiveContents, Client};
use stackyard_core::rollout::Packed;
use stackyard_yard::{PackageStack, PackageStackRequest};
use std::path::PathBuf;
use std::time::Instant;

/// Arguments of `stackyard stack deploy`.
#[derive(clap::Args)]
pub struct DeployArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    #[command(flatten)]
    compose: ComposeArgs,

    /// Deploy the package in this directory instead of Compose files
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "profile", "env_file", "variables"])]
    package: Option<PathBuf>,

    /// Answer to a question of the package; repeat for several
    #[arg(short, long = "answer", value_name = "NAME=VALUE", requires = "package")]
    answers: Vec<String>,

    /// Use only hosts of this pool
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,

    #[command(flatten)]
    wait: WaitArgs,
}

/// Options that select Compose files and their variables.
#[derive(clap::Args)]
pub struct ComposeArgs {
    /// Compose files; later ones override earlier ones [default: compose.yaml]
    ///
    /// Without this option, COMPOSE_FILE names the files. Otherwise the first of compose.yaml, compose.yml,
    /// docker-compose.yml and docker-compose.yaml counts, in this directory or above, with its override file.
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,

    /// Name of the stack [default: the file's `name`, else its directory]
    ///
    /// COMPOSE_PROJECT_NAME takes precedence over the file's `name`.
    #[arg(short, long)]
    name: Option<String>,

    /// Activate a profile [default: those of COMPOSE_PROFILES]
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,

    /// Read variables from this file
    ///
    /// [default: the files of COMPOSE_ENV_FILES, else .env next to the first Compose file]
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    /// Set a variable of the Compose files
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = pair)]
    variables: Vec<(String, String)>,
}

impl ComposeArgs {
    /// The request for the stack that the options select.
    pub fn request(self) -> ComposeRequest {
        ComposeRequest {
            files: self.file,
            name: self.name,
            profiles: self.profile,
            env_files: self.env_file,
            variables: self.variables.into_iter().collect(),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Deploys a stack, and waits until all of its containers work.
pub async fn run(args: DeployArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let begun = Instant::now();
    let (client, stack) = match args.package {
        None => {
            let stack = composed(&args.compose.request(), args.pool, context)?;
            (args.yard.client(context)?, stack)
        }
        Some(dir) => {
            let (client, yard) = (args.yard.client(context)?, args.yard.yard.clone());
            let (name, answers) = (args.compose.name, answers(&args.answers)?);
            let request = PackageStackRequest { yard, dir, name, answers, pool: args.pool };
            let stack = packaged(request, &client, context).await?;
            (client, stack)
        }
    };
    let (yard, PreparedStack { name, deploy, archives }) = (args.yard.yard, stack);
    if !archives.is_empty() {
        upload(&client, &yard, &deploy, archives, context).await?;
    }
    let changes = client.deploy_stack(&yard, &name, &deploy).await?;
    for change in changes.iter().filter(|c| c.kind != StackChangeKind::Same) {
        context.printer.note(text(change));
    }
    for note in StackChange::notes(&changes) {
        context.printer.note(format!("note: {note}"));
    }
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

/// A stack that was read, with the files that it carries to hosts.
struct PreparedStack {
    name: String,
    deploy: StackDeploy,
    archives: Vec<PackedArchive>,
}

fn composed(wanted: &ComposeRequest, pool: Option<String>, context: &Context) -> anyhow::Result<PreparedStack> {
    let Loaded { stack, archives, .. } = read(wanted, context)?;
    let name = stack.name.clone();
    let deploy = StackDeploy { stack: Packed::pack(stack), pool, declared: false };
    Ok(PreparedStack { name, deploy, archives })
}

fn answers(pairs: &[String]) -> anyhow::Result<Answers> {
    let mut answers = Answers::default();
    for pair in pairs {
        answers.set_pair(pair).map_err(anyhow::Error::msg)?;
    }
    Ok(answers)
}

/// Renders a package, and has the server keep its new secrets.
async fn packaged(request: PackageStackRequest, client: &Client, context: &Context) -> anyhow::Result<PreparedStack> {
    let made = PackageStack::look(request, client, &|text| context.printer.note(text)).await?;
    made.keep_secrets(client).await?;
    Ok(PreparedStack { name: made.name, deploy: made.deploy, archives: made.archives })
}

/// Reads Compose files, and warns of lines in them that have no effect.
pub fn read(wanted: &ComposeRequest, context: &Context) -> anyhow::Result<Loaded> {
    let loaded = open(wanted)?;
    for warning in &loaded.warnings {
        context.printer.note(format!("warning: {warning}"));
    }
    Ok(loaded)
}

/// Uploads the files that a stack carries to its hosts and that the server does not have yet.
async fn upload(
    client: &Client,
    yard: &str,
    deploy: &StackDeploy,
    archives: Vec<PackedArchive>,
    context: &Context,
) -> anyhow::Result<()> {
    let contents: ArchiveContents = archives.into_iter().map(|a| (a.digest, a.content)).collect();
    client.check_archives(yard, contents.keys().cloned().collect()).await?;
    // Before bytes are sent: the server may refuse the stack, or files of that size.
    client.plan_stack(yard, deploy.stack.name(), deploy).await?;
    let uploaded = client.upload_archives(yard, &contents).await?;
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
