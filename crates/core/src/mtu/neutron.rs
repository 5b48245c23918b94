//! The MTU that Neutron gives its networks.
//!
//! Source: neutron/plugins/ml2/drivers/type_{flat,vlan,tunnel,gre,vxlan,geneve}.py. Flat and
//! VLAN: the minimum of `global_physnet_mtu` and the entry in `physical_network_mtus`.
//! Tunnels: the minimum of `global_physnet_mtu` and `path_mtu`, minus the underlay's header
//! (`overlay_ip_version`), minus 22 (GRE), 30 (VXLAN) or `max_header_size` (Geneve). A value of
//! 0 means "not set", and so does a result of 0.

use super::{Ip, Layer};
use serde::{Deserialize, Serialize};

/// Neutron's settings that decide on MTUs, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `[DEFAULT] global_physnet_mtu`.
    pub global_physnet_mtu: u32,
    /// `[ml2] path_mtu`; 0: not set.
    pub path_mtu: u32,
    /// `[ml2] overlay_ip_version`.
    pub overlay_ip: Ip,
    /// `[ml2_type_geneve] max_header_size`.
    pub geneve_max_header_size: u32,
}

impl Default for Settings {
    /// Neutron's own defaults.
    fn default() -> Self {
        Self { global_physnet_mtu: 1500, path_mtu: 0, overlay_ip: Ip::V4, geneve_max_header_size: 30 }
    }
}

/// Type of a network's segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum Segment {
    /// Untagged provider network; its entry in `physical_network_mtus`, if any.
    Flat {
        /// MTU of the physical network in bytes.
        physnet_mtu: Option<u32>,
    },
    /// Tagged provider network.
    Vlan {
        /// MTU of the physical network in bytes.
        physnet_mtu: Option<u32>,
    },
    /// GRE tunnels.
    Gre,
    /// VXLAN tunnels.
    Vxlan,
    /// Geneve tunnels.
    Geneve,
    /// On one host only; Neutron knows no limit.
    Local,
}

/// The layer that a network of this type (`provider:network_type`) is, with Geneve as OVN uses it; `None`
/// for types that are not known.
pub fn layer_of(network_type: &str) -> Option<Layer> {
    Some(match network_type {
        "flat" | "local" => Layer::Flat,
        "vlan" => Layer::Vlan { carried: false },
        "vxlan" => Layer::Vxlan { ip: Ip::V4 },
        "gre" => Layer::neutron_gre(Ip::V4),
        "geneve" => Layer::ovn_geneve(Ip::V4),
        _ => return None,
    })
}

impl Settings {
    /// The layer that `segment` puts on the underlay.
    pub fn layer(&self, segment: Segment) -> Layer {
        let ip = self.overlay_ip;
        match segment {
            Segment::Flat { .. } | Segment::Local => Layer::Flat,
            Segment::Vlan { .. } => Layer::Vlan { carried: false },
            Segment::Gre => Layer::neutron_gre(ip),
            Segment::Vxlan => Layer::Vxlan { ip },
            Segment::Geneve => Layer::Geneve { ip, max_header_size: self.geneve_max_header_size },
        }
    }

    /// MTU beneath the layer of `segment`, in bytes; 0: no limit is set.
    pub fn underlay(&self, segment: Segment) -> u32 {
        let other = match segment {
            Segment::Flat { physnet_mtu } | Segment::Vlan { physnet_mtu } => physnet_mtu.unwrap_or(0),
            Segment::Gre | Segment::Vxlan | Segment::Geneve => self.path_mtu,
            Segment::Local => 0,
        };
        [self.global_physnet_mtu, other].into_iter().filter(|&m| m > 0).min().unwrap_or(0)
    }

    /// MTU of a network with one `segment`, in bytes; 0: no limit is set.
    pub fn network_mtu(&self, segment: Segment) -> u32 {
        match self.underlay(segment) {
            0 => 0,
            underlay => self.layer(segment).payload(underlay).unwrap_or(0),
        }
    }

    /// MTU of a network with several segments: the smallest that is set.
    pub fn multi_segment_mtu(&self, segments: &[Segment]) -> u32 {
        segments.iter().map(|&s| self.network_mtu(s)).filter(|&m| m > 0).min().unwrap_or(0)
    }
}
