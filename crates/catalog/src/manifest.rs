//! Manifests of yards: read with line and column in every error, all mistakes at once.

mod files;
mod packages;

pub use files::{COMPANIONS, check_companions, companions};
pub use packages::InstalledPackage;

use crate::answers::Answers;
use crate::compose::open::ComposeRequest;
use crate::diag::{Log, Place, Problem, Problems};
use crate::finder::{CarriedPackages, NoCatalogs, PackageFinder};
use crate::interpolate::{TextBudget, too_long_together};
use crate::package::Package;
use crate::source::{Memory, Source, normalise};
use crate::yaml::{self, FieldReading, Fields, Node, from_node};
use serde::de::DeserializeOwned;
use stackyard_core::yard::intend::{Intended, Trouble, intend};
use stackyard_core::yard::manifest::{Manifest, Metadata, PackageEntry, Spec, Stack};
use stackyard_core::yard::words::is_yard_name;
use stackyard_core::yard::{Key, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A manifest that was read.
#[derive(Debug, Clone)]
pub struct Yard {
    /// What the user wrote.
    pub manifest: Manifest,
    /// What it means.
    pub intended: Intended,
    /// The file's text, to be kept as it is.
    pub text: String,
    /// Its stacks, and those of its packages.
    pub stacks: Vec<YardStack>,
    /// Its packages, whose parts are among `intended` and `stacks`.
    pub packages: Vec<InstalledPackage>,
    /// The files that came with it; if absent, those that it names are this machine's.
    pub files: Option<Arc<Memory>>,
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
    Compose(ComposeRequest),
    /// A package, to be rendered.
    Package {
        /// Its directory, of this machine or among the files that came with the manifest.
        dir: PathBuf,
        /// Answers to its questions.
        answers: Answers,
    },
    /// A stack of a package of the manifest, to be rendered.
    Installed(Box<InstalledStack>),
}

/// A stack of a package of a manifest.
#[derive(Debug, Clone)]
pub struct InstalledStack {
    /// The package, with the Compose files of this stack.
    pub package: Package,
    /// Answers to its questions, those of all its stacks.
    pub answers: Arc<Answers>,
    /// What the manifest calls the package. All its stacks share its secrets.
    pub instance: String,
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
    load_with(path, &NoCatalogs)
}

/// The same with packages of catalogs.
///
/// # Errors
/// As of [`load`].
pub fn load_with(path: &Path, finder: &dyn PackageFinder) -> Result<Yard, Error> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: shown.clone(), source })?;
    let dir = path.parent().map(Path::to_owned).unwrap_or_default();
    read_in(&shown, text, &dir, finder).map_err(Error::Mistakes)
}

/// Reads a manifest from its text; `file` is its name in messages, `dir` where the files are that
/// it names.
///
/// # Errors
/// Every mistake.
pub fn read(file: &str, text: String, dir: &Path) -> Result<Yard, Problems> {
    read_in(file, text, dir, &NoCatalogs)
}

/// The same with packages of catalogs.
///
/// # Errors
/// Every mistake.
pub fn read_in(file: &str, text: String, dir: &Path, finder: &dyn PackageFinder) -> Result<Yard, Problems> {
    read_beside(file, text, &FileBase::Dir(dir), finder)
}

/// The entries of `spec.packages`, whatever packages they name.
///
/// # Errors
/// Every mistake of the manifest's form.
pub fn package_entries(file: &str, text: &str) -> Result<Vec<PackageEntry>, Problems> {
    Ok(form(file, text)?.spec.packages)
}

/// Reads a manifest that came from elsewhere with the files that it names. Nothing of this machine is
/// read or run because of it: neither files, nor programs, nor the environment.
///
/// # Errors
/// Every mistake; among them whatever would need this machine.
pub fn read_with(file: &str, text: String, files: Arc<Memory>) -> Result<Yard, Problems> {
    let (base, finder) = (FileBase::Files(&files), CarriedPackages(&files));
    read_beside(file, text, &base, &finder).map(|yard| Yard { files: Some(files), ..yard })
}

/// What of a manifest is needed to remove its yard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ManifestSummary {
    /// The yard's name, if it can be one.
    pub name: Option<String>,
    /// Its cloud, if it says.
    pub cloud: Option<String>,
    /// Whether it has pools of hosts, or packages, which may have some.
    pub has_pools: bool,
    /// Whether it has packages, whose parts its text does not show.
    pub has_packages: bool,
}

