//! The layers: each with its formula and where it comes from.

use serde::{Deserialize, Serialize};
use std::fmt;

/// IP version of an underlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ip {
    /// 20 bytes of header without options (RFC 791, section 3.1).
    #[default]
    V4,
    /// 40 bytes of header without extension headers (RFC 8200, section 3).
    V6,
}

impl Ip {
    /// Size of the header in bytes.
    pub fn header(self) -> u32 {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }
}

impl fmt::Display for Ip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// What a tunnel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carries {
    /// Ethernet frames: 14 bytes of header each, the check sequence is not carried.
    #[default]
    Ethernet,
    /// IP packets.
    Ip,
}

/// Mode of IPsec ESP (RFC 4303, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EspMode {
    /// Protects what an IP packet carries; its header stays.
    Transport,
    /// Protects whole IP packets beneath a new header.
    Tunnel,
}

/// Sizes of an ESP transform, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EspCipher {
    /// Initialization vector carried in each packet.
    pub iv: u32,
    /// Block to which payload and trailer are padded; ESP itself asks for at least 4
    /// (RFC 4303, section 2.4).
    pub block: u32,
    /// Integrity check value.
    pub icv: u32,
}

impl EspCipher {
    /// AES-GCM with a 16-byte check value (RFC 4106, sections 3.1, 6 and 8).
    pub const AES_GCM_16: Self = Self { iv: 8, block: 4, icv: 16 };
    /// ChaCha20-Poly1305 (RFC 7634, section 2).
    pub const CHACHA20_POLY1305: Self = Self { iv: 8, block: 4, icv: 16 };
    /// AES-CBC (RFC 3602, sections 2.1 and 3) with HMAC-SHA-1-96 (RFC 2404).
    pub const AES_CBC_SHA1_96: Self = Self { iv: 16, block: 16, icv: 12 };
    /// AES-CBC (RFC 3602) with HMAC-SHA-256-128 (RFC 4868, section 2.3).
    pub const AES_CBC_SHA256_128: Self = Self { iv: 16, block: 16, icv: 16 };
    /// AES-CBC (RFC 3602) with HMAC-SHA-512-256 (RFC 4868, section 2.3).
    pub const AES_CBC_SHA512_256: Self = Self { iv: 16, block: 16, icv: 32 };
}

/// One encapsulation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case")]
pub enum Layer {
    /// Nothing around the packet (neutron `type_flat.py`).
    Flat,
    /// An 802.1Q tag.
    ///
    /// On a wire it costs nothing: Ethernet frames grow by 4 bytes for it (IEEE 802.3
    /// section 3.2.7, neutron `type_vlan.py`). Where the tag travels inside what the layer
    /// beneath carries (QinQ, a VLAN-transparent tunnel, a NIC that counts it), it costs 4
    /// (IEEE 802.1Q, section 9.6). The tag of a trunk's subport never does: the switch of
    /// the hypervisor takes it off.
    Vlan {
        /// The tag travels inside the payload of the layer beneath.
        carried: bool,
    },
    /// GRE: underlay header + 4, key + 4, sequence number + 4, checksum + 4 (RFC 2784 section
    /// 2.1, RFC 2890 section 2) + Ethernet 14 when frames are carried.
    ///
    /// Neutron's networks carry frames with a key: 22 + header (`type_gre.py`).
    Gre {
        /// Version of the underlay.
        ip: Ip,
        /// Frames or packets.
        carries: Carries,
        /// With the optional key.
        key: bool,
        /// With the optional sequence number.
        sequence: bool,
        /// With the optional checksum.
        checksum: bool,
    },
    /// VXLAN: underlay header + UDP 8 + VXLAN 8 + Ethernet 14 (RFC 7348, section 5; neutron
    /// `type_vxlan.py`).
    Vxlan {
        /// Version of the underlay.
        ip: Ip,
    },
    /// Geneve: underlay header + UDP 8 + Geneve 8 + options + Ethernet 14 (RFC 8926, section
    /// 3; neutron `type_geneve.py`).
    Geneve {
        /// Version of the underlay.
        ip: Ip,
        /// Neutron's `max_header_size`: everything but the underlay's header, in bytes. 30
        /// without options; OVN needs 38 for its 8 bytes of options.
        max_header_size: u32,
    },
    /// IPsec ESP: SPI 4 + sequence number 4 + IV + padding + pad length 1 + next header 1 +
    /// ICV (RFC 4303, section 2); tunnel mode adds the outer header; NAT traversal adds UDP 8
    /// (RFC 3948, section 2.1).
    ///
    /// Padding depends on the size: what is encrypted (payload, padding, 2 bytes) is a
    /// multiple of the block.
    Esp {
        /// Version of the underlay, in transport mode that of the packets.
        ip: Ip,
        /// Transport or tunnel.
        mode: EspMode,
        /// The transform.
        cipher: EspCipher,
        /// Carried in UDP, for NAT traversal.
        nat_t: bool,
    },
    /// WireGuard: underlay header + UDP 8 + type 4 + receiver 4 + counter 8 + tag 16
    /// (WireGuard white paper, section 5.4.6).
    ///
    /// The padding to 16 bytes never goes beyond the MTU of the interface, so the largest
    /// packet has none (Linux, `drivers/net/wireguard/send.c`).
    Wireguard {
        /// Version of the underlay.
        ip: Ip,
    },
    /// IP in IP: one more header (RFC 2003 section 3, RFC 2473 section 3).
    IpInIp {
        /// Version of the underlay.
        ip: Ip,
    },
    /// PPPoE: 6 + PPP 2 (RFC 2516, section 7).
    Pppoe,
    /// Anything else that takes a fixed number of bytes.
    Other {
        /// What it is.
        name: String,
        /// What it takes, in bytes.
        overhead: u32,
    },
}

