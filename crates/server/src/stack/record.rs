//! Stacks on the way to the store and back.

use super::{Key, StackEntry, StackError, StackTable, Stacks};
use serde_json::{Value, json};
use stackyard_core::rollout::{State, Status, Version};
use stackyard_store::{Error, Stack};
use tokio::sync::MutexGuard;

/// What is kept of a stack.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct StackRecord {
    /// Its versions, the newest first.
    pub(super) history: Vec<Version>,
    /// Where its containers are, and how far they are.
    pub(super) state: State,
    /// It is to go.
    pub(super) removing: bool,
    /// It came from the yard's manifest.
    pub(super) declared: bool,
    /// When it was last deployed, in milliseconds since 1970.
    pub(super) deployed: i64,
    /// Revision in the store; 0 if it is not there yet.
    pub(super) revision: i64,
}

impl StackRecord {
    fn to_row(&self, (yard, name): &Key, revision: i64) -> Result<Stack, serde_json::Error> {
        let (newest, before) = self.history.split_first().map_or((None, &[][..]), |(n, b)| (Some(n), b));
        let mut state = serde_json::to_value(&self.state)?;
        let mut take = |key: &str| state.as_object_mut().and_then(|o| o.remove(key)).unwrap_or_default();
        let placement = json!({"slots": take("slots"), "homes": take("homes")});
        Ok(Stack {
            yard: yard.clone(),
            name: name.clone(),
            revision,
            content: serde_json::to_value(newest)?,
            previous: if before.is_empty() { None } else { Some(serde_json::to_value(before)?) },
            placement,
            state: json!({"rollout": state, "removing": self.removing, "declared": self.declared, "deployed": self.deployed}),
        })
    }

    fn of_row(row: Stack) -> Result<Self, serde_json::Error> {
        let newest: Option<Version> = serde_json::from_value(row.content)?;
        let before: Vec<Version> = row.previous.map(serde_json::from_value).transpose()?.unwrap_or_default();
        let mut state = row.state.get("rollout").cloned().unwrap_or_else(|| json!({}));
        if let (Some(state), Value::Object(placement)) = (state.as_object_mut(), row.placement) {
            state.extend(placement);
        }
        Ok(Self {
            history: newest.into_iter().chain(before).collect(),
            state: serde_json::from_value(state)?,
            removing: row.state.get("removing").and_then(Value::as_bool).unwrap_or(false),
            declared: row.state.get("declared").and_then(Value::as_bool).unwrap_or(false),
            deployed: row.state.get("deployed").and_then(Value::as_i64).unwrap_or(0),
            revision: row.revision,
        })
    }
}

impl Stacks {
    /// What is known, read from the store the first time.
    pub(super) async fn known(&self) -> Result<MutexGuard<'_, StackTable>, StackError> {
        let mut known = self.0.known.lock().await;
        if !known.read {
            for row in self.0.store.stacks(None).await? {
                let key = (row.yard.clone(), row.name.clone());
                match StackRecord::of_row(row) {
                    Ok(kept) => drop(known.stacks.insert(key, StackEntry { kept, status: Status::default() })),
                    Err(error) => {
                        let what = format!("stack {} of yard {} in the store: {error}", key.1, key.0);
                        return Err(StackError::Refused(what));
                    }
                }
            }
            known.read = true;
        }
        Ok(known)
    }

    /// Writes a stack, then knows it.
    pub(super) async fn keep(&self, known: &mut StackTable, key: Key, mut kept: StackRecord) -> Result<(), StackError> {
        let at = kept.revision;
        let row = kept.to_row(&key, at + 1).map_err(|e| StackError::Refused(format!("stack {}: {e}", key.1)))?;
        if !self.0.store.keep_stack(&row, at).await? {
            // Somebody else writes to this store: what they wrote counts.
            known.read = false;
            known.stacks.clear();
            let what = format!("stack {} was changed by another caller in the meantime; try again", key.1);
            return Err(StackError::Refused(what));
        }
        kept.revision = at + 1;
        self.changed();
        match known.stacks.get_mut(&key) {
            Some(entry) => entry.kept = kept,
            None => drop(known.stacks.insert(key, StackEntry { kept, status: Status::default() })),
        }
        Ok(())
    }

    /// Forgets a stack.
    pub(super) async fn forget(&self, known: &mut StackTable, key: &Key) -> Result<(), Error> {
        self.0.store.remove_stack(&key.0, &key.1).await?;
        known.stacks.remove(key);
        self.changed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::agent::Replica;
    use stackyard_core::rollout::Slot;
    use stackyard_core::stack::{Config, Service, Stack as Model};

    #[test]
    fn what_is_kept_is_read_again() {
        let mut stack = Model { name: "shop".into(), ..Model::default() };
        stack.services.insert("web".into(), Service { image: "i".into(), ..Service::default() });
        stack.secrets.insert("key".into(), Config { files: [(String::new(), vec![0, 255])].into() });
        let first = Version::next(stack.clone(), [("i".to_owned(), "sha256:1".to_owned())].into(), None, &[]);
        let second = Version::next(stack, Default::default(), Some("web".into()), std::slice::from_ref(&first));
        let slot = Slot {
            replica: Replica { service: "web".into(), index: 2 },
            host: "h".into(),
            generation: 2,
            since: 5,
            held: false,
            ready: Some(7),
            settled: true,
            names: Default::default(),
        };
        let state = State { version: 2, slots: vec![slot], ..State::default() };
        let kept = StackRecord {
            history: vec![second, first],
            state,
            removing: true,
            declared: true,
            deployed: 9,
            revision: 4,
        };
        let row = kept.to_row(&("y".into(), "shop".into()), 4).unwrap();
        assert_eq!(row.placement["slots"][0]["host"], "h");
        assert_eq!(StackRecord::of_row(row).unwrap(), kept);
    }
}
