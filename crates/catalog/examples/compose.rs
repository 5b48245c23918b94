//! Prints the stack that Compose files describe, as JSON:
//! `cargo run --example compose -- [--hosts] [-p=PROFILE] [-e=NAME=VALUE] FILE...`
//! (`--hosts`: as it is read for the hosts of a yard)

use stackyard_catalog::compose::{Project, SourceFiles, Target, load};
use stackyard_catalog::{Dir, Variables};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut target = Target::Engine;
    let (mut files, mut profiles, mut variables) = (Vec::new(), Vec::new(), BTreeMap::new());
    for argument in std::env::args().skip(1) {
        if let Some(profile) = argument.strip_prefix("-p=") {
            profiles.push(profile.to_owned());
        } else if let Some((name, value)) = argument.strip_prefix("-e=").and_then(|v| v.split_once('=')) {
            variables.insert(name.to_owned(), value.to_owned());
        } else if argument == "--hosts" {
            target = Target::Hosts;
        } else {
            files.push(argument);
        }
    }
    let first = files.first().ok_or("which files?")?;
    let source =
        Dir::project(Path::new(first).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    let names = files.iter().map(|f| Path::new(f).file_name().and_then(|n| n.to_str()).unwrap_or(f).to_owned());
    let loaded = load(&Project {
        source: &source,
        paths: names.collect(),
        name: Some("demo".into()),
        default_name: None,
        profiles,
        variables: Variables::lenient(variables),
        files: &SourceFiles(&source),
        home: std::env::home_dir(),
        target,
    })?;
    loaded.warnings.iter().for_each(|w| eprintln!("warning: {w}"));
    println!("{}", serde_json::to_string_pretty(&loaded.stack)?);
    Ok(())
}
