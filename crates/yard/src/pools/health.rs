//! Which hosts are as they should be: what Nova says of a server is half of it.
//!
//! | server | host | state |
//! |---|---|---|
//! | ACTIVE | connected | ready |
//! | ACTIVE | drained by a run that was broken off | set apart: ready, if it is to go nevertheless |
//! | ACTIVE | not joined, within `joinTimeout` | pending |
//! | ACTIVE | not joined, later | broken |
//! | ACTIVE | away for more than [`AWAY`], `heal: true` | broken |
//! | ACTIVE | somebody asked for another in its place | marked: replaced in its turn, as one that changed |
//! | ACTIVE | away | ready: it may be back any time, and its containers run |
//! | anything else | | as Nova says |

use crate::host_service::{JOINED, Member};
use crate::inventory::Inventory;
use stackyard_core::yard::Kind;
use stackyard_core::yard::intend::{HostJoin, Intended, Pool, Spec, key_of};
use stackyard_core::yard::observed::{Observed, State};
use stackyard_openstack::Server;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// How long an agent may be away before its host is replaced.
const AWAY: Duration = Duration::from_secs(600);

/// What is known about hosts.
pub(crate) struct HostKnowledge<'a> {
    /// Hosts that joined; `None` where no server was asked.
    pub members: Option<&'a [Member]>,
    /// Public keys of pools that join by SSH.
    pub keys: &'a HashMap<String, String>,
    pub now: SystemTime,
}

/// Corrects what was observed of servers that are hosts.
pub(crate) fn judge(
    observed: &mut Observed,
    inventory: &Inventory,
    intended: &Intended,
    known: &HostKnowledge<'_>,
) {
    let servers: HashMap<&str, &Server> = inventory
        .servers
        .iter()
        .map(|s| (s.id.as_str(), s))
        .collect();
    let mut hosts = HashMap::new();
    for pool in &intended.pools {
        hosts.extend(pool.hosts.iter().map(|key| (key, pool)));
    }
    let specs: HashMap<_, _> = intended
        .resources
        .iter()
        .map(|r| (&r.key, &r.spec))
        .collect();
    for seen in &mut observed.resources {
        if seen.key.kind == Kind::Keypair {
            let wanted = match specs.get(&seen.key) {
                Some(Spec::PoolKeypair { pool }) => known.keys.get(pool),
                _ => None,
            };
            let has = seen.fields.get("public key").map(ToString::to_string);
            if wanted.is_some_and(|k| has != Some(key_of(k))) {
                seen.state = State::Broken("the server has another key for this pool".to_owned());
            }
            continue;
        }
        let (Some(pool), Some(Spec::Server(spec))) = (hosts.get(&seen.key), specs.get(&seen.key))
        else {
            continue;
        };
        let (Some(server), Some(host)) = (servers.get(seen.id.as_str()), &spec.host) else {
            continue;
        };
        if seen.state != State::Ready {
            continue;
        }
        let state = match (&host.join, known.members) {
            (HostJoin::Command(_), _) => by_command(server, pool, known.now),
            (_, Some(members)) => by_agent(server, pool, members, known.now),
            (_, None) => continue,
        };
        seen.held |= matches!(state, State::Ready | State::SetApart | State::Marked(_));
        seen.state = state;
    }
}

fn by_command(server: &Server, pool: &Pool, now: SystemTime) -> State {
    match server.metadata.get(JOINED).map(String::as_str) {
        Some("yes") => State::Ready,
        Some(why) => State::Broken(format!("it did not join: {why}")),
        None if is_late(server, pool, now) => State::Broken(late(pool)),
        None => State::Pending("joining".to_owned()),
    }
}

fn by_agent(server: &Server, pool: &Pool, members: &[Member], now: SystemTime) -> State {
    let Some(member) = member_of(members, server) else {
        return if is_late(server, pool, now) {
            State::Broken(late(pool))
        } else {
            State::Pending("joining".to_owned())
        };
    };
    let away = now
        .duration_since(member.last_seen.unwrap_or(member.joined))
        .unwrap_or_default();
    if pool.heal && !member.connected && away > AWAY {
        return State::Broken(format!(
            "its agent has been away for {} minutes",
            away.as_secs() / 60
        ));
    }
    match &member.replace {
        Some(by) => State::Marked(format!("asked for by {by}")),
        None if member.leaving => State::SetApart,
        None => State::Ready,
    }
}

/// The host that a server has become.
pub(crate) fn member_of<'m>(members: &'m [Member], server: &Server) -> Option<&'m Member> {
    let by_id = |m: &&Member| {
        m.server_id
            .as_deref()
            .is_some_and(|id| id.eq_ignore_ascii_case(&server.id))
    };
    members.iter().find(by_id).or_else(|| {
        // An agent that does not know which server it runs on.
        let since = created(server)?;
        members
            .iter()
            .find(|m| m.server_id.is_none() && m.name == server.name && m.joined >= since)
    })
}

/// Hosts of pools whose servers are not in the project any more.
pub(crate) fn stale<'m>(
    members: &'m [Member],
    servers: &[Server],
) -> impl Iterator<Item = &'m Member> {
    let there: std::collections::HashSet<String> =
        servers.iter().map(|s| s.id.to_ascii_lowercase()).collect();
    members.iter().filter(move |m| {
        let gone = m
            .server_id
            .as_ref()
            .is_some_and(|id| !there.contains(&id.to_ascii_lowercase()));
        gone && !m.pool.is_empty() && !m.connected
    })
}

fn is_late(server: &Server, pool: &Pool, now: SystemTime) -> bool {
    let age = created(server).and_then(|since| now.duration_since(since).ok());
    age.is_some_and(|age| age > patience(pool))
}

