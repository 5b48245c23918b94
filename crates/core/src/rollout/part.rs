//! What a host is told: its slots as a stack of their own.

use super::version::{Version, file_key, rename};
use super::{Slot, Walk, definition};
use crate::agent::{Part, replica_name};
use crate::stack::own_host::OwnHost;
use crate::stack::place::HostState;
use crate::stack::template::{self, Placeholder};
use crate::stack::{DEFAULT_NETWORK, JOB_LABEL, MountKind, NetworkMode, Service, Stack};
use std::collections::BTreeMap;

/// Label of a service that follows others which may be on other hosts: a digest of them, so that
/// it is made anew when they are.
const FOLLOWS_LABEL: &str = "dev.stackyard.follows";

impl Walk<'_> {
    /// The parts of all hosts.
    pub(super) fn parts(&self) -> BTreeMap<String, Part> {
        let mut parts = BTreeMap::new();
        for host in self.board.hosts().filter(|h| h.state != HostState::Lost) {
            let slots: Vec<&Slot> = self.state.slots.iter().filter(|s| s.host == host.id && !s.held).collect();
            if !slots.is_empty() {
                parts.insert(host.id.clone(), self.part(&OwnHost::new(&host.name, host.address), &slots));
            }
        }
        parts
    }

    fn part(&self, own: &OwnHost, slots: &[&Slot]) -> Part {
        let current = &self.current.stack;
        let mut stack = Stack { name: current.name.clone(), ..Stack::default() };
        let (mut replicas, mut generations, mut images) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for slot in slots {
            let Some((version, service)) = definition(self.input.history, &slot.replica.service, slot.generation)
            else {
                continue;
            };
            let name = slot.replica.to_string();
            self.include(&mut stack, version, service, own);
            if let Some(id) = version.images.get(&service.image) {
                images.insert(service.image.clone(), id.clone());
            }
            stack.services.insert(name.clone(), self.replica(slot, version, service, own));
            replicas.insert(name.clone(), slot.replica.clone());
            generations.insert(name, slot.generation);
        }
        let mut part = Part::pack(stack, replicas, generations);
        part.images = images;
        part
    }

    /// Adds what a service uses. Networks and volumes are as the newest version has them: an
    /// engine has one of a name.
    fn include(&self, stack: &mut Stack, version: &Version, service: &Service, own: &OwnHost) {
        let current = &self.current.stack;
        for key in version.stack.attachments(service).keys() {
            let network = if current.networks.contains_key(key) || key == DEFAULT_NETWORK {
                current.network(key)
            } else {
                version.stack.network(key)
            };
            stack.networks.insert(key.clone(), network);
        }
        for key in service.volume_keys() {
            if let Some(volume) = current.volumes.get(key).or_else(|| version.stack.volumes.get(key)) {
                stack.volumes.insert(key.to_owned(), volume.clone());
            }
        }
        for (mounts, from, to) in [
            (&service.configs, &version.stack.configs, &mut stack.configs),
            (&service.secrets, &version.stack.secrets, &mut stack.secrets),
        ] {
            for mount in mounts {
                if let Some(config) = from.get(&mount.source) {
                    let config = own.fill_config(config);
                    to.insert(file_key(&mount.source, Some(&config)), config.into_owned());
                }
            }
        }
    }

    /// A replica as a service for the engine of its host.
    fn replica(&self, slot: &Slot, version: &Version, service: &Service, own: &OwnHost) -> Service {
        let (name, index) = (&slot.replica.service, slot.replica.index);
        let mut replica = service.clone();
        replica.deploy = Default::default();
        replica.profiles.clear();
        // The order is kept by whoever tells hosts.
        replica.depends_on.clear();
        rename(&mut replica.configs, &version.stack.configs, own);
        rename(&mut replica.secrets, &version.stack.secrets, own);
        own.fill_service(&mut replica);
        if version.stack.is_job(name) {
            replica.labels.insert(JOB_LABEL.into(), "true".into());
        }
        let followed = version.followed(name, 0);
        if !followed.is_empty() {
            replica.labels.insert(FOLLOWS_LABEL.into(), followed);
        }
        let shared = |mode: &mut Option<String>| {
            if let Some(other) = mode.as_ref().and_then(|m| m.strip_prefix("service:")) {
                *mode = Some(format!("service:{}", replica_name(other, index)));
            }
        };
        [&mut replica.pid, &mut replica.ipc, &mut replica.uts].into_iter().for_each(shared);
        match &mut replica.network_mode {
            NetworkMode::Service(other) => *other = replica_name(other, index),
            mode => {
                let networks = mode.attachments_mut().into_iter().flat_map(BTreeMap::values_mut);
                networks.for_each(|a| a.aliases.push(name.clone()));
            }
        }
        for (other, addresses) in &slot.names {
            let taken = replica.extra_hosts.iter().any(|h| h.split(':').next() == Some(other));
            if !taken {
                replica.extra_hosts.extend(addresses.iter().map(|a| format!("{other}:{a}")));
            }
        }
        self.fill_in(&mut replica, slot);
        replica
    }

    /// Replaces Swarm's placeholders where Swarm does: in the host name, the environment and mounts.
    fn fill_in(&self, replica: &mut Service, slot: &Slot) {
        let host = self.board.host(&slot.host);
        let labels = replica.labels.clone();
        let service = format!("{}_{}", self.current.stack.name, slot.replica.service);
        let value = |placeholder: Placeholder<'_>| match placeholder {
            Placeholder::NodeHostname => host.map_or(slot.host.clone(), |h| h.name.clone()),
            Placeholder::NodeId => slot.host.clone(),
            Placeholder::NodeOs => "linux".to_owned(),
            Placeholder::NodeArchitecture => host.map_or(String::new(), |h| kernel_arch(&h.arch).to_owned()),
            Placeholder::ServiceName => service.clone(),
            Placeholder::ServiceLabel(name) => labels.get(name).cloned().unwrap_or_default(),
            Placeholder::TaskName => format!("{service}.{}", slot.replica.index),
            Placeholder::TaskSlot => slot.replica.index.to_string(),
        };
        let fill = |text: &mut String| {
            // What is not known was refused when the stack was read.
            if let Ok(filled) = template::expand(text, value) {
                *text = filled;
            }
        };
        replica.hostname.iter_mut().chain(replica.environment.values_mut()).for_each(fill);
        for mount in &mut replica.volumes {
            fill(&mut mount.target);
            if let MountKind::Bind(bind) = &mut mount.kind {
                fill(&mut bind.source);
            }
        }
    }
}

/// The kernel's name of an architecture that Debian names.
fn kernel_arch(debian: &str) -> &str {
    match debian {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "armhf" => "armv7l",
        other => other,
    }
}
