//! Binding drivers: how a Neutron port is plugged, by what Neutron says of it; or, for hosts that are servers
//! themselves and have no switch of Neutron's, by what their Stackyard server says.

mod on_link;
mod ovs;

use crate::link::OnLink;
use crate::{Error, Switch};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// What Neutron says of a port that is bound (`binding:vif_type`, `binding:vif_details`, `binding:host_id`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Vif {
    /// The kind of port: Neutron's word, or [`MACVLAN`] or [`IPVLAN`].
    pub vif_type: String,
    /// What its driver should know.
    pub details: Map<String, Value>,
    /// The host that it was to be bound to.
    pub host: String,
}

/// The kind of port that is a macvlan on a link of the host. It is no word of Neutron's: to Neutron such a port is
/// unbound, and the port of that link may use its addresses.
pub const MACVLAN: &str = "macvlan";

/// The same with an ipvlan, which has the MAC address of the host's link. Clouds that let a port use only its own MAC
/// address take it, as OVN does.
pub const IPVLAN: &str = "ipvlan";

/// What the details of a [`MACVLAN`] or [`IPVLAN`] have: the MAC address of the host's link.
pub const PARENT_MAC: &str = "parent_mac";

/// A port to plug.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// Plugs one kind of port. All of it is idempotent.
pub trait Driver: Send + Sync {
    /// Makes the port's links, the container's end in this network namespace.
    ///
    /// # Errors
    /// Those of the switch and the kernel; what was made before stays for [`Driver::unplug`].
    fn plug(&self, plug: &Plug<'_>) -> Result<(), Error>;

    /// Puts the host's end on the switch again, for a container that has its end; whether there is one.
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
        "ovs" if vif.details.get("ovs_hybrid_plug") == Some(&Value::Bool(true)) => Err(unsupported(
            " with ovs_hybrid_plug",
            "have Neutron's agent use the firewall driver `openvswitch` instead of `iptables_hybrid`",
        )),
        "ovs" => {
            let Some(switch) = switch else {
                return Err(unsupported("", "this host has no switch of Neutron's"));
            };
            let bridge = vif.details.get("bridge_name").and_then(Value::as_str).unwrap_or("br-int");
            Ok(Box::new(ovs::Ovs::new(switch.clone(), bridge)))
        }
        MACVLAN | IPVLAN => {
            let kind = if vif.vif_type == MACVLAN { OnLink::Macvlan } else { OnLink::Ipvlan };
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
        _ => Err(unsupported("", "Open vSwitch is, with OVN or with Neutron's own agent")),
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
            Self::Kuryr => ("tap", "t_c"),
        }
    }

    /// Names of the host's end and of the container's, of the links that are named after `id`.
    pub fn devices(self, id: &str) -> (String, String) {
        let short: String = id.chars().take(11).collect();
        let (host, container) = self.prefixes();
        (format!("{host}{short}"), format!("{container}{short}"))
    }

    /// The name of the host's end whose other end has this name, if it is one.
    pub fn host_of(self, container: &str) -> Option<String> {
        let (host, prefix) = self.prefixes();
        container.strip_prefix(prefix).filter(|id| id.len() == 11).map(|id| format!("{host}{id}"))
    }

    /// Whether that is the name of a host's end. Others name links `tap` as well.
    pub fn is_host_end(self, device: &str) -> bool {
        self == Self::Stackyard && device.strip_prefix("sy").is_some_and(|id| id.len() == 11)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ovsdb, Remote};
    use serde_json::json;

    fn told(vif_type: &str, details: Value) -> Result<Box<dyn Driver>, Error> {
        let details = details.as_object().cloned().unwrap_or_default();
        let vif = Vif { vif_type: vif_type.into(), details, host: "node-1".into() };
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
        let hybrid = told("ovs", json!({"ovs_hybrid_plug": true})).err().unwrap();
        assert!(hybrid.to_string().contains("firewall driver"), "{hybrid}");
        assert!(matches!(told("hw_veb", json!({})), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn a_link_on_the_hosts_needs_that_and_no_switch() {
        let vif = |kind: &str, details: Value| Vif {
            vif_type: kind.into(),
            details: details.as_object().cloned().unwrap_or_default(),
            host: String::new(),
        };
        for kind in [MACVLAN, IPVLAN] {
            assert!(driver(&vif(kind, json!({PARENT_MAC: "fa:16:3e:00:00:01"})), None).is_ok());
        }
        assert!(driver(&vif(MACVLAN, json!({})), None).err().unwrap().to_string().contains("parent_mac"));
        let ovs = Vif { vif_type: "ovs".into(), ..Vif::default() };
        assert!(driver(&ovs, None).err().unwrap().to_string().contains("no switch"));
    }

    #[test]
    fn names_fit_the_kernel() {
        let id = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        let (host, container) = Naming::Stackyard.devices(id);
        assert_eq!((host.as_str(), container.as_str()), ("sy0a1b2c3d-4e", "sc0a1b2c3d-4e"));
        assert_eq!(Naming::Stackyard.host_of(&container).as_deref(), Some("sy0a1b2c3d-4e"));
        assert!(Naming::Stackyard.is_host_end(&host) && !Naming::Stackyard.is_host_end("sync0"));
        let (host, container) = Naming::Kuryr.devices(id);
        assert_eq!((host.as_str(), container.as_str()), ("tap0a1b2c3d-4e", "t_c0a1b2c3d-4e"));
        assert_eq!(Naming::Kuryr.host_of(&container).as_deref(), Some("tap0a1b2c3d-4e"));
        assert!(!Naming::Kuryr.is_host_end(&host), "it may be a server's");
    }
}
