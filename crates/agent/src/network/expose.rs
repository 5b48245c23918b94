//! What a container listens on is let in (option `expose`): a security group of its own, beside those that its port has
//! anyhow, with a rule for each range of ports that its image exposes, `--expose` names or `-p` publishes.
//!
//! The group bears the endpoint's mark from its first request on, and goes after the port. On a host of a yard the server
//! makes it.

use crate::network::ledger::{Network, short};
use crate::network::names::Scope;
use crate::network::options::EndpointOptions;
use crate::network::port_manager::PortManager;
use crate::network::port_manager::name_cache::DEFAULT_GROUP;
use crate::network::{Error, mark};
use stackyard_core::agent::ExposedPorts;
use stackyard_core::text::error_chain;
use stackyard_openstack::{NewSecurityGroup, NewSecurityGroupRule, SecurityGroup, SecurityGroupRule};

impl PortManager {
    /// Makes the group of an endpoint that is to have one; from then on its options have it.
    pub(crate) async fn open_exposed(
        &self,
        network_id: &str,
        network: &Network,
        key: &str,
        exposed: &[ExposedPorts],
        options: &mut EndpointOptions,
    ) -> Result<(), Error> {
        // Without port security all is let in, and a port has no groups.
        if exposed.is_empty() || network.port_security == Some(false) {
            return Ok(());
        }
        let doing = || Error::cloud(format!("letting in what container endpoint {} exposes", short(key)));
        // Whoever names groups replaces that one.
        if options.security_groups.is_none() {
            let id = self.id_of::<SecurityGroup>(DEFAULT_GROUP, Scope::Project).await?;
            options.security_groups = Some(vec![id]);
        }
        let new = NewSecurityGroup {
            name: self.port_name(key),
            description: mark::of_endpoint(&self.place(), network_id, key),
        };
        let group: SecurityGroup = self.cloud()?.create(&new).await.map_err(doing())?;
        options.own_group = Some(group.id.clone());
        let is_there = |v4: bool| network.subnets.iter().any(|s| s.cidr.addr().is_ipv4() == v4);
        let versions = [("IPv4", is_there(true)), ("IPv6", is_there(false))];
        let versions = versions.into_iter().filter(|(_, there)| *there);
        let rules = versions.flat_map(|(version, _)| {
            let rule =
                |e: &ExposedPorts| NewSecurityGroupRule::let_in(&group.id, version, &e.protocol, e.first, e.last);
            exposed.iter().map(rule)
        });
        let rules: Vec<_> = rules.collect();
        let made = self.cloud()?.create_many::<SecurityGroupRule>(&rules).await.map_err(doing());
        if let Err(e) = made {
            return Err(self.and_close(options, e).await);
        }
        Ok(())
    }

    /// Removes an endpoint's own group, once no port has it any more.
    pub(crate) async fn close_exposed(&self, options: &EndpointOptions) -> Result<(), Error> {
        let Some(group) = &options.own_group else { return Ok(()) };
        let doing = Error::cloud(format!("removing security group {group}"));
        self.cloud()?.delete::<SecurityGroup>(group).await.map(drop).map_err(doing)
    }

    /// The same after a failure; why it failed, and what could not be taken back.
    pub(crate) async fn and_close(&self, options: &EndpointOptions, why: Error) -> Error {
        match self.close_exposed(options).await {
            Ok(()) => why,
            Err(left) => Error::request(format!("{}; then, {}", error_chain(&why), error_chain(&left))),
        }
    }
}
