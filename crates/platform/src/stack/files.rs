//! Configs and secrets as files on the host.
//!
//! Each version of a config lies in a directory named by its content's digest and by who may read it, below
//! `<state>/stacks/<stack>/{configs,secrets}/<name>/`. A directory of that name is always
//! complete: it is written beside, flushed and renamed. A container that is not made anew
//! goes on seeing the version it was made with, also when newer ones lie beside it.
//!
//! Owner and permissions are for the container. On the host they let nobody in: the directories above the
//! versions are ours alone.

use super::Error;
use stackyard_core::stack::spec::config_digest;
use stackyard_core::stack::{Config, FileAccess, FileMount, Stack};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Component, Path, PathBuf};

/// Name of the only file of a config that is a file and not a directory.
const ONLY: &str = "content";

/// Directory of everything of the stack `name`.
pub(super) fn stack_dir(state: &Path, name: &str) -> PathBuf {
    state.join("stacks").join(name)
}

/// Whether a config or a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum FileKind {
    Config,
    Secret,
}

/// Path on the host of what is mounted for a config or secret: a file or a directory.
pub(super) fn path(state: &Path, stack: &str, kind: FileKind, mount: &FileMount, config: &Config) -> PathBuf {
    let dir = version_dir(state, stack, kind, &mount.source, mount.access, config);
    if config.files.contains_key("") { dir.join(ONLY) } else { dir }
}

fn kind_dir(state: &Path, stack: &str, kind: FileKind) -> PathBuf {
    stack_dir(state, stack).join(match kind {
        FileKind::Config => "configs",
        FileKind::Secret => "secrets",
    })
}

fn version_dir(
    state: &Path,
    stack: &str,
    kind: FileKind,
    name: &str,
    FileAccess { uid, gid, mode }: FileAccess,
    config: &Config,
) -> PathBuf {
    kind_dir(state, stack, kind).join(name).join(format!("{}-{uid}-{gid}-{mode:o}", config_digest(config)))
}

/// Names of spec parts (`config x`) whose files are among the mounted `sources` and are gone.
pub(super) fn lost<'a>(sources: impl Iterator<Item = &'a str>) -> Vec<String> {
    let part = |source: &str| {
        let parts: Vec<&str> = source.split('/').collect();
        // .../stacks/<stack>/<kind>/<name>/<digest>[/content]
        let at = parts.iter().rposition(|p| *p == "configs" || *p == "secrets")?;
        let kind = if parts[at] == "configs" { "config" } else { "secret" };
        let known = at >= 2 && parts[at - 2] == "stacks";
        known.then(|| parts.get(at + 1).map(|name| format!("{kind} {name}")))?
    };
    sources.filter(|s| !Path::new(s).exists()).filter_map(part).collect()
}

/// Configs and secrets that services of the stack use, once for each way in which they are readable.
fn used(stack: &Stack) -> impl Iterator<Item = (FileKind, &String, FileAccess, &Config)> {
    let mounted: BTreeSet<(FileKind, &String, FileAccess)> = stack
        .services
        .values()
        .flat_map(|s| {
            let configs = s.configs.iter().map(|m| (FileKind::Config, m));
            configs.chain(s.secrets.iter().map(|m| (FileKind::Secret, m)))
        })
        .map(|(kind, m)| (kind, &m.source, m.access))
        .collect();
    mounted.into_iter().filter_map(|(kind, name, access)| {
        let contents = if kind == FileKind::Config { &stack.configs } else { &stack.secrets };
        Some((kind, name, access, contents.get(name)?))
    })
}

/// Whether services use any configs or secrets.
pub(super) fn any(stack: &Stack) -> bool {
    used(stack).next().is_some()
}

/// Writes all configs and secrets that services use and that are not there yet.
pub(super) fn write_all(state: &Path, stack: &Stack) -> Result<(), Error> {
    for (kind, name, access, config) in used(stack) {
        let dir = version_dir(state, &stack.name, kind, name, access, config);
        if !dir.exists() {
            write(&dir, name, access, config)?;
        }
    }
    Ok(())
}

