//! Docker Engine: none, a silent one, another one, and what real ones say, changed on its way.

use crate::support::{DOCKER, Files, ask, expect, question, sh};
use stackyard_cloud::preflight::{Input, Outcome, Report};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// An image that is removed with this value.
pub struct Image {
    /// Its name.
    pub name: String,
}

impl Image {
    /// With busybox as its only program.
    pub fn busybox() -> Self {
        let name = format!("stackyard-preflight-test:{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        sh(&format!("tar --create --directory / bin/busybox --transform 's,.*,bin/busybox,' | docker import - {name}"));
        Self { name }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "--force", &self.name]).stdout(Stdio::null()).status();
    }
}

/// A running container that is removed with this value.
pub struct Running {
    /// Its name.
    pub name: String,
}

/// Runs busybox's `command` in a container with `options`.
#[track_caller]
pub fn container(image: &Image, options: &str, command: &str) -> Running {
    let name = format!("preflight-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    sh(&format!("docker run --detach --init --name {name} {options} {} /bin/busybox {command}", image.name));
    Running { name }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", "--volumes", &self.name]).stdout(Stdio::null()).status();
    }
}

fn asked_at(socket: &Path) -> Input {
    let (_home, mut input) = question();
    input.docker = format!("unix://{}", socket.display());
    input
}

#[test]
fn no_engine() {
    let dir = tempfile::tempdir().unwrap();
    let report = ask(&asked_at(&dir.path().join("docker.sock")));
    expect(&report, "docker.reachable", Outcome::Fail, "docker.sock");
    assert!(report.blocked());
    assert!(report.get("docker.version").is_none());
}

#[test]
fn an_engine_that_does_not_answer() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let begun = Instant::now();
    expect(&ask(&asked_at(&socket)), "docker.reachable", Outcome::Fail, "no answer");
    assert!(begun.elapsed() < Duration::from_secs(9));
}

#[test]
fn an_engine_elsewhere() {
    // Plain TCP to the real engine's socket, as with DOCKER_HOST=tcp://...
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_home, mut input) = question();
    input.docker = format!("tcp://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let engine = UnixStream::connect(DOCKER.trim_start_matches("unix://")).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut &engine, &mut &client));
        }
    });
    let report = ask(&input);
    expect(&report, "docker.reachable", Outcome::Pass, "tcp://");
    expect(&report, "docker.local", Outcome::Fail, "unset DOCKER_HOST");
}

/// The real engine, with words of its answers replaced by others of the same length.
fn with_words(words: &[(&str, &str)], change: impl FnOnce(&mut Input)) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let words: Vec<(String, String)> = words
        .iter()
        .map(|(from, to)| {
            assert!(to.len() <= from.len(), "{to}");
            // JSON does not mind white space between its words.
            ((*from).to_owned(), format!("{to}{}", " ".repeat(from.len() - to.len())))
        })
        .collect();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let engine = UnixStream::connect(DOCKER.trim_start_matches("unix://")).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), engine.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            let words = words.clone();
            std::thread::spawn(move || relay(engine, client, &words));
        }
    });
    let mut input = asked_at(&socket);
    change(&mut input);
    ask(&input)
}

fn relay(mut engine: UnixStream, mut client: UnixStream, words: &[(String, String)]) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(n @ 1..) = engine.read(&mut buffer) {
        // Answers are small and come in one piece each.
        let mut text = String::from_utf8_lossy(&buffer[..n]).into_owned();
        for (from, to) in words {
            text = text.replace(from, to);
        }
        if client.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// `"Key":"value"` of the real engine's description of itself.
fn word(key: &str) -> String {
    let info = sh("curl -s --unix-socket /var/run/docker.sock http://docker/info");
    let start = info.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key} in {info}"));
    let rest = &info[start..];
    let end = if rest.contains(":[") && rest.find(":[") < rest.find(',') {
        rest.find(']').unwrap() + 1
    } else {
        rest.find([',', '}']).unwrap()
    };
    rest[..end].to_owned()
}

