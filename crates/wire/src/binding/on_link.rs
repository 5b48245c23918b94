//! Ports of containers on a host that is a Nova server: a VLAN, a macvlan or an ipvlan on the host's own link. There is
//! no switch here to wait for: what the host's port in Neutron lets through flows at once.

use super::{Driver, Plug};
use crate::Error;
use crate::kernel::{Inside, Kernel};
use crate::link::{self, Link, Upper};
use std::time::Duration;

/// Makes links on the link with a MAC address.
pub(super) struct OnLink {
    kind: link::OnLink,
    parent: String,
}

impl OnLink {
    pub(super) fn new(kind: link::OnLink, parent: &str) -> Self {
        Self { kind, parent: parent.to_owned() }
    }

    /// The host's link. Containers' ipvlans have the same MAC address.
    fn parent(&self) -> Result<Link, Error> {
        let is_it = |l: &Link| l.on.is_none() && l.mac.eq_ignore_ascii_case(&self.parent);
        let found = link::list()?.into_iter().find(is_it);
        found.ok_or_else(|| Error::NoParent { mac: self.parent.clone() })
    }
}

impl Driver for OnLink {
    fn plug(&self, plug: &Plug<'_>) -> Result<(), Error> {
        let parent = self.parent()?;
        // A link takes no larger packets than its parent.
        let mtu = plug.mtu.min(parent.mtu);
        let Plug { container, mac, owner, .. } = *plug;
        link::ensure_upper(&Upper { name: container, kind: self.kind, parent: &parent, mac, mtu, owner })?;
        let Some(home) = plug.home else { return Ok(()) };
        Kernel::open()?.hand_over(container, home.namespace, &Inside { name: home.name, mac, mtu })
    }

    /// It is the container's, and cannot be seen from here.
    fn rewire(&self, _: &Plug<'_>) -> Result<bool, Error> {
        Ok(true)
    }

    fn wait_ready(&self, _: &str, _: &str, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    fn unplug(&self, _: &str, container: &str) -> Result<(), Error> {
        link::delete(container).map(drop)
    }
}
