//! Running the tools of util-linux and of file systems.

use super::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where programs of the system lie; the `PATH` of a unit may be anything.
const FOLDERS: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// Finds a program.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.is_file())
}

/// Runs a program to its end; any exit status will do. `package` is Debian's package with it.
pub(crate) fn run(doing: &str, program: &str, package: &'static str, arguments: &[&OsStr]) -> Result<Output, Error> {
    let path = find(program).ok_or_else(|| Error::NoProgram {
        doing: doing.to_owned(),
        program: program.to_owned(),
        package,
    })?;
    let mut command = Command::new(&path);
    command.args(arguments).stdin(Stdio::null()).env("LC_ALL", "C");
    command.output().map_err(Error::system("run", path))
}

/// Runs a program that must succeed.
pub(super) fn must(doing: &str, program: &str, package: &'static str, arguments: &[&OsStr]) -> Result<(), Error> {
    let output = run(doing, program, package, arguments)?;
    if output.status.success() { Ok(()) } else { Err(failed(doing, program, &output)) }
}

pub(crate) fn failed(doing: &str, program: &str, output: &Output) -> Error {
    Error::Program {
        doing: doing.to_owned(),
        program: program.to_owned(),
        status: output.status.to_string(),
        said: said(output),
    }
}

/// What a program wrote, on one line.
pub(super) fn said(output: &Output) -> String {
    let text = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    if lines.is_empty() { "(nothing)".to_owned() } else { lines.join("; ") }
}
