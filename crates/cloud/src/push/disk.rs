//! A disk of a virtual machine in a file: what it is, and the digest of its content.

use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

/// What a file's beginning tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// `qcow2` or `raw`, as Glance calls it.
    pub format: &'static str,
    /// Bytes that a guest sees.
    pub virtual_size: u64,
}

/// A file cannot be pushed.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is {what}; convert it with: qemu-img convert -O qcow2 -c", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
}

impl DiskError {
    /// Makes errors of reading ours.
    pub fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

impl Disk {
    /// Looks at the file at `path`; answers the SHA-256 of its content, too: `sha256:` and hex digits.
    ///
    /// # Errors
    /// See [`DiskError`].
    pub async fn read(path: &Path) -> Result<(Self, String), DiskError> {
        let file = path.to_owned();
        let work = tokio::task::spawn_blocking(move || Self::read_now(&file));
        work.await.map_err(|panic| DiskError::reading(path)(io::Error::other(panic)))?
    }

    fn read_now(path: &Path) -> Result<(Self, String), DiskError> {
        let mut file = File::open(path).map_err(DiskError::reading(path))?;
        let size = file.metadata().map_err(DiskError::reading(path))?.len();
        let mut head = Vec::new();
        (&mut file).take(512).read_to_end(&mut head).map_err(DiskError::reading(path))?;
        let disk = Self::of(&head, size).map_err(|what| DiskError::Unfit { path: path.to_owned(), what })?;
        let digest = digest(&mut file).map_err(DiskError::reading(path))?;
        Ok((disk, digest))
    }

    /// By the first 512 bytes of a file of `size` bytes.
    ///
    /// qcow2: 8 bytes at 8 are where the name of the backing file is, 8 at 24 the virtual size
    /// (QEMU's docs/interop/qcow2.txt). A raw disk has the PC's boot signature at 510, also with a GPT.
    fn of(head: &[u8], size: u64) -> Result<Self, &'static str> {
        let number = |at: usize| head.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes);
        if head.starts_with(b"QFI\xfb") {
            return match (number(8), number(24)) {
                (Some(0), Some(virtual_size)) => Ok(Self { format: "qcow2", virtual_size }),
                (Some(_), Some(_)) => Err("a qcow2 with a backing file, which no cloud takes"),
                _ => Err("cut off"),
            };
        }
        match head.get(510..512) {
            Some([0x55, 0xaa]) if size.is_multiple_of(512) => Ok(Self { format: "raw", virtual_size: size }),
            _ => Err("neither a qcow2 nor a raw disk (it has no boot sector)"),
        }
    }
}

fn digest(file: &mut File) -> io::Result<String> {
    file.rewind()?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            n => hash.update(&piece[..n]),
        }
    }
    Ok(hash.finalize().iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_known_by_their_first_sector() {
        let mut qcow2 = [0; 512];
        qcow2[..4].copy_from_slice(b"QFI\xfb");
        qcow2[7] = 3;
        qcow2[24..32].copy_from_slice(&(5u64 << 30).to_be_bytes());
        assert_eq!(Disk::of(&qcow2, 196_616), Ok(Disk { format: "qcow2", virtual_size: 5 << 30 }));
        qcow2[15] = 0x70;
        assert!(Disk::of(&qcow2, 196_616).unwrap_err().contains("backing file"));
        assert_eq!(Disk::of(&qcow2[..20], 20), Err("cut off"));

        let mut raw = [0; 512];
        assert!(Disk::of(&raw, 1 << 20).unwrap_err().contains("no boot sector"));
        raw[510..].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(Disk::of(&raw, 1 << 20), Ok(Disk { format: "raw", virtual_size: 1 << 20 }));
        assert!(Disk::of(&raw, 1000).is_err());
        assert!(Disk::of(&[], 0).is_err());
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut content = vec![0; 1024];
        content[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(file.path(), &content).unwrap();
        let (disk, digest) = Disk::read_now(file.path()).unwrap();
        assert_eq!((disk.format, disk.virtual_size), ("raw", 1024));
        let hex = Sha256::digest(&content).iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(digest, format!("sha256:{hex}"));
        let error = Disk::read_now(Path::new("/nowhere")).unwrap_err().to_string();
        assert_eq!(error, "cannot read /nowhere");
    }
}
