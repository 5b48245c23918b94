//! The binary of Stackyard: it parses the command line, calls the crates and prints their results.

#![deny(clippy::print_stdout, clippy::print_stderr, reason = "these panic if the reader goes away; use the printer")]

mod cli;
mod printer;

use clap::Parser;
use stackyard_agent::network::cni::shim;
use stackyard_yard::{RENDER_TEMPLATES, render_templates};
use std::process::ExitCode;

fn main() -> ExitCode {
    // First, because container runtimes start the CNI plugin for each container and wait for it.
    if std::env::args_os().next().is_some_and(|program| shim::is_called(&program)) {
        return shim::main();
    }
    if std::env::args_os().nth(1).is_some_and(|argument| argument == RENDER_TEMPLATES) {
        return if render_templates().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let cli = cli::Cli::parse();
    cli::run(cli)
}
