//! Volumes on loop devices, really mounted, with a server of one volume. Needs root.

use super::*;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use stackyard_core::progress::Event;
use stackyard_core::stack::{Mount, Service, VOLUME_DRIVER, Volume};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const ID: &str = "7d1c2f4e-0b8f-4c60-a6a2-5c0f5e3f9d11";

fn sh(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A cloud with one volume, which a link stands for as udev would make it.
struct OneVolume {
    device: PathBuf,
    link: PathBuf,
    /// Another host has it.
    held: AtomicBool,
    away: AtomicBool,
    asked: Mutex<Vec<VolumeAsk>>,
    /// Whether the volume was mounted when it was to be detached.
    detached_mounted: AtomicBool,
}

impl OneVolume {
    fn is_mounted(&self) -> bool {
        let exclusive = rustix::fs::open(
            &self.device,
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::EXCL,
            rustix::fs::Mode::empty(),
        );
        exclusive.is_err()
    }

    fn is_attached(&self) -> bool {
        self.link.exists()
    }

    fn asked(&self) -> Vec<&'static str> {
        let word = |ask: &VolumeAsk| match ask {
            VolumeAsk::Attach { .. } => "attach",
            VolumeAsk::Detach { .. } => "detach",
        };
        std::mem::take(&mut *self.asked.lock().unwrap()).iter().map(word).collect()
    }
}

impl AskServer for OneVolume {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Answer, String>> {
        let Ask::Volume(ask) = ask else { panic!("{ask:?}") };
        self.asked.lock().unwrap().push(ask.clone());
        if self.away.load(Ordering::SeqCst) {
            return std::future::ready(Err("the server is not connected".to_owned())).boxed();
        }
        let answer = match ask {
            VolumeAsk::Attach { .. } if self.held.load(Ordering::SeqCst) => {
                VolumeAnswer::Wait { why: "it is still attached to server web-2 (ACTIVE)".into() }
            }
            VolumeAsk::Attach { .. } => {
                if !self.is_attached() {
                    std::os::unix::fs::symlink(&self.device, &self.link).unwrap();
                }
                VolumeAnswer::Attached { id: ID.into() }
            }
            VolumeAsk::Detach { .. } => {
                self.detached_mounted.fetch_or(self.is_mounted(), Ordering::SeqCst);
                let _ = std::fs::remove_file(&self.link);
                VolumeAnswer::Detached
            }
        };
        std::future::ready(Ok(Answer::Volume(answer))).boxed()
    }
}

/// Held by each test: a namespace that one makes has the mounts of all.
static ALONE: Mutex<()> = Mutex::new(());

struct Ground {
    dir: tempfile::TempDir,
    server: Arc<OneVolume>,
    state: StateDir,
    volumes: Volumes,
    said: Arc<Mutex<Vec<String>>>,
    /// Last, since it is dropped last.
    _alone: MutexGuard<'static, ()>,
}

impl Ground {
    fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("disk")).unwrap().set_len(128 << 20).unwrap();
        let device = sh("losetup", &["--find", "--show", dir.path().join("disk").to_str().unwrap()]);
        std::fs::create_dir(dir.path().join("by-id")).unwrap();
        let server = Arc::new(OneVolume {
            device: device.into(),
            link: dir.path().join("by-id").join(format!("virtio-{}", &ID[..20])),
            held: AtomicBool::new(false),
            away: AtomicBool::new(false),
            asked: Mutex::default(),
            detached_mounted: AtomicBool::new(false),
        });
        let state = StateDir::open(dir.path().join("state")).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let volumes = open(&dir, &state, &server, &said);
        Self { dir, server, state, volumes, said, _alone: alone }
    }

    /// The agent was killed, and is another process.
    fn restart(&mut self) {
        self.volumes = open(&self.dir, &self.state, &self.server, &self.said);
    }

    fn place(&self) -> PathBuf {
        self.state.path().join("volumes/shop/db")
    }

    fn file(&self) -> PathBuf {
        self.place().join("data/counter")
    }

    fn ledger(&self) -> Option<LedgerPhase> {
        self.volumes.0.ledger.read("shop", "db").unwrap()
    }

    async fn bring(&self) -> MissingVolumes {
        self.volumes.bring(&stack()).await
    }

    async fn release(&self) -> Result<Option<String>, String> {
        self.volumes.release("shop", &BTreeSet::new()).await
    }
}

