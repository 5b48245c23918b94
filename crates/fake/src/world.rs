//! What the fake cloud has.

use crate::identity::Caller;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

/// An answer: status and body.
pub(crate) type Answer = (u16, Value);

/// A request, taken apart.
pub(crate) struct Request<'a> {
    pub method: &'a str,
    pub path: Vec<&'a str>,
    pub query: BTreeMap<String, Vec<String>>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Request<'_> {
    /// A parameter of the query; empty if it is not there.
    pub fn query(&self, key: &str) -> String {
        self.query.get(key).and_then(|all| all.last()).cloned().unwrap_or_default()
    }
}

/// All resources, by collection and id.
#[derive(Debug, Default)]
pub struct World {
    collections: BTreeMap<&'static str, BTreeMap<String, Value>>,
    /// When something is ready or gone.
    due: BTreeMap<String, Instant>,
    last: u64,
    /// Who the request is from that is answered.
    pub(crate) caller: Caller,
    /// How long servers take to boot.
    boot: Duration,
    /// How long volumes and load balancers take.
    slow: Duration,
    /// The server that is asked for twice.
    pub(crate) twin: Option<Twin>,
    /// Whether ports may use no MAC address but their own, as with OVN.
    pub(crate) own_mac_alone: bool,
    /// Whether firewall groups take ports of servers, as with ML2/OVS.
    pub(crate) guards_servers: bool,
    /// Whether there are trunks.
    pub(crate) trunks: bool,
    /// Whether ports that are bound can carry none.
    pub(crate) refuses_bound_parents: bool,
    /// Where Cinder makes volumes, wherever they are asked for.
    pub(crate) volume_zone: Option<String>,
    /// How many of the next volumes come to nothing.
    failing_volumes: usize,
    /// Whether a volume is `detaching` for a time.
    pub(crate) detaches_late: bool,
    /// Whether a volume that is `detaching` stays so.
    pub(crate) detach_sticks: bool,
    /// The rules that a new security group comes with, if not Neutron's usual ones.
    pub(crate) default_rules: Option<Vec<Value>>,
    /// Nova's newest microversion.
    pub(crate) nova_speaks: (u32, u32),
    /// How much metadata a server may have.
    pub(crate) metadata_limit: i64,
    /// Octavia's quota.
    pub(crate) balancing_limits: BTreeMap<String, Option<i64>>,
}

/// A server, as far as its host is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booted {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// User data, in base64.
    pub user_data: String,
}

/// A server that a killed run had asked for, too, and who of the two Neutron and Cinder note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// Name of both.
    pub name: String,
    /// Whether the one of the killed run has ports and volumes; else the other one has, which fails all the same.
    pub keeps_ports: bool,
}

/// How long things take unless a test wants it otherwise.
const SLOW: Duration = Duration::from_millis(60);

impl World {
    /// A cloud with an external network, flavors and an image.
    pub fn new() -> Self {
        let mut world = Self { boot: SLOW, slow: SLOW, nova_speaks: (2, 96), metadata_limit: 128, ..Self::default() };
        world.put(
            "networks",
            json!({"id": "ext", "name": "public", "router:external": true, "project_id": "other", "mtu": 1500}),
        );
        world.put("flavors", json!({"id": "1", "name": "m1.nano", "ram": 192, "disk": 1, "vcpus": 1}));
        world.put("flavors", json!({"id": "2", "name": "m1.host", "ram": 1024, "disk": 8, "vcpus": 1}));
        world.put("images", json!({"id": "img", "name": "tiny", "status": "active", "min_disk": 1, "min_ram": 64}));
        for n in ["host-a", "host-b"] {
            world.put("images", json!({"id": n, "name": n, "status": "active", "min_disk": 2, "min_ram": 512}));
        }
        world
    }

    /// Sets how long servers, volumes and load balancers take from now on.
    pub fn take_time(&mut self, slow: Duration) {
        (self.boot, self.slow) = (slow, slow);
    }

