//! One agent's connection.

use super::Hub;
use super::bounds::bounded_facts;
use super::names::ToldNames;
use super::stream::{AgentStream, AgentStreams};
use crate::audit::AuditLog;
use crate::ports::Ports;
use crate::volumes::Volumes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use stackyard_api::now;
use stackyard_core::agent::{Ask, Desired, Facts, Open, PROTOCOL, ToAgent, ToServer};
use stackyard_store::{Host, NewEntry};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};

/// Messages that wait for an agent.
const WAITING: usize = 64;

/// Questions of one agent that are being answered. Each is for a container that starts or ends.
const AT_ONCE: usize = 256;

/// That a host is connected is written down so often, in milliseconds.
const NOTE_EVERY: i64 = 5 * 60_000;

/// The hub's end of a connection. Dropped, the connection ends.
#[derive(Debug)]
pub(super) struct AgentLink {
    number: u64,
    /// Where it comes from.
    address: Option<String>,
    since: Instant,
    streams: AgentStreams,
    _alive: oneshot::Sender<()>,
}

impl AgentLink {
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where the connection comes from and how long there has been one, for the audit log.
    pub fn shown(&self) -> String {
        let address = self.address.as_deref().unwrap_or("an unknown address");
        format!("{address}, {} s old", self.since.elapsed().as_secs())
    }

    pub fn open(&self, open: Open) -> Option<AgentStream> {
        self.streams.open(open)
    }
}

/// Why a connection ends, as the agent is told.
struct ConnectionEnd {
    code: u16,
    reason: String,
}

fn end(code: u16, reason: impl Into<String>) -> ConnectionEnd {
    ConnectionEnd { code, reason: reason.into() }
}

/// What the audit log says of a connection if it takes the place of another one.
#[derive(Debug)]
pub(crate) struct ConnectionAudit {
    pub log: AuditLog,
    pub entry: NewEntry,
}

/// Serves a connection until it ends.
pub(crate) async fn serve(
    hub: Hub,
    ports: Ports,
    volumes: Volumes,
    host: Host,
    audit: ConnectionAudit,
    mut socket: WebSocket,
) {
    let name = format!("{}/{}", host.yard, host.name);
    match connected(&hub, (&ports, &volumes), &host, &audit, &mut socket).await {
        Ok(()) => tracing::info!(host = name, "disconnected"),
        Err(end) => {
            tracing::info!(host = name, reason = end.reason, "disconnecting");
            let frame = CloseFrame { code: end.code, reason: Utf8Bytes::from(end.reason) };
            let _ = timeout(hub.timing().patience, socket.send(Message::Close(Some(frame)))).await;
        }
    }
}

async fn connected(
    hub: &Hub,
    (ports, volumes): (&Ports, &Volumes),
    host: &Host,
    audit: &ConnectionAudit,
    socket: &mut WebSocket,
) -> Result<(), ConnectionEnd> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let Some((facts, revision)) = hello(hub, socket).await? else { return Ok(()) };
    let store = &hub.0.store;
    let failed = |error: stackyard_store::Error| {
        tracing::error!("{error}");
        end(close_code::ERROR, "the server failed; its log says more")
    };
    if facts != host.facts {
        store.keep_facts(&host.id, host.address, &facts).await.map_err(failed)?;
    }
    store.seen(&host.id, now()).await.map_err(failed)?;
    tracing::info!(host = format!("{}/{}", host.yard, host.name), agent = facts.agent, "connected");

    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let (to_agent, commands) = mpsc::channel(WAITING);
    let (alive, gone) = oneshot::channel();
    let streams = AgentStreams::new(to_agent.clone());
    let (address, since) = (audit.entry.address.clone(), Instant::now());
    let link = AgentLink { number, address, since, streams: streams.clone(), _alive: alive };
    let (desired, replaced) = hub.attach(host, link);
    if let Some(replaced) = replaced {
        note_replaced(audit, host, &replaced).await;
    }
    // It may have been removed since its token was looked at.
    if store.host(&host.id).await.map_err(failed)?.is_none_or(|h| h.removed.is_some()) {
        hub.forget(&host.id);
    }
    let asked = AgentQuestions {
        hub: hub.clone(),
        ports: ports.clone(),
        volumes: volumes.clone(),
        host: Arc::new(Host { facts, ..host.clone() }),
        to_agent,
        work: JoinSet::new(),
    };
    let mut connection = AgentConnection {
        hub,
        host,
        number,
        socket,
        streams,
        asked,
        told: revision,
        told_names: ToldNames::default(),
        heard: Instant::now(),
        // The debt of a connection before this one.
        reads: hub.next_read(&host.id, 0),
        noted: now(),
    };
    let result = connection.run(desired, commands, gone).await;
    connection.streams.clear();
    hub.detach(&host.id, number);
    if let Err(error) = store.seen(&host.id, now()).await {
        tracing::error!("{error}");
    }
    result
}

