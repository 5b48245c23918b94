//! From a manifest to single resources with their dependencies and comparable fields.

mod floating_ip;
mod host;
mod load_balancer;
mod network;
mod object_container;
mod rule;
mod server;
mod stack_network;

use super::manifest::{self, Ipv6Mode, Manifest};
use super::observed::Fields;
use super::words::{PortRange, Size, is_resource_name, is_yard_name};
use super::{Key, Kind, Mark, Scope};
use crate::stack::StackNetwork;
pub use floating_ip::floating_target;
pub use host::{HostDisk, HostJoin, HostSpec, Pool};
pub use load_balancer::{
    HealthSpec, ListenerSpec, LoadBalancerSpec, MemberSpec, algorithm_label, health_label, listener_label, member_label,
};
pub use rule::{protocol, remote_prefix, rule_key};
pub use server::{digest, key_of};

use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// Longest mark, in bytes: Nova's metadata, Neutron's `description` and names hold 255 characters.
const MARK_MAX: usize = 255;

/// What there should be.
#[derive(Debug, Clone, Default)]
pub struct Intended {
    /// Name of the yard.
    pub yard: String,
    /// Name of its cloud, if the manifest says.
    pub cloud: Option<String>,
    /// The resources, each after those that it needs.
    pub resources: Vec<Resource>,
    /// Pools of container hosts.
    pub pools: Vec<Pool>,
    /// The yard's network for stacks.
    pub stack_network: StackNetwork,
}

/// One resource.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Which one.
    pub key: Key,
    /// What it takes to make it.
    pub spec: Spec,
    /// What of it can be compared; what the manifest leaves to the cloud is not in it.
    pub fields: Fields,
    /// What must be there before.
    pub needs: Vec<Need>,
}

/// What a resource needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The other resource.
    pub key: Key,
    /// Whether the other's id goes into this one when it is made, so that it has to be made anew
    /// with it.
    pub baked: bool,
}

/// Another resource: of the yard, or of the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ref {
    /// One of the yard.
    Own(Key),
    /// Name or id of one that is not.
    Cloud(Kind, String),
}

impl Ref {
    /// As the manifest has it.
    pub fn text(&self) -> &str {
        match self {
            Self::Own(key) => &key.name,
            Self::Cloud(_, text) => text,
        }
    }
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Everybody.
    Any,
    /// Addresses.
    Net(IpNet),
    /// Members of a security group.
    Group(Ref),
}

