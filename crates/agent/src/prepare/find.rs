//! Finding a Cinder volume among a machine's disks, by its id alone.
//!
//! Nova gives the volume's id to the disk as its serial number. What is left of it depends on the
//! bus: virtio keeps 20 bytes of it, NVMe 20, SCSI all 36. The kernel shows it in sysfs, and udev
//! makes links of it below `/dev/disk/by-id`. Names like `/dev/vdb` say only in which order the
//! kernel met the disks, and are never asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Bytes of a serial number that virtio and NVMe keep.
const SHORT: usize = 20;

/// Where disks are to be seen.
#[derive(Debug, Clone)]
pub struct Devices {
    /// udev's links.
    pub by_id: PathBuf,
    /// The kernel's block devices.
    pub sys_block: PathBuf,
    /// Device nodes.
    pub dev: PathBuf,
}

impl Default for Devices {
    fn default() -> Self {
        Self { by_id: "/dev/disk/by-id".into(), sys_block: "/sys/block".into(), dev: "/dev".into() }
    }
}

impl Devices {
    /// Device nodes of the disks that bear the id of a volume.
    pub(crate) fn of_volume(&self, id: &str) -> BTreeSet<PathBuf> {
        let by_serial = self.names().into_iter().filter(|name| is(&self.serial(name).unwrap_or_default(), id));
        let mut found: BTreeSet<PathBuf> = by_serial.map(|name| self.dev.join(name)).collect();
        for entry in std::fs::read_dir(&self.by_id).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|link| link_is(link, id))
                && let Ok(device) = entry.path().canonicalize()
            {
                found.insert(device);
            }
        }
        found
    }

    /// The disks that are there, for people: name and serial number.
    pub(super) fn described(&self) -> String {
        let text = |name: &String| match self.serial(name) {
            Some(serial) => format!("{name} (serial number {serial})"),
            None => name.clone(),
        };
        let disks: Vec<String> = self.names().iter().filter(|n| !is_virtual(n)).map(text).collect();
        if disks.is_empty() { "none".to_owned() } else { disks.join(", ") }
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.sys_block).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Serial number of a disk: virtio's, NVMe's, or SCSI's (its vital product data, page 0x80).
    fn serial(&self, name: &str) -> Option<String> {
        let disk = self.sys_block.join(name);
        let text = |path: PathBuf| std::fs::read_to_string(path).ok().map(|t| t.trim().to_owned());
        let serial = text(disk.join("serial")).or_else(|| text(disk.join("device/serial"))).or_else(|| {
            let page = std::fs::read(disk.join("device/vpd_pg80")).ok()?;
            Some(String::from_utf8_lossy(page.get(4..)?).trim_matches(['\0', ' ']).to_owned())
        });
        serial.filter(|s| !s.is_empty())
    }
}

/// Disks that are made of files, memory or other disks.
fn is_virtual(name: &str) -> bool {
    ["loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a serial number is that of the volume: all of its id, or as much as fits.
fn is(serial: &str, id: &str) -> bool {
    id.len() > SHORT && (serial == id || id.get(..SHORT) == Some(serial))
}

/// Whether a link of udev is one of the volume's whole disk: `virtio-<serial>`,
/// `scsi-0QEMU_QEMU_HARDDISK_<serial>`, `nvme-QEMU_NVMe_Ctrl_<serial>`.
fn link_is(link: &str, id: &str) -> bool {
    let Some((bus, rest)) = link.split_once('-') else { return false };
    match bus {
        "virtio" => is(rest, id),
        "scsi" | "nvme" | "ata" | "usb" => rest.rsplit_once('_').is_some_and(|(_, serial)| {
            // NVMe's namespaces end in `_1`.
            is(serial, id)
                || rest
                    .strip_suffix(&format!("_{serial}"))
                    .and_then(|r| r.rsplit_once('_'))
                    .is_some_and(|(_, s)| is(s, id))
        }),
        _ => false,
    }
}

/// Name of the kernel for a device node, which symbolic links may lead to.
pub(super) fn kernel_name(device: &Path) -> Option<String> {
    device.canonicalize().ok()?.file_name()?.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7d1c2f4e-0b8f-4c60-a6a2-5c0f5e3f9d11";

    #[test]
    fn links_of_all_buses() {
        for link in [
            "virtio-7d1c2f4e-0b8f-4c60-a",
            "scsi-0QEMU_QEMU_HARDDISK_7d1c2f4e-0b8f-4c60-a6a2-5c0f5e3f9d11",
            "scsi-0QEMU_QEMU_HARDDISK_7d1c2f4e-0b8f-4c60-a",
            "nvme-QEMU_NVMe_Ctrl_7d1c2f4e-0b8f-4c60-a",
            "nvme-QEMU_NVMe_Ctrl_7d1c2f4e-0b8f-4c60-a_1",
        ] {
            assert!(link_is(link, ID), "{link}");
        }
        for link in [
            "virtio-7d1c2f4e-0b8f-4c60-a-part1",
            "virtio-7d1c2f4e-0b8f-4c60",
            "virtio-8d1c2f4e-0b8f-4c60-a",
            "wwn-0x7d1c2f4e",
            "dm-name-7d1c2f4e-0b8f-4c60-a",
        ] {
            assert!(!link_is(link, ID), "{link}");
        }
        assert!(!is("", ""), "no id is no volume");
        assert!(!is("7d1c2f4e", "7d1c2f4e"), "what is no id of Cinder's is none");
    }

    #[test]
    fn serial_numbers_in_sysfs() {
        let dir = tempfile::tempdir().unwrap();
        let devices =
            Devices { by_id: dir.path().join("none"), sys_block: dir.path().join("block"), dev: "/dev".into() };
        let write = |path: &str, content: &[u8]| {
            let path = devices.sys_block.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write("vda/serial", b"");
        write("vdb/serial", b"7d1c2f4e-0b8f-4c60-a\n");
        write("loop0/size", b"1\n");
        assert_eq!(devices.of_volume(ID), BTreeSet::from([PathBuf::from("/dev/vdb")]));
        write("sdc/device/vpd_pg80", format!("\0\u{1}\0${ID}").as_bytes());
        write("vdb/serial", b"other");
        assert_eq!(devices.of_volume(ID), BTreeSet::from([PathBuf::from("/dev/sdc")]));
        assert_eq!(devices.described(), format!("sdc (serial number {ID}), vda, vdb (serial number other)"));
        write("nvme1n1/device/serial", b"7d1c2f4e-0b8f-4c60-a ");
        assert_eq!(devices.of_volume(ID).len(), 2);
    }
}
