//! The only place that writes to standard output and standard error.
//!
//! The macros `println!` and `eprintln!` panic if the reader of a pipe has gone away
//! (`stackyard ... | head`). These functions return [`ReaderGone`] or ignore it instead.

use anyhow::Context as _;
use std::io::{ErrorKind, Write};

/// Standard output has no reader any longer. The program then ends without a message.
#[derive(Debug)]
pub struct ReaderGone;

impl std::fmt::Display for ReaderGone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("standard output has no reader")
    }
}

impl std::error::Error for ReaderGone {}

/// Writes to standard output.
///
/// # Errors
/// [`ReaderGone`] if the reader has closed the pipe; else an error of the write, such as a full
/// disk.
pub fn to_stdout(bytes: &[u8]) -> anyhow::Result<()> {
    checked(&mut std::io::stdout().lock(), bytes)
}

/// Writes to standard error. If its reader has gone away (`2>&1 | head`), the work continues.
pub fn to_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn checked(out: &mut impl Write, bytes: &[u8]) -> anyhow::Result<()> {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        other => other.context("cannot write to standard output"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broken_pipe_means_that_the_reader_is_gone() {
        let (reader, mut pipe) = std::io::pipe().expect("a pipe");
        assert!(checked(&mut pipe, b"read").is_ok());
        drop(reader);
        let error = checked(&mut pipe, b"unread").expect_err("no reader");
        assert!(error.is::<ReaderGone>() && error.context("printing the plan").is::<ReaderGone>());
        let mut full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let error = checked(&mut full, b"text").expect_err("no space");
        assert!(!error.is::<ReaderGone>() && error.to_string() == "cannot write to standard output");
        // A broken pipe of something else is an error like others.
        let other = std::io::Error::from(ErrorKind::BrokenPipe);
        assert!(!anyhow::Error::new(other).context("cannot ask the server").is::<ReaderGone>());
    }
}
