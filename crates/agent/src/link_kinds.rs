//! Kinds of links that this host's kernel can make for containers.

use stackyard_core::agent::PortLink;
use stackyard_wire::link::{self, OnLink};

/// What links on another this host's kernel can make, the kind first that can do most. Blocks for a few milliseconds.
pub(crate) fn link_kinds() -> Result<Vec<PortLink>, stackyard_wire::Error> {
    let mut kinds = Vec::new();
    for kind in PortLink::ALL {
        let link = match kind {
            PortLink::Vlan => OnLink::Vlan(1),
            PortLink::Macvlan => OnLink::Macvlan,
            PortLink::Ipvlan => OnLink::Ipvlan,
        };
        if link::can_make(link)? {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}