/// Kinds of resources that a cloud may have no service for.
const OPTIONAL: [Kind; 5] = [Kind::Keypair, Kind::ServerGroup, Kind::Volume, Kind::LoadBalancer, Kind::ObjectContainer];

/// Reads what is needed to remove a yard, whatever else of its manifest can be read.
///
/// # Errors
/// What is no YAML.
pub fn gist(file: &str, text: &str) -> Result<ManifestSummary, Problems> {
    let root = yaml::parse(file, text)?;
    let spec = root.as_map().and_then(|m| m.get("spec")).and_then(Node::as_map);
    let cloud = spec.and_then(|s| s.get("cloud")).and_then(|n| n.as_text().map(str::to_owned));
    let has = |list| spec.and_then(|s| s.get(list)).and_then(Node::as_list).is_some_and(|l| !l.is_empty());
    let has_packages = has("packages");
    let metadata = root.as_map().and_then(|m| m.get("metadata")).and_then(Node::as_map);
    let name = metadata.and_then(|m| m.get("name")).and_then(|n| n.as_text().map(str::to_owned));
    let name = name.filter(|n| is_yard_name(n));
    Ok(ManifestSummary { name, cloud, has_pools: has("hosts") || has_packages, has_packages })
}

/// A manifest as a tree of JSON, for a comparison with another one. Every scalar is its text; nothing is checked.
///
/// # Errors
/// What is no YAML.
pub fn tree(file: &str, text: &str) -> Result<serde_json::Value, Problems> {
    Ok(yaml::parse(file, text)?.to_json())
}

/// Kinds of resources that the yard of a manifest may have: those of its text; if that has mistakes, or packages bring
/// more, all that can fail to be listed.
pub fn removed_kinds(file: &str, text: &str) -> BTreeSet<Kind> {
    match outline(file, text) {
        Ok(Outline { intended, absent }) if absent.is_empty() => intended.kinds(),
        Ok(Outline { intended, .. }) => intended.kinds().into_iter().chain(OPTIONAL).collect(),
        Err(_) => OPTIONAL.into(),
    }
}

/// Where the files are that a manifest names.
enum FileBase<'a> {
    /// In this directory, or anywhere on this machine.
    Dir(&'a Path),
    /// They came with it.
    Files(&'a Memory),
    /// Nobody has them, but for the packages that are among these.
    Partial(&'a Memory),
}

fn read_beside(file: &str, text: String, beside: &FileBase<'_>, finder: &dyn PackageFinder) -> Result<Yard, Problems> {
    let mut root = yaml::parse(file, &text)?;
    let log = Log::default();
    let merged = packages::merge(&mut root, beside, finder, &log);
    let read = read_merged(file, &root, beside, log);
    let (manifest, intended) = read.map_err(|problems| problems.map(|p| merged.explain(p)))?;
    let mut stacks = stacks(&manifest, beside);
    stacks.extend(merged.stacks);
    Ok(Yard { manifest, intended, text, stacks, packages: merged.installed, files: None })
}

/// Reads a manifest whose packages are merged.
fn read_merged(file: &str, root: &Node, beside: &FileBase<'_>, log: Log) -> Result<(Manifest, Intended), Problems> {
    let mut manifest = manifest(root, &log);
    if let Some(manifest) = &mut manifest {
        include(manifest, root, beside, &log);
        check_stacks(manifest, root, &log);
        match beside {
            FileBase::Dir(dir) => locate(manifest, dir),
            FileBase::Files(files) => confine(manifest, files, root, &log),
            FileBase::Partial(_) => {}
        }
    }
    meaning(file, root, manifest, log)
}

/// What a manifest means to somebody who has its text alone: the files that it names are taken as
/// good, and what is in them is left out, so that it makes no difference.
///
/// # Errors
/// Every mistake.
pub fn outline(file: &str, text: &str) -> Result<Outline, Problems> {
    outline_with(file, text, &Memory::default())
}

/// The meaning of a manifest's text.
#[derive(Debug, Clone)]
pub struct Outline {
    /// What it means, without the packages in `absent`.
    pub intended: Intended,
    /// Packages whose files are not known, by their names in the manifest. What they bring is not in `intended`, so
    /// whatever else a yard has may be theirs.
    pub absent: Vec<String>,
}

impl Outline {
    /// What the manifest means, if all of it is known.
    ///
    /// # Errors
    /// The packages that are absent.
    pub fn complete(self) -> Result<Intended, AbsentPackages> {
        if self.absent.is_empty() { Ok(self.intended) } else { Err(AbsentPackages(self.absent)) }
    }
}

/// Packages of a manifest without files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the files of the packages {} did not come with the manifest, so what they bring is not known; \
     run `stackyard up`, which sends them along", .0.join(", ")
)]
pub struct AbsentPackages(pub Vec<String>);

