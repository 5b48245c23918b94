//! The stacks that a manifest declares, read, and compared with what the Stackyard server has.

use super::known_hosts::{Expect, KnownHosts};
use super::{YardSnapshot, YardStacks};
use crate::error::WorkError;
use crate::review::printable;
use crate::templates::TemplateRenderer;
use stackyard_api::StackDeploy;
use stackyard_catalog::compose::open::{ComposeRequest, open, open_in};
use stackyard_catalog::manifest::{InstalledStack, StackSource, Yard, YardStack};
use stackyard_catalog::{
    Answers, Dir, Machines, Memory, Package, PackageReference, PackedArchive, Secrets, Source,
    privileges, render_for_hosts,
};
use stackyard_client::{ArchiveContents, Client, ClientError};
use stackyard_core::rollout::Packed;
use stackyard_core::stack::Stack;
use stackyard_core::yard::plan::{Action, StackStep};
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What to do where there is no server.
const START: &str = "`stackyard server --detach --listen ADDRESS:7440` starts one on an address that hosts can reach, \
                     `--server URL` names another";

/// Hears what in Compose files has no effect.
pub type Say<'a> = &'a (dyn Fn(String) + Send + Sync);

/// Why the files of a stack are of no use.
pub(super) type Trouble = Box<dyn StdError + Send + Sync>;

/// The stacks of a manifest at the server.
pub struct DeclaredStacks {
    /// What is there, and what is to be done.
    pub at_server: YardStacks,
    client: Client,
    yard: String,
    /// By package: secrets that the server does not have yet, all of a package in one text.
    new_secrets: BTreeMap<String, String>,
    /// By stack: its package.
    owners: BTreeMap<String, String>,
    renderer: TemplateRenderer,
    /// Which hosts its packages were rendered for; absent without packages.
    hosts: Option<KnownHosts>,
}

