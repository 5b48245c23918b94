//! Requests to the API of a real server: a line with method and path, then the body. Nothing is
//! answered with a failure of the server, and what was changed can be read.
#![no_main]

#[path = "shared/scratch.rs"]
mod scratch;
#[path = "shared/server.rs"]
mod server;

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tokio_tungstenite::tungstenite::http::Uri;

/// What reaches out to other machines, waits, or answers for ever.
const LEFT_OUT: [&str; 5] = ["ssh-joins", "/logs", "/exec", "/events", "wait"];

thread_local! {
    static SERVER: RefCell<server::Asked> = RefCell::new(server::Asked::start());
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let line = parts.next().and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    let Some((method, path)) = line.split_once(' ') else { return };
    // What is no URI is refused by the HTTP library, without a body, before anything of ours sees it.
    let plain = path.chars().all(|c| c.is_ascii_graphic()) && path.parse::<Uri>().is_ok();
    if !["GET", "PUT", "POST", "DELETE"].contains(&method) || !plain || !path.starts_with("/api/v1/") {
        return;
    }
    if LEFT_OUT.iter().any(|out| path.contains(out)) {
        return;
    }
    SERVER.with_borrow_mut(|server| {
        server.renew();
        let (status, _) = server.ask(method, path, None, body);
        if method == "PUT" && status < 300 {
            let (status, answer) = server.ask("GET", path, None, b"");
            assert_eq!(status, 200, "GET {path}: {}", String::from_utf8_lossy(&answer));
        }
    });
});
