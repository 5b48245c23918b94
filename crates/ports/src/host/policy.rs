//! What a container's port is to have, by names; and what a host may name, which somebody may have stolen: groups of
//! its yard and of its own NIC, and no address or name that is another's in the network.

use super::{HostBroker, Shared, YardHost};
use crate::container_port::is_containers;
use crate::exposed::IpVersions;
use crate::project::ProjectScope;
use crate::{Error, Result};
use ipnet::IpNet;
use parking_lot::Mutex;
use stackyard_core::agent::{NewContainerPort, PortOptions};
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{AddressPair, Cloud, Network, Port, QosPolicy, SecurityGroup, Subnet};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// What was looked up in clouds, by their names; until [`Lookups::forget`].
#[derive(Debug, Default)]
pub(super) struct Lookups {
    /// Whether they have trunks.
    trunks: Mutex<HashMap<String, bool>>,
    groups: Mutex<HashMap<String, Vec<SecurityGroup>>>,
    /// QoS policies by cloud and name.
    policies: Mutex<HashMap<(String, String), String>>,
    /// Ids of hosts, and of networks of their yards that they have no NIC in.
    networks: Mutex<HashSet<(String, String)>>,
    /// Ids of yards' groups for stacks, by their project and mark.
    pub(super) stack_groups: Mutex<HashMap<String, String>>,
    /// IP versions by id of the network.
    pub(super) versions: Mutex<HashMap<String, IpVersions>>,
}

impl Lookups {
    /// Forgets what was looked up.
    pub(super) fn forget(&self) {
        self.trunks.lock().clear();
        self.groups.lock().clear();
        self.policies.lock().clear();
        self.networks.lock().clear();
        self.stack_groups.lock().clear();
        self.versions.lock().clear();
    }
}

/// Ids of what a port's options name.
#[derive(Debug, Default)]
pub(super) struct OptionIds {
    pub(super) security_groups: Option<Vec<String>>,
    pub(super) qos_policy: Option<String>,
    pub(super) pairs: Vec<AddressPair>,
}

/// Whether a network is a yard's.
pub(super) fn is_network_of(network: &Network, yard: &str, project: &ProjectScope) -> bool {
    let mark = project.read(&network.project_id, &network.description);
    mark.is_some_and(|m| m.yard == yard && m.key.kind == Kind::Network)
}

impl Shared {
    /// Whether a cloud has trunks.
    pub(super) async fn has_trunks(&self, cloud: &Cloud) -> Result<bool> {
        let (known, name) = (&self.lookups.trunks, &cloud.config().name);
        if let Some(known) = known.lock().get(name) {
            return Ok(*known);
        }
        let failed = Error::cloud("asking for Neutron's extensions");
        let has = cloud.has_extension("trunk").await.map_err(failed)?;
        known.lock().insert(name.clone(), has);
        Ok(has)
    }
}

impl HostBroker {
    /// Whether the cloud has trunks.
    pub(super) async fn has_trunks(&self) -> Result<bool> {
        self.shared.has_trunks(&self.cloud).await
    }

    fn network_key(&self, network: &str) -> (String, String) {
        (self.host.id.clone(), network.to_owned())
    }

    /// Whether a network is known to be one of the host's yard, in which no NIC of the host is.
    pub(super) fn is_known_network(&self, network: &str) -> bool {
        self.shared
            .lookups
            .networks
            .lock()
            .contains(&self.network_key(network))
    }

    /// Refuses a network, in which no NIC of the host is, unless it is one of the host's yard.
    pub(super) async fn check_network(&self, network: &str) -> Result<()> {
        if self.is_known_network(network) {
            return Ok(());
        }
        let YardHost { name, yard, .. } = &self.host;
        let project = self.project().await?;
        match self.cloud.get::<Network>(network).await {
            Ok(found) if is_network_of(&found, yard, &project) => {
                self.shared
                    .lookups
                    .networks
                    .lock()
                    .insert(self.network_key(network));
                Ok(())
            }
            Err(e) if !e.is_not_found() => {
                Err(Error::cloud(format!("looking up network {network}"))(e))
            }
            _ => Err(Error::refused(format!(
                "no NIC of host {name} is in network {network}, and it is none of yard {yard}"
            ))),
        }
    }

    /// Ids of what a container's options name; refuses what the host may not name.
    pub(super) async fn option_ids(&self, nic: &Port, new: &NewContainerPort) -> Result<OptionIds> {
        let mut ids = OptionIds::default();
        if let Some(names) = &new.options.security_groups {
            ids.security_groups = Some(self.groups(nic, names).await?);
        }
        if let Some(name) = &new.options.qos_policy {
            ids.qos_policy = Some(self.policy(name).await?);
        }
        self.check_others(&new.network, &new.options).await?;
        let pair = |(ip, mac): &(String, Option<String>)| AddressPair {
            ip_address: ip.clone(),
            mac_address: mac.clone(),
        };
        ids.pairs = new.options.address_pairs.iter().map(pair).collect();
        Ok(ids)
    }

