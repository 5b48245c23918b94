//! The hosts of a yard, as the templates of packages see them.
//!
//! The list has all hosts that joined, whether they answer or not: one that is only away must not change the
//! configuration of the others. Before an `up`, hosts of pools that are still to join stand in it with an example
//! address, so that the plan says which services the new hosts change. After the pools have joined, `up`
//! renders again.

use crate::operations::YardSnapshot;
use stackyard_api::HostView;
use stackyard_catalog::manifest::Yard;
use stackyard_catalog::{EXAMPLE_ADDRESS, Machines, YardHost};
use stackyard_client::{Client, ClientError};
use stackyard_core::stack::own_host::OwnHost;
use stackyard_core::yard::intend::Spec;
use std::collections::BTreeSet;

/// Which hosts a list has in addition to those that joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// Hosts of the manifest's pools that are still to join; it has none that are to go.
    Pools,
    /// None.
    Nothing,
}

/// A host with its pool; an empty one for a machine that belongs to none.
#[derive(Debug)]
struct Known {
    pool: String,
    host: YardHost,
}

/// The hosts of a yard.
#[derive(Debug)]
pub(super) struct KnownHosts {
    /// Ordered by joining.
    hosts: Vec<Known>,
    /// Some have not joined yet.
    pub(super) expected: bool,
}

impl KnownHosts {
    /// Asks the server for the hosts of a yard.
    ///
    /// # Errors
    /// [`ClientError`]
    pub(super) async fn look(
        yard: &Yard,
        client: &Client,
        expect: Expect,
    ) -> Result<Self, ClientError> {
        let joined = client.hosts(Some(&yard.intended.yard), None).await?;
        Ok(Self::of(yard, joined, expect))
    }

    /// Asks the server for the hosts that joined a yard, which needs no manifest.
    ///
    /// # Errors
    /// [`ClientError`]
    pub(super) async fn joined(yard: &str, client: &Client) -> Result<Self, ClientError> {
        let hosts = in_order(client.hosts(Some(yard), None).await?);
        Ok(Self {
            hosts,
            expected: false,
        })
    }

    fn of(yard: &Yard, joined: Vec<HostView>, expect: Expect) -> Self {
        let mut hosts = in_order(joined);
        if expect == Expect::Nothing || !YardSnapshot::has_agents(&yard.intended) {
            return Self {
                hosts,
                expected: false,
            };
        }
        let declared: Vec<Known> = declared(yard).collect();
        let names: BTreeSet<&str> = declared.iter().map(|d| d.host.name.as_str()).collect();
        hosts.retain(|k| k.pool.is_empty() || names.contains(k.host.name.as_str()));
        let there: BTreeSet<String> = hosts.iter().map(|k| k.host.name.clone()).collect();
        let before = hosts.len();
        hosts.extend(
            declared
                .into_iter()
                .filter(|d| !there.contains(&d.host.name)),
        );
        let expected = hosts.len() > before;
        Self { hosts, expected }
    }

    /// The hosts for a stack, which may use those of one pool only.
    pub(super) fn machines(&self, pool: Option<&str>) -> Machines {
        let of_pool = self
            .hosts
            .iter()
            .filter(|k| pool.is_none_or(|pool| k.pool == pool));
        Machines::Hosts(of_pool.map(|k| k.host.clone()).collect())
    }
}

/// Hosts in the order in which they joined.
fn in_order(mut joined: Vec<HostView>) -> Vec<Known> {
    // Ids are UUIDs of version 7, which begin with the time.
    joined.sort_by(|a, b| a.id.cmp(&b.id));
    joined.into_iter().map(known).collect()
}

fn known(view: HostView) -> Known {
    let own = OwnHost::new(&view.name, view.address);
    Known {
        pool: view.pool,
        host: YardHost {
            name: own.name,
            address: own.address,
            labels: view.labels,
        },
    }
}

/// The hosts of a manifest's pools.
fn declared(yard: &Yard) -> impl Iterator<Item = Known> {
    yard.intended.resources.iter().filter_map(|resource| {
        let Spec::Server(server) = &resource.spec else {
            return None;
        };
        let host = server.host.as_ref().filter(|h| h.has_agent())?;
        let (name, address, labels) = (
            resource.key.name.clone(),
            EXAMPLE_ADDRESS.to_owned(),
            host.labels.clone(),
        );
        Some(Known {
            pool: host.pool.clone(),
            host: YardHost {
                name,
                address,
                labels,
            },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn view(id: &str, name: &str, pool: &str, address: Option<&str>) -> HostView {
        let view = json!({
            "id": id, "yard": "shop", "name": name, "pool": pool, "labels": {"db": "yes"},
            "health": "unknown", "connected": false, "drain": false, "leaving": false,
            "joined": "", "revision": 0, "address": address,
            "facts": {"addresses": ["172.17.0.1"]},
        });
        serde_json::from_value(view).expect("a host")
    }

    /// Names and addresses of the hosts for a stack.
    fn listed(hosts: &KnownHosts, pool: Option<&str>) -> Vec<String> {
        let Machines::Hosts(hosts) = hosts.machines(pool) else {
            panic!("no hosts")
        };
        let listed = hosts.iter().inspect(|h| assert_eq!(h.labels["db"], "yes"));
        listed
            .map(|h| format!("{}={}", h.name, h.address))
            .collect()
    }

    #[test]
    fn hosts_are_listed_in_the_order_of_joining_at_the_address_of_their_join() {
        // None is connected: one that is away must not change the configuration of others.
        let hosts = KnownHosts {
            hosts: in_order(vec![
                view("03", "a", "", None),
                view("01", "c", "data", Some("10.0.0.5")),
                view("02", "b", "data", Some("fd00::5")),
            ]),
            expected: false,
        };
        // One that told no address yet is reached by its name.
        assert_eq!(listed(&hosts, None), ["c=10.0.0.5", "b=fd00::5", "a=a"]);
        assert_eq!(listed(&hosts, Some("data")), ["c=10.0.0.5", "b=fd00::5"]);
        assert_eq!(listed(&hosts, Some("web")), [""; 0]);
    }
}
