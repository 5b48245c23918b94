//! The command line: one file per verb, without logic of its own.

mod agent;
mod audit;
mod catalog;
mod cloud;
mod completions;
mod events;
mod host;
mod image;
mod man;
mod net;
mod remote;
mod server;
mod server_backup;
mod sign_in;
mod stack;
mod token;
mod volume;
mod yard;

use crate::printer::{Printer, ReaderGone};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// OpenStack and Rancher as one platform, in one binary
#[derive(Parser)]
#[command(name = "stackyard", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// Print JSON, one event or result per line
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,

    /// State directory [default: /var/lib/stackyard as root, else the XDG data directory]
    #[arg(long, global = true, help_heading = "Global options", env = "STACKYARD_HOME", value_name = "DIR")]
    home: Option<PathBuf>,

    #[command(subcommand)]
    verb: TopVerb,
}

#[derive(Subcommand)]
enum TopVerb {
    /// Write a starter manifest with names from your cloud
    Init(yard::init::InitArgs),
    /// Create, change and remove resources until a yard matches its manifest
    ///
    /// Shows a plan and asks before it applies the plan. After a failure, run it again to resume.
    Up(yard::up::UpArgs),
    /// Show what `up` would change; exit code 3 means pending changes
    Plan(yard::plan::PlanArgs),
    /// Remove everything that a yard has in the cloud
    Down(yard::down::DownArgs),
    /// Show the state of a yard's resources and stacks
    Status(yard::status::StatusArgs),
    /// Print the end of a server's console log
    Console(yard::console::ConsoleArgs),
    /// Draw a yard and its resources as a tree or a picture
    Graph(yard::graph::GraphArgs),
    /// Find resources created by Stackyard that belong to no known yard
    Sweep(yard::sweep::SweepArgs),
    /// Inspect a yard's networks: MTU, paths, ports and reachability
    #[command(subcommand)]
    Net(net::NetVerb),
    /// Run and manage the server that hosts join
    Server(server::ServerArgs),
    /// Manage machines that run containers
    #[command(subcommand)]
    Host(host::HostVerb),
    /// Deploy Compose files across the hosts of a yard
    #[command(subcommand)]
    Stack(stack::StackVerb),
    /// Manage the Cinder volumes of stacks
    #[command(subcommand)]
    Volume(volume::VolumeVerb),
    /// Manage catalogs, and the packages of a manifest
    #[command(subcommand)]
    Catalog(catalog::CatalogVerb),
    /// Manage tokens for the server's API
    #[command(subcommand)]
    Token(token::TokenVerb),
    /// Show who changed what on the server
    Audit(audit::AuditArgs),
    /// Run OpenStack on this machine, in containers
    #[command(subcommand)]
    Cloud(cloud::CloudVerb),
    /// Build and upload service and guest images
    #[command(subcommand)]
    Image(image::ImageVerb),
    /// Run the agent on a container host
    #[command(subcommand)]
    Agent(agent::AgentVerb),
    /// Print the completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    Man(man::ManArgs),
}

/// Arguments that every verb gets.
pub struct Context {
    /// Printer for results, progress and errors.
    pub printer: Printer,
    /// The state directory.
    pub home: PathBuf,
}

/// Result of a verb that ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done: exit code 0.
    Done,
    /// A check failed or a blocker was found: exit code 1.
    Failed,
    /// Changes are pending (`plan`): exit code 3.
    Pending,
}

/// Runs a verb and returns its exit code: 0 done, 1 failed, 3 changes pending. The parser exits
/// with 2 on bad usage.
pub fn run(cli: Cli) -> ExitCode {
    let printer = Printer::new(cli.json);
    let status = start(cli, &printer);
    printer.finish();
    match status {
        Ok(ExitStatus::Done) => ExitCode::SUCCESS,
        Ok(ExitStatus::Failed) => ExitCode::FAILURE,
        Ok(ExitStatus::Pending) => ExitCode::from(3),
        // `stackyard ... | head` ends quietly.
        Err(error) if error.is::<ReaderGone>() => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let home = match cli.home {
        Some(dir) => std::path::absolute(dir)?,
        None => stackyard_cloud::home::default_dir()?,
    };
    let context = Context { printer: printer.clone(), home };
    let runtime = match &cli.verb {
        // Each container that starts waits on a thread of its own for its network.
        TopVerb::Agent(verb) if verb.is_standalone() => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .max_blocking_threads(64)
            .build()?,
        // An agent shares its machine with the containers it runs: one thread is enough.
        TopVerb::Agent(_) => {
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build()?
        }
        // A server stays, mostly idle.
        TopVerb::Server(args) if args.serves() => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .max_blocking_threads(8)
            .build()?,
        _ => tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
    };
    runtime.block_on(async {
        match cli.verb {
            TopVerb::Init(args) => yard::init::run(args, &context).await,
            TopVerb::Up(args) => yard::up::run(args, &context).await,
            TopVerb::Plan(args) => yard::plan::run(args, &context).await,
            TopVerb::Down(args) => yard::down::run(args, &context).await,
            TopVerb::Status(args) => yard::status::run(args, &context).await,
            TopVerb::Console(args) => yard::console::run(args, &context).await,
            TopVerb::Graph(args) => yard::graph::run(args, &context).await,
            TopVerb::Sweep(args) => yard::sweep::run(args, &context).await,
            TopVerb::Net(verb) => net::run(verb, &context).await,
            TopVerb::Server(args) => server::run(args, &context).await,
            TopVerb::Host(verb) => host::run(verb, &context).await,
            TopVerb::Stack(verb) => stack::run(verb, &context).await,
            TopVerb::Volume(verb) => volume::run(verb, &context).await,
            TopVerb::Catalog(verb) => catalog::run(verb, &context).await,
            TopVerb::Token(verb) => token::run(verb, &context).await,
            TopVerb::Audit(args) => audit::run(args, &context).await,
            TopVerb::Cloud(verb) => cloud::run(verb, &context).await,
            TopVerb::Image(verb) => image::run(verb, &context).await,
            TopVerb::Agent(verb) => agent::run(verb, &context).await,
            TopVerb::Completions(args) => completions::run(&args, &context),
            TopVerb::Man(args) => man::run(&args),
        }
    })
}

#[cfg(test)]
#[path = "help_tests.rs"]
mod help_tests;