/// The same with the packages that are among `files`, the files that came with the manifest. Without its package, an
/// entry of `packages` brings nothing and is in [`Outline::absent`].
///
/// # Errors
/// Every mistake.
pub fn outline_with(file: &str, text: &str, files: &Memory) -> Result<Outline, Problems> {
    let mut root = yaml::parse(file, text)?;
    let log = Log::default();
    let absent = packages::merge(&mut root, &FileBase::Partial(files), &CarriedPackages(files), &log).absent;
    let mut manifest = manifest(&root, &log);
    for pair in manifest.iter_mut().flat_map(|m| &mut m.spec.keypairs).filter(|p| p.public_key_file.is_some()) {
        pair.public_key.get_or_insert_with(|| "unknown -".to_owned());
    }
    let (manifest, mut intended) = meaning(file, &root, manifest, log)?;
    let spec = &manifest.spec;
    let keys = spec.keypairs.iter().filter(|k| k.public_key_file.is_some()).map(|k| (Kind::Keypair, &k.name));
    let servers = spec.servers.iter().filter(|s| s.user_data_file.is_some()).map(|s| (Kind::Server, &s.name));
    let hosts = spec.hosts.iter().filter(|h| h.user_data_file.is_some()).map(|h| (Kind::Server, &h.pool));
    let unknown: Vec<(Kind, &String)> = keys.chain(servers).chain(hosts).collect();
    for resource in &mut intended.resources {
        let Key { kind, name } = &resource.key;
        // Of several of one name each has a number.
        let one = name.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix('-').unwrap_or(name);
        if unknown.iter().any(|(k, n)| k == kind && (*n == name || n.as_str() == one)) {
            resource.fields.retain(|field, _| !["public key", "user data"].contains(field));
        }
    }
    Ok(Outline { intended, absent })
}

/// What a manifest says, whatever that means and whatever files it names.
///
/// # Errors
/// Every mistake of form.
pub(crate) fn form(file: &str, text: &str) -> Result<Manifest, Problems> {
    let root = yaml::parse(file, text)?;
    let log = Log::default();
    match (manifest(&root, &log), log.failed()) {
        (Some(manifest), false) => Ok(manifest),
        _ => Err(log.finish().err().unwrap_or_else(|| nothing(file))),
    }
}

/// What was read, with what it means.
fn meaning(file: &str, root: &Node, manifest: Option<Manifest>, log: Log) -> Result<(Manifest, Intended), Problems> {
    // Mistakes of form first: what they leave out would only make more of the other sort.
    let manifest = match (log.failed(), manifest) {
        (false, Some(manifest)) => manifest,
        _ => return Err(log.finish().err().unwrap_or_else(|| nothing(file))),
    };
    match intend(&manifest) {
        Ok(intended) => Ok((manifest, intended)),
        Err(troubles) => {
            for trouble in troubles {
                log.push(place(root, trouble));
            }
            Err(log.finish().err().unwrap_or_else(|| nothing(file)))
        }
    }
}

