//! Data volumes, on loop devices: real file systems, really mounted. Needs root.

#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use rustix::fs::{Mode, OFlags};
use stackyard_agent::prepare::volume::{GrowAttempt, bring, grow_among};
use stackyard_agent::prepare::{Devices, Error};
use stackyard_agent::state::StateDir;
use stackyard_core::agent::{DataVolume, Filesystem};
use stackyard_core::progress::Event;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const ID: &str = "7d1c2f4e-0b8f-4c60-a6a2-5c0f5e3f9d11";
const MIB: u64 = 1 << 20;

/// A disk of a file, with a place to mount it and the link that udev would make.
struct Disk {
    dir: tempfile::TempDir,
    device: PathBuf,
    wanted: DataVolume,
    state: StateDir,
    said: Mutex<Vec<String>>,
}

fn sh(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Disk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("disk")).unwrap();
        file.set_len(128 * MIB).unwrap();
        let device = sh("losetup", &["--find", "--show", dir.path().join("disk").to_str().unwrap()]);
        std::fs::create_dir(dir.path().join("by-id")).unwrap();
        let mount = dir.path().join("mount").to_str().unwrap().to_owned();
        let state = StateDir::open(dir.path().join("state")).unwrap();
        let wanted = DataVolume { id: ID.into(), mount, filesystem: Filesystem::Ext4 };
        let disk = Self { dir, device: device.into(), wanted, state, said: Mutex::default() };
        disk.attach();
        disk
    }

    fn link(&self) -> PathBuf {
        self.dir.path().join("by-id").join(format!("virtio-{}", &ID[..20]))
    }

    fn attach(&self) {
        std::os::unix::fs::symlink(&self.device, self.link()).unwrap();
    }

    fn devices(&self) -> Devices {
        Devices {
            by_id: self.dir.path().join("by-id"),
            sys_block: self.dir.path().join("none"),
            dev: self.dir.path().join("none"),
        }
    }

    fn bring(&self) -> Result<(), Error> {
        let say = |e: Event| {
            if let Event::Note { text, .. } = e {
                self.said.lock().unwrap().push(text);
            }
        };
        bring(&self.wanted, &self.devices(), &self.state, Duration::from_secs(3), &say)
    }

    /// As [`bring`], which must refuse; what it said.
    fn refused(&self) -> Error {
        match self.bring() {
            Err(e) => e,
            other => panic!("{other:?}"),
        }
    }

    fn mount(&self) -> &Path {
        Path::new(&self.wanted.mount)
    }

    /// Unmounts it, and waits until the kernel lets go of the disk: another process's new mount namespace may have a copy
    /// of the mount.
    fn unmount(&self) {
        sh("umount", &[&self.wanted.mount]);
        let deadline = Instant::now() + Duration::from_secs(20);
        let exclusive = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
        while let Err(e) = rustix::fs::open(&self.device, exclusive, Mode::empty()) {
            assert!(Instant::now() < deadline, "{}: {e}", self.device.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_mounted(&self) -> bool {
        std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&self.wanted.mount)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) {
        let file = std::fs::OpenOptions::new().write(true).open(&self.device).unwrap();
        file.write_all_at(bytes, at).unwrap();
        file.sync_all().unwrap();
    }

    fn resize(&self, mib: u64) {
        let file = std::fs::OpenOptions::new().write(true).open(self.dir.path().join("disk")).unwrap();
        file.set_len(mib * MIB).unwrap();
        sh("losetup", &["--set-capacity", self.device.to_str().unwrap()]);
    }

    fn mib(&self) -> u64 {
        sh("df", &["--output=size", "--block-size=1M", &self.wanted.mount])
            .lines()
            .last()
            .unwrap()
            .trim()
            .parse()
            .unwrap()
    }

    fn uuid(&self) -> String {
        sh("blkid", &["-p", "-s", "UUID", "-o", "value", self.device.to_str().unwrap()])
    }

    fn record(&self, uuid: &str) {
        let text = format!(r#"{{"uuid": "{}"}}"#, uuid.replace('-', ""));
        std::fs::write(self.state.path().join(format!("format-{ID}.json")), text).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted() {
            let _ = Command::new("umount").arg("--lazy").arg(&self.wanted.mount).status();
        }
        let _ = Command::new("losetup").arg("--detach").arg(&self.device).status();
    }
}

#[test]
fn a_blank_volume_is_formatted_once() {
    let disk = Disk::new();
    disk.bring().unwrap();
    assert!(disk.is_mounted());
    std::fs::write(disk.mount().join("kept"), "data").unwrap();
    let uuid = disk.uuid();
    disk.bring().unwrap();
    // The next boot.
    disk.unmount();
    disk.bring().unwrap();
    assert_eq!(std::fs::read_to_string(disk.mount().join("kept")).unwrap(), "data");
    assert_eq!(disk.uuid(), uuid);
    assert_eq!(std::fs::read_dir(disk.state.path()).unwrap().count(), 0, "no record is left");
}

#[test]
fn it_may_come_late_or_not_at_all() {
    let disk = Disk::new();
    std::fs::remove_file(disk.link()).unwrap();
    let error = disk.refused();
    assert!(matches!(error, Error::NotAttached { .. }), "{error}");
    assert!(disk.said.lock().unwrap()[0].contains("waiting for volume"), "{:?}", disk.said);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(1));
            disk.attach();
        });
        disk.bring().unwrap();
    });
    assert!(disk.is_mounted());
}

