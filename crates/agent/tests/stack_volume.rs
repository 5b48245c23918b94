//! A Cinder volume of a stack on one host: a real agent, a real Docker Engine, a loop device as the disk. Needs root.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::{Host, all_run, eventually, part, service};
use stackyard_core::agent::{Answer, Ask, Part, VolumeAnswer, VolumeAsk};
use stackyard_core::stack::{Mount, MountKind, VOLUME_DRIVER, Volume};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Not a test: the agent.
#[tokio::test]
#[ignore = "started by the other tests"]
async fn the_agent_process() {
    common::be_the_agent().await;
}

fn sh(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A disk that a link of udev's stands for while it is attached.
struct Disk {
    dir: tempfile::TempDir,
    device: String,
    id: String,
    held: AtomicBool,
}

impl Disk {
    fn new() -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("disk")).unwrap().set_len(64 << 20).unwrap();
        let device = sh("losetup", &["--find", "--show", dir.path().join("disk").to_str().unwrap()]);
        std::fs::create_dir_all("/dev/disk/by-id").unwrap();
        let id = format!("{:08x}-0000-4000-8000-000000000000", std::process::id());
        Arc::new(Self { dir, device, id, held: AtomicBool::new(false) })
    }

    fn link(&self) -> PathBuf {
        Path::new("/dev/disk/by-id").join(format!("virtio-{}", &self.id[..20]))
    }

    fn is_mounted(&self) -> bool {
        rustix::fs::open(
            self.device.as_str(),
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::EXCL,
            rustix::fs::Mode::empty(),
        )
        .is_err()
    }

    fn answer(&self, ask: &Ask) -> Answer {
        match ask {
            Ask::Volume(VolumeAsk::Attach { .. }) if self.held.load(Ordering::SeqCst) => {
                Answer::Volume(VolumeAnswer::Wait { why: "another server has it".into() })
            }
            Ask::Volume(VolumeAsk::Attach { .. }) => {
                if !self.link().exists() {
                    std::os::unix::fs::symlink(&self.device, self.link()).unwrap();
                }
                Answer::Volume(VolumeAnswer::Attached { id: self.id.clone() })
            }
            Ask::Volume(VolumeAsk::Detach { .. }) => {
                assert!(!self.is_mounted(), "detached while it was mounted");
                let _ = std::fs::remove_file(self.link());
                Answer::Volume(VolumeAnswer::Detached)
            }
            _ => Answer::Ports { ports: Vec::new() },
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.link());
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
        let _ = self.dir.path();
    }
}

/// A part with a service that counts in its volume, and one without.
fn counting(stack: &str, generation: u64) -> Part {
    let line = "n=0; [ ! -e /data/n ] || read n </data/n; n=$((n+1)); echo $n >/data/n; sync; \
                trap 'exit 0' TERM; while :; do sleep 0.2; done";
    let mut db = service(line);
    let kind = MountKind::Volume { name: "data".into(), nocopy: false, subpath: None };
    db.volumes = vec![Mount { kind, target: "/data".into(), read_only: false }];
    let part = part(stack, generation, &[("db", db), ("web", common::speaker("web"))]);
    let mut whole = part.unpack();
    let options = [("size".to_owned(), "1Gi".to_owned())].into();
    let driver = Some(VOLUME_DRIVER.to_owned());
    whole.volumes.insert("data".into(), Volume { driver, driver_opts: options, ..Volume::default() });
    Part::pack(whole, part.replicas, part.generations)
}

#[tokio::test]
async fn a_container_has_its_volume_or_does_not_run() {
    let disk = Disk::new();
    let mut host = Host::new("volume").await;
    let stack = host.stack.clone();
    let answers = disk.clone();
    host.hub.answer_with(move |ask| answers.answer(ask));
    let place = host.state_file(&format!("volumes/{stack}/data"));
    let counter = || std::fs::read_to_string(place.join("data/n")).ok().and_then(|n| n.trim().parse::<u32>().ok());
    // While another host has it, only the other container runs; that is no error, and the work is done.
    disk.held.store(true, Ordering::SeqCst);
    host.want(1, vec![counting(&stack, 1)]);
    host.start();
    let report = host.settled(1).await;
    assert!(all_run(&report, &stack, 1), "{report:#?}");
    disk.held.store(false, Ordering::SeqCst);
    host.hub.report("both containers", |r| all_run(r, &stack, 2)).await;
    eventually("the first count", async || counter() == Some(1)).await;
    assert!(disk.is_mounted());

    // The machine boots while the server is away: Docker cannot start the container without the volume, the agent
    // mounts it, and the container starts.
    host.kill();
    host.hub.vanish().await;
    let id = host.running().await["db-1"].clone();
    sh("docker", &["stop", "-t", "1", &id]);
    sh("umount", &[place.to_str().unwrap()]);
    let started = Command::new("docker").args(["start", &id]).output().unwrap();
    assert!(!started.status.success(), "Docker starts a container without its volume");
    assert!(std::fs::read_dir(&place).unwrap().next().is_none(), "something was written next to the volume");
    host.start();
    eventually("the second count", async || counter() == Some(2)).await;
    host.hub.listen().await;
    host.settled(1).await;

    // Killed while it removes the stack: the volume is given back all the same, and never while it is mounted.
    host.want(2, Vec::new());
    eventually("the end of the container", async || !host.running().await.contains_key("db-1")).await;
    host.kill();
    host.start();
    host.hub.report("nothing", |r| r.revision == 2 && r.settled && r.parts.is_empty()).await;
    assert!(!disk.is_mounted() && !disk.link().exists());
    host.nothing_left().await;
    let ledger = std::fs::read_dir(host.state_file("volume-ledger")).unwrap().count();
    assert_eq!(ledger, 0);
    // It comes back with its data.
    host.want(3, vec![counting(&stack, 3)]);
    eventually("the third count", async || counter() == Some(3)).await;
    host.want(4, Vec::new());
    host.hub.report("nothing", |r| r.revision == 4 && r.settled && r.parts.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!disk.is_mounted());
}
