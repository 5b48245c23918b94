//! What a container's port is to have, by names; and what a host may name, which somebody may have stolen: groups of
//! its yard and of its own NIC, and no address or name of anybody else in the network.

use super::here::Here;
use super::{Ports, said};
use ipnet::IpNet;
use parking_lot::Mutex;
use stackyard_core::agent::NewContainerPort;
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{AddressPair, Cloud, Network, Port, QosPolicy, SecurityGroup, Subnet};
use stackyard_store::Host;
use stackyard_yard::container_port::is_containers;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// What was looked up in clouds, by their names; until [`Ports::forget`].
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Whether they have trunks.
    trunks: Mutex<HashMap<String, bool>>,
    groups: Mutex<HashMap<String, Vec<SecurityGroup>>>,
    /// QoS policies by cloud and name.
    policies: Mutex<HashMap<(String, String), String>>,
    /// Ids of hosts, and of networks of their yards that they have no NIC in.
    networks: Mutex<HashSet<(String, String)>>,
    /// Ports that are out of their trunk for a moment.
    pub(super) moving: Mutex<HashSet<String>>,
}

/// Ids of what a port is to have.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) security_groups: Option<Vec<String>>,
    pub(super) qos_policy: Option<String>,
    pub(super) pairs: Vec<AddressPair>,
}

/// Whether a network is a yard's.
pub(super) fn is_network_of(network: &Network, yard: &str, here: &Here) -> bool {
    let mark = here.read(&network.project_id, &network.description);
    mark.is_some_and(|m| m.yard == yard && m.key.kind == Kind::Network)
}

impl Ports {
    /// Forgets what was looked up.
    pub(super) fn forget(&self) {
        let memory = &self.0.memory;
        memory.trunks.lock().clear();
        memory.groups.lock().clear();
        memory.policies.lock().clear();
        memory.networks.lock().clear();
    }

    /// Whether a cloud has trunks.
    pub(super) async fn has_trunks(&self, cloud: &Cloud) -> Result<bool, String> {
        let name = &cloud.config().name;
        if let Some(known) = self.0.memory.trunks.lock().get(name) {
            return Ok(*known);
        }
        let has = cloud.has_extension("trunk").await.map_err(said("asking for Neutron's extensions"))?;
        self.0.memory.trunks.lock().insert(name.clone(), has);
        Ok(has)
    }

    /// Whether a network is known to be one of the host's yard, in which no NIC of it is.
    pub(super) fn is_yards(&self, host: &Host, network: &str) -> bool {
        self.0.memory.networks.lock().contains(&(host.id.clone(), network.to_owned()))
    }

    /// Sees to it that a network, in which no NIC of the host is, is one of its yard.
    pub(super) async fn check_yards(&self, cloud: &Cloud, host: &Host, network: &str) -> Result<(), String> {
        if self.is_yards(host, network) {
            return Ok(());
        }
        let refused =
            || format!("no NIC of host {} is in network {network}, and it is none of yard {}", host.name, host.yard);
        let here = Here::of(cloud).await?;
        match cloud.get::<Network>(network).await {
            Ok(found) if is_network_of(&found, &host.yard, &here) => {
                self.0.memory.networks.lock().insert((host.id.clone(), network.to_owned()));
                Ok(())
            }
            Err(e) if !e.is_not_found() => Err(said(format!("looking up network {network}"))(e)),
            _ => Err(refused()),
        }
    }

    /// What a container's port is to have.
    pub(super) async fn wishes(
        &self,
        cloud: &Cloud,
        host: &Host,
        nic: &Port,
        new: &NewContainerPort,
    ) -> Result<Wishes, String> {
        let mut wishes = Wishes::default();
        if let Some(names) = &new.options.security_groups {
            wishes.security_groups = Some(self.groups(cloud, host, nic, names).await?);
        }
        if let Some(name) = &new.options.qos_policy {
            wishes.qos_policy = Some(self.policy(cloud, name).await?);
        }
        let (pairs, dns_name) = (&new.options.address_pairs, new.options.dns_name.as_deref());
        if !pairs.is_empty() || dns_name.is_some() {
            let query = [("network_id", new.network.as_str())];
            let doing = || said(format!("looking up what is in network {}", new.network));
            let ports: Vec<Port> = cloud.list(&query).await.map_err(doing())?;
            let subnets: Vec<Subnet> =
                if pairs.is_empty() { Vec::new() } else { cloud.list(&query).await.map_err(doing())? };
            let others: Vec<&Port> = ports.iter().filter(|p| !p.device_owner.is_empty()).collect();
            for (address, mac) in pairs {
                check_pair(address, &others, &subnets)?;
                wishes.pairs.push(AddressPair { ip_address: address.clone(), mac_address: mac.clone() });
            }
            if let Some(name) = dns_name
                && let Some(other) = others.iter().find(|p| p.dns_name.as_deref() == Some(name))
            {
                return Err(format!("option `dns-name`: {name:?} is the name of port {} in that network", other.id));
            }
        }
        Ok(wishes)
    }

