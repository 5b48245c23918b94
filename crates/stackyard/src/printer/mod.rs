//! One printer for all verbs.
//!
//! Results go to standard output. Progress, notes, questions and errors go to standard error.
//!
//! - On a terminal, each running step of a long operation has a line with a bar, a rate and the time left.
//! - In a pipe, steps print plain lines.
//! - With `--json`, standard output has one JSON object per line, for results, events and errors.

mod bars;
mod error;
mod json;
mod lines;
mod streams;
pub mod table;

pub use error::UserError;
pub use streams::ReaderGone;

use serde::Serialize;
use stackyard_core::progress::{Event, Onlooker};
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;
use streams::{to_stderr, to_stdout};

/// Prints results, progress and errors in a form that suits the terminal, pipe or program that
/// reads them.
#[derive(Clone)]
pub struct Printer {
    json: bool,
    onlooker: Arc<dyn Onlooker>,
    bars: Option<bars::ProgressBars>,
}

impl Printer {
    /// A printer for this process's streams; `json` is the user's `--json`.
    pub fn new(json: bool) -> Self {
        if json {
            return Self { json, onlooker: Arc::new(json::JsonEvents), bars: None };
        }
        if std::io::stderr().is_terminal() && std::env::var_os("NO_PROGRESS").is_none() {
            let bars = bars::ProgressBars::new();
            return Self { json, onlooker: Arc::new(bars.clone()), bars: Some(bars) };
        }
        Self { json, onlooker: Arc::new(lines::ProgressLines::new()), bars: None }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The receiver of the progress events of long operations.
    pub fn onlooker(&self) -> Arc<dyn Onlooker> {
        self.onlooker.clone()
    }

    /// Prints a line for people to standard error. With `--json`, prints nothing.
    pub fn note(&self, line: impl AsRef<str>) {
        if self.json {
            return;
        }
        match &self.bars {
            Some(bars) => bars.line(line.as_ref()),
            None => to_stderr(&format!("{}\n", line.as_ref())),
        }
    }

    /// Prints a plan before it is applied: to standard error for people, as an event with `--json`.
    pub fn plan(&self, plan: &(impl Serialize + std::fmt::Display)) -> anyhow::Result<()> {
        if self.json {
            return self.line(&serde_json::to_string(&serde_json::json!({"event": "plan", "plan": plan}))?);
        }
        self.note(plan.to_string().trim_end());
        Ok(())
    }

    /// Prints an event of the work as a JSON object to standard output.
    pub fn event(&self, event: &impl Serialize) {
        json::print(event);
    }

    /// Prints a part of the result, for people, while the work continues.
    pub fn partial_result(&self, line: &str) {
        // The work continues if the reader has gone away.
        let _ = self.line(line);
    }

    /// Prints the result of a verb to standard output: `text` for people, `value` with `--json`.
    ///
    /// # Errors
    /// As of [`to_stdout`].
    pub fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        if self.json {
            return self.line(&serde_json::to_string(value)?);
        }
        match text().trim_end_matches('\n') {
            "" => Ok(()),
            text => self.line(text),
        }
    }

    /// Prints a line of a result, such as a line of a log, to standard output.
    ///
    /// # Errors
    /// As of [`to_stdout`].
    pub fn line(&self, text: &str) -> anyhow::Result<()> {
        to_stdout(format!("{text}\n").as_bytes())
    }

    /// Writes bytes, such as the output of another program, to standard output.
    ///
    /// # Errors
    /// As of [`to_stdout`].
    pub fn bytes(&self, bytes: &[u8]) -> anyhow::Result<()> {
        to_stdout(bytes)
    }

    /// Whether the printer can ask: standard input is a terminal, and `--json` was not given.
    pub fn can_ask(&self) -> bool {
        !self.json && std::io::stdin().is_terminal()
    }

    /// Asks the user to confirm an action, such as "remove the yard", and returns the decision.
    ///
    /// # Errors
    /// If the printer cannot ask.
    pub fn confirm(&self, action: &str) -> anyhow::Result<bool> {
        Ok(matches!(self.ask(action, "Continue? [y/N]")?.as_str(), "y" | "Y" | "yes"))
    }

    /// Asks the user to confirm an action by typing `expected`, and returns the decision.
    ///
    /// # Errors
    /// If the printer cannot ask.
    pub fn confirm_by_name(&self, action: &str, question: &str, expected: &str) -> anyhow::Result<bool> {
        Ok(self.ask(action, question)? == expected)
    }

    /// Prints the question on the terminal, and returns the answer without white space around it.
    fn ask(&self, action: &str, question: &str) -> anyhow::Result<String> {
        if !self.can_ask() {
            let message = format!("cannot {action}: no terminal to confirm on");
            return Err(UserError::new(message, "pass --yes").into());
        }
        to_stderr(&format!("{question} "));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Clears the progress bars.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }

    /// Prints an error with its causes, one per line, and its hint.
    pub fn error(&self, error: &anyhow::Error) {
        self.finish();
        let causes: Vec<String> = error::causes(error);
        let hint = error::hint(error).filter(|hint| !causes.iter().any(|cause| cause.contains(hint)));
        if self.json {
            let (first, rest) = causes.split_first().map_or(("", &[][..]), |(f, r)| (f.as_str(), r));
            let mut event = serde_json::json!({"event": "error", "error": first, "causes": rest});
            if let Some(hint) = hint {
                event["hint"] = hint.into();
            }
            self.event(&event);
        } else {
            for (depth, cause) in causes.iter().enumerate() {
                let head = if depth == 0 { "error: " } else { "  caused by: " };
                to_stderr(&format!("{head}{}\n", cause.trim_end().replace('\n', "\n  ")));
            }
            if let Some(hint) = hint {
                to_stderr(&format!("hint: {hint}\n"));
            }
        }
    }
}

/// A time in short form: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..10 => format!("{:.1} s", d.as_secs_f64()),
        10..60 => format!("{s} s"),
        60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A size in short form, in powers of 1024: `512 B`, `1.5 MiB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut x = n as f64;
    while x >= 1024.0 && unit + 1 < UNITS.len() {
        x /= 1024.0;
        unit += 1;
    }
    if unit == 0 || x >= 100.0 { format!("{x:.0} {}", UNITS[unit]) } else { format!("{x:.1} {}", UNITS[unit]) }
}

/// An event as one plain line; `None` for progress, which [`lines`] prints less often.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Started { step, doing } => format!("{step}: {doing}"),
        Event::Progress { .. } => return None,
        Event::Note { step: Some(step), text } => format!("{step}: {text}"),
        Event::Note { step: None, text } => text.clone(),
        Event::Done { step, did, took } => format!("{step}: {did} ({})", duration(*took)),
        Event::Failed { step, error } => format!("{step}: FAILED: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (ms, text) in [
            (412, "0.4 s"),
            (12_900, "12 s"),
            (185_000, "3 min 05 s"),
            (7_800_000, "2 h 10 min"),
            (273_600_000, "3 d 4 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn sizes_read_well() {
        for (n, text) in [(0, "0 B"), (512, "512 B"), (1536, "1.5 KiB"), (157_286_400, "150 MiB"), (3 << 30, "3.0 GiB")]
        {
            assert_eq!(bytes(n), text);
        }
    }
}
