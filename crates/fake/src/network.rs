//! Neutron.

use crate::world::{Answer, Request, World, refuse};
use serde_json::{Value, json};

const COLLECTIONS: [(&str, &str); 9] = [
    ("networks", "network"),
    ("subnets", "subnet"),
    ("subnetpools", "subnetpool"),
    ("routers", "router"),
    ("ports", "port"),
    ("security-groups", "security_group"),
    ("security-group-rules", "security_group_rule"),
    ("floatingips", "floatingip"),
    ("trunks", "trunk"),
];

impl World {
    pub(crate) fn network(&mut self, request: &Request<'_>) -> Answer {
        let path = &request.path;
        if path[0] == "quotas" {
            return (200, json!({"quota": {"port": {"limit": -1, "used": 0, "reserved": 0}}}));
        }
        if path[0] == "fwaas" {
            return self.firewall(&path[1..], request);
        }
        if path[0] == "extensions" {
            let trunk = self.trunks.then_some("trunk");
            let all = ["standard-attr-tag", "tag-creation", "qos"].into_iter().chain(trunk);
            let all: Vec<Value> = all.map(|alias| json!({"alias": alias})).collect();
            return (200, json!({"extensions": all}));
        }
        if path[0] == "trunks" && !self.trunks {
            return refuse(404, "no such collection");
        }
        if path[0] == "qos" {
            return self.qos(&path[1..], request);
        }
        let Some((collection, one)) = COLLECTIONS.into_iter().find(|(c, _)| *c == path[0]) else {
            return refuse(404, "no such collection");
        };
        let refuses_foreign = self.own_mac_alone;
        match (request.method, path.len()) {
            ("GET", 1) if collection == "security-groups" => self.groups(request),
            ("GET", 1) => self.list(collection, request),
            ("POST", 1) if request.body[collection.replace('-', "_")].is_array() => {
                self.create_many(collection, one, &request.body)
            }
            ("POST", 1) => self.create_network_part(collection, one, request.body[one].clone()),
            (_, 3 | 4) if path[2] == "tags" => self.tag(collection, request),
            ("POST", 3) if path[2] == "port_forwardings" => self.forward(path[1], &request.body["port_forwarding"]),
            ("DELETE", 4) if path[2] == "port_forwardings" => match self.take("port_forwardings", path[3]) {
                Some(_) => (204, Value::Null),
                None => refuse(404, "no such forwarding"),
            },
            ("PUT", 3) if collection == "trunks" => self.subports(path[1], path[2], &request.body),
            ("PUT", 3) => self.interface(path[1], path[2], &request.body),
            ("GET", 2) => match self.get(collection, path[1]) {
                Some(item) => (200, json!({one: item})),
                None => refuse(404, "not found"),
            },
            ("PUT", 2) => match self.get_mut(collection, path[1]) {
                Some(item) if refuses_foreign && has_foreign_mac(item, &request.body[one]) => refuse(
                    400,
                    "Virtual MAC address in allowed address pair does not belong to the RFC 5798 VRRP virtual MAC ranges",
                ),
                Some(item) if has_pairs_without_security(item, &request.body[one]) => {
                    refuse(409, "Port Security must be enabled in order to have allowed address pairs on a port.")
                }
                Some(item) if is_another(item, request) => refuse(412, "the revision number is another one"),
                Some(item) => {
                    item["revision_number"] = (item["revision_number"].as_i64().unwrap_or_default() + 1).into();
                    if let (Some(item), Some(change)) = (item.as_object_mut(), request.body[one].as_object()) {
                        item.extend(change.clone());
                    }
                    if collection == "ports" {
                        bind(item);
                    }
                    (200, json!({one: self.get(collection, path[1])}))
                }
                None => refuse(404, "not found"),
            },
            ("DELETE", 2) => self.delete_network_part(collection, path[1]),
            _ => refuse(405, "not that way"),
        }
    }

