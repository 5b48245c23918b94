//! How containers ended last: an engine that starts one again by itself forgets how it ended.

use stackyard_core::agent::Ended;
use stackyard_platform::stack::{Change, End};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How containers ended last, by id.
#[derive(Debug, Default)]
pub(crate) struct ExitStatuses(Mutex<HashMap<String, LastExit>>);

#[derive(Debug, Clone, Copy, Default)]
struct LastExit {
    ended: Option<Ended>,
    /// The kernel ended a process of it since it ended last.
    oom: bool,
}

impl ExitStatuses {
    /// Takes what the engine tells.
    pub(crate) fn note(&self, change: &Change) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match change.end {
            None => {}
            Some(End::Gone) => drop(all.remove(&change.id)),
            Some(End::OutOfMemory) => all.entry(change.id.clone()).or_default().oom = true,
            Some(End::Died(status)) => {
                let known = all.entry(change.id.clone()).or_default();
                *known = LastExit { ended: Some(Ended { status, oom: known.oom }), oom: false };
            }
        }
    }

    /// How a container ended last, if it did.
    pub(crate) fn of(&self, id: &str) -> Option<Ended> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id)?.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_known_until_the_container_goes() {
        let ends = ExitStatuses::default();
        let note = |end| ends.note(&Change { stack: "s".into(), id: "1".into(), end: Some(end) });
        note(End::OutOfMemory);
        assert_eq!(ends.of("1"), None);
        note(End::Died(137));
        assert_eq!(ends.of("1"), Some(Ended { status: 137, oom: true }));
        note(End::Died(1));
        assert_eq!(ends.of("1"), Some(Ended { status: 1, oom: false }));
        note(End::Gone);
        assert_eq!(ends.of("1"), None);
    }
}
