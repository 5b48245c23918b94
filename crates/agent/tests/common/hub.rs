//! A server that does what its test says: TLS, joins, the agents' WebSocket, images, archives. It keeps the
//! contract of `stackyard_core::agent` and nothing more.

use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use stackyard_core::agent::{Answer, Ask, Desired, Facts, JoinRequest, Joined, Report, ToAgent, ToServer, cost};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// A hub on a port of 127.0.0.1 that stays its own over restarts.
pub struct Hub {
    pub ca: String,
    pub port: u16,
    tls: TlsAcceptor,
    pub inner: Arc<Inner>,
    running: Option<tokio::task::JoinSet<()>>,
}

/// Answers questions of agents.
type Answers = dyn Fn(&Ask) -> Answer + Send + Sync;

/// What the hub knows.
pub struct Inner {
    /// Join tokens, with the nonce that used them up.
    pub joins: Mutex<HashMap<String, Option<String>>>,
    /// Tokens of agents.
    pub tokens: Mutex<Vec<String>>,
    /// So many answers to joins get lost.
    pub lose: Mutex<usize>,
    pub desired: watch::Sender<Option<Desired>>,
    pub report: watch::Sender<Option<Report>>,
    pub hello: watch::Sender<Option<(Facts, Option<u64>)>>,
    /// Images by reference and id, as `docker save`.
    pub images: Mutex<HashMap<(String, String), Vec<u8>>>,
    /// Archives by digest.
    pub archives: Mutex<HashMap<String, Vec<u8>>>,
    /// Times that images or archives were asked for.
    pub fetched: Mutex<usize>,
    /// Answers questions; without one, none is answered.
    answers: Mutex<Option<Box<Answers>>>,
    /// To the connected agent.
    orders: Mutex<Option<mpsc::Sender<ToAgent>>>,
    /// What streams said.
    pub said: Mutex<Vec<ToServer>>,
    /// Streams that nobody reads: what they say is seen here, and not taken.
    unread: Mutex<HashSet<u64>>,
}

