//! A server in the background.

use super::{DEFAULT_FILES_LIMIT, DEFAULT_LOST_AFTER, DaemonError, ProcessLock, Settings, dir, file, socket};
use crate::files;
use stackyard_api::ServerView;
use stackyard_client::Client;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time for a server to answer after its start: migrations of a large store, a slow machine.
const START: Duration = Duration::from_secs(60);

/// Time for a server to stop.
const STOP: Duration = Duration::from_secs(20);

const LOOK: Duration = Duration::from_millis(10);

/// The end of a log that an error shows, in bytes.
const END: usize = 2000;

/// What became of it.
#[derive(Debug, Clone)]
pub enum Detached {
    /// It was started.
    Started(ServerView),
    /// One ran already, with the same settings.
    Runs(ServerView),
}

/// Sees to it that a server runs in the background on state directory `home`; returns when it
/// answers. `program` and `arguments` run it in the foreground; they are given what `settings` say.
///
/// # Errors
/// [`DaemonError::Differs`] when one runs that was told otherwise, [`DaemonError::Silent`] when the
/// new one does not answer.
pub async fn detach(home: &Path, settings: &Settings, mut program: Command) -> Result<Detached, DaemonError> {
    let dir = dir(home);
    files::make_dir(&dir).map_err(file("making", &dir))?;
    if let Some(view) = answers(home).await {
        return same(&dir, settings, view);
    }
    let log_path = dir.join("log");
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&log_path);
    let log = log.map_err(file("opening", &log_path))?;
    let begin = log.metadata().map_or(0, |m| m.len());
    let again = log.try_clone().map_err(file("opening", &log_path))?;
    let child = program.stdin(Stdio::null()).stdout(again).stderr(log).process_group(0).spawn();
    let mut child = child.map_err(file("starting", Path::new(program.get_program())))?;
    let start = Instant::now();
    loop {
        if let Some(view) = answers(home).await {
            // Another process may have been quicker.
            return if view.pid == child.id() { Ok(Detached::Started(view)) } else { same(&dir, settings, view) };
        }
        let ended = child.try_wait().ok().flatten().is_some();
        if (ended && answers(home).await.is_none()) || start.elapsed() > START {
            if !ended {
                child.kill().ok();
                child.wait().ok();
            }
            return Err(DaemonError::Silent { end: end_of(&log_path, begin), log: log_path });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn answers(home: &Path) -> Option<ServerView> {
    Client::socket(&socket(home)).ok()?.server().await.ok()
}

fn end_of(log: &Path, begin: u64) -> String {
    let all = std::fs::read(log).unwrap_or_default();
    let new = all.get(usize::try_from(begin).unwrap_or_default()..).unwrap_or_default();
    String::from_utf8_lossy(&new[new.len().saturating_sub(END)..]).trim().to_owned()
}

/// Whether a running server is as it was asked for, in what was asked for.
fn same(dir: &Path, asked: &Settings, view: ServerView) -> Result<Detached, DaemonError> {
    let runs = Settings::last(dir).map_err(file("reading the settings in", dir))?;
    let mut differs = Vec::new();
    if !asked.listen.is_empty() && asked.listen != runs.listen {
        let listen: Vec<String> = runs.listen.iter().map(ToString::to_string).collect();
        differs.push(format!("--listen {}", listen.join(" --listen ")));
    }
    if !asked.names.is_empty() && asked.names != runs.names {
        differs.push(if runs.names.is_empty() {
            "no --name".to_owned()
        } else {
            format!("--name {}", runs.names.join(" --name "))
        });
    }
    if asked.lost_after.is_some() && asked.lost_after != runs.lost_after {
        differs.push(format!("--lost-after {}", runs.lost_after.unwrap_or(DEFAULT_LOST_AFTER)));
    }
    if asked.files_limit.is_some() && asked.files_limit() != runs.files_limit() {
        differs.push(format!("--files-limit {}", runs.files_limit.unwrap_or(DEFAULT_FILES_LIMIT)));
    }
    if asked.clouds.is_some() && asked.clouds != runs.clouds {
        let clouds = runs.clouds.as_ref().map(|c| format!("--clouds {}", c.display()));
        differs.push(clouds.unwrap_or_else(|| "no --clouds".to_owned()));
    }
    if asked.sign_in_clouds.is_some() && asked.sign_in().clouds != runs.sign_in().clouds {
        let clouds = runs.sign_in().clouds;
        differs.push(if clouds.is_empty() {
            "no --sign-in-cloud".to_owned()
        } else {
            format!("--sign-in-cloud {}", clouds.join(" --sign-in-cloud "))
        });
    }
    if asked.sign_in_roles.is_some() && asked.sign_in().roles != runs.sign_in().roles {
        let roles = runs.sign_in().roles;
        let roles: Vec<String> = roles.iter().map(|(k, r)| format!("--sign-in-role {k}={}", r.name())).collect();
        differs.push(roles.join(" "));
    }
    if asked.hook_hosts.is_some() && asked.hook_hosts.iter().flatten().ne(runs.hook_hosts.iter().flatten()) {
        let hosts: Vec<String> = runs.hook_hosts.iter().flatten().map(|h| format!("--allow-hook-host {h}")).collect();
        differs.push(if hosts.is_empty() { "no --allow-hook-host".to_owned() } else { hosts.join(" ") });
    }
    if asked.metrics_listen.is_some()
        && asked.metrics_listen.as_deref() != Some(runs.metrics_listen.as_deref().unwrap_or_default())
    {
        let listen: Vec<String> = runs.metrics_listen.iter().flatten().map(ToString::to_string).collect();
        differs.push(if listen.is_empty() {
            "no --metrics-listen".to_owned()
        } else {
            format!("--metrics-listen {}", listen.join(" --metrics-listen "))
        });
    }
    let (asked_keep, runs_keep) = (asked.audit_retention(), runs.audit_retention());
    if asked.audit_keep.is_some() && asked_keep.days != runs_keep.days {
        differs.push(format!("--audit-keep {}d", runs_keep.days));
    }
    if asked.audit_rows.is_some() && asked_keep.rows != runs_keep.rows {
        differs.push(format!("--audit-rows {}", runs_keep.rows));
    }
    if asked.audit_file.is_some() && asked.audit_file() != runs.audit_file() {
        let file = runs.audit_file().map(|file| format!("--audit-file {}", file.display()));
        differs.push(file.unwrap_or_else(|| "no --audit-file".to_owned()));
    }
    if asked.database.is_some() && asked.database != runs.database {
        differs.push(format!("the database {}", view.database));
    }
    if differs.is_empty() {
        return Ok(Detached::Runs(view));
    }
    Err(DaemonError::Differs { dir: dir.to_owned(), differs: differs.join(" and ") })
}

/// Stops the server of state directory `home`; whether one ran.
///
/// # Errors
/// [`DaemonError::StaysAlive`], [`DaemonError::File`].
pub async fn stop(home: &Path) -> Result<bool, DaemonError> {
    let dir = dir(home);
    if !dir.join("lock").exists() {
        return Ok(false);
    }
    let start = Instant::now();
    let mut told = None;
    loop {
        let pid = match ProcessLock::take(&dir) {
            Ok(_) => return Ok(told.is_some()),
            Err(DaemonError::Running { pid, .. }) => pid.parse::<i32>().ok(),
            Err(other) => return Err(other),
        };
        if let (None, Some(process)) = (told, pid.and_then(rustix::process::Pid::from_raw)) {
            match rustix::process::kill_process(process, rustix::process::Signal::TERM) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => told = pid,
                Err(error) => return Err(file("stopping the server of", &dir)(error.into())),
            }
        }
        if start.elapsed() > STOP {
            return Err(DaemonError::StaysAlive { pid: told.unwrap_or_default(), seconds: STOP.as_secs() });
        }
        tokio::time::sleep(LOOK).await;
    }
}
