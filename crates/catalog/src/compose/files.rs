//! Content of configs and secrets.

use super::{LoadContext, Section, Used};
use crate::source::Source;
use crate::yaml::{FieldFate, Fields};
use stackyard_core::stack::Config;
use std::collections::BTreeMap;

/// Why the content of a config or secret cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FileError {
    message: String,
}

impl FileError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// Gives the content of files that configs and secrets name.
pub trait Files {
    /// The file at `path`, under the empty key; or, when `path` is a directory, all files
    /// below it by their paths relative to it.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it cannot be had.
    fn tree(&self, path: &str) -> Result<BTreeMap<String, Vec<u8>>, FileError>;
}

/// Files of a source as they are.
pub struct SourceFiles<'a>(pub &'a dyn Source);

impl Files for SourceFiles<'_> {
    fn tree(&self, path: &str) -> Result<BTreeMap<String, Vec<u8>>, FileError> {
        let error = |e: std::io::Error| FileError::new(format!("cannot read {path}: {e}"));
        let root = crate::source::normalise(path).unwrap_or_else(|| path.trim_end_matches('/').to_owned());
        let mut tree = BTreeMap::new();
        for file in self.0.list(&root).map_err(error)? {
            let below = file.strip_prefix(&root).unwrap_or(&file).trim_start_matches('/');
            tree.insert(below.to_owned(), self.0.read(&file).map_err(error)?);
        }
        if tree.is_empty() {
            return Err(FileError::new(format!("there is no file {path}")));
        }
        Ok(tree)
    }
}

/// Where the content of a config or secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOrigin {
    /// A file or directory, relative to the project.
    File(String),
    /// A variable, by its name.
    Environment(String),
    /// The Compose file itself.
    Content,
}

/// Which of the two sections is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Config,
    Secret,
}

impl FileKind {
    fn section(self) -> &'static str {
        match self {
            Self::Config => "configs",
            Self::Secret => "secrets",
        }
    }
}

/// Reads the entries of `configs` or `secrets` that services use.
pub(crate) fn read(
    what: FileKind,
    section: &Section<'_>,
    used: &Used,
    cx: &LoadContext<'_>,
) -> (BTreeMap<String, Config>, BTreeMap<String, FileOrigin>) {
    let (mut configs, mut origins) = (BTreeMap::new(), BTreeMap::new());
    for (name, node) in section {
        let path = format!("{}.{name}", what.section());
        let Some(fields) = Fields::of(node, path.as_str(), cx.log) else { continue };
        let (file, content, variable) = (fields.get("file"), fields.get("content"), fields.get("environment"));
        let (external, _) = super::mounts::external(&fields);
        fields.string("name");
        fields.finish(
            true,
            &[
                ("labels", FieldFate::Ignored("files carry no labels here")),
                ("driver", FieldFate::Refused("name a file, a content or an environment variable")),
                ("driver_opts", FieldFate::Refused("name a file, a content or an environment variable")),
                ("template_driver", FieldFate::Refused("put a `.j2` template into a package instead")),
            ],
        );
        if external {
            if used.contains(*name) {
                let message = format!("{path}: no {} is kept outside of stacks", &what.section()[..6]);
                cx.log.problem_hint(&node.place, message, Some("give its `file` or `environment`".into()));
            }
            continue;
        }
        let given = [file, content, variable].into_iter().flatten().count();
        if given != 1 {
            let message = format!("{path}: exactly one of `file`, `content`, `environment` is needed");
            cx.log.problem(&node.place, message);
            continue;
        }
        if !used.contains(*name) {
            continue;
        }
        let single = |text: String| Some(BTreeMap::from([(String::new(), text.into_bytes())]));
        let path_of = |n: &crate::yaml::Node| super::mounts::expand_home(n.as_text().unwrap_or_default(), cx);
        let origin = match (file, variable) {
            (Some(file), _) => FileOrigin::File(path_of(file)),
            (_, Some(variable)) => FileOrigin::Environment(variable.as_text().unwrap_or_default().to_owned()),
            _ => FileOrigin::Content,
        };
        origins.insert((*name).to_owned(), origin);
        let files = if let Some(node) = content {
            // An empty content is a fit content.
            single(node.as_text().unwrap_or_default().to_owned())
        } else if let Some(node) = variable {
            let Some(name) = node.as_text() else { continue };
            match cx.variables.get(name) {
                Some(value) => single(value.to_owned()),
                None => {
                    cx.log.problem(&node.place, format!("{path}: the variable `{name}` is not set"));
                    None
                }
            }
        } else if let Some(node) = file {
            let Some(file) = node.as_text() else { continue };
            cx.project
                .files
                .tree(&super::mounts::expand_home(file, cx))
                .map_err(|e| cx.log.problem(&node.place, format!("{path}: {e}")))
                .ok()
        } else {
            None
        };
        configs.extend(files.map(|files| ((*name).to_owned(), Config { files })));
    }
    (configs, origins)
}
