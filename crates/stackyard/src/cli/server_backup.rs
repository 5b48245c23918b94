//! `stackyard server backup` and `stackyard server restore`

use super::{Context, ExitStatus};
use crate::printer::{Printer, UserError, bytes, duration};
use anyhow::Context as _;
use stackyard_server::backup::{self, BackupSummary, Passphrase, RestoreRequest, RestoreTarget};
use std::io::{BufWriter, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Variable with the passphrase.
const PASSPHRASE: &str = "STACKYARD_PASSPHRASE";

/// Variable with the database, as for `stackyard server`.
const DATABASE: &str = "STACKYARD_DATABASE";

/// Source of the passphrase of a backup.
#[derive(clap::Args)]
struct PassphraseArgs {
    /// Read the passphrase from this file
    ///
    /// A line end at its end does not count. [default: STACKYARD_PASSPHRASE, else ask on the
    /// terminal]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

/// Arguments of `stackyard server backup`.
#[derive(clap::Args)]
pub struct BackupArgs {
    /// File to write, or - for standard output
    file: PathBuf,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Arguments of `stackyard server restore`.
#[derive(clap::Args)]
pub struct RestoreArgs {
    /// File that `stackyard server backup` wrote
    file: PathBuf,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    /// Check the whole backup, and restore nothing
    #[arg(long, conflicts_with_all = ["database", "sqlite", "replace"])]
    check: bool,

    /// Restore into PostgreSQL: postgres://USER:PASSWORD@HOST/DATABASE
    ///
    /// [default: STACKYARD_DATABASE, else the database that the server had, else SQLite]
    #[arg(long, value_name = "URL")]
    database: Option<String>,

    /// Restore into SQLite, also if the server had PostgreSQL
    #[arg(long, conflicts_with = "database")]
    sqlite: bool,

    /// Replace the server and the database that are there
    ///
    /// The old directory of the server is renamed. Rows of the old database are removed.
    #[arg(long)]
    replace: bool,
}

impl PassphraseArgs {
    /// The passphrase; `twice` asks for it twice.
    fn read(&self, printer: &Printer, twice: bool) -> anyhow::Result<Passphrase> {
        let text = match (&self.passphrase_file, std::env::var(PASSPHRASE)) {
            (Some(path), _) => {
                let text = std::fs::read_to_string(path);
                let text = text.with_context(|| format!("cannot read the passphrase in {}", path.display()))?;
                text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t).to_owned()).unwrap_or(text)
            }
            (None, Ok(text)) => text,
            (None, Err(_)) => ask(printer, twice)?,
        };
        Ok(Passphrase::new(text)?)
    }
}

fn ask(printer: &Printer, twice: bool) -> anyhow::Result<String> {
    if !printer.can_ask() {
        let hint = format!("pass --passphrase-file FILE, or set {PASSPHRASE}");
        return Err(UserError::new("cannot ask for the passphrase: no terminal", hint).into());
    }
    let prompt = dialoguer::Password::new().with_prompt("Passphrase of the backup");
    let prompt = if twice { prompt.with_confirmation("Repeat it", "They differ.") } else { prompt };
    Ok(prompt.interact()?)
}

/// Backs a server up.
pub async fn backup(args: BackupArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let to_stdout = args.file == Path::new("-");
    if to_stdout && std::io::stdout().is_terminal() {
        let message = "cannot write a backup to the terminal: it is binary";
        return Err(UserError::new(message, "name a file, or redirect standard output").into());
    }
    let passphrase = args.passphrase.read(&context.printer, true)?;
    if to_stdout {
        let out = BufWriter::new(std::io::stdout().lock());
        let summary = backup::write(&context.home, &passphrase, backup::WORK_FACTOR, out).await?;
        context.printer.note(format!("The backup is complete. {}", content(&summary)));
        note_skipped(&summary, context);
        return Ok(ExitStatus::Done);
    }
    let file = std::path::absolute(&args.file)?;
    let written = backup::write_file(&context.home, &passphrase, &file).await?;
    note_skipped(&written.summary, context);
    context.printer.result(&written, || {
        format!("The backup is in {} ({}). {}", file.display(), bytes(written.size), content(&written.summary))
    })?;
    Ok(ExitStatus::Done)
}

fn note_skipped(summary: &BackupSummary, context: &Context) {
    if !summary.skipped.is_empty() {
        let skipped = summary.skipped.join(", ");
        context.printer.note(format!("The backup has nothing of {skipped}: no server makes files of such names."));
    }
}

/// Restores a server, or checks a backup.
pub async fn restore(args: RestoreArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let passphrase = args.passphrase.read(&context.printer, false)?;
    if args.check {
        let summary = backup::check(&args.file, &passphrase).await?;
        context
            .printer
            .result(&summary, || format!("The backup is intact. {}\n{}", origin(&summary), content(&summary)))?;
        return Ok(ExitStatus::Done);
    }
    // Not by clap: to it, `--sqlite` and `--check` would conflict with a variable of the environment.
    let variable = || std::env::var(DATABASE).ok().filter(|url| !url.is_empty());
    let target = match args.database {
        Some(url) => RestoreTarget::Url(url),
        None if args.sqlite => RestoreTarget::Sqlite,
        None => variable().map_or(RestoreTarget::AsBefore, RestoreTarget::Url),
    };
    let request = RestoreRequest { file: &args.file, passphrase: &passphrase, target, replace: args.replace };
    let restored = backup::restore(&context.home, request).await?;
    context.printer.result(&restored, || {
        let replaced = restored.replaced.as_ref();
        let replaced = replaced.map(|dir| format!("The old directory of the server is {}.\n", dir.display()));
        format!(
            "The server is restored into {}, with the store {}.\n{}\n{}\n{}Start it: stackyard server --detach",
            restored.dir.display(),
            restored.store,
            origin(&restored.summary),
            content(&restored.summary),
            replaced.unwrap_or_default(),
        )
    })?;
    Ok(ExitStatus::Done)
}

/// When a backup was taken, and by which program.
fn origin(summary: &BackupSummary) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let taken = Duration::from_millis(u64::try_from(summary.taken_ms).unwrap_or_default());
    format!(
        "It was taken {} ago, at {}, by stackyard {} (tables of version {}, {}).",
        duration(now.saturating_sub(taken)),
        summary.taken,
        summary.version,
        summary.schema,
        summary.database
    )
}

/// How much a backup has.
fn content(summary: &BackupSummary) -> String {
    let rows = summary.rows.iter().map(|(table, rows)| format!("{table} {rows}"));
    let rows = rows.collect::<Vec<_>>().join(", ");
    let rows = if rows.is_empty() { "none".to_owned() } else { rows };
    format!("Rows: {rows}. Files: {} ({}).", summary.files, bytes(summary.bytes))
}