/// Shows no secret.
impl fmt::Debug for DeclaredStacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeclaredStacks")
            .field("yard", &self.yard)
            .field("at_server", &self.at_server)
            .field("owners", &self.owners)
            .field("new_secrets", &self.new_secrets.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl DeclaredStacks {
    /// Looks at the stacks of a manifest; none where no server runs and none is needed. Changes nothing.
    /// Templates of packages are rendered by `renderer`.
    ///
    /// # Errors
    /// [`WorkError::NoServer`] although hosts of pools or stacks need one; [`WorkError::Stack`] for
    /// mistakes in Compose files and packages; [`WorkError::Client`].
    pub async fn look(
        yard: &Yard,
        client: Option<&Client>,
        renderer: &TemplateRenderer,
        say: Say<'_>,
    ) -> Result<Option<Self>, WorkError> {
        let name = &yard.intended.yard;
        let needs = match (
            yard.stacks.first(),
            YardSnapshot::has_agents(&yard.intended),
        ) {
            (Some(_), _) => Some("stacks, which a Stackyard server deploys"),
            (None, true) => Some("pools of hosts that join a Stackyard server"),
            (None, false) => None,
        };
        let none = |source| {
            let needs = needs.map(|needs| format!("the yard {name} has {needs}"));
            needs.map_or(Ok(None), |needs| {
                Err(WorkError::NoServer {
                    needs,
                    start: START,
                    source,
                })
            })
        };
        let Some(client) = client else {
            return none(None);
        };
        match Self::at(yard, client, renderer, Expect::Pools, say).await {
            // A socket that a killed server left behind: whether it had stacks of this yard matters
            // to whoever starts it again.
            Err(WorkError::Client(error @ ClientError::Unreachable { .. })) => none(Some(error)),
            other => other.map(Some),
        }
    }

    async fn at(
        yard: &Yard,
        client: &Client,
        renderer: &TemplateRenderer,
        expect: Expect,
        say: Say<'_>,
    ) -> Result<Self, WorkError> {
        let name = &yard.intended.yard;
        let is_package = |s: &YardStack| !matches!(s.source, StackSource::Compose(_));
        let hosts = match yard.stacks.iter().any(is_package) {
            true => Some(KnownHosts::look(yard, client, expect).await?),
            false => None,
        };
        let machines = |stack: &YardStack| {
            hosts
                .as_ref()
                .map_or(Machines::Example, |h| h.machines(stack.pool.as_deref()))
        };
        let mut secrets = PackageSecrets::default();
        let mut wanted = BTreeMap::new();
        let mut archives = ArchiveContents::new();
        for stack in &yard.stacks {
            let files = yard.files.as_deref();
            let made = match &stack.source {
                StackSource::Compose(wanted) => read(wanted, files, say),
                StackSource::Package { dir, answers } => {
                    let package = load_package(dir, files).map_err(of(&stack.name))?;
                    let owner = SecretOwner {
                        name: &stack.name,
                        package: package.name.clone(),
                    };
                    let secrets = secrets
                        .look(&package, &owner, &stack.name, name, client)
                        .await?;
                    let machines = machines(stack);
                    let _place = renderer.place().await;
                    rendered(
                        &package,
                        &stack.name,
                        answers,
                        &secrets,
                        (&machines, renderer),
                        say,
                    )
                }
                StackSource::Installed(part) => {
                    let InstalledStack {
                        package, answers, ..
                    } = part.as_ref();
                    let owner = SecretOwner::of(yard, part);
                    let secrets = secrets
                        .look(package, &owner, &stack.name, name, client)
                        .await?;
                    let machines = machines(stack);
                    let _place = renderer.place().await;
                    let made = rendered(
                        package,
                        &stack.name,
                        answers,
                        &secrets,
                        (&machines, renderer),
                        say,
                    );
                    made.inspect(|(made, _)| warn_of_privileges(&part.instance, made, say))
                }
            };
            let (made, carried) = made.map_err(of(&stack.name))?;
            archives.extend(carried.into_iter().map(|a| (a.digest, a.content)));
            let deploy = StackDeploy {
                stack: Packed::pack(made),
                pool: stack.pool.clone(),
                declared: true,
                network: yard.intended.stack_network.value().map(str::to_owned),
            };
            wanted.insert(stack.name.clone(), deploy);
        }
        if !archives.is_empty() {
            // Changes nothing, and says so clearly if the server is too old for them.
            let digests = archives.keys().cloned().collect();
            client.check_archives(name, digests).await?;
        }
        let at_server = YardStacks::look(client.clone(), name, wanted).await?;
        let at_server = at_server.with_archives(archives);
        Ok(Self {
            at_server,
            client: client.clone(),
            yard: name.clone(),
            new_secrets: secrets.new,
            owners: secrets.owners,
            renderer: renderer.clone(),
            hosts,
        })
    }

    /// Looks again, once the hosts of pools have joined or gone; `hosts_changed` says whether any did. Packages are
    /// rendered for the hosts that there are now. `None` if that changes nothing.
    ///
    /// # Errors
    /// As of [`Self::look`].
    pub(crate) async fn again(
        &self,
        yard: &Yard,
        hosts_changed: bool,
    ) -> Result<Option<Self>, WorkError> {
        let Some(hosts) = &self.hosts else {
            return Ok(None);
        };
        if !hosts_changed && !hosts.expected {
            return Ok(None);
        }
        // What has no effect in its files was said by the first look.
        let (client, renderer) = (&self.client, &self.renderer);
        Self::at(yard, client, renderer, Expect::Nothing, &|_| {})
            .await
            .map(Some)
    }

    /// Has the server keep new secrets of packages that are about to be deployed.
    ///
    /// # Errors
    /// What the server says.
    pub(crate) async fn keep_secrets(&self) -> Result<(), ClientError> {
        let goes = |package: &String| {
            let of_package = |s: &&StackStep| self.owners.get(&s.name) == Some(package);
            let mut steps = self.at_server.steps.iter().filter(of_package);
            steps.any(|s| matches!(s.action, Action::Create | Action::Change))
        };
        for (package, secrets) in self.new_secrets.iter().filter(|(of, _)| goes(of)) {
            self.client
                .set_secret(&self.yard, &secret_key(package), secrets)
                .await?;
        }
        Ok(())
    }
}

pub(super) fn of(stack: &str) -> impl FnOnce(Trouble) -> WorkError + use<> {
    let stack = stack.to_owned();
    |source| WorkError::Stack { stack, source }
}

/// Reads Compose files, and says what in them has no effect.
fn read(
    wanted: &ComposeRequest,
    files: Option<&Memory>,
    say: Say<'_>,
) -> Result<(Stack, Vec<PackedArchive>), Trouble> {
    let loaded = match files {
        Some(files) => open_in(wanted, files)?,
        None => open(wanted)?,
    };
    loaded
        .warnings
        .iter()
        .for_each(|warning| say(format!("warning: {}", printable(&warning.to_string()))));
    Ok((loaded.stack, loaded.archives))
}

/// Reads the package in a directory of this machine, or of `files`.
pub(super) fn load_package(dir: &Path, files: Option<&Memory>) -> Result<Package, Trouble> {
    let source: Arc<dyn Source> = match files {
        Some(files) => Arc::new(files.below(&dir.to_string_lossy())),
        None => {
            let there = Dir::package(dir);
            Arc::new(there.map_err(|e| format!("reading the package in {}: {e}", dir.display()))?)
        }
    };
    Ok(Package::load(source)?)
}

/// Whose secrets are meant.
pub(super) struct SecretOwner<'y> {
    /// What the manifest calls the package, or its stack.
    pub(super) name: &'y str,
    /// The package: `CATALOG/NAME`, or `NAME` of one in a directory.
    pub(super) package: String,
}

impl<'y> SecretOwner<'y> {
    fn of(yard: &Yard, part: &'y InstalledStack) -> Self {
        let entry = yard.packages.iter().find(|p| p.name == part.instance);
        let package = match entry.map(|p| &p.reference) {
            Some(PackageReference::Catalog(id)) => format!("{}/{}", id.catalog, id.name),
            Some(PackageReference::Dir(_)) | None => part.package.name.clone(),
        };
        Self {
            name: &part.instance,
            package,
        }
    }

