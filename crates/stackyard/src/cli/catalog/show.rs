//! `stackyard catalog list`, `search` and `show`

use super::super::{Context, ExitStatus};
use super::catalogs;
use crate::printer::table::table;
use serde_json::{Value, json};
use stackyard_catalog::{IndexedPackage, PackageReference, Question};
use stackyard_yard::{CatalogRecord, printable};

/// Arguments of `catalog search`.
#[derive(clap::Args)]
pub struct SearchArgs {
    /// Text in name, title or description [default: all packages]
    text: Option<String>,
}

/// Arguments of `catalog show`.
#[derive(clap::Args)]
pub struct ShowArgs {
    /// CATALOG/NAME or CATALOG/NAME@VERSION
    package: String,
}

/// Lists catalogs.
pub fn list(context: &Context) -> anyhow::Result<ExitStatus> {
    let records = catalogs(context).list()?;
    let row = |r: CatalogRecord| match r.damage {
        Some(why) => [r.name, r.source, printable(&why)],
        None => [r.name, r.source, r.digest],
    };
    context.printer.result(&records, || table(["NAME", "SOURCE", "DIGEST"], records.iter().cloned().map(row)))?;
    Ok(ExitStatus::Done)
}

/// Lists the newest versions of packages.
pub fn search(args: &SearchArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let catalogs = catalogs(context);
    let text = args.text.as_deref().unwrap_or_default().to_lowercase();
    let mut found: Vec<[String; 3]> = Vec::new();
    for record in catalogs.list()? {
        if let Some(why) = &record.damage {
            context.printer.note(format!("note: left out: {}", printable(why)));
            continue;
        }
        let index = catalogs.index(&record.name)?;
        let names: std::collections::BTreeSet<&str> = index.packages.iter().map(|p| p.id.name.as_str()).collect();
        let newest = names.into_iter().filter_map(|name| index.get(name, None));
        let fits = |p: &&IndexedPackage| {
            [&p.id.name, &p.package.title, &p.package.description].iter().any(|t| t.to_lowercase().contains(&text))
        };
        found.extend(
            newest.filter(fits).map(|p| {
                [format!("{}/{}", p.id.catalog, p.id.name), p.id.version.clone(), printable(&p.package.title)]
            }),
        );
    }
    let row = |[package, version, title]: &[String; 3]| json!({"package": package, "version": version, "title": title});
    let rows: Vec<Value> = found.iter().map(row).collect();
    context.printer.result(&rows, || table(["PACKAGE", "VERSION", "TITLE"], found.iter().cloned()))?;
    Ok(ExitStatus::Done)
}

/// A package as the command line names it: catalog, name, and perhaps a version.
pub fn parse(text: &str) -> anyhow::Result<(String, String, Option<String>)> {
    let full = if text.contains('@') { text.to_owned() } else { format!("{text}@0") };
    match full.parse::<PackageReference>() {
        Ok(PackageReference::Catalog(p)) => Ok((p.catalog, p.name, text.contains('@').then_some(p.version))),
        _ => {
            anyhow::bail!("`{text}` is not CATALOG/NAME or CATALOG/NAME@VERSION; `stackyard catalog search` lists them")
        }
    }
}

/// Shows a package.
pub fn run(args: &ShowArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let (catalog, name, version) = parse(&args.package)?;
    let catalogs = catalogs(context);
    let (record, found) = catalogs.package(&catalog, &name, version.as_deref())?;
    let index = catalogs.index(&catalog)?;
    let versions: Vec<&str> =
        index.packages.iter().filter(|p| p.id.name == name).map(|p| p.id.version.as_str()).collect();
    let package = &found.package;
    let questions: Vec<Value> = package.questions.iter().map(question).collect();
    let result = json!({
        "package": found.id.to_string(), "title": package.title, "description": package.description,
        "versions": versions, "source": record.source, "digest": found.digest(), "questions": questions,
    });
    context.printer.result(&result, || {
        let mut text = format!("{}: {}\n", found.id, printable(&package.title));
        if !package.description.is_empty() {
            text += &format!("{}\n", printable(&package.description));
        }
        text += &format!("versions: {}\nsource: {}\ndigest: {}\n", versions.join(", "), record.source, found.digest());
        let row = |q: &Question| {
            let meaning = if q.description.is_empty() { &q.label } else { &q.description };
            [q.name.clone(), q.allowed(), default_of(q), meaning.clone()].map(|text| printable(&text))
        };
        let rows = package.questions.iter().map(row);
        if !package.questions.is_empty() {
            text += &format!("\n{}", table(["QUESTION", "ANSWER", "DEFAULT", "MEANING"], rows));
        }
        text
    })?;
    Ok(ExitStatus::Done)
}

fn question(question: &Question) -> Value {
    json!({
        "name": question.name, "label": question.label, "description": question.description,
        "type": question.kind, "required": question.required, "default": default_of(question),
        "options": question.options,
    })
}

fn default_of(question: &Question) -> String {
    match &question.default {
        Some(_) if question.is_secret() => "******".to_owned(),
        Some(value) => value.to_string(),
        None if question.required => "(required)".to_owned(),
        None => String::new(),
    }
}
