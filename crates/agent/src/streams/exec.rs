//! Programs in containers, `stack exec`: their input and output over a stream.

use super::StreamInput;
use super::flow::{StreamInputs, StreamOutput};
use futures_util::StreamExt;
use stackyard_core::agent::{Replica, Stream};
use stackyard_core::text::error_chain;
use stackyard_platform::stack::{Engine, Session, SessionControl, SessionOptions, Source};
use std::pin::Pin;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;

/// Largest piece of a program's output that is sent at once, in bytes.
const PIECE: usize = 32 << 10;

/// Runs a program in a container until it ends or the stream is closed; returns its exit status.
pub(super) async fn run(
    engine: &Engine,
    stack: &str,
    replica: &Replica,
    options: SessionOptions,
    out: &StreamOutput,
    inputs: StreamInputs,
    closing: &mut oneshot::Receiver<()>,
) -> Result<Option<i64>, String> {
    let stdin = options.stdin;
    let session = engine.session(stack, &replica.to_string(), options).await.map_err(|e| error_chain(&e))?;
    let control = session.control.clone();
    let ended = tokio::select! {
        _ = closing => None,
        ended = carry(session, replica, out, inputs, stdin) => Some(ended),
    };
    match ended {
        Some(Ok(())) => control.status().await.map(Some).map_err(|e| error_chain(&e)),
        Some(Err(error)) => Err(error),
        None => {
            // Nobody would ever see it end.
            control.kill().await;
            Ok(None)
        }
    }
}

/// Carries input and output until the output ends.
async fn carry(
    session: Session,
    replica: &Replica,
    out: &StreamOutput,
    mut inputs: StreamInputs,
    stdin: bool,
) -> Result<(), String> {
    let Session { mut output, input, control } = session;
    let output = async {
        while let Some(piece) = output.next().await {
            let (source, data) = piece.map_err(|e| error_chain(&e))?;
            let from = if source == Source::Stderr { Stream::Stderr } else { Stream::Stdout };
            for piece in data.chunks(PIECE) {
                if !out.send(Some(replica), from, piece.to_vec()).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    };
    let input = async {
        let mut input = stdin.then_some(input);
        while let Some(next) = inputs.recv().await {
            feed(&control, &mut input, next).await;
        }
        // Closed from the other side, which `closing` tells.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = output => ended,
        () = input => Ok(()),
    }
}

/// Hands one piece of input on; a program that does not want any more is none of our errors.
async fn feed(control: &SessionControl, input: &mut Option<Pin<Box<dyn AsyncWrite + Send>>>, next: StreamInput) {
    match (next, input.as_mut()) {
        (StreamInput::Size(rows, columns), _) => control.resize(rows, columns).await,
        (StreamInput::Data(data), Some(writer)) => {
            if writer.write_all(&data).await.is_err() || writer.flush().await.is_err() {
                *input = None;
            }
        }
        (StreamInput::End, Some(writer)) => {
            let _ = writer.shutdown().await;
            *input = None;
        }
        (_, None) => {}
    }
}
