//! Open vSwitch of this host, through its database (ovs-vswitchd.conf.db(5)).

use crate::Error;
use crate::ovsdb::{Ovsdb, map, read_map, read_uuid, uuid};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Key of an interface's `external_ids` that says whose it is.
const OWNER: &str = "stackyard-owner";

/// The kind of QoS that has Open vSwitch leave a link's limits alone. It removes them otherwise, whoever made them,
/// whenever anything of the switch changes.
const NOOP: &str = "linux-noop";
/// What tells the row of that kind that all ports here refer to from those of others.
const NOOP_IDS: [(&str, &str); 1] = [(OWNER, "all")];

/// What moves a bridge's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datapath {
    /// The kernel's module.
    Kernel,
    /// `ovs-vswitchd` itself: no hardware, and no trust in checksums left for it.
    UserSpace,
}

/// What wires ports on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// `ovn-controller`.
    Ovn,
    /// `neutron-openvswitch-agent`.
    NeutronAgent,
}

/// A port to put on a bridge.
#[derive(Debug, Clone, Copy)]
pub struct SwitchPort<'a> {
    /// The bridge's name.
    pub bridge: &'a str,
    /// The link.
    pub device: &'a str,
    /// The Neutron port's id, by which the controller knows it.
    pub port: &'a str,
    /// The Neutron port's MAC address.
    pub mac: &'a str,
    /// Whose it is, for [`Switch::owned`].
    pub owner: &'a str,
    /// Further `external_ids`, for others that know the port by them.
    pub ids: &'a [(&'a str, &'a str)],
}

/// A port that somebody has put on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugged {
    /// The link.
    pub device: String,
    /// The Neutron port's id.
    pub port: String,
    /// Why the switch could not take the link, if so.
    pub error: Option<String>,
}

/// Open vSwitch of this host.
#[derive(Debug, Clone)]
pub struct Switch {
    db: Ovsdb,
    /// The row of QoS that ports here refer to, once it was seen.
    noop: Arc<Mutex<Option<String>>>,
}

impl Switch {
    /// The one with this database.
    pub fn new(db: Ovsdb) -> Self {
        Self { db, noop: Arc::default() }
    }

    /// The host's name as Neutron knows it: what `ovn-controller` registers its chassis with, where it has
    /// written one down.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Refused`]; so for all methods.
    pub fn host_name(&self) -> Result<Option<String>, Error> {
        Ok(self.own_ids()?.remove("hostname"))
    }

    /// Who wires ports on this host.
    pub fn controller(&self) -> Result<Controller, Error> {
        Ok(if self.own_ids()?.contains_key("ovn-remote") { Controller::Ovn } else { Controller::NeutronAgent })
    }

