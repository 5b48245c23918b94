//! Flow control of streams.
//!
//! All streams of a host share one connection. Each direction of a stream has a window: who writes
//! may send so much before the reader has taken it, and the reader's end gives back what was taken,
//! with [`ToAgent::Credit`] and [`ToServer::Credit`]. So a reader that does not read holds up its own
//! stream and no other, and neither side keeps more than a window for it. HTTP/2 does the same
//! (RFC 9113, section 5.2).
//!
//! [`ToAgent::Credit`]: super::ToAgent::Credit
//! [`ToServer::Credit`]: super::ToServer::Credit

use std::sync::atomic::{AtomicU32, Ordering};

/// Window of one direction of a stream, in bytes.
pub const WINDOW: u32 = 256 << 10;

/// What a piece takes of the window besides its bytes: the reader's end keeps more than those.
const PIECE: u32 = 128;

/// What a piece of `length` bytes takes of the window, in bytes. One that is larger than the window
/// takes all of it.
pub fn cost(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX).saturating_add(PIECE).min(WINDOW)
}

/// What the reader's end has room for.
#[derive(Debug)]
pub struct Room(AtomicU32);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicU32::new(WINDOW))
    }
}

impl Room {
    /// Takes the room of a piece of `length` bytes; false if there is not so much, and the other side
    /// does not keep to the window.
    pub fn take(&self, length: usize) -> bool {
        let less = |room: u32| room.checked_sub(cost(length));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Gives room back, in bytes.
    pub fn give(&self, bytes: u32) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What a reader has taken and the other side was not told of yet.
#[derive(Debug, Default)]
pub struct Taken(u32);

impl Taken {
    /// The reader has taken a piece of `length` bytes.
    pub fn add(&mut self, length: usize) {
        self.0 += cost(length);
    }

    /// What the other side is to be told now, in bytes: not each piece is worth a message.
    pub fn due(&self) -> Option<u32> {
        (self.0 >= WINDOW / 2).then_some(self.0)
    }

    /// It was told.
    pub fn told(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_comes_back() {
        let (room, mut taken) = (Room::default(), Taken::default());
        let mut sent = 0;
        while room.take(1000) {
            sent += 1;
        }
        assert_eq!(sent, WINDOW / 1128);
        while taken.due().is_none() {
            taken.add(1000);
        }
        let due = taken.due().unwrap();
        assert!((WINDOW / 2..WINDOW / 2 + 1128).contains(&due));
        room.give(due);
        taken.told();
        assert!(room.take(1000) && taken.due().is_none());
    }

    #[test]
    fn a_large_piece_takes_the_whole_window() {
        let room = Room::default();
        assert!(room.take(WINDOW as usize * 3));
        assert!(!room.take(0));
        room.give(cost(usize::MAX));
        assert!(room.take(0) && !room.take(WINDOW as usize));
    }
}
