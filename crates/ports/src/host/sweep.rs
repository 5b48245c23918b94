//! Removes what no agent removes: ports of hosts that were removed, with the addresses that their NICs still let
//! through, their places in load balancers' pools, and floating IPs and security groups of containers without a port.
//!
//! An agent removes what its own host has too much. The rest is found here, by its marks.

use super::members::sweep_members;
use super::pairs::{change_pairs, take_off};
use super::stack_group::is_stack_group;
use super::subport::free_or_delete;
use super::{HostPorts, YardHost, containers, is_for_trunk};
use crate::container_port::{ips, is_containers, whose};
use crate::extras;
use crate::project::ProjectScope;
use crate::{Error, Result};
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{Cloud, FloatingIp, Port, SecurityGroup};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

/// How long an extra stays that was made for a container without a port: its agent may be about to have another one made.
const PATIENCE: Duration = Duration::from_secs(300);

/// The yards' resources in one project, as one sweep sees them.
struct Sweep<'a> {
    cloud: &'a Cloud,
    project: ProjectScope,
    yards: &'a BTreeSet<String>,
    /// All hosts, by id.
    hosts: HashMap<&'a str, &'a YardHost>,
    ports: Vec<Port>,
}

impl HostPorts {
    /// Forgets what was looked up in clouds, so that changes there are seen.
    pub fn forget(&self) {
        self.0.lookups.forget();
        self.0.trunks.forget();
    }

    /// Removes what hosts that are gone have left in the project of a cloud. `yards` are those in that project. `hosts`
    /// lists the hosts of all yards; it is called after the cloud was listed, since a host is known before it asks for
    /// a port.
    ///
    /// # Errors
    /// The cloud refused, or `hosts` failed. The next sweep continues.
    pub async fn sweep<E: From<Error>>(
        &self,
        cloud: &Cloud,
        yards: &BTreeSet<String>,
        hosts: impl AsyncFnOnce() -> std::result::Result<Vec<YardHost>, E>,
    ) -> std::result::Result<(), E> {
        // Before the ports: a floating IP is made for one that is there. A group is made before, and has its time.
        let project = ProjectScope::of(cloud).await?;
        let marks = marked_extras(cloud, &project).await?;
        let ports = containers(cloud).await?;
        let hosts = hosts().await?;
        let hosts: HashMap<&str, &YardHost> = hosts.iter().map(|h| (h.id.as_str(), h)).collect();
        self.0
            .nics
            .lock()
            .retain(|host, _| hosts.contains_key(host.as_str()));
        let sweep = Sweep {
            cloud,
            project,
            yards,
            hosts,
            ports,
        };
        // A load balancer that is just changing refuses, until next time.
        let members = sweep_members(cloud, yards, &sweep.hosts).await;
        sweep.ports().await?;
        self.sweep_extras(&sweep, &marks).await?;
        Ok(members?)
    }

    /// Removes extras whose container has no port, once that has lasted.
    async fn sweep_extras(&self, sweep: &Sweep<'_>, marks: &[(String, Mark)]) -> Result<()> {
        let strays = sweep.strays(marks);
        self.0
            .strays
            .lock()
            .retain(|id, _| strays.iter().any(|(stray, _)| *stray == id));
        for (id, mark) in strays {
            let since = *self
                .0
                .strays
                .lock()
                .entry(id.clone())
                .or_insert_with(Instant::now);
            if sweep.has_host(mark) && since.elapsed() < PATIENCE {
                continue;
            }
            let removed = match mark.key.kind {
                Kind::SecurityGroup => sweep.cloud.delete::<SecurityGroup>(id).await,
                _ => sweep.cloud.delete::<FloatingIp>(id).await,
            };
            removed.map_err(Error::cloud(format!("removing {}", mark.key)))?;
            tracing::info!(of = %mark.key, "removed: its container is gone");
        }
        Ok(())
    }
}

/// Ids and marks of the floating IPs and security groups that were made for containers.
async fn marked_extras(cloud: &Cloud, project: &ProjectScope) -> Result<Vec<(String, Mark)>> {
    let own = [("project_id", project.project.as_str())];
    let floating_ips: Vec<FloatingIp> = cloud
        .list(&own)
        .await
        .map_err(Error::cloud("listing floating IPs"))?;
    let fields = ["id", "name", "description"].map(|field| ("fields", field));
    let brief: Vec<(&str, &str)> = own.into_iter().chain(fields).collect();
    let groups: Vec<SecurityGroup> = cloud
        .list(&brief)
        .await
        .map_err(Error::cloud("listing security groups"))?;
    let floating_ips = floating_ips.into_iter().map(|ip| (ip.id, ip.description));
    let all = floating_ips.chain(
        groups
            .into_iter()
            .map(|group| (group.id, group.description)),
    );
    let own = all.filter(|(_, description)| is_containers(description));
    Ok(own
        .filter_map(|(id, description)| Some((id, project.read("", &description)?)))
        .filter(|(_, mark)| !is_stack_group(&mark.key.name))
        .collect())
}

impl Sweep<'_> {
    fn host_of(&self, port: &Port) -> Option<&YardHost> {
        whose(port).and_then(|(host, ..)| self.hosts.get(host).copied())
    }

    fn is_of_yards(&self, port: &Port) -> bool {
        let yard_of_tag = |tag: &String| tag.strip_prefix("stackyard:").map(str::to_owned);
        match Mark::parse(&port.description) {
            Some(mark) => self.yards.contains(&mark.yard) && mark.is_in(&self.project.scope),
            None => port
                .tags
                .iter()
                .filter_map(yard_of_tag)
                .any(|yard| self.yards.contains(&yard)),
        }
    }

    /// Removes ports whose hosts are gone.
    async fn ports(&self) -> Result<()> {
        let is_left = |p: &&Port| self.is_of_yards(p) && self.host_of(p).is_none();
        for port in self.ports.iter().filter(is_left) {
            if !is_for_trunk(port) {
                self.close_addresses(port).await?;
            }
            free_or_delete(self.cloud, port).await?;
            tracing::info!(port = port.id, "removed: its host is gone");
        }
        Ok(())
    }

    /// Takes a port's addresses off all NICs of its network.
    async fn close_addresses(&self, port: &Port) -> Result<()> {
        let addresses = ips(port);
        let query = [("network_id", port.network_id.as_str())];
        let nics: Vec<Port> = self
            .cloud
            .list(&query)
            .await
            .map_err(Error::cloud("listing ports"))?;
        for nic in nics {
            let change = take_off(nic.mac_address.clone(), &addresses);
            change_pairs(self.cloud, nic, change).await?;
        }
        Ok(())
    }

    /// Extras whose container has no port.
    fn strays<'m>(&self, marks: &'m [(String, Mark)]) -> Vec<(&'m String, &'m Mark)> {
        let container = |p| {
            let ((.., endpoint), host) = (whose(p)?, self.host_of(p)?);
            Some((extras::name(&host.name, endpoint), host.yard.as_str()))
        };
        let containers: HashSet<(String, &str)> = self.ports.iter().filter_map(container).collect();
        let is_stray = |(_, mark): &&(String, Mark)| {
            self.yards.contains(&mark.yard)
                && !containers.contains(&(mark.key.name.clone(), mark.yard.as_str()))
        };
        marks
            .iter()
            .filter(is_stray)
            .map(|(id, mark)| (id, mark))
            .collect()
    }

    /// Whether the host of a container's extra is still there.
    fn has_host(&self, mark: &Mark) -> bool {
        let name = extras::host_of(&mark.key.name);
        self.hosts
            .values()
            .any(|host| host.yard == mark.yard && host.name == name)
    }
}
