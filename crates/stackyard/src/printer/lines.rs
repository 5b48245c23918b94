//! Progress as plain lines, for pipes and logs.

use super::streams::to_stderr;
use super::{bytes, duration, line};
use parking_lot::Mutex;
use stackyard_core::progress::{Amount, Event, Onlooker, Unit};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Shortest time between two lines of a running step.
const EVERY: Duration = Duration::from_secs(10);

/// Time after which a running step repeats an unchanged line.
const AGAIN: Duration = Duration::from_secs(60);

/// Prints a line when a step starts and ends, and at intervals in between.
pub struct ProgressLines {
    start: Instant,
    steps: Mutex<HashMap<String, LastLine>>,
}

/// The last line of a running step.
struct LastLine {
    at: Instant,
    text: String,
    /// Time and value of the first amount in the present count, from which the rate is calculated.
    from: Option<(Instant, Amount)>,
}

impl ProgressLines {
    /// A printer whose lines show the seconds since now.
    pub fn new() -> Self {
        Self { start: Instant::now(), steps: Mutex::default() }
    }

    /// The next line of a running step; `None` if it is too early for one.
    fn progress(&self, step: &str, doing: Option<&str>, amount: Option<Amount>, now: Instant) -> Option<String> {
        let mut steps = self.steps.lock();
        let fresh = !steps.contains_key(step);
        let last =
            steps.entry(step.to_owned()).or_insert_with(|| LastLine { at: now, text: String::new(), from: None });
        if let Some(a) = amount {
            // Another unit, or less than before: this is a new count.
            match last.from {
                Some((_, f)) if f.unit == a.unit && f.total == a.total && f.done <= a.done => {}
                _ => last.from = Some((now, a)),
            }
        }
        if fresh || now.duration_since(last.at) < EVERY {
            return None;
        }
        let doing = doing.map(|d| format!(": {d}")).unwrap_or_default();
        let amount = amount.map(|a| counted(a, last.from, now)).unwrap_or_default();
        let text = format!("{step}{doing}{amount}");
        if text == last.text && now.duration_since(last.at) < AGAIN {
            return None;
        }
        (last.at, last.text) = (now, text.clone());
        Some(text)
    }
}

/// `: 5.0 MiB of 20.0 MiB, 1.0 MiB/s, 15 s left`
fn counted(a: Amount, from: Option<(Instant, Amount)>, now: Instant) -> String {
    let show = |n| if a.unit == Unit::Bytes { bytes(n) } else { n.to_string() };
    let mut text = format!(": {}", show(a.done));
    if let Some(total) = a.total {
        text += &format!(" of {}", show(total));
    }
    let Some((began, first)) = from.filter(|_| a.unit == Unit::Bytes) else { return text };
    let seconds = now.duration_since(began).as_secs_f64();
    let done = a.done - first.done;
    if seconds < 1.0 || done == 0 {
        return text;
    }
    let rate = done as f64 / seconds;
    text += &format!(", {}/s", bytes(rate as u64));
    if let Some(left) = a.total.and_then(|t| t.checked_sub(a.done)) {
        text += &format!(", {} left", duration(Duration::from_secs_f64(left as f64 / rate)));
    }
    text
}

impl Onlooker for ProgressLines {
    fn see(&self, event: Event) {
        let text = match &event {
            Event::Progress { step, doing, amount } => {
                match self.progress(step, doing.as_deref(), *amount, Instant::now()) {
                    Some(text) => text,
                    None => return,
                }
            }
            other => match line(other) {
                Some(text) => text,
                None => return,
            },
        };
        to_stderr(&format!("[{:6.1}] {text}\n", self.start.elapsed().as_secs_f64()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_step_prints_one_line_a_minute() {
        let lines = ProgressLines::new();
        let next =
            |doing, seconds| lines.progress("web", Some(doing), None, lines.start + Duration::from_secs(seconds));
        assert_eq!(next("waits", 0), None);
        assert_eq!(next("waits", 9), None);
        assert_eq!(next("waits", 10).as_deref(), Some("web: waits"));
        assert_eq!(next("waits", 69), None);
        assert_eq!(next("waits", 70).as_deref(), Some("web: waits"));
        assert_eq!(next("starts", 79), None);
        assert_eq!(next("starts", 80).as_deref(), Some("web: starts"));
    }

    #[test]
    fn bytes_have_a_rate_and_a_time_left() {
        let began = Instant::now();
        let amount = |done, unit| Amount { done, total: Some(20 << 20), unit };
        let from = Some((began, amount(1 << 20, Unit::Bytes)));
        let now = began + Duration::from_secs(4);
        let text = counted(amount(5 << 20, Unit::Bytes), from, now);
        assert_eq!(text, ": 5.0 MiB of 20.0 MiB, 1.0 MiB/s, 15 s left");
        assert_eq!(counted(Amount { done: 3, total: Some(9), unit: Unit::Items }, None, now), ": 3 of 9");
        assert_eq!(counted(amount(1 << 20, Unit::Bytes), from, now), ": 1.0 MiB of 20.0 MiB");
    }
}
