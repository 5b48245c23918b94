//! A real server in this process, asked over its socket. A panic in any of its tasks ends the
//! process, which is what a fuzzer looks for.

use stackyard_core::agent::{Facts, JoinRequest, Joined};
use stackyard_server::daemon::{self, Server, Settings};
use stackyard_server::hub::Timing;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::Runtime;

/// After so many requests there is another server: what the store keeps does not grow for ever.
const REQUESTS: u32 = 50_000;

/// Longer than an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A server.
pub struct Asked {
    pub runtime: Runtime,
    home: PathBuf,
    server: Option<Server>,
    requests: u32,
}

impl Asked {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let mut asked = Self { runtime: runtime.expect("a runtime"), home: PathBuf::new(), server: None, requests: 0 };
        asked.renew();
        asked
    }

    /// Starts another server on an empty store, if this one has answered enough; whether it did.
    pub fn renew(&mut self) -> bool {
        if self.server.is_some() && self.requests < REQUESTS {
            return false;
        }
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
            let _ = std::fs::remove_dir_all(&self.home);
        }
        self.home = super::scratch::folder();
        let settings = Settings { listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))], ..Settings::default() };
        let timing = Timing { patience: Duration::from_secs(2), ..Timing::default() };
        let server = self.runtime.block_on(Server::start_with(&self.home, settings, timing));
        self.server = Some(server.expect("the server starts"));
        self.requests = 0;
        true
    }

    /// Where it listens, and its CA (PEM).
    #[allow(dead_code, reason = "not every target needs it")]
    pub fn https(&self) -> (SocketAddr, String) {
        let server = self.server.as_ref().expect("a server");
        let ca = std::fs::read_to_string(daemon::dir(&self.home).join("ca.pem")).expect("a CA");
        (server.listening()[0], ca)
    }

    /// Sends a request: status and body of the answer. The server's own failures end the process.
    pub fn ask(&mut self, method: &str, path: &str, token: Option<&str>, body: &[u8]) -> (u16, Vec<u8>) {
        self.requests += 1;
        let mut stream = UnixStream::connect(daemon::socket(&self.home)).expect("the server takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let bearer = token.map(|t| format!("authorization: Bearer {t}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\n{bearer}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).expect("the server takes a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap_or_else(|e| panic!("{method} {path} is not answered: {e}"));
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("an answer with a head");
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        assert!(!head.contains("\r\ntransfer-encoding:"), "{method} {path} is a stream");
        let status: u16 = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let answer = answer.split_off(end + 4);
        assert!(status < 500, "{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
        if status >= 400 {
            let problem: serde_json::Value = serde_json::from_slice(&answer).expect("problem details");
            assert_eq!(problem["status"], status, "{method} {path}");
        }
        (status, answer)
    }

    /// A join token.
    #[allow(dead_code, reason = "not every target needs it")]
    pub fn ticket(&mut self) -> String {
        let (status, answer) = self.ask("POST", "/api/v1/joins", None, br#"{"yard":"shop","pool":"web"}"#);
        assert_eq!(status, 201);
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// A host that joined.
    #[allow(dead_code, reason = "not every target needs it")]
    pub fn host(&mut self, name: &str) -> Joined {
        let ticket = self.ticket();
        let (facts, nonce) = (Facts { machine_id: name.to_owned(), ..Facts::default() }, "0".repeat(64));
        let request = JoinRequest { facts, name: name.to_owned(), labels: [].into(), nonce };
        let body = serde_json::to_vec(&request).expect("JSON");
        let (status, answer) = self.ask("POST", "/api/v1/join", Some(&ticket), &body);
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).expect("a host")
    }
}
