//! Names of a stack's services on networks that reach across hosts.
//!
//! A host reports the addresses of its containers. The server derives what each container is called from what it told
//! the host to run ([`named`]), and sends the result to the other hosts of the stack as [`NameUpdate`]s. A host
//! derives its own containers' names in the same way, so that they resolve while the server is away.

use super::message::{ContainerReport, ContainerState, Report};
use super::part::{Part, Replica};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A replica of a stack, as the resolvers of other hosts know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamedContainer {
    /// Name of the stack.
    pub stack: String,
    /// The replica.
    pub replica: Replica,
    /// It runs, and its health check, if it has one, succeeds.
    pub ready: bool,
    /// Its names and addresses on each network that reaches across hosts, by the network's name on the engine.
    pub networks: BTreeMap<String, NamedEndpoint>,
}

/// A replica's names and addresses on one network.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct NamedEndpoint {
    /// Names that it shares with the other replicas of its service: the service's, `STACK_SERVICE`, aliases.
    pub names: BTreeSet<String>,
    /// Its addresses; none while it does not run.
    pub addresses: Vec<IpAddr>,
}

/// Changes of the names that an agent answers. Lists of hosts that it does not mention stay as they were.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NameUpdate {
    /// Ids of all hosts with containers that the agent's containers may reach by name. The agent forgets other hosts.
    pub hosts: BTreeSet<String>,
    /// All named containers of a host, by its id, for hosts where they changed.
    pub changed: BTreeMap<String, Vec<NamedContainer>>,
}

/// The replicas of `parts` that have names across hosts, in order of stack and replica, with what `report` says of them.
/// A replica of which an incomplete report says nothing has the addresses that it had in `before`.
///
/// `None` if the report is incomplete and nothing is known from before: its replicas may run.
pub fn named<'a>(
    parts: impl IntoIterator<Item = &'a Part>,
    report: &Report,
    before: Option<&[NamedContainer]>,
) -> Option<Vec<NamedContainer>> {
    let mut all = Vec::new();
    for part in parts {
        let reported = report.parts.get(part.name());
        let is_incomplete = reported.is_some_and(|r| r.incomplete);
        let reported = reported.map(|p| p.containers.as_slice()).unwrap_or_default();
        for (name, replica) in &part.replicas {
            let container = reported.iter().find(|c| c.replica == *replica);
            let mut networks = endpoints(part, name, replica, container);
            if networks.is_empty() {
                continue;
            }
            let mut ready = container.is_some_and(|c| runs(c) && c.healthy != Some(false));
            if container.is_none() && is_incomplete {
                let mut known = before?.iter();
                if let Some(known) = known.find(|k| k.stack == part.name() && k.replica == *replica) {
                    ready = known.ready;
                    for (network, endpoint) in &mut networks {
                        endpoint.addresses =
                            known.networks.get(network).map(|e| e.addresses.clone()).unwrap_or_default();
                    }
                }
            }
            all.push(NamedContainer { stack: part.name().to_owned(), replica: replica.clone(), ready, networks });
        }
    }
    Some(all)
}

/// Names on the engine of the networks of `parts` that reach across hosts.
pub fn shared_networks<'a>(parts: impl IntoIterator<Item = &'a Part>) -> BTreeSet<String> {
    let of = |part: &'a Part| {
        let stack = part.stack();
        stack.network_keys().into_iter().map(|key| stack.network(&key)).filter(|n| n.crosses_hosts()).map(|n| n.name)
    };
    parts.into_iter().flat_map(of).collect()
}

/// The containers of `all` on one of `networks`, with these networks only.
pub fn on_networks(all: &[NamedContainer], networks: &BTreeSet<String>) -> Vec<NamedContainer> {
    let visible = all.iter().filter_map(|container| {
        let mut container = container.clone();
        container.networks.retain(|name, _| networks.contains(name));
        (!container.networks.is_empty()).then_some(container)
    });
    visible.collect()
}

fn runs(container: &ContainerReport) -> bool {
    container.state == ContainerState::Running
}

