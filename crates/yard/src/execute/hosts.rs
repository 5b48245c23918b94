//! What happens to a host beside what happens to its server.

use super::{ActionError, Executor};
use crate::host_service::{DATA, HostService, JOINED, Member, NewHost, SshTarget};
use crate::pools::{JoinTarget, UserData, fetch, patience, too_large};
use serde_json::json;
use stackyard_core::agent::AgentConfig;
use stackyard_core::progress::Event;
use stackyard_core::yard::intend::{HostJoin, HostSpec, Pool, ServerSpec, Spec};
use stackyard_core::yard::plan::Step;
use stackyard_core::yard::{Key, Kind, POOL_METADATA};
use stackyard_openstack::{FloatingIp, Method, Server, Service, Volume};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

/// How long what runs on a host may take to move elsewhere.
const DRAIN: Duration = Duration::from_secs(120);
/// How often the server is asked while hosts boot; all of them share the answer.
const ASK: Duration = Duration::from_secs(2);
/// How often a console is read for the end of a join command.
const READ: Duration = Duration::from_secs(5);
/// Lines of a console that are read.
const LINES: u32 = 400;
/// How long a volume may take to be free of the server before.
const FREE: Duration = Duration::from_secs(300);

/// The hosts of a yard as the server that they join knows them, asked for all at once.
pub(crate) struct HostCache<'a> {
    service: &'a dyn HostService,
    yard: &'a str,
    last: Mutex<Option<(Instant, Arc<Vec<Member>>)>>,
}

impl<'a> HostCache<'a> {
    pub(crate) fn new(service: &'a dyn HostService, yard: &'a str) -> Self {
        Self {
            service,
            yard,
            last: Mutex::default(),
        }
    }

    /// Hosts as they were at most [`ASK`] ago.
    async fn look(&self) -> Result<Arc<Vec<Member>>, String> {
        let mut last = self.last.lock().await;
        if let Some((when, members)) = &*last
            && when.elapsed() < ASK
        {
            return Ok(members.clone());
        }
        let members = Arc::new(self.service.hosts(self.yard).await?);
        *last = Some((Instant::now(), members.clone()));
        Ok(members)
    }

    /// Has the server forget a host. Whoever looks afterwards does not see it any more: a join token for
    /// its successor must not name it.
    async fn forget(&self, id: &str) -> Result<(), String> {
        let mut last = self.last.lock().await;
        *last = None;
        self.service.forget(id).await
    }
}

