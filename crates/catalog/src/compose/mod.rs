//! Compose files to [`Stack`]s (Compose specification).
//!
//! ```text
//! for each file:  parse -> interpolate -> one form per key (canonical) -> paths relative to
//!                 the project -> extends -> include
//! then:           merge the files -> choose profiles -> read services -> check references
//! ```
//!
//! All steps but the last work on [`Node`]s, so that every value knows its place until it
//! becomes a part of the stack.
//!
//! Extension: the `file` of a config or secret may be a directory; all files below it are
//! mounted under the target.
//!
//! Where this differs from `docker compose` on purpose: plain scalars keep their text
//! (`VERSION: 1.10` is not 1.1), a named volume may have one letter, secrets are one per
//! target as configs are, and what has no effect or is not supported is always told.

mod canonical;
mod carried;
mod check;
mod cinder;
mod deploy;
mod discover;
mod documents;
mod dotenv;
mod environment;
mod files;
mod links;
mod load;
mod merge;
mod mounts;
mod network;
pub mod open;
mod options;
pub mod print;
mod service;
mod units;
mod words;

pub use dotenv::parse as parse_dotenv;
pub use files::{FileError, FileOrigin, Files, SourceFiles};

use crate::archive::PackedArchive;
use crate::diag::{Log, Place, Problems, Warning};
use crate::interpolate::Variables;
use crate::package::{is_stack_name, start_of};
use crate::source::Source;
use crate::yaml::{FieldFate, Fields, Node};
use stackyard_core::stack::Stack;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What makes a stack: the files, and everything they may refer to.
pub struct Project<'a> {
    /// Where the Compose files and what they name are read from.
    pub source: &'a dyn Source,
    /// Compose files relative to the source's root; later ones override earlier ones.
    pub paths: Vec<String>,
    /// Name of the stack; the files' `name` when absent.
    pub name: Option<String>,
    /// Name of the stack when neither [`Project::name`] nor the files give one.
    pub default_name: Option<String>,
    /// Active profiles; `*` activates all.
    pub profiles: Vec<String>,
    /// What `${VAR}` and environment entries without a value stand for.
    pub variables: Variables,
    /// Content of configs and secrets.
    pub files: &'a dyn Files,
    /// What `~` in paths stands for.
    pub home: Option<PathBuf>,
    /// What the stack will run on.
    pub target: Target,
}

/// What a stack will run on: it decides which parts of a file count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Target {
    /// One engine, on the machine that the files are on: one container a service.
    #[default]
    Engine,
    /// The hosts of a yard: `deploy` counts, and files next to the Compose file are carried there.
    Hosts,
}

/// A stack that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The stack.
    pub stack: Stack,
    /// The files that it carries to hosts, each content once: the bytes of its [`stackyard_core::stack::Archive`]s.
    pub archives: Vec<PackedArchive>,
    /// What in the files has no effect.
    pub warnings: Vec<Warning>,
    /// Where the content of configs comes from, by name.
    pub configs: BTreeMap<String, FileOrigin>,
    /// Where the content of secrets comes from, by name.
    pub secrets: BTreeMap<String, FileOrigin>,
}

/// Everything that readers of parts need.
pub(crate) struct LoadContext<'a> {
    pub(crate) project: &'a Project<'a>,
    pub(crate) variables: &'a Variables,
    pub(crate) documents: &'a documents::Documents<'a>,
    /// The stack's name, if there is one.
    pub(crate) name: Option<String>,
    pub(crate) log: &'a Log,
    pub(crate) carried: &'a carried::Carried,
}

/// Reads Compose files into a stack.
///
/// # Errors
///
/// All mistakes that were found, with places.
pub fn load(project: &Project<'_>) -> Result<Loaded, Problems> {
    let log = Log::default();
    let mut variables = project.variables.clone();
    let documents = documents::Documents::new(project.source);
    let own = || documents.name(&project.paths, &variables, &log);
    let name = project.name.clone().or_else(own).or_else(|| project.default_name.clone());
    if let Some(name) = &name {
        variables.set("COMPOSE_PROJECT_NAME", name);
    }
    let carried = carried::Carried::default();
    let cx = LoadContext { project, variables: &variables, documents: &documents, name, log: &log, carried: &carried };
    let loaded = read(&cx);
    let archives = carried.finish(&log);
    let warnings = log.finish()?;
    match loaded {
        Some(loaded) => Ok(Loaded { archives, warnings, ..loaded }),
        // Only reached when a reader gave up without saying why.
        None => {
            let place = Place::file(project.paths.first().map_or("compose.yaml", String::as_str));
            Err(crate::diag::Problem { place, message: "no stack could be read".into(), hint: None }.into())
        }
    }
}

