//! What names lead to on each network.

use hickory_proto::rr::RecordType;
use stackyard_core::agent::NamedContainer;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names and addresses on all networks that reach across hosts, by the network's name on the engine and its [`owner`].
#[derive(Debug, Default)]
pub struct Zone {
    networks: HashMap<String, BTreeMap<String, Names>>,
}

type Names = HashMap<String, Addresses>;

#[derive(Debug, Default)]
struct Addresses {
    ready: BTreeSet<IpAddr>,
    /// Of containers that run and are not ready.
    other: BTreeSet<IpAddr>,
    /// Grow with each answer of several records, so that each begins with another replica: for A, AAAA and both. Clients
    /// ask for A and AAAA in pairs.
    turns: [AtomicUsize; 3],
}

/// A container that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker<'a> {
    /// Its stack.
    pub stack: &'a str,
    /// Names on the engine of the networks that it is on.
    pub networks: &'a BTreeSet<String>,
}

impl Zone {
    /// The zone of these containers.
    ///
    /// A service's name, its aliases and `STACK_SERVICE` lead to the replicas that are ready. If none is, they lead to
    /// those that run: replicas that find each other before they are ready must not wait for themselves. The name of
    /// one replica, `SERVICE-1`, leads to it as long as it runs.
    pub fn new<'a>(containers: impl IntoIterator<Item = &'a NamedContainer>) -> Self {
        let mut networks: HashMap<String, BTreeMap<String, Names>> = HashMap::new();
        for container in containers {
            for (network, endpoint) in &container.networks {
                let owners = networks.entry(network.clone()).or_default();
                let names = owners.entry(owner(network, &container.stack).to_owned()).or_default();
                for name in &endpoint.names {
                    let known = names.entry(name.to_ascii_lowercase()).or_default();
                    let list = if container.ready { &mut known.ready } else { &mut known.other };
                    list.extend(&endpoint.addresses);
                }
                let own = names.entry(container.replica.to_string().to_ascii_lowercase()).or_default();
                own.ready.extend(&endpoint.addresses);
            }
        }
        Self { networks }
    }

    /// Addresses that `name`, in lower case, leads to for a container, in records of type `wanted`: each time another one
    /// is the first. `None` if nothing has that name there, nothing if no container with it runs.
    pub fn addresses(&self, asker: &Asker<'_>, name: &str, wanted: RecordType) -> Option<Vec<IpAddr>> {
        let found: Vec<&Addresses> = asker
            .networks
            .iter()
            .filter_map(|network| Some((owner(network, asker.stack), self.networks.get(network)?)))
            .flat_map(|(own, owners)| owners.iter().filter(move |(other, _)| is_seen(own, other)))
            .filter_map(|(_, names)| names.get(name))
            .collect();
        let first = found.first()?;
        let fits = |address: &IpAddr| match wanted {
            RecordType::A => address.is_ipv4(),
            RecordType::AAAA => address.is_ipv6(),
            other => other == RecordType::ANY,
        };
        let all = |list: fn(&Addresses) -> &BTreeSet<IpAddr>| -> BTreeSet<IpAddr> {
            found.iter().flat_map(|a| list(a)).copied().collect()
        };
        let mut addresses = all(|a| &a.ready);
        if addresses.is_empty() {
            addresses = all(|a| &a.other);
        }
        let mut addresses: Vec<IpAddr> = addresses.into_iter().filter(fits).collect();
        if addresses.len() > 1 {
            let [v4, v6, both] = &first.turns;
            let turn = match wanted {
                RecordType::A => v4,
                RecordType::AAAA => v6,
                _ => both,
            };
            let turn = turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        Some(addresses)
    }
}

/// The stack that a network of this name belongs to, if it is one of `stack` by its name, `STACK_KEY`. Empty for a network
/// to which the file gives a name: stacks share it if they give it the same.
fn owner<'a>(network: &str, stack: &'a str) -> &'a str {
    if network.strip_prefix(stack).is_some_and(|rest| rest.starts_with('_')) { stack } else { "" }
}

