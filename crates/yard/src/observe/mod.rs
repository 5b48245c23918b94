//! From what a project has to what a yard has, in the words of `core::yard`.

mod asked;
mod load_balancer;
mod object_container;

pub(crate) use asked::{ASKED, CONFIG_DRIVE, FLAVOR, IMAGE, TYPE, USER_DATA, ZONE, record};
pub(crate) use load_balancer::health;
pub(crate) use object_container::{CONTAINER_MARK, PUBLIC, PURGE};

use crate::container_port::{is_containers, whose};
use crate::host_service::DATA;
use crate::inventory::{Inventory, MarkedResource, key_in};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use stackyard_core::yard::intend::{Intended, Peer, Ref, Spec, floating_target, key_of, remote_prefix, rule_key};
use stackyard_core::yard::observed::{COPY, DISK_STAYS, Fields, NO_DATA, OLDER_MARK, Observed, Seen, State, Value};
use stackyard_core::yard::words::Size;
use stackyard_core::yard::{Key, Kind, Mark};
use stackyard_openstack::{Port, SecurityGroupRule, Server, Volume};
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
            for port in self.ports.iter().filter(|p| whose(p).is_some()) {
                keys.remove(port.id.as_str());
            }
            for ip in self.floating_ips.iter().filter(|ip| is_containers(&ip.description)) {
                keys.remove(ip.id.as_str());
            }
            for group in self.security_groups.iter().filter(|g| is_containers(&g.description)) {
                keys.remove(group.id.as_str());
            }
        }
        let said = intended.map(|i| self.said(i)).unwrap_or_default();
        let wanted = intended.map(|i| i.resources.iter().map(|r| (&r.key, &r.fields)).collect()).unwrap_or_default();
        let mut bound: HashMap<&str, Vec<&Port>> = HashMap::new();
        for port in self.ports.iter().filter(|p| !p.device_id.is_empty()) {
            bound.entry(&port.device_id).or_default().push(port);
        }
        let mut parts: HashMap<&str, Vec<&Key>> = HashMap::new();
        for key in keys.values().filter(|k| matches!(k.kind, Kind::Port | Kind::Volume)) {
            if let Some((server, _)) = key.name.split_once('/') {
                parts.entry(server).or_default().push(key);
            }
        }
        let is_older = |o: &&MarkedResource| o.mark.scope.is_none() && !o.mark.key.kind.has_mark_in_name();
        let older = owned.iter().filter(is_older).map(|o| o.id.as_str()).collect();
        let looker =
            Observer { all: self, yard, keys, older, said, wanted, everything: intended.is_none(), bound, parts };
        let mut observed = looker.look(&owned);
        if let Some(intended) = intended {
            self.keypairs_elsewhere(intended, &mut observed);
        }
        observed
    }

    /// Adds keypairs that servers of the yard have and this user has not: they are another user's of the project.
    fn keypairs_elsewhere(&self, intended: &Intended, observed: &mut Observed) {
        for resource in intended.resources.iter().filter(|r| r.key.kind == Kind::Keypair) {
            let is_it = |name: &str| {
                Mark::parse_name(Kind::Keypair, name)
                    .is_some_and(|m| m.is_of(&intended.yard, &self.scope, &resource.key))
            };
            let name = self.servers_of(&intended.yard).filter_map(|s| s.key_name.as_deref()).find(|name| is_it(name));
            let Some(name) = name.filter(|_| observed.get(&resource.key).is_none()) else { continue };
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
                Spec::Rule { peer: Peer::Group(group), .. } => note(group),
                Spec::Port { network, groups, .. } => {
                    note(network);
                    groups.iter().flatten().for_each(&mut note);
                }
                Spec::Server(server) => [&server.key, &server.group].into_iter().flatten().for_each(&mut note),
                Spec::Attachment { volume, .. } => note(volume),
                Spec::LoadBalancer(balancer) => {
                    note(&balancer.network);
                    balancer.subnet.iter().for_each(&mut note);
                }
                Spec::Router { external: Some(text) } | Spec::FloatingIp { external: Some(text), .. } => {
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
        let used_networks: HashSet<&str> = self.all.subnets.iter().map(|s| s.network_id.as_str()).collect();
        for n in self.all.networks.iter() {
            let mut fields = Fields::new();
            fields.extend(n.mtu.map(|mtu| ("mtu", mtu.into())));
            fields.extend(n.port_security_enabled.map(|on| ("port security", on.into())));
            let held = used_networks.contains(n.id.as_str());
            resources.extend(self.seen(&n.id, &n.created_at, held, State::Ready, fields, Vec::new()));
        }
        let ported: HashSet<&str> =
            self.all.ports.iter().flat_map(|p| &p.fixed_ips).map(|f| f.subnet_id.as_str()).collect();
        for s in &self.all.subnets {
            let mut fields = Fields::from([
                ("cidr", (&s.cidr).into()),
                ("gateway", s.gateway_ip.clone().unwrap_or_default().into()),
                ("dhcp", s.enable_dhcp.into()),
                ("dns", s.dns_nameservers.join(", ").into()),
                ("pools", Value::set(s.allocation_pools.iter().map(|p| format!("{}-{}", p.start, p.end)))),
            ]);
            fields.extend(s.ipv6_address_mode.as_ref().map(|m| ("ipv6 mode", m.into())));
            let uses = self.own(&[&s.network_id]);
            let held = ported.contains(s.id.as_str());
            resources.extend(self.seen(&s.id, &s.created_at, held, State::Ready, fields, uses));
        }
        let routing: HashSet<&str> = self.feet().map(|(p, _)| p.device_id.as_str()).collect();
        for r in &self.all.routers {
            let external = r.external_gateway_info.as_ref().map(|g| self.text(Kind::Network, &g.network_id));
            let fields = Fields::from([("external", external.unwrap_or_default().into())]);
            let held = routing.contains(r.id.as_str());
            resources.extend(self.seen(&r.id, &r.created_at, held, State::Ready, fields, Vec::new()));
        }
        self.interfaces(&mut resources);
        self.groups(&mut resources);
        for k in &self.all.keypairs {
            let fields = Fields::from([("public key", key_of(&k.public_key).into())]);
            resources.extend(self.seen(&k.name, "", false, State::Ready, fields, Vec::new()));
        }
        for g in &self.all.server_groups {
            let fields = Fields::from([("policy", (&g.policy).into())]);
            resources.extend(self.seen(&g.id, "", !g.members.is_empty(), State::Ready, fields, Vec::new()));
        }
        self.volumes(&mut resources);
        self.ports(&mut resources);
        // Nova tells a server's group only of single servers, but a group's servers always.
        let groups = self.all.server_groups.iter();
        let groups: HashMap<&str, &str> =
            groups.flat_map(|g| g.members.iter().map(|m| (m.as_str(), g.id.as_str()))).collect();
        for s in &self.all.servers {
            resources.extend(self.server(s, groups.get(s.id.as_str()).copied()));
        }
        self.load_balancers(&mut resources);
        self.object_containers(&mut resources);
        self.floating_ips(&mut resources);
        debug_assert!(owned.len() >= self.keys.len());
        Observed { resources, owner: Mark::new(self.yard, &self.all.scope, &Key::new(Kind::Network, "")).owner() }
    }

    /// A resource of the yard, if it is one.
    fn seen(&self, id: &str, created: &str, held: bool, state: State, fields: Fields, uses: Vec<Key>) -> Option<Seen> {
        let key = (*self.keys.get(id)?).clone();
        let mut fields = fields;
        if self.older.contains(id) {
            fields.insert(OLDER_MARK, self.yard.into());
        }
        Some(Seen { key, id: id.to_owned(), created: created.to_owned(), held, state, fields, uses })
    }

    /// What the manifest says of a field of the resource with this id.
    fn wanted(&self, id: &str, field: &str) -> Option<&'a Value> {
        self.wanted.get(*self.keys.get(id)?)?.get(field)
    }

    /// Keys of those ids that are the yard's.
    fn own(&self, ids: &[&str]) -> Vec<Key> {
        ids.iter().filter_map(|id| self.keys.get(id)).map(|k| (*k).clone()).collect()
    }

    /// What a manifest would call the resource with this id.
    fn text(&self, kind: Kind, id: &str) -> String {
        match self.keys.get(id) {
            Some(key) => key.name.clone(),
            None => self.said.get(&(kind, id.to_owned())).cloned().unwrap_or_else(|| id.to_owned()),
        }
    }

    /// Ports by which routers stand in subnets, with the subnet's id.
    fn feet(&self) -> impl Iterator<Item = (&'a Port, &'a str)> {
        let all = self.all;
        let inside = |p: &&Port| {
            p.device_owner.starts_with("network:router_interface")
                || p.device_owner.starts_with("network:ha_router_replicated_interface")
        };
        all.ports.iter().filter(inside).flat_map(|p| p.fixed_ips.iter().map(move |f| (p, f.subnet_id.as_str())))
    }

    fn interfaces(&self, resources: &mut Vec<Seen>) {
        for (port, subnet) in self.feet() {
            let (router, at) = (port.device_id.as_str(), self.keys.get(subnet));
            let known = self.said.contains_key(&(Kind::Router, router.to_owned()));
            let ours = self.keys.contains_key(router) || (at.is_some() && (known || self.everything));
            if !ours {
                continue;
            }
            let name = format!("{}:{}", self.text(Kind::Router, router), self.text(Kind::Subnet, subnet));
            resources.push(Seen {
                key: Key::new(Kind::Interface, name),
                id: format!("{router}/{subnet}"),
                created: port.created_at.clone(),
                held: false,
                state: State::Ready,
                fields: Fields::new(),
                uses: self.own(&[router, subnet]),
            });
        }
    }

    fn groups(&self, resources: &mut Vec<Seen>) {
        let used: HashSet<&str> = self.all.ports.iter().flat_map(|p| &p.security_groups).map(String::as_str).collect();
        for g in &self.all.security_groups {
            let held = used.contains(g.id.as_str());
            let Some(group) = self.seen(&g.id, &g.created_at, held, State::Ready, Fields::new(), Vec::new()) else {
                continue;
            };
            for rule in &g.rules {
                let mut uses = vec![group.key.clone()];
                uses.extend(self.own(&[rule.remote_group_id.as_deref().unwrap_or_default()]));
                uses.dedup();
                resources.push(Seen {
                    key: self.rule(&group.key.name, rule),
                    id: rule.id.clone(),
                    created: String::new(),
                    held: false,
                    state: State::Ready,
                    fields: Fields::new(),
                    uses,
                });
            }
            resources.push(group);
        }
    }

    fn rule(&self, group: &str, rule: &SecurityGroupRule) -> Key {
        rule_seen(group, rule, |id| self.text(Kind::SecurityGroup, id))
    }

    fn volumes(&self, resources: &mut Vec<Seen>) {
        let created = |v: &Volume| v.created_at.trim_end_matches('Z').parse::<DateTime>().ok();
        let mut first: HashMap<&Key, DateTime> = HashMap::new();
        for v in &self.all.volumes {
            if let (Some(key), Some(at)) = (self.keys.get(v.id.as_str()), created(v)) {
                let oldest = first.entry(key).or_insert(at);
                *oldest = at.min(*oldest);
            }
        }
        for v in &self.all.volumes {
            let mut fields = Fields::from([("size", Size(v.size).into())]);
            for (field, asked, has) in [
                ("type", TYPE, v.volume_type.as_ref()),
                ("image", IMAGE, None),
                ("availability zone", ZONE, v.availability_zone.as_ref()),
            ] {
                let wanted = self.wanted(&v.id, field);
                fields.extend(asked::field(wanted, v.metadata.get(asked), has.map(Value::from)).map(|v| (field, v)));
            }
            if matches!(v.status.as_str(), "creating" | "downloading" | "deleting" | "error_deleting") {
                fields.insert(NO_DATA, true.into());
            }
            let oldest = self.keys.get(v.id.as_str()).and_then(|key| first.get(key));
            if let (Some(oldest), Some(at)) = (oldest, created(v))
                && at.duration_since(*oldest) > DOUBLE
            {
                fields.insert(COPY, true.into());
            }
            let state = match v.status.as_str() {
                "error" | "error_deleting" | "error_restoring" => State::Broken(format!("it is in state {}", v.status)),
                "deleting" => State::Broken("it is being removed".to_owned()),
                "creating" | "downloading" => State::Pending(v.status.clone()),
                _ => State::Ready,
            };
            let own = self.keys.get(v.id.as_str());
            let known = self.said.contains_key(&(Kind::Volume, v.id.clone()));
            resources.extend(self.seen(&v.id, &v.created_at, !v.attachments.is_empty(), state, fields, Vec::new()));
            if own.is_some_and(|k| k.name.ends_with("/boot")) || !(own.is_some() || known) {
                continue;
            }
            for attachment in &v.attachments {
                let Some(server) = self.keys.get(attachment.server_id.as_str()) else { continue };
                let mut uses = vec![(*server).clone()];
                uses.extend(own.map(|k| (*k).clone()));
                resources.push(Seen {
                    key: Key::new(Kind::Attachment, format!("{}:{}", server.name, self.text(Kind::Volume, &v.id))),
                    id: v.id.clone(),
                    created: String::new(),
                    held: false,
                    state: State::Ready,
                    fields: Fields::new(),
                    uses,
                });
            }
        }
    }

    fn ports(&self, resources: &mut Vec<Seen>) {
        for p in &self.all.ports {
            let Some(key) = self.keys.get(p.id.as_str()) else { continue };
            let mut addresses = Value::set(p.fixed_ips.iter().filter_map(|f| f.ip_address.as_ref()));
            // Beside wanted addresses there may be others, as of SLAAC.
            if let (Value::Set(has), Some(Value::Set(wanted))) =
                (&addresses, self.wanted.get(key).and_then(|f| f.get("addresses")))
                && wanted.iter().all(|w| has.contains(w))
            {
                addresses = Value::Set(wanted.clone());
            }
            let groups = Value::set(p.security_groups.iter().map(|g| self.text(Kind::SecurityGroup, g)));
            let mut fields = Fields::from([
                ("network", self.text(Kind::Network, &p.network_id).into()),
                ("addresses", addresses),
                ("security groups", groups),
            ]);
            fields.extend(p.port_security_enabled.map(|on| ("port security", on.into())));
            let mut ids = vec![p.network_id.as_str()];
            ids.extend(p.fixed_ips.iter().map(|f| f.subnet_id.as_str()));
            ids.extend(p.security_groups.iter().map(String::as_str));
            let held = !p.device_id.is_empty();
            resources.extend(self.seen(&p.id, &p.created_at, held, State::Ready, fields, self.own(&ids)));
        }
    }

    fn server(&self, s: &Server, group: Option<&str>) -> Option<Seen> {
        let key = self.keys.get(s.id.as_str())?;
        let state = state(s);
        let wanted = self.wanted.get(key);
        let bound = self.bound.get(s.id.as_str()).into_iter().flatten();
        let mut ports = Value::set(bound.filter_map(|p| self.keys.get(p.id.as_str())).map(|k| k.name.clone()));
        // Nova binds ports while it builds.
        if matches!(state, State::Pending(_))
            && let Some(value) = wanted.and_then(|f| f.get("ports"))
        {
            ports = value.clone();
        }
        // Nova tells a flavor's name, also of one that was asked for by its id.
        let flavor = s.flavor.get("original_name").and_then(serde_json::Value::as_str).unwrap_or_default();
        let asked = |field, key: &str, has| asked::field(wanted.and_then(|f| f.get(field)), s.metadata.get(key), has);
        let boot = s.volumes.iter().filter_map(|v| self.keys.get(v.id.as_str())).find(|k| k.name.ends_with("/boot"));
        let keypair = s.key_name.as_deref().map(|name| match Mark::parse_name(Kind::Keypair, name) {
            Some(mark) if mark.yard == self.yard && mark.is_in(&self.all.scope) => mark.key.name,
            _ => name.to_owned(),
        });
        let own_metadata = s.metadata.iter().filter(|(k, _)| *k != "stackyard" && !k.starts_with("stackyard."));
        let mut fields = Fields::from([
            ("flavor", asked("flavor", FLAVOR, Some(flavor.into())).unwrap_or_else(|| flavor.into())),
            ("ports", ports),
            ("user data", asked("user data", USER_DATA, None).unwrap_or_else(|| "".into())),
            ("metadata", Value::set(own_metadata.map(|(k, v)| format!("{k}={v}")))),
            ("tags", Value::set(&s.tags)),
            ("key", keypair.unwrap_or_default().into()),
            ("boot volume", boot.map(|k| k.name.clone()).unwrap_or_default().into()),
            // The one that it was told to use: nothing if that is lost.
            (
                "data volume",
                self.own(&[s.metadata.get(DATA).map_or("", String::as_str)])
                    .pop()
                    .map(|k| k.name)
                    .unwrap_or_default()
                    .into(),
            ),
            ("server group", group.map(|g| self.text(Kind::ServerGroup, g)).unwrap_or_default().into()),
        ]);
        fields.extend(asked("image", IMAGE, None).map(|i| ("image", i)));
        let drive = s.config_drive.eq_ignore_ascii_case("true");
        fields.extend(asked("config drive", CONFIG_DRIVE, Some(drive.into())).map(|d| ("config drive", d)));
        // It has none before it is placed.
        let placed = s.availability_zone.as_ref().filter(|z| !z.is_empty());
        let zone = asked("availability zone", ZONE, placed.map(Value::from));
        let zone = zone.or_else(|| wanted?.get("availability zone").cloned());
        fields.extend(zone.map(|z| ("availability zone", z)));
        if is_going(s) || (s.status == "ERROR" && s.launched_at.is_none()) {
            fields.insert(DISK_STAYS, true.into());
        }
        let mut uses: Vec<Key> = Vec::new();
        uses.extend(self.parts.get(key.name.as_str()).into_iter().flatten().map(|k| (*k).clone()));
        uses.extend(group.and_then(|g| self.keys.get(g)).map(|k| (*k).clone()));
        uses.sort();
        uses.dedup();
        self.seen(&s.id, &s.created, false, state, fields, uses)
    }

    fn floating_ips(&self, resources: &mut Vec<Seen>) {
        let interfaces: HashMap<&str, Vec<Key>> = {
            let mut map: HashMap<&str, Vec<Key>> = HashMap::new();
            for (port, subnet) in self.feet() {
                let router = self.text(Kind::Router, &port.device_id);
                let key = Key::new(Kind::Interface, format!("{router}:{}", self.text(Kind::Subnet, subnet)));
                map.entry(subnet).or_default().push(key);
            }
            map
        };
        let balancers = self.all.balancing.there().into_iter().flat_map(|b| &b.balancers);
        let balancers: HashMap<&str, &Key> =
            balancers.filter_map(|b| Some((b.vip_port_id.as_str(), *self.keys.get(b.id.as_str())?))).collect();
        for f in &self.all.floating_ips {
            let at = f.port_id.as_deref().unwrap_or_default();
            let to = balancers.get(at).or_else(|| self.keys.get(at)).copied();
            let fields = Fields::from([
                ("external", self.text(Kind::Network, &f.floating_network_id).into()),
                ("port", to.map_or_else(|| at.to_owned(), floating_target).into()),
            ]);
            let port = f.port_id.as_ref().and_then(|id| self.all.ports.iter().find(|p| p.id == *id));
            let mut uses: Vec<Key> = to.cloned().into_iter().collect();
            for subnet in port.iter().flat_map(|p| &p.fixed_ips) {
                uses.extend(interfaces.get(subnet.subnet_id.as_str()).into_iter().flatten().cloned());
            }
            let held = f.port_id.is_some();
            resources.extend(self.seen(&f.id, &f.created_at, held, State::Ready, fields, uses));
        }
    }
}

