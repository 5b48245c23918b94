//! Who is connected.
//!
//! A connection counts for its address until a good token has come over it, and from then on for the
//! token's owner. Where there are too many of one, its oldest ends, and where there are too many in all,
//! the oldest of who has most: a new one is never refused. So an address that opens more than it may, and
//! sends nothing, takes from itself alone, and hosts behind one address (a router's) still come back
//! together. A connection that was upgraded (agents, programs in containers) is not counted: there is one to a
//! host, and programs have places of their own.

use super::Caller;
use crate::request::network;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Notify;

/// Connections of one address over which no good token has come: that many hosts behind one router may come back at
/// the same time.
const OF_ADDRESS: usize = 1024;

/// Those of all addresses.
const OF_ADDRESSES: usize = 2048;

/// Connections of one caller who is known.
const OF_CALLER: usize = 512;

/// All connections.
const ALL: usize = 8192;

/// Whose a connection is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum ConnectionOwner {
    Address(IpAddr),
    Caller(String),
}

impl ConnectionOwner {
    fn is_address(&self) -> bool {
        matches!(self, Self::Address(_))
    }
}

#[derive(Debug, Clone, Copy)]
struct ConnectionLimits {
    of_address: usize,
    of_addresses: usize,
    of_caller: usize,
    all: usize,
}

/// The limits by which connections end, for people.
const LIMITS: [&str; 4] = ["address", "addresses", "caller", "all"];

/// How many there are, and were ended.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionCounts {
    /// Open ones over which no good token has come.
    pub unknown: usize,
    /// Open ones of known callers.
    pub known: usize,
    /// Those that made room, by limit.
    pub ended: [(&'static str, u64); LIMITS.len()],
}

#[derive(Debug)]
struct ConnectionTable {
    most: ConnectionLimits,
    next: u64,
    all: usize,
    /// Of them, those of addresses.
    unknown: usize,
    /// Connections that made room, by limit.
    ended: [u64; LIMITS.len()],
    /// By owner: the ends of its connections, by number, the oldest first.
    owners: HashMap<ConnectionOwner, BTreeMap<u64, Arc<Notify>>>,
}

impl ConnectionTable {
    fn put(&mut self, owner: &ConnectionOwner, number: u64, end: &Arc<Notify>) {
        self.owners.entry(owner.clone()).or_default().insert(number, end.clone());
        self.all += 1;
        self.unknown += usize::from(owner.is_address());
        let most = if owner.is_address() { self.most.of_address } else { self.most.of_caller };
        if self.owners.get(owner).is_some_and(|own| own.len() > most) {
            self.ended[if owner.is_address() { 0 } else { 2 }] += 1;
            self.end_oldest(owner);
        }
        if self.unknown > self.most.of_addresses {
            self.ended[1] += 1;
            self.end_oldest_of_largest(ConnectionOwner::is_address);
        }
        if self.all > self.most.all {
            self.ended[3] += 1;
            self.end_oldest_of_largest(|_| true);
        }
    }

    fn end_oldest_of_largest(&mut self, among: impl Fn(&ConnectionOwner) -> bool) {
        let those = self.owners.iter().filter(|(owner, _)| among(owner));
        if let Some(largest) = those.max_by_key(|(_, own)| own.len()).map(|(owner, _)| owner.clone()) {
            self.end_oldest(&largest);
        }
    }

    fn end_oldest(&mut self, owner: &ConnectionOwner) {
        let oldest = self.owners.get(owner).and_then(|own| own.first_key_value());
        if let Some((number, end)) = oldest.map(|(number, end)| (*number, end.clone())) {
            end.notify_one();
            self.remove(owner, number);
        }
    }

    /// Removes a connection, unless it was told to end and removed before.
    fn remove(&mut self, owner: &ConnectionOwner, number: u64) {
        let Some(own) = self.owners.get_mut(owner) else { return };
        if own.remove(&number).is_some() {
            self.all -= 1;
            self.unknown -= usize::from(owner.is_address());
        }
        if own.is_empty() {
            self.owners.remove(owner);
        }
    }
}

/// All that are connected. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Arc<Mutex<ConnectionTable>>);

impl Connections {
    /// None yet, of at most `files` open files.
    pub fn new(files: usize) -> Self {
        // Half of the files are for what the server opens itself.
        let all = ALL.min(files / 2).max(1);
        let of_addresses = OF_ADDRESSES.min(all);
        Self::with(ConnectionLimits {
            of_address: OF_ADDRESS.min(of_addresses),
            of_addresses,
            of_caller: OF_CALLER,
            all,
        })
    }

    fn with(most: ConnectionLimits) -> Self {
        Self(Arc::new(Mutex::new(ConnectionTable {
            most,
            next: 0,
            all: 0,
            unknown: 0,
            ended: [0; LIMITS.len()],
            owners: HashMap::new(),
        })))
    }

    /// How many there are, and were ended.
    pub fn counts(&self) -> ConnectionCounts {
        let table = lock(&self.0);
        let ended = std::array::from_fn(|n| (LIMITS[n], table.ended[n]));
        ConnectionCounts { unknown: table.unknown, known: table.all - table.unknown, ended }
    }

    /// One that was just accepted.
    pub fn enter(&self, address: IpAddr) -> Connection {
        let owner = ConnectionOwner::Address(network(address));
        let end = Arc::new(Notify::new());
        let mut table = lock(&self.0);
        table.next += 1;
        let number = table.next;
        table.put(&owner, number, &end);
        Connection { table: self.0.clone(), number, owner: Mutex::new(owner), end }
    }
}

fn lock(table: &Mutex<ConnectionTable>) -> MutexGuard<'_, ConnectionTable> {
    table.lock()
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    table: Arc<Mutex<ConnectionTable>>,
    number: u64,
    owner: Mutex<ConnectionOwner>,
    end: Arc<Notify>,
}

