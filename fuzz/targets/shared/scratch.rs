//! A folder for parsers that take paths.

use std::path::PathBuf;

/// An empty folder, below `TMPDIR`. A fuzzer ends without destructors: `fuzz/run` sets `TMPDIR`
/// and removes it.
pub fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("stackyard-fuzz-").tempdir().expect("a folder").keep()
}
