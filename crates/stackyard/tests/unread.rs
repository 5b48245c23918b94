//! A reader that closes the pipe (`stackyard ... | head`) ends the program without a message.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::PipeWriter;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A pipe without a reader.
fn unread() -> PipeWriter {
    let (_, writer) = std::io::pipe().unwrap();
    writer
}

fn stackyard(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
    command.args(["--home", "/nonexistent/home"]).args(arguments).stdin(Stdio::null());
    command
}

#[test]
fn a_result_without_a_reader_is_no_error() {
    for arguments in [
        &["--help"][..],
        &["help", "net", "doctor"],
        &["--version"],
        &["completions", "zsh"],
        &["cloud", "answers"],
        &["cloud", "answers", "--json"],
        &["net", "mtu", "vxlan"],
    ] {
        let output = stackyard(arguments).stdout(unread()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{arguments:?}");
    }
}

#[test]
fn a_reader_that_stops_early_gets_its_lines() {
    let pipe = format!("'{}' completions zsh | head -n 1; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_stackyard"));
    let output = Command::new("bash").args(["-c", &pipe]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    assert_eq!((text(output.stdout).as_str(), text(output.stderr).as_str()), ("#compdef stackyard\n0\n", ""));
}

#[test]
fn an_error_without_a_reader_keeps_its_exit_code() {
    let mut down = stackyard(&["cloud", "down", "--purge"]);
    assert_eq!(down.stdout(unread()).stderr(unread()).status().unwrap().code(), Some(1));
}

#[test]
fn a_server_runs_without_a_reader_of_its_log() {
    let home = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stackyard"));
        command.arg("--home").arg(home.path()).args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        command
    };
    let mut server = command(&["server", "--listen", "127.0.0.1:0"]).stderr(unread()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !command(&["server", "status"]).status().unwrap().success() {
        assert!(server.try_wait().unwrap().is_none() && Instant::now() < until, "the server does not run");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(command(&["server", "stop"]).status().unwrap().success());
    assert!(server.wait().unwrap().success());
}

#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = stackyard(&["net", "mtu", "vxlan"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.starts_with("error: cannot write to standard output\n"), "{text}");
}
