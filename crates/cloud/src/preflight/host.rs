//! What templates and Compose files learn of this machine (`host.*`, `host_*`).
//!
//! Facts are taken with the same probes as the preflight. Whether KVM works takes a guest's
//! start to learn; the answer is kept in `$STACKYARD_HOME/host.json` until the machine boots
//! again, or gets another kernel, CPU or QEMU.

use super::docker::{self, Engine};
use super::kvm::{self, Verdict};
use super::{Input, kernel};
use crate::home;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stackyard_catalog::HostFacts;
use std::path::PathBuf;

/// Memory is told in steps of this many MiB, so that the few that the kernel takes or gives
/// back between boots change no configuration.
const MEMORY_STEP: u64 = 64;

/// The facts of the machine that `input` looks at.
///
/// Ask after the service images are there: KVM may need the QEMU in them, and counts as
/// absent while that cannot be tried.
pub async fn facts(input: &Input) -> HostFacts {
    let verdict = match remembered(input) {
        Some(verdict) => verdict,
        None => guest(input, &docker::look(input).await).await,
    };
    let machine = &input.machine;
    HostFacts {
        name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        kvm: verdict.works == Some(true),
        ovs_kernel: kernel::has_openvswitch(machine),
        cpus: super::cpus(machine),
        memory_mib: machine.memory("MemTotal").unwrap_or(0) / MEMORY_STEP * MEMORY_STEP,
    }
}

/// What is kept.
#[derive(Serialize, Deserialize)]
struct KeptVerdict {
    /// Digest of everything that the verdict depends on.
    key: String,
    kvm: Verdict,
}

/// Whether a guest runs under KVM: as kept, else tried now and kept.
pub(crate) async fn guest(input: &Input, engine: &Engine) -> Verdict {
    if let Some(verdict) = remembered(input) {
        return verdict;
    }
    let verdict = kvm::try_guest(input, engine).await;
    // What could not be tried is no answer to keep; and what cannot be kept is tried again.
    if verdict.works.is_some() {
        let kept = KeptVerdict { key: key(input), kvm: verdict.clone() };
        let kept = serde_json::to_string_pretty(&kept).unwrap_or_default();
        if input.home.is_dir()
            && let Err(error) = home::write_private(&file(input), &kept)
        {
            tracing::debug!(error = %error, "the verdict on KVM is not kept");
        }
    }
    verdict
}

fn file(input: &Input) -> PathBuf {
    input.home.join("host.json")
}

fn remembered(input: &Input) -> Option<Verdict> {
    let text = home::read(&file(input)).ok()??;
    let kept: KeptVerdict = serde_json::from_str(&text).ok()?;
    (kept.key == key(input)).then_some(kept.kvm)
}

fn key(input: &Input) -> String {
    let machine = &input.machine;
    let cpu = machine.read("/proc/cpuinfo").unwrap_or_default();
    // Of the first CPU, what does not change by itself.
    let cpu =
        cpu.lines().take_while(|l| !l.is_empty()).filter(|l| l.starts_with("model name") || l.starts_with("flags"));
    let search = input.environment.get("PATH").map_or("/usr/bin", String::as_str);
    let qemu = kvm::program(machine, search).map(|p| p.display().to_string());
    let parts = [
        machine.line("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
        machine.kernel(),
        cpu.collect::<Vec<_>>().join("\n"),
        machine.has("/dev/kvm").to_string(),
        qemu.or_else(|| input.qemu_image.clone()).unwrap_or_default(),
    ];
    Sha256::digest(parts.join("\0")).iter().map(|byte| format!("{byte:02x}")).collect()
}