    /// FWaaS v2 with a driver that takes ports of routers, and those of servers where [`World::guards_servers`] says so.
    fn firewall(&mut self, path: &[&str], request: &Request<'_>) -> Answer {
        const GROUPS: &str = "firewall_groups";
        let body = &request.body["firewall_group"];
        let refused = body["ports"].as_array().into_iter().flatten().find_map(|id| {
            let port = self.get("ports", id.as_str().unwrap_or_default());
            let Some(port) = port else { return Some(refuse(404, "no such port")) };
            let owner = port["device_owner"].as_str().unwrap_or_default();
            let takes = owner == "network:router_interface" || (self.guards_servers && owner.starts_with("compute:"));
            let said = json!({"NeutronError": {"type": "FirewallGroupPortNotSupported", "message":
                "Port is not supported by firewall driver 'fwaas_db'", "detail": ""}});
            (!takes).then_some((409, said))
        });
        match (request.method, path) {
            _ if path.first() != Some(&GROUPS) => refuse(404, "no such collection"),
            ("GET", [_]) => self.list(GROUPS, request),
            ("POST", [_]) => {
                let mut group = body.clone();
                let id = self.new_id();
                (group["id"], group["project_id"], group["revision_number"]) =
                    (id.into(), self.caller.project.clone().into(), 0.into());
                if !group["ports"].is_array() {
                    group["ports"] = json!([]);
                }
                self.put(GROUPS, group.clone());
                (201, json!({"firewall_group": group}))
            }
            ("GET" | "PUT", [_, id]) => match (self.get_mut(GROUPS, id), refused) {
                (None, _) => refuse(404, "no such group"),
                (Some(group), _) if request.method == "GET" => (200, json!({"firewall_group": group})),
                (_, Some(refused)) => refused,
                (Some(group), None) if is_another(group, request) => refuse(412, "the revision number is another one"),
                (Some(group), None) => {
                    group["ports"] = body["ports"].clone();
                    group["revision_number"] = (group["revision_number"].as_i64().unwrap_or_default() + 1).into();
                    (200, json!({"firewall_group": group}))
                }
            },
            _ => refuse(405, "not that way"),
        }
    }

    fn qos(&mut self, path: &[&str], request: &Request<'_>) -> Answer {
        const POLICIES: &str = "policies";
        match (request.method, path) {
            ("GET", [POLICIES]) => self.list(POLICIES, request),
            ("POST", [POLICIES]) => {
                let mut policy = request.body["policy"].clone();
                (policy["id"], policy["project_id"], policy["rules"]) =
                    (self.new_id().into(), self.caller.project.clone().into(), json!([]));
                self.put(POLICIES, policy.clone());
                (201, json!({"policy": policy}))
            }
            ("POST", [POLICIES, id, "bandwidth_limit_rules"]) => match self.get_mut(POLICIES, id) {
                Some(policy) => {
                    let mut rule = request.body["bandwidth_limit_rule"].clone();
                    rule["type"] = "bandwidth_limit".into();
                    policy["rules"].as_array_mut().into_iter().for_each(|rules| rules.push(rule.clone()));
                    (201, json!({"bandwidth_limit_rule": rule}))
                }
                None => refuse(404, "no such policy"),
            },
            ("GET", [POLICIES, id]) => match self.get(POLICIES, id) {
                Some(policy) => (200, json!({"policy": policy})),
                None => refuse(404, "no such policy"),
            },
            ("DELETE", [POLICIES, id]) if self.all("ports").any(|p| p["qos_policy_id"] == *id) => {
                refuse(409, "it is in use")
            }
            ("DELETE", [POLICIES, id]) => match self.take(POLICIES, id) {
                Some(_) => (204, Value::Null),
                None => refuse(404, "no such policy"),
            },
            _ => refuse(404, "no such collection"),
        }
    }

    /// All or none.
    fn create_many(&mut self, collection: &'static str, one: &str, body: &Value) -> Answer {
        let many = collection.replace('-', "_");
        let mut made: Vec<Value> = Vec::new();
        for item in body[&many].as_array().into_iter().flatten() {
            match self.create_network_part(collection, one, item.clone()) {
                (201, mut answer) => made.push(answer[one].take()),
                refused => {
                    made.iter().filter_map(|m| m["id"].as_str()).for_each(|id| drop(self.take(collection, id)));
                    return refused;
                }
            }
        }
        (201, json!({many: made}))
    }

    fn tag(&mut self, collection: &'static str, request: &Request<'_>) -> Answer {
        let tag = request.path.get(3).map(|t| t.replace("%3A", ":"));
        let Some(item) = self.get_mut(collection, request.path[1]) else { return refuse(404, "not found") };
        let before = item["tags"].as_array().cloned().unwrap_or_default();
        let has = tag.as_deref().is_some_and(|tag| before.iter().any(|t| t == tag));
        let others = before.iter().filter(|t| t.as_str() != tag.as_deref()).cloned();
        item["tags"] = match (request.method, tag.as_deref()) {
            ("PUT", None) => request.body["tags"].clone(),
            ("PUT", Some(tag)) => others.chain([json!(tag)]).collect(),
            ("DELETE", Some(_)) if has => others.collect(),
            _ => return refuse(404, "no such tag"),
        };
        (if request.method == "PUT" { 200 } else { 204 }, Value::Null)
    }