/// A stolen token connects as its host does, so that a connection which takes the place of another one is of note.
async fn note_replaced(audit: &ConnectionAudit, host: &Host, replaced: &str) {
    let address = audit.entry.address.as_deref().unwrap_or_default();
    tracing::warn!(host = format!("{}/{}", host.yard, host.name), address, "replaces the connection from {replaced}");
    let detail = Some(format!("took the place of the connection from {replaced}"));
    audit.log.connection_replaced(NewEntry { detail, ..audit.entry.clone() }).await;
}

/// The first message: what the host is, and which desired state it has.
async fn hello(hub: &Hub, socket: &mut WebSocket) -> Result<Option<(Facts, Option<u64>)>, ConnectionEnd> {
    let message = timeout(hub.timing().patience, socket.recv()).await;
    let message = message.map_err(|_| end(close_code::POLICY, "no Hello came"))?;
    match message {
        Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
            Ok(ToServer::Hello { protocol, facts, revision }) if protocol == PROTOCOL => {
                Ok(Some((bounded_facts(facts), revision)))
            }
            Ok(ToServer::Hello { protocol, .. }) => Err(end(
                close_code::POLICY,
                format!("the agent speaks protocol {protocol}, the server {PROTOCOL}; bring both to one version"),
            )),
            Ok(_) => Err(end(close_code::POLICY, "the first message must be Hello")),
            Err(error) => Err(malformed(&error)),
        },
        Some(Ok(Message::Close(_)) | Err(_)) | None => Ok(None),
        Some(Ok(_)) => Err(end(close_code::POLICY, "the first message must be Hello")),
    }
}

fn malformed(error: &serde_json::Error) -> ConnectionEnd {
    // A close frame's reason has at most 123 bytes (RFC 6455, section 5.5), and the error may quote.
    let reason =
        format!("not a message of this protocol: {error}").chars().filter(char::is_ascii).take(120).collect::<String>();
    end(close_code::INVALID, reason)
}

/// What an agent has asked.
struct AgentQuestions {
    hub: Hub,
    ports: Ports,
    volumes: Volumes,
    /// With what the agent says of it now.
    host: Arc<Host>,
    to_agent: mpsc::Sender<ToAgent>,
    /// Questions that are not answered yet; they end with the connection.
    work: JoinSet<()>,
}

impl AgentQuestions {
    /// Answers beside all else.
    fn take(&mut self, number: u64, ask: Ask) -> Result<(), ConnectionEnd> {
        while self.work.try_join_next().is_some() {}
        if self.work.len() >= AT_ONCE {
            return Err(end(close_code::POLICY, format!("more than {AT_ONCE} questions at once")));
        }
        let (ports, host, to_agent) = (self.ports.clone(), self.host.clone(), self.to_agent.clone());
        let (hub, volumes) = (self.hub.clone(), self.volumes.clone());
        self.work.spawn(async move {
            let answer = match ask {
                Ask::Volume(ask) => {
                    let (looks, id) = (hub.clone(), host.id.clone());
                    let answer = volumes.answer(host.clone(), move || looks.desired(&id), ask.clone()).await;
                    hub.note_wait(&host.id, &ask, &answer);
                    answer
                }
                other => ports.answer(&host, other).await,
            };
            let _ = to_agent.send(ToAgent::Answer { number, answer }).await;
        });
        Ok(())
    }
}

