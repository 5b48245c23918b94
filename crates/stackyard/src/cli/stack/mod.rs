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
use super::{Context, End};
use clap::Subcommand;
use stackyard_server::client::Client;

/// Which yard, at which server.
#[derive(clap::Args)]
pub struct YardName {
    /// The yard
    #[arg(short = 'y', long, value_name = "YARD", env = "STACKYARD_YARD")]
    yard: String,

    #[command(flatten)]
    server: ServerArgs,
}

impl YardName {
    fn client(&self, context: &Context) -> anyhow::Result<Client> {
        self.server.client(context)
    }
}

/// Verbs about stacks.
#[derive(Subcommand)]
pub enum Verb {
    /// Deploy a Compose file over the hosts of a yard, and wait until all of it works
    Deploy(deploy::Args),
    /// List the stacks of a yard
    #[command(visible_alias = "ls")]
    List(show::ListArgs),
    /// Show a stack's services and containers, and what is not as it should be
    #[command(visible_alias = "ps")]
    Show(show::Args),
    /// Print what a stack's containers write
    Logs(logs::Args),
    /// Tell what happened to a stack's containers: started, ended and why, healthy or not
    Events(events::Args),
    /// Run a program in a container
    Exec(exec::Args),
    /// Change how many containers services have
    Scale(manage::ScaleArgs),
    /// Change a service's image or environment, by a rolling update
    Update(update::Args),
    /// Go back to what was deployed before
    Rollback(manage::RollbackArgs),
    /// Remove a stack; its volumes stay on their hosts
    #[command(visible_alias = "rm")]
    Remove(manage::RemoveArgs),
}

/// Runs a verb.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
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