    fn groups(&self, request: &Request<'_>) -> Answer {
        let (status, mut body) = self.list("security-groups", request);
        for group in body["security_groups"].as_array_mut().into_iter().flatten() {
            group["security_group_rules"] = self.rules_of(group["id"].as_str().unwrap_or_default());
        }
        (status, body)
    }

    fn has(&self, collection: &str, id: &Value) -> bool {
        id.as_str().is_some_and(|id| self.get(collection, id).is_some())
    }

    fn create_network_part(&mut self, collection: &'static str, one: &str, mut item: Value) -> Answer {
        let id = self.new_id();
        item["id"] = id.clone().into();
        item["project_id"] = self.caller.project.clone().into();
        item["created_at"] = self.now().into();
        item["revision_number"] = 1.into();
        match collection {
            "subnets" => {
                if !self.has("networks", &item["network_id"]) {
                    return refuse(404, "no such network");
                }
                let same = |s: &Value| s["network_id"] == item["network_id"] && s["cidr"] == item["cidr"];
                if item["cidr"].is_string() && self.all("subnets").any(same) {
                    return refuse(400, "Requested subnet overlaps with another subnet");
                }
                item["enable_dhcp"] = true.into();
                if !item["gateway_ip"].is_string() {
                    let base = item["cidr"].as_str().unwrap_or_default().split('/').next().unwrap_or_default();
                    let first = match base.rsplit_once('.') {
                        Some((net, _)) => format!("{net}.1"),
                        None => format!("{base}1"),
                    };
                    item["gateway_ip"] = first.into();
                }
            }
            "networks" if item.get("port_security_enabled").is_none() => item["port_security_enabled"] = true.into(),
            "subnetpools" => {
                let v6 = item["prefixes"][0].as_str().is_some_and(|p| p.contains(':'));
                item["ip_version"] = if v6 { 6 } else { 4 }.into();
            }
            "ports" => {
                if !self.has("networks", &item["network_id"]) {
                    return refuse(404, "no such network");
                }
                if item.get("port_security_enabled").is_none_or(Value::is_null) {
                    let network = item["network_id"].as_str().and_then(|id| self.get("networks", id));
                    item["port_security_enabled"] = network.is_none_or(|n| n["port_security_enabled"] != false).into();
                }
                let groups = item["security_groups"].as_array().is_some_and(|g| !g.is_empty());
                if groups && item["port_security_enabled"] == false {
                    return refuse(
                        400,
                        "Port security must be enabled and port must have an IP address in order to use security groups.",
                    );
                }
                if item["qos_policy_id"].as_str().is_some_and(|id| self.get("policies", id).is_none()) {
                    return refuse(404, "no such QoS policy");
                }
                if let Err(refused) = self.give_addresses(&mut item) {
                    return refused;
                }
                let mac = item["mac_address"].clone();
                let same = |p: &Value| p["network_id"] == item["network_id"] && p["mac_address"] == mac;
                if mac.is_string() && self.all("ports").any(same) {
                    return refuse(409, "that MAC address is in use");
                }
                if item.get("mac_address").is_none() {
                    item["mac_address"] = format!("fa:16:3e:00:00:{:02x}", self.count("ports")).into();
                }
                bind(&mut item);
                for (field, value) in [
                    ("device_id", json!("")),
                    ("device_owner", json!("")),
                    ("allowed_address_pairs", json!([])),
                    ("security_groups", json!([])),
                    ("status", json!("ACTIVE")),
                ] {
                    if item.get(field).is_none() {
                        item[field] = value;
                    }
                }
            }
            "security-group-rules" => {
                if !self.has("security-groups", &item["security_group_id"]) {
                    return refuse(404, "no such security group");
                }
                if let Err(refused) = self.check_rule(&mut item) {
                    return refused;
                }
            }
            "trunks" => {
                if let Err(refused) = self.check_trunk(&mut item) {
                    return refused;
                }
            }
            "floatingips" => {
                item["floating_ip_address"] = format!("203.0.113.{}", self.count(collection) + 1).into();
                if let Some(port) = item["port_id"].as_str().map(str::to_owned)
                    && !self.is_routed(&port)
                {
                    return refuse(404, "the external network is not reachable from the port's subnet");
                }
                if item.get("port_id").is_none() {
                    item["port_id"] = Value::Null;
                }
            }
            _ => {}
        }
        self.put(collection, item);
        if collection == "security-groups" {
            self.add_default_rules(&id);
            let rules = self.rules_of(&id);
            let mut group = self.get(collection, &id).cloned().unwrap_or_default();
            group["security_group_rules"] = rules;
            return (201, json!({one: group}));
        }
        (201, json!({one: self.get(collection, &id)}))
    }