/// Whether a container whose network has the owner `own` sees the names of `other` there. Those of two stacks that both
/// have a network of that name by chance are kept apart: `a` with `b_front`, and `a_b` with `front`.
fn is_seen(own: &str, other: &str) -> bool {
    own == other || own.is_empty() || other.is_empty()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use stackyard_core::agent::{NamedEndpoint, Replica};

    pub(crate) fn container(service: &str, index: u32, ready: bool, addresses: &[&str]) -> NamedContainer {
        on("shop_front", service, index, ready, addresses)
    }

    pub(crate) fn on(network: &str, service: &str, index: u32, ready: bool, addresses: &[&str]) -> NamedContainer {
        let names = [service.to_owned(), format!("shop_{service}")].into();
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        NamedContainer {
            stack: "shop".into(),
            replica: Replica { service: service.into(), index },
            ready,
            networks: BTreeMap::from([(network.to_owned(), NamedEndpoint { names, addresses })]),
        }
    }

    pub(crate) fn container_of(stack: &str, network: &str, address: &str) -> NamedContainer {
        NamedContainer { stack: stack.into(), ..on(network, "db", 1, true, &[address]) }
    }

    pub(crate) fn networks(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn ask(zone: &Zone, stack: &str, on: &[&str], name: &str) -> Option<Vec<String>> {
        let found = zone.addresses(&Asker { stack, networks: &networks(on) }, name, RecordType::ANY)?;
        Some(found.iter().map(ToString::to_string).collect())
    }

    fn look(zone: &Zone, name: &str) -> Vec<String> {
        let mut texts = ask(zone, "shop", &["shop_front"], name).unwrap();
        texts.sort();
        texts
    }

    #[test]
    fn a_service_leads_to_its_ready_replicas() {
        let all = [
            container("db", 1, true, &["10.0.0.1", "fd00::1"]),
            container("db", 2, false, &["10.0.0.2"]),
            container("db", 3, true, &["10.0.0.3"]),
        ];
        let zone = Zone::new(&all);
        assert_eq!(look(&zone, "db"), ["10.0.0.1", "10.0.0.3", "fd00::1"]);
        assert_eq!(look(&zone, "shop_db"), look(&zone, "db"));
        assert_eq!(look(&zone, "db-2"), ["10.0.0.2"], "a replica is found before it is ready");
    }

    #[test]
    fn without_a_ready_replica_those_that_run_are_found() {
        let all = [container("db", 1, false, &["10.0.0.1"]), container("db", 2, false, &[])];
        assert_eq!(look(&Zone::new(&all), "db"), ["10.0.0.1"]);
        let stopped = [container("db", 1, false, &[])];
        assert!(look(&Zone::new(&stopped), "db").is_empty(), "the name is there, and leads nowhere");
    }

    #[test]
    fn names_of_other_networks_are_not_found() {
        let all = [on("a_front", "db", 1, true, &["10.0.0.1"]), on("b_front", "db", 1, true, &["10.0.0.2"])];
        let zone = Zone::new(&all);
        assert_eq!(ask(&zone, "shop", &["a_front"], "db").unwrap(), ["10.0.0.1"]);
        assert_eq!(ask(&zone, "shop", &["b_front"], "db").unwrap(), ["10.0.0.2"]);
        assert_eq!(ask(&zone, "shop", &["c_front"], "db"), None);
        assert_eq!(ask(&zone, "shop", &["a_front", "b_front"], "db").unwrap().len(), 2);
    }

    #[test]
    fn stacks_share_a_network_only_on_purpose() {
        // Stack `a` with the network `b_front`, and stack `a_b` with `front`.
        let zone =
            Zone::new(&[container_of("a", "a_b_front", "10.0.0.1"), container_of("a_b", "a_b_front", "10.0.0.2")]);
        assert_eq!(ask(&zone, "a", &["a_b_front"], "db").unwrap(), ["10.0.0.1"]);
        assert_eq!(ask(&zone, "a_b", &["a_b_front"], "db").unwrap(), ["10.0.0.2"]);
        // `name: shared` in both.
        let zone = Zone::new(&[container_of("a", "shared", "10.0.0.1"), container_of("b", "shared", "10.0.0.2")]);
        for stack in ["a", "b"] {
            assert_eq!(ask(&zone, stack, &["shared"], "db").unwrap().len(), 2, "{stack}");
        }
        // `name: a_front` in `b`, or `external: true`.
        let zone = Zone::new(&[container_of("a", "a_front", "10.0.0.1"), container_of("b", "a_front", "10.0.0.2")]);
        for stack in ["a", "b"] {
            assert_eq!(ask(&zone, stack, &["a_front"], "db").unwrap().len(), 2, "{stack}");
        }
    }
}
