//! A small HTTP server that answers by script and can misbehave, for faults that no real cloud
//! makes on demand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stackyard_openstack::{Cloud, CloudConfig, CloudEntry, Options, RetryPolicy};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request, as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How many requests of this method and path there were before.
    pub before: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What to do with one.
pub enum Reply {
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Close the connection without a word.
    Drop,
    /// Promise more bytes than come.
    Cut,
    /// Say nothing for long.
    Hang,
}

pub fn ok(body: Value) -> Reply {
    status(200, body)
}

pub fn status(code: u16, body: Value) -> Reply {
    Reply::Answer(code, Vec::new(), body.to_string().into_bytes())
}

pub fn with(code: u16, header: (&'static str, &str), body: Value) -> Reply {
    Reply::Answer(code, vec![(header.0, header.1.to_owned())], body.to_string().into_bytes())
}

type Script = dyn Fn(&Request, &str) -> Reply + Send + Sync;

/// The server.
#[derive(Clone)]
pub struct Server {
    pub origin: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves logins itself (tokens `token-1`, `token-2` ... good for `seconds`), everything else
    /// by script, which is told the request and the server's address.
    pub async fn start(seconds: i64, script: impl Fn(&Request, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let origin = format!("http://{}", listener.local_addr().expect("address"));
        let server = Self { origin, log: Arc::default() };
        let shared = server.clone();
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(shared.clone().serve(stream, seconds, script.clone()));
            }
        });
        server
    }

    /// The same over TLS.
    #[allow(dead_code, reason = "not every test that shares this module speaks TLS")]
    pub async fn start_tls(tls: TlsAcceptor, script: impl Fn(&Request, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let origin = format!("https://{}", listener.local_addr().expect("address"));
        let server = Self { origin, log: Arc::default() };
        let shared = server.clone();
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, shared, script) = (tls.clone(), shared.clone(), script.clone());
                tokio::spawn(async move {
                    // A client that does not trust it hangs up.
                    if let Ok(stream) = tls.accept(stream).await {
                        shared.serve(stream, 86_400, script).await;
                    }
                });
            }
        });
        server
    }

    pub fn log(&self) -> Vec<Request> {
        self.log.lock().expect("log").clone()
    }

    /// How often this method and path were asked for.
    pub fn count(&self, line: &str) -> usize {
        self.log().iter().filter(|r| r.line() == line).count()
    }

    pub fn config(&self) -> CloudConfig {
        CloudConfig::from_entry(
            "scripted",
            &CloudEntry {
                auth_url: format!("{}/identity/v3", self.origin),
                username: "ann".into(),
                password: "pa55word".into(),
                project_name: "shop".into(),
                domain_name: "Default".into(),
                region_name: "R".into(),
                cacert: None,
            },
        )
    }

    pub async fn cloud(&self) -> Cloud {
        Cloud::connect(self.config(), quick()).await.expect("login")
    }

    async fn serve(self, mut stream: impl AsyncRead + AsyncWrite + Unpin, seconds: i64, script: Arc<Script>) {
        let Some(mut request) = read(&mut stream).await else { return };
        {
            let mut log = self.log.lock().expect("log");
            request.before = log.iter().filter(|r| r.line() == request.line()).count();
            log.push(request.clone());
        }
        let reply = match request.line().as_str() {
            "POST /identity/v3/auth/tokens" => {
                with(201, ("x-subject-token", &format!("token-{}", request.before + 1)), token(&self.origin, seconds))
            }
            _ => script(&request, &self.origin),
        };
        let (code, headers, body) = match reply {
            Reply::Answer(code, headers, body) => (code, headers, body),
            Reply::Drop => return,
            Reply::Cut => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half").await;
                return;
            }
            Reply::Hang => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return;
            }
        };
        let mut head = format!("HTTP/1.1 {code} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let _ = stream.write_all(format!("{head}\r\n").as_bytes()).await;
        let _ = stream.write_all(&body).await;
        let _ = stream.shutdown().await;
    }
}

/// Options whose retries do not take long.
pub fn quick() -> Options {
    let retry = RetryPolicy { attempts: 4, first_wait: Duration::from_millis(5), longest_wait: Duration::from_secs(3) };
    Options { retry, timeout: Duration::from_secs(3), ..Options::default() }
}

/// The body of a login's answer, with a catalog that leads back here.
pub fn token(origin: &str, seconds: i64) -> Value {
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let services: Vec<_> = [
        ("compute", "/compute/v2.1"),
        ("network", "/network"),
        ("image", "/image"),
        ("object-store", "/swift/v1/AUTH_p1"),
        ("volumev3", "/volume/v3/p1"),
    ]
    .iter()
    .map(|(kind, path)| {
        let endpoint =
            json!({"interface": "public", "region": "R", "region_id": "R", "url": format!("{origin}{path}")});
        json!({"type": kind, "name": kind, "endpoints": [endpoint]})
    })
    .collect();
    json!({"token": {
        "expires_at": expires.to_string(), "user": {"id": "u1", "name": "ann", "domain": {"id": "default"}},
        "project": {"id": "p1", "name": "shop"}, "roles": [{"id": "r1", "name": "member"}], "catalog": services,
    }})
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut body = bytes.split_off(end + 4);
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let length =
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-length")).and_then(|(_, v)| v.parse().ok());
    while body.len() < length.unwrap_or(0) {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body, before: 0 })
}