#[test]
fn an_old_engine() {
    let report = with_words(&[(&word("ServerVersion"), "\"ServerVersion\":\"19.03.1\"")], |_| {});
    expect(&report, "docker.version", Outcome::Fail, "20.10");
}

#[test]
fn cgroup_drivers() {
    let version = word("CgroupVersion");
    let report = with_words(&[(&word("CgroupDriver"), "\"CgroupDriver\":\"none\"")], |_| {});
    expect(&report, "docker.cgroups", Outcome::Warn, "neither limited nor counted");
    let files = Files::new(&[("/run/systemd/system/x", "")]);
    let report = with_words(
        &[(&version, "\"CgroupVersion\":\"2\""), (&word("CgroupDriver"), "\"CgroupDriver\":\"cgroupfs\"")],
        |input| input.machine = files.machine(),
    );
    expect(&report, "docker.cgroups", Outcome::Warn, "native.cgroupdriver=systemd");
}

#[test]
fn privileges() {
    let seccomp = word("SecurityOptions");
    let with = |option: &str| with_words(&[(&seccomp, &format!("\"SecurityOptions\":[\"name={option}\"]"))], |_| {});
    expect(&with("rootless"), "docker.privileges", Outcome::Fail, "without root");
    expect(&with("userns"), "docker.privileges", Outcome::Fail, "userns-remap");
    expect(&with("selinux"), "docker.privileges", Outcome::Warn, "SELinux");
}

#[test]
fn live_restore() {
    let was = word("LiveRestoreEnabled");
    // No shorter word for true: the space of a neighbour is taken.
    let report = with_words(&[(&was, "\"LiveRestoreEnabled\":true")], |_| {});
    expect(&report, "docker.live_restore", Outcome::Pass, "on");
    if was.ends_with("false") {
        let (_home, input) = question();
        expect(&ask(&input), "docker.live_restore", Outcome::Info, "it comes back");
    }
}

#[test]
fn slow_storage_drivers() {
    for (driver, result) in [("vfs", Outcome::Fail), ("aufs", Outcome::Warn), ("zfs", Outcome::Info)] {
        let report = with_words(&[(&word("Driver"), &format!("\"Driver\":\"{driver}\""))], |_| {});
        expect(&report, "docker.storage", result, driver);
    }
}

/// A dockerd of our own, stopped with this value.
struct Engine {
    child: Child,
    dir: tempfile::TempDir,
}

impl Engine {
    /// On a tmpfs of `size`, with storage driver vfs, in a network and mounts of its own.
    fn small(size: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        sh(&format!("mount -t tmpfs -o size={size} preflight-test {at}/data"));
        let script = format!(
            "exec dockerd --storage-driver vfs --data-root {at}/data --exec-root {at}/exec --pidfile {at}/pid \
             --host unix://{at}/docker.sock --bridge none --iptables=false --ip6tables=false >{at}/log 2>&1"
        );
        let child = Command::new("unshare").args(["-n", "sh", "-c", &script]).stdin(Stdio::null()).spawn().unwrap();
        let engine = Self { child, dir };
        let begun = Instant::now();
        while UnixStream::connect(engine.socket()).is_err() {
            let log = || std::fs::read_to_string(engine.dir.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(30), "dockerd does not come up: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        engine
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("docker.sock")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
        let _ = Command::new("umount").arg("--lazy").arg(self.dir.path().join("data")).status();
    }
}

/// A real second engine: storage driver vfs, on a disk that is too small.
#[test]
fn another_engine_on_a_small_disk() {
    let engine = Engine::small("300m");
    let mut input = asked_at(&engine.socket());
    input.needs.disk = 6 * 1024;
    input.needs.disk_comfort = 20 * 1024;
    let report = ask(&input);
    expect(&report, "docker.reachable", Outcome::Pass, "answers");
    expect(&report, "docker.storage", Outcome::Fail, "vfs");
    expect(&report, "disk.docker", Outcome::Fail, "at least 6.0 GiB");
    input.needs.disk = 100;
    expect(&ask(&input), "disk.docker", Outcome::Warn, "20.0 GiB are meant");
    input.needs.disk_comfort = 200;
    expect(&ask(&input), "disk.docker", Outcome::Pass, "free");
}
