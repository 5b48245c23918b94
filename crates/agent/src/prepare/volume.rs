//! The data volume: found, formatted if blank, mounted, grown.

use super::blank::{self, VolumeContent, size};
use super::find::kernel_name;
use super::superblock::{self, Kind, Superblock};
use super::{Devices, Error};
use crate::log::host_note;
use crate::program;
use crate::state::{Durable, StateDir};
use serde::{Deserialize, Serialize};
use stackyard_core::agent::{DataVolume, Filesystem};
use stackyard_core::progress::Onlooker;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a volume that is not there yet is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often waiting says so.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// A format that was begun on a volume found blank.
#[derive(Serialize, Deserialize)]
struct Begun {
    /// UUID that its file system is to have, 32 hexadecimal digits.
    uuid: String,
}

/// Finds a volume, formats it if it is blank, mounts it and lets its file system fill it.
/// Waits up to `attach` for it.
///
/// # Errors
/// Those of [`Error`]; a volume with something unknown on it is left untouched.
pub fn bring(
    wanted: &DataVolume,
    devices: &Devices,
    state: &StateDir,
    attach: Duration,
    onlooker: &dyn Onlooker,
) -> Result<(), Error> {
    let device = wait(wanted, devices, attach, onlooker)?;
    let mount = Path::new(&wanted.mount);
    let say = |text: String| onlooker.see(host_note(text));
    if is_mounted(wanted, &device, mount)? {
        say(format!("volume {} ({}) is mounted at {}", wanted.id, device.display(), mount.display()));
    } else {
        docker_is_away(wanted, mount)?;
        let kind = make(wanted, &device, state, onlooker)?;
        check(wanted, &device, &kind)?;
        attach_to(wanted, &device, mount, &kind)?;
        say(format!("volume {} ({}, {kind}) mounted at {}", wanted.id, device.display(), mount.display()));
    }
    grow(wanted, &device, mount, &mut GrowAttempt::default(), onlooker)?;
    Ok(())
}

fn wait(wanted: &DataVolume, devices: &Devices, limit: Duration, onlooker: &dyn Onlooker) -> Result<PathBuf, Error> {
    let begun = Instant::now();
    let mut said = None;
    loop {
        let mut found: Vec<PathBuf> = devices.of_volume(&wanted.id).into_iter().filter(|d| d.exists()).collect();
        match (found.pop(), found.is_empty()) {
            (Some(device), true) => return Ok(device),
            (Some(device), false) => {
                found.push(device);
                let found: Vec<String> = found.iter().map(|d| d.display().to_string()).collect();
                return Err(Error::Ambiguous { id: wanted.id.clone(), found: found.join(", ") });
            }
            (None, _) => {}
        }
        if begun.elapsed() >= limit {
            let there = devices.described();
            return Err(Error::NotAttached { id: wanted.id.clone(), waited: begun.elapsed(), there });
        }
        if said.is_none_or(|s: Instant| s.elapsed() >= SAY_EVERY) {
            said = Some(Instant::now());
            onlooker.see(host_note(format!(
                "waiting for volume {} to be attached ({} of {} s); disks: {}",
                wanted.id,
                begun.elapsed().as_secs(),
                limit.as_secs(),
                devices.described()
            )));
        }
        std::thread::sleep(LOOK_EVERY.min(limit));
    }
}

/// Sees to it that there is a file system; returns its type.
fn make(wanted: &DataVolume, device: &Path, state: &StateDir, onlooker: &dyn Onlooker) -> Result<String, Error> {
    let record = format!("format-{}.json", wanted.id);
    let begun: Option<Begun> = state.read(&record)?;
    let content = blank::look(device)?;
    if let (Some(begun), VolumeContent::Filesystem(_) | VolumeContent::Unknown) = (&begun, &content) {
        let there = superblock::read(device).map_err(Error::system("read", device))?;
        // Between this record and its removal nothing but the format writes to the volume. A file
        // system of another UUID, or one that was mounted, is somebody else's.
        let cut_short = match &there {
            Some(block) => block.uuid == begun.uuid && block.unused,
            None => content == VolumeContent::Unknown,
        };
        if cut_short {
            onlooker.see(host_note(format!("volume {}: the format was cut short, it is begun again", wanted.id)));
            return format(wanted, device, state, &record, onlooker);
        }
    }
    match content {
        VolumeContent::Blank => format(wanted, device, state, &record, onlooker),
        VolumeContent::Filesystem(kind) if ["ext4", "ext3", "ext2", "xfs", "btrfs"].contains(&kind.as_str()) => {
            state.remove(&record)?;
            Ok(kind)
        }
        VolumeContent::Filesystem(kind) => Err(not_blank(wanted, device, format!("it holds {kind}"))),
        VolumeContent::Unknown => {
            let what = "its beginning or its end holds data that no tool knows".to_owned();
            Err(not_blank(wanted, device, what))
        }
        VolumeContent::Other(what) => Err(not_blank(wanted, device, what)),
    }
}

