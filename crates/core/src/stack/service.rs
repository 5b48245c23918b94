//! One service of a stack.

use super::archive::Archive;
use super::deploy::Deploy;
use super::{DEFAULT_NETWORK, EngineOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A service: how its containers run and what they wait for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Image reference, `name[:tag][@digest]`.
    pub image: String,
    /// Replaces the image's CMD.
    pub command: Option<Vec<String>>,
    /// Replaces the image's ENTRYPOINT; an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    /// Environment.
    pub environment: BTreeMap<String, String>,
    /// Labels of the user's own.
    pub labels: BTreeMap<String, String>,
    /// User, `name|uid[:group|gid]`.
    pub user: Option<String>,
    /// Extra groups, names or ids.
    pub group_add: Vec<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Host name inside the container.
    pub hostname: Option<String>,
    /// Full access to the host's devices and capabilities.
    pub privileged: bool,
    /// Capabilities to add.
    pub cap_add: Vec<String>,
    /// Capabilities to drop.
    pub cap_drop: Vec<String>,
    /// Options for AppArmor, SELinux, seccomp.
    pub security_opt: Vec<String>,
    /// PID name space: `host`, `service:<name>` or `container:<name>`.
    pub pid: Option<String>,
    /// IPC name space: `host`, `shareable`, `service:<name>` ...
    pub ipc: Option<String>,
    /// UTS name space: `host`.
    pub uts: Option<String>,
    /// Cgroup name space.
    pub cgroup: Option<CgroupMode>,
    /// Network name space.
    pub network_mode: NetworkMode,
    /// Ports published on the host.
    pub ports: Vec<PublishedPort>,
    /// Ports documented as open: `80/tcp`.
    pub expose: Vec<String>,
    /// Volumes and bind mounts.
    pub volumes: Vec<Mount>,
    /// In-memory mounts: target and options.
    pub tmpfs: BTreeMap<String, String>,
    /// Devices handed in.
    pub devices: Vec<Device>,
    /// Configuration files mounted read-only.
    pub configs: Vec<FileMount>,
    /// Secret files mounted read-only.
    pub secrets: Vec<FileMount>,
    /// Resource limits of the processes, by name (`nofile`).
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Kernel parameters of the container's name spaces.
    pub sysctls: BTreeMap<String, String>,
    /// Lines for /etc/hosts, `name:address`.
    pub extra_hosts: Vec<String>,
    /// Name servers.
    pub dns: Vec<String>,
    /// DNS search domains.
    pub dns_search: Vec<String>,
    /// Run an init process that reaps children.
    pub init: Option<bool>,
    /// Signal that asks the container to stop.
    pub stop_signal: Option<String>,
    /// How long a stop may take before the container is killed.
    pub stop_grace_period: Option<Duration>,
    /// Size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// Memory limit in bytes.
    pub mem_limit: Option<u64>,
    /// Reserved memory in bytes.
    pub mem_reservation: Option<u64>,
    /// CPU limit in billionths of a CPU.
    pub nano_cpus: Option<u64>,
    /// Limit on processes.
    pub pids_limit: Option<i64>,
    /// Preference of the kernel's out-of-memory killer, -1000 to 1000.
    pub oom_score_adj: Option<i64>,
    /// Root file system read-only.
    pub read_only: bool,
    /// Allocate a terminal.
    pub tty: bool,
    /// Keep standard input open.
    pub stdin_open: bool,
    /// Container log driver.
    pub logging: Option<Logging>,
    /// How to tell that the service works.
    pub healthcheck: Option<Healthcheck>,
    /// Services that must have got somewhere before this one starts.
    pub depends_on: BTreeMap<String, Dependency>,
    /// What the engine does when the container ends.
    pub restart: RestartPolicy,
    /// Profiles of the service in its file; an active stack keeps them for display only.
    pub profiles: Vec<String>,
    /// How many containers it has among several hosts, where, and how they are updated. One
    /// engine runs one of each service and looks at no more than whether it is a job.
    #[serde(skip_serializing_if = "Deploy::is_default")]
    pub deploy: Deploy,
    /// Settings that the engine takes as they are.
    #[serde(flatten)]
    pub engine: EngineOptions,
}

impl Service {
    /// Whether this is a one-shot job: some service waits for its successful end.
    ///
    /// `dependents` are all services of the stack.
    pub fn is_job<'a>(name: &str, mut dependents: impl Iterator<Item = &'a Service>) -> bool {
        dependents
            .any(|s| s.depends_on.get(name).is_some_and(|d| d.condition == DependencyCondition::CompletedSuccessfully))
    }
}

/// Cgroup name space of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupMode {
    /// The host's.
    Host,
    /// One of its own.
    Private,
}

/// Where a container's network interfaces come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// The stack's networks by name, with aliases and fixed addresses.
    Networks(BTreeMap<String, Attachment>),
    /// The host's own.
    Host,
    /// Loopback only.
    None,
    /// Another service's.
    Service(String),
    /// Another container's.
    Container(String),
    /// The engine's own network `bridge`, on which names do not resolve.
    Bridge,
}

impl NetworkMode {
    /// The stack's networks by name; the key `default` when none is named. Empty where there is none of the stack's.
    pub fn attachments(&self) -> BTreeMap<String, Attachment> {
        let mut mode = self.clone();
        mode.attachments_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The stack's networks by name, to be changed, once `default` is named where none was. None where there is none of
    /// the stack's.
    pub fn attachments_mut(&mut self) -> Option<&mut BTreeMap<String, Attachment>> {
        let Self::Networks(all) = self else { return None };
        if all.is_empty() {
            all.insert(DEFAULT_NETWORK.to_owned(), Attachment::default());
        }
        Some(all)
    }
}

impl Default for NetworkMode {
    fn default() -> Self {
        Self::Networks(BTreeMap::new())
    }
}

/// How a service sits on a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// Further names for it there.
    pub aliases: Vec<String>,
    /// Fixed IPv4 address.
    pub ipv4_address: Option<String>,
    /// Fixed IPv6 address.
    pub ipv6_address: Option<String>,
    /// Fixed MAC address.
    pub mac_address: Option<String>,
    /// Options for the network's driver.
    pub driver_opts: BTreeMap<String, String>,
}

