//! A network namespace of the test's own, with a real Open vSwitch in it.

#![allow(dead_code, reason = "each file of tests uses a part of it")]

use nix::sched::{CloneFlags, setns, unshare};
use stackyard_wire::{Ovsdb, Remote, Switch};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A process that ends with its test.
pub struct Process(pub Child);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().unwrap();
    }
}

/// Moves this thread, and what it starts, into a new network namespace.
pub fn own_namespace() {
    unshare(CloneFlags::CLONE_NEWNET).expect("these tests need root");
}

/// Runs a command that must succeed; what it printed.
pub fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|e| panic!("{}: {e}", words[0]));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Open vSwitch.
pub struct Vswitch {
    pub dir: TempDir,
    _database: Process,
    daemon: Option<Process>,
}

impl Vswitch {
    /// Its database alone.
    pub fn database() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name).display().to_string();
        run(&["ovsdb-tool", "create", &file("conf.db"), "/usr/share/openvswitch/vswitch.ovsschema"]);
        let database = Process::start(Command::new("ovsdb-server").args([
            file("conf.db"),
            format!("--remote=punix:{}", file("db.sock")),
            format!("--unixctl={}", file("db.ctl")),
        ]));
        until("ovsdb-server listens", || dir.path().join("db.sock").exists());
        let vswitch = Self { dir, _database: database, daemon: None };
        vswitch.control(&["--no-wait", "init"]);
        vswitch
    }

    /// All of it.
    pub fn whole() -> Self {
        let mut vswitch = Self::database();
        let file = |name: &str| vswitch.dir.path().join(name).display().to_string();
        let daemon = Process::start(
            Command::new("ovs-vswitchd")
                .args([format!("unix:{}", file("db.sock")), format!("--unixctl={}", file("vswitchd.ctl"))])
                .env("OVS_RUNDIR", vswitch.dir.path()),
        );
        vswitch.daemon = Some(daemon);
        vswitch
    }

    /// `ovs-vsctl`.
    pub fn control(&self, words: &[&str]) -> String {
        let db = format!("--db=unix:{}", self.dir.path().join("db.sock").display());
        run(&[&["ovs-vsctl", "--timeout=10", &db], words].concat())
    }

    pub fn remote(&self) -> Remote {
        Remote::Unix(self.dir.path().join("db.sock"))
    }

    pub fn switch(&self) -> Switch {
        Switch::new(Ovsdb::new(self.remote()))
    }
}

/// A container, as far as its network is concerned.
pub struct Container(Process);

impl Container {
    pub fn new() -> Self {
        let container = Self(Process::start(Command::new("unshare").args(["--net", "sleep", "300"])));
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        until("a namespace", || std::fs::read_link(container.namespace()).is_ok_and(|ns| ns != own));
        container
    }

    /// A file of its network namespace.
    pub fn namespace(&self) -> String {
        format!("/proc/{}/ns/net", self.0.0.id())
    }

    /// Takes a link of this namespace, as Docker does.
    pub fn take(&self, link: &str, mac: &str, address: &str) {
        run(&["ip", "link", "set", link, "netns", &self.0.0.id().to_string()]);
        self.ip(&["link", "set", link, "name", "eth0", "address", mac]);
        self.ip(&["address", "add", address, "dev", "eth0"]);
        self.ip(&["link", "set", "eth0", "up"]);
    }

    /// The same with the MAC address that it has.
    pub fn take_as_it_is(&self, link: &str, address: &str) {
        run(&["ip", "link", "set", link, "netns", &self.0.0.id().to_string()]);
        self.ip(&["address", "add", address, "dev", link]);
        self.ip(&["link", "set", link, "up"]);
    }

    /// Sets a link up that it has.
    pub fn set_up(&self, link: &str, mac: &str, address: &str) {
        self.ip(&["link", "set", link, "address", mac]);
        self.ip(&["address", "add", address, "dev", link]);
        self.ip(&["link", "set", link, "up"]);
    }

    pub fn ip(&self, words: &[&str]) -> String {
        self.run(&[&["ip"], words].concat())
    }

    pub fn run(&self, words: &[&str]) -> String {
        run(&[&["nsenter", &format!("--net={}", self.namespace())], words].concat())
    }

    /// Does something in there.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
        let namespace = File::open(Path::new(&self.namespace())).unwrap();
        std::thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        })
    }
}