/// What it takes to make a resource.
#[derive(Debug, Clone)]
pub enum Spec {
    /// Network.
    Network {
        /// Greatest packet, in bytes.
        mtu: Option<u32>,
        /// Port security.
        port_security: Option<bool>,
    },
    /// Subnet.
    Subnet {
        /// Its network.
        network: Key,
        /// Name in the cloud.
        name: String,
        /// Addresses.
        cidr: IpNet,
        /// Gateway, if not the first address.
        gateway: Option<IpAddr>,
        /// DHCP, if said.
        dhcp: Option<bool>,
        /// Name servers.
        dns: Vec<IpAddr>,
        /// First and last addresses of pools.
        pools: Vec<(IpAddr, IpAddr)>,
        /// For IPv6.
        ipv6_mode: Option<Ipv6Mode>,
    },
    /// Router.
    Router {
        /// External network's name or id.
        external: Option<String>,
    },
    /// A router's foot.
    Interface {
        /// The router.
        router: Ref,
        /// The subnet.
        subnet: Key,
    },
    /// Security group.
    SecurityGroup,
    /// Rule.
    Rule {
        /// Its group.
        group: Key,
        /// Whether it is for what comes in.
        ingress: bool,
        /// IPv6 or IPv4.
        ipv6: bool,
        /// Protocol by its name here (see [`protocol`]); all if absent.
        proto: Option<String>,
        /// Ports.
        port: Option<PortRange>,
        /// The other side.
        peer: Peer,
    },
    /// Keypair.
    Keypair {
        /// The key.
        public_key: String,
    },
    /// Keypair of a pool that joins by SSH; the private half is in the server's store.
    PoolKeypair {
        /// The pool.
        pool: String,
    },
    /// Volume.
    Volume {
        /// Name in the cloud.
        name: String,
        /// Size.
        size: Size,
        /// Type.
        volume_type: Option<String>,
        /// Image's name or id.
        image: Option<String>,
        /// Availability zone.
        availability_zone: Option<String>,
        /// Whether a server boots from it.
        bootable: bool,
    },
    /// Server group.
    ServerGroup {
        /// Nova's word.
        policy: &'static str,
    },
    /// Port.
    Port {
        /// Name in the cloud.
        name: String,
        /// Its network.
        network: Ref,
        /// Fixed addresses.
        addresses: Vec<IpAddr>,
        /// Security groups, if said.
        groups: Option<Vec<Ref>>,
        /// Port security, if said.
        port_security: Option<bool>,
    },
    /// Server.
    Server(Box<ServerSpec>),
    /// A volume's place at a server.
    Attachment {
        /// The server.
        server: Key,
        /// The volume.
        volume: Ref,
    },
    /// Load balancer.
    LoadBalancer(Box<LoadBalancerSpec>),
    /// Object container.
    ObjectContainer {
        /// Whether everybody may read it, if said.
        public: Option<bool>,
        /// Metadata of the user's own, in lower case.
        metadata: BTreeMap<String, String>,
        /// Whether its objects may go with it.
        purge: bool,
    },
    /// Floating IP.
    FloatingIp {
        /// External network's name or id, if said.
        external: Option<String>,
        /// The port or load balancer it leads to.
        to: Option<Key>,
    },
}

/// What it takes to make a server.
#[derive(Debug, Clone)]
pub struct ServerSpec {
    /// Flavor's name or id.
    pub flavor: String,
    /// Image's name or id.
    pub image: Option<String>,
    /// Ports, in order.
    pub ports: Vec<Key>,
    /// Keypair.
    pub key: Option<Ref>,
    /// User data.
    pub user_data: Option<String>,
    /// Metadata of the user's own.
    pub metadata: BTreeMap<String, String>,
    /// Tags of the user's own.
    pub tags: Vec<String>,
    /// Availability zone, as said.
    pub availability_zone: Option<String>,
    /// Config drive, if said.
    pub config_drive: Option<bool>,
    /// Volume to boot from.
    pub boot: Option<Key>,
    /// Server group.
    pub group: Option<Ref>,
    /// What stands for the user data, ours included, in comparisons; it covers what the manifest
    /// says, and nothing that differs from boot to boot.
    pub digest: String,
    /// What makes it a container host, if it is one.
    pub host: Option<HostSpec>,
}

/// A mistake in a manifest that its form does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Where, as `spec.servers[1].network`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Turns a manifest into resources.
///
/// # Errors
/// Every [`Trouble`] that is found: names that come twice or cannot be, references that cannot
/// be meant, addresses outside of their network.
pub fn intend(manifest: &Manifest) -> Result<Intended, Vec<Trouble>> {
    let mut made = Maker {
        yard: &manifest.metadata.name,
        spec: &manifest.spec,
        resources: Vec::new(),
        pools: Vec::new(),
        index: HashMap::new(),
        troubles: Vec::new(),
    };
    made.words(manifest);
    made.networks();
    made.routers();
    made.security_groups();
    made.keypairs();
    made.volumes();
    made.server_groups();
    made.servers();
    made.hosts();
    made.load_balancers();
    made.object_containers();
    made.floating_ips();
    let stack_network = made.stack_network();
    if !made.troubles.is_empty() {
        return Err(made.troubles);
    }
    let mut resources = made.resources;
    resources.sort_by_key(|r| r.key.kind);
    Ok(Intended {
        yard: manifest.metadata.name.clone(),
        cloud: manifest.spec.cloud.clone(),
        resources,
        pools: made.pools,
        stack_network,
    })
}

