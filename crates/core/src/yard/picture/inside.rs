//! What runs in hosts: containers of stacks, by service.

use crate::health::Health;
use crate::rollout::{ReplicaStatus, Status};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// Stacks as they stand, by name.
pub type Stacks = BTreeMap<String, Status>;

/// Containers of one service on a host, or on several that are drawn as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inside {
    /// Stack and service, `site/web`.
    pub name: String,
    pub containers: usize,
    pub working: usize,
}

impl Display for Inside {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.working == self.containers, self.containers) {
            (true, 1) => f.write_str("ready"),
            (true, n) => write!(f, "{n} ready"),
            (false, n) => write!(f, "{} of {n} ready", self.working),
        }
    }
}

/// What runs on the hosts of these names.
pub(super) fn inside(stacks: &Stacks, hosts: &[String]) -> Vec<Inside> {
    let mut all = Vec::new();
    for (stack, status) in stacks {
        for service in &status.services {
            let here: Vec<&ReplicaStatus> = service.replicas.iter().filter(|r| hosts.contains(&r.host_name)).collect();
            if !here.is_empty() {
                let working = here.iter().filter(|r| r.works()).count();
                all.push(Inside { name: format!("{stack}/{}", service.name), containers: here.len(), working });
            }
        }
    }
    all
}

/// How a stack stands, in words, and whether that is well.
pub(super) fn words(status: &Status) -> (String, bool) {
    let (ready, desired) = status.services.iter().fold((0, 0), |(r, d), s| (r + s.ready, d + s.desired));
    let mut text = format!("{ready} of {desired} ready");
    if status.health != Health::Ready {
        text += ", ";
        text += status.health.label();
    }
    (text, status.health == Health::Ready)
}
