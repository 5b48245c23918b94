//! On a host of a yard: serves Docker with ports that the server makes.

use crate::context::Context;
use crate::network::docker::plugin;
use crate::network::port_manager::{Frontend, PortManager, PortSource};
use crate::network::server_broker::rpc::ServerBroker;
use crate::network::wiring::HostWiring;
use crate::network::{Error, PLUGIN, load_balancer, reconcile, warm_pool};
use crate::server_link::rpc::RpcClient;
use crate::state::StateDir;
use stackyard_core::stack::Stack;
use stackyard_core::text::error_chain;
use stackyard_wire::binding::Naming;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long until the socket is tried for again.
const AGAIN: Duration = Duration::from_secs(30);

/// Docker's IPAM driver that gives out nothing.
const NO_IPAM: &str = "null";

/// Serves Docker for a host of a yard, for ever.
pub(crate) async fn run(
    context: &Context,
    rpc: &Arc<RpcClient>,
    plugins: &Path,
    every: Duration,
    announce: &mpsc::Sender<String>,
) {
    let mut before = String::new();
    loop {
        let Err(e) = serve(context, rpc, plugins, every, announce).await else { return };
        let text = format!("containers get no ports of their own: {}", error_chain(&e));
        if text != before {
            context.say(text.clone());
            before = text;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn serve(
    context: &Context,
    rpc: &Arc<RpcClient>,
    plugins: &Path,
    every: Duration,
    announce: &mpsc::Sender<String>,
) -> Result<(), Error> {
    let state = StateDir::open(context.state.path().join("ports"))?;
    let owner = format!("{}:{PLUGIN}", Frontend::Docker.word());
    let wiring = Box::new(HostWiring::new(None, owner, Naming::Stackyard));
    let source = PortSource::Broker(Arc::new(ServerBroker::new(rpc.clone())));
    let mut manager = PortManager::new(Frontend::Docker, PLUGIN, source, wiring, &state, context.onlooker.clone())?;
    manager.announce_sandbox = Some(announce.clone());
    let manager = Arc::new(manager);
    let listener = plugin::listen(plugins, PLUGIN)?;
    tokio::select! {
        ended = plugin::serve(listener, manager.clone()) => ended,
        () = reconcile::keep(&manager, every) => Ok(()),
        () = warm_pool::keep(&manager) => Ok(()),
        () = load_balancer::keep(&manager) => Ok(()),
    }
}

/// Networks of this driver get their addresses from Neutron, not from the engine.
pub(crate) fn use_null_ipam(stack: &mut Stack) {
    for key in stack.network_keys() {
        let mut network = stack.network(&key);
        if network.driver.as_deref() == Some(PLUGIN) && !network.external && network.ipam_driver.is_none() {
            network.ipam_driver = Some(NO_IPAM.to_owned());
            stack.networks.insert(key, network);
        }
    }
}