    /// All that tests made: everything but what [`World::new`] has.
    pub fn left(&self) -> Vec<String> {
        let kept = ["ext", "1", "2", "img", "host-a", "host-b"];
        let all = self.collections.iter().flat_map(|(c, items)| items.keys().map(move |id| (c, id)));
        all.filter(|(_, id)| !kept.contains(&id.as_str())).map(|(c, id)| format!("{c}/{id}")).collect()
    }

    /// Servers that have booted.
    pub fn booted(&self) -> Vec<Booted> {
        let active = self.all("servers").filter(|s| s["status"] == "ACTIVE" && s["OS-EXT-STS:task_state"].is_null());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let booted =
            |s: &Value| Booted { id: text(&s["id"]), name: text(&s["name"]), user_data: text(&s["user_data"]) };
        active.map(booted).collect()
    }

    /// Sets how long servers take to boot from now on.
    pub fn boots_in(&mut self, time: Duration) {
        self.boot = time;
    }

    /// The next server of that name is there twice.
    pub fn make_twin(&mut self, twin: Twin) {
        self.twin = Some(twin);
    }

    /// Sets a limit of Octavia's quota, under one of its names; -1 is no limit.
    pub fn limit_balancing(&mut self, name: &str, limit: i64) {
        self.balancing_limits.insert(name.to_owned(), Some(limit));
    }

    /// Sets Nova's newest microversion, as 2 and 60.
    pub fn nova_speaks(&mut self, major: u32, minor: u32) {
        self.nova_speaks = (major, minor);
    }

    /// Sets how much metadata a server may have.
    pub fn limit_metadata(&mut self, limit: i64) {
        self.metadata_limit = limit;
    }

    /// Has Cinder make volumes in this zone from now on, wherever they are asked for.
    pub fn make_volumes_in(&mut self, zone: &str) {
        self.volume_zone = Some(zone.to_owned());
    }

    /// Renames a volume type, as an operator does.
    pub fn rename_volume_type(&mut self, from: &str, to: &str) {
        for volume in self.all_mut("volumes").filter(|v| v["volume_type"] == from) {
            volume["volume_type"] = to.into();
        }
    }

    /// Removes a key from the metadata of all of a collection.
    pub fn forget_metadata(&mut self, collection: &str, key: &str) {
        for item in self.all_mut(collection) {
            item["metadata"].as_object_mut().map(|m| m.remove(key));
        }
    }

    /// Sets a field of a resource.
    pub fn set(&mut self, collection: &str, id: &str, field: &str, value: &str) {
        if let Some(item) = self.get_mut(collection, id) {
            item[field] = value.into();
        }
    }

    /// Makes another volume with the metadata of this one, as a restored backup has; its id.
    pub fn copy_volume(&mut self, id: &str) -> String {
        let mut copy = self.get("volumes", id).cloned().unwrap_or_default();
        let id = self.new_id();
        (copy["id"], copy["created_at"]) = (id.clone().into(), self.now().into());
        self.put("volumes", copy);
        id
    }

    /// Has so many of the next volumes end in `error`.
    pub fn fail_volumes(&mut self, count: usize) {
        self.failing_volumes = count;
    }

    /// Has volumes be `detaching` for as long as volumes take, from now on; for ever if `stuck`.
    pub fn detach_late(&mut self, stuck: bool) {
        (self.detaches_late, self.detach_sticks) = (true, stuck);
        if !stuck {
            let waiting: Vec<String> = (self.all("volumes").filter(|v| v["status"] == "detaching"))
                .filter_map(|v| v["id"].as_str().map(str::to_owned))
                .collect();
            waiting.iter().for_each(|id| self.set_due(id));
        }
    }

    /// Has a server end in `ERROR`; `ran` says whether it ran before.
    pub fn break_server(&mut self, name: &str, ran: bool) {
        for server in self.all_mut("servers").filter(|s| s["name"] == name) {
            server["status"] = "ERROR".into();
            server["OS-SRV-USG:launched_at"] = if ran { "2026-01-01T00:00:00".into() } else { Value::Null };
        }
    }

