//! Ports on Open vSwitch with a bridge of the kernel before it (`ovs_hybrid_plug`): Neutron's agent with the firewall
//! driver `iptables_hybrid`, whose rules of iptables see what goes through the bridge.
//!
//! ```text
//!   container ── sc…  veth  tap… ── qbr… ── qvb…  veth  qvo… ── br-int
//! ```
//!
//! The names are those that Nova gives: the agent's rules match `tap…`, with the first 11 characters of the port's id
//! (neutron/agent/linux/iptables_firewall.py, `OVSHybridIptablesFirewallDriver`).

use super::{Driver, Plug, TAP, tap};
use crate::bridge::{self, Purpose};
use crate::link::{self, Link, Veth};
use crate::{Error, Switch, SwitchPort};
use std::time::Duration;

/// Plugs a veth pair into a bridge of its own, and that by another pair into the switch's.
pub(super) struct Hybrid {
    switch: Switch,
    bridge: String,
}

/// What there is between a host's end and the switch.
struct Between {
    bridge: String,
    /// The end that is in the bridge.
    inner: String,
    /// The end that is the switch's.
    outer: String,
}

impl Between {
    fn of(host: &str) -> Self {
        let id = host.strip_prefix(TAP).unwrap_or(host);
        Self { bridge: format!("qbr{id}"), inner: format!("qvb{id}"), outer: format!("qvo{id}") }
    }
}

/// The host's end that one of these names belongs to.
pub(super) fn host_of(name: &str) -> Option<String> {
    let id = ["qbr", "qvb", "qvo"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    (id.len() == 11).then(|| format!("{TAP}{id}"))
}

/// Whether there is a way from a host's end to the switch.
pub(super) fn is_joined(links: &[Link], host: &str) -> bool {
    let between = Between::of(host);
    let link = |name: &str| links.iter().find(|l| l.name == name);
    let Some(bridge) = link(&between.bridge) else { return false };
    [host, &between.inner].iter().all(|name| link(name).is_some_and(|l| l.master == Some(bridge.index)))
}

/// Removes what is between a host's end and the switch.
pub(super) fn take_down(switch: &Switch, host: &str) -> Result<(), Error> {
    let between = Between::of(host);
    switch.remove(&between.outer)?;
    link::delete(&between.outer)?;
    link::delete(&between.bridge).map(drop)
}

impl Hybrid {
    pub(super) fn new(switch: Switch, bridge: &str) -> Self {
        Self { switch, bridge: bridge.to_owned() }
    }

    fn connect(&self, plug: &Plug<'_>) -> Result<(), Error> {
        let Plug { host, port, mac, mtu, owner, ids, .. } = *plug;
        let between = Between::of(host);
        bridge::ensure(&between.bridge, Purpose::OnePort { owner })?;
        link::ensure_veth(
            &Veth { host: &between.outer, container: &between.inner, mtu, owner, home: None },
            || Ok(()),
        )?;
        link::seclude(&between.inner)?;
        bridge::join(&between.inner, &between.bridge)?;
        bridge::join(host, &between.bridge)?;
        self.switch.add(&SwitchPort { bridge: &self.bridge, device: &between.outer, port, mac, owner, ids })
    }
}

impl Driver for Hybrid {
    fn plug(&self, plug: &Plug<'_>) -> Result<(), Error> {
        let datapath = self.switch.datapath(&self.bridge)?;
        // First: by its names a killed plugin's is found.
        link::ensure_veth(&plug.veth(plug.owner), || plug.finish(datapath))?;
        self.connect(plug)
    }

    fn rewire(&self, plug: &Plug<'_>) -> Result<bool, Error> {
        let host = tap(plug.port);
        if link::get(&host)?.is_none() {
            if link::get(plug.host)?.is_none() {
                return Ok(false);
            }
            // The port has taken another's place, and its agent's rules match its own name.
            take_down(&self.switch, plug.host)?;
            link::rename(plug.host, &host)?;
        }
        self.connect(&Plug { host: &host, ..plug.clone() })?;
        Ok(true)
    }

    fn wait_ready(&self, host: &str, port: &str, limit: Duration) -> Result<(), Error> {
        self.switch.wait_wired(self.switch.controller()?, &Between::of(host).outer, port, limit)
    }

    fn unplug(&self, host: &str, _: &str) -> Result<(), Error> {
        take_down(&self.switch, host)?;
        // Last: by its names the rest is found.
        link::delete(host).map(drop)
    }
}