impl Executor<'_> {
    fn pool(&self, host: &HostSpec) -> Result<&Pool, ActionError> {
        self.pools
            .get(host.pool.as_str())
            .copied()
            .ok_or_else(|| format!("no pool {}", host.pool).into())
    }

    fn roster(&self) -> Result<&HostCache<'_>, ActionError> {
        self.roster
            .as_ref()
            .ok_or_else(|| "no server was asked for its hosts".to_owned().into())
    }

    fn newcomer<'h>(
        &'h self,
        key: &'h Key,
        host: &'h HostSpec,
        replaces: Option<String>,
    ) -> Result<NewHost<'h>, ActionError> {
        Ok(NewHost {
            yard: self.yard,
            pool: &host.pool,
            name: &key.name,
            labels: &host.labels,
            valid: patience(self.pool(host)?),
            replaces,
        })
    }

    /// The public half of a pool's SSH key.
    pub(crate) async fn pool_key(&self, pool: &str) -> Result<String, ActionError> {
        Ok(self.roster()?.service.ssh_key(self.yard, pool).await?)
    }

    /// User data of a server, with what makes it a host.
    pub(crate) async fn boot_data(
        &self,
        key: &Key,
        server: &ServerSpec,
    ) -> Result<Option<String>, ActionError> {
        let own = server.user_data.as_deref();
        let Some(host) = &server.host else {
            return Ok(own.map(str::to_owned));
        };
        let disk = host
            .disk
            .as_ref()
            .map(|d| Ok::<_, ActionError>((self.id(&d.volume)?, d.mount.as_str())))
            .transpose()?;
        let boot = UserData {
            own,
            disk: disk.as_ref().map(|(id, mount)| (id.as_str(), *mount)),
        };
        let text = match &host.join {
            HostJoin::Ssh { .. } => return Ok(own.map(str::to_owned)),
            HostJoin::Docker => {
                let roster = self.roster()?;
                let replaces = self.namesake(roster, &key.name).await?;
                let ticket = roster
                    .service
                    .mint(self.newcomer(key, host, replaces)?)
                    .await?;
                boot.agent(AgentConfig {
                    server: ticket.server,
                    ca: ticket.ca,
                    token: Some(ticket.token),
                    name: key.name.clone(),
                    labels: host.labels.clone(),
                    data_volume: None,
                    mtu: None,
                })
            }
            HostJoin::Command(hook) => {
                let of = JoinTarget {
                    yard: self.yard,
                    pool: &host.pool,
                    name: &key.name,
                    number: host.number,
                };
                boot.command(&fetch(hook, &of, &self.hook_targets).await?)
            }
        };
        match too_large(&text) {
            Some(why) => Err(why.into()),
            None => Ok(Some(text)),
        }
    }

    /// Id of a host that has the name already: of a server that is gone.
    async fn namesake(
        &self,
        roster: &HostCache<'_>,
        name: &str,
    ) -> Result<Option<String>, ActionError> {
        let members = roster.look().await?;
        Ok(members
            .iter()
            .find(|m| m.name == name)
            .map(|m| m.id.clone()))
    }

    /// Metadata that tells what a host is.
    pub(crate) fn host_metadata(&self, host: &HostSpec) -> Vec<(String, String)> {
        let disk = host.disk.as_ref().and_then(|d| self.id(&d.volume).ok());
        let disk = disk.map(|id| (DATA.to_owned(), id));
        std::iter::once((POOL_METADATA.to_owned(), host.pool.clone()))
            .chain(disk)
            .collect()
    }

    /// Waits until a host's volume is free, and tells its id.
    pub(crate) async fn free_disk(
        &self,
        key: &Key,
        host: &HostSpec,
    ) -> Result<Option<String>, ActionError> {
        let Some(disk) = &host.disk else {
            return Ok(None);
        };
        self.free(key, &disk.volume).await?;
        Ok(Some(self.id(&disk.volume)?))
    }

    /// Waits until a volume is free, for the server `key`. One that this run made is.
    pub(crate) async fn free(&self, key: &Key, volume: &Key) -> Result<(), ActionError> {
        let id = self.id(volume)?;
        if self.inventory.volumes.iter().all(|v| v.id != id) {
            return Ok(());
        }
        let free = async || {
            self.cloud
                .wait_for::<Volume>(&id, &["available"], FREE)
                .await
                .map(drop)
        };
        self.retry_action(key, free).await
    }

    /// Waits until a server that runs has become a host.
    pub(crate) async fn joined(&self, key: &Key, id: &str) -> Result<(), ActionError> {
        let Ok(Spec::Server(server)) = self.spec(key) else {
            return Ok(());
        };
        let Some(host) = &server.host else {
            return Ok(());
        };
        let limit = patience(self.pool(host)?);
        let joining = async {
            match &host.join {
                HostJoin::Command(_) => self.command_ended(key, id).await,
                HostJoin::Docker => self.connected(key, id).await,
                HostJoin::Ssh { user, via } => {
                    self.installed(key, id, host, user, via.as_ref()).await?;
                    self.connected(key, id).await
                }
            }
        };
        match timeout(limit, joining).await {
            Ok(result) => result,
            Err(_) => {
                let message = format!("it has not joined within {} minutes", limit.as_secs() / 60);
                let hint =
                    "the next `up` replaces it; `joinTimeout` gives slower machines more time";
                let trouble = ActionError {
                    message,
                    hint: Some(hint.to_owned()),
                };
                Err(self.with_console(id, trouble).await)
            }
        }
    }

    fn doing(&self, key: &Key, doing: &str) {
        self.onlooker.see(Event::Progress {
            step: key.to_string(),
            doing: Some(doing.to_owned()),
            amount: None,
        });
    }

    async fn member(&self, key: &Key, id: &str) -> Result<Option<Member>, ActionError> {
        let members = self.roster()?.look().await?;
        let by_id = |m: &&Member| {
            m.server_id
                .as_deref()
                .is_some_and(|s| s.eq_ignore_ascii_case(id))
        };
        let by_name = |m: &&Member| m.server_id.is_none() && m.name == key.name && m.connected;
        Ok(members
            .iter()
            .find(by_id)
            .or_else(|| members.iter().find(by_name))
            .cloned())
    }

    async fn connected(&self, key: &Key, id: &str) -> Result<(), ActionError> {
        let mut said = "";
        loop {
            let now = match self.member(key, id).await? {
                Some(member) if member.connected => {
                    let text = format!("joined, docker {} ready", member.docker);
                    self.onlooker.see(Event::Note {
                        step: Some(key.to_string()),
                        text,
                    });
                    return Ok(());
                }
                Some(_) => "joined, waiting for its agent",
                None => "booting",
            };
            if now != said {
                self.doing(key, now);
                said = now;
            }
            sleep(ASK).await;
        }
    }

    async fn installed(
        &self,
        key: &Key,
        id: &str,
        host: &HostSpec,
        user: &str,
        via: Option<&Key>,
    ) -> Result<(), ActionError> {
        if self.member(key, id).await?.is_some() {
            return Ok(());
        }
        self.doing(key, "booting");
        let address = match via {
            Some(ip) => {
                let ip = self.id(ip)?;
                self.steadily_get::<FloatingIp>(key, &ip).await?.address
            }
            None => {
                let server = self.steadily_get::<Server>(key, id).await?;
                server
                    .address()
                    .map(str::to_owned)
                    .ok_or_else(|| "the server has no address".to_owned())?
            }
        };
        let disk = host
            .disk
            .as_ref()
            .map(|d| Ok::<_, ActionError>((self.id(&d.volume)?, d.mount.as_str())))
            .transpose()?;
        let roster = self.roster()?;
        let step = key.to_string();
        let told = |text: String| {
            self.onlooker.see(Event::Note {
                step: Some(step.clone()),
                text,
            })
        };
        let mut said = String::new();
        loop {
            let console = self.cloud.console(id, None).await.unwrap_or_default();
            let target = SshTarget {
                host: self.newcomer(key, host, self.namesake(roster, &key.name).await?)?,
                server_id: id,
                address: &address,
                user,
                fingerprints: fingerprints(&console),
                disk: disk.as_ref().map(|(id, mount)| (id.as_str(), *mount)),
            };
            match roster.service.ssh_join(target, &told).await {
                Ok(()) => return Ok(()),
                // It boots: there is nobody yet who would answer.
                Err(why) if why == said => {}
                Err(why) => {
                    told(format!("not yet: {why}"));
                    said = why;
                }
            }
            sleep(READ).await;
        }
    }

    async fn steadily_get<T: stackyard_openstack::Resource>(
        &self,
        key: &Key,
        id: &str,
    ) -> Result<T, ActionError> {
        self.retry_action(key, async || self.cloud.get::<T>(id).await)
            .await
    }

    async fn command_ended(&self, key: &Key, id: &str) -> Result<(), ActionError> {
        self.doing(key, "booting");
        let end = loop {
            match self.cloud.console(id, Some(LINES)).await {
                Ok(console) => {
                    if let Some(end) = end_of(&console) {
                        break end;
                    }
                }
                // Clouds that show no consoles.
                Err(e) if matches!(e.status(), Some(400 | 403 | 404 | 501)) => {
                    let text = format!("whether the join command ended well cannot be seen: {e}");
                    self.onlooker.see(Event::Note {
                        step: Some(key.to_string()),
                        text,
                    });
                    break Ok(());
                }
                // There is no console yet, or the cloud is busy.
                Err(_) => {}
            }
            sleep(READ).await;
        };
        let kept = end.as_ref().err().map_or("yes", String::as_str);
        let kept: String = kept.chars().take(200).collect();
        let body = json!({"metadata": {JOINED: kept}});
        let keep = async || {
            let call = self.cloud.call(
                Method::POST,
                Service::Compute,
                format!("/servers/{id}/metadata"),
            );
            call.on("server", &key.name).json(&body).done().await
        };
        self.retry_action(key, keep).await?;
        match end {
            Ok(()) => Ok(()),
            Err(why) => {
                let hint = Some("the next `up` replaces it".to_owned());
                Err(self
                    .with_console(
                        id,
                        ActionError {
                            message: format!("it did not join: {why}"),
                            hint,
                        },
                    )
                    .await)
            }
        }
    }

    /// Before a host goes: what runs on it moves elsewhere.
    pub(crate) async fn drained(&self, step: &Step) -> Result<(), ActionError> {
        let (Kind::Server, Some(roster), Some(id)) = (step.key.kind, &self.roster, &step.id) else {
            return Ok(());
        };
        let Some(member) = self
            .member(&step.key, id)
            .await?
            .filter(|m| m.connected && m.containers > 0)
        else {
            return Ok(());
        };
        self.doing(&step.key, "draining");
        roster.service.drain(&member.id).await?;
        let empty = async {
            loop {
                sleep(ASK).await;
                match self.member(&step.key, id).await? {
                    Some(now) if now.connected && now.containers > 0 => {}
                    _ => return Ok(()),
                }
            }
        };
        timeout(DRAIN, empty).await.unwrap_or_else(|_| {
            let text = format!(
                "containers still run on it after {} s; it goes nevertheless",
                DRAIN.as_secs()
            );
            self.onlooker.see(Event::Note {
                step: Some(step.key.to_string()),
                text,
            });
            Ok(())
        })
    }

    /// A host that a run that was broken off has drained, and whose server stays, takes containers
    /// again.
    pub(crate) async fn taken_back(&self, step: &Step) -> Result<(), ActionError> {
        let (Kind::Server, Some(roster), Some(id)) = (step.key.kind, &self.roster, &step.id) else {
            return Ok(());
        };
        match self.member(&step.key, id).await? {
            Some(member) if member.leaving => Ok(roster.service.take_back(&member.id).await?),
            _ => Ok(()),
        }
    }

    /// After a host went.
    pub(crate) async fn forgotten(&self, step: &Step) -> Result<(), ActionError> {
        let (Kind::Server, Some(roster), Some(id)) = (step.key.kind, &self.roster, &step.id) else {
            return Ok(());
        };
        let members = roster.look().await?;
        for member in members.iter().filter(|m| {
            m.server_id
                .as_deref()
                .is_some_and(|s| s.eq_ignore_ascii_case(id))
        }) {
            roster.forget(&member.id).await?;
        }
        Ok(())
    }
}

