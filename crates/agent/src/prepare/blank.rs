//! Whether a volume is blank.

use super::Error;
use crate::program;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What is looked at of both ends, in bytes.
const END: usize = 1 << 20;

/// What lies on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VolumeContent {
    /// Nothing: no signature that libblkid knows, and zeros at both ends.
    Blank,
    /// A file system of this type.
    Filesystem(String),
    /// Something that no tool knows.
    Unknown,
    /// Something else, in words.
    Other(String),
}

/// Looks at a device with libblkid (`blkid --probe`) and at its ends.
pub(super) fn look(device: &Path) -> Result<VolumeContent, Error> {
    let doing = format!("look at {}", device.display());
    let output = program::run(
        &doing,
        "blkid",
        "util-linux",
        &["--probe".as_ref(), "--output".as_ref(), "export".as_ref(), device.as_os_str()],
    )?;
    match output.status.code() {
        Some(0) => Ok(found(&String::from_utf8_lossy(&output.stdout))),
        // Nothing found.
        Some(2) => {
            let blank = ends_are_zero(device).map_err(Error::system("read", device))?;
            Ok(if blank { VolumeContent::Blank } else { VolumeContent::Unknown })
        }
        Some(8) => Ok(VolumeContent::Other("it bears the signatures of several file systems".to_owned())),
        _ => Err(program::failed(&doing, "blkid", &output).into()),
    }
}

/// blkid(8): `TYPE` names what fills the device, `PTTYPE` a partition table.
fn found(export: &str) -> VolumeContent {
    let value = |key: &str| export.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    match (value("TYPE"), value("PTTYPE")) {
        (Some(kind), _) if value("USAGE").is_none_or(|u| u == "filesystem") => {
            VolumeContent::Filesystem(kind.to_owned())
        }
        (Some(kind), _) => VolumeContent::Other(format!("it holds {kind}")),
        (None, Some(table)) => VolumeContent::Other(format!("it has a partition table ({table})")),
        (None, None) => VolumeContent::Other("it bears a signature".to_owned()),
    }
}

fn ends_are_zero(device: &Path) -> io::Result<bool> {
    let file = File::open(device)?;
    let size = size(&file)?;
    let length = usize::try_from(size).unwrap_or(END).min(END);
    let mut end = vec![0; length];
    for at in [0, size.saturating_sub(length as u64)] {
        file.read_exact_at(&mut end, at)?;
        if end.iter().any(|b| *b != 0) {
            return Ok(false);
        }
    }
    Ok(size > 0)
}

/// Size of a file or block device, in bytes.
pub(super) fn size(file: &File) -> io::Result<u64> {
    let mut file = file;
    file.seek(SeekFrom::End(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_blkid_says() {
        let fs = "DEVNAME=/dev/vdb\nUUID=x\nTYPE=ext4\nUSAGE=filesystem\n";
        assert_eq!(found(fs), VolumeContent::Filesystem("ext4".into()));
        for (said, what) in [
            ("DEVNAME=/dev/vdb\nTYPE=LVM2_member\nUSAGE=raid\n", "LVM2_member"),
            ("DEVNAME=/dev/vdb\nPTUUID=1\nPTTYPE=gpt\n", "partition table (gpt)"),
            ("DEVNAME=/dev/vdb\nTYPE=crypto_LUKS\nUSAGE=crypto\n", "crypto_LUKS"),
        ] {
            assert!(matches!(found(said), VolumeContent::Other(text) if text.contains(what)), "{said}");
        }
    }
}