impl Intended {
    /// Kinds of its resources, and of those outside of the yard that it refers to.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        let mut kinds: BTreeSet<Kind> = self.resources.iter().map(|r| r.key.kind).collect();
        let servers = self.resources.iter().filter_map(|r| if let Spec::Server(s) = &r.spec { Some(s) } else { None });
        for server in servers {
            kinds.extend(server.key.iter().map(|_| Kind::Keypair));
            kinds.extend(server.group.iter().map(|_| Kind::ServerGroup));
        }
        kinds
    }

    /// The resource with this key.
    pub fn get(&self, key: &Key) -> Option<&Resource> {
        self.resources.iter().find(|r| r.key == *key)
    }
}

/// Works on one manifest.
struct Maker<'m> {
    yard: &'m str,
    spec: &'m manifest::Spec,
    resources: Vec<Resource>,
    pools: Vec<Pool>,
    /// Where a key stands in `resources`.
    index: HashMap<Key, usize>,
    troubles: Vec<Trouble>,
}

impl Maker<'_> {
    fn trouble(&mut self, path: impl Into<String>, message: impl Into<String>, hint: Option<&str>) {
        self.troubles.push(Trouble { path: path.into(), message: message.into(), hint: hint.map(str::to_owned) });
    }

    fn words(&mut self, manifest: &Manifest) {
        if manifest.api_version != manifest::API_VERSION {
            let message = format!("`{}` is not known; this is `{}`", manifest.api_version, manifest::API_VERSION);
            self.trouble("apiVersion", message, None);
        }
        if manifest.kind != manifest::KIND {
            self.trouble("kind", format!("`{}` is not `{}`", manifest.kind, manifest::KIND), None);
        }
        if !is_yard_name(&manifest.metadata.name) {
            let message = format!("`{}` cannot name a yard", manifest.metadata.name);
            self.trouble("metadata.name", message, Some("use up to 40 lower case letters, digits and dashes"));
        }
    }

    /// Adds a resource; a second one with its key is a mistake at `path`.
    fn add(&mut self, path: &str, key: Key, spec: Spec, fields: Fields, needs: Vec<Need>) {
        if self.index.contains_key(&key) {
            self.trouble(path, format!("there are two of `{}`", key), Some("names are unique within their kind"));
            return;
        }
        let mark = Mark::new(self.yard, &Scope::of("", ""), &key);
        if key.kind.has_mark() && mark.to_string().len().max(mark.as_name().len()) > MARK_MAX {
            let hint = Some("shorten the names of the yard and of the resources that it is made of");
            self.trouble(path, format!("`{key}` has too long a name: its mark has more than {MARK_MAX} bytes"), hint);
        }
        self.index.insert(key.clone(), self.resources.len());
        self.resources.push(Resource { key, spec, fields, needs });
    }

    /// Checks a name that the user gave.
    fn name(&mut self, path: &str, name: &str) {
        if !is_resource_name(name) {
            let hint = "use letters, digits, `.`, `_` and `-`, a letter or digit first, 100 at most";
            self.trouble(format!("{path}.name"), format!("`{name}` cannot be a name"), Some(hint));
        }
    }

    fn has(&self, key: &Key) -> bool {
        self.index.contains_key(key)
    }

    /// One of the yard, if it has one of that name, else one of the cloud.
    fn refer(&self, kind: Kind, text: &str) -> Ref {
        let key = Key::new(kind, text);
        if self.has(&key) { Ref::Own(key) } else { Ref::Cloud(kind, text.to_owned()) }
    }
}

impl Need {
    fn baked(key: Key) -> Self {
        Self { key, baked: true }
    }

    fn before(key: Key) -> Self {
        Self { key, baked: false }
    }

    /// The need of something referred to, if it is the yard's.
    fn of(other: &Ref, baked: bool) -> Option<Self> {
        match other {
            Ref::Own(key) => Some(Self { key: key.clone(), baked }),
            Ref::Cloud(..) => None,
        }
    }
}
