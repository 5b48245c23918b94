//! Cinder volumes of stacks, as far as stacks are concerned: what waits for them, and which stacks have them.

use super::{StackError, Stacks};
use stackyard_core::agent::Part;
use stackyard_core::health::Health;
use stackyard_core::rollout::Status;
use std::collections::BTreeMap;

/// Adds to a stack's status what its host waits for before it gets the stack's volumes. `waits` is by stack and the
/// volume's key.
pub(super) fn tell_waits(status: &mut Status, host: &str, part: &Part, waits: &BTreeMap<(String, String), String>) {
    if waits.is_empty() {
        return;
    }
    let stack = part.stack();
    for (name, replica) in &part.replicas {
        let keys = stack.services.get(name).into_iter().flat_map(|s| stack.cinder_volumes(s));
        for key in keys {
            let Some(why) = waits.get(&(stack.name.clone(), key.to_owned())) else { continue };
            let why = format!("{replica} on {host} waits for volume {key}: {why}");
            if status.health == Health::Ready {
                status.health = Health::Progressing;
            }
            status.reasons.push(why.clone());
            if let Some(service) = status.services.iter_mut().find(|s| s.name == replica.service) {
                service.reason.get_or_insert(why);
            }
        }
    }
}

impl Stacks {
    /// Whether the newest version of a yard's stack, which may be being removed, mounts its Cinder volume `volume`.
    ///
    /// # Errors
    /// [`StackError::Store`]
    pub async fn needs_volume(&self, yard: &str, stack: &str, volume: &str) -> Result<bool, StackError> {
        let known = self.known().await?;
        let Ok(entry) = known.entry(yard, stack) else { return Ok(false) };
        let newest = entry.kept.history.first();
        Ok(newest.is_some_and(|version| version.stack.cinder_users(volume).next().is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::agent::Replica;
    use stackyard_core::stack::{Mount, MountKind, Service, Stack, VOLUME_DRIVER, Volume};

    #[test]
    fn a_status_says_what_a_replica_waits_for() {
        let kind = MountKind::Volume { name: "data".into(), nocopy: false, subpath: None };
        let mounts = vec![Mount { kind, target: "/d".into(), read_only: false }];
        let mut stack = Stack { name: "shop".into(), ..Stack::default() };
        stack.services.insert("db-1".into(), Service { volumes: mounts, ..Service::default() });
        let driver = Some(VOLUME_DRIVER.to_owned());
        stack.volumes.insert("data".into(), Volume { driver, ..Volume::default() });
        let replica = Replica { service: "db".into(), index: 1 };
        let part = Part::pack(stack, [("db-1".to_owned(), replica)].into(), BTreeMap::new());
        let mut status = Status::default();
        let of = |stack: &str| [((stack.to_owned(), "data".to_owned()), "it is detaching".to_owned())].into();
        tell_waits(&mut status, "web-1", &part, &of("blog"));
        assert_eq!(status, Status::default(), "another stack's");
        tell_waits(&mut status, "web-1", &part, &of("shop"));
        assert_eq!(status.reasons, ["db-1 on web-1 waits for volume data: it is detaching"]);
        assert_eq!(status.health, Health::Progressing);
    }
}
