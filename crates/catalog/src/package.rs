//! A package: `package.yaml`, `compose.yaml` and the files under `config/`.

use crate::diag::{Log, Place, Problem, Problems, did_you_mean};
use crate::error::Error;
use crate::question::Question;
use crate::secrets::SecretSpec;
use crate::source::Source;
use crate::template::shown_in;
use crate::yaml::{self, FieldReading, Fields, Node};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Format of `package.yaml` that this crate reads.
pub const API_VERSION: &str = "stackyard.dev/v1";

/// A package that was read; nothing of it is rendered yet. Clones share what was read.
#[derive(Clone)]
pub struct Package {
    content: Arc<PackageContent>,
    /// Paths of its Compose files.
    pub(crate) compose: Vec<String>,
    /// What a manifest calls it; nothing for a package that is the stack itself.
    pub(crate) instance: Option<String>,
}

impl Deref for Package {
    type Target = PackageContent;

    fn deref(&self) -> &PackageContent {
        &self.content
    }
}

/// What `package.yaml` of a package says, with its files.
pub struct PackageContent {
    /// Name; also the default name of the stack.
    pub name: String,
    /// Version of the package, not of what it installs.
    pub version: String,
    /// A few words.
    pub title: String,
    /// A sentence or two.
    pub description: String,
    /// What a user may or must decide, in the order of a form.
    pub questions: Vec<Question>,
    /// Secrets that it needs.
    pub secrets: Vec<SecretSpec>,
    /// Compose profiles to activate, before interpolation.
    pub(crate) profiles: Vec<Node>,
    /// Its files.
    pub(crate) source: Arc<dyn Source>,
}

/// The Compose file of a package that names none.
pub(crate) const COMPOSE: &str = "compose.yaml";

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Package({} {})", self.name, self.version)
    }
}

impl Package {
    /// Reads `package.yaml` of a tree. Compose files and templates are read when the
    /// package is rendered, because they depend on answers.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] when there is no `package.yaml`; [`Error::Files`] with every mistake in it.
    pub fn load(source: Arc<dyn Source>) -> Result<Self, Error> {
        let file = "package.yaml";
        let text = read_text(source.as_ref(), file)?;
        let log = Log::default();
        let root = yaml::parse(&shown(source.as_ref(), file), &text).map_err(Problems::from)?;
        let package = read(&root, source, &log);
        log.finish()?;
        package.ok_or_else(|| {
            let place = root.place.clone();
            Error::Files(Problem { place, message: "not a package".into(), hint: None }.into())
        })
    }

    /// The package as `instance` of a manifest, with these Compose files for one of its stacks.
    pub(crate) fn installed(&self, instance: &str, compose: Vec<String>) -> Self {
        Self { instance: Some(instance.to_owned()), compose, ..self.clone() }
    }

    /// The question of a name.
    pub fn question(&self, name: &str) -> Option<&Question> {
        self.questions.iter().find(|q| q.name == name)
    }

    /// Text of the package's README.md, if it has one.
    pub fn readme(&self) -> Option<String> {
        read_text(self.source.as_ref(), "README.md").ok()
    }
}

fn read(root: &Node, source: Arc<dyn Source>, log: &Log) -> Option<Package> {
    let fields = Fields::of(root, "", log)?;
    for (key, expected) in [("apiVersion", API_VERSION), ("kind", "Package")] {
        let node = fields.need(key, root);
        let text = node.and_then(|n| n.string(key, log));
        if let (Some(node), Some(text)) = (node, text)
            && text != expected
        {
            log.problem(&node.place, format!("{key} is `{text}`; only `{expected}` is known"));
        }
    }
    let metadata_node = fields.need("metadata", root);
    let profiles = fields.get("profiles").map(|n| n.items("profiles", log).to_vec()).unwrap_or_default();
    let items = |key| fields.get(key).map(|n| n.items(key, log)).unwrap_or_default();
    let questions: Vec<(Question, &Node)> =
        items("questions").iter().filter_map(|n| Some((Question::read(n, log)?, n))).collect();
    let secrets: Vec<(SecretSpec, &Node)> =
        items("secrets").iter().filter_map(|n| Some((SecretSpec::read(n, log)?, n))).collect();
    fields.finish(true, &[]);
    check_names(&questions, &secrets, log);

    let metadata_node = metadata_node?;
    let metadata = Fields::of(metadata_node, "metadata", log)?;
    let name_node = metadata.need("name", metadata_node)?;
    let name = name_node.string("metadata.name", log)?;
    if !is_stack_name(&name) {
        log.problem(&name_node.place, format!("metadata.name: `{name}` is not [a-z0-9][a-z0-9_-]*"));
    }
    let version = metadata.need("version", metadata_node).and_then(|n| n.string("metadata.version", log));
    let content = PackageContent {
        title: metadata.string("title").unwrap_or_else(|| name.clone()),
        description: metadata.string("description").unwrap_or_default(),
        version: version.unwrap_or_default(),
        name,
        questions: questions.into_iter().map(|(q, _)| q).collect(),
        secrets: secrets.into_iter().map(|(s, _)| s).collect(),
        profiles,
        source,
    };
    metadata.finish(true, &[]);
    Some(Package { content: Arc::new(content), compose: vec![COMPOSE.to_owned()], instance: None })
}

fn check_names(questions: &[(Question, &Node)], secrets: &[(SecretSpec, &Node)], log: &Log) {
    let names: Vec<&str> = questions.iter().map(|(q, _)| q.name.as_str()).collect();
    for (i, (question, node)) in questions.iter().enumerate() {
        let name = question.name.as_str();
        if names[..i].contains(&name) {
            log.problem(&node.place, format!("the question `{name}` comes twice"));
        }
        for other in question.show_if.keys().filter(|k| !names.contains(&k.as_str())) {
            let hint = did_you_mean(other, names.iter().copied());
            let message = format!("question `{name}`: show_if names `{other}`, which is no question");
            log.problem_hint(&node.place, message, hint);
        }
    }
    for (i, (secret, node)) in secrets.iter().enumerate() {
        let name = secret.name.as_str();
        if secrets[..i].iter().any(|(s, _)| s.name == name) {
            log.problem(&node.place, format!("the secret `{name}` comes twice"));
        }
        // Both are variables of Compose files.
        if names.contains(&name) {
            log.problem(&node.place, format!("`{name}` is a question as well as a secret"));
        }
    }
}

/// Whether a text can name a stack (Compose specification, "Name top-level element").
pub(crate) fn is_stack_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
}

/// A path of a source as messages show it.
pub(crate) fn shown(source: &dyn Source, path: &str) -> String {
    shown_in(&source.name(), path)
}

pub(crate) fn read_text(source: &dyn Source, path: &str) -> Result<String, Error> {
    let error = |e| Error::Read { package: source.name(), path: path.to_owned(), source: e };
    let bytes = source.read(path).map_err(error)?;
    String::from_utf8(bytes).map_err(|e| {
        let message = format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to());
        error(std::io::Error::new(std::io::ErrorKind::InvalidData, message))
    })
}

/// The beginning of a file, for problems that have no better place.
pub(crate) fn start_of(source: &dyn Source, path: &str) -> Place {
    Place::file(&shown(source, path))
}

#[cfg(test)]
#[path = "package_tests.rs"]
mod tests;
