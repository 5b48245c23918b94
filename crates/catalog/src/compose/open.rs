//! Compose files of a directory, as people have them: with a `.env` beside them and the
//! environment's variables.

use super::documents::normal_name;
use super::dotenv::parse_after;
use super::{Loaded, Project, SourceFiles, Target, discover, load};
use crate::diag::Problems;
use crate::interpolate::Variables;
use crate::source::{Dir, Memory, Shipped, Source, WatchedSource, normalise};
use stackyard_core::stack::Archive;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Compose files to be read for the hosts of a yard.
#[derive(Debug, Clone, Default)]
pub struct ComposeRequest {
    /// The files; later ones override earlier ones. Relative paths in them start at the first
    /// one's directory. When empty, `COMPOSE_FILE` names them, else the first of the standard names in this
    /// directory or above counts.
    pub files: Vec<PathBuf>,
    /// Name of the stack; when absent, `COMPOSE_PROJECT_NAME`, the files' `name`, else the directory's.
    pub name: Option<String>,
    /// Active profiles; those of `COMPOSE_PROFILES` when empty.
    pub profiles: Vec<String>,
    /// Files of variables; when empty, those of `COMPOSE_ENV_FILES`, else `.env` next to the first file, if there
    /// is one.
    pub env_files: Vec<PathBuf>,
    /// Variables; they win over the environment's, which win over those of files.
    pub variables: BTreeMap<String, String>,
}

/// Why a stack cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of variables has a mistake.
    #[error("{}:{line}: {message}", path.display())]
    Variables {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The mistake.
        message: String,
    },
    /// A file is not among those that came along.
    #[error("`{path}` is not among the files that came along")]
    Absent {
        /// Its path.
        path: String,
    },
    /// No file was named.
    #[error("no Compose file was named")]
    None,
    /// No file was named, and none with a standard name is there.
    #[error("cannot find a Compose file: none of {names} is in {} or above", dir.display())]
    NotFound {
        /// The names that were looked for.
        names: String,
        /// The directory in which the search began.
        dir: PathBuf,
    },
    /// The files have mistakes.
    #[error(transparent)]
    Mistakes(#[from] Problems),
}

fn read(path: &Path) -> impl FnOnce(std::io::Error) -> OpenError + use<> {
    let path = path.to_owned();
    |source| OpenError::Read { path, source }
}

/// Reads Compose files into a stack for the hosts of a yard.
///
/// # Errors
/// [`OpenError`], with all mistakes of the files.
pub fn open(wanted: &ComposeRequest) -> Result<Loaded, OpenError> {
    open_and_tell(wanted).map(|opened| opened.loaded)
}

/// A stack that was read from files of this machine.
#[derive(Debug, Clone)]
pub struct OpenedStack {
    /// The stack.
    pub loaded: Loaded,
    /// The files that were read, by absolute path.
    pub files: BTreeSet<PathBuf>,
    /// The project's directory, absolute: that of the first Compose file.
    pub dir: PathBuf,
}

/// As [`open`]; also where the project is, and what was read.
///
/// # Errors
/// [`OpenError`], with all mistakes of the files.
pub fn open_and_tell(wanted: &ComposeRequest) -> Result<OpenedStack, OpenError> {
    let told = RefCell::new(BTreeSet::new());
    let text_of = |path: &Path| {
        let text = std::fs::read_to_string(path)?;
        told.borrow_mut().insert(std::path::absolute(path)?);
        Ok(text)
    };
    // Without files, the directory that we are in says which.
    let start = wanted.files.first().map_or_else(|| PathBuf::from("."), |file| parent(file));
    let mut variables = variables(wanted, &start, environment(), text_of)?;
    let found = wanted.files.is_empty().then(|| discover::compose_files(&variables, &start)).transpose()?;
    let files = found.as_ref().unwrap_or(&wanted.files);
    // A file that is not there is said with its own name, not with one relative to the first.
    for file in files {
        std::fs::metadata(file).map_err(read(file))?;
    }
    let dir = parent(files.first().ok_or(OpenError::None)?);
    let dir = dir.canonicalize().map_err(read(&dir))?;
    if found.is_some() {
        read_env_file(wanted, &mut variables, &dir, text_of)?;
    }
    let source = Dir::project(&dir).map_err(read(&dir))?;
    let source = WatchedSource::new(&source);
    let names = files.iter().map(|file| {
        let full = file.canonicalize().map_err(read(file))?;
        Ok(full.strip_prefix(&dir).unwrap_or(&full).to_string_lossy().into_owned())
    });
    let paths = names.collect::<Result<Vec<String>, OpenError>>()?;
    let project = Project {
        source: &source,
        paths,
        name: wanted.name.clone().or_else(|| discover::project_name(&variables)),
        default_name: dir.file_name().map(|n| normal_name(&n.to_string_lossy())).filter(|n| !n.is_empty()),
        profiles: profiles(wanted, &variables),
        variables,
        files: &SourceFiles(&source),
        home: std::env::home_dir(),
        target: Target::Hosts,
    };
    let loaded = load(&project)?;
    let mut files = told.into_inner();
    files.extend(source.paths().into_iter().map(|path| dir.join(path)));
    Ok(OpenedStack { loaded, files, dir })
}

