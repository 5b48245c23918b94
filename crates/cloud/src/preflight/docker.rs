//! Docker Engine: there, new enough, and set up so that this cloud can run on it.

use super::{Check, Input, PreflightScene};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions};
use stackyard_core::text::error_chain;
use stackyard_platform::docker::Docker;
use stackyard_platform::stack::labels;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Time for the engine to answer all questions.
const PATIENCE: Duration = Duration::from_secs(5);

/// Oldest engine that is tried out.
const OLDEST: (u32, u32) = (20, 10);

/// What the engine says, gathered once.
#[derive(Default)]
pub struct Engine {
    /// The connection, where there is one.
    pub docker: Option<Docker>,
    /// Why there is none.
    pub error: Option<String>,
    info: Option<bollard::models::SystemInfo>,
    /// All containers, running or not.
    pub containers: Vec<Container>,
    /// Volumes with their labels.
    pub volumes: Vec<(String, HashMap<String, String>)>,
    /// Networks with their labels.
    pub networks: Vec<(String, HashMap<String, String>)>,
    /// The service images are there (told by the largest of them).
    pub has_images: bool,
    stack: String,
    home: PathBuf,
    exists: bool,
}

/// A container, as far as it matters here.
pub struct Container {
    /// Its id of 64 digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// It runs.
    pub running: bool,
    /// Ports that it publishes on the host.
    pub published: Vec<u16>,
    /// The stack that its label names.
    pub stack: Option<String>,
    /// Directories and files of the host that are mounted.
    pub binds: Vec<PathBuf>,
}

impl Engine {
    /// Name of the container `id`, else the id's first digits.
    pub fn name_of<'a>(&'a self, id: &'a str) -> &'a str {
        let known = self.containers.iter().find(|c| c.id == id);
        known.map_or(id.get(..12).unwrap_or(id), |c| c.name.as_str())
    }

    /// Whether the container belongs to the cloud of this state directory.
    pub fn is_own(&self, id: &str) -> bool {
        self.containers.iter().find(|c| c.id == id).is_some_and(|c| self.owns(c))
    }

    /// See [`Self::is_own`]: it carries the stack's label, and mounts nothing of another
    /// state directory's rendered files.
    pub fn owns(&self, container: &Container) -> bool {
        self.exists && container.stack.as_deref() == Some(&self.stack) && self.foreign_home(container).is_none()
    }

    /// The state directory that a container of our stack got its files from, when that is
    /// not this one.
    pub fn foreign_home<'a>(&self, container: &'a Container) -> Option<&'a Path> {
        let part: PathBuf = Path::new("stacks").join(&self.stack);
        let homes = container.binds.iter().filter_map(|bind| {
            let mut above = bind.ancestors().filter(|a| a.ends_with(&part));
            above.next()?.parent()?.parent()
        });
        homes.into_iter().find(|home| *home != self.home)
    }

    /// Whether containers of this cloud run.
    pub fn own_running(&self) -> bool {
        self.containers.iter().any(|c| c.running && self.owns(c))
    }

    /// Where the engine stores images and volumes.
    pub fn root(&self) -> Option<PathBuf> {
        self.info.as_ref()?.docker_root_dir.as_ref().map(PathBuf::from)
    }
}

/// Asks the engine everything that checks want to know.
pub async fn look(input: &Input) -> Engine {
    let mut engine = Engine {
        stack: input.stack.clone(),
        home: std::fs::canonicalize(&input.home).unwrap_or_else(|_| input.home.clone()),
        exists: input.exists,
        ..Engine::default()
    };
    match tokio::time::timeout(PATIENCE, ask(input, &mut engine)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => engine.error = Some(error),
        Err(_) => engine.error = Some(format!("no answer from {} within {} s", input.docker, PATIENCE.as_secs())),
    }
    engine
}