    fn own_ids(&self) -> Result<std::collections::BTreeMap<String, String>, Error> {
        let operation = json!({"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["external_ids"]});
        let results = self.db.transact("read its own ids", vec![operation])?;
        Ok(first(&results, 0).map(|row| read_map(&row["external_ids"])).unwrap_or_default())
    }

    /// What moves a bridge's packets.
    ///
    /// # Errors
    /// [`Error::NoBridge`], too.
    pub fn datapath(&self, bridge: &str) -> Result<Datapath, Error> {
        let operation = select("Bridge", "name", bridge, &["datapath_type"]);
        let results = self.db.transact(&format!("look up bridge {bridge}"), vec![operation])?;
        let row = first(&results, 0).ok_or_else(|| Error::NoBridge { bridge: bridge.to_owned() })?;
        Ok(if row["datapath_type"] == "netdev" { Datapath::UserSpace } else { Datapath::Kernel })
    }

    /// Puts a link on a bridge, for a Neutron port. One that is there for that port stays as it is; one that
    /// is there for another is handed over, one that is on another bridge moves. The switch leaves the link's limits
    /// alone ([`crate::limit`]).
    ///
    /// # Errors
    /// [`Error::NoBridge`], too.
    pub fn add(&self, port: &SwitchPort<'_>) -> Result<(), Error> {
        let doing = format!("add {} to bridge {}", port.device, port.bridge);
        let mut ids = vec![
            ("iface-id", port.port),
            ("attached-mac", port.mac),
            ("iface-status", "active"),
            ("vm-uuid", port.port),
            (OWNER, port.owner),
        ];
        ids.extend(port.ids);
        let known = self.noop().clone();
        if let Some(noop) = known
            && self.add_new(&doing, port, &ids, &noop)?
        {
            return Ok(());
        }
        let look = vec![
            select("Bridge", "name", port.bridge, &["_uuid"]),
            select("Port", "name", port.device, &["_uuid"]),
            select("Interface", "name", port.device, &["external_ids"]),
            json!({"op": "select", "table": "QoS", "columns": ["_uuid"],
                   "where": [["type", "==", NOOP], ["external_ids", "includes", map(NOOP_IDS)]]}),
        ];
        let seen = self.db.transact(&doing, look)?;
        if first(&seen, 0).is_none() {
            return Err(Error::NoBridge { bridge: port.bridge.to_owned() });
        }
        let mut operations = Vec::new();
        if let Some(old) = first(&seen, 1).and_then(|row| read_uuid(&row["_uuid"])) {
            if self.is_on(&doing, port.bridge, old)? {
                let has = first(&seen, 2).map(|row| read_map(&row["external_ids"])).unwrap_or_default();
                if ids.iter().all(|(key, value)| has.get(*key).is_some_and(|v| v == value)) {
                    return Ok(());
                }
                let operation = json!({"op": "update", "table": "Interface",
                                       "where": [["name", "==", port.device]], "row": {"external_ids": map(ids.iter().copied())}});
                return self.db.transact(&doing, vec![operation]).map(drop);
            }
            operations.push(detach(old));
        }
        let noop = match first(&seen, 3).and_then(|row| read_uuid(&row["_uuid"])) {
            Some(there) => {
                *self.noop() = Some(there.to_owned());
                uuid(there)
            }
            None => {
                operations.push(json!({"op": "insert", "table": "QoS", "uuid-name": "noop",
                                       "row": {"type": NOOP, "external_ids": map(NOOP_IDS)}}));
                json!(["named-uuid", "noop"])
            }
        };
        operations.extend(insert(port, &ids, &noop));
        self.db.transact(&doing, operations).map(drop)
    }

    /// Puts a link on a bridge in one transaction, if it is on none, and the bridge and that row of QoS are there.
    fn add_new(&self, doing: &str, port: &SwitchPort<'_>, ids: &[(&str, &str)], noop: &str) -> Result<bool, Error> {
        let nowhere = json!({"op": "wait", "timeout": 0, "table": "Port", "where": [["name", "==", port.device]],
                             "columns": ["name"], "until": "==", "rows": []});
        let operations = [vec![nowhere], insert(port, ids, &uuid(noop))].concat();
        match self.db.transact(doing, operations) {
            // A port on no bridge vanishes by itself.
            Ok(results) => Ok(results.get(3).is_some_and(|mutated| mutated["count"] == 1)),
            Err(Error::Refused { .. }) => {
                *self.noop() = None;
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    fn noop(&self) -> MutexGuard<'_, Option<String>> {
        self.noop.lock()
    }

    fn is_on(&self, doing: &str, bridge: &str, port: &str) -> Result<bool, Error> {
        let operation = json!({"op": "select", "table": "Bridge", "columns": ["_uuid"],
                               "where": [["name", "==", bridge], ["ports", "includes", uuid(port)]]});
        Ok(first(&self.db.transact(doing, vec![operation])?, 0).is_some())
    }

    /// Takes a link off its bridge; whether it was on one.
    pub fn remove(&self, device: &str) -> Result<bool, Error> {
        let doing = format!("remove {device}");
        let seen = self.db.transact(&doing, vec![select("Port", "name", device, &["_uuid"])])?;
        let Some(id) = first(&seen, 0).and_then(|row| read_uuid(&row["_uuid"])) else { return Ok(false) };
        // Ports and interfaces that nothing refers to vanish by themselves.
        self.db.transact(&doing, vec![detach(id)])?;
        Ok(true)
    }

    /// Whether a link is on any bridge.
    pub fn has(&self, device: &str) -> Result<bool, Error> {
        let results = self.db.transact("look up a port", vec![select("Port", "name", device, &["_uuid"])])?;
        Ok(first(&results, 0).is_some())
    }

    /// All ports of an owner.
    pub fn owned(&self, owner: &str) -> Result<Vec<Plugged>, Error> {
        let operation = json!({"op": "select", "table": "Interface",
                               "where": [["external_ids", "includes", map([(OWNER, owner)])]],
                               "columns": ["name", "external_ids", "error"]});
        let results = self.db.transact("list the ports of an owner", vec![operation])?;
        let rows = results.first().and_then(|r| r["rows"].as_array()).cloned().unwrap_or_default();
        let plugged = rows.iter().filter_map(|row| {
            let port = read_map(&row["external_ids"]).remove("iface-id")?;
            let error = row["error"].as_str().map(str::to_owned);
            Some(Plugged { device: row["name"].as_str()?.to_owned(), port, error })
        });
        Ok(plugged.collect())
    }

    /// Waits until the controller has wired a port.
    ///
    /// OVN says so in `external_ids:ovn-installed`; Neutron's own agent gives the port its VLAN, 4095 being
    /// that of what is not wired yet.
    ///
    /// # Errors
    /// [`Error::NotReady`], too.
    pub fn wait_wired(&self, controller: Controller, device: &str, port: &str, limit: Duration) -> Result<(), Error> {
        match controller {
            Controller::Ovn => {
                let installed = json!([
                    ["name", "==", device],
                    ["external_ids", "includes", map([("iface-id", port), ("ovn-installed", "true")])]
                ]);
                self.wait(device, port, limit, "Interface", &installed, &["name"], "==", &json!({"name": device}))
            }
            Controller::NeutronAgent => {
                let it = json!([["name", "==", device]]);
                for not_yet in [json!({"tag": ["set", []]}), json!({"tag": 4095})] {
                    self.wait(device, port, limit, "Port", &it, &["tag"], "!=", &not_yet)?;
                }
                Ok(())
            }
        }
    }

    /// The operation `wait` (RFC 7047, section 5.2.6): the database answers as soon as the rows are, or are
    /// no longer, these.
    #[expect(clippy::too_many_arguments, reason = "they are the operation's own")]
    fn wait(
        &self,
        device: &str,
        port: &str,
        limit: Duration,
        table: &str,
        rows_where: &Value,
        columns: &[&str],
        until: &str,
        row: &Value,
    ) -> Result<(), Error> {
        let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let operation = json!({"op": "wait", "timeout": milliseconds, "table": table, "where": rows_where,
                               "columns": columns, "until": until, "rows": [row]});
        // The database keeps the time; the socket's is for one that is gone.
        match self.db.transact_within("wait for a port", vec![operation], limit + Duration::from_secs(5)) {
            Ok(_) => Ok(()),
            Err(Error::Refused { said, .. }) if said.starts_with("timed out") => {
                Err(Error::NotReady { port: port.to_owned(), limit, state: self.state(device)? })
            }
            Err(e) => Err(e),
        }
    }

    /// What there is of an interface that is not wired.
    fn state(&self, device: &str) -> Result<String, Error> {
        let operation = select("Interface", "name", device, &["ofport", "error"]);
        let results = self.db.transact("look up an interface", vec![operation])?;
        Ok(match first(&results, 0) {
            None => format!("{device} is on no bridge"),
            Some(row) => match (row["error"].as_str(), row["ofport"].as_i64()) {
                (Some(error), _) => format!("Open vSwitch could not take {device}: {error}"),
                (None, Some(number)) if number > 0 => format!(
                    "{device} is number {number} of the bridge, but nothing has wired it; does ovn-controller (or \
                     neutron-openvswitch-agent) run here, and is this the host the port is bound to?"
                ),
                _ => format!("Open vSwitch has not taken {device} yet; does ovs-vswitchd run?"),
            },
        })
    }
}

/// Makes a port and puts it on its bridge.
fn insert(port: &SwitchPort<'_>, ids: &[(&str, &str)], noop: &Value) -> Vec<Value> {
    vec![
        json!({"op": "insert", "table": "Interface", "uuid-name": "interface",
               "row": {"name": port.device, "external_ids": map(ids.iter().copied())}}),
        json!({"op": "insert", "table": "Port", "uuid-name": "port",
               "row": {"name": port.device, "interfaces": ["named-uuid", "interface"], "qos": noop}}),
        json!({"op": "mutate", "table": "Bridge", "where": [["name", "==", port.bridge]],
               "mutations": [["ports", "insert", ["named-uuid", "port"]]]}),
    ]
}

/// Takes a port off every bridge.
fn detach(port: &str) -> Value {
    json!({"op": "mutate", "table": "Bridge", "where": [["ports", "includes", uuid(port)]],
           "mutations": [["ports", "delete", uuid(port)]]})
}

fn select(table: &str, column: &str, value: &str, columns: &[&str]) -> Value {
    json!({"op": "select", "table": table, "where": [[column, "==", value]], "columns": columns})
}

/// The first row of a selection.
fn first(results: &[Value], operation: usize) -> Option<&Value> {
    results.get(operation)?.get("rows")?.get(0)
}
