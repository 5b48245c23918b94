//! The manifest of a yard, as people write it. Its JSON Schema is `docs/schema/yard.schema.json`,
//! its description `docs/yards.md`. Names that the manifest does not define are names or ids of
//! what is in the cloud already.

use super::short::{self, Short};
use super::words::{PortRange, Size};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Format of manifests.
pub const API_VERSION: &str = "stackyard.dev/v1";
/// Kind of this manifest.
pub const KIND: &str = "Yard";

/// Defines a part of the manifest.
macro_rules! part {
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name { $($(#[$fmeta])* pub $field: $type,)* }
    };
}

part! {
    /// A yard: networks, servers and what belongs to them, on one cloud.
    Manifest {
        /// `stackyard.dev/v1`.
        api_version: String,
        /// `Yard`.
        kind: String,
        /// Who it is.
        metadata: Metadata,
        /// What there should be.
        spec: Spec,
    }
}

part! {
    /// Who a yard is.
    Metadata {
        /// Its name: lower case letters, digits, dashes. All its resources carry it.
        name: String,
    }
}

part! {
    /// What there should be.
    Spec {
        /// The cloud: an entry of clouds.yaml. Without it OS_CLOUD, the OS_* variables, or the
        /// only entry decide.
        #[serde(default)]
        cloud: Option<String>,
        /// Networks.
        #[serde(default)]
        networks: Vec<Network>,
        /// Routers between several networks; a network's `router` is shorter for one.
        #[serde(default)]
        routers: Vec<Router>,
        /// Security groups.
        #[serde(default)]
        security_groups: Vec<SecurityGroup>,
        /// SSH keys.
        #[serde(default)]
        keypairs: Vec<Keypair>,
        /// Volumes.
        #[serde(default)]
        volumes: Vec<Volume>,
        /// Groups of servers that are kept apart or together.
        #[serde(default)]
        server_groups: Vec<ServerGroup>,
        /// Servers.
        #[serde(default)]
        servers: Vec<Server>,
        /// Addresses outside that lead to servers.
        #[serde(default, rename = "floatingIPs")]
        floating_ips: Vec<FloatingIp>,
    }
}

part! {
    /// A network with its subnets.
    Network {
        /// Name.
        name: String,
        /// Addresses of its only subnet; `subnets` says more.
        #[serde(default)]
        #[schemars(with = "Option<String>")]
        cidr: Option<IpNet>,
        /// Subnets.
        #[serde(default)]
        subnets: Vec<Subnet>,
        /// A router of its own with a way out (`{external: public}`), or the name of another.
        #[serde(default, deserialize_with = "short::option")]
        #[schemars(with = "Option<Short<NetworkRouter>>")]
        router: Option<NetworkRouter>,
        /// Greatest packet, in bytes; what the cloud allows if absent.
        #[serde(default)]
        mtu: Option<u32>,
        /// Whether ports get security groups and may only send from their own addresses.
        #[serde(default)]
        port_security: Option<bool>,
        /// Name servers that DHCP tells, for subnets that do not say.
        #[serde(default)]
        dns: Vec<IpAddr>,
    }
}

part! {
    /// A network's router.
    NetworkRouter {
        /// Another router's name or id.
        #[serde(default)]
        name: Option<String>,
        /// The external network of a router made for this network.
        #[serde(default)]
        external: Option<String>,
    }
}

impl From<String> for NetworkRouter {
    fn from(name: String) -> Self {
        Self { name: Some(name), external: None }
    }
}

part! {
    /// A subnet.
    Subnet {
        /// Name within the network; its address if absent.
        #[serde(default)]
        name: Option<String>,
        /// Its addresses.
        #[schemars(with = "String")]
        cidr: IpNet,
        /// The gateway's address; the first one if absent.
        #[serde(default)]
        gateway: Option<IpAddr>,
        /// Whether DHCP answers; it does unless `false`.
        #[serde(default)]
        dhcp: Option<bool>,
        /// Name servers that DHCP tells.
        #[serde(default)]
        dns: Vec<IpAddr>,
        /// Ranges of addresses that ports get, as `10.0.0.10-10.0.0.99`.
        #[serde(default)]
        pools: Vec<String>,
        /// How IPv6 addresses are given; `slaac` if absent.
        #[serde(default)]
        ipv6_mode: Option<Ipv6Mode>,
    }
}

/// How IPv6 addresses are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ipv6Mode {
    /// Guests make them from router advertisements.
    Slaac,
    /// By DHCPv6.
    Dhcpv6Stateful,
    /// As with `slaac`, and DHCPv6 tells the rest.
    Dhcpv6Stateless,
}

impl Ipv6Mode {
    /// Neutron's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Slaac => "slaac",
            Self::Dhcpv6Stateful => "dhcpv6-stateful",
            Self::Dhcpv6Stateless => "dhcpv6-stateless",
        }
    }
}

part! {
    /// A router.
    Router {
        /// Name.
        name: String,
        /// External network it leads to.
        #[serde(default)]
        external: Option<String>,
        /// Networks of the yard it connects, with all their subnets.
        #[serde(default)]
        networks: Vec<String>,
    }
}

part! {
    /// A security group.
    SecurityGroup {
        /// Name.
        name: String,
        /// What it lets through. Without an egress rule, everything may go out.
        #[serde(default)]
        rules: Vec<Rule>,
    }
}

