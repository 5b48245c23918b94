//! Files of the server below its state directory.

use std::path::{Path, PathBuf};

/// Directory of the server in state directory `home`.
pub fn dir(home: &Path) -> PathBuf {
    home.join("server")
}

/// Its socket.
pub fn socket(home: &Path) -> PathBuf {
    dir(home).join("socket")
}
