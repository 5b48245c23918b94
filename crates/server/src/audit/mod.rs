//! The audit log: who did what, from where, as part of which request, and what came of it.
//!
//! ```text
//! begin ──> row in the store ──> the work ──> end: its result, and what it changed ──> line in the file
//! ```
//!
//! A row is written before anything is done, so that a killed server has it, without a result. Work that cannot be written
//! down is not begun. Callers without a token, and refusals, cannot fill the store: the same refusal, read or failed
//! sign-in is one row an hour that counts ([`repeats`]). The store keeps rows for a time and up to a number ([`Retention`]);
//! a file that others collect may have more ([`file`]).

mod changes;
mod file;
mod kind;
mod repeats;

pub(crate) use changes::{file_changes, manifest_changes, stack_changes};
pub(crate) use kind::{is_read, kind};

use crate::request;
use file::AuditFile;
use repeats::{Occurrence, RepeatTable};
use stackyard_api::{AuditEntry, AuditKind, AuditResult, now, time};
use stackyard_core::text::error_chain;
use stackyard_store::{Entry, Millis, NewEntry, Outcome, Store};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Days for which entries are kept, unless told otherwise.
pub const DEFAULT_KEEP: u32 = 400;

/// Entries that are kept, unless told otherwise: a few hundred bytes each.
pub const DEFAULT_ROWS: u32 = 1_000_000;

/// Entries of failed sign-ins that are begun within an hour.
const SIGN_INS: usize = 200;

/// Entries of refusals and reads of known callers that begin to count within an hour.
const CALLERS: usize = 5000;

/// Entries of agents' connections that are begun within an hour.
const AGENTS: usize = 2000;

/// Counts are written so often.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// Old entries are looked for so often.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Entries that are removed at once: SQLite has one writer.
const BATCH: u32 = 500;

/// Between two batches others write.
const PAUSE: Duration = Duration::from_millis(20);

/// Time for the last lines of the file when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Longest name that a failed sign-in is told with, in bytes.
const NAME: usize = 200;

/// Longest path that an entry has, in bytes.
const TARGET: usize = 1000;

/// How long, and how many, entries are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retention {
    /// Days.
    pub days: u32,
    /// Entries.
    pub rows: u32,
}

/// The audit log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct AuditLog(Arc<AuditState>);

#[derive(Debug)]
struct AuditState {
    store: Store,
    retention: Retention,
    file: Option<AuditFile>,
    /// Grows when an entry comes or changes.
    changes: watch::Sender<u64>,
    sign_ins: RepeatTable,
    callers: RepeatTable,
    agents: RepeatTable,
    failed_sign_ins: AtomicU64,
    replaced_connections: AtomicU64,
}

/// An entry whose work is under way. Dropped without [`Self::end`], its caller did not wait.
#[derive(Debug)]
pub(crate) struct PendingEntry {
    log: AuditLog,
    id: String,
    entry: NewEntry,
    has_ended: bool,
}

/// An entry of the store as the API tells it.
pub(crate) fn view(entry: Entry) -> AuditEntry {
    let new = entry.new;
    AuditEntry {
        id: entry.id,
        at: time(new.at),
        actor: new.actor,
        kind: AuditKind::from_name(&new.kind).unwrap_or(AuditKind::Change),
        verb: new.verb,
        target: new.target,
        address: new.address,
        request_id: new.request,
        detail: new.detail,
        result: new.outcome.as_ref().and_then(|o| AuditResult::from_name(&o.result)),
        status: new.outcome.as_ref().and_then(|o| o.status.parse().ok()),
        times: entry.times,
        last: entry.last.map(time),
    }
}

/// How something ended that HTTP answers with this status.
pub(crate) fn outcome(status: u16) -> Outcome {
    Outcome { status: status.to_string(), result: AuditResult::of_status(status).name().to_owned() }
}

/// An entry about the request that is served.
pub(crate) fn new_entry(actor: &str, kind: AuditKind, verb: &str, target: &str) -> NewEntry {
    NewEntry {
        at: now(),
        actor: actor.to_owned(),
        kind: kind.name().to_owned(),
        verb: verb.to_owned(),
        target: request::bounded(target, TARGET),
        address: request::origin().shown,
        request: request::id(),
        detail: None,
        outcome: None,
    }
}

