//! Packages and Compose files, read into stacks.
//!
//! ```text
//! package.yaml ──> Package ── questions ──> Answers::resolve ──> Resolved ─┐
//!                     │                                                    ├─ variables ─> compose.yaml ─┐
//!                     ├────── secrets ────> Secrets::generate ─────────────┤                             ├─> core::stack::Stack
//!                     └────── config/**  ── templates ─────────────────────┴─ files of configs/secrets ──┘
//! ```
//!
//! [`render`] is the way through; [`compose::load`] reads Compose files without a package.
//! The crate reads the files of a [`Source`] and touches nothing else: who keeps secrets
//! and answers on disk is the caller. Whatever a file says is either carried into the
//! stack, or answered with an error or a named [`Warning`]; nothing is dropped silently.

pub mod compose;
pub mod manifest;
pub mod manifest_edit;
pub mod rules;

mod answers;
mod archive;
mod diag;
mod error;
mod facts;
mod finder;
mod fragment;
mod index;
mod interpolate;
mod package;
mod privileges;
mod question;
mod reference;
mod render;
mod secrets;
mod source;
mod template;
mod unpack;
mod yaml;

pub use answers::{AnswerError, AnswerErrors, Answers, Origin, ResolvedAnswer, ResolvedAnswers};
pub use archive::PackedArchive;
pub use diag::{Place, Problem, Problems, Warning};
pub use error::Error;
pub use facts::{EXAMPLE_ADDRESS, HostFacts, Machines, YardHost};
pub use finder::{CarriedPackages, FindError, NoCatalogs, PackageFinder, content_digest};
pub use index::{CatalogIndex, IndexedPackage, compare_versions};
pub use interpolate::Variables;
pub use package::{API_VERSION, Package};
pub use privileges::privileges;
pub use question::{Question, QuestionType, Value};
pub use reference::{CatalogPackage, PackageReference};
pub use render::{RenderTemplates, Rendered, render, render_for_hosts};
pub use secrets::{RandomError, SecretKind, SecretSpec, Secrets};
pub use source::{Dir, Memory, Source};
pub use template::{RenderedTemplates, TemplateError, TemplateJob};
pub use unpack::{UnpackError, pack_tree, read_directory, unpack};
