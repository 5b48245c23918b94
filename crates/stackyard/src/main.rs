//! The one binary of Stackyard: it reads the command line, calls the crates and prints.

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
    restore_sigpipe_semantics();
    let cli = cli::Cli::parse();
    cli::run(cli)
}

/// `stackyard ... | head` must end quietly: a closed standard output ends the process
/// instead of a panic inside `println!`.
fn restore_sigpipe_semantics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let broken_pipe = info.payload().downcast_ref::<String>().is_some_and(|m| m.contains("Broken pipe"));
        if broken_pipe {
            std::process::exit(0);
        }
        default(info);
    }));
}
