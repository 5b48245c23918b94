//! Streams that people at the server look at: logs, programs in containers, and what gets through.
//!
//! All output goes through one bounded queue: a program that writes faster than the connection
//! takes it waits. Input that a program does not read waits too, for a while; then the program is
//! given up, so that it does not hold up what else the server says.

use crate::error::chain;
use crate::host::Host;
use crate::logs;
use crate::parts::Parts;
use crate::probe;
use futures_util::StreamExt;
use stackyard_core::agent::{Bytes, Open, Replica, Stream, ToServer};
use stackyard_platform::stack::{Session, SessionControl, SessionOptions, Source};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Pieces of input that wait for their program.
const QUEUE: usize = 16;

/// How long input may wait for a program that does not read.
const PATIENCE: Duration = Duration::from_secs(10);

/// The open streams of a connection; all end with it.
pub(crate) struct Streams {
    host: Arc<Host>,
    parts: Arc<Parts>,
    out: mpsc::Sender<ToServer>,
    open: HashMap<u64, Handle>,
}

/// Dropping it ends the stream.
struct Handle {
    input: mpsc::Sender<Input>,
    _closed: oneshot::Sender<()>,
}

pub(crate) enum Input {
    Data(Vec<u8>),
    End,
    Size(u16, u16),
}

impl Streams {
    pub(crate) fn new(host: Arc<Host>, parts: Arc<Parts>, out: mpsc::Sender<ToServer>) -> Self {
        Self { host, parts, out, open: HashMap::new() }
    }

    pub(crate) fn open(&mut self, stream: u64, open: Open) {
        self.open.retain(|_, handle| !handle.input.is_closed());
        let (input, inputs) = mpsc::channel(QUEUE);
        let (closed, mut closing) = oneshot::channel();
        let (host, parts, out) = (self.host.clone(), self.parts.clone(), self.out.clone());
        tokio::spawn(async move {
            let ended = show(&host, &parts, stream, open, &out, inputs, &mut closing).await;
            let (status, error) = match ended {
                Ok(status) => (status, None),
                Err(error) => (None, Some(error)),
            };
            let _ = out.send(ToServer::End { stream, status, error }).await;
        });
        self.open.insert(stream, Handle { input, _closed: closed });
    }

    pub(crate) async fn input(&mut self, stream: u64, data: Vec<u8>) {
        self.send(stream, if data.is_empty() { Input::End } else { Input::Data(data) }).await;
    }

    pub(crate) async fn resize(&mut self, stream: u64, rows: u16, columns: u16) {
        self.send(stream, Input::Size(rows, columns)).await;
    }

    pub(crate) fn close(&mut self, stream: u64) {
        self.open.remove(&stream);
    }

    /// What comes for a stream that has ended is nobody's.
    async fn send(&mut self, stream: u64, input: Input) {
        let Some(handle) = self.open.get(&stream) else { return };
        if timeout(PATIENCE, handle.input.send(input)).await.is_err() {
            self.open.remove(&stream);
            self.host.say(format!("stream {stream} is closed: its program does not read its input"));
        }
    }
}

/// Shows a stream until it ends or is closed; returns the exit status of a program.
async fn show(
    host: &Host,
    parts: &Parts,
    stream: u64,
    open: Open,
    out: &mpsc::Sender<ToServer>,
    inputs: mpsc::Receiver<Input>,
    closing: &mut oneshot::Receiver<()>,
) -> Result<Option<i64>, String> {
    match open {
        Open::Measure { measure } => {
            let said = probe::Said { stream, out: out.clone() };
            probe::run(host, measure, &said, inputs, closing).await.map(|()| None)
        }
        Open::Logs { stack, replicas, follow, tail, since } => {
            let engine = host.engine()?;
            let wanted = logs::Wanted { stack, follow, tail, since };
            let replicas = logs::replicas(&engine, parts, &wanted, replicas).await?;
            tokio::select! {
                _ = closing => Ok(None),
                ended = logs::show(&engine, parts, stream, &wanted, replicas, out) => ended.map(|()| None),
            }
        }
        Open::Exec { stack, replica, command, tty, stdin, user } => {
            let engine = host.engine()?;
            let options = SessionOptions { command, tty, stdin, user };
            let session = engine.session(&stack, &replica.to_string(), options).await.map_err(|e| chain(&e))?;
            let control = session.control.clone();
            let ended = tokio::select! {
                _ = closing => None,
                ended = run(session, stream, &replica, out, inputs, stdin) => Some(ended),
            };
            match ended {
                Some(Ok(())) => control.status().await.map(Some).map_err(|e| chain(&e)),
                Some(Err(error)) => Err(error),
                None => {
                    // Nobody would ever see it end.
                    control.kill().await;
                    Ok(None)
                }
            }
        }
    }
}

/// Carries input and output until the output ends.
async fn run(
    session: Session,
    stream: u64,
    replica: &Replica,
    out: &mpsc::Sender<ToServer>,
    mut inputs: mpsc::Receiver<Input>,
    stdin: bool,
) -> Result<(), String> {
    let Session { mut output, input, control } = session;
    let output = async {
        while let Some(piece) = output.next().await {
            let (source, data) = piece.map_err(|e| chain(&e))?;
            let from = if source == Source::Stderr { Stream::Stderr } else { Stream::Stdout };
            let chunk = ToServer::Chunk { stream, replica: Some(replica.clone()), from, data: Bytes(data) };
            if out.send(chunk).await.is_err() {
                return Ok(());
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
async fn feed(control: &SessionControl, input: &mut Option<Pin<Box<dyn AsyncWrite + Send>>>, next: Input) {
    match (next, input.as_mut()) {
        (Input::Size(rows, columns), _) => control.resize(rows, columns).await,
        (Input::Data(data), Some(writer)) => {
            if writer.write_all(&data).await.is_err() || writer.flush().await.is_err() {
                *input = None;
            }
        }
        (Input::End, Some(writer)) => {
            let _ = writer.shutdown().await;
            *input = None;
        }
        (_, None) => {}
    }
}
