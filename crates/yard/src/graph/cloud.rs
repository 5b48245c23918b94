//! What a cloud has of a yard.

use super::{GraphBuilder, GraphEdgeKind as Joint};
use crate::inventory::Inventory;
use stackyard_api::{GraphKind, GraphNode, Health};
use stackyard_core::yard::intend::{Intended, Ref, Spec};
use stackyard_core::yard::observed::{Observed, Seen, State, Value};
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{Port, Resource, Server};
use std::collections::HashMap;

/// Adds what the cloud has of the yard, and what the manifest says that it should have.
pub(super) fn add<'a>(made: &mut GraphBuilder<'a>, yard: &str, inventory: &'a Inventory) {
    let intended = made.input.intended;
    let observed = inventory.observe(yard, intended);
    // Of doubles there is one.
    let mut kept: HashMap<&Key, &Seen> = HashMap::new();
    for seen in &observed.resources {
        let double = kept
            .insert(&seen.key, seen)
            .and_then(|_| observed.get(&seen.key));
        kept.extend(double.map(|stays| (&seen.key, stays)));
    }
    let mut all: Vec<&Seen> = kept.into_values().collect();
    all.sort_by(|a, b| (kind(a.key.kind), &a.key.name).cmp(&(kind(b.key.kind), &b.key.name)));
    let ids = all.iter().map(|s| (s.id.as_str(), id_of(&s.key))).collect();
    let mut look = CloudGraph {
        made,
        inventory,
        observed: &observed,
        ids,
    };
    all.iter().for_each(|seen| look.node(seen));
    look.edges();
    if let Some(intended) = intended {
        look.hosts(intended);
        look.missing(intended);
    }
}

/// What a resource is drawn as; what is part of others is not drawn.
fn kind(of: Kind) -> Option<GraphKind> {
    Some(match of {
        Kind::Network => GraphKind::Network,
        Kind::Subnet => GraphKind::Subnet,
        Kind::Router => GraphKind::Router,
        Kind::FloatingIp => GraphKind::FloatingIp,
        Kind::LoadBalancer => GraphKind::LoadBalancer,
        Kind::Server => GraphKind::Server,
        Kind::Volume => GraphKind::Volume,
        Kind::SecurityGroup => GraphKind::SecurityGroup,
        Kind::ServerGroup => GraphKind::ServerGroup,
        Kind::Keypair => GraphKind::Keypair,
        Kind::ObjectContainer => GraphKind::ObjectContainer,
        Kind::Interface | Kind::Rule | Kind::Port | Kind::Attachment => return None,
    })
}

/// Id of a resource's node.
fn id_of(key: &Key) -> String {
    format!("{}/{}", key.kind.word(), key.name)
}

/// What comes before the slash: a subnet's network, a port's server.
fn owner(key: &Key) -> &str {
    key.name.split('/').next().unwrap_or_default()
}

fn find<'a, T: Resource>(all: &'a [T], id: &str) -> Option<&'a T> {
    all.iter().find(|one| one.id() == id)
}

struct CloudGraph<'m, 'a> {
    made: &'m mut GraphBuilder<'a>,
    inventory: &'a Inventory,
    observed: &'m Observed,
    /// Ids of nodes by ids of the cloud.
    ids: HashMap<&'m str, String>,
}

