//! One JSON object per line.

use super::streams::to_stdout;
use serde::Serialize;
use stackyard_core::progress::{Event, Onlooker};

/// Writes every event to standard output.
pub struct JsonEvents;

impl Onlooker for JsonEvents {
    fn see(&self, event: Event) {
        print(&event);
    }
}

/// Writes one object to standard output.
pub fn print(event: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(event) {
        // The work continues if the reader has gone away.
        let _ = to_stdout(format!("{text}\n").as_bytes());
    }
}
