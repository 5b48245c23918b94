//! The way from a package to a stack.

use crate::answers::{Answers, ResolvedAnswers};
use crate::archive::PackedArchive;
use crate::compose::{self, FileError, Files, Project};
use crate::diag::{Log, Warning};
use crate::error::Error;
use crate::facts::{HostFacts, Machines, OWN};
use crate::interpolate::{Variables, expand_node};
use crate::package::{Package, is_stack_name};
use crate::secrets::Secrets;
use crate::source::{Source, normalise};
use crate::template::CONFIG_DIR;
use crate::template::{RenderedTemplates, SUFFIX, TemplateError, TemplateJob};
use crate::yaml::FieldReading;
use stackyard_core::stack::{Stack, own_host};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

/// A package made concrete.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// What to deploy.
    pub stack: Stack,
    /// The files that it carries to hosts, each content once.
    pub archives: Vec<PackedArchive>,
    /// What in the package's files has no effect.
    pub warnings: Vec<Warning>,
    /// The answers, defaults filled in.
    pub answers: ResolvedAnswers,
    /// Active Compose profiles.
    pub profiles: Vec<String>,
}

/// Renders a package for this machine: checks the answers, renders the templates, reads the
/// Compose file.
///
/// `stack` is the name of the stack, by default the package's. `secrets` must hold every
/// secret that the package declares ([`Secrets::generate`]). Reads the package's files and
/// nothing else; the same input gives the same result.
///
/// # Errors
///
/// All bad answers at once; else all mistakes in Compose files at once; or the first
/// template that cannot be rendered.
pub fn render(
    package: &Package,
    stack: Option<&str>,
    answers: &Answers,
    secrets: &Secrets,
    host: &HostFacts,
) -> Result<Rendered, Error> {
    render_to(package, stack, answers, secrets, &Machines::One(host.clone()), &|job| Ok(job.render()))
}

/// Renders all templates of a package, here ([`TemplateJob::render`]) or in another process. An error
/// says in words why there is none.
pub type RenderTemplates<'a> = &'a dyn Fn(&TemplateJob) -> Result<RenderedTemplates, String>;

/// Renders a package for the hosts of a yard. As [`render`], but of the facts of a machine there are only those that
/// each host has of its own, `name` and `address`: they become markers ([`stackyard_core::stack::own_host`]), and a
/// package that asks for others is refused. `machines` are the hosts that joined, whether they answer or not.
/// `render_templates` renders its templates.
///
/// # Errors
///
/// As of [`render`]; also for a fact in a place where no host can fill it in.
pub fn render_for_hosts(
    package: &Package,
    stack: &str,
    answers: &Answers,
    secrets: &Secrets,
    machines: &Machines,
    render_templates: RenderTemplates<'_>,
) -> Result<Rendered, Error> {
    render_to(package, Some(stack), answers, secrets, machines, render_templates)
}

fn render_to(
    package: &Package,
    stack: Option<&str>,
    answers: &Answers,
    secrets: &Secrets,
    machines: &Machines,
    render_templates: RenderTemplates<'_>,
) -> Result<Rendered, Error> {
    let answers = answers.resolve(&package.questions)?;
    let names = package.secrets.iter().map(|s| s.name.clone());
    let missing: Vec<String> = names.filter(|n| secrets.get(n).is_none()).collect();
    if !missing.is_empty() {
        return Err(Error::MissingSecrets { package: package.name.clone(), names: missing });
    }
    let log = Log::default();
    let name = stack.unwrap_or(&package.name);
    if !is_stack_name(name) {
        log.problem(
            &crate::package::start_of(package.source.as_ref(), "package.yaml"),
            format!("`{name}` cannot name a stack: only [a-z0-9][a-z0-9_-]* can"),
        );
    }
    let mut variables = variables(package, &answers, Some(machines));
    variables.set_default(INSTANCE, package.instance.as_deref().unwrap_or(name));
    let mut profiles = Vec::new();
    for node in &package.profiles {
        let mut node = node.clone();
        expand_node(&mut node, &variables, &log);
        profiles.extend(node.string("profiles", &log).filter(|p| !p.is_empty()));
    }
    log.finish()?;

    // Others may be of a version, or of another package, that had the name before.
    let secrets = secrets.only(&package.secrets);
    let job = TemplateJob::new(package.source.as_ref(), &answers, &secrets, machines);
    let job = job.map_err(|source| {
        let package = package.name.clone();
        Error::Read { package, path: CONFIG_DIR.to_owned(), source }
    })?;
    let files = PackageFiles {
        job,
        render_templates,
        rendered: OnceCell::new(),
        source: package.source.as_ref(),
        failure: RefCell::new(None),
    };
    let project = Project {
        source: package.source.as_ref(),
        paths: package.compose.clone(),
        name: Some(name.to_owned()),
        default_name: None,
        profiles: profiles.clone(),
        variables,
        files: &files,
        home: None,
        target: match machines {
            Machines::One(_) => compose::Target::Engine,
            Machines::Hosts(_) | Machines::Example => compose::Target::Hosts,
        },
    };
    let loaded = compose::load(&project);
    // A template that fails is also a problem of the Compose file that names it; the
    // template's own error says more.
    if let Some(error) = files.failure.into_inner() {
        return Err(error.into());
    }
    let compose::Loaded { stack, archives, warnings, .. } = loaded?;
    refuse_misplaced(package, &stack)?;
    Ok(Rendered { stack, archives, warnings, answers, profiles })
}

