//! `stackyard catalog install`, `upgrade` and `uninstall`: changes of a manifest's text

use super::super::{Context, ExitStatus};
use super::catalogs;
use super::show::parse;
use anyhow::Context as _;
use serde_json::json;
use stackyard_catalog::manifest::{Yard, load_with, read_in};
use stackyard_catalog::manifest_edit::{NewPackage, add_package, remove_package, set_package};
use stackyard_catalog::{IndexedPackage, PackageReference};
use stackyard_yard::{CatalogRecord, Catalogs, PackageReview, TemplateRenderer};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Options that select a manifest.
#[derive(clap::Args)]
pub struct ManifestArgs {
    /// Manifest of the yard
    #[arg(short, long, value_name = "FILE", default_value = "yard.yaml")]
    file: PathBuf,
}

/// Arguments of `catalog install`.
#[derive(clap::Args)]
pub struct InstallArgs {
    /// CATALOG/NAME or CATALOG/NAME@VERSION [default: the newest version]
    package: String,

    /// Name of the package in the yard [default: the package's]
    #[arg(long)]
    name: Option<String>,

    /// Answer to a question of the package; repeat for several
    #[arg(short, long = "answer", value_name = "NAME=VALUE")]
    answers: Vec<String>,

    #[command(flatten)]
    manifest: ManifestArgs,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

/// Arguments of `catalog upgrade`.
#[derive(clap::Args)]
pub struct UpgradeArgs {
    /// Name of the package in the yard
    name: String,

    /// Version to use, also an older one [default: the newest]
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,

    #[command(flatten)]
    manifest: ManifestArgs,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

/// Arguments of `catalog uninstall`.
#[derive(clap::Args)]
pub struct UninstallArgs {
    /// Name of the package in the yard
    name: String,

