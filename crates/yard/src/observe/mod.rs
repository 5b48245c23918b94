//! From what a project has to what a yard has, in the words of `core::yard`.

mod asked;
mod compute;
mod load_balancer;
mod network;
mod object_container;

pub(crate) use asked::{ASKED, CONFIG_DRIVE, FLAVOR, IMAGE, TYPE, USER_DATA, ZONE, record};
pub(crate) use load_balancer::health;
pub(crate) use network::rule_seen;
pub(crate) use object_container::{CONTAINER_MARK, PUBLIC, PURGE};

use crate::container_volume;
use crate::inventory::{Inventory, MarkedResource, key_in};
use jiff::SignedDuration;
use stackyard_core::yard::intend::{Intended, Peer, Ref, Spec, key_of};
use stackyard_core::yard::observed::{Fields, OLDER_MARK, Observed, Seen, State, Value};
use stackyard_core::yard::{Key, Kind, Mark};
use stackyard_openstack::{Port, Volume};
use stackyard_ports::{is_containers, whose};
use std::collections::{HashMap, HashSet};

/// How long after the first one a request whose answer got lost may make a double.
const DOUBLE: SignedDuration = SignedDuration::from_hours(1);

impl Inventory {
    /// What the project has of a yard. With `intended`, names that a manifest uses for what is
    /// outside of the yard are recognised; without, everything that belongs to the yard is seen.
    pub fn observe(&self, yard: &str, intended: Option<&Intended>) -> Observed {
        let owned = self.owned();
        let mut keys: HashMap<&str, &Key> = key_in(&owned, yard).collect();
        if intended.is_some() {
            // Ports of containers, their floating IPs and security groups come and go with these, whatever the manifest says.
            // Volumes of stacks stay until a user removes them.
            for port in self.ports.iter().filter(|p| whose(p).is_some()) {
                keys.remove(port.id.as_str());
            }
            for ip in self
                .floating_ips
                .iter()
                .filter(|ip| is_containers(&ip.description))
            {
                keys.remove(ip.id.as_str());
            }
            for group in self
                .security_groups
                .iter()
                .filter(|g| is_containers(&g.description))
            {
                keys.remove(group.id.as_str());
            }
            let is_stacks = |v: &&Volume| container_volume::whose(v).is_some();
            for volume in self.volumes.iter().filter(is_stacks) {
                keys.remove(volume.id.as_str());
            }
        }
        let said = intended.map(|i| self.said(i)).unwrap_or_default();
        let wanted = intended
            .map(|i| i.resources.iter().map(|r| (&r.key, &r.fields)).collect())
            .unwrap_or_default();
        let mut bound: HashMap<&str, Vec<&Port>> = HashMap::new();
        for port in self.ports.iter().filter(|p| !p.device_id.is_empty()) {
            bound.entry(&port.device_id).or_default().push(port);
        }
        let mut parts: HashMap<&str, Vec<&Key>> = HashMap::new();
        for key in keys
            .values()
            .filter(|k| matches!(k.kind, Kind::Port | Kind::Volume))
        {
            if let Some((server, _)) = key.name.split_once('/') {
                parts.entry(server).or_default().push(key);
            }
        }
        let is_older =
            |o: &&MarkedResource| o.mark.scope.is_none() && !o.mark.key.kind.has_mark_in_name();
        let older = owned
            .iter()
            .filter(is_older)
            .map(|o| o.id.as_str())
            .collect();
        let looker = Observer {
            all: self,
            yard,
            keys,
            older,
            said,
            wanted,
            everything: intended.is_none(),
            bound,
            parts,
        };
        let mut observed = looker.look(&owned);
        if let Some(intended) = intended {
            self.keypairs_elsewhere(intended, &mut observed);
        }
        observed
    }

