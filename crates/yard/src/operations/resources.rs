//! The health of a yard's resources.

use super::YardSnapshot;
use stackyard_api::ResourceStatus;
use stackyard_core::health::Health;
use stackyard_core::yard::observed::State;
use stackyard_core::yard::plan::{Action, Step};
use stackyard_core::yard::{Key, Kind};
use std::collections::BTreeMap;

impl YardSnapshot<'_> {
    /// The resources of the yard, those that are missing and those that nobody wants among them;
    /// without rules of security groups.
    pub fn resources(&self) -> Vec<ResourceStatus> {
        let notes = self.notes();
        let steps = self
            .plan
            .steps
            .iter()
            .filter(|s| s.action != Action::Discard && s.key.kind != Kind::Rule);
        let now = |step: &Step| {
            let seen = self
                .observed
                .resources
                .iter()
                .find(|s| s.key == step.key && Some(&s.id) == step.id.as_ref());
            let (health, reason) = match seen.map(|s| &s.state) {
                None => (Health::Missing, None),
                Some(State::Broken(reason)) => (Health::Failed, Some(reason.clone())),
                Some(State::Pending(word)) => (Health::Progressing, Some(word.clone())),
                Some(State::Stopped(word)) => (Health::Degraded, Some(word.clone())),
                Some(State::SetApart) => (Health::Draining, None),
                Some(State::Marked(reason)) => (Health::Ready, Some(reason.clone())),
                Some(State::Ready | State::Elsewhere) => (Health::Ready, None),
            };
            let detail = match seen.map(|s| &s.state) {
                Some(State::Elsewhere) => "another user's".to_owned(),
                _ => notes.get(&step.key).cloned().unwrap_or_default(),
            };
            ResourceStatus {
                kind: step.key.kind,
                name: step.key.name.clone(),
                health,
                reason,
                planned: step.action,
                detail,
                id: step.id.clone(),
            }
        };
        steps.map(now).collect()
    }
}

impl YardSnapshot<'_> {
    /// What people want to know about resources: addresses, states, sizes.
    pub fn notes(&self) -> BTreeMap<Key, String> {
        let all = &self.inventory;
        let mut notes = BTreeMap::new();
        for seen in &self.observed.resources {
            let note = match seen.key.kind {
                Kind::Server => all.servers.iter().find(|s| s.id == seen.id).map(|s| {
                    let addresses = s.addresses.values().flatten().map(|a| a.addr.as_str());
                    std::iter::once(s.status.as_str())
                        .chain(addresses)
                        .collect::<Vec<_>>()
                        .join(" ")
                }),
                Kind::FloatingIp => all
                    .floating_ips
                    .iter()
                    .find(|f| f.id == seen.id)
                    .map(|f| f.address.clone()),
                Kind::Volume => all
                    .volumes
                    .iter()
                    .find(|v| v.id == seen.id)
                    .map(|v| format!("{} GiB, {}", v.size, v.status)),
                Kind::Subnet => all
                    .subnets
                    .iter()
                    .find(|s| s.id == seen.id)
                    .map(|s| s.cidr.clone()),
                Kind::Network => all
                    .networks
                    .iter()
                    .find(|n| n.id == seen.id)
                    .and_then(|n| Some(format!("MTU {}", n.mtu?))),
                Kind::LoadBalancer => all.balancing.there().and_then(|b| {
                    let found = b.balancers.iter().find(|b| b.id == seen.id)?;
                    Some(format!("{} {}", found.operating_status, found.vip_address))
                }),
                Kind::ObjectContainer => all.containers.there().and_then(|c| {
                    let found = c.iter().find(|c| c.name == seen.id)?;
                    Some(format!(
                        "{}, {} objects, {} bytes",
                        found.name, found.detail.count, found.detail.bytes
                    ))
                }),
                Kind::Port => all.ports.iter().find(|p| p.id == seen.id).map(|p| {
                    p.fixed_ips
                        .iter()
                        .filter_map(|f| f.ip_address.as_deref())
                        .collect::<Vec<_>>()
                        .join(" ")
                }),
                _ => None,
            };
            notes.extend(note.map(|n| (seen.key.clone(), n)));
        }
        notes
    }
}
