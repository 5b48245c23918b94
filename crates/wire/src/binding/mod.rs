//! Binding drivers: how a Neutron port is plugged, by what Neutron says of it; or, for hosts that are servers
//! themselves and have no switch of Neutron's, by what their Stackyard server says.

mod bridged;
mod found;
mod hybrid;
mod on_link;
mod ovs;

pub use found::{Found, find, remove};

use crate::link::{Home, OnLink, Veth};
use crate::{Datapath, Error, Switch, disable_checksum_offload};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// What Neutron says of a port that is bound (`binding:vif_type`, `binding:vif_details`, `binding:host_id`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vif {
    /// The kind of port: Neutron's word, or [`MACVLAN`], [`IPVLAN`] or [`VLAN`].
    pub vif_type: String,
    /// What its driver should know.
    pub details: Map<String, Value>,
    /// The host that it was to be bound to.
    pub host: String,
    /// Id of its network in Neutron.
    #[serde(default)]
    pub network: String,
}

/// Neutron's word for a port in a network's bridge of the kernel: its agent is that of linuxbridge.
const BRIDGE: &str = "bridge";

impl Vif {
    /// Whether Neutron's agent knows the host's end by its name. It is then `tap` with the beginning of the port's id.
    pub fn is_known_by_name(&self) -> bool {
        self.vif_type == BRIDGE || self.is_hybrid()
    }

    fn is_hybrid(&self) -> bool {
        self.vif_type == "ovs" && self.details.get("ovs_hybrid_plug") == Some(&Value::Bool(true))
    }

    /// The bridge that it is to be plugged into, if Neutron names one.
    fn bridge(&self) -> Option<&str> {
        self.details.get("bridge_name").and_then(Value::as_str).filter(|b| !b.is_empty())
    }
}

/// The kind of port that is a macvlan on a link of the host. It is no word of Neutron's: to Neutron such a port is
/// unbound, and the port of that link may use its addresses.
pub const MACVLAN: &str = "macvlan";

/// The same with an ipvlan, which has the MAC address of the host's link. Clouds that let a port use only its own MAC
/// address take it, as OVN does.
pub const IPVLAN: &str = "ipvlan";

/// The kind of port that is behind a trunk of the host's own port: a VLAN of the host's link.
pub const VLAN: &str = "vlan";

/// What the details of a [`MACVLAN`], [`IPVLAN`] or [`VLAN`] have: the MAC address of the host's link.
pub const PARENT_MAC: &str = "parent_mac";

/// What the details of a [`VLAN`] have beside: its id, 1 to 4094.
pub const VLAN_ID: &str = "vlan_id";

/// A port to plug.
#[derive(Debug, Clone)]
pub struct Plug<'a> {
    /// Name of the host's end, from [`Naming::devices`]; a link on another has none.
    pub host: &'a str,
    /// Name of the container's end.
    pub container: &'a str,
    /// The port's id.
    pub port: &'a str,
    /// Its MAC address.
    pub mac: &'a str,
    /// Greatest packet of its network, in bytes.
    pub mtu: u32,
    /// Who plugs it, for [`Switch::owned`].
    pub owner: &'a str,
    /// Further `external_ids` of the switch's port.
    pub ids: &'a [(&'a str, &'a str)],
    /// Where the container's end goes at once; otherwise it stays in this namespace, for whoever takes it.
    pub home: Option<Home<'a>>,
}

impl Plug<'_> {
    /// The veth pair between container and host. `noted` is the alias of the host's end.
    fn veth<'a>(&'a self, noted: &'a str) -> Veth<'a> {
        let Plug { host, container, mtu, home, .. } = *self;
        Veth { host, container, mtu, owner: noted, home }
    }

    /// Makes a new pair fit for a switch: where that is in user space, the kernel computes the checksums of what the
    /// container sends.
    fn finish(&self, datapath: Datapath) -> Result<(), Error> {
        match (datapath, self.home) {
            (Datapath::Kernel, _) => Ok(()),
            (Datapath::UserSpace, Some(home)) => home.namespace.within(|| disable_checksum_offload(home.name)),
            // Stays with the link when it moves into the container's namespace.
            (Datapath::UserSpace, None) => disable_checksum_offload(self.container),
        }
    }
}

