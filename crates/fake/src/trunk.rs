//! Neutron's trunks.

use crate::world::{Answer, World, refuse};
use serde_json::{Value, json};

impl World {
    /// Neutron has trunks from now on.
    pub fn has_trunks(&mut self) {
        self.trunks = true;
    }

    /// Has trunks on ports that are bound refused from now on, as some network drivers do.
    pub fn refuses_bound_parents(&mut self) {
        self.refuses_bound_parents = true;
    }

    /// A trunk that is to be made of `item`; its subports must be such.
    pub(crate) fn check_trunk(&mut self, item: &mut Value) -> Result<(), Answer> {
        let port = item["port_id"].as_str().unwrap_or_default().to_owned();
        if self.get("ports", &port).is_none() {
            return Err(refuse(404, "no such port"));
        }
        if self.refuses_bound_parents || self.all("trunks").any(|t| t["port_id"] == port.as_str()) {
            return Err(refuse(409, "Port is currently in use and is not eligible for use as a parent port"));
        }
        item["status"] = "ACTIVE".into();
        if item["sub_ports"].is_null() {
            item["sub_ports"] = json!([]);
        }
        Ok(())
    }

    /// Adds subports to a trunk or takes them out: all or none.
    pub(crate) fn subports(&mut self, trunk: &str, action: &str, body: &Value) -> Answer {
        let Some(before) = self.get("trunks", trunk).cloned() else { return refuse(404, "no such trunk") };
        let mut all = before["sub_ports"].as_array().cloned().unwrap_or_default();
        let asked = body["sub_ports"].as_array().cloned().unwrap_or_default();
        let ids: Vec<String> = asked.iter().map(|s| s["port_id"].as_str().unwrap_or_default().to_owned()).collect();
        if action == "remove_subports" {
            if ids.iter().any(|id| all.iter().all(|s| s["port_id"] != id.as_str())) {
                return refuse(404, "SubPort could not be found in the trunk");
            }
            all.retain(|s| !ids.iter().any(|id| s["port_id"] == id.as_str()));
            self.own(&ids, "");
        } else {
            for new in asked {
                let Some(port) = self.get("ports", new["port_id"].as_str().unwrap_or_default()) else {
                    return refuse(404, "no such port");
                };
                // neutron, `services/trunk/rules.py`: `check_not_in_use`, `TrunkPortValidator.validate`.
                let is_used = port["device_id"].as_str().is_some_and(|d| !d.is_empty());
                let mut everywhere = self.all("trunks").filter_map(|t| t["sub_ports"].as_array()).flatten();
                if is_used || everywhere.any(|s| s["port_id"] == new["port_id"]) {
                    return refuse(409, "the port is in use");
                }
                if !(1..=4094).contains(&new["segmentation_id"].as_u64().unwrap_or_default()) {
                    return refuse(400, "the segmentation id is not in range");
                }
                if all.iter().any(|s| s["segmentation_id"] == new["segmentation_id"]) {
                    return refuse(409, "segmentation_type vlan and segmentation_id are in use on the trunk");
                }
                all.push(new);
            }
            self.own(&ids, "trunk:subport");
        }
        if let Some(trunk) = self.get_mut("trunks", trunk) {
            trunk["sub_ports"] = all.into();
        }
        (200, self.get("trunks", trunk).cloned().unwrap_or_default())
    }

    /// What has been in a trunk that is gone is nobody's.
    pub(crate) fn trunk_gone(&mut self, trunk: &Value) {
        let ids = trunk["sub_ports"].as_array().into_iter().flatten().filter_map(|s| s["port_id"].as_str());
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        self.own(&ids, "");
    }

    /// Whether a port carries a trunk or is in one.
    pub(crate) fn is_trunked(&self, port: &str) -> bool {
        self.all("trunks").any(|t| {
            let mut inside = t["sub_ports"].as_array().into_iter().flatten();
            t["port_id"] == port || inside.any(|s| s["port_id"] == port)
        })
    }

    fn own(&mut self, ports: &[String], owner: &str) {
        for id in ports {
            if let Some(port) = self.get_mut("ports", id) {
                port["device_owner"] = owner.into();
            }
        }
    }
}