impl CloudGraph<'_, '_> {
    fn node(&mut self, seen: &Seen) {
        let Some(kind) = kind(seen.key.kind) else {
            return;
        };
        let (health, reason) = match &seen.state {
            State::Ready | State::Elsewhere => (Health::Ready, None),
            State::Pending(word) => (Health::Progressing, Some(word.clone())),
            State::Stopped(word) => (Health::Degraded, Some(word.clone())),
            State::SetApart => (Health::Draining, None),
            State::Marked(why) => (Health::Ready, Some(why.clone())),
            State::Broken(why) => (Health::Failed, Some(why.clone())),
        };
        let mut node = GraphNode::new(id_of(&seen.key), kind, &seen.key.name, health);
        node.reason = reason;
        node.set_detail("id", &seen.id);
        let all = self.inventory;
        match kind {
            GraphKind::Network => {
                let found = find(&all.networks, &seen.id);
                node.set_detail(
                    "mtu",
                    found
                        .and_then(|n| n.mtu)
                        .map(|mtu| mtu.to_string())
                        .unwrap_or_default(),
                );
                node.set_detail("cidr", cidrs(all, &seen.id));
            }
            GraphKind::Subnet => {
                node.parent = Some(id_of(&Key::new(Kind::Network, owner(&seen.key))));
                tell(&mut node, seen, &["cidr", "gateway", "dns", "pools"]);
            }
            GraphKind::FloatingIp => {
                let found = find(&all.floating_ips, &seen.id);
                node.set_detail(
                    "address",
                    found.map(|f| f.address.as_str()).unwrap_or_default(),
                );
                node.set_detail(
                    "inside",
                    found
                        .and_then(|f| f.fixed_ip_address.as_deref())
                        .unwrap_or_default(),
                );
                if found.is_some_and(|f| f.status == "ERROR") {
                    (node.health, node.reason) =
                        (Health::Failed, Some("it is in state ERROR".to_owned()));
                }
            }
            GraphKind::LoadBalancer => {
                tell(&mut node, seen, &["address", "provider", "listeners"]);
                let found = all
                    .balancing
                    .there()
                    .and_then(|b| b.balancers.iter().find(|b| b.id == seen.id));
                let status = found
                    .map(|b| b.operating_status.as_str())
                    .unwrap_or_default();
                node.set_detail("status", status);
                if node.health == Health::Ready && matches!(status, "ERROR" | "DEGRADED") {
                    (node.health, node.reason) =
                        (Health::Degraded, Some(format!("it is {status}")));
                }
            }
            GraphKind::Server => {
                tell(
                    &mut node,
                    seen,
                    &[
                        "flavor",
                        "image",
                        "availability zone",
                        "boot volume",
                        "data volume",
                        "tags",
                    ],
                );
                if let Some(server) = find(&all.servers, &seen.id) {
                    node.set_detail("status", &server.status);
                    node.set_detail("addresses", addresses(all, server));
                    node.set_detail("created", &server.created);
                }
            }
            GraphKind::Volume => {
                tell(
                    &mut node,
                    seen,
                    &["size", "type", "image", "availability zone"],
                );
                node.set_detail(
                    "status",
                    find(&all.volumes, &seen.id)
                        .map(|v| v.status.as_str())
                        .unwrap_or_default(),
                );
            }
            GraphKind::SecurityGroup => {
                // Named `web: tcp 80 from anywhere`.
                let begin = format!("{}: ", seen.key.name);
                let rules = self
                    .observed
                    .resources
                    .iter()
                    .filter(|s| s.key.kind == Kind::Rule);
                let mut rules: Vec<&str> = rules
                    .filter_map(|s| s.key.name.strip_prefix(&begin))
                    .collect();
                rules.sort_unstable();
                node.set_detail("rules", rules.join("; "));
            }
            GraphKind::ServerGroup => tell(&mut node, seen, &["policy"]),
            GraphKind::ObjectContainer => tell(&mut node, seen, &["objects", "public"]),
            _ => {}
        }
        self.made.node(node);
    }

    /// Id of the node of something of the cloud; something that is not the yard's gets one.
    fn other(&mut self, kind: Kind, id: &str) -> Option<String> {
        if let Some(node) = self.ids.get(id) {
            return Some(node.clone());
        }
        let (name, mtu, cidr) = match kind {
            Kind::Network => {
                let network = find(&self.inventory.networks, id)?;
                (
                    network.name.as_str(),
                    network.mtu,
                    cidrs(self.inventory, id),
                )
            }
            Kind::Router => (
                find(&self.inventory.routers, id)?.name.as_str(),
                None,
                String::new(),
            ),
            _ => return None,
        };
        let graph_kind = self::kind(kind)?;
        let node_id = format!("outside/{id}");
        let mut node = GraphNode::new(
            &node_id,
            graph_kind,
            if name.is_empty() { id } else { name },
            Health::Ready,
        );
        node.outside = true;
        node.set_detail("id", id);
        node.set_detail("mtu", mtu.map(|mtu| mtu.to_string()).unwrap_or_default());
        node.set_detail("cidr", cidr);
        self.made.node(node);
        Some(node_id)
    }