impl Connection {
    /// Ends when it is to make room.
    pub async fn ended(&self) {
        self.end.notified().await;
    }

    /// A good token has come over it. The first one says whose it is.
    pub fn is_of(&self, caller: &Caller) {
        let Some(key) = caller.key() else { return };
        let mut owner = self.owner.lock();
        if let ConnectionOwner::Address(_) = &*owner {
            let mut table = lock(&self.table);
            table.remove(&owner, self.number);
            *owner = ConnectionOwner::Caller(key);
            table.put(&owner, self.number, &self.end);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let owner = self.owner.lock();
        lock(&self.table).remove(&owner, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const MOST: ConnectionLimits = ConnectionLimits { of_address: 3, of_addresses: 6, of_caller: 2, all: 8 };

    fn caller(id: &str) -> Caller {
        Caller::Agent { host: id.to_owned(), name: format!("shop/{id}") }
    }

    /// Which are still there.
    fn open(connections: &[Connection]) -> Vec<bool> {
        connections.iter().map(|c| c.ended().now_or_never().is_none()).collect()
    }

    #[test]
    fn who_opens_too_many_loses_the_oldest() {
        let table = Connections::with(MOST);
        let enter = |address: &str| table.enter(address.parse().unwrap());
        let many: Vec<Connection> = (0..5).map(|_| enter("192.0.2.1")).collect();
        let other = [enter("192.0.2.2")];
        assert_eq!(open(&many), [false, false, true, true, true]);
        assert_eq!(open(&other), [true]);
        drop((many, other));
        let table = lock(&table.0);
        assert_eq!((table.all, table.unknown, table.owners.len()), (0, 0, 0));
    }

    #[test]
    fn many_addresses_together_lose_the_oldest_of_the_greediest() {
        let table = Connections::with(MOST);
        let enter = |address: &str| table.enter(address.parse().unwrap());
        let greedy: Vec<Connection> = (0..3).map(|_| enter("192.0.2.1")).collect();
        let others: Vec<Connection> = (2..6).map(|n| enter(&format!("192.0.2.{n}"))).collect();
        assert_eq!(open(&greedy), [false, true, true]);
        assert_eq!(open(&others), [true; 4]);
    }

    #[test]
    fn a_good_token_takes_a_connection_from_its_address() {
        let table = Connections::with(MOST);
        let enter = |address: &str| table.enter(address.parse().unwrap());
        let host = [enter("192.0.2.1")];
        host[0].is_of(&caller("a"));
        let first: Vec<Connection> = (0..5).map(|_| enter("192.0.2.1")).collect();
        assert_eq!(open(&host), [true]);
        // Another address: all of one network of IPv6 is one.
        let many: Vec<Connection> = (0..4).map(|n| enter(&format!("2001:db8::{n}"))).collect();
        assert_eq!(open(&many), [false, true, true, true]);
        assert_eq!(open(&host), [true]);
        drop((first, many));
        let own: Vec<Connection> = (0..3).map(|_| enter("192.0.2.3")).collect();
        own.iter().for_each(|c| c.is_of(&caller("b")));
        assert_eq!(open(&own), [false, true, true]);
        assert_eq!(open(&host), [true]);
    }
}