    /// Gives a port the addresses it wants, or one of its network's first subnet.
    fn give_addresses(&self, port: &mut Value) -> Result<(), Answer> {
        let mut wanted = port["fixed_ips"].as_array().cloned().unwrap_or_default();
        if wanted.is_empty() {
            wanted.push(json!({}));
        }
        for ip in &mut wanted {
            let address = ip["ip_address"].clone();
            let of_network = |s: &&Value| s["network_id"] == port["network_id"];
            let is_taken = |p: &Value| {
                let ips = p["fixed_ips"].as_array().into_iter().flatten();
                p["network_id"] == port["network_id"] && ips.into_iter().any(|i| i["ip_address"] == address)
            };
            if address.is_null() {
                let asked = ip["subnet_id"].clone();
                let subnet = self.all("subnets").filter(of_network).find(|s| asked.is_null() || s["id"] == asked);
                let Some(subnet) = subnet else { return Err(refuse(409, "no subnet yet")) };
                let Some(free) = self.free_address(subnet) else { return Err(refuse(409, "no address is free")) };
                *ip = json!({"subnet_id": subnet["id"], "ip_address": free});
            } else if self.all("ports").any(is_taken) {
                return Err(refuse(409, "that address is in use"));
            }
        }
        port["fixed_ips"] = wanted.into();
        Ok(())
    }

    fn forward(&mut self, floating_ip: &str, wanted: &Value) -> Answer {
        match self.get("floatingips", floating_ip) {
            None => return refuse(404, "no such floating IP"),
            Some(ip) if ip["port_id"].is_string() => return refuse(409, "it leads to a port as a whole"),
            Some(_) => {}
        }
        let same = |f: &Value| {
            f["floatingip_id"] == floating_ip
                && f["external_port"] == wanted["external_port"]
                && f["protocol"] == wanted["protocol"]
        };
        if self.all("port_forwardings").any(same) {
            return refuse(400, "that port leads somewhere already");
        }
        let mut item = wanted.clone();
        item["id"] = self.new_id().into();
        item["floatingip_id"] = floating_ip.into();
        self.put("port_forwardings", item.clone());
        (201, json!({"port_forwarding": item}))
    }

    fn is_routed(&self, port: &str) -> bool {
        let Some(port) = self.get("ports", port) else { return false };
        let subnet = &port["fixed_ips"][0]["subnet_id"];
        self.all("ports")
            .any(|p| p["device_owner"] == "network:router_interface" && p["fixed_ips"][0]["subnet_id"] == *subnet)
    }

    fn interface(&mut self, router: &str, action: &str, body: &Value) -> Answer {
        let subnet = body["subnet_id"].as_str().unwrap_or_default().to_owned();
        if self.get("routers", router).is_none() || self.get("subnets", &subnet).is_none() {
            return refuse(404, "no such router or subnet");
        }
        let is = |p: &&Value| {
            p["device_id"] == router
                && p["device_owner"] == "network:router_interface"
                && p["fixed_ips"][0]["subnet_id"] == subnet.as_str()
        };
        let port = self.all("ports").find(is).and_then(|p| p["id"].as_str()).map(str::to_owned);
        match (action, port) {
            ("add_router_interface", Some(_)) => refuse(400, "Router already has a port on subnet"),
            ("add_router_interface", None) => {
                let (id, now) = (self.new_id(), self.now());
                let subnet_item = self.get("subnets", &subnet).cloned().unwrap_or_default();
                self.put(
                    "ports",
                    json!({"id": id, "network_id": subnet_item["network_id"], "project_id": self.caller.project, "created_at": now,
                    "device_id": router, "device_owner": "network:router_interface", "security_groups": [],
                    "fixed_ips": [{"subnet_id": subnet, "ip_address": subnet_item["gateway_ip"]}]}),
                );
                (200, json!({"port_id": id}))
            }
            (_, None) => refuse(404, "no interface there"),
            (_, Some(port)) => {
                let needed = self
                    .all("floatingips")
                    .filter_map(|f| f["port_id"].as_str())
                    .any(|p| self.get("ports", p).is_some_and(|p| p["fixed_ips"][0]["subnet_id"] == subnet.as_str()));
                if needed {
                    return refuse(409, "a floating IP needs it");
                }
                self.take("ports", &port);
                (200, json!({}))
            }
        }
    }

