//! Nova and Glance.

use crate::world::{Answer, Request, Twin, World, refuse};
use serde_json::{Value, json};

/// Since when servers are created with tags.
const TAGS: (u32, u32) = (2, 52);
/// Since when a server group has one policy in place of a list.
const POLICY: (u32, u32) = (2, 64);

/// The microversion that a request is in; the oldest if it says none.
fn microversion(request: &Request<'_>) -> (u32, u32) {
    let said = request.headers.get("x-openstack-nova-api-version").and_then(|v| v.split_once('.'));
    said.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?))).unwrap_or((2, 1))
}

/// Reads a new group's policy as this microversion writes it.
fn take_policy(group: &mut Value, version: (u32, u32)) -> Option<Answer> {
    let (needed, other) = if version < POLICY { ("policies", "policy") } else { ("policy", "policies") };
    if group.get(needed).is_none() || group.get(other).is_some() {
        return Some(refuse(400, &format!("'{needed}' is a required property")));
    }
    if let Some(first) = group.get("policies").map(|all| all[0].clone()) {
        group.as_object_mut().into_iter().for_each(|g| drop(g.remove("policies")));
        group["policy"] = first;
    }
    None
}

/// Shows a group's policy as this microversion does.
fn tell_policy(group: &mut Value, version: (u32, u32)) {
    if version < POLICY
        && let Some(policy) = group.as_object_mut().and_then(|g| g.remove("policy"))
    {
        group["policies"] = json!([policy]);
    }
}

impl World {
    pub(crate) fn image(&mut self, request: &Request<'_>) -> Answer {
        self.list("images", request)
    }

    pub(crate) fn compute(&mut self, request: &Request<'_>) -> Answer {
        let body = &request.body;
        let version = microversion(request);
        if version > self.nova_speaks {
            return refuse(406, "that microversion is not supported");
        }
        match (request.method, request.path.as_slice()) {
            ("GET", []) => {
                let (major, minor) = self.nova_speaks;
                (200, json!({"version": {"id": "v2.1", "version": format!("{major}.{minor}"), "min_version": "2.1"}}))
            }
            ("GET", ["limits"]) => {
                let limits =
                    json!({"maxTotalInstances": -1, "totalInstancesUsed": 0, "maxServerMeta": self.metadata_limit});
                (200, json!({"limits": {"absolute": limits}}))
            }
            ("GET", ["flavors", "detail"]) => self.list("flavors", request),
            ("GET", ["servers", "detail"]) => self.list("servers", request),
            ("POST", ["servers"]) if body["server"].get("tags").is_some() && version < TAGS => {
                refuse(400, "Additional properties are not allowed ('tags' was unexpected)")
            }
            ("POST", ["servers"]) => self.create_server(&body["server"], &body["os:scheduler_hints"]),
            ("GET", ["servers", id]) => match self.get("servers", id) {
                Some(server) => (200, json!({"server": server})),
                None => refuse(404, "no such server"),
            },
            ("DELETE", ["servers", id]) => match self.get_mut("servers", id) {
                Some(server) => {
                    server["OS-EXT-STS:task_state"] = "deleting".into();
                    self.set_due(id);
                    (204, Value::Null)
                }
                None => refuse(404, "no such server"),
            },
            ("PUT", ["servers", id, what @ ("metadata" | "tags")]) => match self.get_mut("servers", id) {
                Some(server) => {
                    server[*what] = body[*what].clone();
                    (200, body.clone())
                }
                None => refuse(404, "no such server"),
            },
            ("POST", ["servers", id, "metadata"]) => match self.get_mut("servers", id) {
                Some(server) => {
                    for (key, value) in body["metadata"].as_object().into_iter().flatten() {
                        server["metadata"][key] = value.clone();
                    }
                    (200, body.clone())
                }
                None => refuse(404, "no such server"),
            },
            // Join commands do what is asked of them.
            ("POST", ["servers", id, "action"]) => match self.get("servers", id) {
                Some(server) if server["status"] == "ACTIVE" => (202, json!({"output": "stackyard: join: DONE"})),
                _ => (202, json!({"output": "booting"})),
            },
            ("POST", ["servers", id, "os-volume_attachments"]) => {
                let volume = body["volumeAttachment"]["volumeId"].as_str().unwrap_or_default().to_owned();
                self.attach(id, &volume)
            }
            ("GET", ["servers", id, "os-volume_attachments"]) => self.attachments(id),
            ("DELETE", ["servers", _, "os-volume_attachments", volume]) => self.detach(volume),
            ("GET", ["os-keypairs"]) => {
                // A user's, whatever the project.
                let own = self.all("os-keypairs").filter(|k| k["user_id"] == self.caller.user.as_str());
                let all: Vec<Value> = own.map(|k| json!({"keypair": k})).collect();
                (200, json!({"keypairs": all}))
            }
            ("POST", ["os-keypairs"]) => {
                let mut pair = body["keypair"].clone();
                let id = self.keypair_id(pair["name"].as_str().unwrap_or_default());
                (pair["id"], pair["user_id"]) = (id.clone().into(), self.caller.user.clone().into());
                if self.get("os-keypairs", &id).is_some() {
                    return refuse(409, "that key is there");
                }
                self.put("os-keypairs", pair.clone());
                (200, json!({"keypair": pair}))
            }
            ("GET", ["os-keypairs", name]) => match self.get("os-keypairs", &self.keypair_id(name)) {
                Some(pair) => (200, json!({"keypair": pair})),
                None => refuse(404, "no such key"),
            },
            ("GET", ["os-server-groups"]) => {
                let (status, mut answer) = self.list("os-server-groups", request);
                answer["server_groups"].as_array_mut().into_iter().flatten().for_each(|g| tell_policy(g, version));
                (status, answer)
            }
            ("POST", ["os-server-groups"]) => {
                let mut group = body["server_group"].clone();
                if let Some(refused) = take_policy(&mut group, version) {
                    return refused;
                }
                group["id"] = self.new_id().into();
                group["members"] = json!([]);
                group["project_id"] = self.caller.project.clone().into();
                self.put("os-server-groups", group.clone());
                tell_policy(&mut group, version);
                (200, json!({"server_group": group}))
            }
            ("DELETE", ["os-keypairs", name]) => match self.take("os-keypairs", &self.keypair_id(name)) {
                Some(_) => (204, Value::Null),
                None => refuse(404, "not found"),
            },
            ("DELETE", ["os-server-groups", id]) => match self.take("os-server-groups", id) {
                Some(_) => (204, Value::Null),
                None => refuse(404, "not found"),
            },
            _ => refuse(404, "no such call"),
        }
    }

