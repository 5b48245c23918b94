//! Security groups of endpoints' own (option `expose`) of a stand-alone agent: what an image exposes, `--expose` names
//! or `-p` publishes is let in. The group bears the endpoint's mark. On a host of a yard the server makes it.

use crate::network::Error;
use crate::network::ledger::Network;
use crate::network::names::Scope;
use crate::network::options::EndpointOptions;
use crate::network::port_manager::PortManager;
use crate::network::port_manager::name_cache::DEFAULT_GROUP;
use stackyard_core::agent::ExposedPorts;
use stackyard_core::text::error_chain;
use stackyard_openstack::{NewSecurityGroup, SecurityGroup};
use stackyard_ports::exposed::{IpVersions, create_group, delete_group};
use stackyard_ports::place_mark;

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
        // A port that names groups does not get the default one.
        if options.security_groups.is_none() {
            let id = self.id_of::<SecurityGroup>(DEFAULT_GROUP, Scope::Project).await?;
            options.security_groups = Some(vec![id]);
        }
        let new = NewSecurityGroup {
            name: self.port_name(key),
            description: place_mark::of_endpoint(&self.place(), network_id, key),
        };
        let versions = network.subnets.iter().map(|s| if s.cidr.addr().is_ipv4() { 4 } else { 6 });
        match create_group(self.cloud()?, &new, exposed, IpVersions::of(versions)).await {
            Ok(id) => {
                options.own_group = Some(id);
                Ok(())
            }
            Err(failed) => {
                options.own_group = failed.left;
                Err(failed.error.into())
            }
        }
    }

    /// Removes an endpoint's own group, once no port has it any more.
    pub(crate) async fn close_exposed(&self, options: &EndpointOptions) -> Result<(), Error> {
        match &options.own_group {
            Some(group) => Ok(delete_group(self.cloud()?, group).await?),
            None => Ok(()),
        }
    }

    /// The same after a failure; why it failed, and what could not be taken back.
    pub(crate) async fn and_close(&self, options: &EndpointOptions, why: Error) -> Error {
        match self.close_exposed(options).await {
            Ok(()) => why,
            Err(left) => Error::request(format!("{}; then, {}", error_chain(&why), error_chain(&left))),
        }
    }
}
