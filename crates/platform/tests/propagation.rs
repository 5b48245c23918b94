//! Mount propagation between host and container. Needs root on the engine's machine.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Yard, sleeper};
use stackyard_core::stack::{Bind, Mount, MountKind, Propagation, Service};
use std::path::Path;
use std::process::Command;

/// A directory of the host that is a mount of its own; unmounted at the end.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(sharing: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        mount(&["--bind", dir.path().to_str().unwrap(), dir.path().to_str().unwrap()]);
        mount(&[sharing, dir.path().to_str().unwrap()]);
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-R").arg(self.path()).status();
    }
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().unwrap();
    assert!(status.success(), "mount {arguments:?}: this test needs root");
}

fn with(dir: &Path, propagation: Propagation) -> Service {
    let bind = Bind { source: dir.to_str().unwrap().into(), create_host_path: false, propagation: Some(propagation) };
    let volume = Mount { kind: MountKind::Bind(bind), target: "/host".into(), read_only: false };
    // May mount, without being privileged: some machines cannot give all capabilities.
    let security_opt = ["apparmor=unconfined", "seccomp=unconfined"].map(str::to_owned).to_vec();
    Service { volumes: vec![volume], cap_add: vec!["SYS_ADMIN".into()], security_opt, ..sleeper() }
}

#[tokio::test]
async fn mounts_show_on_the_other_side() {
    let mut yard = Yard::new("prop").await;
    let dir = Mounted::new("--make-shared");
    for name in ["in", "out", "private"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    yard.add("both", with(dir.path(), Propagation::Rshared));
    yard.add("slave", with(dir.path(), Propagation::Rslave));
    yard.add("apart", with(dir.path(), Propagation::Rprivate));
    yard.up().await;
    yard.sh("both", "mount -t tmpfs none /host/out; echo inside > /host/out/file").await;
    assert_eq!(std::fs::read_to_string(dir.path().join("out/file")).unwrap(), "inside\n");
    assert_eq!(yard.sh("slave", "cat /host/out/file").await, "inside");
    mount(&["-t", "tmpfs", "none", dir.path().join("in").to_str().unwrap()]);
    std::fs::write(dir.path().join("in/file"), "outside").unwrap();
    for service in ["both", "slave"] {
        assert_eq!(yard.sh(service, "cat /host/in/file").await, "outside");
    }
    assert_eq!(yard.sh("apart", "ls /host/in /host/out | grep -c file || true").await, "0");
    yard.sh("slave", "mount -t tmpfs none /host/private; touch /host/private/file").await;
    assert!(!dir.path().join("private/file").exists());
    yard.end().await;
}

#[tokio::test]
async fn a_source_that_is_not_shared_is_explained() {
    let mut yard = Yard::new("noshare").await;
    let dir = Mounted::new("--make-private");
    yard.add("app", with(dir.path(), Propagation::Rshared));
    let error = yard.try_up().await.unwrap_err().to_string();
    let path = dir.path().display();
    assert!(error.contains(&format!("mount --bind {path} {path} && mount --make-rshared {path}")), "{error}");
    yard.end().await;
}
