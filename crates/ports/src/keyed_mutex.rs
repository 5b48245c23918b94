//! One thing at a time for each port, endpoint or volume.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// A lock for each key. Keys that no caller holds or waits for take no memory.
#[derive(Debug, Default)]
pub struct KeyedMutex(Mutex<HashMap<String, Arc<AsyncMutex<()>>>>);

impl KeyedMutex {
    /// Waits for the lock on `key`; it is free again when the guard is dropped.
    pub async fn lock(&self, key: &str) -> OwnedMutexGuard<()> {
        self.of(key).lock_owned().await
    }

    /// Takes the lock on `key` if it is free.
    pub fn try_lock(&self, key: &str) -> Option<OwnedMutexGuard<()>> {
        self.of(key).try_lock_owned().ok()
    }

    /// Waits for the lock on `key`, unless `most` callers hold it or wait for it already.
    pub async fn lock_among(&self, key: &str, most: usize) -> Option<OwnedMutexGuard<()>> {
        let lock = self.of(key);
        // The table has one of the references, and this call another one.
        if Arc::strong_count(&lock) > most + 1 {
            return None;
        }
        Some(lock.lock_owned().await)
    }

    fn of(&self, key: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock();
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(key.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_for_each_key() {
        let locks = KeyedMutex::default();
        let first = locks.lock("a").await;
        assert!(locks.try_lock("a").is_none());
        assert!(locks.try_lock("b").is_some());
        drop(first);
        assert!(locks.try_lock("a").is_some());
    }

    #[tokio::test]
    async fn more_than_so_many_do_not_wait() {
        let locks = KeyedMutex::default();
        let held = locks.lock_among("a", 1).await.unwrap();
        assert!(locks.lock_among("a", 1).await.is_none());
        drop(held);
        assert!(locks.lock_among("a", 1).await.is_some());
    }
}
