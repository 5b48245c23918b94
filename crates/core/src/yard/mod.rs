//! Yards: what a user declares in one manifest and what becomes of it.
//!
//! ```text
//! yard.yaml ──> Manifest ── intend ──> Intended ─┐
//!                                                ├─ plan ──> Plan ──> a graph of steps
//! the cloud ──── observe (crate server) ── Observed ─┘
//! ```
//!
//! A manifest holds words that people write; [`intend`](intend::intend) turns them into single
//! resources with names, dependencies and comparable fields. Nothing is kept about resources
//! beside the cloud itself: each carries its [`Mark`] from the very request that made it, so
//! that to observe is to list. What has no place for a mark is found by what it belongs to: a
//! router's foot by its router, a rule by its group, an attachment by its volume.

pub mod intend;
pub mod manifest;
pub mod observed;
pub mod picture;
pub mod plan;
mod scope;
mod short;
pub mod words;

pub use scope::Scope;

#[cfg(test)]
mod tests;

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Key of a [`Mark`] in metadata of Nova and Cinder.
pub const MARK_METADATA: &str = "stackyard";

/// Key of a host's pool in the metadata of its Nova server.
pub const POOL_METADATA: &str = "stackyard.pool";

/// Kinds of resources, in an order in which each comes after those that it may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ResourceKind)]
pub enum Kind {
    /// Neutron network.
    Network,
    /// Neutron subnet, `network/name`.
    Subnet,
    /// Neutron router.
    Router,
    /// A router's foot in a subnet, `router:network/name`.
    Interface,
    /// Neutron security group.
    SecurityGroup,
    /// A rule of a group, named by its group and content.
    Rule,
    /// Nova keypair.
    Keypair,
    /// Cinder volume.
    Volume,
    /// Nova server group.
    ServerGroup,
    /// Neutron port of a server, `server/network`.
    Port,
    /// Nova server.
    Server,
    /// A volume's place at a server, `server:volume`.
    Attachment,
    /// Octavia load balancer with all its parts.
    LoadBalancer,
    /// Swift container.
    ObjectContainer,
    /// Neutron floating IP.
    FloatingIp,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Network,
        Self::Subnet,
        Self::Router,
        Self::Interface,
        Self::SecurityGroup,
        Self::Rule,
        Self::Keypair,
        Self::Volume,
        Self::ServerGroup,
        Self::Port,
        Self::Server,
        Self::Attachment,
        Self::LoadBalancer,
        Self::ObjectContainer,
        Self::FloatingIp,
    ];

    /// For people, as `security group`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Subnet => "subnet",
            Self::Router => "router",
            Self::Interface => "router interface",
            Self::SecurityGroup => "security group",
            Self::Rule => "rule",
            Self::Keypair => "keypair",
            Self::Volume => "volume",
            Self::ServerGroup => "server group",
            Self::Port => "port",
            Self::Server => "server",
            Self::Attachment => "attachment",
            Self::LoadBalancer => "load balancer",
            Self::ObjectContainer => "object container",
            Self::FloatingIp => "floating IP",
        }
    }

    /// Whether resources of this kind carry a mark; others are found by what they belong to.
    pub fn has_mark(self) -> bool {
        !matches!(self, Self::Interface | Self::Rule | Self::Attachment)
    }

    /// Whether the mark is in the name, where it cannot be written again; see [`Mark::as_name`].
    pub fn has_mark_in_name(self) -> bool {
        matches!(self, Self::Keypair | Self::ServerGroup | Self::ObjectContainer)
    }

    /// In marks.
    pub fn word(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::SecurityGroup => "security-group",
            Self::ServerGroup => "server-group",
            Self::LoadBalancer => "load-balancer",
            Self::ObjectContainer => "object-container",
            Self::FloatingIp => "floating-ip",
            other => other.noun(),
        }
    }
}

/// Which resource of a yard: unique within it, and the same for as long as it is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
#[schema(as = ResourceKey)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its name within the kind.
    pub name: String,
}

impl Key {
    /// A key.
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.noun(), self.name)
    }
}

/// What a resource carries so that its yard finds it again.
///
/// Older versions wrote marks without a scope. Such a mark belongs to the yard of its name in the project
/// that has the resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Mark {
    /// The yard.
    pub yard: String,
    /// Project and region of the yard; none in marks of older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// Which of its resources.
    pub key: Key,
}

impl Mark {
    /// A mark.
    pub fn new(yard: &str, scope: &Scope, key: &Key) -> Self {
        Self { yard: yard.to_owned(), scope: Some(scope.clone()), key: key.clone() }
    }

    /// Reads the mark in metadata of Nova or Cinder.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Option<Self> {
        Self::parse(metadata.get(MARK_METADATA)?)
    }

    /// Reads `stackyard:<yard>@<scope>/<kind>/<name>`, and `stackyard:<yard>/<kind>/<name>` of older versions.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, rest) = text.strip_prefix("stackyard:")?.split_once('/')?;
        let (yard, scope) = match owner.split_once('@') {
            Some((yard, scope)) => (yard, Some(Scope::parse(scope)?)),
            None => (owner, None),
        };
        let (kind, name) = rest.split_once('/')?;
        let kind = Kind::ALL.into_iter().find(|k| k.word() == kind)?;
        let there = !yard.is_empty() && !name.is_empty();
        there.then(|| Self { yard: yard.to_owned(), scope, key: Key::new(kind, name) })
    }

    /// The mark as a name, for what has nothing but a name, or shows nothing else when it is
    /// listed (keypairs, server groups, object containers):
    /// `stackyard_<yard>__<scope>_<name>`. Names of yards have no underscore, and those of resources begin
    /// with none, so that this is no name of an older version: `stackyard_<yard>_<name>`.
    pub fn as_name(&self) -> String {
        let Self { yard, scope, key } = self;
        match scope {
            Some(scope) => format!("stackyard_{yard}__{scope}_{}", key.name),
            None => format!("stackyard_{yard}_{}", key.name),
        }
    }

    /// Reads such a name.
    pub fn parse_name(kind: Kind, text: &str) -> Option<Self> {
        let (yard, name) = text.strip_prefix("stackyard_")?.split_once('_')?;
        let (scope, name) = match name.strip_prefix('_') {
            Some(rest) => {
                let (scope, name) = rest.split_once('_')?;
                (Some(Scope::parse(scope)?), name)
            }
            None => (None, name),
        };
        let there = !yard.is_empty() && !name.is_empty();
        there.then(|| Self { yard: yard.to_owned(), scope, key: Key::new(kind, name) })
    }

    /// Whether this may mark something of the project and region `scope`: it names that one, or is of an
    /// older version. The caller sees to it that the project has the resource.
    pub fn is_in(&self, scope: &Scope) -> bool {
        self.scope.as_ref().is_none_or(|own| own == scope)
    }

    /// Whether this marks the resource `key` of yard `yard` in `scope`; see [`Self::is_in`].
    pub fn is_of(&self, yard: &str, scope: &Scope, key: &Key) -> bool {
        self.yard == yard && self.key == *key && self.is_in(scope)
    }

    /// The yard as marks name it: `shop@1f0c8ab2d91e`, or `shop` in marks of older versions.
    pub fn owner(&self) -> String {
        match &self.scope {
            Some(scope) => scope.owner(&self.yard),
            None => self.yard.clone(),
        }
    }

    /// The same mark as older versions wrote it.
    #[must_use]
    pub fn older(&self) -> Self {
        Self { scope: None, ..self.clone() }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stackyard:{}/{}/{}", self.owner(), self.key.kind.word(), self.key.name)
    }
}