fn endpoints(
    part: &Part,
    name: &str,
    replica: &Replica,
    container: Option<&ContainerReport>,
) -> BTreeMap<String, NamedEndpoint> {
    let stack = part.stack();
    let Some(service) = stack.services.get(name) else { return BTreeMap::new() };
    let endpoint = |(key, attachment): (String, crate::stack::Attachment)| {
        let network = Some(stack.network(&key)).filter(|n| n.crosses_hosts())?;
        let fixed = [replica.service.clone(), format!("{}_{}", stack.name, replica.service)];
        let names = attachment.aliases.into_iter().chain(fixed).collect();
        let addresses = container.filter(|c| runs(c)).and_then(|c| c.addresses.get(&network.name));
        Some((network.name, NamedEndpoint { names, addresses: addresses.cloned().unwrap_or_default() }))
    };
    stack.attachments(service).into_iter().filter_map(endpoint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::PartReport;
    use crate::stack::{Attachment, NETWORK_DRIVER, Network, NetworkMode, Service, Stack};

    fn part() -> Part {
        let mut stack = Stack { name: "shop".into(), ..Stack::default() };
        let front = Network { name: "shop_front".into(), driver: Some(NETWORK_DRIVER.into()), ..Network::default() };
        stack.networks.insert("front".into(), front);
        let attachment = |aliases: &[&str]| Attachment {
            aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
            ..Attachment::default()
        };
        let both =
            BTreeMap::from([("back".into(), attachment(&["web"])), ("front".into(), attachment(&["web", "www"]))]);
        let web = Service { network_mode: NetworkMode::Networks(both), ..Service::default() };
        stack.services.insert("web-2".into(), web);
        stack.services.insert("db-1".into(), Service::default());
        let replica = |service: &str, index| Replica { service: service.into(), index };
        let replicas = BTreeMap::from([("web-2".into(), replica("web", 2)), ("db-1".into(), replica("db", 1))]);
        Part::pack(stack, replicas, BTreeMap::new())
    }

    fn report(state: ContainerState, healthy: Option<bool>) -> Report {
        let addresses = BTreeMap::from([
            ("shop_front".to_owned(), vec!["10.20.0.7".parse().unwrap()]),
            ("shop_back".to_owned(), vec!["172.18.0.2".parse().unwrap()]),
        ]);
        let container = ContainerReport {
            replica: Replica { service: "web".into(), index: 2 },
            generation: 1,
            id: "c".into(),
            state,
            healthy,
            restarts: 0,
            started: Some(1),
            last_lines: Vec::new(),
            ended: None,
            addresses,
            ports: Vec::new(),
        };
        let part = PartReport { containers: vec![container], ..PartReport::default() };
        Report { parts: [("shop".to_owned(), part)].into(), ..Report::default() }
    }

    #[test]
    fn a_container_is_named_on_networks_that_reach_across_hosts() {
        let all = named([&part()], &report(ContainerState::Running, Some(true)), None).unwrap();
        let [web] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((web.stack.as_str(), web.replica.to_string().as_str(), web.ready), ("shop", "web-2", true));
        assert_eq!(web.networks.keys().collect::<Vec<_>>(), ["shop_front"]);
        let endpoint = &web.networks["shop_front"];
        assert_eq!(endpoint.names.iter().collect::<Vec<_>>(), ["shop_web", "web", "www"]);
        assert_eq!(endpoint.addresses, ["10.20.0.7".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_container_that_does_not_run_has_names_without_addresses() {
        let ill = named([&part()], &report(ContainerState::Running, Some(false)), None).unwrap();
        assert!(!ill[0].ready && !ill[0].networks["shop_front"].addresses.is_empty());
        for state in [ContainerState::Exited(0), ContainerState::Restarting, ContainerState::Paused] {
            let ended = named([&part()], &report(state, None), None).unwrap();
            assert!(!ended[0].ready && ended[0].networks["shop_front"].addresses.is_empty(), "{state:?}");
        }
        assert!(named([&part()], &Report::default(), None).unwrap()[0].networks["shop_front"].addresses.is_empty());
    }

    #[test]
    fn a_host_that_cannot_look_keeps_its_names() {
        let (part, seen) = (part(), report(ContainerState::Running, Some(true)));
        let before = named([&part], &seen, None).unwrap();
        let mut unseen = seen.clone();
        unseen.parts.insert("shop".into(), PartReport { incomplete: true, ..PartReport::default() });
        assert_eq!(named([&part], &unseen, Some(&before)), Some(before.clone()));
        assert_eq!(named([&part], &unseen, None), None, "it is not known whether they run");
        // What the report has counts.
        let mut ended = report(ContainerState::Exited(0), None);
        ended.parts.get_mut("shop").unwrap().incomplete = true;
        assert_eq!(
            named([&part], &ended, Some(&before)),
            named([&part], &report(ContainerState::Exited(0), None), None)
        );
        // An agent that cannot tell, and one that says that there are none.
        unseen.parts.insert("shop".into(), PartReport::default());
        let gone = named([&part], &unseen, Some(&before)).unwrap();
        assert!(!gone[0].ready && gone[0].networks["shop_front"].addresses.is_empty());
        let text = serde_json::to_string(&unseen).unwrap();
        assert!(!text.contains("incomplete"), "an older server reads it: {text}");
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), unseen);
    }

    #[test]
    fn a_host_sees_only_containers_on_networks_of_its_own() {
        assert_eq!(shared_networks([&part()]), ["shop_front".to_owned()].into());
        let all = named([&part()], &report(ContainerState::Running, None), None).unwrap();
        assert_eq!(on_networks(&all, &["shop_front".to_owned(), "x".to_owned()].into()), all);
        assert!(on_networks(&all, &["shop_back".to_owned()].into()).is_empty());
    }
}
