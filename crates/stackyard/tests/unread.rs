//! Readers that go away: `stackyard ... | head`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::PipeWriter;
use std::process::{Command, Stdio};

/// A pipe that nobody reads.
fn unread() -> PipeWriter {
    let (_, writer) = std::io::pipe().unwrap();
    writer
}

fn answers(questions: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
    command.args(["--home", "/nonexistent/home", "cloud", "answers"]).args(questions);
    command
}

#[test]
fn a_result_that_nobody_reads_is_no_error() {
    for form in [&[][..], &["--json"]] {
        let output = answers(form).stdout(unread()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{form:?}");
    }
}

#[test]
fn an_error_that_nobody_reads_keeps_its_exit_code() {
    let mut down = Command::new(env!("CARGO_BIN_EXE_stackyard"));
    let down = down.args(["--home", "/nonexistent/home", "cloud", "down", "--purge"]).stdin(Stdio::null());
    assert_eq!(down.stdout(unread()).stderr(unread()).status().unwrap().code(), Some(1));
}