/// Removes the versions that no service uses.
pub(super) fn collect_garbage(state: &Path, stack: &Stack) -> Result<(), Error> {
    let keep: BTreeSet<PathBuf> = used(stack).map(|(k, n, a, c)| version_dir(state, &stack.name, k, n, a, c)).collect();
    for kind in [FileKind::Config, FileKind::Secret] {
        for name in entries(&kind_dir(state, &stack.name, kind))? {
            for version in entries(&name)? {
                if !keep.contains(&version) {
                    fs::remove_dir_all(&version).map_err(Error::file("remove", &version))?;
                }
            }
            if entries(&name)?.is_empty() {
                fs::remove_dir(&name).map_err(Error::file("remove", &name))?;
            }
        }
    }
    Ok(())
}

/// Removes everything of the stack `name`.
pub(super) fn remove_all(state: &Path, name: &str) -> Result<(), Error> {
    let dir = stack_dir(state, name);
    match fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", dir)(e)),
        _ => Ok(()),
    }
}

pub(super) fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::file("read", dir)(e)),
        Ok(entries) => entries.map(|e| e.map(|e| e.path()).map_err(Error::file("read", dir))).collect(),
    }
}

/// Writes one version: beside first, then renamed, so that it is there wholly or not at all.
fn write(dir: &Path, name: &str, access: FileAccess, config: &Config) -> Result<(), Error> {
    let parent = dir.parent().unwrap_or(dir);
    make_dirs(parent)?;
    let beside = dir.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_dir_all(&beside);
    make_dirs(&beside)?;
    for (path, content) in &config.files {
        let bad = || Error::BadPath { config: name.to_owned(), path: path.clone() };
        let relative = if path.is_empty() { Path::new(ONLY) } else { Path::new(path) };
        if !relative.components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(bad());
        }
        let file = beside.join(relative);
        make_dirs(file.parent().unwrap_or(&beside))?;
        write_file(&file, access, content).map_err(Error::file("write", file))?;
    }
    finish_dirs(&beside, access)?;
    match fs::rename(&beside, dir) {
        // Somebody else was first, with the same content.
        Err(_) if dir.exists() => drop(fs::remove_dir_all(&beside)),
        Err(e) => return Err(Error::file("write", dir)(e)),
        Ok(()) => {}
    }
    flush(parent)
}

fn make_dirs(dir: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::file("make directory", dir))
}

fn write_file(path: &Path, access: FileAccess, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    hand_over(path, access, access.mode)?;
    file.sync_all()
}