struct AgentConnection<'a> {
    hub: &'a Hub,
    host: &'a Host,
    number: u64,
    socket: &'a mut WebSocket,
    streams: AgentStreams,
    asked: AgentQuestions,
    /// Revision that the agent has.
    told: Option<u64>,
    told_names: ToldNames,
    heard: Instant,
    /// When the next message is read.
    reads: Instant,
    noted: i64,
}

impl AgentConnection<'_> {
    async fn run(
        &mut self,
        mut desired: watch::Receiver<Option<Arc<Desired>>>,
        mut commands: mpsc::Receiver<ToAgent>,
        mut gone: oneshot::Receiver<()>,
    ) -> Result<(), ConnectionEnd> {
        let mut ping = interval(self.hub.timing().ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        desired.mark_changed();
        let mut names = self.hub.0.names.subscribe();
        names.mark_changed();
        loop {
            tokio::select! {
                message = async {
                    sleep_until(self.reads.into()).await;
                    self.socket.recv().await
                } => match message {
                    None | Some(Err(_) | Ok(Message::Close(_))) => return Ok(()),
                    Some(Ok(message)) => {
                        self.heard = Instant::now();
                        if let Message::Text(text) = message {
                            self.take(&text).await?;
                        }
                    }
                },
                // An error means that the host was forgotten, and then `gone` says so too.
                Ok(()) = desired.changed() => {
                    let now = desired.borrow_and_update().clone();
                    if let Some(now) = now.filter(|d| self.told != Some(d.revision)) {
                        self.told = Some(now.revision);
                        self.send(&ToAgent::Desired(Box::new((*now).clone()))).await?;
                    }
                    // Its networks may be others.
                    names.mark_changed();
                }
                Ok(()) = names.changed() => {
                    names.mark_unchanged();
                    if let Some(update) = self.hub.name_update(&self.host.id, &mut self.told_names) {
                        self.send(&ToAgent::Names(Box::new(update))).await?;
                    }
                }
                Some(command) = commands.recv() => self.send(&command).await?,
                _ = &mut gone => {
                    return Err(end(close_code::AWAY, "another connection of the host came, the host was removed, or the server stops"));
                }
                _ = ping.tick() => {
                    if self.heard.elapsed() > self.hub.timing().silence {
                        return Err(end(close_code::POLICY, "nothing came for too long"));
                    }
                    self.note().await;
                    self.put(Message::Ping(axum::body::Bytes::new())).await?;
                }
            }
        }
    }

    async fn put(&mut self, message: Message) -> Result<(), ConnectionEnd> {
        match timeout(self.hub.timing().patience, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(end(close_code::POLICY, "the agent takes nothing")),
        }
    }

    async fn send(&mut self, message: &ToAgent) -> Result<(), ConnectionEnd> {
        let text = serde_json::to_string(message).map_err(|e| end(close_code::ERROR, e.to_string()))?;
        self.put(Message::Text(text.into())).await
    }

    /// Writes down now and then that the host is there.
    async fn note(&mut self) {
        let now = now();
        if now - self.noted >= NOTE_EVERY {
            self.noted = now;
            if let Err(error) = self.hub.0.store.seen(&self.host.id, now).await {
                tracing::error!("{error}");
            }
        }
    }

    async fn take(&mut self, text: &str) -> Result<(), ConnectionEnd> {
        let message = serde_json::from_str(text).map_err(|e| malformed(&e))?;
        match message {
            ToServer::Hello { .. } => return Err(end(close_code::POLICY, "Hello came twice")),
            ToServer::Report(report) => {
                self.hub.report(self.host, self.number, *report);
                self.reads = self.hub.next_read(&self.host.id, text.len());
            }
            ToServer::Ask { number, ask } => {
                self.asked.take(number, ask)?;
                self.reads = self.hub.next_read(&self.host.id, text.len());
            }
            ToServer::Chunk { stream, replica, from, data } => {
                if !self.streams.deliver(stream, replica, from, data.0) {
                    self.reads = self.hub.next_read(&self.host.id, text.len());
                    self.send(&ToAgent::Close { stream }).await?;
                }
            }
            ToServer::Credit { stream, bytes } => self.streams.credit(stream, bytes),
            ToServer::End { stream, status, error } => self.streams.end(stream, status, error),
        }
        Ok(())
    }
}