fn parent(file: &Path) -> PathBuf {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn profiles(wanted: &ComposeRequest, variables: &Variables) -> Vec<String> {
    if wanted.profiles.is_empty() { discover::profiles(variables) } else { wanted.profiles.clone() }
}

/// Where a tree in memory has the archives of its Compose files, since it holds texts alone: JSON, by the path of the
/// first Compose file of a stack.
pub(crate) const ARCHIVES: &str = ".stackyard/archives.json";

/// Archives of stacks, by the path of the first Compose file of each.
pub(crate) type ArchivesByFile = BTreeMap<String, Vec<Archive>>;

/// Archives that came along by their digests, by what services mount. Without a list of them, or with one that cannot
/// be read, there are none, and the mounts say so.
fn shipped(tree: &Memory, first: &str) -> BTreeMap<String, Archive> {
    let list = tree.read(ARCHIVES).ok().and_then(|text| serde_json::from_slice::<ArchivesByFile>(&text).ok());
    let archives = list.and_then(|mut l| l.remove(first)).unwrap_or_default();
    archives.into_iter().map(|a| (a.source.clone(), a)).collect()
}

/// Reads Compose files of a tree in memory, as [`open`] does. Nothing of this machine is read: neither
/// its files nor its environment.
///
/// # Errors
/// [`OpenError`], with all mistakes of the files.
pub fn open_in(wanted: &ComposeRequest, tree: &Memory) -> Result<Loaded, OpenError> {
    let named = wanted.files.iter().map(|file| {
        let path = file.to_string_lossy().into_owned();
        let found = normalise(&path).filter(|p| tree.read(p).is_ok());
        found.ok_or(OpenError::Absent { path })
    });
    let paths = named.collect::<Result<Vec<String>, OpenError>>()?;
    let first = paths.first().ok_or(OpenError::None)?;
    let dir = first.rsplit_once('/').map_or("", |(dir, _)| dir);
    let variables = variables(wanted, Path::new(dir), [], |path| {
        tree.read(&path.to_string_lossy()).and_then(|b| String::from_utf8(b).map_err(std::io::Error::other))
    })?;
    let source = Shipped { tree, archives: shipped(tree, first) };
    let project = Project {
        source: &source,
        name: wanted.name.clone().or_else(|| discover::project_name(&variables)),
        default_name: None,
        profiles: profiles(wanted, &variables),
        variables,
        files: &SourceFiles(tree),
        home: None,
        target: Target::Hosts,
        paths,
    };
    Ok(load(&project)?)
}

/// Variables of this process.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn variables(
    wanted: &ComposeRequest,
    dir: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
    text_of: impl Fn(&Path) -> std::io::Result<String>,
) -> Result<Variables, OpenError> {
    let mut variables = Variables::lenient(wanted.variables.clone());
    for (name, value) in environment {
        variables.set_default(name, value);
    }
    let named =
        if wanted.env_files.is_empty() { discover::env_files(&variables) } else { Some(wanted.env_files.clone()) };
    match named {
        Some(files) => read_variables(&files, true, &mut variables, text_of)?,
        None => read_env_file(wanted, &mut variables, dir, text_of)?,
    }
    Ok(variables)
}

/// Adds the variables of `.env` in a directory, if it is there and counts.
fn read_env_file(
    wanted: &ComposeRequest,
    variables: &mut Variables,
    dir: &Path,
    text_of: impl Fn(&Path) -> std::io::Result<String>,
) -> Result<(), OpenError> {
    let named = !wanted.env_files.is_empty() || discover::env_files(variables).is_some();
    if named || discover::ignores_env_file(variables) {
        return Ok(());
    }
    read_variables(&[dir.join(".env")], false, variables, text_of)
}