fn late(pool: &Pool) -> String {
    format!("it has not joined within {} minutes", pool.join_timeout)
}

/// How long a host of a pool may take to join.
pub(crate) fn patience(pool: &Pool) -> Duration {
    Duration::from_secs(u64::from(pool.join_timeout) * 60)
}

fn created(server: &Server) -> Option<SystemTime> {
    // Nova's times are UTC, with or without saying so.
    let text = format!("{}Z", server.created.trim_end_matches('Z'));
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stackyard_core::yard::Key;
    use stackyard_core::yard::intend::intend;
    use stackyard_core::yard::observed::{Fields, Seen};

    const ID: &str = "0f7a6c1e-0000-4000-8000-000000000001";

    fn state(
        join: serde_json::Value,
        metadata: serde_json::Value,
        members: Option<&[Member]>,
        minutes: u64,
    ) -> State {
        let manifest = json!({"apiVersion": "stackyard.dev/v1", "kind": "Yard", "metadata": {"name": "shop"}, "spec": {
            "networks": [{"name": "front", "cidr": "10.20.0.0/24"}],
            "hosts": [{"pool": "web", "flavor": "f", "image": "i", "heal": true, "join": join}]}});
        let intended = intend(&serde_json::from_value(manifest).unwrap()).unwrap();
        let server = json!({"id": ID, "name": "web-1", "created": "2026-11-25T20:00:00Z", "metadata": metadata,
            "OS-EXT-STS:task_state": null, "fault": null, "key_name": null, "OS-EXT-AZ:availability_zone": null,
            "OS-EXT-SRV-ATTR:host": null});
        let inventory = Inventory {
            servers: vec![serde_json::from_value(server).unwrap()],
            ..Inventory::default()
        };
        let seen = Seen {
            key: Key::new(Kind::Server, "web-1"),
            id: ID.into(),
            created: String::new(),
            held: false,
            state: State::Ready,
            fields: Fields::new(),
            uses: Vec::new(),
        };
        let mut observed = Observed {
            resources: vec![seen],
            ..Observed::default()
        };
        let now = at(minutes);
        judge(
            &mut observed,
            &inventory,
            &intended,
            &HostKnowledge {
                members,
                keys: &HashMap::new(),
                now,
            },
        );
        observed.resources.remove(0).state
    }

    /// Minutes after the server was made.
    fn at(minutes: u64) -> SystemTime {
        let made: jiff::Timestamp = "2026-11-25T20:00:00Z".parse().unwrap();
        SystemTime::from(made) + Duration::from_secs(60 * minutes)
    }

    fn member(server_id: Option<&str>, connected: bool) -> Member {
        Member {
            id: "h".into(),
            name: "web-1".into(),
            pool: "web".into(),
            server_id: server_id.map(str::to_owned),
            connected,
            joined: at(2),
            last_seen: Some(at(5)),
            docker: "20.10".into(),
            containers: 0,
            leaving: false,
            replace: None,
        }
    }

    #[test]
    fn hosts_with_an_agent() {
        let docker = |members: Option<&[Member]>, minutes| {
            state(json!({"docker": {}}), json!({}), members, minutes)
        };
        assert_eq!(docker(None, 90), State::Ready);
        assert_eq!(docker(Some(&[]), 5), State::Pending("joining".into()));
        assert_eq!(
            docker(Some(&[]), 21),
            State::Broken("it has not joined within 20 minutes".into())
        );
        assert_eq!(
            docker(Some(&[member(Some(&ID.to_uppercase()), true)]), 90),
            State::Ready
        );
        assert_eq!(docker(Some(&[member(None, true)]), 90), State::Ready);
        assert_eq!(
            docker(Some(&[member(Some("another"), true)]), 5),
            State::Pending("joining".into())
        );
        assert_eq!(docker(Some(&[member(Some(ID), false)]), 14), State::Ready);
        let leaving = Member {
            leaving: true,
            ..member(Some(ID), true)
        };
        assert_eq!(docker(Some(&[leaving]), 90), State::SetApart);
        // Also while a run that was killed has drained it; one that is lost is broken.
        let marked = |connected| Member {
            leaving: true,
            replace: Some("ann".into()),
            ..member(Some(ID), connected)
        };
        assert_eq!(
            docker(Some(&[marked(true)]), 90),
            State::Marked("asked for by ann".into())
        );
        assert_eq!(
            docker(Some(&[marked(false)]), 14),
            State::Marked("asked for by ann".into())
        );
        assert!(matches!(
            docker(Some(&[marked(false)]), 30),
            State::Broken(_)
        ));
        // Of the server before: this one has yet to join.
        let before = Member {
            server_id: Some("before".into()),
            ..marked(true)
        };
        assert_eq!(docker(Some(&[before]), 5), State::Pending("joining".into()));
        let away = State::Broken("its agent has been away for 25 minutes".into());
        assert_eq!(docker(Some(&[member(Some(ID), false)]), 30), away);
    }

    #[test]
    fn hosts_with_a_command() {
        let command =
            |metadata, minutes| state(json!({"command": "true"}), metadata, None, minutes);
        assert_eq!(command(json!({}), 3), State::Pending("joining".into()));
        assert_eq!(command(json!({JOINED: "yes"}), 90), State::Ready);
        let failed = State::Broken("it did not join: the command ended with 7".into());
        assert_eq!(
            command(json!({JOINED: "the command ended with 7"}), 3),
            failed
        );
        assert!(matches!(command(json!({}), 21), State::Broken(_)));
    }
}