    /// Has ports use no MAC address but their own from now on, as with OVN.
    pub fn own_mac_alone(&mut self) {
        self.own_mac_alone = true;
    }

    /// Has firewall groups take ports of servers from now on, as with ML2/OVS.
    pub fn guards_servers(&mut self) {
        self.guards_servers = true;
    }

    /// Puts something there that nobody asked for, as another client or an administrator may.
    pub fn add(&mut self, collection: &'static str, item: Value) {
        self.put(collection, item);
    }

    /// Makes a QoS policy.
    pub fn add_qos_policy(&mut self, id: &str, name: &str) {
        self.put("policies", json!({"id": id, "name": name}));
    }

    /// A resource as it is now.
    pub fn show(&self, collection: &str, id: &str) -> Option<Value> {
        self.get(collection, id).cloned()
    }

    /// All of a collection as they are now.
    pub fn list_all(&self, collection: &str) -> Vec<Value> {
        self.all(collection).cloned().collect()
    }

    /// All resources with their collections, to be changed behind everybody's back.
    pub fn everything(&mut self) -> Vec<(&'static str, &mut Value)> {
        self.collections.iter_mut().flat_map(|(c, items)| items.values_mut().map(move |item| (*c, item))).collect()
    }

    /// Finds keypairs and object containers, whose ids are names, by those that they have now.
    pub fn by_name_again(&mut self) {
        for collection in ["os-keypairs", "containers"] {
            for (_, mut item) in self.collections.remove(collection).into_iter().flatten() {
                item["id"] = item["name"].clone();
                self.put(collection, item);
            }
        }
    }

    /// How many there are in a collection.
    pub fn count(&self, collection: &str) -> usize {
        self.collections.get(collection).map_or(0, BTreeMap::len)
    }

    pub(crate) fn put(&mut self, collection: &'static str, item: Value) {
        let id = item["id"].as_str().unwrap_or_default().to_owned();
        self.collections.entry(collection).or_default().insert(id, item);
    }

    pub(crate) fn new_id(&mut self) -> String {
        self.last += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", self.last, self.last)
    }

