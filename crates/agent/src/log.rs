//! Lines of the agent's log.

use stackyard_core::progress::Event;

/// A line about the agent itself.
pub(crate) fn agent_note(text: impl Into<String>) -> Event {
    Event::Note { step: Some("agent".to_owned()), text: text.into() }
}

/// A line about preparing the host.
pub(crate) fn host_note(text: impl Into<String>) -> Event {
    Event::Note { step: Some("host".to_owned()), text: text.into() }
}
