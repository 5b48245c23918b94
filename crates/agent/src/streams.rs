//! Streams that people at the server look at: logs, programs in containers, and what gets through.
//!
//! All share one connection, and each has a window of its own in both directions
//! ([`stackyard_core::agent::WINDOW`]): a program whose output is not read waits, and so does input
//! that a program does not read. Neither holds up what else the server and this host say.

mod flow;

use crate::host::Host;
use crate::logs;
use crate::parts::Parts;
use crate::probe;
use flow::Feed;
pub(crate) use flow::{Inputs, Out};
use futures_util::StreamExt;
use stackyard_core::agent::{Open, Replica, Stream, ToServer};
use stackyard_core::text::error_chain;
use stackyard_platform::stack::{Session, SessionControl, SessionOptions, Source};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

/// Largest piece of a program's output that is sent at once, in bytes.
const PIECE: usize = 32 << 10;

/// The open streams of a connection; all end with it.
pub(crate) struct Streams {
    host: Arc<Host>,
    parts: Arc<Parts>,
    out: mpsc::Sender<ToServer>,
    open: HashMap<u64, Handle>,
}

/// Dropping it ends the stream.
struct Handle {
    feed: Feed,
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
        self.open.retain(|_, handle| !handle.feed.is_closed());
        let (feed, out, inputs) = flow::stream(stream, &self.out);
        let (closed, mut closing) = oneshot::channel();
        let (host, parts) = (self.host.clone(), self.parts.clone());
        tokio::spawn(async move {
            let ended = show(&host, &parts, open, &out, inputs, &mut closing).await;
            let (status, error) = match ended {
                Ok(status) => (status, None),
                Err(error) => (None, Some(error)),
            };
            out.end(status, error).await;
        });
        self.open.insert(stream, Handle { feed, _closed: closed });
    }

    /// Input of a stream; none ends it.
    pub(crate) fn input(&mut self, stream: u64, data: Vec<u8>) {
        self.feed(stream, if data.is_empty() { Input::End } else { Input::Data(data) });
    }

    pub(crate) fn resize(&mut self, stream: u64, rows: u16, columns: u16) {
        self.feed(stream, Input::Size(rows, columns));
    }

    /// The reader at the server has taken so many bytes.
    pub(crate) fn credit(&mut self, stream: u64, bytes: u32) {
        if let Some(handle) = self.open.get(&stream) {
            handle.feed.credit(bytes);
        }
    }

    pub(crate) fn close(&mut self, stream: u64) {
        self.open.remove(&stream);
    }

    /// What comes for a stream that has ended is nobody's.
    fn feed(&mut self, stream: u64, input: Input) {
        if self.open.get(&stream).is_some_and(|handle| !handle.feed.put(input)) {
            self.open.remove(&stream);
            self.host
                .say(format!("stream {stream} is closed: the server sent more input than it was given credit for"));
        }
    }
}

/// Shows a stream until it ends or is closed; returns the exit status of a program.
async fn show(
    host: &Host,
    parts: &Parts,
    open: Open,
    out: &Out,
    inputs: Inputs,
    closing: &mut oneshot::Receiver<()>,
) -> Result<Option<i64>, String> {
    match open {
        Open::Measure { measure } => probe::run(host, measure, out, inputs, closing).await.map(|()| None),
        Open::Logs { stack, replicas, follow, tail, since } => {
            let engine = host.engine()?;
            let wanted = logs::Wanted { stack, follow, tail, since };
            let replicas = logs::replicas(&engine, parts, &wanted, replicas).await?;
            tokio::select! {
                _ = closing => Ok(None),
                ended = logs::show(&engine, parts, &wanted, replicas, out) => ended.map(|()| None),
            }
        }
        Open::Exec { stack, replica, command, tty, stdin, user } => {
            let engine = host.engine()?;
            let options = SessionOptions { command, tty, stdin, user };
            let session = engine.session(&stack, &replica.to_string(), options).await.map_err(|e| error_chain(&e))?;
            let control = session.control.clone();
            let ended = tokio::select! {
                _ = closing => None,
                ended = run(session, &replica, out, inputs, stdin) => Some(ended),
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
    }
}

/// Carries input and output until the output ends.
async fn run(session: Session, replica: &Replica, out: &Out, mut inputs: Inputs, stdin: bool) -> Result<(), String> {
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
