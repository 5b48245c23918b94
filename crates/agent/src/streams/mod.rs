//! Streams that people at the server look at: logs, programs in containers, and what gets through.
//!
//! All share one connection, and each has a window of its own in both directions
//! ([`stackyard_core::agent::WINDOW`]): a program whose output is not read waits, and so does input
//! that a program does not read. Neither holds up what else the server and this host say.

mod exec;
mod flow;
mod logs;
mod measure;
mod top;

use crate::context::Context;
use crate::stacks::Stacks;
use flow::{StreamFeed, StreamInputs, StreamOutput};
use stackyard_core::agent::{Open, ToServer};
use stackyard_platform::stack::SessionOptions;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// The open streams of a connection; all end with it.
pub(crate) struct Streams {
    context: Arc<Context>,
    stacks: Arc<Stacks>,
    out: mpsc::Sender<ToServer>,
    open: HashMap<u64, StreamHandle>,
}

/// Dropping it ends the stream.
struct StreamHandle {
    feed: StreamFeed,
    _closed: oneshot::Sender<()>,
}

/// What the server sends for a stream.
pub(crate) enum StreamInput {
    Data(Vec<u8>),
    End,
    Size(u16, u16),
}

impl Streams {
    pub(crate) fn new(context: Arc<Context>, stacks: Arc<Stacks>, out: mpsc::Sender<ToServer>) -> Self {
        Self { context, stacks, out, open: HashMap::new() }
    }

    pub(crate) fn open(&mut self, stream: u64, open: Open) {
        self.open.retain(|_, handle| !handle.feed.is_closed());
        let (feed, out, inputs) = flow::stream(stream, &self.out);
        let (closed, mut closing) = oneshot::channel();
        let (context, stacks) = (self.context.clone(), self.stacks.clone());
        tokio::spawn(async move {
            let ended = show(&context, &stacks, open, &out, inputs, &mut closing).await;
            let (status, error) = match ended {
                Ok(status) => (status, None),
                Err(error) => (None, Some(error)),
            };
            out.end(status, error).await;
        });
        self.open.insert(stream, StreamHandle { feed, _closed: closed });
    }

    /// Input of a stream; none ends it.
    pub(crate) fn input(&mut self, stream: u64, data: Vec<u8>) {
        self.feed(stream, if data.is_empty() { StreamInput::End } else { StreamInput::Data(data) });
    }

    pub(crate) fn resize(&mut self, stream: u64, rows: u16, columns: u16) {
        self.feed(stream, StreamInput::Size(rows, columns));
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
    fn feed(&mut self, stream: u64, input: StreamInput) {
        if self.open.get(&stream).is_some_and(|handle| !handle.feed.put(input)) {
            self.open.remove(&stream);
            self.context
                .say(format!("stream {stream} is closed: the server sent more input than it was given credit for"));
        }
    }
}

/// Shows a stream until it ends or is closed; returns the exit status of a program.
async fn show(
    context: &Context,
    stacks: &Stacks,
    open: Open,
    out: &StreamOutput,
    inputs: StreamInputs,
    closing: &mut oneshot::Receiver<()>,
) -> Result<Option<i64>, String> {
    match open {
        Open::Measure { measure } => measure::run(context, measure, out, inputs, closing).await.map(|()| None),
        Open::Logs { stack, replicas, follow, tail, since } => {
            let engine = context.engine()?;
            let request = logs::LogRequest { stack, follow, tail, since };
            let replicas = logs::replicas(&engine, stacks, &request, replicas).await?;
            tokio::select! {
                _ = closing => Ok(None),
                ended = logs::show(&engine, stacks, &request, replicas, out) => ended.map(|()| None),
            }
        }
        Open::Top { stack, replicas } => {
            let engine = context.engine()?;
            tokio::select! {
                _ = closing => Ok(None),
                ended = top::run(&engine, &stack, &replicas, out) => ended.map(|()| None),
            }
        }
        Open::Exec { stack, replica, command, tty, stdin, user } => {
            let options = SessionOptions { command, tty, stdin, user };
            exec::run(&context.engine()?, &stack, &replica, options, out, inputs, closing).await
        }
    }
}
