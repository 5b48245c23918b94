//! The command line: one file a verb, no logic of its own.

mod agent;
mod audit;
mod cloud;
mod completions;
mod events;
mod host;
mod image;
mod man;
mod net;
mod remote;
mod server;
mod sign_in;
mod stack;
mod token;
mod yard;

use crate::printer::{self, Printer};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// OpenStack and Rancher as one platform: servers and containers on one network, from one binary.
#[derive(Parser)]
#[command(name = "stackyard", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// Print JSON: events and results, one object a line
    #[arg(long, global = true)]
    json: bool,

    /// Where Stackyard keeps its state [default: /var/lib/stackyard as root, else the XDG data directory]
    #[arg(long, global = true, env = "STACKYARD_HOME", value_name = "DIR")]
    home: Option<PathBuf>,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Write a first manifest, with names that a cloud really has
    Init(yard::init::Args),
    /// Bring a cloud to what a manifest says: networks, servers and what belongs to them
    Up(yard::up::Args),
    /// Show what `up` would do; exit code 3 if changes are pending
    Plan(yard::plan::Args),
    /// Remove all that a cloud has of a yard
    Down(yard::down::Args),
    /// Show what a cloud has of a yard
    Status(yard::status::Args),
    /// Print the end of the console log of a yard's server
    Console(yard::console::Args),
    /// Draw a yard with what the cloud has of it
    Graph(yard::graph::Args),
    /// Find what carries our mark and belongs to no yard known here
    Sweep(yard::sweep::Args),
    /// What fits through a network
    #[command(subcommand)]
    Net(net::Verb),
    /// The server that hosts join
    Server(server::Args),
    /// Machines that run containers
    #[command(subcommand)]
    Host(host::Verb),
    /// Compose files over the hosts of a yard
    #[command(subcommand)]
    Stack(stack::Verb),
    /// Tokens for the server's API
    #[command(subcommand)]
    Token(token::Verb),
    /// Who changed what at the server
    Audit(audit::Args),
    /// OpenStack on this machine, in containers
    #[command(subcommand)]
    Cloud(cloud::Verb),
    /// Service and guest images
    #[command(subcommand)]
    Image(image::Verb),
    /// The process on a container host that runs there what its server says
    #[command(subcommand)]
    Agent(agent::Verb),
    /// Print the completion script for a shell
    Completions(completions::Args),
    /// Write the manual pages
    Man(man::Args),
}

/// What every verb gets.
pub struct Context {
    /// Where to print.
    pub printer: Printer,
    /// The state directory.
    pub home: PathBuf,
}

/// How a verb ended, apart from errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Done: exit code 0.
    Done,
    /// What was asked for does not hold (a blocker, a failed check): exit code 1.
    Failed,
    /// Changes are pending (`plan`): exit code 3.
    Pending,
}

/// Runs the verb that the user gave and turns its end into an exit code:
/// 0 done, 1 failed, 2 bad usage (by the parser), 3 changes pending.
pub fn run(cli: Cli) -> ExitCode {
    let printer = Printer::new(cli.json);
    let end = start(cli, &printer);
    printer.finish();
    match end {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::FAILURE,
        Ok(End::Pending) => ExitCode::from(3),
        // `stackyard ... | head` ends quietly.
        Err(error) if printer::is_unread(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli, printer: &Printer) -> anyhow::Result<End> {
    let home = match cli.home {
        Some(dir) => std::path::absolute(dir)?,
        None => stackyard_cloud::home::default_dir()?,
    };
    let context = Context { printer: printer.clone(), home };
    let runtime = match &cli.verb {
        // Each container that starts waits on a thread of its own for its network.
        Verb::Agent(verb) if verb.is_standalone() => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .max_blocking_threads(64)
            .build()?,
        // An agent shares its machine with what it runs there: one thread will do.
        Verb::Agent(_) => tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?,
        // A server stays, mostly idle.
        Verb::Server(args) if args.serves() => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .max_blocking_threads(8)
            .build()?,
        _ => tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
    };
    runtime.block_on(async {
        match cli.verb {
            Verb::Init(args) => yard::init::run(args, &context).await,
            Verb::Up(args) => yard::up::run(args, &context).await,
            Verb::Plan(args) => yard::plan::run(args, &context).await,
            Verb::Down(args) => yard::down::run(args, &context).await,
            Verb::Status(args) => yard::status::run(args, &context).await,
            Verb::Console(args) => yard::console::run(args, &context).await,
            Verb::Graph(args) => yard::graph::run(args, &context).await,
            Verb::Sweep(args) => yard::sweep::run(args, &context).await,
            Verb::Net(verb) => net::run(verb, &context).await,
            Verb::Server(args) => server::run(args, &context).await,
            Verb::Host(verb) => host::run(verb, &context).await,
            Verb::Stack(verb) => stack::run(verb, &context).await,
            Verb::Token(verb) => token::run(verb, &context).await,
            Verb::Audit(args) => audit::run(args, &context).await,
            Verb::Cloud(verb) => cloud::run(verb, &context).await,
            Verb::Image(verb) => image::run(verb, &context).await,
            Verb::Agent(verb) => agent::run(verb, &context).await,
            Verb::Completions(args) => completions::run(&args),
            Verb::Man(args) => man::run(&args),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn no_verb_has_two_arguments_of_one_name() {
        super::Cli::command().debug_assert();
    }
}
