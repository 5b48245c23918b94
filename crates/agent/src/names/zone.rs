//! What names lead to on each network.

use stackyard_core::agent::NamedContainer;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Names and addresses on all networks that reach across hosts, by the network's name on the engine.
#[derive(Debug, Default)]
pub struct Zone {
    networks: HashMap<String, HashMap<String, Addresses>>,
    /// Grows with each answer, so that each begins with another replica.
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Addresses {
    ready: BTreeSet<IpAddr>,
    /// Of containers that run and are not ready.
    other: BTreeSet<IpAddr>,
}

impl Zone {
    /// The zone of these containers.
    ///
    /// A service's name, its aliases and `STACK_SERVICE` lead to the replicas that are ready. If none is, they lead to
    /// those that run: replicas that find each other before they are ready must not wait for themselves. The name of
    /// one replica, `SERVICE-1`, leads to it as long as it runs.
    pub fn new<'a>(containers: impl IntoIterator<Item = &'a NamedContainer>) -> Self {
        let mut networks: HashMap<String, HashMap<String, Addresses>> = HashMap::new();
        for container in containers {
            for (network, endpoint) in &container.networks {
                let names = networks.entry(network.clone()).or_default();
                for name in &endpoint.names {
                    let known = names.entry(name.to_ascii_lowercase()).or_default();
                    let list = if container.ready { &mut known.ready } else { &mut known.other };
                    list.extend(&endpoint.addresses);
                }
                let own = names.entry(container.replica.to_string().to_ascii_lowercase()).or_default();
                own.ready.extend(&endpoint.addresses);
            }
        }
        Self { networks, turn: AtomicUsize::new(0) }
    }

    /// Addresses that `name`, in lower case, leads to on `networks`: each time another one is the first. `None` if
    /// nothing has that name there, nothing if no container with it runs.
    pub fn addresses(&self, networks: &BTreeSet<String>, name: &str) -> Option<Vec<IpAddr>> {
        let found: Vec<&Addresses> = networks.iter().filter_map(|n| self.networks.get(n)?.get(name)).collect();
        if found.is_empty() {
            return None;
        }
        let all = |list: fn(&Addresses) -> &BTreeSet<IpAddr>| -> BTreeSet<IpAddr> {
            found.iter().flat_map(|a| list(a)).copied().collect()
        };
        let mut addresses: Vec<IpAddr> = all(|a| &a.ready).into_iter().collect();
        if addresses.is_empty() {
            addresses = all(|a| &a.other).into_iter().collect();
        }
        if addresses.len() > 1 {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        Some(addresses)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use stackyard_core::agent::{NamedEndpoint, Replica};
    use std::collections::BTreeMap;

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

    pub(crate) fn networks(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn look(zone: &Zone, name: &str) -> Vec<String> {
        let found = zone.addresses(&networks(&["shop_front"]), name).unwrap();
        let mut texts: Vec<String> = found.iter().map(ToString::to_string).collect();
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
    fn each_replica_comes_first_in_its_turn() {
        let all = [1, 2, 3].map(|i| container("web", i, true, &[&format!("10.0.0.{i}")]));
        let zone = Zone::new(&all);
        let firsts: BTreeSet<IpAddr> =
            (0..3).map(|_| zone.addresses(&networks(&["shop_front"]), "web").unwrap()[0]).collect();
        assert_eq!(firsts.len(), 3);
    }

    #[test]
    fn names_of_other_networks_are_not_found() {
        let all = [on("a_front", "db", 1, true, &["10.0.0.1"]), on("b_front", "db", 1, true, &["10.0.0.2"])];
        let zone = Zone::new(&all);
        let one = |network: &str| zone.addresses(&networks(&[network]), "db");
        assert_eq!(one("a_front"), Some(vec!["10.0.0.1".parse().unwrap()]));
        assert_eq!(one("b_front"), Some(vec!["10.0.0.2".parse().unwrap()]));
        assert_eq!(one("c_front"), None);
        assert_eq!(zone.addresses(&networks(&["a_front", "b_front"]), "db").unwrap().len(), 2);
    }
}