/// Adds the variables of files. Of several files the later one wins, as with Compose; all lose against what is
/// set already.
fn read_variables(
    files: &[PathBuf],
    required: bool,
    variables: &mut Variables,
    text_of: impl Fn(&Path) -> std::io::Result<String>,
) -> Result<(), OpenError> {
    let mut all = BTreeMap::new();
    for path in files {
        let text = match text_of(path) {
            Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => continue,
            text => text.map_err(read(path))?,
        };
        let wrong = |(line, message): (usize, String)| OpenError::Variables { path: path.clone(), line, message };
        let read = parse_after(&text, variables, &all).map_err(wrong)?;
        all.extend(read);
    }
    all.into_iter().for_each(|(name, value)| variables.set_default(name, value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_makes_a_stack() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("My Shop");
        std::fs::create_dir(&dir).unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).unwrap();
            dir.join(name)
        };
        let one =
            write("compose.yaml", "services: {web: {image: 'web:${TAG}', configs: [c]}}\nconfigs: {c: {file: ./c}}\n");
        let two = write("more.yaml", "services: {web: {deploy: {replicas: 3}, environment: {A: '$A', B: '$B'}}}\n");
        write("c", "content");
        write(".env", "TAG=1\nA=file\nB=file\n");
        let variables = [("A".to_owned(), "given".to_owned())].into();
        let mut wanted = ComposeRequest { files: vec![one, two], variables, ..ComposeRequest::default() };
        let stack = open(&wanted).unwrap().stack;
        let web = &stack.services["web"];
        assert_eq!((stack.name.as_str(), web.image.as_str(), web.deploy.replicas), ("myshop", "web:1", 3));
        assert_eq!((web.environment["A"].as_str(), web.environment["B"].as_str()), ("given", "file"));
        assert_eq!(stack.configs["c"].files[""], b"content");
        wanted.env_files = vec![write("bad.env", "A=1\n=2\n")];
        assert!(open(&wanted).unwrap_err().to_string().ends_with("bad.env:2: `` is not a variable's name"));
        wanted.env_files.clear();
        wanted.files = vec![dir.join("none.yaml")];
        assert!(open(&wanted).unwrap_err().to_string().contains("none.yaml"));
    }

    #[test]
    fn variables_of_compose_count() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(
            "compose.yaml",
            "services: {a: {image: i}, b: {image: i, profiles: [x], hostname: '${COMPOSE_PROJECT_NAME}'}}",
        );
        write(
            ".env",
            "COMPOSE_PROFILES=x, y\nCOMPOSE_PROJECT_NAME=fromenv\nCOMPOSE_FILE=one.yaml|two.yaml\nCOMPOSE_PATH_SEPARATOR=|\n",
        );
        let mut wanted = ComposeRequest { files: vec![dir.path().join("compose.yaml")], ..ComposeRequest::default() };
        let stack = open(&wanted).unwrap().stack;
        assert_eq!((stack.name.as_str(), stack.services["b"].hostname.as_deref()), ("fromenv", Some("fromenv")));
        wanted.name = Some("given".into());
        let stack = open(&wanted).unwrap().stack;
        assert_eq!((stack.name.as_str(), stack.services["b"].hostname.as_deref()), ("given", Some("given")));
        wanted.profiles = vec!["none".into()];
        assert_eq!(open(&wanted).unwrap().stack.services.len(), 1, "what is given counts, not the variable");
        let variables = variables(&wanted, dir.path(), [], |p| std::fs::read_to_string(p)).unwrap();
        let files = discover::compose_files(&variables, dir.path()).unwrap();
        assert_eq!(files, [dir.path().join("one.yaml"), dir.path().join("two.yaml")]);
        wanted.variables = [("COMPOSE_DISABLE_ENV_FILE".to_owned(), "true".to_owned())].into();
        wanted.name = None;
        assert_ne!(open(&wanted).unwrap().stack.name, "fromenv");
        write("other.env", "COMPOSE_PROJECT_NAME=other\n");
        let other = dir.path().join("other.env").display().to_string();
        wanted.variables = [("COMPOSE_ENV_FILES".to_owned(), other)].into();
        assert_eq!(open(&wanted).unwrap().stack.name, "other");
    }

    #[test]
    fn files_of_standard_names_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        for name in ["docker-compose.yml", "compose.override.yml"] {
            std::fs::write(dir.path().join(name), "services: {}").unwrap();
        }
        let names = discover::compose_files(&Variables::default(), &below).unwrap();
        assert_eq!(names, [dir.path().join("docker-compose.yml"), dir.path().join("compose.override.yml")]);
        std::fs::remove_file(dir.path().join("docker-compose.yml")).unwrap();
        let error = discover::compose_files(&Variables::default(), &below).unwrap_err().to_string();
        assert!(error.contains("none of compose.yaml, compose.yml"), "{error}");
    }

    #[test]
    fn files_that_came_along_are_all_there_is() {
        let tree = Memory::new("")
            .with(
                "site/compose.yaml",
                "services: {web: {image: 'web:${TAG}', configs: [c], environment: [HOME]}}\nconfigs: {c: {file: ../common/c}}\n",
            )
            .with("site/.env", "TAG=1\n")
            .with("common/c", "content")
            .with("bad/compose.yaml", "services: {web: {image: w, configs: [c]}}\nconfigs: {c: {file: /etc/passwd}}\n");
        let file = |path: &str| ComposeRequest {
            files: vec![path.into()],
            name: Some("site".into()),
            ..ComposeRequest::default()
        };
        let stack = open_in(&file("./site/compose.yaml"), &tree).unwrap().stack;
        let web = &stack.services["web"];
        assert_eq!((web.image.as_str(), &stack.configs["c"].files[""]), ("web:1", &b"content".to_vec()));
        assert!(!web.environment.contains_key("HOME"), "the environment of this process is nobody's business");
        for absent in ["none.yaml", "../site/compose.yaml", "/etc/passwd"] {
            let error = open_in(&file(absent), &tree).unwrap_err();
            assert!(matches!(error, OpenError::Absent { .. }), "{error}");
        }
        let error = open_in(&file("bad/compose.yaml"), &tree).unwrap_err().to_string();
        assert!(error.contains("bad/compose.yaml:2:") && error.contains("/etc/passwd"), "{error}");
    }
}
