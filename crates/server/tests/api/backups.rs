//! Backups: taken while the server runs, restored elsewhere, whole or not at all.

use crate::place::Place;
use crate::support::Running;
use reqwest::StatusCode;
use serde_json::json;
use sha2::{Digest, Sha256};
use stackyard_api::Role;
use stackyard_core::text::hex;
use stackyard_server::backup::{self, BackupError, Passphrase, RestoreRequest, RestoreTarget, RestoredServer};
use stackyard_server::daemon::{DaemonError, Server, Settings};
use stackyard_server::hub::HubTiming;
use stackyard_store::{Database, Error, StoreSnapshot};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;
use tempfile::TempDir;

/// Little work: these tests are not about guessing passphrases.
const WORK: u8 = 2;

fn passphrase() -> Passphrase {
    Passphrase::new("correct horse".to_owned()).unwrap()
}

async fn backed_up(home: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    backup::write(home, &passphrase(), WORK, &mut out).await.unwrap();
    out
}

async fn restore(
    home: &Path,
    file: &Path,
    target: RestoreTarget,
    replace: bool,
) -> Result<RestoredServer, BackupError> {
    backup::restore(home, RestoreRequest { file, passphrase: &passphrase(), target, replace }).await
}

/// A backup restored into a new state directory.
async fn restored(backup: &[u8]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("backup");
    std::fs::write(&file, backup).unwrap();
    restore(home.path(), &file, RestoreTarget::AsBefore, false).await.unwrap();
    std::fs::remove_file(file).unwrap();
    home
}

/// All rows of a store, in order.
async fn rows(database: &Database) -> Vec<String> {
    let (snapshot, mut all) = (StoreSnapshot::begin(database).await.unwrap(), Vec::new());
    let read: Result<(), Error> = snapshot
        .read(|piece| {
            all.extend(piece.rows.iter().map(|row| format!("{} {:?} {row:?}", piece.table, piece.columns)));
            Ok(())
        })
        .await;
    read.unwrap();
    all.sort();
    all
}

fn sqlite(home: &Path) -> Database {
    Database::File(home.join("server/stackyard.db"))
}