async fn ask(input: &Input, engine: &mut Engine) -> Result<(), String> {
    let docker = Docker::connect_to(&input.docker).await.map_err(|e| error_chain(&e))?;
    let api = docker.api();
    let (info, containers, volumes, networks) = tokio::join!(
        api.info(),
        api.list_containers(Some(ListContainersOptionsBuilder::new().all(true).build())),
        api.list_volumes(None::<ListVolumesOptions>),
        api.list_networks(None::<ListNetworksOptions>),
    );
    engine.info = Some(info.map_err(|e| error_chain(&e))?);
    engine.containers = containers
        .map_err(|e| error_chain(&e))?
        .into_iter()
        .map(|c| Container {
            id: c.id.unwrap_or_default(),
            name: c.names.and_then(|n| Some(n.first()?.trim_start_matches('/').to_owned())).unwrap_or_default(),
            running: c.state.is_some_and(|s| s.to_string() == "running"),
            published: c.ports.into_iter().flatten().filter_map(|p| p.public_port).collect(),
            stack: c.labels.and_then(|mut l| l.remove(labels::STACK)),
            binds: c.mounts.into_iter().flatten().filter_map(|m| m.source.map(PathBuf::from)).collect(),
        })
        .collect();
    let volumes = volumes.map_err(|e| error_chain(&e))?.volumes.unwrap_or_default();
    engine.volumes = volumes.into_iter().map(|v| (v.name, v.labels)).collect();
    let networks = networks.map_err(|e| error_chain(&e))?;
    engine.networks = networks.into_iter().filter_map(|n| Some((n.name?, n.labels.unwrap_or_default()))).collect();
    if let Some(image) = &input.qemu_image {
        engine.has_images = docker.api().inspect_image(image).await.is_ok();
    }
    engine.docker = Some(docker);
    Ok(())
}

pub(super) fn checks(scene: &PreflightScene) -> Vec<Check> {
    let reach = reachable(scene);
    let Some(info) = &scene.engine.info else { return vec![reach] };
    let mut checks =
        vec![reach, version(info), storage(info), cgroups(scene, info), live_restore(info), confinement(info)];
    checks.extend(local(scene, info));
    checks
}

fn reachable(scene: &PreflightScene) -> Check {
    let (id, title) = ("docker.reachable", "Docker Engine");
    let input = &scene.input;
    let Some(error) = &scene.engine.error else {
        return Check::pass(id, title, format!("answers at {}", input.docker));
    };
    let running = scene.processes.iter().find(|p| p.name == "dockerd" && p.container.is_none());
    let installed = input.machine.program("dockerd", "/usr/bin:/usr/sbin:/usr/local/bin:/snap/bin").is_some();
    let mend = match (running, installed) {
        (Some(p), _) if !rustix::process::geteuid().is_root() => {
            format!("dockerd runs (pid {}): run this as root, or join the group docker and log in again", p.pid)
        }
        (Some(p), _) => {
            format!("dockerd runs (pid {}), but not at this address: set DOCKER_HOST, or see its log", p.pid)
        }
        (None, true) => "start it: `systemctl enable --now docker`".to_owned(),
        (None, false) => "`apt-get install docker.io`".to_owned(),
    };
    Check::fail(id, title, error.clone()).means("there is nothing to run containers on").mend(mend)
}

fn version(info: &bollard::models::SystemInfo) -> Check {
    let (id, title) = ("docker.version", "Docker version");
    let text = info.server_version.clone().unwrap_or_default();
    let mut parts = text.split(['.', '-', '+']).map(|p| p.parse::<u32>().unwrap_or(0));
    let seen = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if seen >= OLDEST {
        return Check::pass(id, title, text);
    }
    Check::fail(id, title, text)
        .means(format!("the oldest that is known to work is {}.{}", OLDEST.0, OLDEST.1))
        .mend("`apt-get install docker.io` (Debian 11 and later), or Docker's own packages")
}

