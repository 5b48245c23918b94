//! `stackyard stack exec`

use super::YardNameArgs;
use crate::cli::{Context, ExitStatus};
use anyhow::{Context as _, bail};
use futures_util::StreamExt;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use stackyard_api::{ExecInput, ExecOutput};
use stackyard_client::{ExecQuery, ExecSink};
use stackyard_core::agent::Bytes;
use std::io::{IsTerminal, Read, Write};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Arguments of `stackyard stack exec`.
#[derive(clap::Args)]
pub struct ExecArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Run as this user of the container
    #[arg(short, long)]
    user: Option<String>,

    /// Do not allocate a terminal
    #[arg(short = 'T', long)]
    no_tty: bool,

    /// Name of the stack
    stack: String,

    /// Service or container, such as `web`, `web-2` or `web@host-1`
    ///
    /// The name of a service selects its first running container. Append `@HOST` to select a host.
    service: String,

    /// Program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// A terminal in raw mode. Dropping it restores the previous mode.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> anyhow::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// Runs a program, and exits with its exit status.
pub async fn run(args: ExecArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let client = args.yard.client(context)?;
    let tty = !args.no_tty && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let query = ExecQuery { replica: args.service, command: args.command, tty, stdin: true, user: args.user };
    let session = client.stack_exec(&args.yard.yard, &args.stack, &query).await?;
    let (sink, mut output) = session.split();
    let raw = if tty { Some(RawTerminal::enter()?) } else { None };
    let input = tokio::spawn(feed(sink, tty));
    let mut end = None;
    while let Some(piece) = output.next().await {
        match piece {
            ExecOutput::Stdout(Bytes(data)) => context.printer.bytes(&data)?,
            ExecOutput::Stderr(Bytes(data)) => {
                std::io::stderr().write_all(&data).context("cannot write to standard error")?;
            }
            ExecOutput::End { status, error } => end = Some((status, error)),
        }
    }
    input.abort();
    drop(raw);
    match end {
        Some((_, Some(error))) => bail!("{error}"),
        Some((Some(0), None)) => Ok(ExitStatus::Done),
        Some((Some(status), None)) => {
            context.printer.finish();
            // The thread that reads standard input cannot be stopped, so do not wait for it.
            std::process::exit(i32::try_from(status).unwrap_or(1));
        }
        _ => bail!("cannot follow the program: lost the connection to the server"),
    }
}

/// Sends standard input and the size of the terminal to the program.
async fn feed(mut sink: ExecSink, tty: bool) {
    let mut pieces = read_input();
    let mut resized = signal(SignalKind::window_change()).ok().filter(|_| tty);
    if tty {
        resize(&mut sink).await;
    }
    loop {
        let changed = async {
            match &mut resized {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        let sent = tokio::select! {
            piece = pieces.recv() => match piece {
                Some(data) => sink.send(&ExecInput::Input(Bytes(data))).await,
                None => {
                    sink.send(&ExecInput::Eof).await;
                    // The sink stays open: the program still has output to send.
                    return std::future::pending().await;
                }
            },
            _ = changed => resize(&mut sink).await,
        };
        if !sent {
            return;
        }
    }
}

async fn resize(sink: &mut ExecSink) -> bool {
    match tcgetwinsize(std::io::stdout()) {
        Ok(size) => sink.send(&ExecInput::Resize(size.ws_row, size.ws_col)).await,
        Err(_) => true,
    }
}

/// Standard input, read by a thread of its own, because the read cannot be interrupted.
fn read_input() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(4);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(read) = std::io::stdin().lock().read(&mut buffer) {
            if read == 0 || sender.blocking_send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}
