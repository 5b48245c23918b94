//! Servers and volumes of a yard.

use super::{CONFIG_DRIVE, DOUBLE, FLAVOR, IMAGE, Observer, TYPE, USER_DATA, ZONE, asked};
use crate::host_service::DATA;
use jiff::civil::DateTime;
use stackyard_core::yard::observed::{COPY, DISK_STAYS, Fields, NO_DATA, Seen, State, Value};
use stackyard_core::yard::words::Size;
use stackyard_core::yard::{Key, Kind, Mark};
use stackyard_openstack::{Server, Volume};
use std::collections::HashMap;

impl Observer<'_> {
    pub(super) fn volumes(&self, resources: &mut Vec<Seen>) {
        let created = |v: &Volume| v.created_at.trim_end_matches('Z').parse::<DateTime>().ok();
        let mut first: HashMap<&Key, DateTime> = HashMap::new();
        for v in &self.all.volumes {
            if let (Some(key), Some(at)) = (self.keys.get(v.id.as_str()), created(v)) {
                let oldest = first.entry(key).or_insert(at);
                *oldest = at.min(*oldest);
            }
        }
        for v in &self.all.volumes {
            let mut fields = Fields::from([("size", Size(v.size).into())]);
            for (field, asked, has) in [
                ("type", TYPE, v.volume_type.as_ref()),
                ("image", IMAGE, None),
                ("availability zone", ZONE, v.availability_zone.as_ref()),
            ] {
                let wanted = self.wanted(&v.id, field);
                fields.extend(
                    asked::field(wanted, v.metadata.get(asked), has.map(Value::from))
                        .map(|v| (field, v)),
                );
            }
            if matches!(
                v.status.as_str(),
                "creating" | "downloading" | "deleting" | "error_deleting"
            ) {
                fields.insert(NO_DATA, true.into());
            }
            let oldest = self.keys.get(v.id.as_str()).and_then(|key| first.get(key));
            if let (Some(oldest), Some(at)) = (oldest, created(v))
                && at.duration_since(*oldest) > DOUBLE
            {
                fields.insert(COPY, true.into());
            }
            let state = match v.status.as_str() {
                "error" | "error_deleting" | "error_restoring" => {
                    State::Broken(format!("it is in state {}", v.status))
                }
                "deleting" => State::Broken("it is being removed".to_owned()),
                "creating" | "downloading" => State::Pending(v.status.clone()),
                _ => State::Ready,
            };
            let own = self.keys.get(v.id.as_str());
            let known = self.said.contains_key(&(Kind::Volume, v.id.clone()));
            resources.extend(self.seen(
                &v.id,
                &v.created_at,
                !v.attachments.is_empty(),
                state,
                fields,
                Vec::new(),
            ));
            if own.is_some_and(|k| k.name.ends_with("/boot")) || !(own.is_some() || known) {
                continue;
            }
            for attachment in &v.attachments {
                let Some(server) = self.keys.get(attachment.server_id.as_str()) else {
                    continue;
                };
                let mut uses = vec![(*server).clone()];
                uses.extend(own.map(|k| (*k).clone()));
                resources.push(Seen {
                    key: Key::new(
                        Kind::Attachment,
                        format!("{}:{}", server.name, self.text(Kind::Volume, &v.id)),
                    ),
                    id: v.id.clone(),
                    created: String::new(),
                    held: false,
                    state: State::Ready,
                    fields: Fields::new(),
                    uses,
                });
            }
        }
    }

    pub(super) fn server(&self, s: &Server, group: Option<&str>) -> Option<Seen> {
        let key = self.keys.get(s.id.as_str())?;
        let state = state(s);
        let wanted = self.wanted.get(key);
        let bound = self.bound.get(s.id.as_str()).into_iter().flatten();
        let mut ports = Value::set(
            bound
                .filter_map(|p| self.keys.get(p.id.as_str()))
                .map(|k| k.name.clone()),
        );
        // Nova binds ports while it builds.
        if matches!(state, State::Pending(_))
            && let Some(value) = wanted.and_then(|f| f.get("ports"))
        {
            ports = value.clone();
        }
        // Nova tells a flavor's name, also of one that was asked for by its id.
        let flavor = s
            .flavor
            .get("original_name")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        let asked = |field, key: &str, has| {
            asked::field(wanted.and_then(|f| f.get(field)), s.metadata.get(key), has)
        };
        let boot = s
            .volumes
            .iter()
            .filter_map(|v| self.keys.get(v.id.as_str()))
            .find(|k| k.name.ends_with("/boot"));
        let keypair =
            s.key_name
                .as_deref()
                .map(|name| match Mark::parse_name(Kind::Keypair, name) {
                    Some(mark) if mark.yard == self.yard && mark.is_in(&self.all.scope) => {
                        mark.key.name
                    }
                    _ => name.to_owned(),
                });
        let own_metadata = s
            .metadata
            .iter()
            .filter(|(k, _)| *k != "stackyard" && !k.starts_with("stackyard."));
        let mut fields = Fields::from([
            (
                "flavor",
                asked("flavor", FLAVOR, Some(flavor.into())).unwrap_or_else(|| flavor.into()),
            ),
            ("ports", ports),
            (
                "user data",
                asked("user data", USER_DATA, None).unwrap_or_else(|| "".into()),
            ),
            (
                "metadata",
                Value::set(own_metadata.map(|(k, v)| format!("{k}={v}"))),
            ),
            ("tags", Value::set(&s.tags)),
            ("key", keypair.unwrap_or_default().into()),
            (
                "boot volume",
                boot.map(|k| k.name.clone()).unwrap_or_default().into(),
            ),
            // The one that it was told to use: nothing if that is lost.
            (
                "data volume",
                self.own(&[s.metadata.get(DATA).map_or("", String::as_str)])
                    .pop()
                    .map(|k| k.name)
                    .unwrap_or_default()
                    .into(),
            ),
            (
                "server group",
                group
                    .map(|g| self.text(Kind::ServerGroup, g))
                    .unwrap_or_default()
                    .into(),
            ),
        ]);
        fields.extend(asked("image", IMAGE, None).map(|i| ("image", i)));
        let drive = s.config_drive.eq_ignore_ascii_case("true");
        fields.extend(
            asked("config drive", CONFIG_DRIVE, Some(drive.into())).map(|d| ("config drive", d)),
        );
        // It has none before it is placed.
        let placed = s.availability_zone.as_ref().filter(|z| !z.is_empty());
        let zone = asked("availability zone", ZONE, placed.map(Value::from));
        let zone = zone.or_else(|| wanted?.get("availability zone").cloned());
        fields.extend(zone.map(|z| ("availability zone", z)));
        if is_going(s) || (s.status == "ERROR" && s.launched_at.is_none()) {
            fields.insert(DISK_STAYS, true.into());
        }
        let mut uses: Vec<Key> = Vec::new();
        uses.extend(
            self.parts
                .get(key.name.as_str())
                .into_iter()
                .flatten()
                .map(|k| (*k).clone()),
        );
        uses.extend(group.and_then(|g| self.keys.get(g)).map(|k| (*k).clone()));
        uses.sort();
        uses.dedup();
        self.seen(&s.id, &s.created, false, state, fields, uses)
    }
}

/// Whether it is being removed already.
pub(super) fn is_going(s: &Server) -> bool {
    matches!(s.task_state.as_deref(), Some("deleting" | "soft-deleting"))
        || matches!(s.status.as_str(), "DELETED" | "SOFT_DELETED")
}

pub(super) fn state(s: &Server) -> State {
    let task = s.task_state.as_deref().unwrap_or_default();
    if is_going(s) {
        return State::Broken("it is being removed".to_owned());
    }
    match s.status.as_str() {
        "ERROR" => {
            let fault = s
                .fault
                .as_ref()
                .map(|f| format!(": {}", f.message))
                .unwrap_or_default();
            State::Broken(format!("it is in ERROR{fault}"))
        }
        "BUILD" | "REBUILD" | "REBOOT" | "HARD_REBOOT" | "RESIZE" | "MIGRATING" | "UNKNOWN" => {
            State::Pending(s.status.clone())
        }
        "SHUTOFF" if task.is_empty() => State::Stopped(s.status.clone()),
        "SHUTOFF" => State::Pending(task.to_owned()),
        _ => State::Ready,
    }
}