    async fn policy(&self, cloud: &Cloud, name: &str) -> Result<String, String> {
        let key = (cloud.config().name.clone(), name.to_owned());
        if let Some(known) = self.0.memory.policies.lock().get(&key) {
            return Ok(known.clone());
        }
        let found: QosPolicy = cloud.need(name).await.map_err(said("option `qos-policy`"))?;
        self.0.memory.policies.lock().insert(key, found.id.clone());
        Ok(found.id)
    }

    /// Ids of groups, by id, name, or the name that the yard's manifest gives them.
    async fn groups(&self, cloud: &Cloud, host: &Host, nic: &Port, names: &[String]) -> Result<Vec<String>, String> {
        let known = self.0.memory.groups.lock().get(&cloud.config().name).cloned();
        let (here, is_known) = (Here::of(cloud).await?, known.is_some());
        if let Some(found) = known.map(|all| find_groups(&all, host, &here, nic, names))
            && found.is_ok()
        {
            return found;
        }
        if is_known {
            self.0.memory.groups.lock().remove(&cloud.config().name);
        }
        let all: Vec<SecurityGroup> = cloud.list(&[]).await.map_err(said("looking up security groups"))?;
        let found = find_groups(&all, host, &here, nic, names);
        self.0.memory.groups.lock().insert(cloud.config().name.clone(), all);
        found
    }
}

fn find_groups(
    all: &[SecurityGroup],
    host: &Host,
    here: &Here,
    nic: &Port,
    names: &[String],
) -> Result<Vec<String>, String> {
    let in_yard = |g: &SecurityGroup| {
        let is_its = |m: &Mark| m.yard == host.yard && m.key.kind == Kind::SecurityGroup;
        here.read(&g.project_id, &g.description).filter(is_its).filter(|_| !is_containers(&g.description))
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
                Err(format!(
                    "option `security-groups`: neither yard {} nor the host's NIC has a group {name:?}; there are: {}",
                    host.yard,
                    there.join(", ")
                ))
            }
            _ => Err(format!("option `security-groups`: there are several groups {name:?}; say its id")),
        }
    };
    names.iter().map(one).collect()
}

/// Whether a container may send from an address or CIDR: not from others', and from no whole range of a network's own
/// addresses, which others will have.
fn check_pair(address: &str, others: &[&Port], subnets: &[Subnet]) -> Result<(), String> {
    let option = "option `allowed-address-pairs`";
    let range = address.parse::<IpNet>().or_else(|_| address.parse::<IpAddr>().map(IpNet::from));
    let range = range.map_err(|_| format!("{option}: {address:?} is neither an address nor a CIDR"))?;
    let is_in = |text: &str| text.parse::<IpAddr>().is_ok_and(|ip| range.contains(&ip));
    let has = |p: &&&Port| p.fixed_ips.iter().filter_map(|ip| ip.ip_address.as_deref()).any(is_in);
    if let Some(other) = others.iter().find(has) {
        return Err(format!("{option}: {address} belongs to port {}, which is in use", other.id));
    }
    let is_whole = range.prefix_len() < range.max_prefix_len();
    let overlaps = |s: &&Subnet| {
        s.cidr.parse::<IpNet>().is_ok_and(|cidr| cidr.contains(&range.network()) || range.contains(&cidr.network()))
    };
    match subnets.iter().find(overlaps) {
        Some(subnet) if is_whole => Err(format!(
            "{option}: {address} is a part of subnet {}, of which only single addresses can be named",
            subnet.cidr
        )),
        _ => Ok(()),
    }
}