/// Refuses facts of a host where no host can fill them in.
fn refuse_misplaced(package: &Package, stack: &Stack) -> Result<(), Error> {
    let log = Log::default();
    let file = package.compose.first().map_or(crate::package::COMPOSE, String::as_str);
    for (name, service) in &stack.services {
        if let Some(key) = own_host::misplaced(service) {
            log.problem_hint(
                &crate::package::start_of(package.source.as_ref(), file),
                format!("services.{name}.{key}: `host_name` and `host_address` differ from host to host"),
                Some(format!("use them in {}", own_host::PLACES)),
            );
        }
    }
    log.finish().map(drop).map_err(Error::from)
}

/// The variable for what a manifest calls the package. A question of this name takes precedence.
pub(crate) const INSTANCE: &str = "instance";

/// Answers and host facts as Compose variables; without `machines`, no facts. Passwords are kept out: what is
/// interpolated ends in a container's public description.
pub(crate) fn variables(package: &Package, answers: &ResolvedAnswers, machines: Option<&Machines>) -> Variables {
    let mut variables = Variables::strict(BTreeMap::new());
    let own = match machines {
        Some(Machines::One(host)) => {
            host.variables().into_iter().for_each(|(name, value)| variables.set(name, value));
            None
        }
        Some(Machines::Hosts(_) | Machines::Example) => Some(&OWN[..]),
        None => Some(&[][..]),
    };
    for name in HostFacts::NAMES.iter().filter(|_| own.is_some()) {
        let marker = own.into_iter().flatten().find(|(own, _)| own == name);
        match marker {
            Some((name, marker)) => variables.set(format!("host_{name}"), *marker),
            None => variables.refuse(format!("host_{name}"), "it is about one machine, and this stack has several"),
        }
    }
    for answer in answers.iter() {
        if answer.secret {
            variables.refuse(&answer.name, "it is a password: use it in a template under config/");
        } else {
            variables.set(&answer.name, answer.value.to_string());
        }
    }
    for secret in &package.secrets {
        variables.refuse(&secret.name, "it is a secret: use it in a template under config/");
    }
    variables
}

/// Files of a package as containers see them: those under `config/` rendered.
struct PackageFiles<'p> {
    job: TemplateJob,
    render_templates: RenderTemplates<'p>,
    /// All at once, when the first is needed.
    rendered: OnceCell<Result<RenderedTemplates, TemplateError>>,
    source: &'p dyn Source,
    failure: RefCell<Option<TemplateError>>,
}

impl PackageFiles<'_> {
    fn rendered(&self, path: &str) -> Result<Vec<u8>, TemplateError> {
        let all = self.rendered.get_or_init(|| (self.render_templates)(&self.job).map_err(|e| self.job.failed(e)));
        let missing = || Err(self.job.failed(format!("{path} was not rendered")));
        all.as_ref().map_err(Clone::clone)?.get(path).cloned().unwrap_or_else(missing).map(String::into_bytes)
    }

    fn content(&self, path: &str) -> Result<Vec<u8>, FileError> {
        if path.ends_with(SUFFIX) {
            return self.rendered(path).map_err(|e| {
                let message = e.to_string();
                self.failure.borrow_mut().get_or_insert(e);
                FileError::new(message)
            });
        }
        self.source.read(path).map_err(|e| FileError::new(format!("cannot read {path}: {e}")))
    }
}

impl Files for PackageFiles<'_> {
    fn tree(&self, path: &str) -> Result<BTreeMap<String, Vec<u8>>, FileError> {
        let Some(path) = normalise(path) else {
            return Err(FileError::new(format!("`{path}` leads out of the package")));
        };
        let is_config = path == CONFIG_DIR || path.starts_with(&format!("{CONFIG_DIR}/"));
        let template = format!("{path}{SUFFIX}");
        if is_config && self.source.list(&template).is_ok_and(|l| l == [template.clone()]) {
            return Ok(BTreeMap::from([(String::new(), self.content(&template)?)]));
        }
        let listed = self.source.list(&path).map_err(|e| FileError::new(format!("cannot list {path}: {e}")))?;
        if listed.is_empty() {
            return Err(FileError::new(format!("the package has no file `{path}`")));
        }
        if listed == [path.clone()] {
            return Ok(BTreeMap::from([(String::new(), self.content(&path)?)]));
        }
        let mut tree = BTreeMap::new();
        for file in listed {
            let below = file.strip_prefix(&path).unwrap_or(&file).trim_start_matches('/');
            // `_common.conf.j2`, `_macros/x.j2`: for others to include.
            if is_config && below.split('/').any(|part| part.starts_with('_')) {
                continue;
            }
            let target = if is_config { below.strip_suffix(SUFFIX).unwrap_or(below) } else { below };
            if tree.insert(target.to_owned(), self.content(&file)?).is_some() {
                return Err(FileError::new(format!("both `{path}/{target}` and `{path}/{target}{SUFFIX}` are there")));
            }
        }
        Ok(tree)
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
