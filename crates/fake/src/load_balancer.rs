//! Octavia with OVN's provider: a balancer that changes refuses further changes; health monitors
//! are not made with it.

use crate::world::{Answer, Request, World, refuse};
use serde_json::{Value, json};

/// Collections of parts with the key around one.
const PARTS: [(&str, &str); 3] = [("listeners", "listener"), ("pools", "pool"), ("healthmonitors", "healthmonitor")];

impl World {
    pub(crate) fn load_balancer(&mut self, request: &Request<'_>) -> Answer {
        let path = &request.path[1..];
        match (request.method, path) {
            ("GET", ["providers"]) => (200, json!({"providers": [{"name": "ovn", "description": "OVN"}]})),
            ("GET", ["quotas", _]) => (200, json!({"quota": self.balancing_limits})),
            ("GET", ["loadbalancers"]) => self.list("loadbalancers", request),
            ("GET", ["loadbalancers", id]) => match self.get("loadbalancers", id) {
                Some(balancer) => (200, json!({"loadbalancer": balancer})),
                None => refuse(404, "no such load balancer"),
            },
            ("POST", ["loadbalancers"]) => self.create_balancer(&request.body["loadbalancer"]),
            ("PUT", ["loadbalancers", id]) => match self.get_mut("loadbalancers", id) {
                Some(balancer) => {
                    balancer["description"] = request.body["loadbalancer"]["description"].clone();
                    (200, json!({"loadbalancer": balancer}))
                }
                None => refuse(404, "no such load balancer"),
            },
            ("DELETE", ["loadbalancers", id]) => self.delete_balancer(id),
            ("GET", ["pools", pool, "members"]) => match self.get("pools", pool) {
                Some(pool) => (200, json!({"members": pool["members"]})),
                None => refuse(404, "no such pool"),
            },
            ("PUT", ["pools", pool, "members"]) => {
                let mut members = self.members(&request.body["members"]);
                if request.query("additive_only") == "true" {
                    let others = self.get("pools", pool).and_then(|p| p["members"].as_array()).cloned();
                    let place = |m: &Value| (m["address"].clone(), m["protocol_port"].clone());
                    let new: Vec<_> = members.as_array().into_iter().flatten().map(place).collect();
                    let kept = others.into_iter().flatten().filter(|m| !new.contains(&place(m)));
                    members.as_array_mut().into_iter().for_each(|all| all.extend(kept.clone()));
                }
                self.change("pools", pool, &json!({"members": members})).unwrap_or((202, Value::Null))
            }
            ("DELETE", ["pools", pool, "members", member]) => {
                let before = self.get("pools", pool).and_then(|p| p["members"].as_array()).cloned().unwrap_or_default();
                let left: Vec<Value> = before.iter().filter(|m| m["id"] != *member).cloned().collect();
                match left.len() == before.len() {
                    true => refuse(404, "no such member"),
                    false => self.change("pools", pool, &json!({"members": left})).unwrap_or((204, Value::Null)),
                }
            }
            (method, [collection, rest @ ..]) => match PARTS.into_iter().find(|(c, _)| c == collection) {
                Some((collection, one)) => self.part(method, collection, one, rest.first().copied(), request),
                None => refuse(404, "no such collection"),
            },
            _ => refuse(404, "no such call"),
        }
    }

    fn part(
        &mut self,
        method: &str,
        collection: &'static str,
        one: &str,
        id: Option<&str>,
        request: &Request<'_>,
    ) -> Answer {
        match (method, id) {
            ("GET", None) => self.list(collection, request),
            ("GET", Some(id)) => match self.get(collection, id) {
                Some(part) => (200, json!({one: part})),
                None => refuse(404, "not found"),
            },
            ("POST", None) => self.create_part(collection, one, request.body[one].clone()),
            ("PUT", Some(id)) => match self.change(collection, id, &request.body[one]) {
                Some(refusal) => refusal,
                None => (200, json!({one: self.get(collection, id)})),
            },
            ("DELETE", Some(id)) => self.delete_part(collection, id),
            _ => refuse(405, "not that way"),
        }
    }