/// Whether it is being removed already.
fn is_going(s: &Server) -> bool {
    matches!(s.task_state.as_deref(), Some("deleting" | "soft-deleting"))
        || matches!(s.status.as_str(), "DELETED" | "SOFT_DELETED")
}

/// The key of a rule that a cloud has in a group; `name` says what a manifest calls the group with an id.
pub(crate) fn rule_seen(group: &str, rule: &SecurityGroupRule, name: impl Fn(&str) -> String) -> Key {
    let other = match (&rule.remote_group_id, &rule.remote_address_group_id, &rule.remote_ip_prefix) {
        (Some(id), ..) => Some(name(id)),
        // No manifest can say that, so that it equals no rule of one.
        (None, Some(id), _) => Some(format!("address group {id}")),
        (None, None, Some(text)) => match remote_prefix(text) {
            Ok(net) => net.map(|net| net.to_string()),
            Err(text) => Some(text.to_owned()),
        },
        (None, None, None) => None,
    };
    let (ingress, ipv6) = (rule.direction == "ingress", rule.ethertype == "IPv6");
    let ports = (rule.port_range_min, rule.port_range_max);
    rule_key(group, ingress, ipv6, rule.protocol.as_deref(), ports, other.as_deref())
}

fn state(s: &Server) -> State {
    let task = s.task_state.as_deref().unwrap_or_default();
    if is_going(s) {
        return State::Broken("it is being removed".to_owned());
    }
    match s.status.as_str() {
        "ERROR" => {
            let fault = s.fault.as_ref().map(|f| format!(": {}", f.message)).unwrap_or_default();
            State::Broken(format!("it is in ERROR{fault}"))
        }
        "BUILD" | "REBUILD" | "REBOOT" | "HARD_REBOOT" | "RESIZE" | "MIGRATING" | "UNKNOWN" => {
            State::Pending(s.status.clone())
        }
        "SHUTOFF" if task.is_empty() => State::Stopped(s.status.clone()),
        "SHUTOFF" => State::Pending(task.to_owned()),
        _ => State::Ready,
    }
}