    fn edges(&mut self) {
        let all = self.inventory;
        for router in &all.routers {
            let Some(from) = self.ids.get(router.id.as_str()).cloned() else {
                continue;
            };
            let outside = router
                .external_gateway_info
                .as_ref()
                .map(|g| g.network_id.as_str());
            if let Some(to) = outside.and_then(|id| self.other(Kind::Network, id)) {
                self.made.join(&from, &to, Joint::Gateway, None);
            }
        }
        for seen in self
            .observed
            .resources
            .iter()
            .filter(|s| s.key.kind == Kind::Interface)
        {
            let Some((router, subnet)) = seen.id.split_once('/') else {
                continue;
            };
            let network = find(&all.subnets, subnet)
                .map(|s| s.network_id.as_str())
                .unwrap_or_default();
            if let (Some(from), Some(to)) = (
                self.other(Kind::Router, router),
                self.other(Kind::Network, network),
            ) {
                self.made.join(&from, &to, Joint::Interface, None);
            }
        }
        // The yard's own networks first: a server stands in the first of its networks.
        let mut ports: Vec<&Port> = all
            .ports
            .iter()
            .filter(|p| !p.device_id.is_empty())
            .collect();
        ports.sort_by_key(|p| {
            (
                !self.ids.contains_key(p.network_id.as_str()),
                &p.created_at,
                &p.id,
            )
        });
        for port in ports {
            let Some(from) = self.ids.get(port.device_id.as_str()).cloned() else {
                continue;
            };
            if !from.starts_with("server/") {
                continue;
            }
            let addresses: Vec<&str> = port
                .fixed_ips
                .iter()
                .filter_map(|f| f.ip_address.as_deref())
                .collect();
            if let Some(to) = self.other(Kind::Network, &port.network_id) {
                self.made
                    .join(&from, &to, Joint::Port, Some(addresses.join(", ")));
            }
            for group in &port.security_groups {
                if let Some(to) = self.ids.get(group.as_str()) {
                    self.made.join(&from, to, Joint::SecurityGroup, None);
                }
            }
        }
        for volume in &all.volumes {
            let Some(to) = self.ids.get(volume.id.as_str()) else {
                continue;
            };
            for at in &volume.attachments {
                if let Some(from) = self.ids.get(at.server_id.as_str()) {
                    self.made.join(from, to, Joint::Attachment, None);
                }
            }
        }
        self.groups_and_keys();
        self.balancers();
        self.floating_ips();
        let mut seen = std::collections::HashSet::new();
        self.made.edges.retain(|e| seen.insert(e.clone()));
    }

    fn groups_and_keys(&mut self) {
        for group in &self.inventory.server_groups {
            let Some(to) = self.ids.get(group.id.as_str()) else {
                continue;
            };
            for from in group
                .members
                .iter()
                .filter_map(|id| self.ids.get(id.as_str()))
            {
                self.made.join(from, to, Joint::ServerGroup, None);
            }
        }
        for server in &self.inventory.servers {
            let key = server
                .key_name
                .as_deref()
                .and_then(|name| self.ids.get(name));
            if let (Some(from), Some(to)) = (self.ids.get(server.id.as_str()), key) {
                self.made.join(from, to, Joint::Keypair, None);
            }
        }
    }

    fn balancers(&mut self) {
        for balancer in self
            .inventory
            .balancing
            .there()
            .into_iter()
            .flat_map(|b| &b.balancers)
        {
            let Some(from) = self.ids.get(balancer.id.as_str()).cloned() else {
                continue;
            };
            if let Some(to) = self.other(Kind::Network, &balancer.vip_network_id) {
                self.made
                    .join(&from, &to, Joint::Vip, Some(balancer.vip_address.clone()));
            }
        }
        // Members as they are observed: `tcp 80: web-1/front:8080`.
        for seen in self
            .observed
            .resources
            .iter()
            .filter(|s| s.key.kind == Kind::LoadBalancer)
        {
            let Some(Value::Set(members)) = seen.fields.get("members") else {
                continue;
            };
            for member in members {
                let port = member.rsplit(": ").next().unwrap_or_default();
                let server = port.split('/').next().unwrap_or_default();
                let to = id_of(&Key::new(Kind::Server, server));
                self.made.join(&id_of(&seen.key), &to, Joint::Member, None);
            }
        }
    }

    fn floating_ips(&mut self) {
        let ports: HashMap<&str, &Port> = self
            .inventory
            .ports
            .iter()
            .map(|p| (p.id.as_str(), p))
            .collect();
        let balancers = self
            .inventory
            .balancing
            .there()
            .into_iter()
            .flat_map(|b| &b.balancers);
        let vips: HashMap<&str, &str> = balancers
            .map(|b| (b.vip_port_id.as_str(), b.id.as_str()))
            .collect();
        for floating in &self.inventory.floating_ips {
            let Some(from) = self.ids.get(floating.id.as_str()).cloned() else {
                continue;
            };
            if let Some(to) = self.other(Kind::Network, &floating.floating_network_id) {
                self.made.join(&from, &to, Joint::External, None);
            }
            let Some(port) = floating.port_id.as_deref() else {
                continue;
            };
            let to = vips
                .get(port)
                .copied()
                .or_else(|| ports.get(port).map(|p| p.device_id.as_str()));
            if let Some(to) = to.and_then(|id| self.ids.get(id)) {
                self.made.join(&from, to, Joint::Leads, None);
            }
        }
    }

