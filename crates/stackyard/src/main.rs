//! The one binary of Stackyard: it reads the command line, calls the crates and prints.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic where a reader goes away; use the printer")]

mod cli;
mod printer;

use clap::Parser;
use stackyard_agent::cni::shim;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before all else: container runtimes start it for each container, and wait.
    if std::env::args_os().next().is_some_and(|program| shim::is_called(&program)) {
        return shim::main();
    }
    let cli = cli::Cli::parse();
    cli::run(cli)
}
