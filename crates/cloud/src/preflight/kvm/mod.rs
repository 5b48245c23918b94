//! Does KVM really run a guest?
//!
//! That /dev/kvm is there says little: under some hypervisors it can be opened, a guest's
//! firmware even starts, and then the guest hangs or crashes. So a guest is started, with the
//! QEMU that servers will run on. It is one boot sector (`guest.S` beside this file) that does
//! what a kernel does first (real, protected and long mode, paging, interrupts, ring 3, SSE)
//! and then ends QEMU with an exit status of its own. Anything else is a "no".
//!
//! QEMU comes from the machine or from the service images; where neither is there yet, the
//! question stays open until the images are.

use super::docker::Engine;
use super::{Check, Input, Machine, Virtualization, cpu};
use base64::Engine as _;
use bollard::models::{ContainerCreateBody, DeviceMapping, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Time for the guest to end; it takes about one second, most of it QEMU's own.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The guest, built from `guest.S`.
const GUEST: &[u8; 512] = include_bytes!("guest.bin");

/// Exit status of QEMU when the guest says that all went well: isa-debug-exit makes
/// `value * 2 + 1` of what is written to its port.
const WELL: i64 = 0x2a * 2 + 1;

/// Names of probing containers begin like this.
const CONTAINER: &str = "stackyard-kvm-";

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether a guest runs; `None`: could not be tried.
    pub works: Option<bool>,
    /// What was seen.
    pub seen: String,
}

impl Verdict {
    fn no(seen: impl Into<String>) -> Self {
        Self { works: Some(false), seen: seen.into() }
    }

    fn open(seen: impl Into<String>) -> Self {
        Self { works: None, seen: seen.into() }
    }
}

/// Where QEMU comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Qemu {
    /// A program of this machine.
    Program(PathBuf),
    /// The program `qemu-system-x86_64` in an image.
    Image(String),
}

/// A guest to be tried, and for how long.
#[derive(Debug, Clone)]
pub struct Guest {
    /// The boot sector.
    pub disk: Vec<u8>,
    /// QEMU's accelerator: `kvm`, or `tcg` to try the guest itself.
    pub accelerator: &'static str,
    /// Time for it to end.
    pub patience: Duration,
}

impl Default for Guest {
    fn default() -> Self {
        Self { disk: GUEST.to_vec(), accelerator: "kvm", patience: PATIENCE }
    }
}

/// The QEMU of this machine, when it can use /dev/kvm.
pub fn program(machine: &Machine, search: &str) -> Option<PathBuf> {
    let usable = std::fs::OpenOptions::new().read(true).write(true).open(machine.path("/dev/kvm")).is_ok();
    let found =
        || machine.program("qemu-system-x86_64", search).or_else(|| machine.program("qemu-kvm", "/usr/libexec"));
    usable.then(found).flatten()
}

/// Tries a guest with whatever QEMU there is.
pub async fn try_guest(input: &Input, engine: &Engine) -> Verdict {
    let machine = &input.machine;
    if !machine.has("/dev/kvm") {
        return Verdict::no("/dev/kvm is not there");
    }
    if std::env::consts::ARCH != "x86_64" {
        return Verdict::open(format!("no guest for {} to try it with", std::env::consts::ARCH));
    }
    let search = input.environment.get("PATH").map_or("/usr/bin", String::as_str);
    if let Some(program) = program(machine, search) {
        return judge(&Qemu::Program(program.clone()), Guest::default().on_program(&program).await);
    }
    if let (Some(docker), Some(image), true) = (&engine.docker, &input.qemu_image, engine.has_images) {
        sweep(engine).await;
        return judge(&Qemu::Image(image.clone()), Guest::default().on_image(docker.api(), image).await);
    }
    let flags = cpu::flags(machine);
    if flags.x86 && flags.virtualization.is_none() {
        return Verdict::no("/dev/kvm is there, but the CPU offers no virtualization");
    }
    Verdict::open("/dev/kvm is there; a guest is tried once the service images (with QEMU) are")
}

/// How QEMU ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestEnd {
    /// With this exit status, after this time.
    Exit {
        /// The status; more than 128 for signals.
        status: i64,
        /// Time from start to end.
        after: Duration,
        /// What it said.
        said: String,
    },
    /// It did not, and was ended.
    Hung {
        /// Time that was given.
        after: Duration,
        /// What it said.
        said: String,
    },
    /// It could not be started.
    Trouble(String),
}