    /// Adds keypairs that servers of the yard have and this user has not: they are another user's of the project.
    fn keypairs_elsewhere(&self, intended: &Intended, observed: &mut Observed) {
        for resource in intended
            .resources
            .iter()
            .filter(|r| r.key.kind == Kind::Keypair)
        {
            let is_it = |name: &str| {
                Mark::parse_name(Kind::Keypair, name)
                    .is_some_and(|m| m.is_of(&intended.yard, &self.scope, &resource.key))
            };
            let name = self
                .servers_of(&intended.yard)
                .filter_map(|s| s.key_name.as_deref())
                .find(|name| is_it(name));
            let Some(name) = name.filter(|_| observed.get(&resource.key).is_none()) else {
                continue;
            };
            observed.resources.push(Seen {
                key: resource.key.clone(),
                id: name.to_owned(),
                created: String::new(),
                held: false,
                state: State::Elsewhere,
                fields: resource.fields.clone(),
                uses: Vec::new(),
            });
        }
    }

    /// What a manifest calls resources outside of its yard, by kind and id.
    fn said(&self, intended: &Intended) -> HashMap<(Kind, String), String> {
        let mut said = HashMap::new();
        let mut note = |r: &Ref| {
            if let Ref::Cloud(kind, text) = r
                && let Ok(id) = self.resolve(*kind, text)
            {
                said.insert((*kind, id), text.clone());
            }
        };
        let mut externals = Vec::new();
        for resource in &intended.resources {
            match &resource.spec {
                Spec::Interface { router, .. } => note(router),
                Spec::Rule {
                    peer: Peer::Group(group),
                    ..
                } => note(group),
                Spec::Port {
                    network, groups, ..
                } => {
                    note(network);
                    groups.iter().flatten().for_each(&mut note);
                }
                Spec::Server(server) => [&server.key, &server.group]
                    .into_iter()
                    .flatten()
                    .for_each(&mut note),
                Spec::Attachment { volume, .. } => note(volume),
                Spec::LoadBalancer(balancer) => {
                    note(&balancer.network);
                    balancer.subnet.iter().for_each(&mut note);
                }
                Spec::Router {
                    external: Some(text),
                }
                | Spec::FloatingIp {
                    external: Some(text),
                    ..
                } => {
                    externals.push(text);
                }
                _ => {}
            }
        }
        for text in externals {
            if let Ok(id) = self.external(Some(text)) {
                said.insert((Kind::Network, id), text.clone());
            }
        }
        said
    }
}

struct Observer<'a> {
    all: &'a Inventory,
    yard: &'a str,
    /// The yard's own, by id.
    keys: HashMap<&'a str, &'a Key>,
    /// Ids of those whose mark is of an older version, and can be written again.
    older: HashSet<&'a str>,
    said: HashMap<(Kind, String), String>,
    wanted: HashMap<&'a Key, &'a Fields>,
    everything: bool,
    /// Ports by the id of what holds them.
    bound: HashMap<&'a str, Vec<&'a Port>>,
    /// The yard's ports and volumes by the name of the server that they are made for.
    parts: HashMap<&'a str, Vec<&'a Key>>,
}

