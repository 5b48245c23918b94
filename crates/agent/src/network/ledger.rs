//! What the plugin must not forget: a file for each network, address pool and endpoint.
//!
//! | directory | what | lost, it |
//! |---|---|---|
//! | `networks/` | which Neutron network a Docker network is, and its defaults | must be made again in Docker |
//! | `pools/` | which subnet an address pool of Docker's is | as the network |
//! | `spares/` | a port that waits for an endpoint | is nobody's, and given back |
//! | `limits/` | the QoS policy that containers with some bandwidth share | is made again, the old one nobody's |
//! | `endpoints/` | the port of an endpoint | is found in the cloud by its mark, and not given back if lost |
//! | `members/` | an endpoint's place in a load balancer's pool | is found there by its mark |

use crate::network::Error;
use crate::network::bandwidth::{Bandwidth, BandwidthPolicy};
use crate::network::options::{EndpointOptions, PoolSize};
use crate::state::{Durable, StateDir};
use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stackyard_openstack::FixedIp;
use stackyard_wire::binding::Vif;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A Docker network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// Id of the Neutron network.
    pub(crate) neutron: String,
    /// Greatest packet, in bytes.
    pub(crate) mtu: u32,
    /// What its endpoints get addresses of.
    pub(crate) subnets: Vec<Subnet>,
    /// Whether this plugin made the Neutron network.
    pub(crate) made: bool,
    /// What endpoints have unless they say otherwise.
    pub(crate) defaults: EndpointOptions,
    /// How many ports it keeps ready; absent: what the plugin says.
    #[serde(default)]
    pub(crate) pool: Option<PoolSize>,
    /// Whether Neutron gives its ports the project's default security group.
    #[serde(default)]
    pub(crate) port_security: Option<bool>,
    /// Its router's ports that are in a firewall group.
    #[serde(default)]
    pub(crate) guarded: Option<GuardedPorts>,
    /// Whether its containers get no way out; then its subnets here have no gateway and no default route.
    #[serde(default)]
    pub(crate) internal: bool,
}

/// Ports in a firewall group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GuardedPorts {
    /// Name or id.
    pub(crate) group: String,
    /// The ports' ids.
    pub(crate) ports: Vec<String>,
}

/// A subnet of such a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    /// Neutron's id.
    pub(crate) id: String,
    pub(crate) cidr: IpNet,
    pub(crate) gateway: Option<IpAddr>,
    /// Destinations and next hops.
    pub(crate) routes: Vec<(IpNet, IpAddr)>,
    /// Name servers.
    #[serde(default)]
    pub(crate) dns: Vec<String>,
    /// Id of the address pool that Docker knows it as.
    pub(crate) pool: Option<String>,
}

/// An address pool that Docker has asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AddressPool {
    pub(crate) cidr: IpNet,
    pub(crate) gateway: Option<IpAddr>,
    /// Id of the existing Neutron network that it is of.
    pub(crate) neutron: Option<String>,
    /// Docker's id of the network that it has become part of.
    pub(crate) network: Option<String>,
    /// When Docker asked, in seconds since 1970.
    pub(crate) asked: i64,
}

/// An endpoint, or what is to become one: while Docker has only asked for its address, it goes under its
/// MAC address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// Docker's id of the network.
    pub(crate) network: String,
    /// The port's id.
    pub(crate) port: String,
    /// What the links are named after: the port's id, unless this port has taken another's place.
    pub(crate) link: String,
    pub(crate) mac: String,
    pub(crate) ips: Vec<FixedIp>,
    pub(crate) vif: Vif,
    pub(crate) options: EndpointOptions,
    /// Id of a floating IP that was made for it.
    pub(crate) floating_ip: Option<String>,
    /// Floating IPs and forwardings, by id, that lead to ports of it.
    #[serde(default)]
    pub(crate) forwardings: Vec<(String, String)>,
    /// Whether the port was there before, and stays.
    pub(crate) adopted: bool,
    /// Whether that port's `device_id` is somebody else's, as Zun's.
    #[serde(default)]
    pub(crate) keeps_device: bool,
    /// Whether the cloud is still to be told which endpoint has this port, which was ready before.
    #[serde(default)]
    pub(crate) unnamed: bool,
    /// How fast packets may go by the kernel.
    #[serde(default)]
    pub(crate) limits: Bandwidth,
    /// What it is to CNI, if it came so.
    #[serde(default)]
    pub(crate) attachment: Option<Attachment>,
    /// The file of its container's namespace; empty unless the container publishes ports.
    #[serde(default)]
    pub(crate) sandbox: String,
    /// Its place among the endpoints there: the container leaves by the network of the lowest one.
    #[serde(default)]
    pub(crate) rank: u32,
}

/// An endpoint as CNI knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    /// Name of the network configuration.
    pub(crate) network: String,
    pub(crate) container: String,
    /// Name of the link in the container.
    pub(crate) ifname: String,
    /// Whether its ADD has not ended yet.
    #[serde(default)]
    pub(crate) unfinished: bool,
}

/// An endpoint's place in a load balancer's pool: what is to be, written down before it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Membership {
    /// The endpoint's id, or its key with CNI.
    pub(crate) endpoint: String,
    /// Name of the member.
    pub(crate) mark: String,
    /// Id of the pool.
    pub(crate) pool: String,
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) weight: Option<u32>,
    /// Id of the subnet that the address is in; absent of what was found in the cloud.
    pub(crate) subnet: Option<String>,
    pub(crate) stage: MembershipStage,
}

/// What is to become of a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MembershipStage {
    /// To be made.
    Wanted,
    /// Made.
    There,
    /// To be removed.
    Unwanted,
}