/// Gives `path` its owner and its permissions. What is to be root's stays ours, who may not be root.
fn hand_over(path: &Path, access: FileAccess, mode: u32) -> std::io::Result<()> {
    if (access.uid, access.gid) != (0, 0) {
        chown(path, Some(access.uid), Some(access.gid))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Hands over `dir` and all directories in it, and flushes their entries.
fn finish_dirs(dir: &Path, access: FileAccess) -> Result<(), Error> {
    for entry in entries(dir)? {
        if entry.is_dir() {
            finish_dirs(&entry, access)?;
        }
    }
    hand_over(dir, access, access.directory_mode()).map_err(Error::file("change the owner or mode of", dir))?;
    flush(dir)
}

fn flush(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(Error::file("flush", dir))
}

/// Keeps other processes from working on the stack as long as it lives; the system releases
/// it when the process dies, however it dies.
#[derive(Debug)]
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock of the stack `name`, or says that somebody else has it.
    pub(super) fn take(state: &Path, name: &str) -> Result<Self, Error> {
        let dir = stack_dir(state, name);
        let path = dir.join("lock");
        loop {
            make_dirs(&dir)?;
            let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
            let file = match open {
                // Removed together with its stack between the two calls.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.map_err(Error::file("open", &path))?,
            };
            match file.try_lock() {
                Err(fs::TryLockError::WouldBlock) => return Err(Error::Locked { stack: name.to_owned(), lock: path }),
                Err(fs::TryLockError::Error(e)) => return Err(Error::file("lock", path)(e)),
                Ok(()) => {}
            }
            // The file may have been removed with its stack before we locked it.
            let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
            if let (Ok(ours), Ok(there)) = (file.metadata(), fs::metadata(&path))
                && same(ours, there)
            {
                return Ok(Self { _file: file });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::Service;
    use std::collections::BTreeMap;

    fn stack(text: &str) -> Stack {
        let files = BTreeMap::from([("sub/a.conf".to_owned(), text.as_bytes().to_vec())]);
        let mount = FileMount { source: "app".into(), target: "/etc/app".into(), access: FileAccess::default() };
        Stack {
            name: "s".into(),
            configs: BTreeMap::from([("app".into(), Config { files })]),
            services: BTreeMap::from([("app".into(), Service { configs: vec![mount], ..Service::default() })]),
            ..Stack::default()
        }
    }

    fn mount(s: &Stack) -> &FileMount {
        &s.services["app"].configs[0]
    }

    fn dir(state: &Path, s: &Stack) -> PathBuf {
        path(state, "s", FileKind::Config, mount(s), &s.configs["app"])
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("metadata").permissions().mode() & 0o777
    }

    #[test]
    fn files_are_for_the_container_alone() {
        let state = tempfile::tempdir().expect("temporary directory");
        let (all, mut own) = (stack("one"), stack("one"));
        let access = FileAccess { uid: 12, gid: 34, mode: 0o640 };
        own.services.get_mut("app").expect("service").configs[0].access = access;
        write_all(state.path(), &all).expect("write");
        write_all(state.path(), &own).expect("write beside");
        let (all, own) = (dir(state.path(), &all), dir(state.path(), &own));
        assert_eq!([mode(&all), mode(&all.join("sub")), mode(&all.join("sub/a.conf"))], [0o755, 0o755, 0o444]);
        assert_eq!([mode(&own), mode(&own.join("sub")), mode(&own.join("sub/a.conf"))], [0o750, 0o750, 0o640]);
        let owner = fs::metadata(own.join("sub/a.conf")).expect("metadata");
        assert_eq!((owner.uid(), owner.gid()), (12, 34));
        // On the host nobody else comes that far.
        assert_eq!(mode(&stack_dir(state.path(), "s")), 0o700);
    }

    #[test]
    fn old_versions_go() {
        let state = tempfile::tempdir().expect("temporary directory");
        let (old, new) = (stack("one"), stack("two"));
        write_all(state.path(), &old).expect("write");
        write_all(state.path(), &old).expect("write again");
        write_all(state.path(), &new).expect("write");
        let file = |s: &Stack| dir(state.path(), s).join("sub/a.conf");
        assert_eq!(fs::read(file(&old)).expect("old"), b"one");
        collect_garbage(state.path(), &new).expect("collect");
        assert!(!file(&old).exists());
        assert!(file(&new).exists());
        remove_all(state.path(), "s").expect("remove");
        remove_all(state.path(), "s").expect("remove again");
    }

    #[test]
    fn what_a_killed_process_left_is_no_version() {
        let state = tempfile::tempdir().expect("temporary directory");
        let s = stack("one");
        let dir = dir(state.path(), &s);
        make_dirs(&dir.with_extension("new-1")).expect("left behind");
        write_all(state.path(), &s).expect("write");
        collect_garbage(state.path(), &s).expect("collect");
        assert_eq!(entries(dir.parent().expect("parent")).expect("list"), [dir]);
    }

    #[test]
    fn paths_stay_inside() {
        let state = tempfile::tempdir().expect("temporary directory");
        for path in ["../x", "/etc/x", "a/../../x"] {
            let mut s = stack("one");
            s.configs.insert("app".into(), Config { files: BTreeMap::from([(path.to_owned(), vec![])]) });
            assert!(matches!(write_all(state.path(), &s), Err(Error::BadPath { .. })), "{path}");
        }
    }

    #[test]
    fn one_at_a_time() {
        let state = tempfile::tempdir().expect("temporary directory");
        let lock = FileLock::take(state.path(), "s").expect("free");
        assert!(matches!(FileLock::take(state.path(), "s"), Err(Error::Locked { .. })));
        drop(lock);
        remove_all(state.path(), "s").expect("remove");
        FileLock::take(state.path(), "s").expect("free again");
    }
}
