//! A tar that a host unpacks: nothing is written outside of its directory, and half of one is never there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use stackyard_core::stack::Archive;
use stackyard_core::text::hex;
use stackyard_platform::stack::Archives;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

fn names(dir: &Path) -> Vec<String> {
    let all = fs::read_dir(dir).expect("there");
    all.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fuzz_target!(|data: &[u8]| {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        static DIR: tempfile::TempDir = tempfile::tempdir().expect("a directory");
    }
    let digest = hex(&Sha256::digest(data));
    let archive = Archive { source: "./x".into(), digest: digest.clone(), size: data.len() as u64 };
    DIR.with(|dir| {
        let archives = Archives::new(dir.path());
        let mut file = archives.scratch().expect("a file");
        file.write_all(data).expect("written");
        let unpacked = RUNTIME.with(|r| r.block_on(archives.unpack(&archive, file)));
        assert_eq!(names(dir.path()), ["archives"]);
        let there = names(&dir.path().join("archives"));
        match unpacked {
            Ok(()) => {
                assert_eq!(there, [digest.as_str()]);
                let inside = dir.path().join("archives").join(&digest);
                assert_eq!(names(&inside), ["root"]);
                assert!(!fs::symlink_metadata(inside.join("root")).expect("there").is_symlink());
                let gone = RUNTIME.with(|r| r.block_on(archives.collect(BTreeSet::new())));
                assert_eq!(gone.expect("removed"), [digest]);
            }
            Err(error) => assert!(there.is_empty() && !error.to_string().is_empty()),
        }
    });
});
