//! Plain lines for pipes and logs.

use super::{bytes, line};
use stackyard_core::progress::{Event, Onlooker, Unit};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A running step says at most so often how far it got.
const EVERY: Duration = Duration::from_secs(10);

/// Writes a line when a step starts and ends, and now and then in between.
pub struct Lines {
    start: Instant,
    spoke: Mutex<HashMap<String, Instant>>,
}

impl Lines {
    /// Lines are stamped with the seconds since now.
    pub fn new() -> Self {
        Self { start: Instant::now(), spoke: Mutex::default() }
    }

    fn due(&self, step: &str) -> bool {
        let mut spoke = self.spoke.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        match spoke.get_mut(step) {
            Some(last) if now.duration_since(*last) < EVERY => false,
            Some(last) => {
                *last = now;
                true
            }
            None => {
                spoke.insert(step.to_owned(), now);
                false
            }
        }
    }
}

impl Onlooker for Lines {
    fn see(&self, event: Event) {
        let text = match &event {
            Event::Progress { step, doing, amount } => {
                if !self.due(step) {
                    return;
                }
                let mut text = step.clone();
                if let Some(doing) = doing {
                    text += &format!(": {doing}");
                }
                if let Some(a) = amount {
                    let show = |n| if a.unit == Unit::Bytes { bytes(n) } else { n.to_string() };
                    text += &format!(": {}", show(a.done));
                    if let Some(total) = a.total {
                        text += &format!(" of {}", show(total));
                    }
                }
                text
            }
            other => match line(other) {
                Some(text) => text,
                None => return,
            },
        };
        eprintln!("[{:6.1}] {text}", self.start.elapsed().as_secs_f64());
    }
}