/// Transport of a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PortProtocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

impl PortProtocol {
    /// All of them.
    const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The one that [`Self::word`] writes so.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.word() == word)
    }

    /// As Compose files and the engine write it: `tcp`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A container's port made reachable on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Port in the container.
    pub target: u16,
    /// Port on the host; any free one when absent.
    pub published: Option<u16>,
    /// Last port of a range on the host that starts at `published`; the engine takes a free one of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_last: Option<u16>,
    /// Address on the host; all when absent.
    pub host_ip: Option<String>,
    /// Transport.
    pub protocol: PortProtocol,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Absolute path in the container.
    pub target: String,
    /// Not writable.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A named volume of the stack (its key there).
    Volume {
        /// Key in [`super::Stack::volumes`].
        name: String,
        /// Do not copy the image's content into an empty volume.
        nocopy: bool,
        /// Path inside the volume that is mounted; all of it when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subpath: Option<String>,
    },
    /// A path of the host.
    Bind(Bind),
    /// A file or directory that came with the Compose file; read-only.
    Archive(Archive),
    /// An anonymous volume.
    Anonymous,
    /// Memory, with an optional size in bytes.
    Tmpfs {
        /// Limit in bytes.
        size: Option<u64>,
        /// Permission bits of its directory; the engine's default (0o1777) when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
    },
}

/// A path of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host.
    pub source: String,
    /// Make the directory when it is missing.
    pub create_host_path: bool,
    /// Mount propagation between host and container.
    pub propagation: Option<Propagation>,
}

/// Mount propagation, mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// private
    Private,
    /// rprivate
    Rprivate,
    /// shared
    Shared,
    /// rshared
    Rshared,
    /// slave
    Slave,
    /// rslave
    Rslave,
}

/// A device of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Cgroup permissions, of `rwm`.
    pub permissions: String,
}

/// A config or secret of the stack, mounted into a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMount {
    /// Key in [`super::Stack::configs`] or [`super::Stack::secrets`].
    pub source: String,
    /// Absolute path in the container.
    pub target: String,
    /// Who may read the files there.
    #[serde(flatten)]
    pub access: FileAccess,
}

/// Owner and permissions of a config's files as a container sees them (Compose specification, "configs",
/// long syntax).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct FileAccess {
    /// Number of the user who owns them.
    #[serde(skip_serializing_if = "is_zero")]
    pub uid: u32,
    /// Number of their group.
    #[serde(skip_serializing_if = "is_zero")]
    pub gid: u32,
    /// Permission bits of a file, 0 to 0o777.
    #[serde(skip_serializing_if = "is_for_all")]
    pub mode: u32,
}

impl FileAccess {
    /// Permission bits of a directory of such files: who may read the files may list and enter it.
    pub fn directory_mode(self) -> u32 {
        let read = self.mode & 0o444;
        0o700 | (self.mode & 0o077) | (read >> 2)
    }
}

/// What the specification has for those who say nothing: root's, and readable by all in the container.
impl Default for FileAccess {
    fn default() -> Self {
        Self { uid: 0, gid: 0, mode: FOR_ALL }
    }
}

const FOR_ALL: u32 = 0o444;

fn is_for_all(mode: &u32) -> bool {
    *mode == FOR_ALL
}

fn is_zero(id: &u32) -> bool {
    *id == 0
}

/// Content of a config or secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Files by path relative to the mount's target; the empty path means the target
    /// is this one file.
    #[serde(skip)]
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A pair of process limits, setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Soft limit.
    pub soft: i64,
    /// Hard limit.
    pub hard: i64,
}

/// A container's log driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    /// Driver name.
    pub driver: Option<String>,
    /// Its options.
    pub options: BTreeMap<String, String>,
}

/// How to tell that a service works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// The test.
    pub test: HealthTest,
    /// Time between two tests.
    pub interval: Option<Duration>,
    /// Time after which a test counts as failed.
    pub timeout: Option<Duration>,
    /// Failures in a row that make the service unhealthy.
    pub retries: Option<u32>,
    /// Failures do not count for so long after the start.
    pub start_period: Option<Duration>,
    /// Time between two tests during the start period; `interval` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<Duration>,
}

/// A health test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthTest {
    /// A program with arguments.
    Cmd(Vec<String>),
    /// A line for the container's shell.
    Shell(String),
    /// The image's own test is switched off.
    Disabled,
}

/// What a service waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// State the other service must have reached.
    pub condition: DependencyCondition,
    /// Recreate this service too when the other one is recreated.
    pub restart: bool,
    /// Fail when the other one is missing; otherwise only wait if it is there.
    pub required: bool,
}

/// State of a service that another one waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyCondition {
    /// Its container runs.
    Started,
    /// Its health test succeeded.
    Healthy,
    /// It ended with status 0.
    CompletedSuccessfully,
}

/// What the engine does when a container ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// Start it again, whatever happened.
    Always,
    /// Start it again after a failure, at most so many times.
    OnFailure {
        /// Limit of attempts; none when absent.
        max_retries: Option<u32>,
    },
    /// As `Always`, unless it was stopped on purpose.
    UnlessStopped,
}
