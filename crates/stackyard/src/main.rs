//! The one binary of Stackyard: it reads the command line, calls the crates and prints.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic where a reader goes away; use the printer")]

mod cli;
mod printer;

use clap::Parser;
use stackyard_agent::cni::shim;
use stackyard_server::{RENDER_TEMPLATES, render_templates};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before all else: container runtimes start it for each container, and wait.
    if std::env::args_os().next().is_some_and(|program| shim::is_called(&program)) {
        return shim::main();
    }
    if std::env::args_os().nth(1).is_some_and(|argument| argument == RENDER_TEMPLATES) {
        return if render_templates().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let cli = cli::Cli::parse();
    cli::run(cli)
}
