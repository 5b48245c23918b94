//! Manifests of yards: read with line and column in every error, all mistakes at once.

use crate::answers::Answers;
use crate::compose::open::Wanted;
use crate::diag::{Log, Place, Problem, Problems};
use crate::yaml::{self, Fields, Node, Reading, from_node};
use serde::de::DeserializeOwned;
use stackyard_core::yard::intend::{Intended, Trouble, intend};
use stackyard_core::yard::manifest::{Manifest, Metadata, Spec, Stack};
use std::path::{Path, PathBuf};

/// A manifest that was read.
#[derive(Debug, Clone)]
pub struct Yard {
    /// What the user wrote.
    pub manifest: Manifest,
    /// What it means.
    pub intended: Intended,
    /// The file's text, to be kept as it is.
    pub text: String,
    /// Its stacks.
    pub stacks: Vec<YardStack>,
}

/// A stack of a manifest.
#[derive(Debug, Clone)]
pub struct YardStack {
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub source: StackSource,
    /// Only hosts of this pool are used.
    pub pool: Option<String>,
}

/// What a stack is made from.
#[derive(Debug, Clone)]
pub enum StackSource {
    /// Compose files, to be read.
    Compose(Wanted),
    /// A package, to be rendered.
    Package {
        /// Its directory.
        dir: PathBuf,
        /// Answers to its questions.
        answers: Answers,
    },
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("reading the manifest {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It has mistakes.
    #[error(transparent)]
    Mistakes(#[from] Problems),
}

/// Reads the manifest in `path`, and the files that it names, relative to it.
///
/// # Errors
/// [`Error::Read`] if there is no such file, [`Error::Mistakes`] with every mistake.
pub fn load(path: &Path) -> Result<Yard, Error> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: shown.clone(), source })?;
    let dir = path.parent().map(Path::to_owned).unwrap_or_default();
    read(&shown, text, &dir).map_err(Error::Mistakes)
}

/// Reads a manifest from its text; `file` is its name in messages, `dir` where the files are that
/// it names.
///
/// # Errors
/// Every mistake.
pub fn read(file: &str, text: String, dir: &Path) -> Result<Yard, Problems> {
    let root = yaml::parse(file, &text)?;
    let log = Log::default();
    let mut manifest = manifest(&root, &log);
    if let Some(manifest) = &mut manifest {
        include(manifest, &root, dir, &log);
        locate(manifest, dir);
        check_stacks(manifest, &root, &log);
    }
    // Mistakes of form first: what they leave out would only make more of the other sort.
    let manifest = match (log.failed(), manifest) {
        (false, Some(manifest)) => manifest,
        _ => return Err(log.finish().err().unwrap_or_else(|| nothing(file))),
    };
    match intend(&manifest) {
        Ok(intended) => {
            let stacks = stacks(&manifest, dir);
            Ok(Yard { manifest, intended, text, stacks })
        }
        Err(troubles) => {
            for trouble in troubles {
                log.push(place(&root, trouble));
            }
            Err(log.finish().err().unwrap_or_else(|| nothing(file)))
        }
    }
}

/// Stacks, with the paths of their files from where we are.
fn stacks(manifest: &Manifest, dir: &Path) -> Vec<YardStack> {
    let paths = |all: &[String]| all.iter().map(|p| dir.join(p)).collect();
    let stack = |s: &Stack| {
        let source = match &s.package {
            Some(package) => {
                let mut answers = Answers::default();
                s.answers.iter().for_each(|(name, answer)| answers.set(name, answer.to_string()));
                StackSource::Package { dir: beside(dir, package), answers }
            }
            None => StackSource::Compose(Wanted {
                files: s.compose.as_ref().map(|c| paths(c.all())).unwrap_or_default(),
                name: Some(s.name.clone()),
                profiles: s.profiles.clone(),
                env_files: s.env_file.as_ref().map(|e| paths(e.all())).unwrap_or_default(),
                variables: s.variables.clone(),
            }),
        };
        YardStack { name: s.name.clone(), source, pool: s.pool.clone() }
    };
    manifest.spec.stacks.iter().map(stack).collect()
}

/// Two stacks of one name, names that none can have, stacks without a file.
fn check_stacks(manifest: &Manifest, root: &Node, log: &Log) {
    for (i, stack) in manifest.spec.stacks.iter().enumerate() {
        let at = |key: &str, message: String| {
            let path = format!("spec.stacks[{i}].{key}");
            log.push(place(root, Trouble { path, message, hint: None }));
        };
        if !crate::package::is_stack_name(&stack.name) {
            at("name", format!("`{}` cannot name a stack: only [a-z0-9][a-z0-9_-]* can", stack.name));
        }
        if manifest.spec.stacks[..i].iter().any(|s| s.name == stack.name) {
            at("name", format!("there is another stack `{}`", stack.name));
        }
        match (&stack.compose, &stack.package) {
            (None, None) => at("name", "a stack needs `compose: FILE` or `package: ./DIRECTORY`".into()),
            (Some(_), Some(_)) => at("package", "`compose` is there, too; keep one of them".into()),
            (Some(files), None) if files.all().is_empty() => at("compose", "a Compose file is needed".into()),
            (Some(_), None) if !stack.answers.is_empty() => {
                at("answers", "answers are a package's; a Compose file has `variables`".into());
            }
            (None, Some(package)) => {
                if !package.contains('/') && !package.starts_with('.') {
                    at(
                        "package",
                        format!("no package `{package}` for hosts is built in; `./{package}` is a directory"),
                    );
                }
                // What a package is asked is said by its questions alone.
                for (key, given) in [
                    ("profiles", !stack.profiles.is_empty()),
                    ("envFile", stack.env_file.is_some()),
                    ("variables", !stack.variables.is_empty()),
                ] {
                    if given {
                        at(key, "this is for Compose files; a package has `answers`".into());
                    }
                }
            }
            (Some(_), None) => {}
        }
    }
}

