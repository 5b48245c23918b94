//! Neutron's rules of security groups, as `neutron/db/securitygroups_db.py` treats them.

use crate::world::{Answer, World};
use serde_json::{Value, json};

/// Collection of the rules.
pub(crate) const RULES: &str = "security-group-rules";

/// Some of Neutron's `IP_PROTOCOL_MAP`.
const PROTOCOLS: [(&str, &str); 10] = [
    ("ah", "51"),
    ("esp", "50"),
    ("gre", "47"),
    ("icmp", "1"),
    ("ipv6-icmp", "58"),
    ("ospf", "89"),
    ("sctp", "132"),
    ("tcp", "6"),
    ("udp", "17"),
    ("vrrp", "112"),
];

impl World {
    /// Has every new group come with these rules, from now on.
    pub fn set_default_rules(&mut self, rules: Vec<Value>) {
        self.default_rules = Some(rules);
    }

    /// Has a rule as an older Neutron or another client left it: nothing is checked or rewritten. Its id.
    pub fn add_rule(&mut self, mut rule: Value) -> String {
        let id = self.new_id();
        rule["id"] = id.clone().into();
        rule["project_id"] = "p1".into();
        self.put(RULES, rule);
        id
    }

    /// The rules of a group.
    pub(crate) fn rules_of(&self, group: &str) -> Value {
        self.all(RULES).filter(|r| r["security_group_id"] == group).cloned().collect()
    }

    /// Makes the rules that a new group comes with.
    pub(crate) fn add_default_rules(&mut self, group: &str) {
        let egress = |ethertype: &str| json!({"direction": "egress", "ethertype": ethertype});
        let rules = self.default_rules.clone().unwrap_or_else(|| vec![egress("IPv4"), egress("IPv6")]);
        for mut rule in rules {
            rule["security_group_id"] = group.into();
            if rule["remote_group_id"] == "PARENT" {
                rule["remote_group_id"] = group.into();
            }
            self.add_rule(rule);
        }
    }

    /// Rewrites a new rule as Neutron does.
    ///
    /// # Errors
    /// Neutron's refusal, if the rule is there.
    pub(crate) fn check_rule(&self, rule: &mut Value) -> Result<(), Answer> {
        rule["protocol"] = match rule["protocol"].as_str() {
            Some("icmp" | "icmpv6") if rule["ethertype"] == "IPv6" => "ipv6-icmp".into(),
            Some("1") if rule["ethertype"] == "IPv6" => "58".into(),
            _ => rule["protocol"].clone(),
        };
        let same = |other: &&Value| sense(other) == sense(rule);
        let Some(id) = self.all(RULES).find(same).and_then(|r| r["id"].as_str()) else { return Ok(()) };
        let message = format!("Security group rule already exists. Rule id is {id}.");
        Err((409, json!({"NeutronError": {"type": "SecurityGroupRuleExists", "message": message, "detail": ""}})))
    }
}

/// What Neutron compares (`_rule_to_key`): address groups are not among it in releases that have them first.
fn sense(rule: &Value) -> Vec<String> {
    let text = |field: &str| rule[field].as_str().map_or_else(|| rule[field].to_string(), str::to_owned);
    let protocol = match text("protocol").as_str() {
        "icmp" | "icmpv6" | "1" if rule["ethertype"] == "IPv6" => "58".to_owned(),
        "icmpv6" => "58".to_owned(),
        other => PROTOCOLS.iter().find(|(name, _)| *name == other).map_or(other, |(_, number)| number).to_owned(),
    };
    let prefix = text("remote_ip_prefix");
    let prefix = if matches!(prefix.as_str(), "0.0.0.0/0" | "::/0") { "null".to_owned() } else { prefix };
    let same = ["direction", "ethertype", "port_range_max", "port_range_min", "remote_group_id", "security_group_id"];
    same.into_iter().map(text).chain([protocol, prefix]).collect()
}
