//! Plain lines for pipes and logs.

use super::{bytes, duration, line, to_stderr};
use stackyard_core::progress::{Amount, Event, Onlooker, Unit};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A running step says at most so often how far it got.
const EVERY: Duration = Duration::from_secs(10);

/// A running step that has nothing new to say repeats itself so often.
const AGAIN: Duration = Duration::from_secs(60);

/// Writes a line when a step starts and ends, and now and then in between.
pub struct Lines {
    start: Instant,
    steps: Mutex<HashMap<String, Spoken>>,
}

/// What was last said of a running step.
struct Spoken {
    at: Instant,
    text: String,
    /// When and where the amount that is counted now was first seen.
    from: Option<(Instant, Amount)>,
}

impl Lines {
    /// Lines are stamped with the seconds since now.
    pub fn new() -> Self {
        Self { start: Instant::now(), steps: Mutex::default() }
    }

    /// How a running step is doing, when it is time to say so.
    fn progress(&self, step: &str, doing: Option<&str>, amount: Option<Amount>, now: Instant) -> Option<String> {
        let mut steps = self.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fresh = !steps.contains_key(step);
        let spoken =
            steps.entry(step.to_owned()).or_insert_with(|| Spoken { at: now, text: String::new(), from: None });
        if let Some(a) = amount {
            // Another unit, or less than before: something else is counted now.
            match spoken.from {
                Some((_, f)) if f.unit == a.unit && f.total == a.total && f.done <= a.done => {}
                _ => spoken.from = Some((now, a)),
            }
        }
        if fresh || now.duration_since(spoken.at) < EVERY {
            return None;
        }
        let doing = doing.map(|d| format!(": {d}")).unwrap_or_default();
        let amount = amount.map(|a| counted(a, spoken.from, now)).unwrap_or_default();
        let text = format!("{step}{doing}{amount}");
        if text == spoken.text && now.duration_since(spoken.at) < AGAIN {
            return None;
        }
        (spoken.at, spoken.text) = (now, text.clone());
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

impl Onlooker for Lines {
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
    fn a_step_that_waits_says_so_once_a_minute() {
        let lines = Lines::new();
        let says =
            |doing, seconds| lines.progress("web", Some(doing), None, lines.start + Duration::from_secs(seconds));
        assert_eq!(says("waits", 0), None);
        assert_eq!(says("waits", 9), None);
        assert_eq!(says("waits", 10).as_deref(), Some("web: waits"));
        assert_eq!(says("waits", 69), None);
        assert_eq!(says("waits", 70).as_deref(), Some("web: waits"));
        assert_eq!(says("starts", 79), None);
        assert_eq!(says("starts", 80).as_deref(), Some("web: starts"));
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
