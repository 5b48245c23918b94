//! Cinder.

use crate::world::{Answer, Request, World, refuse};
use serde_json::{Value, json};

impl World {
    pub(crate) fn volume(&mut self, request: &Request<'_>) -> Answer {
        match (request.method, &request.path[1..]) {
            ("GET", ["limits"]) => {
                (200, json!({"limits": {"absolute": {"maxTotalVolumes": -1, "totalVolumesUsed": 0}}}))
            }
            ("GET", ["volumes", "detail"]) => self.list("volumes", request),
            ("POST", ["volumes"]) => {
                let mut volume = request.body["volume"].clone();
                let image = volume["imageRef"].as_str().and_then(|id| self.get("images", id));
                if image.is_some_and(|i| volume["size"].as_u64() < i["min_disk"].as_u64()) {
                    return refuse(400, "Volume size cannot be smaller than the image minDisk size");
                }
                let id = self.new_id();
                volume["id"] = id.clone().into();
                volume["status"] = "creating".into();
                volume["created_at"] = self.now().into();
                volume["attachments"] = json!([]);
                volume["project_id"] = self.caller.project.clone().into();
                if let Some(zone) = &self.volume_zone {
                    volume["availability_zone"] = zone.clone().into();
                }
                self.put("volumes", volume.clone());
                self.set_due(&id);
                (202, json!({"volume": volume}))
            }
            ("GET", ["volumes", id]) => match self.get("volumes", id) {
                Some(volume) => (200, json!({"volume": volume})),
                None => refuse(404, "no such volume"),
            },
            ("DELETE", ["volumes", id]) => match self.get_mut("volumes", id) {
                None => refuse(404, "no such volume"),
                Some(volume) if matches!(volume["status"].as_str(), Some("available" | "error")) => {
                    volume["status"] = "deleting".into();
                    self.set_due(id);
                    (202, Value::Null)
                }
                Some(_) => refuse(400, "a volume that is attached or busy cannot be removed"),
            },
            ("POST", ["volumes", id, "action"]) => match self.get_mut("volumes", id) {
                None => refuse(404, "no such volume"),
                Some(volume) => {
                    volume["size"] = request.body["os-extend"]["new_size"].clone();
                    (202, Value::Null)
                }
            },
            ("POST", ["volumes", id, "metadata"]) => match self.get_mut("volumes", id) {
                Some(volume) => {
                    for (key, value) in request.body["metadata"].as_object().into_iter().flatten() {
                        volume["metadata"][key] = value.clone();
                    }
                    (200, json!({"metadata": volume["metadata"]}))
                }
                None => refuse(404, "no such volume"),
            },
            _ => refuse(404, "no such call"),
        }
    }

    /// Nova's list of a server's volumes: with those that come and those that go.
    pub(crate) fn attachments(&self, server: &str) -> Answer {
        if self.get("servers", server).is_none() {
            return refuse(404, "no such server");
        }
        let has = |v: &&Value| v["attachments"].as_array().into_iter().flatten().any(|a| a["server_id"] == server);
        let all = self.all("volumes").filter(has).map(|v| json!({"volumeId": v["id"], "serverId": server}));
        (200, json!({"volumeAttachments": all.collect::<Vec<_>>()}))
    }

    pub(crate) fn attach(&mut self, server: &str, volume: &str) -> Answer {
        if self.get("servers", server).is_none_or(|s| s["status"] != "ACTIVE") {
            return refuse(409, "the server is not active");
        }
        match self.get_mut("volumes", volume) {
            None => refuse(404, "no such volume"),
            Some(item) if item["status"] != "available" => refuse(400, "the volume is not available"),
            Some(item) => {
                item["status"] = "attaching".into();
                item["attachments"] = json!([{"server_id": server}]);
                self.set_due(volume);
                (200, json!({}))
            }
        }
    }

    pub(crate) fn detach(&mut self, volume: &str) -> Answer {
        let (takes_time, sticks) = (self.detaches_late, self.detach_sticks);
        match self.get_mut("volumes", volume) {
            Some(item) if item["status"] == "in-use" && takes_time => {
                item["status"] = "detaching".into();
                if !sticks {
                    self.set_due(volume);
                }
                (202, Value::Null)
            }
            Some(item) if item["status"] == "in-use" => {
                item["status"] = "available".into();
                item["attachments"] = json!([]);
                (202, Value::Null)
            }
            _ => refuse(404, "not attached"),
        }
    }
}
