//! The same thing again and again: one entry an hour that counts, not one each time.
//!
//! Callers decide how often they try, and partly under which names. So the number of entries that a table begins within
//! an hour is limited, whatever comes; what is left over shares one entry.

use parking_lot::Mutex;
use stackyard_store::{Millis, NewEntry};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// An entry counts for so long.
const WINDOW: Duration = Duration::from_secs(3600);

/// What a [`RepeatTable`] says of something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occurrence {
    /// It is the first of its key: the caller writes an entry, and calls [`RepeatTable::written`].
    First,
    /// It was counted.
    Again,
    /// There are too many keys: nothing was counted.
    Full,
}

/// A count that the store does not have yet.
#[derive(Debug, Clone)]
pub(super) struct Count {
    /// Id of the entry.
    pub id: String,
    pub entry: NewEntry,
    pub times: u64,
    pub last: Millis,
}

#[derive(Debug)]
struct Repeat {
    began: Instant,
    times: u64,
    last: Millis,
    /// How many of them the entry tells of.
    told: u64,
    /// Absent until the entry is written.
    entry: Option<(String, NewEntry)>,
}

/// Entries of the last hour, by what makes them the same.
#[derive(Debug)]
pub(super) struct RepeatTable {
    most: usize,
    repeats: Mutex<HashMap<String, Repeat>>,
}

impl RepeatTable {
    /// One that begins at most `most` entries within an hour, and the shared ones.
    pub fn new(most: usize) -> Self {
        Self { most, repeats: Mutex::default() }
    }

    /// Counts something that happened. A shared key always has room.
    pub fn count(&self, key: &str, is_shared: bool, now: Millis) -> Occurrence {
        let mut repeats = self.repeats.lock();
        if let Some(repeat) = repeats.get_mut(key) {
            repeat.times += 1;
            repeat.last = now;
            return Occurrence::Again;
        }
        if !is_shared && repeats.len() >= self.most {
            return Occurrence::Full;
        }
        let repeat = Repeat { began: Instant::now(), times: 1, last: now, told: 1, entry: None };
        repeats.insert(key.to_owned(), repeat);
        Occurrence::First
    }

    /// The entry of a key is written.
    pub fn written(&self, key: &str, id: &str, entry: &NewEntry) {
        if let Some(repeat) = self.repeats.lock().get_mut(key) {
            repeat.entry = Some((id.to_owned(), entry.clone()));
        }
    }

    /// The entry of a key could not be written: the next time is the first one again.
    pub fn forget(&self, key: &str) {
        self.repeats.lock().remove(key);
    }

    /// Counts that grew since the last call. Keys whose hour is over are forgotten.
    pub fn take_counts(&self) -> Vec<Count> {
        self.take_counts_of(WINDOW)
    }

    fn take_counts_of(&self, window: Duration) -> Vec<Count> {
        let mut repeats = self.repeats.lock();
        let mut counts = Vec::new();
        for repeat in repeats.values_mut() {
            if let Some((id, entry)) = repeat.entry.as_ref().filter(|_| repeat.times > repeat.told) {
                counts.push(Count { id: id.clone(), entry: entry.clone(), times: repeat.times, last: repeat.last });
                repeat.told = repeat.times;
            }
        }
        // One that is just being written stays until its count can be told.
        repeats.retain(|_, r| r.began.elapsed() < window || r.entry.is_none() && r.began.elapsed() < 2 * window);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_counted_and_their_number_is_limited() {
        let table = RepeatTable::new(2);
        assert_eq!(table.count("a", false, 1), Occurrence::First);
        table.written("a", "id-a", &NewEntry::default());
        assert_eq!(table.count("a", false, 2), Occurrence::Again);
        assert_eq!(table.count("b", false, 3), Occurrence::First);
        assert_eq!(table.count("c", false, 4), Occurrence::Full);
        assert_eq!(table.count("others", true, 5), Occurrence::First);
        assert_eq!(table.count("others", true, 6), Occurrence::Again);
        let counts = table.take_counts();
        assert_eq!(counts.iter().map(|c| (c.id.as_str(), c.times, c.last)).collect::<Vec<_>>(), [("id-a", 2, 2)]);
        assert!(table.take_counts().is_empty());
        // What could not be written is tried again, and after an hour all is new.
        table.forget("b");
        assert_eq!(table.count("c", false, 7), Occurrence::Full, "`a` and `others` are there");
        table.take_counts_of(Duration::ZERO);
        assert_eq!(table.count("a", false, 8), Occurrence::First);
    }
}
