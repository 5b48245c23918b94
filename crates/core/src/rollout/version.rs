//! Versions of a stack, and the generations of its services.

use crate::agent::Bytes;
use crate::stack::own_host::OwnHost;
use crate::stack::spec::{Spec, config_digest};
use crate::stack::{Config, FileMount, Service, Stack};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Files by name and path, for the way and for storing.
pub type Files = BTreeMap<String, BTreeMap<String, Bytes>>;

/// A stack with the content of its configs and secrets, which a [`Stack`] does not carry along
/// when it is written down.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Packed {
    /// The stack.
    stack: Stack,
    /// Content of configs.
    #[serde(default)]
    configs: Files,
    /// Content of secrets.
    #[serde(default)]
    secrets: Files,
}

/// Shows no secret.
impl std::fmt::Debug for Packed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packed").field("stack", &self.stack.name).finish_non_exhaustive()
    }
}

impl Packed {
    /// Packs a stack.
    pub fn pack(mut stack: Stack) -> Self {
        let take = |files: &mut BTreeMap<String, Config>| {
            let content = |c: &mut Config| std::mem::take(&mut c.files).into_iter().map(|(p, c)| (p, Bytes(c)));
            files.iter_mut().map(|(name, config)| (name.clone(), content(config).collect())).collect()
        };
        let (configs, secrets) = (take(&mut stack.configs), take(&mut stack.secrets));
        Self { stack, configs, secrets }
    }

    /// Name of the stack.
    pub fn name(&self) -> &str {
        &self.stack.name
    }

    /// Digests of the archives that services mount.
    pub fn archives(&self) -> BTreeSet<String> {
        self.stack.archives().into_keys().map(str::to_owned).collect()
    }

    /// The stack, whole.
    pub fn unpack(self) -> Stack {
        let Self { mut stack, configs, secrets } = self;
        let put = |files: Files| {
            let config = |f: BTreeMap<String, Bytes>| Config { files: f.into_iter().map(|(p, c)| (p, c.0)).collect() };
            files.into_iter().map(|(name, files)| (name, config(files))).collect()
        };
        (stack.configs, stack.secrets) = (put(configs), put(secrets));
        stack
    }
}

/// A version of a stack: what somebody deployed once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, from 1.
    pub number: u64,
    /// What was deployed.
    #[serde(with = "packed")]
    pub stack: Stack,
    /// Generation of each service: the number of the version that first had it like this.
    pub generations: BTreeMap<String, u64>,
    /// Images that hosts can get from the server alone: id by reference.
    #[serde(default)]
    pub images: BTreeMap<String, String>,
    /// Only hosts of this pool are used.
    #[serde(default)]
    pub pool: Option<String>,
    /// All of it worked once.
    #[serde(default)]
    pub worked: bool,
}

mod packed {
    use super::{Packed, Stack};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(stack: &Stack, serializer: S) -> Result<S::Ok, S::Error> {
        Packed::pack(stack.clone()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Stack, D::Error> {
        Packed::deserialize(deserializer).map(Packed::unpack)
    }
}

impl Version {
    /// The version after those of `history` (the newest first). A service that is as it was in
    /// one of them has the generation that it had there, so it is not touched.
    pub fn next(stack: Stack, images: BTreeMap<String, String>, pool: Option<String>, history: &[Self]) -> Self {
        let number = history.iter().map(|v| v.number).max().unwrap_or(0) + 1;
        let mut version = Self { number, stack, generations: BTreeMap::new(), images, pool, worked: false };
        let generations = version.stack.services.keys().map(|name| {
            let digest = version.digest(name);
            let same = history.iter().find(|v| v.digest(name).is_some() && v.digest(name) == digest);
            (name.clone(), same.and_then(|v| v.generations.get(name).copied()).unwrap_or(number))
        });
        version.generations = generations.collect();
        version
    }

    /// What a service's containers are made from, as one digest.
    fn digest(&self, name: &str) -> Option<String> {
        let service = self.stack.services.get(name)?;
        Some(format!("{} {}", self.spec(service).digest(), self.followed(name, 0)))
    }

    fn spec(&self, service: &Service) -> Spec {
        let image = self.images.get(&service.image).unwrap_or(&service.image);
        Spec::of(&self.stack, service, image)
    }

    /// Digest of the services whose recreation recreates this one; empty if there are none.
    pub(super) fn followed(&self, name: &str, depth: usize) -> String {
        let Some(service) = self.stack.services.get(name).filter(|_| depth < 32) else { return String::new() };
        let others = service.depends_on.iter().filter(|(_, d)| d.restart).map(|(other, _)| other);
        let digests = others.filter_map(|other| {
            let spec = self.spec(self.stack.services.get(other)?).digest();
            Some((format!("{other} {}", self.followed(other, depth + 1)), spec.into_bytes()))
        });
        let files: BTreeMap<String, Vec<u8>> = digests.collect();
        if files.is_empty() { String::new() } else { config_digest(&Config { files }) }
    }

    /// Whether it is the same in all but its number.
    pub fn is_like(&self, other: &Self) -> bool {
        let same = (&self.generations, &self.pool) == (&other.generations, &other.pool);
        same && self.stack.services.keys().all(|name| self.changes(name, other).is_some_and(|c| c.is_empty()))
    }

    /// Which parts of a service differ from those of another version, by name; `None` if it is new.
    pub fn changes(&self, name: &str, old: &Self) -> Option<Vec<String>> {
        let (new, before) = (self.stack.services.get(name)?, old.stack.services.get(name)?);
        let mut changed = self.spec(new).changed(&old.spec(before));
        if self.followed(name, 0) != old.followed(name, 0) {
            changed.push("a service that it follows".into());
        }
        if new.deploy != before.deploy {
            changed.push("deploy".into());
        }
        Some(changed)
    }
}

/// Name of a config or secret in a part: with a digest of its content, so that two versions of
/// one can be on a host at once.
pub(super) fn file_key(name: &str, content: Option<&Config>) -> String {
    let digest = content.map(config_digest).unwrap_or_default();
    format!("{name}.{}", &digest[..digest.len().min(8)])
}

/// Renames the sources of mounted files, as a host has them.
pub(super) fn rename(mounts: &mut [FileMount], contents: &BTreeMap<String, Config>, own: &OwnHost) {
    for mount in mounts {
        let content = contents.get(&mount.source).map(|config| own.fill_config(config));
        mount.source = file_key(&mount.source, content.as_deref());
    }
}