    /// Refuses addresses and a name that are another's in the network.
    async fn check_others(&self, network: &str, options: &PortOptions) -> Result<()> {
        let (pairs, dns_name) = (&options.address_pairs, options.dns_name.as_deref());
        if pairs.is_empty() && dns_name.is_none() {
            return Ok(());
        }
        let query = [("network_id", network)];
        let failed = || Error::cloud(format!("looking up what is in network {network}"));
        let ports: Vec<Port> = self.cloud.list(&query).await.map_err(failed())?;
        let subnets: Vec<Subnet> = match pairs.is_empty() {
            true => Vec::new(),
            false => self.cloud.list(&query).await.map_err(failed())?,
        };
        let others: Vec<&Port> = ports
            .iter()
            .filter(|p| !p.device_owner.is_empty())
            .collect();
        for (address, _) in pairs {
            check_pair(address, &others, &subnets)?;
        }
        let Some(name) = dns_name else { return Ok(()) };
        match others.iter().find(|p| p.dns_name.as_deref() == Some(name)) {
            Some(other) => Err(Error::refused(format!(
                "option `dns-name`: {name:?} is the name of port {} in that network",
                other.id
            ))),
            None => Ok(()),
        }
    }

    async fn policy(&self, name: &str) -> Result<String> {
        let (known, key) = (
            &self.shared.lookups.policies,
            (self.cloud.config().name.clone(), name.to_owned()),
        );
        if let Some(known) = known.lock().get(&key) {
            return Ok(known.clone());
        }
        let found: QosPolicy = self
            .cloud
            .need(name)
            .await
            .map_err(Error::cloud("option `qos-policy`"))?;
        known.lock().insert(key, found.id.clone());
        Ok(found.id)
    }

    /// Ids of groups, by id, name, or the name that the yard's manifest gives them.
    async fn groups(&self, nic: &Port, names: &[String]) -> Result<Vec<String>> {
        let (groups, cloud) = (&self.shared.lookups.groups, &self.cloud.config().name);
        let project = self.project().await?;
        let known = groups.lock().get(cloud).cloned();
        // A group that is not known may be new.
        if let Some(known) = known
            && let Ok(found) = find_groups(&known, &self.host, &project, nic, names)
        {
            return Ok(found);
        }
        let failed = Error::cloud("looking up security groups");
        let all: Vec<SecurityGroup> = self.cloud.list(&[]).await.map_err(failed)?;
        let found = find_groups(&all, &self.host, &project, nic, names);
        groups.lock().insert(cloud.clone(), all);
        found
    }
}

fn find_groups(
    all: &[SecurityGroup],
    host: &YardHost,
    project: &ProjectScope,
    nic: &Port,
    names: &[String],
) -> Result<Vec<String>> {
    let in_yard = |g: &SecurityGroup| {
        let is_its = |m: &Mark| m.yard == host.yard && m.key.kind == Kind::SecurityGroup;
        let mark = project.read(&g.project_id, &g.description).filter(is_its);
        mark.filter(|_| !is_containers(&g.description))
    };
    let may = |g: &&SecurityGroup| in_yard(g).is_some() || nic.security_groups.contains(&g.id);
    let is = |g: &SecurityGroup, name: &str| {
        g.id == name || g.name == name || in_yard(g).is_some_and(|m| m.key.name == name)
    };
    let one = |name: &String| {
        let found: Vec<&SecurityGroup> = all.iter().filter(may).filter(|g| is(g, name)).collect();
        match found.as_slice() {
            [one] => Ok(one.id.clone()),
            [] => {
                let there: Vec<&str> = all.iter().filter(may).map(|g| g.name.as_str()).collect();
                Err(Error::refused(format!(
                    "option `security-groups`: neither yard {} nor the host's NIC has a group {name:?}; there are: {}",
                    host.yard,
                    there.join(", ")
                )))
            }
            _ => Err(Error::refused(format!(
                "option `security-groups`: there are several groups {name:?}; say its id"
            ))),
        }
    };
    names.iter().map(one).collect()
}

/// Refuses that a container sends from an address or CIDR: not from others', and from no whole range of a network's own
/// addresses, which others will have.
fn check_pair(address: &str, others: &[&Port], subnets: &[Subnet]) -> Result<()> {
    let refused = |text: String| {
        Err(Error::refused(format!(
            "option `allowed-address-pairs`: {text}"
        )))
    };
    let range = address
        .parse::<IpNet>()
        .or_else(|_| address.parse::<IpAddr>().map(IpNet::from));
    let Ok(range) = range else {
        return refused(format!("{address:?} is neither an address nor a CIDR"));
    };
    let is_in = |text: &str| text.parse::<IpAddr>().is_ok_and(|ip| range.contains(&ip));
    let has = |p: &&&Port| {
        p.fixed_ips
            .iter()
            .filter_map(|ip| ip.ip_address.as_deref())
            .any(is_in)
    };
    if let Some(other) = others.iter().find(has) {
        return refused(format!(
            "{address} belongs to port {}, which is in use",
            other.id
        ));
    }
    let is_whole = range.prefix_len() < range.max_prefix_len();
    let overlaps = |s: &&Subnet| {
        s.cidr
            .parse::<IpNet>()
            .is_ok_and(|cidr| cidr.contains(&range.network()) || range.contains(&cidr.network()))
    };
    match subnets.iter().find(overlaps) {
        Some(subnet) if is_whole => refused(format!(
            "{address} is a part of subnet {}, of which only single addresses can be named",
            subnet.cidr
        )),
        _ => Ok(()),
    }
}
