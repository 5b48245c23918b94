//! Neutron's resources.

use crate::execute::{ActionError, Executor};
use crate::observe::rule_seen;
use crate::retry::{create_once, delete_until_gone, delete_within};
use parking_lot::Mutex;
use serde_json::{Value, json};
use stackyard_core::yard::intend::{Peer, Ref, Spec};
use stackyard_core::yard::observed::OLDER_MARK;
use stackyard_core::yard::plan::{Action, Step};
use stackyard_core::yard::{Key, Kind};
use stackyard_openstack::{
    ExternalGateway, FixedIp, FloatingIp, Gateway, Network, NewFloatingIp, NewNetwork, NewPort,
    NewRouter, NewSecurityGroup, NewSecurityGroupRule, NewSubnet, Pool, Port, Router,
    SecurityGroup, SecurityGroupRule, Subnet,
};
use std::net::IpAddr;

/// What came of a request for a rule.
enum CreatedRule {
    /// The rule with this id.
    Rule(String),
    /// The rule with this id keeps it from being made.
    InTheWay(String),
}

fn wrong(key: &Key) -> ActionError {
    format!("{key} is something else in the manifest").into()
}

impl Executor<'_> {
    pub(super) async fn create_network(&self, key: &Key) -> Result<String, ActionError> {
        let Spec::Network { mtu, port_security } = self.spec(key)? else {
            return Err(wrong(key));
        };
        let new = NewNetwork {
            name: key.name.clone(),
            description: self.mark(key).to_string(),
            mtu: *mtu,
            port_security_enabled: *port_security,
            ..NewNetwork::default()
        };
        let known = self
            .inventory
            .networks
            .iter()
            .map(|n| n.id.as_str())
            .collect();
        Ok(self
            .marked::<Network>(key, &new, known, |n| &n.description)
            .await?
            .id)
    }

    pub(super) async fn create_subnet(&self, key: &Key) -> Result<String, ActionError> {
        let Spec::Subnet {
            network,
            name,
            cidr,
            gateway,
            dhcp,
            dns,
            pools,
            ipv6_mode,
        } = self.spec(key)?
        else {
            return Err(wrong(key));
        };
        let new = NewSubnet {
            name: name.clone(),
            network_id: self.id(network)?,
            cidr: cidr.to_string(),
            subnetpool_id: None,
            ip_version: if cidr.addr().is_ipv6() { 6 } else { 4 },
            gateway_ip: gateway.map_or(Gateway::Auto, |g| Gateway::Address(g.to_string())),
            allocation_pools: self::pools(pools),
            enable_dhcp: *dhcp,
            dns_nameservers: dns.iter().map(ToString::to_string).collect(),
            ipv6_ra_mode: ipv6_mode.map(|m| m.word().to_owned()),
            ipv6_address_mode: ipv6_mode.map(|m| m.word().to_owned()),
            description: self.mark(key).to_string(),
        };
        let known = self
            .inventory
            .subnets
            .iter()
            .map(|s| s.id.as_str())
            .collect();
        Ok(self
            .marked::<Subnet>(key, &new, known, |s| &s.description)
            .await?
            .id)
    }

    pub(super) async fn create_router(
        &self,
        key: &Key,
        external: Option<&str>,
    ) -> Result<String, ActionError> {
        let gateway = external
            .map(|e| self.inventory.external(Some(e)))
            .transpose()?;
        let new = NewRouter {
            name: key.name.clone(),
            description: self.mark(key).to_string(),
            external_gateway_info: gateway.map(|network_id| ExternalGateway { network_id }),
        };
        let known = self
            .inventory
            .routers
            .iter()
            .map(|r| r.id.as_str())
            .collect();
        Ok(self
            .marked::<Router>(key, &new, known, |r| &r.description)
            .await?
            .id)
    }

    pub(super) async fn create_interface(
        &self,
        key: &Key,
        router: &Ref,
        subnet: &Key,
    ) -> Result<String, ActionError> {
        let (router, subnet) = (self.refer(router)?, self.id(subnet)?);
        let make = async || {
            self.cloud
                .add_router_subnet(&router, &subnet)
                .await
                .map(drop)
        };
        let find = async || {
            let ports: Vec<Port> = self.cloud.list(&[("device_id", &router)]).await?;
            let there = |p: &Port| {
                p.device_owner.starts_with("network:")
                    && p.fixed_ips.iter().any(|f| f.subnet_id == subnet)
            };
            Ok(ports
                .iter()
                .any(|p| !p.device_owner.ends_with("gateway") && there(p))
                .then_some(()))
        };
        // It is no POST: sending it again by itself meets 400, not a double.
        match create_once(self.on_retry(key), || {}, make, find).await {
            Err(e) if e.status() == Some(400) && find().await?.is_some() => {}
            other => other?,
        }
        Ok(format!("{router}/{subnet}"))
    }

    pub(super) async fn remove_interface(&self, step: &Step, id: &str) -> Result<(), ActionError> {
        let Some((router, subnet)) = id.split_once('/') else {
            return Ok(());
        };
        let remove = async || self.cloud.remove_router_subnet(router, subnet).await;
        match delete_within(self.release, self.on_retry(&step.key), remove).await {
            // Gone by an earlier try whose answer got lost: Neutron says 404 or 409 for that.
            Err(e) if matches!(e.status(), Some(404)) => Ok(()),
            other => other.map(|_| ()).map_err(Into::into),
        }
    }

    /// Neutron makes rules with every group; which ones is up to the cloud's template, which may have others than
    /// "everything may go out", or none.
    pub(super) async fn create_group(&self, key: &Key) -> Result<String, ActionError> {
        let new = NewSecurityGroup {
            name: key.name.clone(),
            description: self.mark(key).to_string(),
        };
        let known = self
            .inventory
            .security_groups
            .iter()
            .map(|g| g.id.as_str())
            .collect();
        let group = self
            .marked::<SecurityGroup>(key, &new, known, |g| &g.description)
            .await?;
        let name = |id: &str| {
            if id == group.id {
                key.name.clone()
            } else {
                id.to_owned()
            }
        };
        for rule in &group.rules {
            let rule_key = rule_seen(&key.name, rule, name);
            if self.intended.contains_key(&rule_key) && self.id(&rule_key).is_err() {
                self.note_id(&rule_key, rule.id.clone());
            } else {
                delete_until_gone(self.on_retry(key), async || {
                    self.cloud.delete::<SecurityGroupRule>(&rule.id).await
                })
                .await?;
            }
        }
        Ok(group.id)
    }

    pub(super) async fn create_rule(&self, key: &Key) -> Result<String, ActionError> {
        let Spec::Rule {
            group,
            ingress,
            ipv6,
            proto,
            port,
            peer,
        } = self.spec(key)?
        else {
            return Err(wrong(key));
        };
        if self.actions.get(group) == Some(&Action::Create)
            && let Ok(id) = self.id(key)
        {
            // It came with the group.
            return Ok(id);
        }
        let group_id = self.id(group)?;
        let new = NewSecurityGroupRule {
            security_group_id: group_id.clone(),
            direction: if *ingress { "ingress" } else { "egress" }.to_owned(),
            ethertype: if *ipv6 { "IPv6" } else { "IPv4" }.to_owned(),
            protocol: proto.clone(),
            port_range_min: port.map(|p| p.min.into()),
            port_range_max: port.map(|p| p.max.into()),
            remote_ip_prefix: match peer {
                Peer::Net(net) => Some(net.to_string()),
                _ => None,
            },
            remote_group_id: match peer {
                Peer::Group(group) => Some(self.refer(group)?),
                _ => None,
            },
            description: String::new(),
        };
        // Two names of one group are one to Neutron.
        let same = |rule: &SecurityGroupRule| {
            let name = |id: &str| match peer {
                Peer::Group(other) if new.remote_group_id.as_deref() == Some(id) => {
                    other.text().to_owned()
                }
                _ => id.to_owned(),
            };
            rule_seen(&group.name, rule, name) == *key
        };
        let refusal: Mutex<String> = Mutex::default();
        let make = async || {
            let made = self.cloud.create::<SecurityGroupRule>(&new).await;
            if let Err(e) = &made {
                *refusal.lock() = e.to_string();
            }
            made.map(|rule| CreatedRule::Rule(rule.id))
        };
        // Neutron takes a rule for one that is there, or its answer got lost.
        let find = async || {
            let there: Vec<SecurityGroupRule> =
                self.cloud.list(&[("security_group_id", &group_id)]).await?;
            let refusal = refusal.lock().clone();
            for rule in there.iter().filter(|r| same(r) || refusal.contains(&r.id)) {
                if !self.removes(Kind::Rule, &rule.id) {
                    let id = rule.id.clone();
                    return Ok(Some(if same(rule) {
                        CreatedRule::Rule(id)
                    } else {
                        CreatedRule::InTheWay(id)
                    }));
                }
                // The plan removes it in any case; here that comes first. That its own step finds it gone is fine.
                delete_until_gone(self.on_retry(key), async || {
                    self.cloud.delete::<SecurityGroupRule>(&rule.id).await
                })
                .await?;
            }
            Ok(None)
        };
        match create_once(self.on_retry(key), || {}, make, find).await? {
            CreatedRule::Rule(id) => Ok(id),
            CreatedRule::InTheWay(id) => {
                let message = format!(
                    "Neutron takes it for rule {id} of the same group, which is another one"
                );
                let hint = format!(
                    "`openstack security group rule show {id}`; delete that rule, or change the manifest"
                );
                Err(ActionError {
                    message,
                    hint: Some(hint),
                })
            }
        }
    }

    /// Whether the plan removes what has this id.
    fn removes(&self, kind: Kind, id: &str) -> bool {
        let goes =
            |s: &&Step| matches!(s.action, Action::Remove | Action::Discard) && s.key.kind == kind;
        self.plan
            .steps
            .iter()
            .filter(goes)
            .any(|s| s.id.as_deref() == Some(id))
    }

    pub(super) async fn create_port(&self, key: &Key) -> Result<String, ActionError> {
        let Spec::Port {
            name,
            network,
            addresses,
            groups,
            port_security,
        } = self.spec(key)?
        else {
            return Err(wrong(key));
        };
        let network_id = self.refer(network)?;
        let groups = groups
            .as_ref()
            .map(|g| g.iter().map(|g| self.refer(g)).collect::<Result<_, _>>())
            .transpose()?;
        let new = NewPort {
            fixed_ips: self.fixed(network, &network_id, addresses)?,
            network_id,
            name: name.clone(),
            description: self.mark(key).to_string(),
            security_groups: groups,
            port_security_enabled: *port_security,
            ..NewPort::default()
        };
        let known = self.inventory.ports.iter().map(|p| p.id.as_str()).collect();
        Ok(self
            .marked::<Port>(key, &new, known, |p| &p.description)
            .await?
            .id)
    }

    /// Fixed addresses with their subnets.
    fn fixed(
        &self,
        network: &Ref,
        network_id: &str,
        addresses: &[IpAddr],
    ) -> Result<Vec<FixedIp>, ActionError> {
        let subnet = |address: &IpAddr| -> Result<String, ActionError> {
            let own = self
                .intended
                .values()
                .find_map(|r| match (&r.spec, network) {
                    (
                        Spec::Subnet {
                            network: of, cidr, ..
                        },
                        Ref::Own(key),
                    ) if of == key && cidr.contains(address) => Some(&r.key),
                    _ => None,
                });
            if let Some(key) = own {
                return self.id(key);
            }
            let holds = |s: &&Subnet| {
                s.network_id == network_id
                    && s.cidr
                        .parse::<ipnet::IpNet>()
                        .is_ok_and(|c| c.contains(address))
            };
            let found = self.inventory.subnets.iter().find(holds);
            found.map(|s| s.id.clone()).ok_or_else(|| {
                format!("{address} is in no subnet of network {}", network.text()).into()
            })
        };
        let fixed = |a: &IpAddr| {
            Ok(FixedIp {
                subnet_id: subnet(a)?,
                ip_address: Some(a.to_string()),
            })
        };
        addresses.iter().map(fixed).collect()
    }

    pub(super) async fn create_floating_ip(
        &self,
        key: &Key,
        external: Option<&str>,
        to: Option<&Key>,
    ) -> Result<String, ActionError> {
        let port_id = match to {
            Some(to) => Some(self.floating_port(key, to).await?),
            None => None,
        };
        let new = NewFloatingIp {
            floating_network_id: self.inventory.external(external)?,
            port_id,
            address: None,
            description: self.mark(key).to_string(),
        };
        let known = self
            .inventory
            .floating_ips
            .iter()
            .map(|f| f.id.as_str())
            .collect();
        Ok(self
            .marked::<FloatingIp>(key, &new, known, |f| &f.description)
            .await?
            .id)
    }

    pub(super) async fn change_network_part(
        &self,
        step: &Step,
        id: &str,
    ) -> Result<(), ActionError> {
        let key = &step.key;
        let mut body = serde_json::Map::new();
        let mut set = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        let changed = |field: &str| step.changes.iter().any(|c| c.field == field);
        if changed(OLDER_MARK) {
            set("description", json!(self.mark(key).to_string()));
        }
        match self.spec(key)? {
            Spec::Network { mtu, port_security } => {
                if changed("mtu") {
                    set("mtu", json!(mtu));
                }
                if changed("port security") {
                    set("port_security_enabled", json!(port_security));
                }
            }
            Spec::Subnet {
                gateway,
                dhcp,
                dns,
                pools,
                ..
            } => {
                if changed("gateway") {
                    set("gateway_ip", json!(gateway));
                }
                if changed("dhcp") {
                    set("enable_dhcp", json!(dhcp));
                }
                if changed("dns") {
                    set("dns_nameservers", json!(dns));
                }
                if changed("pools") {
                    set("allocation_pools", json!(self::pools(pools)));
                }
            }
            Spec::Router { external } if changed("external") => {
                let network_id = self.inventory.external(external.as_deref())?;
                set("external_gateway_info", json!({"network_id": network_id}));
            }
            Spec::Port {
                network,
                addresses,
                groups,
                port_security,
                ..
            } => {
                if changed("addresses") {
                    let network_id = self.refer(network)?;
                    set(
                        "fixed_ips",
                        json!(self.fixed(network, &network_id, addresses)?),
                    );
                }
                if changed("security groups") {
                    let groups = groups
                        .iter()
                        .flatten()
                        .map(|g| self.refer(g))
                        .collect::<Result<Vec<_>, _>>()?;
                    set("security_groups", json!(groups));
                }
                if changed("port security") {
                    set("port_security_enabled", json!(port_security));
                }
            }
            Spec::FloatingIp { to, .. } => match to {
                Some(to) => set("port_id", json!(self.floating_port(key, to).await?)),
                None => set("port_id", Value::Null),
            },
            Spec::Router { .. } | Spec::SecurityGroup => {}
            _ => return Err(format!("{key} cannot be changed in place").into()),
        }
        let body = Value::Object(body);
        match key.kind {
            Kind::Network => {
                self.retry_action(key, async || {
                    self.cloud.update::<Network>(id, &body).await.map(drop)
                })
                .await
            }
            Kind::Subnet => {
                self.retry_action(key, async || {
                    self.cloud.update::<Subnet>(id, &body).await.map(drop)
                })
                .await
            }
            Kind::Router => {
                self.retry_action(key, async || {
                    self.cloud.update::<Router>(id, &body).await.map(drop)
                })
                .await
            }
            Kind::SecurityGroup => {
                self.retry_action(key, async || {
                    self.cloud
                        .update::<SecurityGroup>(id, &body)
                        .await
                        .map(drop)
                })
                .await
            }
            Kind::Port => {
                self.retry_action(key, async || {
                    self.cloud.update::<Port>(id, &body).await.map(drop)
                })
                .await
            }
            _ => {
                self.retry_action(key, async || {
                    self.cloud.update::<FloatingIp>(id, &body).await.map(drop)
                })
                .await
            }
        }
    }
}

fn pools(pools: &[(IpAddr, IpAddr)]) -> Vec<Pool> {
    pools
        .iter()
        .map(|(a, b)| Pool {
            start: a.to_string(),
            end: b.to_string(),
        })
        .collect()
}