#[test]
fn what_is_not_blank_is_left_alone() {
    let disk = Disk::new();
    let name = disk.device.to_str().unwrap();
    let untouched = |what: &str| {
        let before = sh("sha256sum", &[name]);
        let error = disk.refused().to_string();
        assert!(error.contains(what) && error.contains(ID), "{error}");
        assert_eq!(sh("sha256sum", &[name]), before);
        assert!(!disk.is_mounted());
    };
    disk.write_at(MIB - 1, b"x");
    untouched("no tool knows");
    disk.write_at(MIB - 1, &[0]);
    disk.write_at(127 * MIB, b"x");
    untouched("no tool knows");
    disk.write_at(127 * MIB, &[0]);
    sh("mkswap", &[name]);
    untouched("swap");
    sh("wipefs", &["--all", name]);
    let mut partition = Command::new("sfdisk").arg(name).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(partition.stdin.as_mut().unwrap(), b"label: gpt\n,\n").unwrap();
    assert!(partition.wait().unwrap().success());
    untouched("partition table (gpt)");
}

#[test]
fn somebody_elses_file_system_is_kept() {
    let disk = Disk::new();
    sh("mkfs.ext4", &["-q", disk.device.to_str().unwrap()]);
    let uuid = disk.uuid();
    disk.bring().unwrap();
    assert_eq!(disk.uuid(), uuid);
}

#[test]
fn a_format_that_was_cut_short_is_begun_again() {
    let disk = Disk::new();
    let name = disk.device.to_str().unwrap();
    let uuid = "0b8f4c60-a6a2-4c60-9d11-5c0f5e3f9d11";
    let make = || sh("mkfs.ext4", &["-q", "-F", "-U", uuid, name]);
    // All but the last thing that mkfs writes, the superblock.
    make();
    disk.record(uuid);
    disk.write_at(1024, &[0; 1024]);
    disk.bring().unwrap();
    assert_ne!(disk.uuid(), uuid);
    disk.unmount();
    // All of it, but we were killed before we knew.
    make();
    disk.record(uuid);
    disk.bring().unwrap();
    assert_ne!(disk.uuid(), uuid);
    disk.unmount();
    // It was used since, by whom ever.
    make();
    sh("mount", &[name, &disk.wanted.mount]);
    disk.unmount();
    disk.record(uuid);
    disk.bring().unwrap();
    assert_eq!(disk.uuid(), uuid);
    disk.unmount();
    // Not ours at all.
    sh("mkfs.ext4", &["-q", "-F", name]);
    let other = disk.uuid();
    disk.record(uuid);
    disk.bring().unwrap();
    assert_eq!(disk.uuid(), other);
}

/// Whether this machine's root has CAP_SYS_RESOURCE, which the kernel asks for to resize ext4.
fn may_resize() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|l| l.strip_prefix("CapEff:")).unwrap().trim();
    u64::from_str_radix(set, 16).unwrap() & 1 << 24 != 0
}

