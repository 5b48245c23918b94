//! Joins: bodies of `POST /api/v1/join` with a good join token, to a real server. Whoever has joined
//! and asks again with the same nonce is the same host.
#![no_main]

#[path = "shared/scratch.rs"]
mod scratch;
#[path = "shared/server.rs"]
mod server;

use libfuzzer_sys::fuzz_target;
use stackyard_core::agent::Joined;
use std::cell::RefCell;

thread_local! {
    static SERVER: RefCell<(server::Asked, Option<String>)> = RefCell::new((server::Asked::start(), None));
}

fuzz_target!(|data: &[u8]| {
    SERVER.with_borrow_mut(|(server, unused)| {
        if server.renew() {
            *unused = None;
        }
        let token = unused.take().unwrap_or_else(|| server.ticket());
        let (status, answer) = server.ask("POST", "/api/v1/join", Some(&token), data);
        if status != 200 {
            *unused = Some(token);
            return;
        }
        let joined: Joined = serde_json::from_slice(&answer).expect("a host");
        let (status, answer) = server.ask("POST", "/api/v1/join", Some(&token), data);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        let again: Joined = serde_json::from_slice(&answer).expect("a host");
        assert!(again.host == joined.host && again.token != joined.token);
        let path = format!("/api/v1/hosts/{}", joined.host);
        assert_eq!(server.ask("GET", &path, None, b"").0, 200);
        assert_eq!(server.ask("DELETE", &path, None, b"").0, 204);
    });
});
