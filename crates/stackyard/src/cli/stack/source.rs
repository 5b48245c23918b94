//! What a stack is made from: Compose files or a package.

use super::YardNameArgs;
use crate::cli::Context;
use stackyard_api::StackDeploy;
use stackyard_catalog::Answers;
use stackyard_catalog::compose::Loaded;
use stackyard_catalog::compose::open::{ComposeRequest, open};
use stackyard_client::Client;
use stackyard_core::rollout::Packed;
use stackyard_yard::{PackageStackRequest, PreparedStack};
use std::path::PathBuf;

/// Options that select what a stack is made from, and its hosts.
#[derive(clap::Args)]
pub struct SourceArgs {
    #[command(flatten)]
    compose: ComposeArgs,

    /// Use the package in this directory instead of Compose files
    ///
    /// Without --name, the stack has the package's name.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "profile", "env_file", "variables"])]
    package: Option<PathBuf>,

    /// Answer to a question of the package; repeat for several
    #[arg(short, long = "answer", value_name = "NAME=VALUE", value_parser = pair, requires = "package")]
    answers: Vec<(String, String)>,

    /// Use only hosts of this pool
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
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

impl SourceArgs {
    /// Reads what a stack is made from, and warns of what in it has no effect. Changes nothing. A package asks the
    /// server for the hosts and the secrets that it is rendered with.
    pub async fn prepare(self, yard: &YardNameArgs, context: &Context) -> anyhow::Result<(Client, PreparedStack)> {
        let Some(dir) = self.package else {
            let Loaded { stack, archives, .. } = read(&self.compose.request(), context)?;
            let name = stack.name.clone();
            let deploy = StackDeploy { stack: Packed::pack(stack), pool: self.pool, declared: false, network: None };
            return Ok((yard.client(context)?, PreparedStack { name, deploy, archives, new_secrets: None }));
        };
        let mut answers = Answers::default();
        for (name, value) in self.answers {
            answers.set(name, value);
        }
        let client = yard.client(context)?;
        let (yard, name) = (yard.yard.clone(), self.compose.name);
        let request = PackageStackRequest { yard, dir, name, answers, pool: self.pool };
        let prepared = PreparedStack::of_package(request, &client, &|text| context.printer.note(text)).await?;
        Ok((client, prepared))
    }
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

/// Reads Compose files, and warns of lines in them that have no effect.
fn read(wanted: &ComposeRequest, context: &Context) -> anyhow::Result<Loaded> {
    let loaded = open(wanted)?;
    for warning in &loaded.warnings {
        context.printer.note(format!("warning: {warning}"));
    }
    Ok(loaded)
}
