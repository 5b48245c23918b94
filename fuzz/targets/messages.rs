//! What agents and servers say to each other, and an agent's configuration: what was read, written
//! and read again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stackyard_core::agent::{AgentConfig, JoinRequest, Joined, ToAgent, ToServer};

fuzz_target!(|data: &[u8]| {
    again::<ToServer>(data);
    again::<ToAgent>(data);
    again::<JoinRequest>(data);
    again::<Joined>(data);
    again::<AgentConfig>(data);
});

fn again<T: Serialize + DeserializeOwned + PartialEq>(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(data) {
        let text = serde_json::to_vec(&value).expect("it can be written");
        assert!(serde_json::from_slice::<T>(&text).expect("what was written reads") == value);
    }
}