impl<'a> Observer<'a> {
    fn look(&self, owned: &'a [MarkedResource]) -> Observed {
        let mut resources = Vec::new();
        let used_networks: HashSet<&str> = self
            .all
            .subnets
            .iter()
            .map(|s| s.network_id.as_str())
            .collect();
        for n in self.all.networks.iter() {
            let mut fields = Fields::new();
            fields.extend(n.mtu.map(|mtu| ("mtu", mtu.into())));
            fields.extend(
                n.port_security_enabled
                    .map(|on| ("port security", on.into())),
            );
            let held = used_networks.contains(n.id.as_str());
            resources.extend(self.seen(
                &n.id,
                &n.created_at,
                held,
                State::Ready,
                fields,
                Vec::new(),
            ));
        }
        let ported: HashSet<&str> = self
            .all
            .ports
            .iter()
            .flat_map(|p| &p.fixed_ips)
            .map(|f| f.subnet_id.as_str())
            .collect();
        for s in &self.all.subnets {
            let mut fields = Fields::from([
                ("cidr", (&s.cidr).into()),
                ("gateway", s.gateway_ip.clone().unwrap_or_default().into()),
                ("dhcp", s.enable_dhcp.into()),
                ("dns", s.dns_nameservers.join(", ").into()),
                (
                    "pools",
                    Value::set(
                        s.allocation_pools
                            .iter()
                            .map(|p| format!("{}-{}", p.start, p.end)),
                    ),
                ),
            ]);
            fields.extend(
                s.ipv6_address_mode
                    .as_ref()
                    .map(|m| ("ipv6 mode", m.into())),
            );
            let uses = self.own(&[&s.network_id]);
            let held = ported.contains(s.id.as_str());
            resources.extend(self.seen(&s.id, &s.created_at, held, State::Ready, fields, uses));
        }
        let routing: HashSet<&str> = self.feet().map(|(p, _)| p.device_id.as_str()).collect();
        for r in &self.all.routers {
            let external = r
                .external_gateway_info
                .as_ref()
                .map(|g| self.text(Kind::Network, &g.network_id));
            let fields = Fields::from([("external", external.unwrap_or_default().into())]);
            let held = routing.contains(r.id.as_str());
            resources.extend(self.seen(
                &r.id,
                &r.created_at,
                held,
                State::Ready,
                fields,
                Vec::new(),
            ));
        }
        self.interfaces(&mut resources);
        self.groups(&mut resources);
        for k in &self.all.keypairs {
            let fields = Fields::from([("public key", key_of(&k.public_key).into())]);
            resources.extend(self.seen(&k.name, "", false, State::Ready, fields, Vec::new()));
        }
        for g in &self.all.server_groups {
            let fields = Fields::from([("policy", g.policy().into())]);
            resources.extend(self.seen(
                &g.id,
                "",
                !g.members.is_empty(),
                State::Ready,
                fields,
                Vec::new(),
            ));
        }
        self.volumes(&mut resources);
        self.ports(&mut resources);
        // Nova tells a server's group only of single servers, but a group's servers always.
        let groups = self.all.server_groups.iter();
        let groups: HashMap<&str, &str> = groups
            .flat_map(|g| g.members.iter().map(|m| (m.as_str(), g.id.as_str())))
            .collect();
        for s in &self.all.servers {
            resources.extend(self.server(s, groups.get(s.id.as_str()).copied()));
        }
        self.load_balancers(&mut resources);
        self.object_containers(&mut resources);
        self.floating_ips(&mut resources);
        debug_assert!(owned.len() >= self.keys.len());
        Observed {
            resources,
            owner: self.all.scope.owner(self.yard),
        }
    }

    /// A resource of the yard, if it is one.
    fn seen(
        &self,
        id: &str,
        created: &str,
        held: bool,
        state: State,
        fields: Fields,
        uses: Vec<Key>,
    ) -> Option<Seen> {
        let key = (*self.keys.get(id)?).clone();
        let mut fields = fields;
        if self.older.contains(id) {
            fields.insert(OLDER_MARK, self.yard.into());
        }
        Some(Seen {
            key,
            id: id.to_owned(),
            created: created.to_owned(),
            held,
            state,
            fields,
            uses,
        })
    }

    /// What the manifest says of a field of the resource with this id.
    fn wanted(&self, id: &str, field: &str) -> Option<&'a Value> {
        self.wanted.get(*self.keys.get(id)?)?.get(field)
    }

    /// Keys of those ids that are the yard's.
    fn own(&self, ids: &[&str]) -> Vec<Key> {
        ids.iter()
            .filter_map(|id| self.keys.get(id))
            .map(|k| (*k).clone())
            .collect()
    }

    /// What a manifest would call the resource with this id.
    fn text(&self, kind: Kind, id: &str) -> String {
        match self.keys.get(id) {
            Some(key) => key.name.clone(),
            None => self
                .said
                .get(&(kind, id.to_owned()))
                .cloned()
                .unwrap_or_else(|| id.to_owned()),
        }
    }
}