impl Hub {
    pub async fn start() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_cert = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let cert = params.signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(cert.der().to_vec())],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let inner = Inner {
            joins: Mutex::default(),
            tokens: Mutex::default(),
            lose: Mutex::default(),
            desired: watch::Sender::default(),
            report: watch::Sender::default(),
            hello: watch::Sender::default(),
            images: Mutex::default(),
            archives: Mutex::default(),
            fetched: Mutex::default(),
            answers: Mutex::default(),
            orders: Mutex::default(),
            said: Mutex::default(),
            unread: Mutex::default(),
        };
        let mut hub = Self {
            ca: ca_cert.pem(),
            port: 0,
            tls: TlsAcceptor::from(Arc::new(tls)),
            inner: Arc::new(inner),
            running: None,
        };
        hub.listen().await;
        hub
    }

    /// Begins to answer.
    pub async fn listen(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        self.port = listener.local_addr().unwrap().port();
        let (tls, inner) = (self.tls.clone(), self.inner.clone());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, inner) = (tls.clone(), inner.clone());
                connections.spawn(async move {
                    if let Ok(stream) = tls.accept(stream).await {
                        inner.answer(stream).await;
                    }
                });
            }
        });
        self.running = Some(tasks);
    }

    /// Is gone, with all its connections.
    pub async fn vanish(&mut self) {
        if let Some(mut tasks) = self.running.take() {
            tasks.shutdown().await;
        }
        *self.inner.orders.lock().unwrap() = None;
        self.inner.report.send_replace(None);
        self.inner.hello.send_replace(None);
    }

    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Waits for a report that `wanted` likes.
    pub async fn report(&self, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
        let mut reports = self.inner.report.subscribe();
        let liked = reports.wait_for(|r| r.as_ref().is_some_and(&wanted));
        match tokio::time::timeout(Duration::from_secs(60), liked).await {
            Ok(report) => report.unwrap().clone().unwrap(),
            Err(_) => panic!("no report: {what}; the last one: {:#?}", self.inner.report.borrow()),
        }
    }

    pub async fn order(&self, order: ToAgent) {
        let orders = self.inner.orders.lock().unwrap().clone();
        orders.expect("an agent is connected").send(order).await.unwrap();
    }

    /// Answers questions from now on.
    pub fn answer_with(&self, answers: impl Fn(&Ask) -> Answer + Send + Sync + 'static) {
        *self.inner.answers.lock().unwrap() = Some(Box::new(answers));
    }

    /// Nobody reads a stream that will be opened.
    pub fn leave_unread(&self, stream: u64) {
        self.inner.unread.lock().unwrap().insert(stream);
    }

    /// Somebody reads a stream from now on.
    pub async fn read(&self, stream: u64) {
        let bytes = {
            // What comes from now on finds that it is read.
            let said = self.inner.said.lock().unwrap();
            self.inner.unread.lock().unwrap().remove(&stream);
            said.iter()
                .map(|m| {
                    if let ToServer::Chunk { stream: s, data, .. } = m
                        && *s == stream
                    {
                        cost(data.0.len())
                    } else {
                        0
                    }
                })
                .sum()
        };
        self.order(ToAgent::Credit { stream, bytes }).await;
    }

    /// Waits until what a stream said is as `wanted` likes; gives its bytes, and its end.
    pub async fn stream(
        &self,
        wanted: u64,
        done: impl Fn(&str, Option<&ToServer>) -> bool,
    ) -> (String, Option<ToServer>) {
        for _ in 0..600 {
            {
                let said = self.inner.said.lock().unwrap();
                let chunk = |m: &ToServer| match m {
                    ToServer::Chunk { stream, data, .. } if *stream == wanted => {
                        Some(String::from_utf8_lossy(&data.0).into_owned())
                    }
                    _ => None,
                };
                let text: String = said.iter().filter_map(chunk).collect();
                let end = said.iter().find(|m| matches!(m, ToServer::End { stream, .. } if *stream == wanted));
                if done(&text, end) {
                    return (text, end.cloned());
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("stream {wanted}: {:?}", self.inner.said.lock().unwrap());
    }
}

impl Inner {
    async fn answer(&self, mut stream: TlsStream<TcpStream>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let header = |name: &str| {
            head.lines().find_map(|l| {
                let (key, value) = l.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        let token = header("authorization").and_then(|a| a.strip_prefix("Bearer ").map(str::to_owned));
        let token = token.unwrap_or_default();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        if target == "/api/v1/join" {
            let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
            stream.read_exact(&mut body).await.unwrap();
            let answer = self.join(&token, &serde_json::from_slice(&body).unwrap());
            if std::mem::replace(&mut *self.lose.lock().unwrap(), 0) > 0 {
                return;
            }
            match answer {
                Some(joined) => reply(&mut stream, 200, &serde_json::to_vec(&joined).unwrap()).await,
                None => reply(&mut stream, 401, br#"{"error": "the join token is used up"}"#).await,
            }
        } else if !self.tokens.lock().unwrap().contains(&token) {
            reply(&mut stream, 401, br#"{"error": "unknown token"}"#).await;
        } else if target == "/api/v1/agent" {
            let key = derive_accept_key(header("sec-websocket-key").unwrap().as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-accept: {key}\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            self.talk(WebSocketStream::from_raw_socket(stream, Role::Server, None).await).await;
        } else if let Some(digest) = target.strip_prefix("/api/v1/archives/") {
            *self.fetched.lock().unwrap() += 1;
            let archive = self.archives.lock().unwrap().get(digest).cloned();
            match archive {
                Some(archive) => reply(&mut stream, 200, &archive).await,
                None => reply(&mut stream, 404, br#"{"error": "no such archive"}"#).await,
            }
        } else if let Some(query) = target.strip_prefix("/api/v1/images?") {
            *self.fetched.lock().unwrap() += 1;
            let value = |name: &str| {
                let value = query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
                value.unwrap().replace("%2F", "/").replace("%3A", ":")
            };
            let image = self.images.lock().unwrap().get(&(value("reference"), value("id"))).cloned();
            match image {
                Some(image) => reply(&mut stream, 200, &image).await,
                None => reply(&mut stream, 404, br#"{"error": "no such image"}"#).await,
            }
        } else {
            reply(&mut stream, 404, b"").await;
        }
    }

    /// As the contract says: once for each token, and again for the same nonce.
    fn join(&self, token: &str, request: &JoinRequest) -> Option<Joined> {
        let mut joins = self.joins.lock().unwrap();
        let used = joins.get_mut(token)?;
        if used.as_ref().is_some_and(|nonce| *nonce != request.nonce) {
            return None;
        }
        *used = Some(request.nonce.clone());
        let mut tokens = self.tokens.lock().unwrap();
        let fresh = format!("agent-token-{}", rand::random::<u64>());
        tokens.clear();
        tokens.push(fresh.clone());
        Some(Joined { host: "host-1".into(), token: fresh })
    }

    /// Keeps what a stream says; the credit for it, if a test reads it, or the answer to a question.
    fn hear(&self, message: ToServer) -> Option<ToAgent> {
        if let (ToServer::Ask { number, ask }, Some(answers)) = (&message, &*self.answers.lock().unwrap()) {
            return Some(ToAgent::Answer { number: *number, answer: answers(ask) });
        }
        let mut said = self.said.lock().unwrap();
        let credit = match &message {
            ToServer::Chunk { stream, data, .. } if !self.unread.lock().unwrap().contains(stream) => {
                Some(ToAgent::Credit { stream: *stream, bytes: cost(data.0.len()) })
            }
            _ => None,
        };
        said.push(message);
        credit
    }

    async fn talk(&self, socket: WebSocketStream<TlsStream<TcpStream>>) {
        let (mut sink, mut source) = socket.split();
        let (orders, mut queue) = mpsc::channel(16);
        *self.orders.lock().unwrap() = Some(orders);
        let mut desired = self.desired.subscribe();
        desired.mark_changed();
        loop {
            let order = tokio::select! {
                message = source.next() => {
                    let Some(Ok(message)) = message else { return };
                    let Message::Text(text) = message else { continue };
                    match serde_json::from_str(&text).unwrap() {
                        ToServer::Hello { facts, revision, .. } => drop(self.hello.send_replace(Some((facts, revision)))),
                        ToServer::Report(report) => drop(self.report.send_replace(Some(*report))),
                        other => {
                            if let Some(credit) = self.hear(other) {
                                sink.send(Message::text(serde_json::to_string(&credit).unwrap())).await.ok();
                            }
                        }
                    }
                    continue;
                }
                Ok(()) = desired.changed() => match desired.borrow_and_update().clone() {
                    Some(desired) => ToAgent::Desired(Box::new(desired)),
                    None => continue,
                },
                Some(order) = queue.recv() => order,
            };
            if sink.send(Message::text(serde_json::to_string(&order).unwrap())).await.is_err() {
                return;
            }
        }
    }
}

async fn reply(stream: &mut TlsStream<TcpStream>, status: u16, body: &[u8]) {
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body).await;
    let _ = stream.shutdown().await;
}