/// A port that waits for an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spare {
    pub(crate) endpoint: Endpoint,
    /// Whether it can be taken: Docker's are plugged and wired then, but for those made ahead.
    pub(crate) ready: bool,
    /// Whether it was made for a container that was about to start, and is no pool's.
    #[serde(default)]
    pub(crate) ahead: bool,
}

impl Endpoint {
    /// Its address in a subnet.
    pub(crate) fn address_in(&self, subnet: &str) -> Option<IpAddr> {
        let ip = self.ips.iter().find(|ip| ip.subnet_id == subnet)?;
        ip.ip_address.as_deref()?.parse().ok()
    }
}

/// Records of one kind.
pub(crate) struct FileTable<T> {
    noun: &'static str,
    dir: StateDir,
    records: Mutex<BTreeMap<String, T>>,
    durable: Durable,
}

impl<T: Clone + Serialize + DeserializeOwned> FileTable<T> {
    fn open(state: &StateDir, noun: &'static str, durable: Durable) -> Result<Self, crate::Error> {
        let dir = StateDir::open(state.path().join(format!("{noun}s")))?;
        let mut records = BTreeMap::new();
        let listed = std::fs::read_dir(dir.path()).map_err(crate::Error::file("list", dir.path()))?;
        for entry in listed.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(key) = name.strip_suffix(".json") else { continue };
            if let Some(record) = dir.read(&name)? {
                records.insert(key.to_owned(), record);
            }
        }
        Ok(Self { noun, dir, records: Mutex::new(records), durable })
    }

    /// A record, if there is one.
    pub(crate) fn get(&self, key: &str) -> Option<T> {
        self.lock().get(key).cloned()
    }

    /// A record that must be there.
    pub(crate) fn need(&self, key: &str) -> Result<T, Error> {
        self.get(key).ok_or_else(|| {
            Error::request(format!(
                "this plugin knows no {} {key} (its state is in {}); make the network again",
                self.noun,
                self.dir.path().display()
            ))
        })
    }

    /// All records.
    pub(crate) fn all(&self) -> BTreeMap<String, T> {
        self.lock().clone()
    }

    /// Writes a record down.
    pub(crate) fn put(&self, key: &str, record: &T) -> Result<(), Error> {
        if key.is_empty() || key.starts_with('.') || key.contains('/') {
            return Err(Error::request(format!("{key:?} is no id of a {}", self.noun)));
        }
        self.dir.write(&format!("{key}.json"), record, self.durable)?;
        self.lock().insert(key.to_owned(), record.clone());
        Ok(())
    }

    /// Changes, makes or removes a record, with nobody else in between.
    pub(crate) fn alter(&self, key: &str, change: impl FnOnce(Option<T>) -> Option<T>) -> Result<(), Error> {
        let mut records = self.lock();
        let file = format!("{key}.json");
        match change(records.get(key).cloned()) {
            Some(record) => {
                self.dir.write(&file, &record, self.durable)?;
                records.insert(key.to_owned(), record);
            }
            None if records.remove(key).is_some() => self.dir.remove(&file)?,
            None => {}
        }
        Ok(())
    }

    /// Removes a record, if there is one.
    pub(crate) fn remove(&self, key: &str) -> Result<(), Error> {
        if self.lock().remove(key).is_some() {
            self.dir.remove(&format!("{key}.json"))?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, T>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All records.
pub(crate) struct Ledger {
    pub(crate) networks: FileTable<Network>,
    pub(crate) pools: FileTable<AddressPool>,
    /// After a power cut no container runs: endpoints need not outlive one.
    pub(crate) endpoints: FileTable<Endpoint>,
    pub(crate) spares: FileTable<Spare>,
    pub(crate) members: FileTable<Membership>,
    pub(crate) limits: FileTable<BandwidthPolicy>,
}

impl Ledger {
    /// Reads what there is.
    pub(crate) fn open(state: &StateDir) -> Result<Self, crate::Error> {
        Ok(Self {
            networks: FileTable::open(state, "network", Durable::Yes)?,
            pools: FileTable::open(state, "pool", Durable::Yes)?,
            endpoints: FileTable::open(state, "endpoint", Durable::No)?,
            spares: FileTable::open(state, "spare", Durable::No)?,
            members: FileTable::open(state, "member", Durable::No)?,
            limits: FileTable::open(state, "limit", Durable::No)?,
        })
    }
}

/// The time now, as [`AddressPool::asked`] has it.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The beginning of one of Docker's ids, as Docker shows it; a MAC address as it is.
pub(crate) fn short(id: &str) -> &str {
    if id.contains(':') { id } else { id.get(..12).unwrap_or(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_outlive_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(dir.path()).unwrap();
        let pool =
            AddressPool { cidr: "10.0.0.0/24".parse().unwrap(), gateway: None, neutron: None, network: None, asked: 1 };
        let ledger = Ledger::open(&state).unwrap();
        ledger.pools.put("a", &pool).unwrap();
        ledger.pools.put("b", &pool).unwrap();
        ledger.pools.remove("b").unwrap();
        assert!(ledger.pools.put("../c", &pool).is_err());
        let again = Ledger::open(&state).unwrap();
        assert_eq!(again.pools.all(), [("a".to_owned(), pool)].into());
        again
            .pools
            .alter("c", |none| none.or(Some(AddressPool { asked: 2, ..ledger.pools.get("a").unwrap() })))
            .unwrap();
        again.pools.alter("a", |_| None).unwrap();
        let third = Ledger::open(&state).unwrap().pools.all();
        assert_eq!(third.into_iter().map(|(key, pool)| (key, pool.asked)).collect::<Vec<_>>(), [("c".to_owned(), 2)]);
        assert!(again.networks.need("n").unwrap_err().to_string().contains("knows no network n"));
    }
}