/// Smallest multiple of `block` that is at least `size`.
fn pad(size: u32, block: u32) -> u32 {
    size.div_ceil(block) * block
}

const ETHERNET: u32 = 14;
const UDP: u32 = 8;

impl Layer {
    /// Geneve as OVN uses it.
    pub fn ovn_geneve(ip: Ip) -> Self {
        Self::Geneve { ip, max_header_size: 38 }
    }

    /// GRE as Neutron's ML2 uses it: frames, with a key.
    pub fn neutron_gre(ip: Ip) -> Self {
        Self::Gre { ip, carries: Carries::Ethernet, key: true, sequence: false, checksum: false }
    }

    /// The parts with a fixed size, named, in bytes.
    fn parts(&self) -> Vec<(&'static str, u32)> {
        fn head(ip: Ip) -> (&'static str, u32) {
            (if ip == Ip::V4 { "IPv4" } else { "IPv6" }, ip.header())
        }
        match self {
            Self::Flat | Self::Vlan { carried: false } => vec![],
            Self::Vlan { carried: true } => vec![("802.1Q tag", 4)],
            Self::Gre { ip, carries, key, sequence, checksum } => {
                let mut parts = vec![head(*ip), ("GRE", 4)];
                let optional = [("checksum", *checksum), ("key", *key), ("sequence number", *sequence)];
                parts.extend(optional.iter().filter(|(_, on)| *on).map(|(name, _)| (*name, 4)));
                if *carries == Carries::Ethernet {
                    parts.push(("Ethernet", ETHERNET));
                }
                parts
            }
            Self::Vxlan { ip } => vec![head(*ip), ("UDP", UDP), ("VXLAN", 8), ("Ethernet", ETHERNET)],
            Self::Geneve { ip, max_header_size } => {
                let mut parts = vec![head(*ip), ("UDP", UDP), ("Geneve", 8), ("Ethernet", ETHERNET)];
                match max_header_size.checked_sub(UDP + 8 + ETHERNET) {
                    Some(0) => {}
                    Some(options) => parts.insert(3, ("options", options)),
                    // Smaller than the header can be; Neutron takes it at its word, and so do we.
                    None => parts = vec![head(*ip), ("max_header_size", *max_header_size)],
                }
                parts
            }
            Self::Esp { ip, mode, cipher, nat_t } => {
                let mut parts = vec![];
                if *mode == EspMode::Tunnel {
                    parts.push(head(*ip));
                }
                if *nat_t {
                    parts.push(("UDP", UDP));
                }
                parts.extend([("SPI and sequence number", 8), ("IV", cipher.iv), ("trailer", 2), ("ICV", cipher.icv)]);
                parts
            }
            Self::Wireguard { ip } => vec![head(*ip), ("UDP", UDP), ("WireGuard", 16), ("tag", 16)],
            Self::IpInIp { ip } => vec![head(*ip)],
            Self::Pppoe => vec![("PPPoE", 6), ("PPP", 2)],
            Self::Other { overhead, .. } => vec![("overhead", *overhead)],
        }
    }

