//! A server's start and end.

use super::support::Running;
use stackyard_server::daemon::{DaemonError, Server, Settings};
use stackyard_server::hub::HubTiming;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_a_directory_and_nothing_for_others_to_read() {
    let running = Running::start().await;
    let error = Server::start(running.home.path(), Settings::default()).await.unwrap_err();
    assert!(matches!(&error, DaemonError::Running { pid, .. } if *pid == std::process::id().to_string()), "{error:?}");
    let dir = running.home.path().join("server");
    for entry in std::fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let private = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o777, private, "{}", entry.path().display());
    }
    assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    let home = running.stop().await;
    let again = Running::start_in(home, HubTiming::default()).await;
    again.admin.health().await.unwrap();
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_come_back_to_a_server_that_was_started_again() {
    let running = Running::start().await;
    let hosts = [running.host("shop", "web-1").await, running.host("shop", "web-2").await];
    let mut agents = Vec::new();
    for host in &hosts {
        agents.push(running.agent(&host.token, None).await);
    }
    running.until("both", || running.server.app().hub().connected() == 2).await;
    let start = std::time::Instant::now();
    let (url, ca) = (running.url.clone(), running.ca.clone());
    let home = running.stop().await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    for agent in &mut agents {
        // It may have been told before what should run.
        agent.closed().await;
    }
    let running = Running::start_in(home, HubTiming::default()).await;
    // Same address, same CA, same tokens.
    assert_eq!((running.url.as_str(), running.ca.as_str()), (url.as_str(), ca.as_str()));
    for host in &hosts {
        agents.push(running.agent(&host.token, None).await);
    }
    running.until("both again", || running.server.app().hub().connected() == 2).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_under_way_ends_before_the_server() {
    let running = Running::start().await;
    let admin = running.admin.clone();
    let many: Vec<_> = (0..50)
        .map(|n| {
            let admin = admin.clone();
            tokio::spawn(async move { admin.set_secret("shop", &format!("s{n}"), "x").await.is_ok() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(30)).await;
    let home = running.stop().await;
    let mut said = 0;
    for one in many {
        said += usize::from(one.await.unwrap());
    }
    let running = Running::start_in(home, HubTiming::default()).await;
    let kept = running.admin.secrets("shop").await.unwrap().len();
    assert!(kept >= said, "{said} were said to be kept, {kept} are");
    running.stop().await;
}