/// Plugs one kind of port. All of it is idempotent.
pub trait Driver: Send + Sync {
    /// Makes the port's links.
    ///
    /// # Errors
    /// Those of the switch and the kernel; what was made before stays for [`Driver::unplug`].
    fn plug(&self, plug: &Plug<'_>) -> Result<(), Error>;

    /// Makes what it can of a port that Neutron is still to make, under other names; whether that is anything.
    ///
    /// # Errors
    /// Those of the switch and the kernel; what was made before stays for [`Driver::unplug`].
    fn prepare(&self, _plug: &Plug<'_>) -> Result<bool, Error> {
        Ok(false)
    }

    /// Makes a port of what was prepared under these names of the host's end and the container's.
    ///
    /// # Errors
    /// Those of [`Driver::plug`], which is the way to go on: as when it is not there any more.
    fn settle(&self, _: (&str, &str), plug: &Plug<'_>) -> Result<(), Error> {
        // Nothing was prepared.
        self.plug(plug)
    }

    /// Puts the host's end on the switch again, for a container that has its end; whether there is one. Where Neutron's
    /// agent knows it by its name, it is named after the port from then on.
    ///
    /// # Errors
    /// Those of the switch and the kernel.
    fn rewire(&self, plug: &Plug<'_>) -> Result<bool, Error>;

    /// Waits until packets flow, as far as this host can tell.
    ///
    /// # Errors
    /// [`Error::NotReady`] after `limit`.
    fn wait_ready(&self, host: &str, port: &str, limit: Duration) -> Result<(), Error>;

    /// Removes all that [`Driver::plug`] made under these names of the host's end and the container's. A link
    /// on another that a container has is its namespace's, and goes with that.
    ///
    /// # Errors
    /// Those of the switch and the kernel.
    fn unplug(&self, host: &str, container: &str) -> Result<(), Error>;
}

/// The driver for a port, on a host with Neutron's switch or without one.
///
/// # Errors
/// [`Error::Binding`] when Neutron could not bind it, [`Error::Unsupported`] when there is no driver.
pub fn driver(vif: &Vif, switch: Option<&Switch>) -> Result<Box<dyn Driver>, Error> {
    let unbound = |hint| Error::Binding { host: vif.host.clone(), vif_type: vif.vif_type.clone(), hint };
    let unsupported =
        |detail: &str, hint| Error::Unsupported { vif_type: vif.vif_type.clone(), detail: detail.to_owned(), hint };
    match vif.vif_type.as_str() {
        "ovs" => {
            let Some(switch) = switch.cloned() else {
                return Err(unsupported("", "this host has no switch of Neutron's"));
            };
            let bridge = vif.bridge().unwrap_or("br-int");
            Ok(if vif.is_hybrid() {
                Box::new(hybrid::Hybrid::new(switch, bridge))
            } else {
                Box::new(ovs::Ovs::new(switch, bridge))
            })
        }
        BRIDGE => match (vif.bridge(), vif.network.as_str()) {
            (Some(bridge), _) => Ok(Box::new(bridged::Bridged::new(bridge.to_owned()))),
            (None, "") => Err(unsupported(" without bridge_name", "the network's id would say which bridge it is")),
            (None, network) => Ok(Box::new(bridged::Bridged::new(named("brq", network)))),
        },
        MACVLAN | IPVLAN | VLAN => {
            let id = || vif.details.get(VLAN_ID)?.as_u64().and_then(|id| u16::try_from(id).ok());
            let kind = match (vif.vif_type.as_str(), id()) {
                (MACVLAN, _) => OnLink::Macvlan,
                (IPVLAN, _) => OnLink::Ipvlan,
                (_, Some(id @ 1..=4094)) => OnLink::Vlan(id),
                _ => return Err(unsupported(" without vlan_id", "a VLAN has an id from 1 to 4094")),
            };
            match vif.details.get(PARENT_MAC).and_then(Value::as_str) {
                Some(parent) => Ok(Box::new(on_link::OnLink::new(kind, parent))),
                None => Err(unsupported(" without parent_mac", "say which link of the host it is on")),
            }
        }
        "unbound" => Err(unbound(
            "the request named no host, or the user may not name one (the role of an \
                                  administrator or of a service is needed)",
        )),
        "binding_failed" => Err(unbound(
            "no live agent or chassis of that name serves the network: compare with `openstack network agent list`, \
             and see Neutron's server log",
        )),
        _ => Err(unsupported("", "Open vSwitch is, with OVN or with Neutron's own agent, and linuxbridge")),
    }
}

/// How links are named: a prefix, and the first 11 characters of the port's id. The kernel takes 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// Stackyard's own.
    Stackyard,
    /// That of kuryr-lib (3.5.0, `kuryr/lib/binding/drivers/utils.py`, `get_veth_pair_names`), so that either
    /// finds what the other has plugged.
    Kuryr,
}

impl Naming {
    fn prefixes(self) -> (&'static str, &'static str) {
        match self {
            Self::Stackyard => ("sy", "sc"),
            Self::Kuryr => (TAP, "t_c"),
        }
    }

    /// Names of the host's end and of the container's, of a port's links that are named after `id`.
    pub fn devices(self, vif: &Vif, id: &str) -> (String, String) {
        let (host, container) = self.prefixes();
        (named(if vif.is_known_by_name() { TAP } else { host }, id), named(container, id))
    }

    /// All names that links named after `id` can have: hosts' ends and the container's.
    pub fn all(self, id: &str) -> [String; 3] {
        let [usual, known] = self.host_ends(id);
        [usual, known, named(self.prefixes().1, id)]
    }