fn read(cx: &LoadContext<'_>) -> Option<Loaded> {
    let root = load::project(cx)?;
    let fields = Fields::of(&root, "", cx.log)?;
    let name = stack_name(&fields, cx);
    let (services, networks, volumes) = (fields.get("services"), fields.get("networks"), fields.get("volumes"));
    let (configs, secrets) = (fields.get("configs"), fields.get("secrets"));
    fields.finish(
        true,
        &[
            ("version", FieldFate::Ignored("the version of the format is ignored")),
            ("include", FieldFate::Ignored("it was carried out")),
            ("models", FieldFate::Refused("models cannot be run here")),
            ("jobs", FieldFate::Refused("use a service with `deploy: {mode: replicated-job}`")),
        ],
    );

    let all = section(services, "services", cx);
    if all.is_empty() && !cx.log.failed() {
        cx.log.problem(&root.place, "the file has no services");
    }
    check::names(&root, cx);
    let active = check::active(&all, cx);
    let mut read = BTreeMap::new();
    for (key, node) in all.iter().filter(|(name, _)| active.contains(*name)) {
        if let Some(service) = service::read(key, node, cx) {
            read.insert((*key).to_owned(), service);
        }
    }
    let nodes: BTreeMap<&str, &Node> = all.iter().map(|(k, n)| (*k, *n)).collect();
    links::apply(&mut read, &nodes, cx);
    check::dependencies(&mut read, &nodes, cx);
    if cx.project.target == Target::Hosts {
        deploy::restarts(&mut read, &nodes);
    }

    let networks = section(networks, "networks", cx);
    let volumes = section(volumes, "volumes", cx);
    let configs = section(configs, "configs", cx);
    let secrets = section(secrets, "secrets", cx);
    let used = check::uses(
        &read,
        &nodes,
        &check::TopLevelNames { networks: &networks, volumes: &volumes, configs: &configs, secrets: &secrets },
        cx,
    );
    let (config_files, config_origins) = files::read(files::FileKind::Config, &configs, &used.configs, cx);
    let (secret_files, secret_origins) = files::read(files::FileKind::Secret, &secrets, &used.secrets, cx);
    let stack = Stack {
        networks: network::networks(&name, &networks, &used.networks, cx),
        volumes: mounts::volumes(&name, &volumes, &used.volumes, cx),
        configs: config_files,
        secrets: secret_files,
        services: read,
        name,
    };
    cinder::one_container(&stack, &nodes, cx);
    if cx.project.target == Target::Hosts {
        check::resolver_options(&stack, &nodes, cx);
    }
    let (archives, warnings) = Default::default();
    Some(Loaded { stack, archives, warnings, configs: config_origins, secrets: secret_origins })
}

fn stack_name(fields: &Fields<'_, '_>, cx: &LoadContext<'_>) -> String {
    let place = fields.map.get("name").map(|n| n.place.clone());
    let place = place.unwrap_or_else(|| start_of(cx.project.source, &cx.project.paths.concat()));
    fields.string("name");
    let Some(name) = cx.name.clone() else {
        cx.log.problem_hint(&place, "the stack has no name", Some("add `name:` to the file".into()));
        return String::new();
    };
    if !is_stack_name(&name) {
        cx.log.problem(&place, format!("`{name}` cannot name a stack: only [a-z0-9][a-z0-9_-]* can"));
    }
    name
}

/// A top-level section's entries.
pub(crate) type Section<'n> = Vec<(&'n str, &'n Node)>;

fn section<'n>(node: Option<&'n Node>, name: &str, cx: &LoadContext<'_>) -> Section<'n> {
    use crate::yaml::FieldReading;
    let Some(node) = node else { return Vec::new() };
    let entries = node.entries(name, cx.log).iter();
    entries.filter(|(k, _)| !k.text.starts_with("x-")).map(|(k, n)| (k.text.as_str(), n)).collect()
}

/// Names of a section's entries that services use.
pub(crate) type Used = BTreeSet<String>;

/// Checks what a function makes of the lines of services.
#[cfg(test)]
macro_rules! services {
    ($read:ident; $($lines:expr => $expected:expr;)*) => {
        let mut wrong = Vec::new();
        for (lines, expected) in [$(($lines, $expected)),*] {
            let got = $read(lines);
            if got != expected {
                wrong.push(format!("{lines}\n     got {got}\nexpected {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    };
}

#[cfg(test)]
mod deploy_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wild_tests;