/// Stacks, with the paths of their files from where we are.
fn stacks(manifest: &Manifest, beside: &FileBase<'_>) -> Vec<YardStack> {
    let dir = match beside {
        FileBase::Dir(dir) => dir,
        FileBase::Files(_) | FileBase::Partial(_) => Path::new(""),
    };
    let paths = |all: &[String]| all.iter().map(|p| dir.join(p)).collect();
    let stack = |s: &Stack| {
        let source = match &s.package {
            Some(package) => {
                let mut answers = Answers::default();
                s.answers.iter().for_each(|(name, answer)| answers.set(name, answer.to_string()));
                let dir = match beside {
                    FileBase::Dir(dir) => self::beside(dir, package),
                    FileBase::Files(_) | FileBase::Partial(_) => PathBuf::from(package),
                };
                StackSource::Package { dir, answers }
            }
            None => StackSource::Compose(ComposeRequest {
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
        stack_network: fields.string("stackNetwork"),
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
        packages: list(&fields, "packages"),
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
fn include(manifest: &mut Manifest, root: &Node, beside: &FileBase<'_>, log: &Log) {
    let spec = &mut manifest.spec;
    let keys = spec.keypairs.iter_mut().map(|k| (&k.public_key_file, &mut k.public_key, "publicKey"));
    let keys = keys.enumerate().map(|(i, it)| (format!("spec.keypairs[{i}]"), it));
    let data = spec.servers.iter_mut().map(|s| (&s.user_data_file, &mut s.user_data, "userData"));
    let data = data.enumerate().map(|(i, it)| (format!("spec.servers[{i}]"), it));
    let pools = spec.hosts.iter_mut().map(|p| (&p.user_data_file, &mut p.user_data, "userData"));
    let pools = pools.enumerate().map(|(i, it)| (format!("spec.hosts[{i}]"), it));
    // Thousands of servers may name one long file.
    let budget = TextBudget::default();
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
        match beside {
            FileBase::Dir(dir) => {
                let full = self::beside(dir, file);
                match std::fs::read_to_string(&full) {
                    Ok(text) => *content = Some(text),
                    Err(e) => at(format!("reading `{}`: {e}", full.display()), None),
                }
            }
            FileBase::Files(files) => match among(files, file).map(String::from_utf8) {
                Some(Ok(text)) if budget.take(text.len()) => *content = Some(text),
                Some(Ok(_)) => {
                    at(format!("with `{file}` {}", too_long_together()), None);
                    break;
                }
                Some(Err(_)) => at(format!("`{file}` is not UTF-8"), None),
                None => at(absent(file), Some(SEND.into())),
            },
            FileBase::Partial(_) => {}
        }
    }
}

/// What to do about a file that did not come along.
const SEND: &str = "send it along, in `files`, by its path relative to the manifest";

fn absent(file: &str) -> String {
    format!("`{file}` is not among the files that came with the manifest")
}

/// The content of a file that came with a manifest.
fn among(files: &Memory, file: &str) -> Option<Vec<u8>> {
    files.read(&normalise(file)?).ok()
}

/// Refuses what a manifest from elsewhere would need of this machine.
fn confine(manifest: &Manifest, files: &Memory, root: &Node, log: &Log) {
    let at = |path: String, message: String, hint: &str| {
        log.push(place(root, Trouble { path, message, hint: Some(hint.into()) }));
    };
    for (i, stack) in manifest.spec.stacks.iter().enumerate() {
        let compose = stack.compose.iter().flat_map(|c| c.all()).map(|f| ("compose", f.clone()));
        let env = stack.env_file.iter().flat_map(|e| e.all()).map(|f| ("envFile", f.clone()));
        let package = stack.package.iter().filter(|dir| dir.contains('/') || dir.starts_with('.'));
        let package = package.map(|dir| ("package", format!("{dir}/package.yaml")));
        for (key, file) in compose.chain(env).chain(package).filter(|(_, file)| among(files, file).is_none()) {
            at(format!("spec.stacks[{i}].{key}"), absent(&file), SEND);
        }
    }
    for (i, pool) in manifest.spec.hosts.iter().enumerate() {
        let Some(command) = &pool.join.command else { continue };
        let path = |key: &str| format!("spec.hosts[{i}].join.command.{key}");
        if !command.program.is_empty() {
            let hint = "use `text` or `http`, or bring the yard up with `stackyard up`";
            at(path("program"), "a manifest from elsewhere runs no program on the server's machine".into(), hint);
        }
        let http = command.http.iter();
        if http.clone().any(|h| h.ca_file.is_some()) {
            let hint = "trust the certificate on the server's machine, or use `stackyard up`";
            at(path("http.caFile"), "a manifest from elsewhere names no file of the server's machine".into(), hint);
        }
        let values = command.env.values().map(|v| (v, &NO_VARIABLES));
        let texts = http.flat_map(|h| h.headers.values().chain([&h.url]).chain(&h.body)).map(|t| (t, &command.env));
        for name in values.chain(texts).flat_map(|(text, own)| strangers(text, own)) {
            let message = format!("`${{{name}}}` is a variable of the server, which does not show it to its callers");
            at(path("env"), message, "say what it is in `env`");
        }
    }
}

static NO_VARIABLES: BTreeMap<String, String> = BTreeMap::new();

/// Variables in a text that a join command does not bring itself.
fn strangers<'t>(text: &'t str, own: &BTreeMap<String, String>) -> Vec<&'t str> {
    let names = text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
    let given = ["STACKYARD_YARD", "STACKYARD_POOL", "STACKYARD_HOST", "STACKYARD_NUMBER"];
    names.filter(|name| !own.contains_key(*name) && !given.contains(name)).collect()
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
