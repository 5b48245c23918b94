//! The broker that has the server ask Neutron: one question for each call, over the agent's connection.

use crate::server_link::rpc::AskServer;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stackyard_core::agent::{
    Answer, Ask, ContainerPort, HostNetwork, NewContainerPort, NewPoolMember, PoolMember, PortLink,
};
use stackyard_ports::{DeletePort, Error, PoolBroker, PortBroker, Result};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Has a yard's server make ports.
pub(crate) struct ServerBroker(Arc<dyn AskServer>);

impl ServerBroker {
    pub(crate) fn new(server: Arc<dyn AskServer>) -> Self {
        Self(server)
    }

    /// Asks the server, and takes what `read` finds in its answer.
    fn ask<'a, T: 'a>(
        &'a self,
        doing: String,
        ask: Ask,
        read: impl FnOnce(Answer) -> Option<T> + Send + 'a,
    ) -> BoxFuture<'a, Result<T>> {
        let answered = async move {
            match self.0.ask(ask).await {
                Ok(Answer::Refused { why }) | Err(why) => Err(Error::refused(format!("{doing}: {why}"))),
                Ok(answer) => read(answer).ok_or_else(|| {
                    Error::refused(format!(
                        "{doing}: the server answered another question; is it of this agent's version?"
                    ))
                }),
            }
        };
        answered.boxed()
    }
}

fn port(answer: Answer) -> Option<ContainerPort> {
    match answer {
        Answer::Port(port) => Some(port),
        _ => None,
    }
}

/// An answer that says only that it is done.
fn done(expected: Answer) -> impl FnOnce(Answer) -> Option<()> {
    move |answer| (answer == expected).then_some(())
}

impl PortBroker for ServerBroker {
    fn network<'a>(&'a self, wanted: Option<&'a str>, links: &'a [PortLink]) -> BoxFuture<'a, Result<HostNetwork>> {
        let doing = match wanted {
            Some(name) => format!("looking up network {name:?}"),
            None => "looking up this host's network".to_owned(),
        };
        let ask = Ask::Network { network: wanted.map(str::to_owned), links: links.to_vec() };
        self.ask(doing, ask, |answer| match answer {
            Answer::Network(network) => Some(network),
            _ => None,
        })
    }

    fn create<'a>(&'a self, new: &'a NewContainerPort) -> BoxFuture<'a, Result<ContainerPort>> {
        let doing = format!("making the port of {}", super::short(&new.endpoint));
        self.ask(doing, Ask::Make(Box::new(new.clone())), port)
    }

    fn delete<'a>(&'a self, gone: &'a DeletePort) -> BoxFuture<'a, Result<()>> {
        let doing = format!("giving back port {}", gone.port);
        let DeletePort { port, network, addresses, floating_ip, exposed } = gone.clone();
        let ask = Ask::Remove { port, network, addresses, floating_ip, exposed };
        self.ask(doing, ask, done(Answer::Removed))
    }

    fn other_vlan<'a>(&'a self, id: &'a str, taken: &'a [u16]) -> BoxFuture<'a, Result<ContainerPort>> {
        let ask = Ask::OtherVlan { port: id.to_owned(), taken: taken.to_vec() };
        self.ask(format!("getting another VLAN for port {id}"), ask, port)
    }

    fn rename<'a>(&'a self, port: &'a str, endpoint: &'a str) -> BoxFuture<'a, Result<()>> {
        let ask = Ask::Name { port: port.to_owned(), endpoint: endpoint.to_owned() };
        self.ask(format!("naming port {port}"), ask, done(Answer::Named))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ContainerPort>>> {
        self.ask("listing the ports of this host's containers".to_owned(), Ask::Ports, |answer| match answer {
            Answer::Ports { ports } => Some(ports),
            _ => None,
        })
    }
}

impl PoolBroker for ServerBroker {
    fn pool<'a>(&'a self, wanted: &'a str) -> BoxFuture<'a, Result<(String, IpAddr)>> {
        let doing = format!("looking up pool {wanted:?} of a load balancer");
        self.ask(doing, Ask::Pool { pool: wanted.to_owned() }, |answer| match answer {
            Answer::Pool { id, address } => Some((id, address)),
            _ => None,
        })
    }

    fn members<'a>(&'a self, pools: &'a [String]) -> BoxFuture<'a, Result<BTreeMap<String, Vec<PoolMember>>>> {
        let doing = "listing members of load balancers' pools".to_owned();
        self.ask(doing, Ask::Members { pools: pools.to_vec() }, |answer| match answer {
            Answer::Members { pools } => Some(pools),
            _ => None,
        })
    }

    fn enlist<'a>(&'a self, pool: &'a str, members: &'a [NewPoolMember]) -> BoxFuture<'a, Result<()>> {
        let doing = format!("adding {} members to pool {pool}", members.len());
        let ask = Ask::Enlist { pool: pool.to_owned(), members: members.to_vec() };
        self.ask(doing, ask, done(Answer::Enlisted))
    }

    fn dismiss<'a>(&'a self, pool: &'a str, member: &'a str) -> BoxFuture<'a, Result<()>> {
        let ask = Ask::Dismiss { pool: pool.to_owned(), member: member.to_owned() };
        self.ask(format!("removing a member of pool {pool}"), ask, done(Answer::Dismissed))
    }
}
