//! One thing at a time for each endpoint: calls that Docker sends twice, and the reconciler.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Who is at work on what.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Arc<Turn<()>>>>);

impl Turns {
    /// Waits for the turn on `key`; it ends when what is returned is dropped.
    pub(crate) async fn take(&self, key: &str) -> OwnedMutexGuard<()> {
        let turn = self.of(key);
        turn.lock_owned().await
    }

    /// Takes the turn if nobody has it.
    pub(crate) fn try_take(&self, key: &str) -> Option<OwnedMutexGuard<()>> {
        self.of(key).try_lock_owned().ok()
    }

    fn of(&self, key: &str) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(key.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_for_each_key() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        assert!(turns.try_take("a").is_none());
        assert!(turns.try_take("b").is_some());
        drop(first);
        assert!(turns.try_take("a").is_some());
    }
}