fn open(dir: &tempfile::TempDir, state: &StateDir, server: &Arc<OneVolume>, said: &Arc<Mutex<Vec<String>>>) -> Volumes {
    let (none, by_id) = (dir.path().join("none"), dir.path().join("by-id"));
    let devices = Devices { by_id, sys_block: none.clone(), dev: none };
    let said = said.clone();
    let onlooker = move |event: Event| said.lock().unwrap().push(format!("{event:?}"));
    Volumes::open(state, server.clone(), devices, Arc::new(onlooker)).unwrap()
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--quiet").arg(self.place()).status();
        let _ = Command::new("losetup").arg("--detach").arg(&self.server.device).status();
    }
}

fn stack() -> Stack {
    let kind = MountKind::Volume { name: "db".into(), nocopy: false, subpath: None };
    let db = Service {
        image: "i".into(),
        volumes: vec![Mount { kind, target: "/d".into(), read_only: false }],
        ..Service::default()
    };
    let sidecar =
        Service { network_mode: stackyard_core::stack::NetworkMode::Service("db-1".into()), ..Service::default() };
    let mut stack = Stack { name: "shop".into(), ..Stack::default() };
    stack.services.extend([("db-1".into(), db), ("sidecar-1".into(), sidecar), ("web-1".into(), Service::default())]);
    let options = [("size".to_owned(), "1".to_owned())];
    let volume = Volume { driver: Some(VOLUME_DRIVER.into()), driver_opts: options.into(), ..Volume::default() };
    stack.volumes.insert("db".into(), volume);
    stack
}

/// A program in a mount namespace of its own, which keeps what is mounted now.
struct Elsewhere(Child);