/// What an end means for KVM.
pub fn judge(qemu: &Qemu, end: GuestEnd) -> Verdict {
    let with = match qemu {
        Qemu::Program(path) => path.display().to_string(),
        Qemu::Image(image) => format!("QEMU of the image {image}"),
    };
    // QEMU's most telling line is its last one; ours ended it, which it also says.
    let last = |said: &str| {
        let line = said.lines().map(str::trim).rfind(|l| !l.is_empty() && !l.contains("terminating on signal"));
        line.map(|l| format!("; it said: {}", l.chars().take(200).collect::<String>())).unwrap_or_default()
    };
    match end {
        GuestEnd::Exit { status: WELL, after, .. } => Verdict {
            works: Some(true),
            seen: format!("a guest ran and ended well after {} ms ({with})", after.as_millis()),
        },
        GuestEnd::Exit { status, said, .. } => {
            Verdict::no(format!("a guest crashed: {with} ended with status {status}{}", last(&said)))
        }
        GuestEnd::Hung { after, said } => {
            Verdict::no(format!("a guest hung: not done within {} s ({with}){}", after.as_secs_f32(), last(&said)))
        }
        GuestEnd::Trouble(text) => Verdict::open(format!("no guest could be tried: {text}")),
    }
}

impl Guest {
    /// QEMU's arguments: no devices but a disk and the port to end by.
    fn arguments(&self, disk: &str) -> Vec<String> {
        // As Nova does: the host's CPU with KVM; TCG takes the best it can.
        let cpu = if self.accelerator == "kvm" { "host" } else { "max" };
        [
            &format!("-machine pc,accel={} -cpu {cpu} -m 32 -smp 1", self.accelerator),
            "-nodefaults -no-user-config -display none -no-reboot",
            "-device isa-debug-exit,iobase=0xf4,iosize=4",
            &format!("-drive if=ide,format=raw,file={disk}"),
        ]
        .iter()
        .flat_map(|words| words.split(' ').map(str::to_owned))
        .collect()
    }

    /// Runs the guest with a QEMU of this machine.
    pub async fn on_program(&self, program: &Path) -> GuestEnd {
        let Ok(disk) = tempfile::NamedTempFile::new() else { return GuestEnd::Trouble("no temporary file".to_owned()) };
        if let Err(error) = std::fs::write(disk.path(), &self.disk) {
            return GuestEnd::Trouble(format!("{}: {error}", disk.path().display()));
        }
        let begun = Instant::now();
        // `timeout` ends QEMU also when this process is killed.
        let child = tokio::process::Command::new("timeout")
            .args(["-k", "1", &(self.patience.as_secs() + 2).to_string()])
            .arg(program)
            .args(self.arguments(&disk.path().display().to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return GuestEnd::Trouble(format!("timeout {}: {error}", program.display())),
        };
        // QEMU says a few lines at most; a pipe holds them.
        let status = tokio::time::timeout(self.patience, child.wait()).await;
        if status.is_err()
            && let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
        {
            // TERM, not KILL: `timeout` passes it on.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let said = match tokio::time::timeout(Duration::from_secs(3), child.wait_with_output()).await {
            Ok(Ok(output)) => String::from_utf8_lossy(&output.stderr).into_owned(),
            _ => String::new(),
        };
        match status {
            Err(_) => GuestEnd::Hung { after: self.patience, said },
            Ok(Err(error)) => GuestEnd::Trouble(error.to_string()),
            Ok(Ok(status)) => {
                use std::os::unix::process::ExitStatusExt;
                let number = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(-1);
                GuestEnd::Exit { status: number.into(), after: begun.elapsed(), said }
            }
        }
    }

    /// Runs the guest with the QEMU of an image, in a container with nothing but /dev/kvm.
    pub async fn on_image(&self, docker: &bollard::Docker, image: &str) -> GuestEnd {
        let name = format!("{CONTAINER}{}", std::process::id());
        let end = self.in_container(docker, image, &name).await;
        let force = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let _ = docker.remove_container(&name, Some(force)).await;
        end.unwrap_or_else(|error| GuestEnd::Trouble(format!("container {name}: {error}")))
    }

    async fn in_container(
        &self,
        docker: &bollard::Docker,
        image: &str,
        name: &str,
    ) -> Result<GuestEnd, bollard::errors::Error> {
        let disk = base64::engine::general_purpose::STANDARD.encode(&self.disk);
        let script = format!(
            "echo {disk} | base64 -d > /tmp/guest && PATH=$PATH:/usr/libexec && exec timeout -k 1 {} $(command -v qemu-system-x86_64 qemu-kvm | head -1) {}",
            self.patience.as_secs() + 2,
            self.arguments("/tmp/guest").join(" ")
        );
        let device = "/dev/kvm".to_owned();
        let devices = (self.accelerator == "kvm").then(|| {
            vec![DeviceMapping {
                path_on_host: Some(device.clone()),
                path_in_container: Some(device),
                cgroup_permissions: Some("rw".to_owned()),
            }]
        });
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            user: Some("0:0".to_owned()),
            entrypoint: Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]),
            cmd: Some(vec![script]),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                devices,
                init: Some(true),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        docker.create_container(Some(options), body).await?;
        let begun = Instant::now();
        docker.start_container(name, None::<StartContainerOptions>).await?;
        let mut wait = docker.wait_container(name, None::<WaitContainerOptions>);
        // An exit status other than 0 comes as an error; the inspection below tells it.
        let ended = tokio::time::timeout(self.patience, wait.next()).await.is_ok();
        let after = begun.elapsed();
        let logs = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("20").build();
        let said: Vec<String> =
            docker.logs(name, Some(logs)).filter_map(|l| async { l.ok().map(|l| l.to_string()) }).collect().await;
        let said = said.concat();
        if !ended {
            return Ok(GuestEnd::Hung { after: self.patience, said });
        }
        let state = docker.inspect_container(name, None::<InspectContainerOptions>).await?.state;
        let status = state.and_then(|s| s.exit_code).unwrap_or(-1);
        Ok(GuestEnd::Exit { status, after, said })
    }
}

