//! Progress on a terminal: a live line for each running step, with finished steps above.

use super::streams::to_stderr;
use super::{duration, line};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use stackyard_core::progress::{Amount, Event, Onlooker, Unit};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Template for a step without an amount.
const UNCOUNTED: &str = "{spinner:.cyan} {prefix}  {wide_msg} {elapsed:>5}";

/// Progress bars on a terminal.
#[derive(Clone)]
pub struct ProgressBars {
    multi: MultiProgress,
    running: Arc<Mutex<HashMap<String, StepBar>>>,
}

/// The bar of a running step. `unit` is the unit of the current template, and whether it shows a total.
struct StepBar {
    bar: ProgressBar,
    unit: Option<(Unit, bool)>,
}

impl ProgressBars {
    /// Bars on standard error.
    pub fn new() -> Self {
        Self { multi: MultiProgress::new(), running: Arc::default() }
    }

    /// Prints a line above the bars.
    pub fn line(&self, text: &str) {
        // Without bars `println` would write nothing.
        if self.multi.println(text).is_err() {
            to_stderr(&format!("{text}\n"));
        }
    }

    /// Removes all bars.
    pub fn clear(&self) {
        self.lock().clear();
        let _ = self.multi.clear();
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HashMap<String, StepBar>> {
        self.running.lock()
    }

    fn start(&self, step: &str, doing: &str) {
        let bar = self.multi.add(ProgressBar::new_spinner());
        bar.set_style(style(UNCOUNTED));
        bar.set_prefix(step.to_owned());
        bar.set_message(doing.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.lock().insert(step.to_owned(), StepBar { bar, unit: None }) {
            old.bar.finish_and_clear();
        }
    }

    fn progress(&self, step: &str, doing: Option<String>, amount: Option<Amount>) {
        let mut running = self.lock();
        let Some(b) = running.get_mut(step) else { return };
        let other = doing.is_some();
        if let Some(doing) = doing {
            b.bar.set_message(doing);
        }
        let Some(a) = amount else {
            // A new activity without an amount. The old bar would stand still and estimate weeks.
            if other && b.unit.take().is_some() {
                b.bar.set_style(style(UNCOUNTED));
            }
            return;
        };
        let form = (a.unit, a.total.is_some());
        if b.unit != Some(form) {
            b.unit = Some(form);
            b.bar.set_style(style(match form {
                (Unit::Bytes, true) => {
                    "{spinner:.cyan} {prefix}  {bar:24.cyan/dim} {bytes} of {total_bytes}  {bytes_per_sec}  \
                     {eta} left  {wide_msg:.dim}"
                }
                (Unit::Bytes, false) => "{spinner:.cyan} {prefix}  {bytes}  {bytes_per_sec}  {wide_msg:.dim}",
                (Unit::Items, true) => "{spinner:.cyan} {prefix}  {bar:24.cyan/dim} {pos} of {len}  {wide_msg:.dim}",
                (Unit::Items, false) => "{spinner:.cyan} {prefix}  {pos}  {wide_msg:.dim}",
            }));
        }
        if let Some(total) = a.total {
            b.bar.set_length(total);
        }
        b.bar.set_position(a.done);
        if other {
            b.bar.reset_eta();
        }
    }

    fn end(&self, step: &str) {
        if let Some(b) = self.lock().remove(step) {
            b.bar.finish_and_clear();
            self.multi.remove(&b.bar);
        }
    }
}

impl Onlooker for ProgressBars {
    fn see(&self, event: Event) {
        match event {
            Event::Started { step, doing } => self.start(&step, &doing),
            Event::Progress { step, doing, amount } => self.progress(&step, doing, amount),
            Event::Done { step, did, took } => {
                self.end(&step);
                self.line(&format!("  ✓ {step}  {did}  {}", duration(took)));
            }
            Event::Failed { ref step, .. } => {
                self.end(step);
                self.line(&format!("  ✗ {}", line(&event).unwrap_or_default()));
            }
            Event::Note { .. } => self.line(&format!("  · {}", line(&event).unwrap_or_default())),
        }
    }
}

/// The style of a template; the default style if the template is invalid.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