    /// Text that sorts by creation: the time to the second, and a number.
    pub(crate) fn now(&self) -> String {
        format!("{}.{:09}", jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S"), self.last)
    }

    pub(crate) fn all(&self, collection: &str) -> impl Iterator<Item = &Value> {
        self.collections.get(collection).into_iter().flat_map(BTreeMap::values)
    }

    pub(crate) fn all_mut(&mut self, collection: &str) -> impl Iterator<Item = &mut Value> {
        self.collections.get_mut(collection).into_iter().flat_map(BTreeMap::values_mut)
    }

    pub(crate) fn get(&self, collection: &str, id: &str) -> Option<&Value> {
        self.collections.get(collection)?.get(id)
    }

    pub(crate) fn get_mut(&mut self, collection: &str, id: &str) -> Option<&mut Value> {
        self.collections.get_mut(collection)?.get_mut(id)
    }

    pub(crate) fn take(&mut self, collection: &str, id: &str) -> Option<Value> {
        self.collections.get_mut(collection)?.remove(id)
    }

    pub(crate) fn set_due(&mut self, id: &str) {
        let booting = self.get("servers", id).is_some_and(|s| s["status"] == "BUILD");
        self.due.insert(id.to_owned(), Instant::now() + if booting { self.boot } else { self.slow });
    }

    /// Brings servers, volumes and load balancers to where they are by now.
    pub(crate) fn tick(&mut self) {
        let now = Instant::now();
        let ready: Vec<String> = self.due.iter().filter(|(_, t)| **t <= now).map(|(id, _)| id.clone()).collect();
        for id in ready {
            self.due.remove(&id);
            let fails = self.failing_volumes > 0;
            if let Some(server) = self.get_mut("servers", &id) {
                if server["status"] == "DELETED" {
                    self.take("servers", &id);
                } else if server["OS-EXT-STS:task_state"] == "deleting" {
                    // As Nova shows it while it tidies up after it.
                    server["status"] = "DELETED".into();
                    server["OS-EXT-STS:task_state"] = Value::Null;
                    self.set_due(&id);
                    for port in self.all_mut("ports").filter(|p| p["device_id"] == id.as_str()) {
                        port["device_id"] = "".into();
                        port["device_owner"] = "".into();
                    }
                    for volume in self.all_mut("volumes") {
                        if volume["attachments"][0]["server_id"] == id.as_str() {
                            volume["attachments"] = json!([]);
                            volume["status"] = "available".into();
                        }
                    }
                } else if server["status"] == "BUILD" {
                    server["status"] = "ACTIVE".into();
                    server["OS-SRV-USG:launched_at"] = "2026-01-01T00:00:00".into();
                }
            } else if let Some(balancer) = self.get_mut("loadbalancers", &id) {
                match balancer["provisioning_status"].as_str() {
                    Some("PENDING_DELETE") => self.balancer_gone(&id),
                    _ => balancer["provisioning_status"] = "ACTIVE".into(),
                }
            } else if let Some(volume) = self.get_mut("volumes", &id) {
                match volume["status"].as_str() {
                    Some("deleting") => drop(self.take("volumes", &id)),
                    Some("creating") if fails => {
                        volume["status"] = "error".into();
                        self.failing_volumes -= 1;
                    }
                    Some("creating") => volume["status"] = "available".into(),
                    Some("attaching") => volume["status"] = "in-use".into(),
                    Some("detaching") => {
                        volume["status"] = "available".into();
                        volume["attachments"] = json!([]);
                    }
                    _ => {}
                }
            }
        }
    }

    /// An address of a subnet that no port has.
    pub(crate) fn free_address(&self, subnet: &Value) -> Option<String> {
        let (base, prefix) = subnet["cidr"].as_str()?.split_once('/')?;
        let ips = self.all("ports").filter_map(|p| p["fixed_ips"].as_array()).flatten();
        let taken: HashSet<&str> = ips.filter_map(|ip| ip["ip_address"].as_str()).collect();
        let is_free = |address: &String| !taken.contains(address.as_str());
        if let Ok(base) = base.parse::<Ipv6Addr>() {
            return (50..0xffff).map(|n| Ipv6Addr::from(u128::from(base) + n).to_string()).find(is_free);
        }
        let base = u32::from(base.parse::<Ipv4Addr>().ok()?);
        let hosts = 1u32 << 32u32.checked_sub(prefix.parse().ok()?)?;
        (50..hosts - 1).map(|n| Ipv4Addr::from(base + n).to_string()).find(is_free)
    }

    /// Lists a collection, filtered by what the query names.
    pub(crate) fn list(&self, collection: &str, request: &Request<'_>) -> Answer {
        // Nova and Cinder list a project's own, also for administrators; Neutron lists to these what all have.
        let is_projects = matches!(collection, "servers" | "volumes" | "os-server-groups");
        let fits = |item: &&Value| {
            let others = is_projects && item.get("project_id").is_some_and(|p| *p != self.caller.project.as_str());
            !others
                && request.query.iter().all(|(k, any)| match item.get(k) {
                    // Nova's names are regular expressions.
                    Some(Value::String(has)) if k == "name" => any.iter().any(|v| *has == v.trim_matches(['^', '$'])),
                    Some(Value::String(has)) => any.contains(has),
                    _ => true,
                })
        };
        (
            200,
            json!({(collection.replace('-', "_").replace("os_", "")): self.all(collection).filter(fits).collect::<Vec<_>>()}),
        )
    }
}

pub(crate) fn refuse(status: u16, message: &str) -> Answer {
    (status, json!({"error": {"message": message, "code": status}}))
}