    /// Keypairs of two users may have one name.
    fn keypair_id(&self, name: &str) -> String {
        if self.caller.user == "u" { name.to_owned() } else { format!("{}:{name}", self.caller.user) }
    }

    fn create_server(&mut self, new: &Value, hints: &Value) -> Answer {
        if !self.fits_metadata(&new["metadata"]) {
            return refuse(400, "Invalid input for field/attribute metadata");
        }
        let id = self.new_id();
        let ports: Vec<String> = (new["networks"].as_array().into_iter().flatten())
            .filter_map(|n| n["port"].as_str().map(str::to_owned))
            .collect();
        if ports.iter().any(|p| self.get("ports", p).is_none_or(|p| p["device_id"] != "")) {
            return refuse(400, "a port is not there, or in use");
        }
        for port in &ports {
            if let Some(port) = self.get_mut("ports", port) {
                port["device_id"] = id.clone().into();
                port["device_owner"] = "compute:nova".into();
            }
        }
        let mut volumes = Vec::new();
        let disks = new["block_device_mapping_v2"].as_array().into_iter().flatten();
        for disk in disks.filter(|d| d["source_type"] == "volume") {
            let volume = disk["uuid"].as_str().unwrap_or_default();
            let Some(item) = self.get_mut("volumes", volume).filter(|v| v["status"] == "available") else {
                return refuse(400, "the volume is not available");
            };
            item["status"] = "in-use".into();
            item["attachments"] = json!([{"server_id": id}]);
            volumes.push(json!({"id": volume}));
        }
        let flavor = self.get("flavors", new["flavorRef"].as_str().unwrap_or_default()).cloned();
        let server = json!({
            "id": id, "name": new["name"], "status": "BUILD", "metadata": new["metadata"], "created": self.now(),
            "tags": new.get("tags").cloned().unwrap_or(json!([])), "key_name": new["key_name"],
            "flavor": {"original_name": flavor.unwrap_or_default()["name"]}, "OS-EXT-AZ:availability_zone": "nova",
            "project_id": self.caller.project, "config_drive": "", "user_data": new["user_data"], "os-extended-volumes:volumes_attached": volumes, "OS-EXT-STS:task_state": null,
            "OS-SRV-USG:launched_at": null,
        });
        // Nova tells a server's group only of single servers, but a group's servers always.
        if let Some(group) = hints["group"].as_str().and_then(|g| self.get_mut("os-server-groups", g))
            && let Some(members) = group["members"].as_array_mut()
        {
            members.push(id.clone().into());
        }
        if let Some(twin) = self.twin.take_if(|t| new["name"] == t.name.as_str()) {
            self.put_twin(&server, &twin);
        } else {
            self.put("servers", server);
        }
        self.set_due(&id);
        (202, json!({"server": {"id": id}}))
    }

    fn fits_metadata(&self, metadata: &Value) -> bool {
        let all = metadata.as_object();
        let is_key = |c: char| c.is_ascii_alphanumeric() || "-_:. ".contains(c);
        let fits = |(key, value): (&String, &Value)| {
            (1..=255).contains(&key.len())
                && key.chars().all(is_key)
                && value.as_str().is_some_and(|text| text.chars().count() <= 255)
        };
        let few = all.map_or(0, serde_json::Map::len);
        i64::try_from(few).is_ok_and(|few| few <= self.metadata_limit) && all.into_iter().flatten().all(fits)
    }

    /// Keeps a server that fails, and beside it the one that a killed run had asked for.
    fn put_twin(&mut self, server: &Value, twin: &Twin) {
        let (mut failed, mut other) = (server.clone(), server.clone());
        failed["status"] = "ERROR".into();
        let id = self.new_id();
        other["id"] = id.clone().into();
        if twin.keeps_ports {
            for port in self.all_mut("ports").filter(|p| p["device_id"] == failed["id"]) {
                port["device_id"] = id.clone().into();
            }
            for volume in self.all_mut("volumes").filter(|v| v["attachments"][0]["server_id"] == failed["id"]) {
                volume["attachments"][0]["server_id"] = id.clone().into();
            }
        }
        self.put("servers", failed);
        self.put("servers", other);
        self.set_due(&id);
    }
}
