//! Where the networks of a stack are that is about to be deployed: in the yard's network for stacks, or on each host.

use super::{Deployment, NetworkChoice, StackError, Stacks};
use crate::manifest::outline_of;
use stackyard_core::agent::PortLink;
use stackyard_core::stack::{NetworkInput, NetworkNote, Stack, StackNetwork};
use stackyard_core::text::error_chain;
use stackyard_store::Host;
use std::time::Duration;

/// Time that a yard's cloud has to say whether it has trunks: a deployment waits.
const CLOUD_WITHIN: Duration = Duration::from_secs(5);

/// So many hosts are named.
const NAMED: usize = 3;

impl Stacks {
    /// Settles the networks of a stack before it is deployed. Returns sentences about them, for people.
    pub(super) async fn settle_networks(
        &self,
        yard: &str,
        deployment: &mut Deployment,
    ) -> Result<Vec<NetworkNote>, StackError> {
        let network = match &deployment.networks {
            NetworkChoice::Settled => return Ok(Vec::new()),
            NetworkChoice::Value(value) => StackNetwork::of_value(value),
            NetworkChoice::Kept => self.kept_network(yard).await?,
        };
        let hosts = self.0.store.hosts(Some(yard), deployment.pool.as_deref()).await?;
        let before = self.before(yard, &deployment.stack.name).await?;
        let obstacle = match obstacle(&hosts) {
            Some(why) => Some(why),
            None if deployment.stack.moves_to(&network, before.as_ref()) => self.lacks_trunks(yard).await,
            None => None,
        };
        Ok(deployment.stack.settle_networks(NetworkInput {
            network: &network,
            obstacle: obstacle.as_deref(),
            before: before.as_ref(),
            several_hosts: hosts.len() > 1,
        }))
    }

    /// What the manifest says that the server keeps of a yard. One that it cannot read says nothing.
    async fn kept_network(&self, yard: &str) -> Result<StackNetwork, StackError> {
        let Some(row) = self.0.store.yard(yard).await? else { return Ok(StackNetwork::Unknown) };
        let outline = outline_of(&self.0.store, yard, "the yard's manifest", &row.manifest).await?;
        Ok(outline.map(|o| o.intended.stack_network).unwrap_or_default())
    }

    /// The stack as it was deployed last, unless it is being removed.
    async fn before(&self, yard: &str, name: &str) -> Result<Option<Stack>, StackError> {
        let known = self.known().await?;
        let kept = known.entry(yard, name).ok().map(|entry| &entry.kept).filter(|kept| !kept.removing);
        Ok(kept.and_then(|kept| kept.history.first()).map(|version| version.stack.clone()))
    }

    /// Why containers on the yard's cloud cannot have ports of their own, if they cannot.
    async fn lacks_trunks(&self, yard: &str) -> Option<String> {
        match tokio::time::timeout(CLOUD_WITHIN, self.0.ports.has_trunks(yard)).await {
            Ok(Ok(true)) => None,
            Ok(Ok(false)) => Some("the cloud has no trunks (Neutron's extension `trunk`)".to_owned()),
            Ok(Err(error)) => Some(format!("the cloud does not say whether it has trunks: {}", error_chain(&error))),
            Err(_) => {
                let within = CLOUD_WITHIN.as_secs();
                Some(format!("the cloud did not say within {within} s whether it has trunks"))
            }
        }
    }
}

/// Why containers on all of these hosts cannot have ports of their own, if they cannot.
fn obstacle(hosts: &[Host]) -> Option<String> {
    let find = |is: fn(&&Host) -> bool| {
        let names: Vec<&str> = hosts.iter().filter(is).map(|h| h.name.as_str()).collect();
        (!names.is_empty()).then(|| listed(&names))
    };
    if let Some(names) = find(|h| h.pool.is_empty()) {
        return Some(format!("{names} joined by hand, and only servers of pools have Neutron ports for containers"));
    }
    if let Some(names) = find(|h| h.facts.links.is_empty()) {
        return Some(format!(
            "the agent of {names} is older than this server, or its kernel has no links for containers"
        ));
    }
    let names = find(|h| !h.facts.links.contains(&PortLink::Vlan))?;
    Some(format!("the kernel of {names} has no VLAN links"))
}

fn listed(names: &[&str]) -> String {
    let (first, more) = names.split_at(names.len().min(NAMED));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    format!("{}{more}", first.join(", "))
}