impl Elsewhere {
    fn new(before: &str) -> Self {
        let mut command = Command::new("unshare");
        let script = format!("{before}echo; exec sleep 60");
        command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        // The shell says so before it becomes `sleep`.
        let comm = format!("/proc/{}/comm", child.id());
        while std::fs::read_to_string(&comm).unwrap() != "sleep\n" {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_volume_comes_stays_over_a_boot_and_goes() {
    let mut ground = Ground::new();
    assert_eq!(ground.bring().await, MissingVolumes::default(), "{:?}", ground.said.lock().unwrap());
    assert_eq!(ground.ledger(), Some(LedgerPhase::Attached { id: ID.into() }));
    std::fs::write(ground.file(), "7").unwrap();
    assert_eq!(ground.server.asked(), ["attach"]);
    // The host boots while the server is away: the disk is there, so nobody is asked.
    sh("umount", &[ground.place().to_str().unwrap()]);
    assert!(!ground.place().join(DATA).exists(), "a container could start without its volume");
    ground.server.away.store(true, Ordering::SeqCst);
    ground.restart();
    assert_eq!(ground.bring().await, MissingVolumes::default());
    assert_eq!(std::fs::read_to_string(ground.file()).unwrap(), "7");
    assert!(ground.server.asked().is_empty());
    // It is unmounted at once, and detached once the server hears of it.
    assert!(ground.release().await.unwrap().unwrap().contains("not connected"));
    assert!(!ground.server.is_mounted());
    assert_eq!(ground.ledger(), Some(LedgerPhase::Unmounted));
    ground.server.away.store(false, Ordering::SeqCst);
    ground.restart();
    assert_eq!(ground.volumes.stacks().unwrap(), ["shop".to_owned()].into());
    assert_eq!(ground.release().await, Ok(None));
    assert_eq!((ground.ledger(), ground.server.is_attached()), (None, false));
    assert!(!ground.server.detached_mounted.load(Ordering::SeqCst));
    assert!(!ground.place().exists());
    // Nothing is left to do.
    ground.server.asked();
    assert_eq!(ground.release().await, Ok(None));
    assert!(ground.server.asked().is_empty());
}

#[tokio::test]
async fn a_mount_in_another_namespace_keeps_the_volume() {
    let ground = Ground::new();
    assert_eq!(ground.bring().await, MissingVolumes::default());
    // A container of the stack still runs: the host's mount stays, too.
    let place = ground.place().display().to_string();
    let container = Elsewhere::new(&format!("mount --bind {place}/data /mnt && umount {place} && "));
    let why = ground.release().await.unwrap_err();
    assert!(
        why.contains("cannot unmount volume") && why.contains("in use by process") && why.contains("sleep"),
        "{why}"
    );
    assert!(crate::prepare::volume::device_at(&ground.place()).unwrap().is_some());
    drop(container);
    // All of it, as programs have it that look at the whole host: it may go with the mount here, and it does not.
    let elsewhere = Elsewhere::new("");
    let why = ground.release().await.unwrap_err();
    assert!(why.contains("still mounted somewhere by process") && why.contains("sleep"), "{why}");
    assert_eq!(ground.ledger(), Some(LedgerPhase::Attached { id: ID.into() }));
    assert_eq!(ground.server.asked(), ["attach"], "nothing is detached");
    drop(elsewhere);
    assert_eq!(ground.release().await, Ok(None));
    assert!(!ground.server.detached_mounted.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_volume_in_use_is_not_unmounted() {
    let ground = Ground::new();
    assert_eq!(ground.bring().await, MissingVolumes::default());
    let open = std::fs::File::create(ground.file()).unwrap();
    let why = ground.release().await.unwrap_err();
    assert!(why.contains("cannot unmount volume") && why.contains("busy"), "{why}");
    assert_eq!(ground.server.asked(), ["attach"]);
    drop(open);
    assert_eq!(ground.release().await, Ok(None));
}

#[tokio::test]
async fn killed_at_any_step_it_is_put_right() {
    let mut ground = Ground::new();
    // Before the answer came: it may be attached.
    ground.volumes.0.ledger.write("shop", "db", LedgerPhase::Asked).unwrap();
    ground.restart();
    assert_eq!(ground.release().await, Ok(None));
    assert_eq!(ground.server.asked(), ["detach"]);
    // Before it was mounted.
    assert_eq!(ground.bring().await, MissingVolumes::default());
    ground.server.asked();
    sh("umount", &[ground.place().to_str().unwrap()]);
    ground.restart();
    assert_eq!(ground.release().await, Ok(None));
    assert_eq!(ground.server.asked(), ["detach"]);
    // After it was unmounted: the server may be detaching it, so it is asked for although the disk is there.
    assert_eq!(ground.bring().await, MissingVolumes::default());
    sh("umount", &[ground.place().to_str().unwrap()]);
    ground.volumes.0.ledger.write("shop", "db", LedgerPhase::Unmounted).unwrap();
    ground.server.held.store(true, Ordering::SeqCst);
    ground.restart();
    ground.server.asked();
    assert_eq!(ground.bring().await.waits.len(), 1);
    assert_eq!(ground.server.asked(), ["attach"]);
    assert!(!ground.server.is_mounted());
}

#[tokio::test]
async fn containers_without_their_volume_are_withheld() {
    let ground = Ground::new();
    ground.server.held.store(true, Ordering::SeqCst);
    let missing = ground.bring().await;
    assert!(missing.waits["db"].contains("web-2 (ACTIVE)"), "{missing:?}");
    let withheld = missing.withheld(&stack());
    let left = stack().services.into_keys().filter(|name| !withheld.contains(name));
    assert_eq!(left.collect::<Vec<_>>(), ["web-1"]);
    let failed = MissingVolumes {
        failed: [("db".to_owned(), "it is not blank".to_owned())].into(),
        ..MissingVolumes::default()
    };
    assert_eq!(failed.failures(&stack()).unwrap(), "container db-1: volume db: it is not blank");
}

#[tokio::test]
async fn mounts_do_not_depend_on_what_is_there() {
    let ground = Ground::new();
    let bound = || {
        let mut stack = stack();
        ground.volumes.bind(&mut stack);
        stack
    };
    let before = bound();
    let MountKind::Bind(bind) = &before.services["db-1"].volumes[0].kind else { panic!("{before:?}") };
    assert_eq!((Path::new(&bind.source), bind.create_host_path), (ground.place().join(DATA).as_path(), false));
    assert!(before.volumes.is_empty());
    ground.bring().await;
    assert_eq!(bound(), before);
}
