//! Verbs about stacks: `stackyard stack ...`.

mod config;
pub mod deploy;
mod diff;
mod events;
mod exec;
mod logs;
mod manage;
mod port;
mod show;
mod source;
mod top;
mod update;
pub mod wait;

use super::remote::YardNameArgs;
use super::{Context, ExitStatus};
use clap::Subcommand;

/// Verbs of `stackyard stack`.
#[derive(Subcommand)]
pub enum StackVerb {
    /// Deploy Compose files or a package to a yard and wait
    Deploy(deploy::DeployArgs),
    /// Print Compose files as one, in canonical form
    Config(config::ConfigArgs),
    /// Show what `deploy` would change; exit code 3 means pending changes
    Diff(diff::DiffArgs),
    /// List the stacks of a yard
    #[command(visible_alias = "ls")]
    List(show::ListArgs),
    /// Show a stack's services, containers and problems
    #[command(visible_alias = "ps")]
    Show(show::ShowArgs),
    /// Print the logs of a stack's containers
    Logs(logs::LogsArgs),
    /// Print the events of a stack's containers
    ///
    /// Events are starts, exits with their reason, and changes of health.
    Events(events::EventsArgs),
    /// Run a program in a container
    Exec(exec::ExecArgs),
    /// List the processes of a stack's containers
    Top(top::TopArgs),
    /// Print the addresses at which published ports are reached
    Port(port::PortArgs),
    /// Change the number of containers of services
    Scale(manage::ScaleArgs),
    /// Change a service's image or environment with a rolling update
    Update(update::UpdateArgs),
    /// Restore an earlier version of a stack
    Rollback(manage::RollbackArgs),
    /// Remove a stack; its volumes stay
    #[command(visible_alias = "rm")]
    Remove(manage::RemoveArgs),
}

/// Runs a verb of `stackyard stack`.
pub async fn run(verb: StackVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        StackVerb::Deploy(args) => deploy::run(args, context).await,
        StackVerb::Config(args) => config::run(args, context),
        StackVerb::Diff(args) => diff::run(args, context).await,
        StackVerb::List(args) => show::list(args, context).await,
        StackVerb::Show(args) => show::run(args, context).await,
        StackVerb::Logs(args) => logs::run(args, context).await,
        StackVerb::Events(args) => events::run(args, context).await,
        StackVerb::Exec(args) => exec::run(args, context).await,
        StackVerb::Top(args) => top::run(args, context).await,
        StackVerb::Port(args) => port::run(args, context).await,
        StackVerb::Scale(args) => manage::scale(args, context).await,
        StackVerb::Update(args) => update::run(args, context).await,
        StackVerb::Rollback(args) => manage::roll_back(args, context).await,
        StackVerb::Remove(args) => manage::remove(args, context).await,
    }
}
