//! Ports in a network's own bridge of the kernel, where Neutron's agent is that of linuxbridge (which Neutron had until
//! its release 25).
//!
//! ```text
//!   container ── sc…  veth  tap… ── brq… ── the network: a VLAN, a VXLAN, or a NIC, put in by the agent
//! ```
//!
//! The agent finds a port by its link's name, `tap…` with the first 11 characters of the port's id, filters there, and
//! leads the bridge out. It puts links of routers and DHCP into the bridge itself, but not those whose port has an owner
//! that begins with `compute:` (neutron/plugins/ml2/drivers/linuxbridge/agent/linuxbridge_neutron_agent.py, `_add_tap_interface`): Nova does that, and
//! so it is done here. Like Nova's, the bridge stays when its last port goes: the agent removes it with the network.

use super::{Driver, Plug, noted, tap};
use crate::Error;
use crate::bridge::{self, Purpose};
use crate::link;
use std::time::Duration;

/// Plugs a veth pair into a network's bridge.
pub(super) struct Bridged {
    bridge: String,
}

impl Bridged {
    pub(super) fn new(bridge: String) -> Self {
        Self { bridge }
    }

    fn connect(&self, host: &str) -> Result<(), Error> {
        bridge::ensure(&self.bridge, Purpose::Network)?;
        bridge::join(host, &self.bridge)
    }
}

impl Driver for Bridged {
    fn plug(&self, plug: &Plug<'_>) -> Result<(), Error> {
        // No switch knows the port: the link says which it is.
        link::ensure_veth(&plug.veth(&noted(plug.owner, plug.port)), || Ok(()))?;
        self.connect(plug.host)
    }

    fn rewire(&self, plug: &Plug<'_>) -> Result<bool, Error> {
        let host = tap(plug.port);
        if link::get(&host)?.is_none() {
            if link::get(plug.host)?.is_none() {
                return Ok(false);
            }
            // The port has taken another's place, and the agent knows it by its own name.
            link::rename(plug.host, &host)?;
        }
        link::note(&host, &noted(plug.owner, plug.port))?;
        self.connect(&host)?;
        Ok(true)
    }

    /// The agent says nothing on this host: it is the link that is looked at.
    fn wait_ready(&self, host: &str, port: &str, limit: Duration) -> Result<(), Error> {
        let not_ready = |state: String| Err(Error::NotReady { port: port.to_owned(), limit, state });
        let Some(bridge) = link::get(&self.bridge)?.filter(|b| b.up) else {
            return not_ready(format!("there is no bridge {} that is up", self.bridge));
        };
        match link::get(host)? {
            Some(link) if link.up && link.master == Some(bridge.index) => Ok(()),
            Some(_) => not_ready(format!("{host} is not in bridge {}, or not up", self.bridge)),
            None => not_ready(format!("link {host} is gone")),
        }
    }

    fn unplug(&self, host: &str, _: &str) -> Result<(), Error> {
        link::delete(host).map(drop)
    }
}
