//! The cloud of this machine: its package, its answers and secrets, its plan.

use crate::assets::{self, AssetError};
use crate::client;
use crate::home::{self, Home, HomeError};
use stackyard_catalog::{
    AnswerErrors, Answers, HostFacts, Origin, Package, Problems, Question, Rendered, ResolvedAnswers, Secrets, Source,
};
use stackyard_core::stack::Stack;
use stackyard_openstack::CloudEntry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the package and of the stack.
pub const STACK: &str = "openstack";

/// Name of the package's secret that is the administrator's password.
const ADMIN_PASSWORD: &str = "keystone_admin_password";

/// What the user says now, beside what is stored from earlier runs.
#[derive(Debug, Clone, Default)]
pub struct AnswerChanges {
    /// A file of answers: it replaces all stored ones.
    pub file: Option<PathBuf>,
    /// Single answers, `name=value`.
    pub set: Vec<String>,
    /// Answers that go back to their defaults.
    pub unset: Vec<String>,
}

/// Why answers, secrets or the package could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The state directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The package, or answers to its questions.
    #[error(transparent)]
    Package(#[from] stackyard_catalog::Error),
    /// What is embedded.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// Bad answers.
    #[error(transparent)]
    Answers(#[from] AnswerErrors),
    /// A stored file, or the user's file of answers, that is not what it should be.
    #[error(transparent)]
    File(#[from] Problems),
    /// A word of the command line that is not of the form `name=value`.
    #[error("--set {0}")]
    Pair(String),
    /// The user's file of answers is not there.
    #[error("there is no file {}", .0.display())]
    NoFile(PathBuf),
    /// No cloud was brought up from this state directory.
    #[error("there is no cloud in {}; `stackyard cloud up` makes one", .0.display())]
    NoCloud(PathBuf),
    /// A name after `--unset` that is no question.
    #[error("--unset {name}: there is no such question; `stackyard cloud answers` lists them")]
    Unset {
        /// The name.
        name: String,
    },
}

/// The package that makes the cloud, with the state directory it is kept in.
#[derive(Debug, Clone)]
pub struct Local {
    home: Home,
    package: Package,
    clouds_yaml: Option<PathBuf>,
}

/// A question with the answer that counts.
#[derive(Debug, Clone)]
pub struct AskedQuestion<'a> {
    /// The question.
    pub question: &'a Question,
    /// The answer, for human eyes: a password is hidden.
    pub shown: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Everything that decides what is deployed.
#[derive(Debug, Clone)]
pub struct Intended {
    /// The stack to deploy, with its warnings.
    pub rendered: Rendered,
    answers_yaml: String,
    secrets: Secrets,
}

impl Intended {
    /// The stack.
    pub fn stack(&self) -> &Stack {
        &self.rendered.stack
    }

    /// The checked answers.
    pub fn answers(&self) -> &ResolvedAnswers {
        &self.rendered.answers
    }

    /// The administrator's entry for clouds.yaml.
    pub fn entry(&self) -> CloudEntry {
        client::entry(&self.rendered.answers, self.secrets.get(ADMIN_PASSWORD).unwrap_or_default())
    }
}

impl Local {
    /// Reads the package. Nothing is changed.
    ///
    /// # Errors
    /// [`Error::Package`] when the package has mistakes.
    pub fn open(home: Home, package: Arc<dyn Source>) -> Result<Self, Error> {
        Ok(Self { home, package: Package::load(package)?, clouds_yaml: client::clouds_yaml() })
    }

    /// As [`Self::open`], with the embedded package.
    ///
    /// # Errors
    /// [`Error::Package`], [`Error::Asset`].
    pub fn embedded(home: Home) -> Result<Self, Error> {
        Self::open(home, assets::package(STACK)?)
    }

    /// The same, but its entry goes into this clouds.yaml if one is given.
    #[must_use]
    pub fn with_clouds_yaml(self, file: Option<PathBuf>) -> Self {
        Self { clouds_yaml: file.or(self.clouds_yaml), ..self }
    }

    /// The clouds.yaml that the entry `local` is in; none without a home directory of the user's.
    pub fn clouds_yaml(&self) -> Option<&Path> {
        self.clouds_yaml.as_deref()
    }

    /// The state directory.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// The stored answers with those given now, checked against the questions.
    ///
    /// # Errors
    /// All bad answers at once.
    pub fn answers(&self, given: &AnswerChanges) -> Result<ResolvedAnswers, Error> {
        Ok(self.gather(given)?.resolve(&self.package.questions)?)
    }

    /// The questions with the answers that count, in the order of the package; `answers` are of
    /// [`Self::answers`].
    pub fn asked<'a>(&'a self, answers: &ResolvedAnswers) -> Vec<AskedQuestion<'a>> {
        let asked = answers.iter().filter_map(|answer| {
            let question = self.package.question(&answer.name)?;
            Some(AskedQuestion { question, shown: answer.shown(), origin: answer.origin })
        });
        asked.collect()
    }

    fn gather(&self, given: &AnswerChanges) -> Result<Answers, Error> {
        let (path, text) = match &given.file {
            Some(path) => (path.clone(), Some(home::read(path)?.ok_or_else(|| Error::NoFile(path.clone()))?)),
            None => (self.home.answers(), home::read(&self.home.answers())?),
        };
        let mut answers = Answers::from_yaml(&path.display().to_string(), text.as_deref().unwrap_or_default())?;
        for name in &given.unset {
            if self.package.question(name).is_none() {
                return Err(Error::Unset { name: name.clone() });
            }
            answers.unset(name);
        }
        for pair in &given.set {
            answers.set_pair(pair).map_err(Error::Pair)?;
        }
        Ok(answers)
    }

    /// What should be deployed, by the stored answers, those given now and the facts of this
    /// machine. Missing secrets are made in memory; [`Local::keep`] stores them.
    ///
    /// # Errors
    /// Bad answers; mistakes in the package.
    pub fn intend(&self, given: &AnswerChanges, host: &HostFacts) -> Result<Intended, Error> {
        let answers = self.gather(given)?;
        let mut secrets = self.secrets()?;
        secrets.generate(&self.package.secrets).map_err(stackyard_catalog::Error::from)?;
        let rendered = stackyard_catalog::render(&self.package, Some(STACK), &answers, &secrets, host)?;
        Ok(Intended { answers_yaml: rendered.answers.given_to_yaml(), rendered, secrets })
    }

    /// The administrator's entry for clouds.yaml of the cloud that was brought up.
    ///
    /// # Errors
    /// [`Error::NoCloud`] when there is none.
    pub fn entry(&self) -> Result<CloudEntry, Error> {
        let answers = self.answers(&AnswerChanges::default())?;
        let secrets = self.secrets()?;
        let password = secrets.get(ADMIN_PASSWORD).ok_or_else(|| Error::NoCloud(self.home.dir().to_owned()))?;
        Ok(client::entry(&answers, password))
    }

    fn secrets(&self) -> Result<Secrets, Error> {
        let path = self.home.secrets();
        Ok(Secrets::from_yaml(&path.display().to_string(), &home::read(&path)?.unwrap_or_default())?)
    }

    /// Stores answers and secrets, so that a later run intends the same. Comes before the
    /// first change of the machine: a killed run can then be taken up.
    ///
    /// # Errors
    /// [`Error::Home`]
    pub fn keep(&self, intended: &Intended) -> Result<(), Error> {
        for (path, text) in
            [(self.home.secrets(), intended.secrets.to_yaml()), (self.home.answers(), intended.answers_yaml.clone())]
        {
            if home::read(&path)?.as_deref() != Some(&text) {
                home::write_private(&path, &text)?;
            }
        }
        Ok(())
    }
}