    /// Sum of the parts with a fixed size, in bytes.
    fn fixed(&self) -> u32 {
        self.parts().iter().fold(0, |sum, (_, size)| sum.saturating_add(*size))
    }

    /// For ESP: bytes of a packet that stay outside the encryption, and the block that the
    /// rest and its trailer fill.
    fn padding(&self) -> Option<(u32, u32)> {
        let Self::Esp { ip, mode, cipher, .. } = self else { return None };
        let clear = if *mode == EspMode::Transport { ip.header() } else { 0 };
        Some((clear, cipher.block.max(4)))
    }

    /// Largest packet in bytes that fits through this layer on an MTU of `underlay` bytes;
    /// `None` when not even an empty one does.
    pub fn payload(&self, underlay: u32) -> Option<u32> {
        let Some((clear, block)) = self.padding() else { return underlay.checked_sub(self.fixed()) };
        // Room for what is encrypted, in whole blocks; the trailer's 2 bytes are among it.
        let room = underlay.checked_sub(self.fixed() - 2 + clear)? / block * block;
        Some(clear + room.checked_sub(2)?)
    }

    /// Smallest underlay in bytes that carries packets of up to `payload` bytes.
    pub fn needed(&self, payload: u32) -> u32 {
        let Some((clear, block)) = self.padding() else { return payload.saturating_add(self.fixed()) };
        self.fixed() - 2 + clear + pad(payload.saturating_sub(clear) + 2, block)
    }

    /// The sum behind `overhead` bytes, as text.
    pub(super) fn formula(&self, overhead: u32) -> String {
        let mut terms: Vec<String> = self.parts().iter().map(|(name, size)| format!("{name} {size}")).collect();
        // What whole blocks leave over can be no payload.
        match overhead - self.fixed() {
            0 => {}
            rest => terms.push(format!("padding {rest}")),
        }
        if terms.is_empty() { "nothing added".to_owned() } else { terms.join(" + ") }
    }

    /// Where the formula comes from.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Flat => "neutron type_flat.py",
            Self::Vlan { carried: false } => "IEEE 802.3 section 3.2.7; neutron type_vlan.py",
            Self::Vlan { carried: true } => "IEEE 802.1Q section 9.6",
            Self::Gre { .. } => "RFC 2784 section 2.1, RFC 2890 section 2; neutron type_gre.py",
            Self::Vxlan { .. } => "RFC 7348 section 5; neutron type_vxlan.py",
            Self::Geneve { .. } => "RFC 8926 section 3; neutron type_geneve.py",
            Self::Esp { nat_t: false, .. } => "RFC 4303 section 2",
            Self::Esp { nat_t: true, .. } => "RFC 4303 section 2, RFC 3948 section 2.1",
            Self::Wireguard { .. } => "WireGuard white paper section 5.4.6",
            Self::IpInIp { ip: Ip::V4 } => "RFC 2003 section 3",
            Self::IpInIp { ip: Ip::V6 } => "RFC 2473 section 3",
            Self::Pppoe => "RFC 2516 section 7",
            Self::Other { .. } => "as given",
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat => f.write_str("flat"),
            Self::Vlan { carried: false } => f.write_str("VLAN"),
            Self::Vlan { carried: true } => f.write_str("VLAN tag inside"),
            Self::Gre { ip, .. } => write!(f, "GRE over {ip}"),
            Self::Vxlan { ip } => write!(f, "VXLAN over {ip}"),
            Self::Geneve { ip, .. } => write!(f, "Geneve over {ip}"),
            Self::Esp { ip, mode, nat_t, .. } => {
                let mode = if *mode == EspMode::Tunnel { "tunnel" } else { "transport" };
                write!(f, "IPsec ESP {mode} over {ip}{}", if *nat_t { " with NAT traversal" } else { "" })
            }
            Self::Wireguard { ip } => write!(f, "WireGuard over {ip}"),
            Self::IpInIp { ip } => write!(f, "IP in {ip}"),
            Self::Pppoe => f.write_str("PPPoE"),
            Self::Other { name, .. } => f.write_str(name),
        }
    }
}
