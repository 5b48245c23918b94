//! Where a recipe's files come from.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// The files of one recipe: a folder on disk, or a folder embedded in the program.
pub trait Files {
    /// Paths of all files, relative to the recipe's folder, with `/` between parts.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Content of the file at `path`, one of [`list`](Self::list)'s answers.
    fn read(&self, path: &str) -> io::Result<Cow<'_, [u8]>>;
}

/// A folder on disk. Follows no symbolic links to folders; anything but files is an error.
#[derive(Debug, Clone)]
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        walk(&self.0, "", &mut found)?;
        found.sort();
        Ok(found)
    }

    fn read(&self, path: &str) -> io::Result<Cow<'_, [u8]>> {
        std::fs::read(self.0.join(path)).map(Cow::Owned)
    }
}

fn walk(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("file name {name:?} in {} is not UTF-8", folder.display()),
            )
        })?;
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &path, found)?;
        } else if kind.is_file() {
            found.push(path);
        } else {
            let text = format!("{} is neither a file nor a folder", entry.path().display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    }
    Ok(())
}