/// How a join command ended, by what its server's console shows.
fn end_of(console: &str) -> Option<Result<(), String>> {
    console.lines().rev().find_map(|line| {
        let said = line.split_once("stackyard: join: ")?.1.trim();
        if said == "DONE" {
            return Some(Ok(()));
        }
        said.strip_prefix("FAILED: ").map(|why| Err(why.to_owned()))
    })
}

/// Fingerprints of host keys that cloud-init prints on the console.
fn fingerprints(console: &str) -> Vec<String> {
    let words = console
        .split_whitespace()
        .filter(|w| w.starts_with("SHA256:") && w.len() == 50);
    let mut all: Vec<String> = words.map(str::to_owned).collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_tells_how_a_command_ended() {
        assert_eq!(end_of("booting\n[   12.3] cloud-init: x\n"), None);
        assert_eq!(
            end_of("a\r\nstackyard: join: runs the command as 1\r\n"),
            None
        );
        assert_eq!(end_of("stackyard: join: DONE\r\nlogin: "), Some(Ok(())));
        let failed =
            "[  80.1] cloud-init[5]: stackyard: join: FAILED: the command ended with 7\nlogin:";
        assert_eq!(end_of(failed), Some(Err("the command ended with 7".into())));
    }

    #[test]
    fn a_console_tells_the_host_keys() {
        let console = "ci-info: -----BEGIN SSH HOST KEY FINGERPRINTS-----\n\
            <14>Nov 25 20:00:00 cloud-init: 256 SHA256:uNiVztksCsDhcc0u9e8BrrjQ3lFqnFsf0yXkPzXVyfk root@web-1 (ED25519)\n\
            -----END SSH HOST KEY FINGERPRINTS-----\nSHA256:short\n";
        assert_eq!(
            fingerprints(console),
            ["SHA256:uNiVztksCsDhcc0u9e8BrrjQ3lFqnFsf0yXkPzXVyfk"]
        );
    }
}
