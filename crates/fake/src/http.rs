//! The fake cloud's HTTP side: one connection a request, delays, faults.

use crate::identity::{Caller, Identity, LoggedIn};
use crate::world::{Answer, Request, World};
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status; nothing is done.
    Status(u16),
    /// 503 with `Retry-After: 0`; nothing is done.
    Unavailable,
    /// The connection is dropped; nothing is done.
    Dropped,
    /// It is done, and the connection is dropped.
    AnswerLost,
    /// It is done, and the answer is 500.
    DoneButFailed,
    /// It is done, and the answer does not come.
    Silent,
    /// It is done, and the answer comes after a while.
    Late(Duration),
    /// It is done after a while, whether who asked still waits or not.
    DoneLate(Duration),
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
}

/// Decides on a fault by the request and its number, from 0, logins not counted.
type Judge = dyn Fn(usize, &Seen) -> Option<Fault> + Send + Sync;

struct Inner {
    world: Mutex<World>,
    identity: Mutex<Identity>,
    seen: Mutex<Vec<Seen>>,
    judge: Mutex<Option<Box<Judge>>>,
    /// Types of services that the catalog leaves out.
    without: Mutex<Vec<String>>,
    delay: Duration,
    address: String,
}

/// A fake cloud that listens on a port of this machine until the runtime ends.
#[derive(Clone)]
pub struct Fake(Arc<Inner>);