fn storage(info: &bollard::models::SystemInfo) -> Check {
    let (id, title) = ("docker.storage", "Docker storage driver");
    let driver = info.driver.clone().unwrap_or_default();
    let mend = "`{\"storage-driver\": \"overlay2\"}` in /etc/docker/daemon.json on ext4 or xfs (ftype=1), then restart dockerd; images must be built again";
    match driver.as_str() {
        "overlay2" | "overlayfs" | "stargz" => Check::pass(id, title, driver),
        "btrfs" | "zfs" => {
            Check::info(id, title, driver).means("works; memory pages of programs are not shared between containers")
        }
        "vfs" => Check::fail(id, title, driver)
            .means("every container and image is a full copy: tens of GiB, and minutes for each start")
            .mend(mend),
        _ => Check::warn(id, title, driver).means("works, slower than overlay2").mend(mend),
    }
}

fn cgroups(scene: &PreflightScene, info: &bollard::models::SystemInfo) -> Check {
    let (id, title) = ("docker.cgroups", "Docker cgroup driver");
    let driver = info.cgroup_driver.map(|d| d.to_string()).unwrap_or_default();
    let version = info.cgroup_version.map(|v| v.to_string()).unwrap_or_default();
    let seen = format!("{driver}, cgroup v{version}");
    let systemd = scene.input.machine.has("/run/systemd/system");
    match driver.as_str() {
        "none" | "" => Check::warn(id, title, seen)
            .means("memory and CPUs of containers are neither limited nor counted")
            .mend("run dockerd as root with cgroups mounted"),
        "cgroupfs" if systemd && version == "2" => Check::warn(id, title, seen)
            .means("systemd and Docker both manage the same tree; under memory pressure they disagree")
            .mend(
                "`{\"exec-opts\": [\"native.cgroupdriver=systemd\"]}` in /etc/docker/daemon.json, then restart dockerd",
            ),
        _ => Check::pass(id, title, seen),
    }
}

fn live_restore(info: &bollard::models::SystemInfo) -> Check {
    let (id, title) = ("docker.live_restore", "Docker live restore");
    if info.live_restore_enabled == Some(true) {
        return Check::pass(id, title, "on");
    }
    Check::info(id, title, "off")
        .means("when dockerd stops, the cloud stops with it; it comes back when dockerd does")
        .mend("`{\"live-restore\": true}` in /etc/docker/daemon.json, then reload dockerd")
}

/// Rootless engines and remapped users cannot run privileged containers on the host network.
fn confinement(info: &bollard::models::SystemInfo) -> Check {
    let (id, title) = ("docker.privileges", "Docker privileges");
    let options = info.security_options.as_deref().unwrap_or_default();
    let has = |name: &str| options.iter().any(|o| o == name || o.starts_with(&format!("name={name}")));
    if has("rootless") {
        return Check::fail(id, title, "Docker runs without root")
            .means("networks, bridges and virtual machines need a privileged container on the host's network")
            .mend("use the system's engine: unset DOCKER_HOST, `systemctl enable --now docker`");
    }
    if has("userns") {
        return Check::fail(id, title, "Docker maps users (userns-remap)")
            .means("privileged containers and the host's network are refused")
            .mend("take userns-remap out of /etc/docker/daemon.json, then restart dockerd");
    }
    if has("selinux") {
        return Check::warn(id, title, "Docker labels containers for SELinux")
            .means("files of the host that are mounted may be refused to services")
            .mend("take selinux-enabled out of /etc/docker/daemon.json, or set SELinux to permissive");
    }
    Check::pass(id, title, "the engine runs as root and maps no users")
}

/// An engine elsewhere would bring OpenStack up there, while all other checks look here.
fn local(scene: &PreflightScene, info: &bollard::models::SystemInfo) -> Option<Check> {
    let (id, title) = ("docker.local", "Docker on this machine");
    let here = scene.input.machine.kernel();
    let there = info.kernel_version.clone().unwrap_or_default();
    let fail = |seen: String| {
        let check = Check::fail(id, title, seen)
            .means("the cloud would come up where the engine is, while all other checks and the files are here")
            .mend("unset DOCKER_HOST, and run this on the machine that the engine is on");
        Some(check)
    };
    if !scene.input.docker.starts_with("unix://") {
        return fail(format!("the engine is asked at {}, not by a socket of this machine", scene.input.docker));
    }
    if scene.input.machine.is_this() && there != here {
        return fail(format!("the engine runs on kernel {there}, this machine on {here}"));
    }
    None
}