    /// Refuses secrets that were made for another package. A directory is the user's own, so it may follow a package
    /// of its name; a package of a catalog gets no secrets but its own.
    fn check(&self, kept: Option<&str>) -> Result<(), String> {
        let is_catalog = self.package.contains('/');
        let fits = match kept {
            None => !is_catalog,
            Some(kept) if is_catalog => kept == self.package,
            Some(kept) => kept.rsplit('/').next() == Some(self.package.as_str()),
        };
        if fits {
            return Ok(());
        }
        let (key, kept) = (secret_key(self.name), kept.unwrap_or("a directory"));
        Err(format!(
            "the server keeps secrets of another package, {kept}, under the name `{}`, and {} must not read them; give \
             the package another name in the manifest, or remove the secret `{key}` of the yard, if its data is not \
             needed any longer (`DELETE /api/v1/yards/YARD/secrets/{key}`)",
            self.name, self.package
        ))
    }
}

/// The secrets of the packages of a yard.
#[derive(Default)]
pub(super) struct PackageSecrets {
    /// Of the packages that were looked at.
    known: BTreeMap<String, Secrets>,
    /// By package: those that the server does not have yet, in one text.
    pub(super) new: BTreeMap<String, String>,
    /// By stack: its package.
    owners: BTreeMap<String, String>,
}

impl PackageSecrets {
    /// The secrets of a package: those that the server keeps, and new ones for what it lacks. All stacks of `owner`
    /// have the same.
    pub(super) async fn look(
        &mut self,
        package: &Package,
        owner: &SecretOwner<'_>,
        stack: &str,
        yard: &str,
        client: &Client,
    ) -> Result<Secrets, WorkError> {
        if package.secrets.is_empty() {
            return Ok(Secrets::default());
        }
        let name = owner.name;
        self.owners.insert(stack.to_owned(), name.to_owned());
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let key = secret_key(name);
        let mut secrets = match client.secret(yard, &key).await {
            Ok(text) => {
                let kept = Secrets::from_yaml(&key, &text).map_err(|e| of(stack)(e.into()))?;
                let checked = owner.check(kept.package());
                checked.map_err(|e| of(stack)(e.into()))?;
                kept
            }
            Err(error) if error.status() == Some(404) => Secrets::default(),
            Err(other) => return Err(other.into()),
        };
        // Kept when it is deployed, not before: a plan changes nothing.
        let made = secrets
            .generate(&package.secrets)
            .map_err(|e| of(stack)(e.into()))?;
        if !made.is_empty() {
            secrets.set_package(&owner.package);
            self.new.insert(name.to_owned(), secrets.to_yaml());
        }
        self.known.insert(name.to_owned(), secrets.clone());
        Ok(secrets)
    }
}

/// Tells what a package wants of its hosts beyond confined containers.
fn warn_of_privileges(package: &str, stack: &Stack, say: Say<'_>) {
    for privilege in privileges(stack) {
        say(format!(
            "note: package {package}: {}",
            printable(&privilege)
        ));
    }
}

/// Renders a package, and says what in its files has no effect.
pub(super) fn rendered(
    package: &Package,
    stack: &str,
    answers: &Answers,
    secrets: &Secrets,
    (machines, renderer): (&Machines, &TemplateRenderer),
    say: Say<'_>,
) -> Result<(Stack, Vec<PackedArchive>), Trouble> {
    let rendered = render_for_hosts(package, stack, answers, secrets, machines, &|job| {
        renderer.render(job)
    })?;
    rendered
        .warnings
        .iter()
        .for_each(|warning| say(format!("warning: {}", printable(&warning.to_string()))));
    Ok((rendered.stack, rendered.archives))
}

/// Name of the secret of a yard that holds those of a package.
pub(super) fn secret_key(package: &str) -> String {
    format!("package.{package}")
}

/// Has the server forget the secrets of packages of a yard that is gone with all its data.
///
/// # Errors
/// What the server says.
pub(crate) async fn forget_secrets(yard: &str, client: &Client) -> Result<(), ClientError> {
    for secret in client
        .secrets(yard)
        .await?
        .iter()
        .filter(|s| s.name.starts_with(&secret_key("")))
    {
        match client.remove_secret(yard, &secret.name).await {
            Err(error) if error.status() != Some(404) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_does_not_inherit_the_secrets_of_another() {
        let check = |package: &str, kept| {
            let package = package.to_owned();
            SecretOwner {
                name: "db",
                package,
            }
            .check(kept)
        };
        for (package, kept) in [
            ("main/db", Some("main/db")),
            ("db", Some("db")),
            ("db", None),
            ("db", Some("main/db")),
        ] {
            assert_eq!(check(package, kept), Ok(()), "{package} {kept:?}");
        }
        for (package, kept) in [
            ("evil/db", Some("main/db")),
            ("main/evil", Some("main/db")),
            ("evil/db", Some("db")),
            ("evil/db", None),
            ("evil", Some("main/db")),
        ] {
            let refused = check(package, kept).unwrap_err();
            assert!(refused.contains("secrets of another package"), "{refused}");
            assert!(refused.contains("`package.db`"), "{refused}");
        }
    }
}
