//! Ports on Open vSwitch, plugged plainly: OVN, and Neutron's agent with the firewall driver `openvswitch`.

use super::{Driver, Plug, devices};
use crate::link::{self, Veth};
use crate::{Datapath, Error, Switch, SwitchPort, disable_checksum_offload};
use std::time::Duration;

/// Plugs a veth pair into a bridge.
pub(super) struct Ovs {
    switch: Switch,
    bridge: String,
}

impl Ovs {
    pub(super) fn new(switch: Switch, bridge: &str) -> Self {
        Self { switch, bridge: bridge.to_owned() }
    }
}

impl Ovs {
    fn add(&self, device: &str, plug: &Plug<'_>) -> Result<(), Error> {
        let port = SwitchPort { bridge: &self.bridge, device, port: plug.port, mac: plug.mac, owner: plug.owner };
        self.switch.add(&port)
    }
}

impl Driver for Ovs {
    fn plug(&self, plug: &Plug<'_>) -> Result<(), Error> {
        let (host, container) = devices(plug.link);
        let datapath = self.switch.datapath(&self.bridge)?;
        link::ensure_veth(&Veth { host: &host, container: &container, mtu: plug.mtu })?;
        if datapath == Datapath::UserSpace {
            // Stays with the link when it moves into the container's namespace.
            disable_checksum_offload(&container)?;
        }
        self.add(&host, plug)
    }

    fn rewire(&self, plug: &Plug<'_>) -> Result<bool, Error> {
        let (host, _) = devices(plug.link);
        if link::get(&host)?.is_none() {
            return Ok(false);
        }
        self.add(&host, plug)?;
        Ok(true)
    }

    fn wait_ready(&self, link: &str, port: &str, limit: Duration) -> Result<(), Error> {
        self.switch.wait_wired(self.switch.controller()?, &devices(link).0, port, limit)
    }

    fn unplug(&self, link: &str) -> Result<(), Error> {
        let (host, _) = devices(link);
        self.switch.remove(&host)?;
        link::delete(&host).map(drop)
    }
}
