//! Running programs of the system: those of util-linux, of file systems, iptables.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Why a program of the system did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is missing.
    #[error("cannot {doing}: there is no program {program}; install the package {package}")]
    Missing {
        /// What was tried.
        doing: String,
        /// Its name.
        program: String,
        /// Debian's package with it.
        package: &'static str,
    },
    /// A program failed.
    #[error("cannot {doing}: {program} ended with {status}: {said}")]
    Failed {
        /// What was tried.
        doing: String,
        /// Its name.
        program: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error.
        said: String,
    },
    /// The system does not run a program.
    #[error("cannot run {}", path.display())]
    Run {
        /// The program's file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Where programs of the system lie; the `PATH` of a unit may be anything.
const FOLDERS: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// Finds a program.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// Runs a program to its end; any exit status will do. `package` is Debian's package with it.
pub(crate) fn run(doing: &str, program: &str, package: &'static str, arguments: &[&OsStr]) -> Result<Output, Error> {
    let path = find(program).ok_or_else(|| Error::Missing {
        doing: doing.to_owned(),
        program: program.to_owned(),
        package,
    })?;
    let mut command = Command::new(&path);
    command.args(arguments).stdin(Stdio::null()).env("LC_ALL", "C");
    command.output().map_err(|source| Error::Run { path, source })
}

/// Runs a program that must succeed.
pub(crate) fn must(doing: &str, program: &str, package: &'static str, arguments: &[&OsStr]) -> Result<(), Error> {
    let output = run(doing, program, package, arguments)?;
    if output.status.success() { Ok(()) } else { Err(failed(doing, program, &output)) }
}

pub(crate) fn failed(doing: &str, program: &str, output: &Output) -> Error {
    Error::Failed {
        doing: doing.to_owned(),
        program: program.to_owned(),
        status: output.status.to_string(),
        said: said(output),
    }
}

/// What a program wrote, on one line.
pub(crate) fn said(output: &Output) -> String {
    let text = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    if lines.is_empty() { "(nothing)".to_owned() } else { lines.join("; ") }
}