fn not_blank(wanted: &DataVolume, device: &Path, what: String) -> Error {
    Error::NotBlank { id: wanted.id.clone(), device: device.to_owned(), what }
}

fn format(
    wanted: &DataVolume,
    device: &Path,
    state: &StateDir,
    record: &str,
    onlooker: &dyn Onlooker,
) -> Result<String, Error> {
    let uuid = new_uuid();
    let plain = uuid.replace('-', "");
    state.write(record, &Begun { uuid: plain }, Durable::Yes)?;
    let doing = format!("format volume {} ({})", wanted.id, device.display());
    onlooker.see(host_note(format!("volume {} ({}) is blank: formatting it", wanted.id, device.display())));
    let device_ = device.as_os_str();
    let kind = match wanted.filesystem {
        Filesystem::Ext4 => {
            let arguments = ["-q", "-F", "-m", "1", "-U", &uuid].map(OsStr::new);
            program::must(&doing, "mkfs.ext4", "e2fsprogs", &[&arguments[..], &[device_]].concat())?;
            "ext4"
        }
        Filesystem::Xfs => {
            let id = format!("uuid={uuid}");
            let arguments = ["-q", "-f", "-m", &id].map(OsStr::new);
            program::must(&doing, "mkfs.xfs", "xfsprogs", &[&arguments[..], &[device_]].concat())?;
            "xfs"
        }
    };
    File::open(device).and_then(|f| f.sync_all()).map_err(Error::system("flush", device))?;
    state.remove(record)?;
    Ok(kind.to_owned())
}

/// A random UUID (RFC 9562, version 4).
fn new_uuid() -> String {
    let mut b: [u8; 16] = rand::random();
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex: String = b.iter().map(|b| format!("{b:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Checks ext file systems as a boot does (`e2fsck -p`: what can be mended without asking).
/// The kernel itself replays XFS's and btrfs's journals.
fn check(wanted: &DataVolume, device: &Path, kind: &str) -> Result<(), Error> {
    if !kind.starts_with("ext") {
        return Ok(());
    }
    let doing = format!("check volume {} ({})", wanted.id, device.display());
    let output = program::run(&doing, "e2fsck", "e2fsprogs", &["-p".as_ref(), device.as_os_str()])?;
    match output.status.code() {
        // 1 and 2: mended.
        Some(0..=2) => Ok(()),
        Some(4) => {
            Err(Error::Damaged { id: wanted.id.clone(), device: device.to_owned(), said: program::said(&output) })
        }
        _ => Err(program::failed(&doing, "e2fsck", &output).into()),
    }
}

fn attach_to(wanted: &DataVolume, device: &Path, mount: &Path, kind: &str) -> Result<(), Error> {
    std::fs::create_dir_all(mount).map_err(Error::system("make directory", mount))?;
    rustix::mount::mount(device, mount, kind, rustix::mount::MountFlags::empty(), None).map_err(|e| Error::InTheWay {
        id: wanted.id.clone(),
        mount: mount.to_owned(),
        what: format!("the kernel refuses: {e}"),
    })
}

/// Docker Engine must not run while its data directory gets another disk.
///
/// Its socket does not tell: systemd opens it before the engine starts.
fn docker_is_away(wanted: &DataVolume, mount: &Path) -> Result<(), Error> {
    let pid = std::fs::read_to_string("/run/docker.pid").unwrap_or_default();
    let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.trim())).unwrap_or_default();
    let used = std::fs::read_dir(mount).is_ok_and(|mut entries| entries.next().is_some());
    if name.trim() == "dockerd" && used {
        return Err(Error::InTheWay {
            id: wanted.id.clone(),
            mount: mount.to_owned(),
            what: "there are files in it, and Docker Engine runs: stop it first (systemctl stop docker docker.socket), or \
                   restart this machine"
                .to_owned(),
        });
    }
    Ok(())
}

/// Whether the volume is mounted where it should be.
///
/// # Errors
/// Something else is mounted there, or the volume is mounted elsewhere.
fn is_mounted(wanted: &DataVolume, device: &Path, mount: &Path) -> Result<bool, Error> {
    let (number, table) = (device_number(device)?, own_mounts()?);
    // The kernel tells places without symbolic links.
    let target = mount.canonicalize().or_else(|_| std::path::absolute(mount));
    let target = target.map_err(Error::system("look at", mount))?;
    let in_the_way = |what: String| Error::InTheWay { id: wanted.id.clone(), mount: mount.to_owned(), what };
    match seen_at(&table, &target) {
        Some(there) if there.device == number => return Ok(true),
        Some(there) => return Err(in_the_way(format!("{} is mounted there", there.source))),
        None => {}
    }
    match mounts(&table).find(|m| m.device == number) {
        Some(there) => Err(in_the_way(format!("it is mounted at {}", there.at.display()))),
        None => Ok(false),
    }
}

/// The number (`MAJOR:MINOR`) of the device whose file system is seen at a place, if one is mounted there.
///
/// # Errors
/// [`Error::System`]
pub(crate) fn device_at(place: &Path) -> Result<Option<String>, Error> {
    let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    Ok(seen_at(&own_mounts()?, &place).map(|m| m.device))
}

/// The number of a block device, `MAJOR:MINOR`.
///
/// # Errors
/// [`Error::System`]
pub(crate) fn device_number(device: &Path) -> Result<String, Error> {
    let number = std::fs::metadata(device).map_err(Error::system("look at", device))?.rdev();
    Ok(format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number)))
}

