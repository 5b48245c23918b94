//! Verbs about stacks: `stackyard stack ...`.

pub mod deploy;
mod events;
mod exec;
mod logs;
mod manage;
mod show;
mod update;
pub mod wait;

use super::remote::ServerArgs;
use super::{Context, ExitStatus};
use clap::Subcommand;
use stackyard_client::Client;

/// Options that select a yard on a server.
#[derive(clap::Args)]
pub struct YardNameArgs {
    /// Name of the yard
    #[arg(short = 'y', long, value_name = "YARD", env = "STACKYARD_YARD")]
    yard: String,

    #[command(flatten)]
    server: ServerArgs,
}

impl YardNameArgs {
    fn client(&self, context: &Context) -> anyhow::Result<Client> {
        self.server.client(context)
    }
}

/// Verbs of `stackyard stack`.
#[derive(Subcommand)]
pub enum Verb {
    /// Deploy Compose files to a yard and wait until they run
    Deploy(deploy::Args),
    /// List the stacks of a yard
    #[command(visible_alias = "ls")]
    List(show::ListArgs),
    /// Show a stack's services, containers and problems
    #[command(visible_alias = "ps")]
    Show(show::Args),
    /// Print the logs of a stack's containers
    Logs(logs::Args),
    /// Print the events of a stack's containers
    ///
    /// Events are starts, exits with their reason, and changes of health.
    Events(events::Args),
    /// Run a program in a container
    Exec(exec::Args),
    /// Change the number of containers of services
    Scale(manage::ScaleArgs),
    /// Change a service's image or environment with a rolling update
    Update(update::Args),
    /// Restore an earlier version of a stack
    Rollback(manage::RollbackArgs),
    /// Remove a stack; its volumes stay on their hosts
    #[command(visible_alias = "rm")]
    Remove(manage::RemoveArgs),
}

/// Runs a verb of `stackyard stack`.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        Verb::Deploy(args) => deploy::run(args, context).await,
        Verb::List(args) => show::list(args, context).await,
        Verb::Show(args) => show::run(args, context).await,
        Verb::Logs(args) => logs::run(args, context).await,
        Verb::Events(args) => events::run(args, context).await,
        Verb::Exec(args) => exec::run(args, context).await,
        Verb::Scale(args) => manage::scale(args, context).await,
        Verb::Update(args) => update::run(args, context).await,
        Verb::Rollback(args) => manage::roll_back(args, context).await,
        Verb::Remove(args) => manage::remove(args, context).await,
    }
}
