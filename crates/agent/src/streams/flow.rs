//! Both directions of a stream, each with its window.

use super::StreamInput;
use stackyard_core::agent::{Bytes, Replica, Room, Stream, Taken, ToServer, WINDOW, cost};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// A stream's ends: where the connection puts what comes for it, and what its work writes to and
/// reads from.
pub(super) fn stream(number: u64, out: &mpsc::Sender<ToServer>) -> (StreamFeed, StreamOutput, StreamInputs) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (room, credit) = (Arc::new(Room::default()), Arc::new(Semaphore::new(WINDOW as usize)));
    let feed = StreamFeed { input: sender, room: room.clone(), credit: credit.clone() };
    let inputs = StreamInputs { number, input: receiver, room, taken: Taken::default(), out: out.clone() };
    (feed, StreamOutput { number, out: out.clone(), credit }, inputs)
}

/// The connection's end.
pub(super) struct StreamFeed {
    input: mpsc::UnboundedSender<StreamInput>,
    room: Arc<Room>,
    /// Bytes of output that the reader at the server has room for.
    credit: Arc<Semaphore>,
}

impl StreamFeed {
    /// Hands input on; false if the server does not keep to the window. Input of a stream that has
    /// ended is dropped.
    pub(super) fn put(&self, input: StreamInput) -> bool {
        if let StreamInput::Data(data) = &input
            && !self.room.take(data.len())
        {
            return self.is_closed();
        }
        let _ = self.input.send(input);
        true
    }

    /// The reader has taken so many bytes.
    pub(super) fn credit(&self, bytes: u32) {
        // Never more than a window, whatever the server says.
        let most = (WINDOW as usize).saturating_sub(self.credit.available_permits());
        self.credit.add_permits(most.min(bytes as usize));
    }

    pub(super) fn is_closed(&self) -> bool {
        self.input.is_closed()
    }
}

/// Work that waits for credit ends: none comes any more.
impl Drop for StreamFeed {
    fn drop(&mut self) {
        self.credit.close();
    }
}

/// Where a stream's work writes to.
pub(super) struct StreamOutput {
    number: u64,
    out: mpsc::Sender<ToServer>,
    credit: Arc<Semaphore>,
}

impl StreamOutput {
    /// Sends a piece once its reader has room for it; false if the connection is gone.
    pub(super) async fn send(&self, replica: Option<&Replica>, from: Stream, data: Vec<u8>) -> bool {
        let Ok(credit) = self.credit.acquire_many(cost(data.len())).await else { return false };
        credit.forget();
        let chunk = ToServer::Chunk { stream: self.number, replica: replica.cloned(), from, data: Bytes(data) };
        self.out.send(chunk).await.is_ok()
    }

    /// Says that nothing more comes.
    pub(super) async fn end(&self, status: Option<i64>, error: Option<String>) {
        let _ = self.out.send(ToServer::End { stream: self.number, status, error }).await;
    }
}

/// What comes for a stream's work.
pub(super) struct StreamInputs {
    number: u64,
    input: mpsc::UnboundedReceiver<StreamInput>,
    room: Arc<Room>,
    taken: Taken,
    out: mpsc::Sender<ToServer>,
}

impl StreamInputs {
    /// The next input; none if the stream is closed or the connection gone. Dropped before it is
    /// done, it loses nothing.
    pub(super) async fn recv(&mut self) -> Option<StreamInput> {
        if let Some(bytes) = self.taken.due() {
            let place = self.out.reserve().await.ok()?;
            self.room.give(bytes);
            self.taken.told();
            place.send(ToServer::Credit { stream: self.number, bytes });
        }
        let input = self.input.recv().await?;
        if let StreamInput::Data(data) = &input {
            self.taken.add(data.len());
        }
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn output_waits_for_its_own_reader_alone() {
        let (out, mut queue) = mpsc::channel(100_000);
        let (slow, to_slow, _inputs) = stream(1, &out);
        let (_fast, to_fast, _other) = stream(2, &out);
        let mut sent = 0;
        while timeout(SOON, to_slow.send(None, Stream::Stdout, vec![b'x'; 1000])).await.is_ok() {
            sent += 1;
        }
        assert_eq!(sent, WINDOW / cost(1000));
        assert!(timeout(SOON, to_fast.send(None, Stream::Stdout, vec![b'y'])).await.unwrap());
        slow.credit(cost(1000) * 2);
        for fits in [true, true, false] {
            let sent = timeout(SOON, to_slow.send(None, Stream::Stdout, vec![b'x'; 1000])).await;
            assert_eq!(sent.is_ok(), fits);
        }
        slow.credit(u32::MAX);
        slow.credit(u32::MAX);
        while timeout(SOON, to_slow.send(None, Stream::Stdout, vec![b'x'; 1000])).await.is_ok() {
            sent += 1;
        }
        assert_eq!(sent, WINDOW / cost(1000) * 2);
        queue.close();
        assert!(!to_fast.send(None, Stream::Stdout, vec![b'y']).await);
        drop(slow);
        assert!(!to_slow.send(None, Stream::Stdout, vec![b'x'; 1000]).await, "who waits for credit does not for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn input_that_is_not_read_is_bounded_and_credit_comes_back() {
        let (out, mut queue) = mpsc::channel(10);
        let (feed, _to, mut inputs) = stream(1, &out);
        let data = || StreamInput::Data(vec![0; 10_000]);
        let mut fed = 0;
        while feed.put(data()) {
            fed += 1;
        }
        assert_eq!(fed, WINDOW / cost(10_000));
        // A window has no say in the size of a terminal.
        assert!(feed.put(StreamInput::Size(1, 2)));
        for _ in 0..=fed / 2 + 1 {
            inputs.recv().await.unwrap();
        }
        let Some(ToServer::Credit { stream: 1, bytes }) = queue.recv().await else { panic!("no credit") };
        assert!(bytes >= WINDOW / 2);
        assert!(feed.put(data()));
        drop(inputs);
        while feed.put(data()) && !feed.is_closed() {}
        assert!(feed.put(data()), "what comes for a stream that has ended is dropped");
    }
}