    #[command(flatten)]
    manifest: ManifestArgs,
}

/// A manifest file that is changed.
struct ManifestFile {
    /// As the user named it.
    path: PathBuf,
    text: String,
}

impl ManifestFile {
    fn read(args: &ManifestArgs) -> anyhow::Result<Self> {
        let path = args.file.clone();
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read the manifest {}", path.display()))?;
        Ok(Self { path, text })
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// What another text in this file's place would mean.
    fn meaning(&self, text: &str, catalogs: &Catalogs) -> anyhow::Result<Yard> {
        let dir = self.path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(read_in(&self.shown(), text.to_owned(), &dir, catalogs)?)
    }

    /// Replaces the text; the file is there with one of both at any time, and a link to it stays one.
    fn write(&self, text: &str) -> anyhow::Result<()> {
        let failed = || format!("cannot write the manifest {}", self.path.display());
        let path = self.path.canonicalize().with_context(failed)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        let permissions = std::fs::metadata(&path).with_context(failed)?.permissions();
        let mut file = std::fs::File::create(&new).with_context(failed)?;
        file.set_permissions(permissions).with_context(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(failed)?;
        std::fs::rename(&new, &path).with_context(failed)
    }
}

/// Writes a package into a manifest.
pub async fn install(args: InstallArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let catalogs = catalogs(context);
    let manifest = ManifestFile::read(&args.manifest)?;
    let (catalog, name, version) = parse(&args.package)?;
    let (record, found) = catalogs.package(&catalog, &name, version.as_deref())?;
    let mut answers = BTreeMap::new();
    for pair in &args.answers {
        let split = pair.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = split.with_context(|| format!("`{pair}` is not NAME=VALUE"))?;
        answers.insert(name.to_owned(), value.to_owned());
    }
    let digest = Some(found.digest());
    let name = args.name.unwrap_or_else(|| found.id.name.clone());
    let new = NewPackage { name: name.clone(), package: found.id.to_string(), digest, answers };
    let text = add_package(&manifest.shown(), &manifest.text, &new)?;
    let before = manifest.meaning(&manifest.text, &catalogs)?;
    let change = ManifestChange { manifest: &manifest, text, name: &name, found: &found, record: &record };
    change.confirm_and_write(Some(&before), &catalogs, args.yes, context).await
}

/// Writes another version of a package into a manifest.
pub async fn upgrade(args: UpgradeArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let catalogs = catalogs(context);
    let manifest = ManifestFile::read(&args.manifest)?;
    let entries = stackyard_catalog::manifest::package_entries(&manifest.shown(), &manifest.text)?;
    let known = || entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(", ");
    let entry = entries.iter().find(|e| e.name == args.name);
    let entry = entry.with_context(|| format!("the manifest has no package `{}`; it has {}", args.name, known()))?;
    let Ok(PackageReference::Catalog(is)) = entry.package.parse::<PackageReference>() else {
        anyhow::bail!("the package `{}` is the directory {}, which has no versions", args.name, entry.package);
    };
    let (record, found) = catalogs.package(&is.catalog, &is.name, args.to.as_deref())?;
    let digest = found.digest();
    if found.id == is && entry.digest.as_ref() == Some(&digest) {
        let result = json!({"event": "result", "package": is.to_string(), "digest": digest, "changed": false});
        context.printer.result(&result, || format!("The package `{}` is {is} already.", args.name))?;
        return Ok(ExitStatus::Done);
    }
    let text = set_package(&manifest.shown(), &manifest.text, &args.name, &found.id.to_string(), &digest)?;
    // The version before may be gone from its catalog.
    let before = load_with(&manifest.path, &catalogs).ok();
    let change = ManifestChange { manifest: &manifest, text, name: &args.name, found: &found, record: &record };
    change.confirm_and_write(before.as_ref(), &catalogs, args.yes, context).await
}

/// A manifest with another package, not written yet.
struct ManifestChange<'a> {
    manifest: &'a ManifestFile,
    text: String,
    /// Of the package, in the yard.
    name: &'a str,
    found: &'a IndexedPackage,
    record: &'a CatalogRecord,
}

impl ManifestChange<'_> {
    /// Checks what the manifest would mean, shows it, asks, and writes.
    async fn confirm_and_write(
        self,
        before: Option<&Yard>,
        catalogs: &Catalogs,
        yes: bool,
        context: &Context,
    ) -> anyhow::Result<ExitStatus> {
        let printer = &context.printer;
        let yard = self.manifest.meaning(&self.text, catalogs)?;
        let renderer = TemplateRenderer::apart(std::env::current_exe()?);
        let review = PackageReview::of(&yard, before, self.name, &renderer).await;
        let review = review.map_err(|e| anyhow::anyhow!("cannot read the package {}: {e}", self.found.id))?;
        let digest = self.found.digest();
        printer.note(format!(
            "package {} from {}\ndigest {digest}\nIt brings:\n{}",
            self.found.id,
            self.record.source,
            review.to_string().trim_end()
        ));
        if !yes && !printer.confirm(&format!("write the package `{}` into {}", self.name, self.manifest.shown()))? {
            return Ok(ExitStatus::Failed);
        }
        self.manifest.write(&self.text)?;
        let result = json!({
            "event": "result", "name": self.name, "package": self.found.id.to_string(), "source": self.record.source,
            "digest": digest, "review": review, "changed": true,
        });
        printer.result(&result, || {
            let (name, file) = (self.name, self.manifest.shown());
            format!("Wrote {} as `{name}` into {file}. `stackyard up -f {file}` deploys it.", self.found.id)
        })?;
        Ok(ExitStatus::Done)
    }
}

/// Removes a package from a manifest.
pub fn uninstall(args: &UninstallArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let manifest = ManifestFile::read(&args.manifest)?;
    let text = remove_package(&manifest.shown(), &manifest.text, &args.name)?;
    manifest.write(&text)?;
    let file = manifest.shown();
    context.printer.result(&json!({"event": "result", "removed": args.name}), || {
        format!("Removed the package `{}` from {file}. `stackyard up -f {file}` removes what it brought.", args.name)
    })?;
    Ok(ExitStatus::Done)
}