/// Files of a state directory that a backup has, with their content.
fn kept_files(home: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut todo) = (BTreeMap::new(), vec![home.to_owned()]);
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let (path, kind) = entry.map(|e| (e.path(), e.file_type().unwrap())).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            if kind.is_dir() {
                todo.push(path);
            } else if kind.is_file() && name != "lock" && !name.starts_with("stackyard.db") {
                found.insert(path.strip_prefix(home).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// What a server keeps in files, in addition to what it makes at its start.
fn add_files(home: &Path) {
    let content = vec![7; 300_000];
    let digest = hex(&Sha256::digest(&content));
    for (path, content) in [
        (format!("server/archives/shop/{digest}.tar"), content),
        ("server/agents/aarch64".to_owned(), b"\x7fELF".to_vec()),
        ("yards/shop@1f0c8ab2d91e.yaml".to_owned(), b"kind: Yard\n".to_vec()),
    ] {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_and_tokens_find_the_restored_server() {
    let running = Running::start().await;
    add_files(running.home.path());
    let host = running.host("shop", "web-1").await;
    let operator = running.token("ann", Role::Operator).await;
    let _agent = running.agent(&host.token, None).await;
    let (url, ca) = (running.url.clone(), running.ca.clone());
    let home = running.stop().await;
    let there = restored(&backed_up(home.path()).await).await;
    assert_eq!(rows(&sqlite(home.path())).await, rows(&sqlite(there.path())).await);
    let (before, after) = (kept_files(home.path()), kept_files(there.path()));
    assert!(before.len() > 6, "{:?}", before.keys());
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, content) in &before {
        // The settings are written again, with the database that the restored server has.
        assert!(*content == after[path], "{} differs", path.display());
        let mode = std::fs::metadata(there.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
    }
    let running = Running::start_in(there, HubTiming::default()).await;
    assert_eq!((&running.url, &running.ca), (&url, &ca));
    let _agent = running.agent(&host.token, None).await;
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    let (status, hosts) = running.call("GET", "/api/v1/hosts", Some(&operator), None).await;
    assert_eq!((status, &hosts[0]["name"]), (StatusCode::OK, &json!("web-1")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_of_one_moment_while_writes_continue() {
    let running = Running::start().await;
    let admin = running.admin.clone();
    let (count, counted) = tokio::sync::watch::channel(0_usize);
    let writer = tokio::spawn(async move {
        for n in 0.. {
            let name = format!("n{n:06}");
            admin.set_secret("shop", &name, "value").await.unwrap();
            if count.send(n + 1).is_err() {
                return;
            }
        }
    });
    for _ in 0..5 {
        let mut counting = counted.clone();
        let before = *counting.wait_for(|n| *n > 20).await.unwrap();
        let backup = backed_up(running.home.path()).await;
        let after = *counted.borrow();
        let there = restored(&backup).await;
        let secrets: Vec<String> =
            rows(&sqlite(there.path())).await.into_iter().filter(|row| row.starts_with("secrets")).collect();
        for (n, row) in secrets.iter().enumerate() {
            assert!(row.contains(&format!("n{n:06}")), "{n} is missing of {}", secrets.len());
        }
        // One more may have been written than the writer knows.
        assert!((before..=after + 1).contains(&secrets.len()), "{before} {} {after}", secrets.len());
    }
    let before = *counted.borrow();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(*counted.borrow() > before, "the writer was stopped");
    drop(counted);
    writer.await.unwrap();
    running.stop().await;
}

/// A state directory of a server that has stopped.
async fn of_a_stopped_server() -> TempDir {
    let running = Running::start().await;
    running.host("shop", "web-1").await;
    let home = running.stop().await;
    add_files(home.path());
    home
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_cut_or_changed_restores_nothing() {
    let home = of_a_stopped_server().await;
    let backup = backed_up(home.path()).await;
    let (there, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = files.path().join("backup");
    let mut wrong: Vec<(String, Vec<u8>)> = (0..50)
        .map(|n| n * backup.len() / 50)
        .chain([backup.len() - 1, backup.len() - 16])
        .map(|at| (format!("cut at {at} of {}", backup.len()), backup[..at].to_vec()))
        .collect();
    wrong.extend((0..30).map(|n| {
        let (at, mut changed) = (n * backup.len() / 30, backup.clone());
        changed[at] ^= 1;
        (format!("changed at {at}"), changed)
    }));
    wrong.push(("longer".to_owned(), [backup.as_slice(), b"more"].concat()));
    for (what, content) in wrong {
        std::fs::write(&file, content).unwrap();
        for checked in [
            backup::check(&file, &passphrase()).await.map(drop),
            restore(there.path(), &file, RestoreTarget::AsBefore, false).await.map(drop),
        ] {
            let error = checked.expect_err(&what);
            let known = matches!(
                error,
                BackupError::Damaged { .. } | BackupError::Foreign { .. } | BackupError::Passphrase { .. }
            );
            assert!(known && error.hint().is_some(), "{what}: {error:?}");
        }
        assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 0, "{what}");
    }
    std::fs::write(&file, &backup).unwrap();
    let other = Passphrase::new("correct horsf".to_owned()).unwrap();
    let error = backup::check(&file, &other).await.unwrap_err();
    assert!(matches!(error, BackupError::Passphrase { .. }), "{error:?}");
    assert_eq!(backup::check(&file, &passphrase()).await.unwrap().rows["hosts"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_replaced_only_if_told() {
    let home = of_a_stopped_server().await;
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("backup");
    backup::write_file(home.path(), &passphrase(), &file).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(files.path()).unwrap().count(), 1);

    let other = Running::start().await;
    let path = other.home.path().to_owned();
    let error = restore(&path, &file, RestoreTarget::AsBefore, true).await.unwrap_err();
    assert!(matches!(error, BackupError::Running { .. }), "{error:?}");
    let other = other.stop().await;
    let ca = std::fs::read(other.path().join("server/ca.pem")).unwrap();
    let error = restore(&path, &file, RestoreTarget::AsBefore, false).await.unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty { .. }), "{error:?}");
    assert_eq!(std::fs::read(other.path().join("server/ca.pem")).unwrap(), ca);
    let done = restore(&path, &file, RestoreTarget::AsBefore, true).await.unwrap();
    assert_eq!(std::fs::read(done.replaced.unwrap().join("ca.pem")).unwrap(), ca);
    assert_eq!(rows(&sqlite(home.path())).await, rows(&sqlite(&path)).await);

    // Another manifest of the same yard, where no server has been.
    let there = tempfile::tempdir().unwrap();
    let manifest = there.path().join("yards/shop@1f0c8ab2d91e.yaml");
    std::fs::create_dir_all(manifest.parent().unwrap()).unwrap();
    std::fs::write(&manifest, "kind: Other\n").unwrap();
    let error = restore(there.path(), &file, RestoreTarget::AsBefore, false).await.unwrap_err();
    assert!(error.to_string().contains("another yards/shop@1f0c8ab2d91e.yaml"), "{error}");
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), "kind: Other\n");
}

/// Polls a restoration at most `polls` times and then drops it, as the end of its process does; `None` if it did not end.
async fn restore_killed_after(polls: usize, home: &Path, file: &Path) -> Option<RestoredServer> {
    let (mut left, mut restoring) = (polls, std::pin::pin!(restore(home, file, RestoreTarget::AsBefore, true)));
    let done = std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        restoring.as_mut().poll(cx).map(Some)
    });
    done.await.map(|done| done.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_restoration_leaves_the_manifests_of_the_server_that_is_there() {
    let home = of_a_stopped_server().await;
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("backup");
    std::fs::write(&file, backed_up(home.path()).await).unwrap();
    let there = of_a_stopped_server().await;
    let ca = || std::fs::read(there.path().join("server/ca.pem")).unwrap();
    let name = "yards/shop@1f0c8ab2d91e.yaml";
    let manifest = || std::fs::read_to_string(there.path().join(name)).unwrap();
    std::fs::write(there.path().join(name), "kind: Other\n").unwrap();
    let old = ca();
    let mut killed = 0;
    let done = loop {
        match restore_killed_after(killed, there.path(), &file).await {
            Some(done) => break done,
            None => assert_eq!((manifest().as_str(), ca() == old), ("kind: Other\n", true), "killed at {killed}"),
        }
        killed += 1;
    };
    assert!(killed > 3, "it was killed {killed} times only");
    assert_eq!((manifest().as_str(), ca() == old), ("kind: Yard\n", false));
    let replaced = done.replaced.unwrap();
    assert_eq!(std::fs::read(replaced.join("ca.pem")).unwrap(), old);
    assert_eq!(std::fs::read_to_string(replaced.join(name)).unwrap(), "kind: Other\n");
    let mode = std::fs::metadata(there.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(!there.path().join("server/yards").exists() && !there.path().join("server/restoring").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_only_what_can_be_restored() {
    let home = of_a_stopped_server().await;
    for name in ["server/agents/.gitkeep", "server/agents/a\\b", "server/archives/.gitkeep"] {
        std::fs::write(home.path().join(name), "x").unwrap();
    }
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("backup");
    let written = backup::write_file(home.path(), &passphrase(), &file).await.unwrap();
    assert_eq!(written.summary.skipped, ["server/agents/.gitkeep", "server/agents/a\\b"]);
    backup::check(&file, &passphrase()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_follows_no_link_and_is_for_its_owner_alone() {
    let home = of_a_stopped_server().await;
    let files = tempfile::tempdir().unwrap();
    let (file, new, precious) =
        (files.path().join("backup"), files.path().join("backup.new"), files.path().join("precious"));
    std::fs::write(&precious, "precious").unwrap();
    std::os::unix::fs::symlink(&precious, &new).unwrap();
    let error = backup::write_file(home.path(), &passphrase(), &file).await.unwrap_err();
    assert!(error.to_string().contains("backup.new"), "{error}");
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
    std::fs::remove_file(&new).unwrap();
    // As another program left it.
    std::fs::write(&new, "").unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o644)).unwrap();
    backup::write_file(home.path(), &passphrase(), &file).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_restoration_is_completed_by_the_next_and_no_server_starts_before() {
    let home = of_a_stopped_server().await;
    let there = restored(&backed_up(home.path()).await).await;
    // As a process leaves it that is killed after the directories were exchanged.
    let marker = there.path().join("server/restoring");
    std::fs::write(&marker, "").unwrap();
    std::fs::remove_file(there.path().join("server/stackyard.db")).unwrap();
    let error = Server::start(there.path(), Settings::default()).await.unwrap_err();
    assert!(matches!(error, DaemonError::Restoring { .. }), "{error:?}");
    let error = backup::write(there.path(), &passphrase(), WORK, Vec::new()).await.unwrap_err();
    assert!(matches!(error, BackupError::Unfinished(_)), "{error:?}");
    let file = there.path().join("backup");
    std::fs::write(&file, backed_up(home.path()).await).unwrap();
    restore(there.path(), &file, RestoreTarget::AsBefore, false).await.unwrap();
    assert_eq!(rows(&sqlite(home.path())).await, rows(&sqlite(there.path())).await);
    let mut names: Vec<_> = std::fs::read_dir(there.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["backup", "server", "yards"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_moves_to_postgresql_and_back() {
    let (home, postgres) = (of_a_stopped_server().await, Place::postgres());
    let Database::Url(url) = postgres.database.clone() else { panic!("no URL") };
    let files = tempfile::tempdir().unwrap();
    let (first, second) = (files.path().join("first"), files.path().join("second"));
    std::fs::write(&first, backed_up(home.path()).await).unwrap();
    let there = tempfile::tempdir().unwrap();
    restore(there.path(), &first, RestoreTarget::Url(url.clone()), false).await.unwrap();
    assert!(!there.path().join("server/stackyard.db").exists());
    assert_eq!(rows(&sqlite(home.path())).await, rows(&postgres.database).await);
    // A database with rows, of no interrupted restoration.
    let third = tempfile::tempdir().unwrap();
    let error = loop {
        // The lock of the last process is gone a moment after its connection.
        match restore(third.path(), &first, RestoreTarget::Url(url.clone()), false).await.unwrap_err() {
            BackupError::Store(Error::Locked { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
            other => break other,
        }
    };
    assert!(matches!(error, BackupError::DatabaseNotEmpty(_)), "{error:?}");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let running = Running::start_in(there, HubTiming::default()).await;
    assert_eq!(running.admin.hosts(None, None).await.unwrap().len(), 1);
    std::fs::write(&second, backed_up(running.home.path()).await).unwrap();
    let there = running.stop().await;
    let back = tempfile::tempdir().unwrap();
    let done = restore(back.path(), &second, RestoreTarget::Sqlite, false).await.unwrap();
    assert_eq!(done.summary.database, "postgresql");
    assert_eq!(rows(&postgres.database).await, rows(&sqlite(back.path())).await);
    drop(there);
}