impl Fake {
    /// Starts one whose answers take `delay`.
    ///
    /// # Errors
    /// The system's, if there is no port.
    pub async fn start(delay: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let fake = Self(Arc::new(Inner {
            world: Mutex::new(World::new()),
            identity: Mutex::new(Identity::new()),
            seen: Mutex::default(),
            judge: Mutex::default(),
            without: Mutex::default(),
            delay,
            address: format!("http://{}", listener.local_addr()?),
        }));
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let fake = serving.clone();
                // A client that goes away does not stop what it asked for.
                tokio::spawn(async move { fake.serve(stream).await });
            }
        });
        Ok(fake)
    }

    /// Keystone's address.
    pub fn auth_url(&self) -> String {
        format!("{}/identity/v3", self.0.address)
    }

    /// A clouds.yaml with entries for this cloud, each with its name and its project.
    pub fn clouds_yaml(&self, entries: &[(&str, &str)]) -> String {
        let entry = |(name, project): &(&str, &str)| {
            format!(
                "  {name}:\n    auth: {{auth_url: \"{}\", username: u, password: p, project_name: {project}, \
                 user_domain_name: Default, project_domain_name: Default}}\n    region_name: R\n",
                self.auth_url()
            )
        };
        format!("clouds:\n{}", entries.iter().map(entry).collect::<String>())
    }

    /// Sets what goes wrong from now on, and begins to count anew.
    pub fn fail(&self, judge: impl Fn(usize, &Seen) -> Option<Fault> + Send + Sync + 'static) {
        lock(&self.0.seen).clear();
        *lock(&self.0.judge) = Some(Box::new(judge));
    }

    /// Leaves these types of services out of the catalog of later logins.
    pub fn without(&self, types: &[&str]) {
        *lock(&self.0.without) = types.iter().map(|t| (*t).to_owned()).collect();
    }

    /// Requests since the last [`Fake::fail`], logins not counted.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.0.seen).clone()
    }

    /// What there is.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = lock(&self.0.world);
        world.tick();
        world
    }

    /// Whom Keystone knows.
    pub fn identity(&self) -> MutexGuard<'_, Identity> {
        lock(&self.0.identity)
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let (method, target, headers, body) = read(&mut stream).await?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        if path.ends_with("/auth/tokens") {
            let logged_in = {
                let identity = self.identity();
                if identity.is_down() {
                    return None;
                }
                identity.log_in(&serde_json::from_slice(&body).unwrap_or_default())
            };
            return match logged_in {
                Some(who) => {
                    let said = format!("X-Subject-Token: {}\r\n", Caller::of(&who).token());
                    write(&mut stream, 201, &self.token(&who), &said).await
                }
                None => {
                    let said = json!({"error": {"message": "The request you have made requires authentication.", "code": 401}});
                    write(&mut stream, 401, &said, "").await
                }
            };
        }
        let fault = {
            let seen = Seen { method: method.clone(), path: path.to_owned() };
            let mut all = lock(&self.0.seen);
            let number = all.len();
            all.push(seen.clone());
            lock(&self.0.judge).as_ref().and_then(|judge| judge(number, &seen))
        };
        tokio::time::sleep(self.0.delay).await;
        match fault {
            Some(Fault::Status(status)) => {
                let said = json!({"error": {"message": "a fault was injected", "code": status}});
                return write(&mut stream, status, &said, "").await;
            }
            Some(Fault::Unavailable) => return write(&mut stream, 503, &Value::Null, "Retry-After: 0\r\n").await,
            Some(Fault::Dropped) => return None,
            Some(Fault::DoneLate(by)) => tokio::time::sleep(by).await,
            _ => {}
        }
        let (status, answer, said) = self.answer(&method, path, query, headers, &body);
        match fault {
            Some(Fault::AnswerLost) => None,
            Some(Fault::DoneButFailed) => write(&mut stream, 500, &Value::Null, "").await,
            Some(Fault::Silent) => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                None
            }
            _ => {
                if let Some(Fault::Late(by)) = fault {
                    tokio::time::sleep(by).await;
                }
                write(&mut stream, status, &answer, &said).await
            }
        }
    }

    fn answer(&self, method: &str, path: &str, query: &str, headers: Headers, body: &[u8]) -> (u16, Value, String) {
        let mut segments = path.trim_matches('/').split('/');
        let (service, _version) = (segments.next().unwrap_or_default(), segments.next());
        let request = Request {
            method,
            path: segments.collect(),
            query: {
                let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for (key, value) in query.split('&').filter_map(|p| p.split_once('=')) {
                    all.entry(decode(key)).or_default().push(decode(value));
                }
                all
            },
            headers,
            body: serde_json::from_slice(body).unwrap_or_default(),
        };
        let mut world = self.world();
        world.caller = Caller::parse(request.headers.get("x-auth-token").map_or("", String::as_str));
        let (status, answer): Answer = match service {
            "network" => world.network(&request),
            "compute" => world.compute(&request),
            "volume" => world.volume(&request),
            "image" => world.image(&request),
            "load-balancer" => world.load_balancer(&request),
            "object" => {
                let (status, answer, headers) = world.object_store(&request);
                let lines = headers.into_iter().map(|(k, v)| format!("{k}: {v}\r\n")).collect();
                return (status, answer, lines);
            }
            _ => (404, Value::Null),
        };
        (status, answer, String::new())
    }

    fn token(&self, who: &LoggedIn) -> Value {
        // The same services in both regions: what is told apart here is so everywhere.
        let service = |kind: &str, path: &str| {
            let url = format!("{}/{path}", self.0.address);
            let endpoints = ["R", "S"].map(|region| json!({"interface": "public", "url": url, "region": region}));
            json!({"type": kind, "endpoints": endpoints})
        };
        let mut catalog = vec![
            service("network", "network/v2.0"),
            service("compute", "compute/v2.1"),
            service("volumev3", "volume/v3/p1"),
            service("image", "image/v2"),
            service("load-balancer", "load-balancer/v2.0"),
            service("object-store", &format!("object/v1/AUTH_{}", Caller::of(who).project)),
        ];
        let without = lock(&self.0.without);
        catalog.retain(|s| !without.iter().any(|w| s["type"] == w.as_str()));
        let mut token = who.token();
        token["catalog"] = catalog.into();
        json!({"token": token})
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// Headers by their names in lower case.
type Headers = BTreeMap<String, String>;

async fn read(stream: &mut TcpStream) -> Option<(String, String, Headers, Vec<u8>)> {
    let mut data = Vec::new();
    let end = loop {
        if let Some(end) = data.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut data).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&data[..end]).into_owned();
    let mut words = head.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = head.lines().skip(1).filter_map(|l| l.split_once(':'));
    let headers: Headers = headers.map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_owned())).collect();
    let length: usize = headers.get("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    while data.len() < end + length {
        if stream.read_buf(&mut data).await.ok()? == 0 {
            return None;
        }
    }
    Some((method, target, headers, data[end..end + length].to_vec()))
}

async fn write(stream: &mut TcpStream, status: u16, body: &Value, headers: &str) -> Option<()> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
            }
            b'+' => out.push(b' '),
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
