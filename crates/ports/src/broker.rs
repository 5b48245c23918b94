//! The traits by which callers get ports and pool members, no matter who asks the cloud for them.

use crate::{Error, Result};
use futures_util::future::BoxFuture;
use stackyard_core::agent::{
    Answer, Ask, ContainerPort, HostNetwork, NewContainerPort, NewPoolMember, PoolMember, PortLink,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A port that is to go, with what was made for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletePort {
    /// The port's id.
    pub port: String,
    /// Id of its network; empty if it is not known.
    pub network: String,
    /// The addresses that it had: the host's NIC stops passing them even if the port is gone already.
    pub addresses: Vec<IpAddr>,
    /// Whether there may be a floating IP that was made for it.
    pub floating_ip: bool,
    /// Whether there may be a security group that was made for it.
    pub exposed: bool,
}

/// Makes containers members of load balancers' pools. [`crate::ProjectPools`] asks Octavia, for a stand-alone agent; on
/// hosts of yards each [`PortBroker`] does it, too.
pub trait PoolBroker: Send + Sync {
    /// The id of a pool of a load balancer, and the load balancer's address.
    fn pool<'a>(&'a self, wanted: &'a str) -> BoxFuture<'a, Result<(String, IpAddr)>>;

    /// The members of pools that are the host's containers, by pool; of all pools that they may join if `pools` is empty.
    fn members<'a>(
        &'a self,
        pools: &'a [String],
    ) -> BoxFuture<'a, Result<BTreeMap<String, Vec<PoolMember>>>>;

    /// Makes containers members of a pool; one that is a member stays so.
    fn enlist<'a>(
        &'a self,
        pool: &'a str,
        members: &'a [NewPoolMember],
    ) -> BoxFuture<'a, Result<()>>;

    /// Removes a member from a pool.
    fn dismiss<'a>(&'a self, pool: &'a str, member: &'a str) -> BoxFuture<'a, Result<()>>;
}

/// Makes and deletes ports for the containers of one host of a yard.
///
/// [`crate::HostBroker`] asks Neutron, in the server. The agent's broker asks the server. What one host may name is
/// checked by the first, so that a stolen host cannot name more.
///
/// All errors are [`Error::Refused`] where the request must change, and [`Error::Cloud`] where the cloud refused it.
pub trait PortBroker: PoolBroker {
    /// A network by name or id, the host's only one without either. `links` are the kinds of links that the host can
    /// make; older agents name none.
    fn network<'a>(
        &'a self,
        wanted: Option<&'a str>,
        links: &'a [PortLink],
    ) -> BoxFuture<'a, Result<HostNetwork>>;

    /// Makes a container's port, with all that its options name. After a failure nothing of it is left.
    fn create<'a>(&'a self, new: &'a NewContainerPort) -> BoxFuture<'a, Result<ContainerPort>>;

    /// Deletes a container's port and what was made for it; succeeds if it is gone already.
    fn delete<'a>(&'a self, gone: &'a DeletePort) -> BoxFuture<'a, Result<()>>;

    /// Moves a port to another VLAN id, none of `taken`, which the host cannot use.
    fn other_vlan<'a>(
        &'a self,
        port: &'a str,
        taken: &'a [u16],
    ) -> BoxFuture<'a, Result<ContainerPort>>;

    /// Names a port that was made ahead after its endpoint.
    fn rename<'a>(&'a self, port: &'a str, endpoint: &'a str) -> BoxFuture<'a, Result<()>>;

    /// All ports of the host's containers.
    fn list(&self) -> BoxFuture<'_, Result<Vec<ContainerPort>>>;
}

/// Answers an agent's question with a broker.
pub async fn answer(broker: &dyn PortBroker, ask: Ask) -> Answer {
    let answered = match ask {
        Ask::Network { network, links } => broker
            .network(network.as_deref(), &links)
            .await
            .map(Answer::Network),
        Ask::Make(new) => broker.create(&new).await.map(Answer::Port),
        Ask::Remove {
            port,
            network,
            addresses,
            floating_ip,
            exposed,
        } => {
            let gone = DeletePort {
                port,
                network,
                addresses,
                floating_ip,
                exposed,
            };
            broker.delete(&gone).await.map(|()| Answer::Removed)
        }
        Ask::OtherVlan { port, taken } => broker.other_vlan(&port, &taken).await.map(Answer::Port),
        Ask::Name { port, endpoint } => broker
            .rename(&port, &endpoint)
            .await
            .map(|()| Answer::Named),
        Ask::Ports => broker.list().await.map(|ports| Answer::Ports { ports }),
        Ask::Pool { pool } => broker
            .pool(&pool)
            .await
            .map(|(id, address)| Answer::Pool { id, address }),
        Ask::Members { pools } => broker
            .members(&pools)
            .await
            .map(|pools| Answer::Members { pools }),
        Ask::Enlist { pool, members } => broker
            .enlist(&pool, &members)
            .await
            .map(|()| Answer::Enlisted),
        Ask::Dismiss { pool, member } => broker
            .dismiss(&pool, &member)
            .await
            .map(|()| Answer::Dismissed),
        // The hub answers questions about volumes elsewhere.
        Ask::Volume(_) | Ask::Unknown => Err(Error::refused(
            "the server is older than this agent and does not know what it asks for: update it",
        )),
    };
    answered.unwrap_or_else(|e| Answer::Refused { why: e.to_string() })
}
