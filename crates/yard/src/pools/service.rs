//! Stackyard's own server as what hosts join, over its API.

use crate::host_service::{HostService, JoinCredentials, Member, NewHost, SshTarget};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stackyard_api::{HostView, NewJoin, SshDisk, SshJoin};
use stackyard_client::{Client, ClientError};
use stackyard_core::agent::ContainerState;
use stackyard_core::text::error_chain;
use stackyard_core::yard::Scope;
use std::time::{Duration, SystemTime};

impl HostService for Client {
    fn scope<'a>(&'a self, yard: &'a str) -> BoxFuture<'a, Result<Option<Scope>, String>> {
        async move { self.yard_scope(yard).await.map_err(told) }.boxed()
    }

    fn hosts<'a>(&'a self, yard: &'a str) -> BoxFuture<'a, Result<Vec<Member>, String>> {
        async move {
            let hosts = Client::hosts(self, Some(yard), None).await.map_err(told)?;
            Ok(hosts.into_iter().map(member).collect())
        }
        .boxed()
    }

    fn mint<'a>(&'a self, host: NewHost<'a>) -> BoxFuture<'a, Result<JoinCredentials, String>> {
        async move {
            let ticket = self.new_join(&new_join(&host)).await.map_err(told)?;
            Ok(JoinCredentials {
                server: vec![ticket.server],
                ca: ticket.ca_pem,
                token: ticket.token,
            })
        }
        .boxed()
    }

    fn drain<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>> {
        async move { gone_is_fine(self.host_leaves(id, true).await) }.boxed()
    }

    fn take_back<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>> {
        async move { gone_is_fine(self.host_leaves(id, false).await) }.boxed()
    }

    fn forget<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), String>> {
        async move { gone_is_fine(self.remove_host(id).await) }.boxed()
    }

    fn known_ssh_key<'a>(
        &'a self,
        yard: &'a str,
        pool: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, String>> {
        async move { self.known_pool_key(yard, pool).await.map_err(told) }.boxed()
    }

    fn ssh_key<'a>(
        &'a self,
        yard: &'a str,
        pool: &'a str,
    ) -> BoxFuture<'a, Result<String, String>> {
        async move { self.pool_key(yard, pool).await.map_err(told) }.boxed()
    }

    fn ssh_join<'a>(
        &'a self,
        target: SshTarget<'a>,
        progress: &'a (dyn Fn(String) + Send + Sync),
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            let disk = target.disk.map(|(id, mount)| SshDisk {
                id: id.to_owned(),
                mount: mount.to_owned(),
            });
            let request = SshJoin {
                join: new_join(&target.host),
                server_id: target.server_id.to_owned(),
                address: target.address.to_owned(),
                user: target.user.to_owned(),
                fingerprints: target.fingerprints,
                disk,
            };
            self.join_over_ssh(&request, progress).await.map_err(told)?
        }
        .boxed()
    }
}

fn new_join(host: &NewHost<'_>) -> NewJoin {
    NewJoin {
        yard: host.yard.to_owned(),
        pool: Some(host.pool.to_owned()),
        name: Some(host.name.to_owned()),
        labels: host.labels.clone(),
        labels_from_machine: false,
        ttl_s: Some(u32::try_from(host.valid.as_secs()).unwrap_or(u32::MAX)),
        replaces: host.replaces.clone(),
        server: None,
    }
}

fn member(host: HostView) -> Member {
    let containers = host
        .report
        .iter()
        .flat_map(|r| r.parts.values())
        .flat_map(|p| &p.containers);
    let running = containers.filter(|c| {
        matches!(
            c.state,
            ContainerState::Running | ContainerState::Restarting
        )
    });
    // A part without containers is still at work: it gives its volumes back.
    let parts = host.report.iter().flat_map(|r| r.parts.values());
    let leaving = parts.filter(|p| p.containers.is_empty()).count();
    Member {
        containers: running.count() + leaving,
        leaving: host.leaving,
        replace: host.replace.map(|r| format!("{} at {}", r.actor, r.at)),
        name: host.name,
        pool: host.pool,
        server_id: host.facts.server_id,
        connected: host.connected,
        joined: when(&host.joined).unwrap_or(SystemTime::UNIX_EPOCH),
        last_seen: host.last_seen.as_deref().and_then(when),
        docker: host.facts.docker,
        id: host.id,
    }
}

fn when(text: &str) -> Option<SystemTime> {
    let at = text.parse::<jiff::Timestamp>().ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).ok()?))
}

/// What is gone already needs nothing more.
fn gone_is_fine(result: Result<(), ClientError>) -> Result<(), String> {
    match result {
        Err(e) if e.status() == Some(404) => Ok(()),
        other => other.map_err(told),
    }
}

/// An error with its causes, in one sentence.
fn told(error: ClientError) -> String {
    error_chain(&error)
}
