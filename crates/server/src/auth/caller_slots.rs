//! How much of something one caller may have at once.

use super::Caller;
use crate::api_error::ApiError;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;

/// Seconds after which a caller that was refused may try again.
const WAIT: u64 = 5;

/// What each caller has, by [`Caller::key`].
type SlotTable = Mutex<HashMap<String, usize>>;

/// Counts what each caller has. Over the Unix socket there is no limit.
#[derive(Debug)]
pub(crate) struct CallerSlots {
    taken: Arc<SlotTable>,
    of_one: usize,
    of_all: usize,
}

impl CallerSlots {
    /// So many for one caller, and for all of them together.
    pub fn new(of_one: usize, of_all: usize) -> Self {
        Self { taken: Arc::default(), of_one, of_all }
    }

    /// Places that are taken.
    pub fn taken(&self) -> usize {
        lock(&self.taken).values().sum()
    }

    /// Takes a place for one of `what`; it is free again when the place is dropped.
    ///
    /// # Errors
    /// 429: the caller has as many as it may, or all callers have.
    pub fn take(&self, caller: &Caller, what: &str) -> Result<CallerSlot, ApiError> {
        let Some(actor) = caller.key() else { return Ok(CallerSlot(None)) };
        let mut taken = lock(&self.taken);
        let all: usize = taken.values().sum();
        let own = taken.get(&actor).copied().unwrap_or(0);
        let (most, whose) = if own >= self.of_one { (self.of_one, "one caller") } else { (self.of_all, "the server") };
        if own >= self.of_one || all >= self.of_all {
            let detail = format!("{whose} may have {most} {what} at once, and has them; end some, or try again later");
            return Err(ApiError::too_many(detail, WAIT));
        }
        taken.insert(actor.clone(), own + 1);
        Ok(CallerSlot(Some((self.taken.clone(), actor))))
    }
}

fn lock(taken: &SlotTable) -> MutexGuard<'_, HashMap<String, usize>> {
    taken.lock()
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct CallerSlot(Option<(Arc<SlotTable>, String)>);

impl Drop for CallerSlot {
    fn drop(&mut self) {
        let Some((taken, actor)) = self.0.take() else { return };
        let mut taken = lock(&taken);
        match taken.get_mut(&actor) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&actor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(id: &str) -> Caller {
        Caller::Agent { host: id.to_owned(), name: format!("shop/{id}") }
    }

    #[test]
    fn each_caller_has_its_share() {
        let places = CallerSlots::new(2, 3);
        let _first = places.take(&host("a"), "streams").unwrap();
        let second = places.take(&host("a"), "streams").unwrap();
        let refused = places.take(&host("a"), "streams").unwrap_err();
        assert_eq!(refused.status, 429);
        assert!(refused.detail.contains("one caller may have 2 streams"), "{}", refused.detail);
        let _other = places.take(&host("b"), "streams").unwrap();
        let refused = places.take(&host("c"), "streams").unwrap_err();
        assert!(refused.detail.contains("the server may have 3 streams"), "{}", refused.detail);
        let _root: Vec<CallerSlot> = (0..9).map(|_| places.take(&Caller::Socket, "streams").unwrap()).collect();
        drop(second);
        let _again = places.take(&host("a"), "streams").unwrap();
        assert!(places.take(&host("a"), "streams").is_err());
    }
}