/// Removes what a killed run left; its QEMU ended by itself.
async fn sweep(engine: &Engine) {
    let Some(docker) = &engine.docker else { return };
    for container in engine.containers.iter().filter(|c| c.name.starts_with(CONTAINER) && !c.running) {
        let force = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let _ = docker.api().remove_container(&container.id, Some(force)).await;
    }
}

/// The row of the report.
pub fn check(input: &Input, verdict: &Verdict) -> Check {
    let (id, title) = ("kvm.guest", "KVM starts a guest");
    let slow = "QEMU without acceleration (TCG) will be used: servers work, several times slower";
    match (verdict.works, input.virtualization) {
        (Some(true), _) => Check::pass(id, title, &verdict.seen),
        (Some(false), Virtualization::Kvm) => Check::fail(id, title, &verdict.seen)
            .means("virt_type=kvm was asked for, and no server would start")
            .mend("--set virt_type=auto, which takes QEMU where KVM does not work"),
        (Some(false), Virtualization::Qemu) => {
            Check::info(id, title, &verdict.seen).means("nothing: virt_type=qemu was asked for")
        }
        (Some(false), Virtualization::Auto) => {
            let there = input.machine.has("/dev/kvm");
            let mend = if there {
                "nested virtualization of the machine that hosts this one is not complete: use another kind of machine, or a physical one"
            } else if cpu::flags(&input.machine).virtualization.is_some() {
                "the CPU can: `modprobe kvm_intel` or `modprobe kvm_amd`; see `dmesg | grep -i kvm` for what the firmware forbids"
            } else {
                "see the row above"
            };
            let seen =
                if there { format!("KVM does not really work here: {}", verdict.seen) } else { verdict.seen.clone() };
            Check::warn(id, title, seen).means(slow).mend(mend)
        }
        (None, _) => {
            Check::info(id, title, &verdict.seen).means("`cloud up` takes KVM if that guest runs, else QEMU (TCG)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_what_its_source_says() {
        let dir = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/preflight/kvm/guest.S");
        let run = |program: &str, arguments: &[&str]| {
            let status = std::process::Command::new(program).args(arguments).current_dir(dir.path()).status();
            assert!(status.is_ok_and(|s| s.success()), "{program} {arguments:?}");
        };
        run("as", &["--64", "-o", "guest.o", source.to_str().unwrap()]);
        run("ld", &["-Ttext=0x7c00", "--oformat=binary", "-o", "guest.bin", "guest.o"]);
        assert!(std::fs::read(dir.path().join("guest.bin")).unwrap() == GUEST, "guest.bin is not what guest.S makes");
    }

    #[test]
    fn only_the_agreed_status_is_a_yes() {
        let qemu = Qemu::Image("i".into());
        let exit = |status| GuestEnd::Exit { status, after: Duration::from_secs(1), said: "a\nlast words\n".into() };
        assert_eq!(judge(&qemu, exit(85)).works, Some(true));
        for status in [0, 1, 124, 134] {
            let verdict = judge(&qemu, exit(status));
            assert_eq!(verdict.works, Some(false));
            assert!(verdict.seen.contains("last words"), "{}", verdict.seen);
        }
        assert_eq!(judge(&qemu, GuestEnd::Hung { after: PATIENCE, said: String::new() }).works, Some(false));
        assert_eq!(judge(&qemu, GuestEnd::Trouble("x".into())).works, None);
    }
}
