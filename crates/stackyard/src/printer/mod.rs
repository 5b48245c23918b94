//! What the user sees: one printer for every verb.
//!
//! On a terminal, long operations show a line per running step with a bar, a rate and the
//! time left; in a pipe they print plain lines; with `--json` standard output carries one
//! JSON object a line and nothing else. Results go to standard output, progress and errors
//! to standard error.

mod bars;
mod json;
mod lines;
pub mod table;

use anyhow::bail;
use serde::Serialize;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_openstack::Error as CloudError;
use stackyard_server::{Error as YardError, WorkError};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

/// Prints results, progress and errors in the form that the user's side can take.
#[derive(Clone)]
pub struct Printer {
    json: bool,
    onlooker: Arc<dyn Onlooker>,
    bars: Option<bars::Bars>,
}

impl Printer {
    /// A printer for this process's streams; `json` is the user's `--json`.
    pub fn new(json: bool) -> Self {
        if json {
            return Self { json, onlooker: Arc::new(json::Json), bars: None };
        }
        if std::io::stderr().is_terminal() && std::env::var_os("NO_PROGRESS").is_none() {
            let bars = bars::Bars::new();
            return Self { json, onlooker: Arc::new(bars.clone()), bars: Some(bars) };
        }
        Self { json, onlooker: Arc::new(lines::Lines::new()), bars: None }
    }

    /// Whether `--json` was given.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The listener for long operations.
    pub fn onlooker(&self) -> Arc<dyn Onlooker> {
        self.onlooker.clone()
    }

    /// A line about what goes on, for people; nothing with `--json`.
    pub fn say(&self, line: impl AsRef<str>) {
        if self.json {
            return;
        }
        match &self.bars {
            Some(bars) => bars.line(line.as_ref()),
            None => to_stderr(&format!("{}\n", line.as_ref())),
        }
    }

    /// A plan, before it is carried out: to standard error for people, an event with `--json`.
    pub fn plan(&self, plan: &(impl Serialize + std::fmt::Display)) -> anyhow::Result<()> {
        if self.json {
            let text = serde_json::to_string(&serde_json::json!({"event": "plan", "plan": plan}))?;
            writeln!(std::io::stdout(), "{text}")?;
        } else {
            self.say(plan.to_string().trim_end());
        }
        Ok(())
    }

    /// Something that happened during the work, as a JSON object on standard output.
    pub fn event(&self, event: &impl Serialize) {
        json::print(event);
    }

    /// A part of the result that is known before the work ends, for people.
    pub fn partial_result(&self, line: &str) {
        // The work goes on without a reader.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// The result of a verb: `text` for people, `value` with `--json`.
    pub fn result(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, value)?;
            writeln!(out)?;
        } else {
            let text = text();
            if !text.is_empty() {
                writeln!(out, "{}", text.trim_end_matches('\n'))?;
            }
        }
        Ok(out.flush()?)
    }

    /// Asks on the terminal and gives the answer without white space around it. `risk` says what happens with `--yes`.
    ///
    /// # Errors
    /// If there is no terminal to ask on.
    pub fn ask(&self, question: &str, risk: &str) -> anyhow::Result<String> {
        if self.json || !std::io::stdin().is_terminal() {
            bail!("{risk}; say --yes, since there is no terminal to ask on");
        }
        to_stderr(&format!("{question} "));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Whether the user agrees, asked as by [`Self::ask`].
    ///
    /// # Errors
    /// If there is no terminal to ask on.
    pub fn confirmed(&self, risk: &str) -> anyhow::Result<bool> {
        Ok(matches!(self.ask("Do this? [y/N]", risk)?.as_str(), "y" | "Y" | "yes"))
    }

    /// Whether the user types `expected`, asked as by [`Self::ask`].
    ///
    /// # Errors
    /// If there is no terminal to ask on.
    pub fn typed(&self, question: &str, expected: &str) -> anyhow::Result<bool> {
        Ok(self.ask(question, "this loses data")? == expected)
    }

    /// Clears bars that are still drawn.
    pub fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }

    /// An error with all its causes, one a line, and what to do about it.
    pub fn error(&self, error: &anyhow::Error) {
        self.finish();
        let causes: Vec<String> = causes(error);
        let hint = hint(error).filter(|hint| !causes.iter().any(|cause| cause.contains(hint)));
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

/// Writes to standard error. A reader that went away (`2>&1 | head`) does not stop the work, as the panic of `eprintln!`
/// would.
pub fn to_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Whether the only fault is that standard output has no reader any more: errors of other pipes say what was tried.
pub fn is_unread(error: &anyhow::Error) -> bool {
    let Some(first) = error.chain().next() else { return false };
    let kind = match first.downcast_ref::<std::io::Error>() {
        Some(io) => Some(io.kind()),
        None => first.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind),
    };
    kind == Some(std::io::ErrorKind::BrokenPipe)
}

/// The chain of an error without links that only repeat what the one above says.
fn causes(error: &anyhow::Error) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if out.last().is_none_or(|above| !above.contains(text.as_str())) {
            out.push(text);
        }
    }
    out
}

/// What to do about an error: what the innermost of those that know says, since that one knows most.
fn hint(error: &anyhow::Error) -> Option<String> {
    let says = |cause: &(dyn std::error::Error + 'static)| {
        let of_cloud = cause.downcast_ref::<CloudError>();
        let of_cloud = of_cloud.or_else(|| cause.downcast_ref::<Box<CloudError>>().map(|boxed| &**boxed));
        let of_yard = match cause.downcast_ref() {
            Some(WorkError::Yard(error)) => Some(error),
            _ => cause.downcast_ref::<YardError>(),
        };
        of_cloud.and_then(CloudError::hint).or_else(|| of_yard.and_then(YardError::hint))
    };
    error.chain().filter_map(says).last()
}

/// A time as people read it: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`.
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

/// A size as people read it, in powers of 1024: `512 B`, `1.5 MiB`.
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

/// An event as one plain line; `None` for those that a plain line does not serve.
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

    #[test]
    fn a_cause_is_not_said_twice() {
        let e = anyhow::anyhow!("refused").context("connecting to the engine: refused").context("cloud up");
        assert_eq!(causes(&e), ["cloud up", "connecting to the engine: refused"]);
    }

    #[test]
    fn nobody_reads_any_more() {
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_unread(&broken().into()) && is_unread(&anyhow::Error::new(serde_json::Error::io(broken()))));
        let others = [anyhow::Error::new(broken()).context("asking the server"), anyhow::anyhow!("Broken pipe")];
        assert!(others.iter().all(|e| !is_unread(e)));
    }
}