#[test]
fn it_grows_while_it_is_mounted() {
    let disk = Disk::new();
    disk.bring().unwrap();
    let before = disk.mib();
    disk.resize(512);
    let mut tried = GrowAttempt::default();
    let grown = grow_among(&disk.wanted, &disk.devices(), &mut tried, &());
    if !may_resize() {
        // A machine whose root may not: that is said, and nothing is broken.
        let error = grown.unwrap_err().to_string();
        assert!(error.contains("Permission denied") && error.contains(ID), "{error}");
        disk.bring().unwrap_err();
        assert_eq!(disk.mib(), before);
        return;
    }
    grown.unwrap();
    assert!(disk.mib() > before * 3, "{before} {}", disk.mib());
    grow_among(&disk.wanted, &disk.devices(), &mut tried, &()).unwrap();
    // And at the next boot.
    let before = disk.mib();
    disk.unmount();
    disk.resize(1024);
    disk.bring().unwrap();
    assert!(disk.mib() > before + 400, "{before} {}", disk.mib());
}

#[test]
fn xfs_too() {
    let mut disk = Disk::new();
    disk.wanted.filesystem = Filesystem::Xfs;
    disk.resize(512);
    disk.bring().unwrap();
    std::fs::write(disk.mount().join("kept"), "data").unwrap();
    let before = disk.mib();
    disk.resize(1024);
    grow_among(&disk.wanted, &disk.devices(), &mut GrowAttempt::default(), &()).unwrap();
    assert!(disk.mib() > before + 400, "{before} {}", disk.mib());
    disk.unmount();
    let uuid = disk.uuid();
    // Its making was not finished (the flag of its superblock is set), and we know that it was ours.
    disk.record(&uuid);
    disk.write_at(126, &[1]);
    disk.bring().unwrap();
    assert_ne!(disk.uuid(), uuid);
    disk.unmount();
    disk.bring().unwrap();
}

#[test]
fn nothing_is_mounted_over_something_else() {
    let disk = Disk::new();
    std::fs::create_dir(disk.mount()).unwrap();
    sh("mount", &["-t", "tmpfs", "tmpfs", &disk.wanted.mount]);
    let error = disk.refused().to_string();
    assert!(error.contains("tmpfs is mounted there"), "{error}");
    disk.unmount();
    disk.bring().unwrap();
    let mut elsewhere = disk.wanted.clone();
    elsewhere.mount = disk.dir.path().join("elsewhere").to_str().unwrap().to_owned();
    let error = bring(&elsewhere, &disk.devices(), &disk.state, Duration::ZERO, &()).unwrap_err().to_string();
    assert!(error.contains("it is mounted at"), "{error}");
}

#[test]
fn two_disks_of_one_id_are_none() {
    let disk = Disk::new();
    let other = Disk::new();
    let link = disk.dir.path().join("by-id").join(format!("scsi-0QEMU_QEMU_HARDDISK_{ID}"));
    std::os::unix::fs::symlink(&other.device, link).unwrap();
    assert!(matches!(disk.refused(), Error::Ambiguous { .. }));
}

/// What the killed process is to do.
const TASK: &str = "STACKYARD_TEST_VOLUME";

/// Not a test: the process that is killed.
#[test]
#[ignore = "started by the other test"]
fn the_killed_process() {
    let task = std::env::var(TASK).unwrap();
    let (dir, mount) = task.split_once('|').unwrap();
    let wanted = DataVolume { id: ID.into(), mount: mount.into(), filesystem: Filesystem::Ext4 };
    let dir = Path::new(dir);
    let none = dir.join("none");
    let devices = Devices { by_id: dir.join("by-id"), sys_block: none.clone(), dev: none };
    bring(&wanted, &devices, &StateDir::open(dir.join("state")).unwrap(), Duration::ZERO, &()).unwrap();
}

#[test]
fn it_may_be_killed_at_any_point() {
    let disk = Disk::new();
    let mut kept = false;
    for n in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "the_killed_process"])
            .env(TASK, format!("{}|{}", disk.dir.path().display(), disk.wanted.mount))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(n * 8));
        child.kill().unwrap();
        child.wait().unwrap();
        // Its mkfs, which holds the device, lives on for a moment.
        std::thread::sleep(Duration::from_millis(300));
        if disk.is_mounted() {
            let file = disk.mount().join("kept");
            assert!(!kept || file.exists(), "formatted although it was used");
            std::fs::write(file, "data").unwrap();
            kept = true;
            disk.unmount();
        }
    }
    disk.bring().unwrap();
    assert!(!kept || disk.mount().join("kept").exists(), "formatted although it was used");
}
