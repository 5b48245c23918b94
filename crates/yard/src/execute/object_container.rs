//! Swift's containers. Their names are their marks, so that nothing can be made twice.

use crate::execute::{ActionError, Executor};
use crate::observe::{CONTAINER_MARK, PUBLIC, PURGE};
use crate::retry::retry;
use futures_util::{StreamExt, TryStreamExt, stream};
use stackyard_core::yard::intend::Spec;
use stackyard_core::yard::plan::Step;
use stackyard_core::yard::{Key, Kind};
use std::collections::BTreeMap;

/// Removals of objects at once.
const PARALLEL: usize = 12;
/// Looks at a container that is to be emptied: its listing may be late.
const ROUNDS: u32 = 5;

impl Executor<'_> {
    pub(super) async fn create_container(&self, key: &Key) -> Result<String, ActionError> {
        let name = self.mark(key).as_name();
        let (read, metadata) = self.carried(key)?;
        self.retry_action(key, async || {
            self.cloud.put_container(&name, read, &metadata).await
        })
        .await?;
        Ok(name)
    }

    pub(super) async fn change_container(&self, key: &Key, name: &str) -> Result<(), ActionError> {
        let (read, mut metadata) = self.carried(key)?;
        let said = self
            .intended
            .get(key)
            .is_some_and(|r| r.fields.contains_key("metadata"));
        let there = self
            .inventory
            .containers
            .there()
            .into_iter()
            .flatten()
            .find(|c| c.name == name);
        for old in there
            .iter()
            .flat_map(|c| c.detail.metadata.keys())
            .filter(|k| !k.starts_with(CONTAINER_MARK))
        {
            if said && !metadata.contains_key(old) {
                metadata.insert(old.clone(), String::new());
            }
        }
        self.retry_action(key, async || {
            self.cloud.change_container(name, read, &metadata).await
        })
        .await
    }

    /// Who may read it, and its metadata.
    fn carried(
        &self,
        key: &Key,
    ) -> Result<(Option<&'static str>, BTreeMap<String, String>), ActionError> {
        let Spec::ObjectContainer {
            public,
            metadata,
            purge,
        } = self.spec(key)?
        else {
            return Err(format!("{key} is no object container").into());
        };
        let mut metadata = metadata.clone();
        metadata.insert(CONTAINER_MARK.to_owned(), self.mark(key).to_string());
        metadata.insert(PURGE.to_owned(), purge.to_string());
        Ok((public.map(|on| if on { PUBLIC } else { "" }), metadata))
    }

    /// Removes a container, with its objects if it says so.
    pub(super) async fn remove_container(
        &self,
        step: &Step,
        name: &str,
    ) -> Result<(), ActionError> {
        let key = &step.key;
        debug_assert_eq!(key.kind, Kind::ObjectContainer);
        for round in 1.. {
            // What it holds and says now counts, not what was seen before.
            let Some(now) = self
                .retry_action(key, async || self.cloud.container(name).await)
                .await?
            else {
                return Ok(());
            };
            let purge = now.metadata.get(PURGE).is_some_and(|v| v == "true");
            match retry(self.on_retry(key), async || {
                self.cloud.delete_container(name).await
            })
            .await
            {
                Err(e) if e.is_conflict() && purge && round <= ROUNDS => {
                    self.empty(key, name).await?
                }
                Err(e) if e.is_conflict() && !purge => {
                    let hint =
                        "empty it, or give it `purge: true` and run `up` before it goes".to_owned();
                    return Err(ActionError {
                        message: format!("{key} holds objects: {e}"),
                        hint: Some(hint),
                    });
                }
                other => return other.map(drop).map_err(Into::into),
            }
        }
        Ok(())
    }

    async fn empty(&self, key: &Key, name: &str) -> Result<(), ActionError> {
        let objects = self
            .retry_action(key, async || self.cloud.objects(name, "").await)
            .await?;
        (self.on_retry(key))(format!("removing {} objects", objects.len()));
        stream::iter(objects)
            .map(|o| async move {
                let gone = async || self.cloud.delete_object(name, &o.name).await;
                self.retry_action(key, gone).await.map(drop)
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }
}