    /// Servers of pools are hosts, also before they have joined.
    fn hosts(&mut self, intended: &Intended) {
        for resource in &intended.resources {
            let Spec::Server(spec) = &resource.spec else {
                continue;
            };
            let (Some(host), Some(node)) = (&spec.host, self.made.get_mut(&id_of(&resource.key)))
            else {
                continue;
            };
            node.kind = GraphKind::Host;
            node.set_detail("pool", &host.pool);
            if host.has_agent() && node.health == Health::Ready {
                (node.health, node.reason) = (
                    Health::Progressing,
                    Some("it has not joined yet".to_owned()),
                );
            }
        }
    }

    /// What should be there and is not, with what would join it to the rest.
    fn missing(&mut self, intended: &Intended) {
        for resource in &intended.resources {
            let Some(mut kind) = kind(resource.key.kind) else {
                continue;
            };
            if matches!(&resource.spec, Spec::Server(s) if s.host.is_some()) {
                kind = GraphKind::Host;
            }
            let mut node = GraphNode::new(
                id_of(&resource.key),
                kind,
                &resource.key.name,
                Health::Missing,
            );
            if kind == GraphKind::Subnet {
                node.parent = Some(id_of(&Key::new(Kind::Network, owner(&resource.key))));
            }
            self.made.node(node);
        }
        let own = |r: &Ref| match r {
            Ref::Own(key) => Some(id_of(key)),
            Ref::Cloud(..) => None,
        };
        let server = |port: &Key| id_of(&Key::new(Kind::Server, owner(port)));
        for resource in &intended.resources {
            let key = &resource.key;
            let joint = match &resource.spec {
                Spec::Interface { router, subnet } => own(router).map(|r| {
                    (
                        r,
                        id_of(&Key::new(Kind::Network, owner(subnet))),
                        Joint::Interface,
                    )
                }),
                Spec::Port { network, .. } => own(network).map(|n| (server(key), n, Joint::Port)),
                Spec::Attachment { server, volume } => {
                    own(volume).map(|v| (id_of(server), v, Joint::Attachment))
                }
                Spec::LoadBalancer(of) => own(&of.network).map(|n| (id_of(key), n, Joint::Vip)),
                Spec::FloatingIp { to: Some(to), .. } => {
                    let to = if to.kind == Kind::Port {
                        server(to)
                    } else {
                        id_of(to)
                    };
                    Some((id_of(key), to, Joint::Leads))
                }
                _ => None,
            };
            let Some((from, to, kind)) = joint else {
                continue;
            };
            let gone = [&from, &to].into_iter().any(|id| {
                self.made
                    .get_mut(id)
                    .is_some_and(|n| n.health == Health::Missing)
            });
            if gone {
                self.made.join(&from, &to, kind, None);
            }
        }
    }
}

/// Tells fields of a resource under their names, with underscores for spaces.
fn tell(node: &mut GraphNode, seen: &Seen, names: &[&'static str]) {
    for name in names {
        let value = seen
            .fields
            .get(name)
            .filter(|v| !matches!(v, Value::Text(t) if t.is_empty()));
        let value = value.filter(|v| !matches!(v, Value::Set(items) if items.is_empty()));
        node.set_detail(
            &name.replace(' ', "_"),
            value.map(ToString::to_string).unwrap_or_default(),
        );
    }
}

fn cidrs(all: &Inventory, network: &str) -> String {
    let of = all.subnets.iter().filter(|s| s.network_id == network);
    of.map(|s| s.cidr.as_str()).collect::<Vec<_>>().join(", ")
}

/// A server's addresses, each once: those of its ports, then what Nova knows beside, as floating ones.
fn addresses(all: &Inventory, server: &Server) -> String {
    let ports = all.ports.iter().filter(|p| p.device_id == server.id);
    let fixed = ports
        .flat_map(|p| &p.fixed_ips)
        .filter_map(|f| f.ip_address.as_deref());
    let mut told: Vec<&str> = Vec::new();
    for address in fixed.chain(server.addresses.values().flatten().map(|a| a.addr.as_str())) {
        if !told.contains(&address) {
            told.push(address);
        }
    }
    told.join(", ")
}