    fn delete_network_part(&mut self, collection: &'static str, id: &str) -> Answer {
        let Some(item) = self.get(collection, id) else { return refuse(404, "not found") };
        let in_use = match collection {
            "subnetpools" => self.all("subnets").any(|s| s["subnetpool_id"] == id),
            "networks" => self.all("ports").any(|p| p["network_id"] == id),
            "subnets" => self.all("ports").any(|p| p["fixed_ips"][0]["subnet_id"] == id),
            "routers" => self.all("ports").any(|p| p["device_id"] == id),
            "ports" => item["device_owner"] == "network:router_interface" || self.is_trunked(id),
            "floatingips" => self.all("port_forwardings").any(|f| f["floatingip_id"] == id),
            "security-groups" => {
                self.all("ports").any(|p| p["security_groups"].as_array().is_some_and(|g| g.iter().any(|g| g == id)))
            }
            _ => false,
        };
        if in_use {
            return refuse(409, "it is in use");
        }
        let gone = self.take(collection, id).unwrap_or_default();
        match collection {
            "trunks" => self.trunk_gone(&gone),
            "ports" => {
                self.take_where("port_forwardings", "internal_port_id", id);
                for group in self.all_mut("firewall_groups") {
                    group["ports"]
                        .as_array_mut()
                        .into_iter()
                        .for_each(|ports| ports.retain(|p| p.as_str() != Some(id)));
                }
                for ip in self.all_mut("floatingips").filter(|f| f["port_id"] == id) {
                    ip["port_id"] = Value::Null;
                }
            }
            "networks" => self.take_where("subnets", "network_id", id),
            "security-groups" => self.take_where("security-group-rules", "security_group_id", id),
            _ => {}
        }
        (204, Value::Null)
    }

    pub(crate) fn take_where(&mut self, collection: &str, field: &str, is: &str) {
        let ids: Vec<String> = self
            .all(collection)
            .filter(|s| s[field] == is)
            .filter_map(|s| s["id"].as_str().map(str::to_owned))
            .collect();
        ids.iter().for_each(|id| drop(self.take(collection, id)));
    }
}

/// Whether a change of a port lets it use a MAC address that is not its own.
fn has_foreign_mac(port: &Value, change: &Value) -> bool {
    let mut pairs = change["allowed_address_pairs"].as_array().into_iter().flatten();
    pairs.any(|p| p["mac_address"].is_string() && p["mac_address"] != port["mac_address"])
}

/// Whether a change would leave a port with pairs and without port security (`AddressPairAndPortSecurityRequired`).
fn has_pairs_without_security(port: &Value, change: &Value) -> bool {
    let then = |field: &str| change.get(field).unwrap_or(&port[field]).clone();
    then("port_security_enabled") == false && then("allowed_address_pairs").as_array().is_some_and(|p| !p.is_empty())
}

/// Whether a request is for another revision of a resource (`If-Match: revision_number=N`).
fn is_another(item: &Value, request: &Request<'_>) -> bool {
    let wanted = request.headers.get("if-match").and_then(|v| v.strip_prefix("revision_number="));
    wanted.is_some_and(|n| item["revision_number"].as_i64() != n.parse().ok())
}

/// Binds a port to the host it names: Open vSwitch's, but for the host `nowhere`, which has no agent.
fn bind(port: &mut Value) {
    let vif_type = match port["binding:host_id"].as_str() {
        None | Some("") => "unbound",
        Some("nowhere") => "binding_failed",
        Some(host) if host.starts_with("linuxbridge") => "bridge",
        Some(_) => "ovs",
    };
    port["binding:vif_type"] = vif_type.into();
    port["binding:vif_details"] = if vif_type == "ovs" { json!({"bridge_name": "br-int"}) } else { json!({}) };
}
