//! Networks, ports, security groups and floating IPs of a yard.

use super::Observer;
use stackyard_core::yard::intend::{floating_target, remote_prefix, rule_key};
use stackyard_core::yard::observed::{Fields, Seen, State, Value};
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{Port, SecurityGroupRule};
use std::collections::{HashMap, HashSet};

impl<'a> Observer<'a> {
    /// Ports by which routers stand in subnets, with the subnet's id.
    pub(super) fn feet(&self) -> impl Iterator<Item = (&'a Port, &'a str)> {
        let all = self.all;
        let inside = |p: &&Port| {
            p.device_owner.starts_with("network:router_interface")
                || p.device_owner
                    .starts_with("network:ha_router_replicated_interface")
        };
        all.ports
            .iter()
            .filter(inside)
            .flat_map(|p| p.fixed_ips.iter().map(move |f| (p, f.subnet_id.as_str())))
    }

    pub(super) fn interfaces(&self, resources: &mut Vec<Seen>) {
        for (port, subnet) in self.feet() {
            let (router, at) = (port.device_id.as_str(), self.keys.get(subnet));
            let known = self.said.contains_key(&(Kind::Router, router.to_owned()));
            let ours =
                self.keys.contains_key(router) || (at.is_some() && (known || self.everything));
            if !ours {
                continue;
            }
            let name = format!(
                "{}:{}",
                self.text(Kind::Router, router),
                self.text(Kind::Subnet, subnet)
            );
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

    pub(super) fn groups(&self, resources: &mut Vec<Seen>) {
        let used: HashSet<&str> = self
            .all
            .ports
            .iter()
            .flat_map(|p| &p.security_groups)
            .map(String::as_str)
            .collect();
        for g in &self.all.security_groups {
            let held = used.contains(g.id.as_str());
            let Some(group) = self.seen(
                &g.id,
                &g.created_at,
                held,
                State::Ready,
                Fields::new(),
                Vec::new(),
            ) else {
                continue;
            };
            for rule in &g.rules {
                let mut uses = vec![group.key.clone()];
                uses.extend(self.own(&[rule.remote_group_id.as_deref().unwrap_or_default()]));
                uses.dedup();
                resources.push(Seen {
                    key: self.rule(&group.key.name, rule),
                    id: rule.id.clone(),
                    // Ranks as its group does: the rules of a double go with it, and those of the group that stays stay.
                    created: format!("{} {}", g.created_at, g.id),
                    held,
                    state: State::Ready,
                    fields: Fields::new(),
                    uses,
                });
            }
            resources.push(group);
        }
    }

    pub(super) fn rule(&self, group: &str, rule: &SecurityGroupRule) -> Key {
        rule_seen(group, rule, |id| self.text(Kind::SecurityGroup, id))
    }

    pub(super) fn ports(&self, resources: &mut Vec<Seen>) {
        for p in &self.all.ports {
            let Some(key) = self.keys.get(p.id.as_str()) else {
                continue;
            };
            let mut addresses =
                Value::set(p.fixed_ips.iter().filter_map(|f| f.ip_address.as_ref()));
            // Beside wanted addresses there may be others, as of SLAAC.
            if let (Value::Set(has), Some(Value::Set(wanted))) = (
                &addresses,
                self.wanted.get(key).and_then(|f| f.get("addresses")),
            ) && wanted.iter().all(|w| has.contains(w))
            {
                addresses = Value::Set(wanted.clone());
            }
            let groups = Value::set(
                p.security_groups
                    .iter()
                    .map(|g| self.text(Kind::SecurityGroup, g)),
            );
            let mut fields = Fields::from([
                ("network", self.text(Kind::Network, &p.network_id).into()),
                ("addresses", addresses),
                ("security groups", groups),
            ]);
            fields.extend(
                p.port_security_enabled
                    .map(|on| ("port security", on.into())),
            );
            let mut ids = vec![p.network_id.as_str()];
            ids.extend(p.fixed_ips.iter().map(|f| f.subnet_id.as_str()));
            ids.extend(p.security_groups.iter().map(String::as_str));
            let held = !p.device_id.is_empty();
            resources.extend(self.seen(
                &p.id,
                &p.created_at,
                held,
                State::Ready,
                fields,
                self.own(&ids),
            ));
        }
    }

    pub(super) fn floating_ips(&self, resources: &mut Vec<Seen>) {
        let interfaces: HashMap<&str, Vec<Key>> = {
            let mut map: HashMap<&str, Vec<Key>> = HashMap::new();
            for (port, subnet) in self.feet() {
                let router = self.text(Kind::Router, &port.device_id);
                let key = Key::new(
                    Kind::Interface,
                    format!("{router}:{}", self.text(Kind::Subnet, subnet)),
                );
                map.entry(subnet).or_default().push(key);
            }
            map
        };
        let balancers = self
            .all
            .balancing
            .there()
            .into_iter()
            .flat_map(|b| &b.balancers);
        let balancers: HashMap<&str, &Key> = balancers
            .filter_map(|b| Some((b.vip_port_id.as_str(), *self.keys.get(b.id.as_str())?)))
            .collect();
        for f in &self.all.floating_ips {
            let at = f.port_id.as_deref().unwrap_or_default();
            let to = balancers.get(at).or_else(|| self.keys.get(at)).copied();
            let fields = Fields::from([
                (
                    "external",
                    self.text(Kind::Network, &f.floating_network_id).into(),
                ),
                (
                    "port",
                    to.map_or_else(|| at.to_owned(), floating_target).into(),
                ),
            ]);
            let port = f
                .port_id
                .as_ref()
                .and_then(|id| self.all.ports.iter().find(|p| p.id == *id));
            let mut uses: Vec<Key> = to.cloned().into_iter().collect();
            for subnet in port.iter().flat_map(|p| &p.fixed_ips) {
                uses.extend(
                    interfaces
                        .get(subnet.subnet_id.as_str())
                        .into_iter()
                        .flatten()
                        .cloned(),
                );
            }
            let held = f.port_id.is_some();
            resources.extend(self.seen(&f.id, &f.created_at, held, State::Ready, fields, uses));
        }
    }
}

/// The key of a rule that a cloud has in a group; `name` says what a manifest calls the group with an id.
pub(crate) fn rule_seen(
    group: &str,
    rule: &SecurityGroupRule,
    name: impl Fn(&str) -> String,
) -> Key {
    let other = match (
        &rule.remote_group_id,
        &rule.remote_address_group_id,
        &rule.remote_ip_prefix,
    ) {
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
    rule_key(
        group,
        ingress,
        ipv6,
        rule.protocol.as_deref(),
        ports,
        other.as_deref(),
    )
}
