//! One JSON object a line.

use serde::Serialize;
use stackyard_core::progress::{Event, Onlooker};
use std::io::Write;

/// Writes every event to standard output.
pub struct Json;

impl Onlooker for Json {
    fn see(&self, event: Event) {
        print(&event);
    }
}

/// Writes one object to standard output.
pub fn print(event: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(event) {
        // A reader that went away must not stop the work.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}