/// The table of this process's mounts.
fn own_mounts() -> Result<String, Error> {
    let path = Path::new("/proc/self/mountinfo");
    std::fs::read_to_string(path).map_err(Error::system("read", path))
}

/// The mount that is seen at a place: the one that was made last there.
fn seen_at(table: &str, place: &Path) -> Option<Mounted> {
    mounts(table).filter(|m| m.at == place).last()
}

/// The directories of a device's file system that a table of mounts (proc(5), mountinfo) has: `/` for all of it.
pub(crate) fn roots_of(table: &str, number: &str) -> impl Iterator<Item = PathBuf> {
    mounts(table).filter(move |m| m.device == number).map(|m| m.root)
}

struct Mounted {
    device: String,
    root: PathBuf,
    at: PathBuf,
    source: String,
}

/// The lines of mountinfo (proc(5)).
fn mounts(table: &str) -> impl Iterator<Item = Mounted> + '_ {
    table.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let device = fields.nth(2)?.to_owned();
        let root = PathBuf::from(unescape(fields.next()?));
        let at = PathBuf::from(unescape(fields.next()?));
        let source = line.split(" - ").nth(1)?.split(' ').nth(1)?;
        Some(Mounted { device, root, at, source: unescape(source) })
    })
}

/// Undoes the kernel's `\040` for blanks.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// Size of the device for which growing was tried last, in bytes: some file systems leave a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GrowAttempt(Option<u64>);

/// Lets the file system of a mounted volume fill it; nothing happens when it is not mounted.
pub fn grow_mounted(wanted: &DataVolume, tried: &mut GrowAttempt, onlooker: &dyn Onlooker) -> Result<(), Error> {
    grow_among(wanted, &Devices::default(), tried, onlooker)
}

/// As [`grow_mounted`], with the disks in `devices`.
pub fn grow_among(
    wanted: &DataVolume,
    devices: &Devices,
    tried: &mut GrowAttempt,
    onlooker: &dyn Onlooker,
) -> Result<(), Error> {
    let mount = Path::new(&wanted.mount);
    for device in devices.of_volume(&wanted.id) {
        if device.exists() && is_mounted(wanted, &device, mount).unwrap_or(false) {
            return grow(wanted, &device, mount, tried, onlooker);
        }
    }
    Ok(())
}

fn grow(
    wanted: &DataVolume,
    device: &Path,
    mount: &Path,
    tried: &mut GrowAttempt,
    onlooker: &dyn Onlooker,
) -> Result<(), Error> {
    let size = File::open(device).and_then(|f| size(&f)).map_err(Error::system("look at", device))?;
    let Some(Superblock { kind, size: used, .. }) = superblock::read(device).map_err(Error::system("read", device))?
    else {
        return Ok(());
    };
    if used >= size || tried.0 == Some(size) {
        return Ok(());
    }
    tried.0 = Some(size);
    let doing = format!("grow the file system of volume {} ({})", wanted.id, device.display());
    match kind {
        Kind::Ext => program::must(&doing, "resize2fs", "e2fsprogs", &[device.as_os_str()])?,
        Kind::Xfs => program::must(&doing, "xfs_growfs", "xfsprogs", &[mount.as_os_str()])?,
    }
    let now = superblock::read(device).map_err(Error::system("read", device))?.map_or(used, |b| b.size);
    if now > used {
        let mib = |bytes: u64| bytes >> 20;
        onlooker.see(host_note(format!(
            "volume {} ({}): the file system has grown from {} to {} MiB",
            wanted.id,
            kernel_name(device).unwrap_or_default(),
            mib(used),
            mib(now)
        )));
    }
    Ok(())
}
