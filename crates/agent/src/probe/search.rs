//! A search from here, and an ear for one that comes here.

use super::icmp::{Complaint, SLICE, Socket};
use rustix::io::Errno;
use stackyard_core::agent::{Ear, Heard};
use stackyard_core::mtu::search::{Fate, Found, Prober, search};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long an answer to the first packet may take.
const FIRST: Duration = Duration::from_secs(1);

/// The least that is waited for an answer once it is known how long they take.
const LEAST: Duration = Duration::from_millis(200);

/// The same where it may come over the server, from who listens.
const LEAST_HEARD: Duration = Duration::from_millis(400);

/// At most so many bytes a second are sent by a search, and so many packets: it is no load on anything.
const BYTES_A_SECOND: u32 = 100_000;
const PAUSE: Duration = Duration::from_millis(10);

/// An ear is closed after so long, whoever forgot it.
const LONGEST: Duration = Duration::from_secs(180);

/// A search that goes on.
pub(super) struct Search<'a> {
    socket: Socket,
    identifier: u16,
    sequence: u16,
    /// The first packet of the size that is being tried.
    first: u16,
    token: u64,
    /// Numbers of packets that arrived, from who listens.
    heard: Option<mpsc::Receiver<u16>>,
    patience: Duration,
    /// When the next packet may be sent.
    next: Instant,
    stop: &'a AtomicBool,
}

/// Searches the largest packet that gets to an address, of `most` bytes at most.
pub(crate) fn largest(
    to: IpAddr,
    token: u64,
    most: u32,
    heard: Option<mpsc::Receiver<u16>>,
    stop: &AtomicBool,
) -> io::Result<Found> {
    let mut prober = Search {
        socket: Socket::to(to)?,
        identifier: rand::random(),
        sequence: 0,
        first: 1,
        token,
        heard,
        patience: FIRST,
        next: Instant::now(),
        stop,
    };
    search(&mut prober, most)
}

impl Prober for Search<'_> {
    type Error = io::Error;

    fn probe(&mut self, size: u32, attempt: u32) -> io::Result<Fate> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "its caller is gone"));
        }
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.sequence = self.sequence.wrapping_add(1);
        if attempt == 0 {
            self.socket.drain();
            self.first = self.sequence;
        }
        let began = Instant::now();
        let takes = Duration::from_secs_f64(f64::from(size) / f64::from(BYTES_A_SECOND));
        match self.socket.request(self.identifier, self.sequence, self.token, size) {
            Ok(()) => self.next = began + takes.max(PAUSE),
            Err(Errno::MSGSIZE) => {
                let said = std::iter::from_fn(|| self.socket.complaint()).filter(|c| c.by.is_none());
                let mtu = said.filter_map(|c| c.fits).last();
                let mtu = mtu.ok_or_else(|| io::Error::other("the kernel does not say what its interface takes"))?;
                return Ok(Fate::Held { mtu });
            }
            // The queue of the interface is full.
            Err(Errno::NOBUFS) => return Ok(Fate::Lost),
            Err(errno) => {
                let why = match errno {
                    Errno::PERM => "this machine's own firewall forbids it".to_owned(),
                    other => io::Error::from(other).to_string(),
                };
                return Ok(Fate::Refused { by: None, why });
            }
        }
        self.wait(size, began)
    }
}

impl Search<'_> {
    /// Waits for what becomes of a packet.
    fn wait(&mut self, size: u32, began: Instant) -> io::Result<Fate> {
        while began.elapsed() < self.patience {
            let mut refused = None;
            match self.socket.next() {
                Ok(Some(echo)) => {
                    let mine = !echo.request && echo.token == self.token && echo.size == size;
                    let mine = mine && (!self.socket.is_raw() || echo.identifier == self.identifier);
                    if mine && self.is_of_this_size(echo.sequence) {
                        let least = if self.heard.is_some() { LEAST_HEARD } else { LEAST };
                        self.patience = (began.elapsed() * 4 + SLICE * 2).clamp(least, FIRST);
                        return Ok(Fate::Arrived);
                    }
                }
                Ok(None) => {}
                Err(_) => refused = self.said(),
            }
            while let Some(sequence) = self.heard.as_ref().and_then(|h| h.try_recv().ok()) {
                if self.is_of_this_size(sequence) {
                    return Ok(Fate::Arrived);
                }
            }
            if let Some(fate) = refused {
                return Ok(fate);
            }
        }
        Ok(self.said().unwrap_or(Fate::Lost))
    }

    fn is_of_this_size(&self, sequence: u16) -> bool {
        sequence.wrapping_sub(self.first) <= self.sequence.wrapping_sub(self.first)
    }

    /// What was said of packets of this size.
    fn said(&mut self) -> Option<Fate> {
        while let Some(Complaint { by, fits, why, about }) = self.socket.complaint() {
            if about.is_some_and(|(_, sequence)| !self.is_of_this_size(sequence)) {
                continue;
            }
            return Some(match (fits, by) {
                (Some(mtu), Some(by)) => Fate::TooLarge { by, mtu: Some(mtu).filter(|m| *m > 0) },
                (Some(mtu), None) => Fate::Held { mtu },
                (None, by) => Fate::Refused { by, why },
            });
        }
        None
    }
}

/// Tells which packets of a search come, until `stop` or nobody hears.
pub(crate) fn listen(v6: bool, token: u64, told: &tokio::sync::mpsc::Sender<Ear>, stop: &AtomicBool) -> io::Result<()> {
    let mut socket = Socket::ear(v6)?;
    let began = Instant::now();
    if told.blocking_send(Ear::Ready).is_err() {
        return Ok(());
    }
    while !stop.load(Ordering::Relaxed) && began.elapsed() < LONGEST {
        let Some(echo) = socket.next()? else { continue };
        if echo.request && echo.token == token {
            let heard = Heard { sequence: echo.sequence, size: echo.size };
            if told.blocking_send(Ear::Heard(heard)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}