part! {
    /// What a security group lets through.
    Rule {
        /// `tcp`, `udp`, `icmp`, `icmpv6`, another protocol's name or number; all if absent.
        #[serde(default)]
        proto: Option<String>,
        /// Port or range.
        #[serde(default)]
        port: Option<PortRange>,
        /// The other side: a CIDR, or the name of a security group. Everybody if absent.
        #[serde(default)]
        from: Option<String>,
        /// The other side of an egress rule.
        #[serde(default)]
        to: Option<String>,
        /// `ingress` unless said, or unless there is a `to`.
        #[serde(default)]
        direction: Option<Direction>,
        /// Whether it is for IPv6; where neither this nor a CIDR says so, it is for IPv4.
        #[serde(default)]
        ipv6: Option<bool>,
    }
}

/// Direction of a rule, as the server sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the server.
    Ingress,
    /// From the server.
    Egress,
}

part! {
    /// The public half of an SSH key.
    Keypair {
        /// Name.
        name: String,
        /// The key itself, as in authorized_keys.
        #[serde(default)]
        public_key: Option<String>,
        /// A file with it, relative to the manifest.
        #[serde(default)]
        public_key_file: Option<String>,
    }
}

part! {
    /// A volume.
    Volume {
        /// Name.
        name: String,
        /// Size. It can grow, but not shrink.
        #[schemars(with = "Size")]
        size: Size,
        /// Type; the cloud's default if absent.
        #[serde(default, rename = "type")]
        volume_type: Option<String>,
        /// Image it is filled from.
        #[serde(default)]
        image: Option<String>,
        /// Where it is.
        #[serde(default)]
        availability_zone: Option<String>,
    }
}

part! {
    /// Servers that the scheduler places with regard to each other.
    ServerGroup {
        /// Name.
        name: String,
        /// How.
        #[serde(default)]
        policy: Policy,
    }
}

/// How servers of a group are placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// On different hosts.
    #[default]
    AntiAffinity,
    /// On different hosts, where possible.
    SoftAntiAffinity,
    /// On one host.
    Affinity,
    /// On one host, where possible.
    SoftAffinity,
}

impl Policy {
    /// Nova's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::AntiAffinity => "anti-affinity",
            Self::SoftAntiAffinity => "soft-anti-affinity",
            Self::Affinity => "affinity",
            Self::SoftAffinity => "soft-affinity",
        }
    }
}

part! {
    /// A server, or `count` of them.
    Server {
        /// Name; with `count` of them `name-1`, `name-2` ...
        name: String,
        /// How many.
        #[serde(default)]
        count: Option<u32>,
        /// Flavor.
        flavor: String,
        /// Image.
        #[serde(default)]
        image: Option<String>,
        /// Its only network; the yard's if there is just one.
        #[serde(default)]
        network: Option<String>,
        /// Its networks: names, or more.
        #[serde(default, deserialize_with = "short::list")]
        #[schemars(with = "Vec<Short<Attach>>")]
        networks: Vec<Attach>,
        /// Security groups, on all its networks that do not say otherwise.
        #[serde(default)]
        security_groups: Vec<String>,
        /// Keypair.
        #[serde(default)]
        key: Option<String>,
        /// User data (cloud-config, a script), as text.
        #[serde(default)]
        user_data: Option<String>,
        /// A file with it, relative to the manifest.
        #[serde(default)]
        user_data_file: Option<String>,
        /// Metadata of your own.
        #[serde(default)]
        metadata: BTreeMap<String, String>,
        /// Tags of your own.
        #[serde(default)]
        tags: Vec<String>,
        /// Where it runs.
        #[serde(default)]
        availability_zone: Option<String>,
        /// Whether it gets metadata and user data as a disk, too.
        #[serde(default)]
        config_drive: Option<bool>,
        /// Boot from a volume that is filled from the image.
        #[serde(default)]
        boot_volume: Option<BootVolume>,
        /// Volumes to attach.
        #[serde(default)]
        volumes: Vec<String>,
        /// Server group.
        #[serde(default)]
        group: Option<String>,
    }
}

part! {
    /// A network of a server.
    Attach {
        /// The network.
        network: String,
        /// Fixed addresses.
        #[serde(default, deserialize_with = "short::one_or_many", alias = "addresses")]
        #[schemars(with = "OneOrMany<IpAddr>")]
        address: Vec<IpAddr>,
        /// Security groups there; those of the server if absent.
        #[serde(default)]
        security_groups: Option<Vec<String>>,
        /// Whether security groups and own addresses are enforced there.
        #[serde(default)]
        port_security: Option<bool>,
    }
}

/// Schema of a value or a list of them.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl From<String> for Attach {
    fn from(network: String) -> Self {
        Self { network, address: Vec::new(), security_groups: None, port_security: None }
    }
}

part! {
    /// A volume to boot from.
    BootVolume {
        /// Size.
        #[schemars(with = "Size")]
        size: Size,
        /// Type; the cloud's default if absent.
        #[serde(default, rename = "type")]
        volume_type: Option<String>,
    }
}

part! {
    /// An address outside.
    FloatingIp {
        /// Name; the server's if absent.
        #[serde(default)]
        name: Option<String>,
        /// The external network; the only one that fits if absent.
        #[serde(default)]
        external: Option<String>,
        /// The server it leads to.
        #[serde(default)]
        server: Option<String>,
        /// On which of its networks; the first if absent.
        #[serde(default)]
        network: Option<String>,
    }
}

/// The JSON Schema of manifests, for editors.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Manifest).to_value();
    schema["title"] = "Yard".into();
    schema["$id"] = "https://stackyard.dev/schema/yard.schema.json".into();
    schema["properties"]["apiVersion"] = serde_json::json!({"const": API_VERSION});
    schema["properties"]["kind"] = serde_json::json!({"const": KIND});
    schema
}
