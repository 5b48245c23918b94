//! Streams: logs and programs in containers.
//!
//! What an agent sends waits here until the stream's reader takes it, at most a window of it
//! ([`stackyard_core::agent::WINDOW`]). The connection never waits for a reader.

use parking_lot::{Mutex, MutexGuard};
use stackyard_core::agent::{Bytes, Open, Replica, Room, Stream, Taken, ToAgent, WINDOW, cost};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc};

/// Largest piece of input that is sent at once, in bytes.
const PIECE: usize = 32 << 10;

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

/// The connection's end of a stream. Dropped, the reader sees that the connection is gone.
#[derive(Debug)]
struct StreamEntry {
    output: mpsc::UnboundedSender<Output>,
    room: Arc<Room>,
    /// Bytes of input that the agent has room for.
    input: Arc<Semaphore>,
}

impl Drop for StreamEntry {
    fn drop(&mut self) {
        self.input.close();
    }
}

/// The streams of a connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AgentStreams {
    to_agent: mpsc::Sender<ToAgent>,
    open: Arc<Mutex<HashMap<u64, StreamEntry>>>,
    next: Arc<AtomicU64>,
}

impl AgentStreams {
    pub fn new(to_agent: mpsc::Sender<ToAgent>) -> Self {
        Self { to_agent, open: Arc::default(), next: Arc::new(AtomicU64::new(1)) }
    }

    /// Opens a stream; nothing if the connection has ended or takes nothing more.
    pub fn open(&self, open: Open) -> Option<AgentStream> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, output) = mpsc::unbounded_channel();
        let (room, input) = (Arc::new(Room::default()), Arc::new(Semaphore::new(WINDOW as usize)));
        self.map().insert(number, StreamEntry { output: sender, room: room.clone(), input: input.clone() });
        if self.to_agent.try_send(ToAgent::Open { stream: number, open }).is_err() {
            self.map().remove(&number);
            return None;
        }
        let to_agent = self.to_agent.clone();
        Some(AgentStream { number, to_agent, output, room, taken: Taken::default(), input, ended: false })
    }

    /// Hands a piece of output to its reader; false if the agent is to close the stream, since nobody
    /// reads it or the agent sends more than it was given credit for.
    pub fn deliver(&self, number: u64, replica: Option<Replica>, from: Stream, data: Vec<u8>) -> bool {
        let mut map = self.map();
        let Some(entry) = map.get(&number) else { return false };
        if entry.room.take(data.len()) {
            if entry.output.send(Output::Chunk { replica, from, data }).is_ok() {
                return true;
            }
        } else {
            let error = "the host's agent sent more than was asked for".to_owned();
            let _ = entry.output.send(Output::End { status: None, error: Some(error) });
        }
        map.remove(&number);
        false
    }

    /// The agent has taken so much input, in bytes.
    pub fn credit(&self, number: u64, bytes: u32) {
        if let Some(entry) = self.map().get(&number) {
            // Never more than a window, whatever an agent says.
            let most = (WINDOW as usize).saturating_sub(entry.input.available_permits());
            entry.input.add_permits(most.min(bytes as usize));
        }
    }

    /// A stream has ended.
    pub fn end(&self, number: u64, status: Option<i64>, error: Option<String>) {
        if let Some(entry) = self.map().remove(&number) {
            let _ = entry.output.send(Output::End { status, error });
        }
    }

    /// Ends all: their readers see that the connection is gone.
    pub fn clear(&self) {
        self.map().clear();
    }

    fn map(&self) -> MutexGuard<'_, HashMap<u64, StreamEntry>> {
        self.open.lock()
    }
}

/// A stream to a host. Dropped, it is closed there too.
#[derive(Debug)]
pub struct AgentStream {
    number: u64,
    to_agent: mpsc::Sender<ToAgent>,
    output: mpsc::UnboundedReceiver<Output>,
    room: Arc<Room>,
    taken: Taken,
    input: Arc<Semaphore>,
    ended: bool,
}

impl AgentStream {
    /// What comes next; nothing after an [`Output::End`]. A lost connection is an end with an error.
    pub async fn next(&mut self) -> Option<Output> {
        if self.ended {
            return None;
        }
        // Dropped before its end, this loses nothing: credit is given once there is a place for it.
        if let Some(bytes) = self.taken.due()
            && let Ok(place) = self.to_agent.reserve().await
        {
            self.room.give(bytes);
            self.taken.told();
            place.send(ToAgent::Credit { stream: self.number, bytes });
        }
        let output = self.output.recv().await.unwrap_or_else(|| Output::End {
            status: None,
            error: Some("the connection to the host was lost".to_owned()),
        });
        match &output {
            Output::Chunk { data, .. } => self.taken.add(data.len()),
            Output::End { .. } => self.ended = true,
        }
        Some(output)
    }

    /// Where input goes, to be used at the same time as [`Self::next`].
    pub fn input(&self) -> StreamInput {
        StreamInput { number: self.number, to_agent: self.to_agent.clone(), credit: self.input.clone() }
    }
}

impl Drop for AgentStream {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let close = ToAgent::Close { stream: self.number };
        // An agent without credit sends nothing that could be answered with a close later.
        if let Err(TrySendError::Full(close)) = self.to_agent.try_send(close)
            && let Ok(runtime) = Handle::try_current()
        {
            let to_agent = self.to_agent.clone();
            runtime.spawn(async move { to_agent.send(close).await });
        }
    }
}

/// The input of a stream. A host that is gone swallows it.
#[derive(Debug, Clone)]
pub struct StreamInput {
    number: u64,
    to_agent: mpsc::Sender<ToAgent>,
    credit: Arc<Semaphore>,
}

impl StreamInput {
    /// Sends bytes, once the other side has room for them; none closes the input.
    pub async fn send(&self, data: Vec<u8>) {
        if data.is_empty() {
            return self.put(data).await;
        }
        for piece in data.chunks(PIECE) {
            // Closed when the stream has ended.
            let Ok(credit) = self.credit.acquire_many(cost(piece.len())).await else { return };
            credit.forget();
            self.put(piece.to_vec()).await;
        }
    }

    async fn put(&self, data: Vec<u8>) {
        let _ = self.to_agent.send(ToAgent::Input { stream: self.number, data: Bytes(data) }).await;
    }

    /// Says that the terminal has another size.
    pub async fn resize(&self, rows: u16, columns: u16) {
        let _ = self.to_agent.send(ToAgent::Resize { stream: self.number, rows, columns }).await;
    }
}