impl AuditLog {
    /// The log in `store`, and in `file` if one is given.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(store: Store, retention: Retention, file: Option<&Path>) -> io::Result<Self> {
        Ok(Self(Arc::new(AuditState {
            store,
            retention,
            file: file.map(AuditFile::open).transpose()?,
            changes: watch::Sender::new(0),
            sign_ins: RepeatTable::new(SIGN_INS),
            callers: RepeatTable::new(CALLERS),
            agents: RepeatTable::new(AGENTS),
            failed_sign_ins: AtomicU64::new(0),
            replaced_connections: AtomicU64::new(0),
        })))
    }

    /// A number that grows when an entry comes or changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Entries that are missing in the file since the server started.
    pub fn lost(&self) -> u64 {
        self.0.file.as_ref().map_or(0, AuditFile::lost)
    }

    /// Sign-ins that failed since the server started.
    pub fn failed_sign_ins(&self) -> u64 {
        self.0.failed_sign_ins.load(Ordering::Relaxed)
    }

    /// Connections of agents that another one replaced since the server started.
    pub fn replaced_connections(&self) -> u64 {
        self.0.replaced_connections.load(Ordering::Relaxed)
    }

    /// Writes down that something begins.
    ///
    /// # Errors
    /// [`stackyard_store::Error`]; the work must not begin then.
    pub async fn begin(&self, entry: NewEntry) -> Result<PendingEntry, stackyard_store::Error> {
        let id = self.0.store.audit_begin(&entry).await?;
        self.changed();
        Ok(PendingEntry { log: self.clone(), id, entry, has_ended: false })
    }

    /// Writes down that a sign-in failed: as `name`, because of `why`. It is one entry an hour for each name of an address.
    pub async fn sign_in_failed(&self, name: &str, target: &str, status: u16, why: &str) {
        self.0.failed_sign_ins.fetch_add(1, Ordering::Relaxed);
        let name = request::bounded(name, NAME);
        let entry = NewEntry {
            detail: Some(request::bounded(why, TARGET)),
            outcome: Some(outcome(status)),
            ..new_entry(&name, AuditKind::SignIn, "SIGN-IN", target)
        };
        let key = format!("{} {name}", request::origin().network);
        let others = NewEntry { actor: "others".to_owned(), address: None, ..entry.clone() };
        if self.repeated(&self.0.sign_ins, &key, entry, others).await {
            let address = request::origin().shown.unwrap_or_default();
            tracing::warn!(address, "a sign-in as {name} failed: {why}");
        }
    }

    /// Writes down that a connection of an agent took the place of another one, once an hour for each host and address.
    pub async fn connection_replaced(&self, entry: NewEntry) {
        self.0.replaced_connections.fetch_add(1, Ordering::Relaxed);
        let key = format!("{} {}", entry.target, entry.address.as_deref().unwrap_or_default());
        let entry = NewEntry { outcome: Some(outcome(101)), ..entry };
        let others = NewEntry { address: None, detail: Some("from many addresses".to_owned()), ..entry.clone() };
        self.repeated(&self.0.agents, &key, entry, others).await;
    }

    /// Counts something that may happen often; whether it has an entry of its own now. Without room for its key, it counts
    /// as `others`.
    async fn repeated(&self, table: &RepeatTable, key: &str, entry: NewEntry, others: NewEntry) -> bool {
        let (key, entry, occurrence) = match table.count(key, false, entry.at) {
            Occurrence::Full => ("others", others, table.count("others", true, now())),
            occurrence => (key, entry, occurrence),
        };
        if occurrence != Occurrence::First {
            return false;
        }
        match self.0.store.audit_begin(&entry).await {
            Ok(id) => {
                table.written(key, &id, &entry);
                self.changed();
                self.export(id, entry, 1, None);
                true
            }
            Err(error) => {
                table.forget(key);
                tracing::error!("{}: {} is not in the audit log", error_chain(&error), entry.verb);
                false
            }
        }
    }

    fn changed(&self) {
        self.0.changes.send_modify(|n| *n += 1);
    }

    /// Writes an entry to the file.
    fn export(&self, id: String, new: NewEntry, times: u64, last: Option<Millis>) {
        if let Some(file) = &self.0.file {
            file.write(serde_json::to_vec(&view(Entry { id, new, times, last })).unwrap_or_default());
        }
    }

    /// Writes counts down that grew.
    async fn write_counts(&self) {
        for table in [&self.0.sign_ins, &self.0.callers, &self.0.agents] {
            for count in table.take_counts() {
                if let Err(error) = self.0.store.audit_again(&count.id, count.times, count.last).await {
                    tracing::error!("{}: the entry {} counts too little", error_chain(&error), count.id);
                }
                self.changed();
                self.export(count.id, count.entry, count.times, Some(count.last));
            }
        }
    }

    /// Removes entries that are too old or too many, a few at a time.
    async fn prune(&self) -> Result<(), stackyard_store::Error> {
        let (store, retention) = (&self.0.store, self.0.retention);
        let oldest = now() - i64::from(retention.days) * 86_400_000;
        while store.prune_audit(oldest, BATCH).await? {
            tokio::time::sleep(PAUSE).await;
        }
        if let Some(id) = store.audit_beyond(u64::from(retention.rows)).await? {
            while store.prune_audit_to(&id, BATCH).await? {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Writes counts and removes old entries until `stopping` becomes true.
    pub async fn keep(self, mut stopping: watch::Receiver<bool>) {
        let pruning = async {
            loop {
                if let Err(error) = self.prune().await {
                    tracing::error!("{}: the audit log keeps more than it should", error_chain(&error));
                }
                tokio::time::sleep(PRUNE_EVERY).await;
            }
        };
        let counting = async {
            // Counts that were taken are written, whatever happens in between.
            while tokio::time::timeout(COUNT_EVERY, stopping.wait_for(|stop| *stop)).await.is_err() {
                self.write_counts().await;
            }
        };
        tokio::select! {
            () = pruning => {}
            () = counting => {}
        }
    }

    /// Writes down what is only counted yet. To be called before the store is closed.
    pub async fn close(&self) {
        self.write_counts().await;
        if let Some(file) = &self.0.file {
            file.flush(FAREWELL).await;
        }
    }
}

impl PendingEntry {
    /// Writes down how it ended, and what was noted of it. The same refusal, or the same read, within an hour is counted.
    pub async fn end(mut self, status: u16, is_read: bool) {
        self.has_ended = true;
        self.entry.outcome = Some(outcome(status));
        if let Some(noted) = request::noted() {
            self.entry.detail = Some(noted);
        }
        let (log, id, entry) = (self.log.clone(), self.id.clone(), self.entry.clone());
        let table = &log.0.callers;
        if is_read || AuditResult::of_status(status) == AuditResult::Refused {
            // Without room for what the caller does, all that it does is one; there are as many as there are tokens.
            let caller = format!("{} {status}", entry.actor);
            let own = format!("{caller} {} {} {}", request::origin().network, entry.verb, entry.target);
            let (key, occurrence) = match table.count(&own, false, entry.at) {
                Occurrence::Full => (caller.clone(), table.count(&caller, true, entry.at)),
                occurrence => (own, occurrence),
            };
            match occurrence {
                Occurrence::First => table.written(&key, &id, &entry),
                _ => {
                    log.removed(&id).await;
                    return;
                }
            }
        }
        if let Some(ended) = &entry.outcome
            && let Err(error) = log.0.store.audit_end(&id, ended, entry.detail.as_deref()).await
        {
            tracing::error!("{}: the entry {id} stays without a result", error_chain(&error));
        }
        log.changed();
        log.export(id, entry, 1, None);
    }
}

impl AuditLog {
    /// An entry that another one counts.
    async fn removed(&self, id: &str) {
        if let Err(error) = self.0.store.remove_audit(id).await {
            tracing::error!("{}: the entry {id} stays, although another one counts it", error_chain(&error));
        }
        self.changed();
    }
}

impl Drop for PendingEntry {
    fn drop(&mut self) {
        if !self.has_ended {
            self.log.export(std::mem::take(&mut self.id), std::mem::take(&mut self.entry), 1, None);
        }
    }
}
