//! Opening, reopening, and what a store survives.

use crate::place::Place;
use stackyard_store::{AuditFilter, Error, NewEntry, Outcome, Store};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test]
async fn the_file_is_private_and_survives() {
    let place = Place::sqlite();
    let store = place.open().await;
    store.set_setting("colour", "red").await.unwrap();
    let dir = place.dir().join("server");
    for entry in std::fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    store.close().await;
    assert_eq!(place.open().await.setting("colour").await.unwrap().as_deref(), Some("red"));
}

#[tokio::test]
async fn one_server_has_a_postgres_to_itself_also_after_its_restart() {
    let mut place = Place::postgres();
    let store = place.open().await;
    let error = Store::open(&place.database).await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    store.set_setting("colour", "red").await.unwrap();

    place.restart();
    store.ping().await.unwrap();
    assert_eq!(store.setting("colour").await.unwrap().as_deref(), Some("red"));
    let error = Store::open(&place.database).await.unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error:?}");
    store.close().await;
    drop(store);
    // The database notices a moment later that the connection is gone.
    for _ in 0..50 {
        if Store::open(&place.database).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    place.open().await;
}

#[tokio::test]
async fn an_unreachable_database_is_named_without_its_password() {
    let url = "postgres://me:hushhush@127.0.0.1:1/yards".to_owned();
    let error = Store::open(&stackyard_store::Database::Url(url)).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("postgres://me@127.0.0.1:1/yards"), "{text}");
    assert!(!text.contains("hushhush"), "{text}");
}

/// The other half of the test below: writes until it is killed.
#[tokio::test]
#[ignore = "is started by `a_killed_writer_loses_nothing_that_was_said_to_be_kept`"]
async fn writer() {
    let path = std::env::var_os("STACKYARD_TEST_STORE").expect("started by another test");
    let store = Store::open(&stackyard_store::Database::File(path.into())).await.unwrap();
    let first = store.audit(&AuditFilter::default(), None, 1).await.unwrap().first().map_or(0, |e| e.new.at + 1);
    for n in first.. {
        let id = store.audit_begin(&NewEntry { at: n, ..NewEntry::default() }).await.unwrap();
        let outcome = Outcome { status: "200".to_owned(), result: "done".to_owned() };
        store.audit_end(&id, &outcome, None).await.unwrap();
        println!("kept {n}");
    }
}

#[tokio::test]
async fn a_killed_writer_loses_nothing_that_was_said_to_be_kept() {
    let place = Place::sqlite();
    let path = place.dir().join("server/stackyard.db");
    let mut kept = 0;
    for round in 0..10_u64 {
        let said = write_until_killed(&path, Duration::from_millis(150 + round * 37));
        let store = place.open().await;
        let entries = store.audit(&AuditFilter::default(), None, 1_000_000).await.unwrap();
        let done = entries.iter().filter(|e| e.new.outcome.is_some()).map(|e| e.new.at).max();
        assert!(done >= said, "said {said:?}, kept {done:?}");
        let mut numbers: Vec<_> = entries.iter().map(|e| e.new.at).collect();
        numbers.reverse();
        kept = numbers.len();
        assert!(numbers.iter().copied().eq(0..i64::try_from(numbers.len()).unwrap()), "there are gaps");
        store.close().await;
    }
    assert!(kept > 20, "the writer did not get to write: {kept}");
}

/// Highest number that the writer said it kept.
fn write_until_killed(path: &Path, after: Duration) -> Option<i64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "life::writer"])
        .env("STACKYARD_TEST_STORE", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complete = said.rsplit_once('\n').map(|(all, _)| all).unwrap_or_default();
    complete.lines().rev().find_map(|l| l.strip_prefix("kept ")?.parse().ok())
}
