//! Streams: logs and programs in containers.

use stackyard_core::agent::{Bytes, Open, Replica, Stream, ToAgent};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Pieces that wait for a stream's reader.
const WAITING: usize = 64;

/// What comes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Something that was written.
    Chunk {
        /// Whose output, where a stream shows several containers.
        replica: Option<Replica>,
        /// Where it was written.
        from: Stream,
        /// The bytes.
        data: Vec<u8>,
    },
    /// The last of a stream.
    End {
        /// Exit status of a program.
        status: Option<i64>,
        /// What went wrong.
        error: Option<String>,
    },
}

/// The streams of a connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    to_agent: mpsc::Sender<ToAgent>,
    open: Arc<Mutex<HashMap<u64, mpsc::Sender<Output>>>>,
    next: Arc<AtomicU64>,
}

impl Streams {
    pub fn new(to_agent: mpsc::Sender<ToAgent>) -> Self {
        Self { to_agent, open: Arc::default(), next: Arc::new(AtomicU64::new(1)) }
    }

    /// Opens a stream; nothing if the connection has ended or takes nothing more.
    pub fn open(&self, open: Open) -> Option<AgentStream> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, output) = mpsc::channel(WAITING);
        self.map().insert(number, sender);
        if self.to_agent.try_send(ToAgent::Open { stream: number, open }).is_err() {
            self.map().remove(&number);
            return None;
        }
        Some(AgentStream { number, to_agent: self.to_agent.clone(), output, ended: false })
    }

    /// Where a stream's output goes; nothing if nobody looks any more.
    pub fn get(&self, number: u64) -> Option<mpsc::Sender<Output>> {
        self.map().get(&number).cloned()
    }

    pub fn remove(&self, number: u64) -> Option<mpsc::Sender<Output>> {
        self.map().remove(&number)
    }

    /// Ends all: their readers see that the connection is gone.
    pub fn clear(&self) {
        self.map().clear();
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<u64, mpsc::Sender<Output>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream to a host. Dropped, it is closed there too.
#[derive(Debug)]
pub struct AgentStream {
    number: u64,
    to_agent: mpsc::Sender<ToAgent>,
    output: mpsc::Receiver<Output>,
    ended: bool,
}

impl AgentStream {
    /// What comes next; nothing after an [`Output::End`]. A lost connection is an end with an error.
    pub async fn next(&mut self) -> Option<Output> {
        if self.ended {
            return None;
        }
        let output = self.output.recv().await.unwrap_or_else(|| Output::End {
            status: None,
            error: Some("the connection to the host was lost".to_owned()),
        });
        self.ended = matches!(output, Output::End { .. });
        Some(output)
    }

    /// Where input goes, to be used beside [`Self::next`].
    pub fn input(&self) -> StreamInput {
        StreamInput { number: self.number, to_agent: self.to_agent.clone() }
    }
}

impl Drop for AgentStream {
    fn drop(&mut self) {
        if !self.ended {
            // If the queue is full, the agent is told when its next piece finds no reader.
            let _ = self.to_agent.try_send(ToAgent::Close { stream: self.number });
        }
    }
}

/// The input of a stream. A host that is gone swallows it.
#[derive(Debug, Clone)]
pub struct StreamInput {
    number: u64,
    to_agent: mpsc::Sender<ToAgent>,
}

impl StreamInput {
    /// Sends bytes; none closes the input.
    pub async fn send(&self, data: Vec<u8>) {
        let _ = self.to_agent.send(ToAgent::Input { stream: self.number, data: Bytes(data) }).await;
    }

    /// Says that the terminal has another size.
    pub async fn resize(&self, rows: u16, columns: u16) {
        let _ = self.to_agent.send(ToAgent::Resize { stream: self.number, rows, columns }).await;
    }
}
