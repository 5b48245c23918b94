//! A host's part of a stack.

use super::message::Bytes;
use crate::stack::{Archive, Config, Stack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One container of a service among its like.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Replica {
    /// The service, as the Compose file calls it.
    pub service: String,
    /// Its number: from 1 for replicated services, 1 on each host for global ones.
    pub index: u32,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&replica_name(&self.service, self.index))
    }
}

/// Name under which the engine of a host knows a replica, `web-2`.
pub fn replica_name(service: &str, index: u32) -> String {
    format!("{service}-{index}")
}

/// What of a stack should run on one host: a stack of its own for the engine there, in which
/// each replica is a service.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The stack, without the content of configs and secrets. Services are named by
    /// [`replica_name`].
    stack: Stack,
    /// Content of configs by name and path.
    configs: BTreeMap<String, BTreeMap<String, Bytes>>,
    /// Content of secrets by name and path.
    secrets: BTreeMap<String, BTreeMap<String, Bytes>>,
    /// Which replica a service of the stack is.
    pub replicas: BTreeMap<String, Replica>,
    /// Generation of each replica's service by the replica's name; told back in reports.
    pub generations: BTreeMap<String, u64>,
    /// Images that hosts can get from the server alone: image id by reference.
    pub images: BTreeMap<String, String>,
}

/// Shows no content of configs and secrets, nor environments, which may hold passwords.
impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replicas: Vec<&String> = self.replicas.keys().collect();
        f.debug_struct("Part").field("stack", &self.stack.name).field("replicas", &replicas).finish_non_exhaustive()
    }
}

impl Part {
    /// Packs a stack for the way to a host.
    pub fn pack(mut stack: Stack, replicas: BTreeMap<String, Replica>, generations: BTreeMap<String, u64>) -> Self {
        let configs = take(&mut stack.configs);
        let secrets = take(&mut stack.secrets);
        Self { stack, configs, secrets, replicas, generations, images: BTreeMap::new() }
    }

    /// Name of the stack.
    pub fn name(&self) -> &str {
        &self.stack.name
    }

    /// The stack, without the content of its configs and secrets.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// Archives that the part mounts, each once, by digest.
    pub fn archives(&self) -> BTreeMap<&str, &Archive> {
        self.stack.archives()
    }

    /// The stack, with the content of its files.
    pub fn unpack(&self) -> Stack {
        let mut stack = self.stack.clone();
        put(&mut stack.configs, &self.configs);
        put(&mut stack.secrets, &self.secrets);
        stack
    }
}

fn take(files: &mut BTreeMap<String, Config>) -> BTreeMap<String, BTreeMap<String, Bytes>> {
    files
        .iter_mut()
        .map(|(name, config)| {
            let content = std::mem::take(&mut config.files).into_iter().map(|(path, c)| (path, Bytes(c))).collect();
            (name.clone(), content)
        })
        .collect()
}

fn put(files: &mut BTreeMap<String, Config>, contents: &BTreeMap<String, BTreeMap<String, Bytes>>) {
    for (name, content) in contents {
        let content = content.iter().map(|(path, c)| (path.clone(), c.0.clone())).collect();
        files.insert(name.clone(), Config { files: content });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Service;

    #[test]
    fn a_part_survives_the_way() {
        let files = BTreeMap::from([("a.conf".to_owned(), vec![0, 255, 10])]);
        let mut stack = Stack { name: "site".into(), ..Stack::default() };
        stack.secrets.insert("key".into(), Config { files });
        let environment = [("PASSWORD".to_owned(), "hunter2".to_owned())].into();
        stack.services.insert("web-1".into(), Service { image: "web:1".into(), environment, ..Service::default() });
        let replica = Replica { service: "web".into(), index: 1 };
        let part = Part::pack(
            stack.clone(),
            BTreeMap::from([("web-1".to_owned(), replica)]),
            BTreeMap::from([("web-1".to_owned(), 3)]),
        );
        let text = serde_json::to_string(&part).unwrap();
        let back: Part = serde_json::from_str(&text).unwrap();
        assert_eq!(back, part);
        assert_eq!(back.unpack(), stack);
        let shown = format!("{part:?}");
        assert!(shown.contains("web-1") && !shown.contains("hunter2") && !shown.contains("255"), "{shown}");
    }
}