    /// Names that a host's end named after `id` can have, the usual one first.
    fn host_ends(self, id: &str) -> [String; 2] {
        [named(self.prefixes().0, id), named(TAP, id)]
    }

    /// What a container's end is named after, if it is one.
    fn id_of_container_end(self, device: &str) -> Option<&str> {
        device.strip_prefix(self.prefixes().1).filter(|id| id.len() == LENGTH)
    }

    /// Whether that is the name of a host's end. Others name links `tap` as well.
    fn is_host_end(self, device: &str) -> bool {
        self == Self::Stackyard && device.strip_prefix("sy").is_some_and(|id| id.len() == LENGTH)
    }
}

/// How links begin that Neutron's agents know by their names.
const TAP: &str = "tap";

/// How much of an id there is in a link's name, in characters.
const LENGTH: usize = 11;

fn named(prefix: &str, id: &str) -> String {
    prefix.chars().chain(id.chars().take(LENGTH)).collect()
}

/// The name by which Neutron's agents know a port's link.
fn tap(port: &str) -> String {
    named(TAP, port)
}

/// What is noted down about a link that no switch knows.
fn noted(owner: &str, port: &str) -> String {
    format!("{owner} {port}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ovsdb, Remote};
    use serde_json::json;

    fn told(vif_type: &str, details: Value) -> Result<Box<dyn Driver>, Error> {
        let details = details.as_object().cloned().unwrap_or_default();
        let vif = Vif { vif_type: vif_type.into(), details, host: "node-1".into(), network: String::new() };
        driver(&vif, Some(&Switch::new(Ovsdb::new(Remote::default()))))
    }

    #[test]
    fn what_neutron_could_not_bind_is_said() {
        for failed in ["unbound", "binding_failed"] {
            let error = told(failed, json!({})).err().unwrap();
            assert!(matches!(error, Error::Binding { .. }));
            assert!(error.to_string().contains("node-1") && error.to_string().contains(failed), "{error}");
        }
    }

    #[test]
    fn only_what_can_be_plugged_has_a_driver() {
        assert!(told("ovs", json!({"bridge_name": "br-int"})).is_ok());
        assert!(told("ovs", json!({"ovs_hybrid_plug": true})).is_ok());
        assert!(told("bridge", json!({"bridge_name": "brq1"})).is_ok());
        let nameless = told("bridge", json!({})).err().unwrap();
        assert!(nameless.to_string().contains("bridge_name"), "{nameless}");
        assert!(matches!(told("hw_veb", json!({})), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn a_link_on_the_hosts_needs_that_and_no_switch() {
        let vif = |kind: &str, details: Value| Vif {
            vif_type: kind.into(),
            details: details.as_object().cloned().unwrap_or_default(),
            ..Vif::default()
        };
        for kind in [MACVLAN, IPVLAN] {
            assert!(driver(&vif(kind, json!({PARENT_MAC: "fa:16:3e:00:00:01"})), None).is_ok());
        }
        assert!(driver(&vif(MACVLAN, json!({})), None).err().unwrap().to_string().contains("parent_mac"));
        let vlan = |id: Value| driver(&vif(VLAN, json!({PARENT_MAC: "fa:16:3e:00:00:01", VLAN_ID: id})), None);
        assert!(vlan(json!(4094)).is_ok());
        for wrong in [json!(0), json!(4095), json!(70_000), Value::Null] {
            assert!(vlan(wrong).err().unwrap().to_string().contains("1 to 4094"));
        }
        let ovs = Vif { vif_type: "ovs".into(), ..Vif::default() };
        assert!(driver(&ovs, None).err().unwrap().to_string().contains("no switch"));
    }

    #[test]
    fn names_fit_the_kernel() {
        let id = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        let plain = Vif { vif_type: "ovs".into(), ..Vif::default() };
        let (host, container) = Naming::Stackyard.devices(&plain, id);
        assert_eq!((host.as_str(), container.as_str()), ("sy0a1b2c3d-4e", "sc0a1b2c3d-4e"));
        assert_eq!(Naming::Stackyard.id_of_container_end(&container), Some("0a1b2c3d-4e"));
        assert!(Naming::Stackyard.is_host_end(&host) && !Naming::Stackyard.is_host_end("sync0"));
        let bridged = Vif { vif_type: BRIDGE.into(), ..Vif::default() };
        assert_eq!(Naming::Stackyard.devices(&bridged, id), ("tap0a1b2c3d-4e".to_owned(), container));
        let (host, container) = Naming::Kuryr.devices(&plain, id);
        assert_eq!((host.as_str(), container.as_str()), ("tap0a1b2c3d-4e", "t_c0a1b2c3d-4e"));
        assert_eq!(Naming::Kuryr.id_of_container_end(&container), Some("0a1b2c3d-4e"));
        assert!(!Naming::Kuryr.is_host_end(&host), "it may be a server's");
    }
}
