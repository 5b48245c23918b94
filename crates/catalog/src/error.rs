//! What can go wrong between a package and its stack.

use crate::answers::AnswerErrors;
use crate::diag::Problems;
use crate::secrets::RandomError;
use crate::template::TemplateError;
use std::io;

/// Why a package could not be read or rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the package cannot be read.
    #[error("cannot read {path} of the package {package}")]
    Read {
        /// The package's directory or name.
        package: String,
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Mistakes in YAML files, with places.
    #[error(transparent)]
    Files(#[from] Problems),
    /// Answers that are not allowed or missing.
    #[error(transparent)]
    Answers(#[from] AnswerErrors),
    /// A template that cannot be rendered.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// No randomness for secrets.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Secrets that the package declares and the caller does not have.
    #[error("the package {package} declares secrets that were not made: {}", names.join(", "))]
    MissingSecrets {
        /// The package.
        package: String,
        /// Names of the secrets.
        names: Vec<String>,
    },
}
