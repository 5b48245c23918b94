//! Mounting a volume, and proving that it is mounted nowhere.

use crate::prepare::{Devices, volume};
use crate::state::StateDir;
use rustix::mount::UnmountFlags;
use stackyard_core::agent::{DataVolume, Filesystem};
use stackyard_core::progress::Onlooker;
use stackyard_core::text::error_chain;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Processes that are named in an error, at most.
const NAMED: usize = 3;

/// Formats a volume if it is blank, checks its file system, and mounts it; one that is mounted there stays.
pub(super) fn mount(
    id: &str,
    filesystem: Filesystem,
    place: &Path,
    devices: &Devices,
    state: &StateDir,
    onlooker: &dyn Onlooker,
) -> Result<(), String> {
    let wanted = DataVolume { id: id.to_owned(), mount: place.display().to_string(), filesystem };
    volume::bring(&wanted, devices, state, Duration::ZERO, onlooker).map_err(|e| error_chain(&e))
}

/// Unmounts a volume, and makes sure that no mount of it is left in any mount namespace.
///
/// The kernel gives a block device to one exclusive user at a time, and a mounted file system is one, whichever namespace
/// it is in (open(2), `O_EXCL`). So an exclusive open that succeeds proves that nothing can write through a file system.
/// A lazy unmount would prove nothing, and is never made.
pub(super) fn unmount(id: &str, place: &Path, devices: &Devices) -> Result<(), String> {
    let device: Option<PathBuf> = devices.of_volume(id).into_iter().find(|d| d.exists());
    let mut mounted = volume::device_at(place).map_err(|e| error_chain(&e))?;
    let number = device.as_deref().and_then(|d| volume::device_number(d).ok()).or_else(|| mounted.clone());
    // A container has a part of the file system. All of it elsewhere is a copy of the mount here, and may go with it.
    if let Some(number) = &number {
        let users = users(number, |root| root != Path::new("/"));
        if !users.is_empty() {
            return Err(format!("cannot unmount volume {id}: it is in use by {}", users.join(", ")));
        }
    }
    while mounted.is_some() {
        rustix::mount::unmount(place, UnmountFlags::empty())
            .map_err(|e| format!("cannot unmount volume {id} at {}: {e}", place.display()))?;
        mounted = volume::device_at(place).map_err(|e| error_chain(&e))?;
    }
    let Some(device) = device else { return Ok(()) };
    let exclusive = OpenOptions::new().read(true).custom_flags(nix::libc::O_EXCL).open(&device);
    let flushed = exclusive.and_then(|file| file.sync_all());
    flushed.map_err(|e| {
        let users = number.map(|n| users(&n, |_| true)).unwrap_or_default();
        let by = if users.is_empty() { String::new() } else { format!(" by {}", users.join(", ")) };
        format!("volume {id} ({}) is still mounted somewhere{by}: {e}", device.display())
    })
}

/// Processes in other mount namespaces that have a directory of a device's file system mounted which `counts`.
fn users(number: &str, counts: impl Fn(&Path) -> bool) -> Vec<String> {
    let own = std::fs::read_link("/proc/self/ns/mnt").ok();
    let mut users = Vec::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let path = process.path();
        let is_process = process.file_name().to_str().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        if !is_process || std::fs::read_link(path.join("ns/mnt")).ok() == own || users.len() >= NAMED {
            continue;
        }
        let table = std::fs::read_to_string(path.join("mountinfo")).unwrap_or_default();
        if volume::roots_of(&table, number).any(|root| counts(&root)) {
            let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
            users.push(format!("process {} ({})", process.file_name().display(), name.trim()));
        }
    }
    users
}
