//! Networks, subnets, routers, security groups.

use super::super::manifest::{Direction, NetworkRouter, Rule, Subnet};
use super::super::observed::{Fields, Value};
use super::rule::{has_ports, is_of_ipv6, protocol, remote_prefix, rule_key};
use super::{Key, Kind, Maker, Need, Peer, Ref, Spec};
use std::net::IpAddr;

impl Maker<'_> {
    pub(super) fn networks(&mut self) {
        let spec = self.spec;
        for (i, network) in spec.networks.iter().enumerate() {
            let path = format!("spec.networks[{i}]");
            self.name(&path, &network.name);
            let key = Key::new(Kind::Network, &network.name);
            let mut fields = Fields::new();
            fields.extend(network.mtu.map(|mtu| ("mtu", mtu.into())));
            fields.extend(network.port_security.map(|on| ("port security", on.into())));
            if network.mtu.is_some_and(|mtu| !(68..=65_535).contains(&mtu)) {
                self.trouble(format!("{path}.mtu"), "an MTU is between 68 and 65535 bytes", None);
            }
            let make = Spec::Network { mtu: network.mtu, port_security: network.port_security };
            self.add(&path, key.clone(), make, fields, Vec::new());

            if network.cidr.is_some() && !network.subnets.is_empty() {
                self.trouble(format!("{path}.cidr"), "`cidr` stands for one subnet; there are `subnets`, too", None);
            }
            let short = network.cidr.map(|cidr| Subnet {
                name: Some("main".to_owned()),
                cidr,
                gateway: None,
                dhcp: None,
                dns: Vec::new(),
                pools: Vec::new(),
                ipv6_mode: None,
            });
            for (j, subnet) in short.iter().chain(&network.subnets).enumerate() {
                let at = if short.is_some() { path.clone() } else { format!("{path}.subnets[{j}]") };
                let dns = if subnet.dns.is_empty() { &network.dns } else { &subnet.dns };
                let name =
                    if short.is_some() { network.name.clone() } else { format!("{}/{}", network.name, label(subnet)) };
                self.subnet(&at, &key, name, subnet, dns);
            }
        }
    }

    fn subnet(&mut self, path: &str, network: &Key, name: String, subnet: &Subnet, dns: &[IpAddr]) {
        let cidr = subnet.cidr;
        if cidr.addr() != cidr.network() {
            let hint = format!("write `{}`", cidr.trunc());
            self.trouble(format!("{path}.cidr"), format!("`{cidr}` has bits behind its prefix"), Some(&hint));
        }
        let mut fields = Fields::from([("cidr", cidr.trunc().into())]);
        if let Some(gateway) = subnet.gateway {
            if !cidr.contains(&gateway) {
                self.trouble(format!("{path}.gateway"), format!("`{gateway}` is not in {cidr}"), None);
            }
            fields.insert("gateway", gateway.into());
        }
        fields.extend(subnet.dhcp.map(|on| ("dhcp", on.into())));
        if !dns.is_empty() {
            // Their order counts.
            fields.insert("dns", dns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ").into());
        }
        let mut pools = Vec::new();
        for (i, text) in subnet.pools.iter().enumerate() {
            let ends = text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
            match ends.filter(|(a, b): &(IpAddr, IpAddr)| cidr.contains(a) && cidr.contains(b) && a <= b) {
                Some(ends) => pools.push(ends),
                None => {
                    let hint = "write first and last address, as 10.0.0.10-10.0.0.99";
                    self.trouble(format!("{path}.pools[{i}]"), format!("`{text}` is no range in {cidr}"), Some(hint));
                }
            }
        }
        if !pools.is_empty() {
            fields.insert("pools", Value::set(pools.iter().map(|(a, b)| format!("{a}-{b}"))));
        }
        let v6 = cidr.addr().is_ipv6();
        if subnet.ipv6_mode.is_some() && !v6 {
            self.trouble(format!("{path}.ipv6Mode"), format!("{cidr} is IPv4"), None);
        }
        let ipv6_mode = v6.then(|| subnet.ipv6_mode.unwrap_or(super::Ipv6Mode::Slaac));
        fields.extend(ipv6_mode.map(|mode| ("ipv6 mode", mode.word().into())));
        let make = Spec::Subnet {
            network: network.clone(),
            name,
            cidr: cidr.trunc(),
            gateway: subnet.gateway,
            dhcp: subnet.dhcp,
            dns: dns.to_vec(),
            pools,
            ipv6_mode,
        };
        let key = Key::new(Kind::Subnet, format!("{}/{}", network.name, label(subnet)));
        self.add(path, key, make, fields, vec![Need::baked(network.clone())]);
    }

    pub(super) fn routers(&mut self) {
        let spec = self.spec;
        let router = |this: &mut Self, path: &str, name: &str, external: Option<&String>| {
            let fields = external.map(|e| ("external", e.into())).into_iter().collect();
            let make = Spec::Router { external: external.cloned() };
            this.add(path, Key::new(Kind::Router, name), make, fields, Vec::new());
        };
        for (i, r) in spec.routers.iter().enumerate() {
            let path = format!("spec.routers[{i}]");
            self.name(&path, &r.name);
            router(self, &path, &r.name, r.external.as_ref());
        }
        for (i, network) in spec.networks.iter().enumerate() {
            if let Some(NetworkRouter { name: None, external }) = &network.router {
                router(self, &format!("spec.networks[{i}].router"), &network.name, external.as_ref());
            }
        }
        for (i, network) in spec.networks.iter().enumerate() {
            match &network.router {
                Some(NetworkRouter { name: Some(_), external: Some(_) }) => {
                    let hint = "`name` is another router's, `external` is for one of the network's own";
                    self.trouble(format!("spec.networks[{i}].router"), "both `name` and `external`", Some(hint));
                }
                Some(NetworkRouter { name, .. }) => {
                    let name = name.as_ref().unwrap_or(&network.name);
                    self.interfaces(
                        &format!("spec.networks[{i}].router"),
                        &self.refer(Kind::Router, name),
                        &network.name,
                    );
                }
                None => {}
            }
        }
        for (i, r) in spec.routers.iter().enumerate() {
            for (j, network) in r.networks.iter().enumerate() {
                let path = format!("spec.routers[{i}].networks[{j}]");
                if self.has(&Key::new(Kind::Network, network)) {
                    self.interfaces(&path, &self.refer(Kind::Router, &r.name), network);
                } else {
                    let hint = self.near(Kind::Network, network);
                    self.trouble(path, format!("the yard has no network `{network}`"), hint.as_deref());
                }
            }
        }
    }

    fn interfaces(&mut self, path: &str, router: &Ref, network: &str) {
        for subnet in self.subnets(network) {
            let key = Key::new(Kind::Interface, format!("{}:{}", router.text(), subnet.name));
            let mut needs = vec![Need::baked(subnet.clone())];
            needs.extend(Need::of(router, true));
            self.add(path, key, Spec::Interface { router: router.clone(), subnet }, Fields::new(), needs);
        }
    }

    /// Keys of the subnets of a network of the yard.
    pub(super) fn subnets(&self, network: &str) -> Vec<Key> {
        let Some(network) = self.spec.networks.iter().find(|n| n.name == network) else { return Vec::new() };
        let key = |label: &str| Key::new(Kind::Subnet, format!("{}/{label}", network.name));
        match network.cidr {
            Some(_) => vec![key("main")],
            None => network.subnets.iter().map(|s| key(&label(s))).collect(),
        }
    }

    /// Keys of the interfaces in the subnets of a network of the yard.
    pub(super) fn feet(&self, network: &str) -> Vec<Key> {
        let subnets = self.subnets(network);
        let mut routers: Vec<&str> = self
            .spec
            .routers
            .iter()
            .filter(|r| r.networks.iter().any(|n| n == network))
            .map(|r| r.name.as_str())
            .collect();
        if let Some(n) = self.spec.networks.iter().find(|n| n.name == network)
            && let Some(router) = &n.router
        {
            routers.push(router.name.as_deref().unwrap_or(network));
        }
        let key = |r: &str, s: &Key| Key::new(Kind::Interface, format!("{r}:{}", s.name));
        let keys = routers.iter().flat_map(|r| subnets.iter().map(move |s| key(r, s)));
        keys.filter(|k| self.has(k)).collect()
    }

    pub(super) fn security_groups(&mut self) {
        let spec = self.spec;
        let outgoing = |r: &Rule| r.direction == Some(Direction::Egress) || (r.direction.is_none() && r.to.is_some());
        for (i, group) in spec.security_groups.iter().enumerate() {
            let path = format!("spec.securityGroups[{i}]");
            self.name(&path, &group.name);
            let key = Key::new(Kind::SecurityGroup, &group.name);
            self.add(&path, key, Spec::SecurityGroup, Fields::new(), Vec::new());
        }
        for (i, group) in spec.security_groups.iter().enumerate() {
            let path = format!("spec.securityGroups[{i}]");
            let key = Key::new(Kind::SecurityGroup, &group.name);
            for (j, rule) in group.rules.iter().enumerate() {
                self.rule(&format!("{path}.rules[{j}]"), &key, rule, !outgoing(rule));
            }
            if !group.rules.iter().any(outgoing) {
                for ipv6 in [false, true] {
                    let make = Spec::Rule {
                        group: key.clone(),
                        ingress: false,
                        ipv6,
                        proto: None,
                        port: None,
                        peer: Peer::Any,
                    };
                    self.add_rule(&path, &key, make);
                }
            }
        }
    }

    fn rule(&mut self, path: &str, group: &Key, rule: &Rule, ingress: bool) {
        let (there, other, word) = if ingress { (&rule.from, &rule.to, "to") } else { (&rule.to, &rule.from, "from") };
        if other.is_some() {
            let way = if ingress { "ingress" } else { "egress" };
            self.trouble(format!("{path}.{word}"), format!("`{word}` does not go with {way}"), None);
        }
        let mut proto = rule.proto.as_deref().and_then(|p| protocol(p, false));
        if rule.port.is_some() && !proto.as_deref().is_some_and(has_ports) {
            let message =
                format!("a port goes with tcp or udp, not with {}", proto.as_deref().unwrap_or("every protocol"));
            self.trouble(format!("{path}.port"), message, Some("add `proto: tcp`"));
        }
        let peer = match there.as_deref() {
            None => Peer::Any,
            Some(text) => match remote_prefix(text) {
                Ok(net) => net.map_or(Peer::Any, Peer::Net),
                Err(_) if text.contains('/') => {
                    self.trouble(
                        format!("{path}.{}", if ingress { "from" } else { "to" }),
                        format!("`{text}` is no CIDR"),
                        None,
                    );
                    return;
                }
                Err(_) => Peer::Group(self.refer(Kind::SecurityGroup, text)),
            },
        };
        let by_cidr = match (&peer, there.as_deref()) {
            (Peer::Net(net), _) => Some(net.addr().is_ipv6()),
            (Peer::Any, Some(text)) => Some(text.contains(':')),
            _ => None,
        };
        let of_ipv6 = proto.as_deref().is_some_and(is_of_ipv6);
        if let (Some(said), Some(is)) = (rule.ipv6, by_cidr)
            && said != is
        {
            self.trouble(format!("{path}.ipv6"), "it contradicts the CIDR", None);
        }
        let ipv6 = by_cidr.or(rule.ipv6).unwrap_or(of_ipv6);
        if of_ipv6 && !ipv6 {
            let message = format!("`{}` is a protocol of IPv6, and the rule is one of IPv4", proto.unwrap_or_default());
            self.trouble(format!("{path}.proto"), message, None);
            return;
        }
        proto = proto.and_then(|p| protocol(&p, ipv6));
        let make = Spec::Rule { group: group.clone(), ingress, ipv6, proto, port: rule.port, peer };
        self.add_rule(path, group, make);
    }

    fn add_rule(&mut self, path: &str, group: &Key, make: Spec) {
        let Spec::Rule { ingress, ipv6, proto, port, peer, .. } = &make else { return };
        let mut needs = vec![Need::baked(group.clone())];
        let other = match peer {
            Peer::Any => None,
            Peer::Net(net) => Some(net.to_string()),
            Peer::Group(other) => {
                needs.extend(Need::of(other, true));
                Some(other.text().to_owned())
            }
        };
        needs.dedup();
        let ports = (port.map(|p| p.min.into()), port.map(|p| p.max.into()));
        let key = rule_key(&group.name, *ingress, *ipv6, proto.as_deref(), ports, other.as_deref());
        self.add(path, key, make, Fields::new(), needs);
    }

    /// "did you mean" one of the yard's.
    pub(super) fn near(&self, kind: Kind, text: &str) -> Option<String> {
        let names: Vec<&str> = self.index.keys().filter(|k| k.kind == kind).map(|k| k.name.as_str()).collect();
        match names.as_slice() {
            [] => None,
            names => {
                let mut names = names.to_vec();
                names.sort_by_key(|n| (!n.starts_with(text) && !text.starts_with(n), *n));
                Some(format!("it has {}", names.into_iter().take(5).collect::<Vec<_>>().join(", ")))
            }
        }
    }
}

/// A subnet's name within its network.
fn label(subnet: &Subnet) -> String {
    subnet.name.clone().unwrap_or_else(|| subnet.cidr.trunc().to_string())
}
