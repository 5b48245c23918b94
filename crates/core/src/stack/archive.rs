//! Files that a stack carries to its hosts: bind mounts of what lies next to the Compose file.
//!
//! The unit is an archive: a tar of one file or one directory, known by the SHA-256 of its bytes. A stack holds the
//! digest alone. Its deployer uploads the bytes to the server once for each distinct content, and each host gets
//! them from there. A changed file is another digest, so it changes the services that mount it.

use super::{MountKind, Stack};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the only entry at the top of an archive: the file or the directory that is mounted.
pub const ARCHIVE_ROOT: &str = "root";

/// What a mount shows of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// The path as the Compose file has it, `./nginx.conf`; for people.
    pub source: String,
    /// SHA-256 of the tar, 64 lowercase hex digits.
    pub digest: String,
    /// Length of the tar in bytes.
    pub size: u64,
}

impl Archive {
    /// Whether its digest is one, so that it may name a file.
    pub fn is_well_named(&self) -> bool {
        is_archive_digest(&self.digest)
    }
}

/// Whether a text is the digest of an archive: 64 lowercase hex digits.
pub fn is_archive_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl Stack {
    /// Archives that services mount, one for each mount.
    pub fn mounted_archives(&self) -> impl Iterator<Item = &Archive> {
        let mounts = self.services.values().flat_map(|s| &s.volumes);
        mounts.filter_map(|m| match &m.kind {
            MountKind::Archive(archive) => Some(archive),
            _ => None,
        })
    }

    /// Archives that services mount, each once, by digest.
    pub fn archives(&self) -> BTreeMap<&str, &Archive> {
        self.mounted_archives().map(|archive| (archive.digest.as_str(), archive)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mount, Service};
    use super::*;

    #[test]
    fn an_archive_of_two_services_counts_once() {
        let archive = |digest: &str| Archive { source: "./a".into(), digest: digest.into(), size: 1 };
        let service = |digests: &[&str]| {
            let mount = |d: &&str| Mount { kind: MountKind::Archive(archive(d)), target: "/a".into(), read_only: true };
            Service { volumes: digests.iter().map(mount).collect(), ..Service::default() }
        };
        let services = [("a".to_owned(), service(&["1", "2"])), ("b".to_owned(), service(&["2"]))].into();
        let stack = Stack { services, ..Stack::default() };
        assert_eq!(stack.archives().into_keys().collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_digest_names_no_other_file() {
        assert!(is_archive_digest(&"0a".repeat(32)));
        for bad in ["", "../../etc/passwd", &"0A".repeat(32), &"0a".repeat(31), &format!("{}/", "0".repeat(63))] {
            assert!(!is_archive_digest(bad), "{bad}");
        }
    }
}