    fn members(&mut self, wanted: &Value) -> Value {
        let wanted = wanted.as_array().cloned().unwrap_or_default();
        wanted
            .into_iter()
            .map(|mut member| {
                member["id"] = self.new_id().into();
                member
            })
            .collect()
    }

    fn create_balancer(&mut self, new: &Value) -> Answer {
        let subnet = self.get("subnets", new["vip_subnet_id"].as_str().unwrap_or_default()).cloned();
        let Some(subnet) = subnet else { return refuse(400, "no such subnet") };
        let parts: Vec<Value> = new["listeners"].as_array().cloned().unwrap_or_default();
        if parts.iter().any(|l| l["default_pool"]["lb_algorithm"] != "SOURCE_IP_PORT") {
            return refuse(501, "OVN provider does not support that algorithm");
        }
        let network = &subnet["network_id"];
        let wanted = new["vip_address"].as_str().map(str::to_owned);
        let Some(address) = wanted.or_else(|| self.free_address(&subnet)) else {
            return refuse(409, "no address is free");
        };
        let taken = |p: &Value| p["network_id"] == *network && p["fixed_ips"][0]["ip_address"] == address.as_str();
        if self.all("ports").any(taken) {
            return refuse(409, "that address is in use");
        }
        let (id, port, now) = (self.new_id(), self.new_id(), self.now());
        self.put(
            "ports",
            json!({"id": port, "network_id": network, "project_id": self.caller.project, "created_at": now,
            "device_id": format!("lb-{id}"), "device_owner": "Octavia", "security_groups": [],
            "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": address}]}),
        );
        for listener in parts {
            let (of, pool) = (json!([{"id": id}]), self.new_id());
            let made = json!({"id": pool, "name": listener["default_pool"]["name"], "loadbalancers": of,
                "lb_algorithm": listener["default_pool"]["lb_algorithm"], "provisioning_status": "ACTIVE",
                "members": self.members(&listener["default_pool"]["members"])});
            self.put("pools", made);
            let made = json!({"id": self.new_id(), "name": listener["name"], "loadbalancers": of,
                "protocol": listener["protocol"], "protocol_port": listener["protocol_port"],
                "default_pool_id": pool, "provisioning_status": "ACTIVE"});
            self.put("listeners", made);
        }
        let balancer = json!({"id": id, "name": new["name"], "description": new["description"], "project_id": self.caller.project,
            "provisioning_status": "PENDING_CREATE", "operating_status": "ONLINE", "provider": "ovn",
            "vip_address": address, "vip_port_id": port, "vip_network_id": network, "vip_subnet_id": subnet["id"],
            "created_at": now});
        self.put("loadbalancers", balancer.clone());
        self.set_due(&id);
        (201, json!({"loadbalancer": balancer}))
    }

    fn delete_balancer(&mut self, id: &str) -> Answer {
        match self.get_mut("loadbalancers", id) {
            None => refuse(404, "no such load balancer"),
            Some(b) if !matches!(b["provisioning_status"].as_str(), Some("ACTIVE" | "ERROR")) => {
                refuse(409, "the load balancer is immutable and cannot be updated")
            }
            Some(balancer) => {
                balancer["provisioning_status"] = "PENDING_DELETE".into();
                self.set_due(id);
                (204, Value::Null)
            }
        }
    }

    /// Takes a balancer away with its port and parts.
    pub(crate) fn balancer_gone(&mut self, id: &str) {
        self.take_where("ports", "device_id", &format!("lb-{id}"));
        for (collection, _) in PARTS {
            let of: Vec<String> = self
                .all(collection)
                .filter(|p| self.balancer_of(collection, p).as_deref() == Some(id))
                .filter_map(|p| p["id"].as_str().map(str::to_owned))
                .collect();
            // Monitors are found by their pools.
            if collection == "pools" {
                of.iter().for_each(|pool| self.monitors_gone(pool));
            }
            of.iter().for_each(|part| drop(self.take(collection, part)));
        }
        self.take("loadbalancers", id);
    }

    fn monitors_gone(&mut self, pool: &str) {
        let of = |m: &&Value| m["pools"][0]["id"] == pool;
        let ids: Vec<String> =
            self.all("healthmonitors").filter(of).filter_map(|m| m["id"].as_str().map(str::to_owned)).collect();
        ids.iter().for_each(|id| drop(self.take("healthmonitors", id)));
    }

    fn balancer_of(&self, collection: &str, part: &Value) -> Option<String> {
        if collection == "healthmonitors" {
            let pool = self.get("pools", part["pools"][0]["id"].as_str()?)?;
            return self.balancer_of("pools", pool);
        }
        part["loadbalancers"][0]["id"].as_str().map(str::to_owned)
    }

    /// Begins a change of a balancer, or refuses it.
    fn lock(&mut self, balancer: Option<String>) -> Option<Answer> {
        let Some(id) = balancer else { return Some(refuse(404, "no such load balancer")) };
        match self.get_mut("loadbalancers", &id) {
            None => Some(refuse(404, "no such load balancer")),
            Some(b) if b["provisioning_status"] != "ACTIVE" => {
                Some(refuse(409, "the load balancer is immutable and cannot be updated"))
            }
            Some(balancer) => {
                balancer["provisioning_status"] = "PENDING_UPDATE".into();
                self.set_due(&id);
                None
            }
        }
    }

    fn create_part(&mut self, collection: &'static str, one: &str, mut new: Value) -> Answer {
        let text = |field: &str| new[field].as_str().map(str::to_owned);
        let (listener, pool) = (text("listener_id"), text("pool_id"));
        let balancer = match collection {
            "listeners" => text("loadbalancer_id"),
            "pools" => listener.as_ref().and_then(|l| self.balancer_of("listeners", self.get("listeners", l)?)),
            _ => pool.as_ref().and_then(|p| self.balancer_of("pools", self.get("pools", p)?)),
        };
        let twice = match collection {
            "listeners" => self.all("listeners").any(|l| {
                l["loadbalancers"][0]["id"].as_str() == balancer.as_deref()
                    && (&l["protocol"], &l["protocol_port"]) == (&new["protocol"], &new["protocol_port"])
            }),
            "pools" => listener
                .as_ref()
                .and_then(|l| self.get("listeners", l))
                .is_some_and(|l| l["default_pool_id"].is_string()),
            _ => self.all("healthmonitors").any(|m| m["pools"][0]["id"].as_str() == pool.as_deref()),
        };
        if twice {
            return refuse(409, "there is one already");
        }
        if let Some(refusal) = self.lock(balancer.clone()) {
            return refusal;
        }
        let id = self.new_id();
        new["id"] = id.clone().into();
        new["provisioning_status"] = "ACTIVE".into();
        match collection {
            "healthmonitors" => new["pools"] = json!([{"id": pool}]),
            _ => new["loadbalancers"] = json!([{"id": balancer}]),
        }
        if collection == "pools" {
            new["members"] = json!([]);
            if let Some(listener) = listener.and_then(|l| self.get_mut("listeners", &l)) {
                listener["default_pool_id"] = id.into();
            }
        }
        self.put(collection, new.clone());
        (201, json!({one: new}))
    }

    /// Changes a part, unless its balancer refuses.
    fn change(&mut self, collection: &'static str, id: &str, fields: &Value) -> Option<Answer> {
        let Some(part) = self.get(collection, id) else { return Some(refuse(404, "not found")) };
        let balancer = self.balancer_of(collection, part);
        if let Some(refusal) = self.lock(balancer) {
            return Some(refusal);
        }
        if let (Some(Value::Object(part)), Some(fields)) = (self.get_mut(collection, id), fields.as_object()) {
            part.extend(fields.clone());
        }
        None
    }

    fn delete_part(&mut self, collection: &'static str, id: &str) -> Answer {
        if let Some(refusal) = self.change(collection, id, &Value::Null) {
            return refusal;
        }
        if collection == "pools" {
            self.monitors_gone(id);
            for listener in self.all_mut("listeners").filter(|l| l["default_pool_id"] == id) {
                listener["default_pool_id"] = Value::Null;
            }
        }
        self.take(collection, id);
        (204, Value::Null)
    }
}