fn nothing(file: &str) -> Problems {
    Problem { place: Place::file(file), message: "not a manifest".into(), hint: None }.into()
}

/// Reads each resource for itself, so that one's mistake does not hide another's.
fn manifest(root: &Node, log: &Log) -> Option<Manifest> {
    let fields = Fields::of(root, "", log)?;
    let text = |key| fields.need(key, root).and_then(|n| n.string(key, log));
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let metadata: Option<Metadata> = fields.need("metadata", root).and_then(|n| from_node(n, "metadata", log));
    let spec = fields.need("spec", root);
    fields.finish(true, &[]);
    let spec = spec.and_then(|node| self::spec(node, log));
    Some(Manifest { api_version: api_version?, kind: kind?, metadata: metadata?, spec: spec? })
}

fn spec(node: &Node, log: &Log) -> Option<Spec> {
    let fields = Fields::of(node, "spec", log)?;
    let cloud = fields.string("cloud");
    let spec = Spec {
        cloud,
        networks: list(&fields, "networks"),
        routers: list(&fields, "routers"),
        security_groups: list(&fields, "securityGroups"),
        keypairs: list(&fields, "keypairs"),
        volumes: list(&fields, "volumes"),
        server_groups: list(&fields, "serverGroups"),
        hosts: list(&fields, "hosts"),
        servers: list(&fields, "servers"),
        load_balancers: list(&fields, "loadBalancers"),
        object_containers: list(&fields, "objectContainers"),
        floating_ips: list(&fields, "floatingIPs"),
        stacks: list(&fields, "stacks"),
    };
    fields.finish(true, &[]);
    Some(spec)
}

fn list<T: DeserializeOwned>(fields: &Fields<'_, '_>, key: &'static str) -> Vec<T> {
    let path = fields.at(key);
    let items = fields.get(key).map(|n| n.items(&path, fields.log)).unwrap_or_default();
    items.iter().enumerate().filter_map(|(i, n)| from_node(n, &format!("{path}[{i}]"), fields.log)).collect()
}

/// Reads files with keys and user data.
fn include(manifest: &mut Manifest, root: &Node, dir: &Path, log: &Log) {
    let spec = &mut manifest.spec;
    let keys = spec.keypairs.iter_mut().map(|k| (&k.public_key_file, &mut k.public_key, "publicKey"));
    let keys = keys.enumerate().map(|(i, it)| (format!("spec.keypairs[{i}]"), it));
    let data = spec.servers.iter_mut().map(|s| (&s.user_data_file, &mut s.user_data, "userData"));
    let data = data.enumerate().map(|(i, it)| (format!("spec.servers[{i}]"), it));
    let pools = spec.hosts.iter_mut().map(|p| (&p.user_data_file, &mut p.user_data, "userData"));
    let pools = pools.enumerate().map(|(i, it)| (format!("spec.hosts[{i}]"), it));
    for (path, (file, content, word)) in keys.chain(data).chain(pools) {
        let Some(file) = file else { continue };
        let at = |message: String, hint: Option<String>| {
            let trouble = Trouble { path: format!("{path}.{word}File"), message, hint };
            log.push(place(root, trouble));
        };
        if content.is_some() {
            at(format!("`{word}` is there, too"), Some("keep one of them".into()));
            continue;
        }
        let full = beside(dir, file);
        match std::fs::read_to_string(&full) {
            Ok(text) => *content = Some(text),
            Err(e) => at(format!("reading `{}`: {e}", full.display()), None),
        }
    }
}

/// A path that a manifest names, relative to it.
fn beside(dir: &Path, file: &str) -> PathBuf {
    match (file.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => dir.join(file),
    }
}

/// Makes paths that are read later independent of where this process is.
fn locate(manifest: &mut Manifest, dir: &Path) {
    let absolute = |file: &str| {
        let path = beside(dir, file);
        std::path::absolute(&path).unwrap_or(path).display().to_string()
    };
    for command in manifest.spec.hosts.iter_mut().filter_map(|p| p.join.command.as_mut()) {
        if let Some(program) = command.program.first_mut().filter(|p| p.contains('/')) {
            *program = absolute(program);
        }
        if let Some(file) = command.http.as_mut().and_then(|h| h.ca_file.as_mut()) {
            *file = absolute(file);
        }
    }
}

/// Where in the file a mistake is: the deepest node of its path that is there.
fn place(root: &Node, trouble: Trouble) -> Problem {
    let mut node = root;
    for step in trouble.path.split(['.', '[']) {
        let next = match step.strip_suffix(']') {
            Some(index) => index.parse::<usize>().ok().and_then(|i| node.as_list()?.get(i)),
            None => node.as_map().and_then(|m| m.get(step)),
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    let Trouble { path, message, hint } = trouble;
    Problem { place: node.place.clone(), message: format!("{path}: {message}"), hint }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
