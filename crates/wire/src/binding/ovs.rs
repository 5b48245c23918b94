//! Ports on Open vSwitch, plugged plainly: OVN, and Neutron's agent with the firewall driver `openvswitch`.

use super::{Driver, Plug};
use crate::link;
use crate::{Error, Switch, SwitchPort};
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
    fn finish(&self, plug: &Plug<'_>) -> Result<(), Error> {
        plug.finish(self.switch.datapath(&self.bridge)?)
    }

    fn add(&self, plug: &Plug<'_>) -> Result<(), Error> {
        let Plug { host: device, port, mac, owner, ids, .. } = *plug;
        let port = SwitchPort { bridge: &self.bridge, device, port, mac, owner, ids };
        self.switch.add(&port)
    }
}

impl Driver for Ovs {
    fn plug(&self, plug: &Plug<'_>) -> Result<(), Error> {
        link::ensure_veth(&plug.veth(plug.owner), || {
            // The switch goes on with a link that is gone, and does not see the new one of its name.
            self.switch.remove(plug.host)?;
            self.finish(plug)
        })?;
        self.add(plug)
    }

    fn prepare(&self, plug: &Plug<'_>) -> Result<bool, Error> {
        link::prepare_veth(&plug.veth(plug.owner), || self.finish(plug))?;
        Ok(true)
    }

    fn settle(&self, (host, container): (&str, &str), plug: &Plug<'_>) -> Result<(), Error> {
        // In the container it has its name.
        let container = plug.home.is_none().then_some((container, plug.container));
        link::settle_veth((host, plug.host), container)?;
        self.add(plug)
    }

    fn rewire(&self, plug: &Plug<'_>) -> Result<bool, Error> {
        if link::get(plug.host)?.is_none() {
            return Ok(false);
        }
        self.add(plug)?;
        Ok(true)
    }

    fn wait_ready(&self, host: &str, port: &str, limit: Duration) -> Result<(), Error> {
        self.switch.wait_wired(self.switch.controller()?, host, port, limit)
    }

    fn unplug(&self, host: &str, _: &str) -> Result<(), Error> {
        self.switch.remove(host)?;
        link::delete(host).map(drop)
    }
}
