//! A server for one test, and agents for it.

use futures_util::{SinkExt, StreamExt};
use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use stackyard_api::{JoinTicket, NewJoin, NewToken, Role};
use stackyard_client::Client;
use stackyard_core::agent::{Facts, JoinRequest, Joined, PROTOCOL, ToAgent, ToServer};
use stackyard_fake::Fake;
use stackyard_server::daemon::{self, Server, Settings};
use stackyard_server::hub::HubTiming;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Longer than anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs.
pub struct Running {
    pub server: Server,
    pub home: TempDir,
    /// Over the socket.
    pub admin: Client,
    pub url: String,
    pub ca: String,
}

impl Running {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), HubTiming::default()).await
    }

    /// One that knows the cloud `fake`.
    pub async fn start_with_cloud(fake: &Fake) -> Self {
        Self::start_with(fake, &[("fake", "p")], Settings::default()).await
    }

    /// One that knows these clouds, all of them the fake one, with their projects.
    pub async fn start_with(fake: &Fake, entries: &[(&str, &str)], settings: Settings) -> Self {
        let home = tempfile::tempdir().unwrap();
        let clouds = home.path().join("clouds.yaml");
        std::fs::write(&clouds, fake.clouds_yaml(entries)).unwrap();
        let settings = Settings { clouds: Some(clouds), ..settings };
        Self::start_as(home, settings, HubTiming::default()).await
    }

    pub async fn start_in(home: TempDir, timing: HubTiming) -> Self {
        Self::start_as(home, Settings::default(), timing).await
    }

    pub async fn start_as(home: TempDir, settings: Settings, timing: HubTiming) -> Self {
        // The second server of a test listens where the first did, as its settings say.
        let again = home.path().join("server/settings.json").exists();
        let listen = if again { Vec::new() } else { vec!["127.0.0.1:0".parse().unwrap()] };
        let server = Server::start_with(home.path(), Settings { listen, ..settings }, timing).await.unwrap();
        let listen: SocketAddr = server.listening()[0];
        let path = home.path().join("server/settings.json");
        let fixed = std::fs::read_to_string(&path).unwrap().replace("127.0.0.1:0\"", &format!("{listen}\""));
        std::fs::write(&path, fixed).unwrap();
        let admin = Client::socket(&daemon::socket(home.path())).unwrap();
        let url = format!("https://{listen}");
        let ca = std::fs::read_to_string(home.path().join("server/ca.pem")).unwrap();
        Self { server, home, admin, url, ca }
    }

    pub async fn stop(self) -> TempDir {
        self.server.stop().await;
        self.home
    }

    pub async fn token(&self, name: &str, role: Role) -> String {
        self.admin.new_token(&NewToken { name: name.to_owned(), role, ttl_s: None }).await.unwrap().token
    }

    pub fn client(&self, token: &str) -> Client {
        Client::https(&self.url, token, Some(&self.ca)).unwrap()
    }

    /// A client that trusts the server, and sends what it is told to.
    pub fn http(&self) -> reqwest::Client {
        let ca = reqwest::Certificate::from_pem_bundle(self.ca.as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only(ca).no_proxy().build().unwrap()
    }

    /// A request as anybody could send it: status and JSON.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let http = self.http();
        let method: Method = method.parse().unwrap();
        let mut request = http.request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let problem = status.is_client_error() || status.is_server_error();
        if problem {
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        }
        let text = response.text().await.unwrap();
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        if problem {
            assert_eq!(value["status"], json!(status.as_u16()));
        }
        (status, value)
    }

    pub async fn ticket(&self, join: NewJoin) -> JoinTicket {
        self.admin.new_join(&join).await.unwrap()
    }

    /// A host that joined.
    pub async fn host(&self, yard: &str, name: &str) -> Joined {
        let join = NewJoin {
            yard: yard.to_owned(),
            pool: Some("web".to_owned()),
            name: Some(name.to_owned()),
            ..NewJoin::default()
        };
        let ticket = self.ticket(join).await;
        let (status, answer) = self.join(&ticket.token, &request(name)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        serde_json::from_value(answer).unwrap()
    }

    pub async fn join(&self, token: &str, request: &JoinRequest) -> (StatusCode, Value) {
        self.call("POST", "/api/v1/join", Some(token), Some(&serde_json::to_value(request).unwrap())).await
    }

    /// An agent of a host that said hello.
    pub async fn agent(&self, token: &str, revision: Option<u64>) -> Agent {
        let mut agent = self.dial(token).await.unwrap();
        agent.send(&ToServer::Hello { protocol: PROTOCOL, facts: facts("m"), revision }).await;
        agent
    }

    /// A connection over which nothing was sent yet.
    pub async fn connection(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(self.server.listening()[0]).await?;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// A WebSocket without a hello.
    pub async fn dial(&self, token: &str) -> Result<Agent, Error> {
        let stream = self.connection().await?;
        let mut request = format!("{}/api/v1/agent", self.url.replace("https", "wss")).into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Agent(socket))
    }

    /// Waits until `condition` holds.
    pub async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let mut changes = self.server.app().hub().changes();
        let waiting = async {
            while !condition() {
                let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain: {what}");
    }
}

/// An agent's end of a connection.
pub struct Agent(WebSocketStream<TlsStream<TcpStream>>);

impl Agent {
    pub async fn send(&mut self, message: &ToServer) {
        self.text(serde_json::to_string(message).unwrap()).await;
    }

    pub async fn text(&mut self, text: String) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next message; nothing when the connection has ended. Pings are answered meanwhile.
    pub async fn next(&mut self) -> Option<ToAgent> {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("nothing came") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Why the server closes the connection, after whatever else it says.
    pub async fn closed(&mut self) -> String {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("it does not close") {
                Some(Ok(Message::Close(frame))) => return frame.map(|f| f.reason.to_string()).unwrap_or_default(),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return String::new(),
            }
        }
    }

    /// The next message, if it comes within a moment.
    pub async fn soon(&mut self) -> Option<ToAgent> {
        tokio::time::timeout(Duration::from_millis(300), self.next()).await.ok().flatten()
    }

    /// Whether nothing comes for a moment.
    pub async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(300), self.next()).await.is_err()
    }
}

pub fn facts(name: &str) -> Facts {
    Facts {
        machine_id: format!("id-of-{name}"),
        hostname: name.to_owned(),
        cpus: 2,
        memory: 4 << 30,
        ..Facts::default()
    }
}

/// A join as an agent asks for it; the nonce is the name's.
pub fn request(name: &str) -> JoinRequest {
    let nonce = format!("{name:0>64}");
    JoinRequest { facts: facts(name), name: name.to_owned(), labels: std::collections::BTreeMap::new(), nonce }
}

/// A browser that may have signed in.
pub struct Browser<'a> {
    pub running: &'a Running,
    pub cookie: String,
}

impl<'a> Browser<'a> {
    /// One that has not signed in.
    pub fn out(running: &'a Running) -> Self {
        Self { running, cookie: String::new() }
    }

    /// Signs in as the console does.
    pub async fn sign_in(running: &'a Running, token: &str) -> Self {
        Self::sign_in_with(running, &json!({"token": token})).await
    }

    /// Signs in with whatever it is.
    pub async fn sign_in_with(running: &'a Running, with: &Value) -> Self {
        let answer = Self::out(running).post("/api/v1/session", with).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        assert_eq!(status, StatusCode::OK, "{}", answer.text().await.unwrap());
        let set = headers[SET_COOKIE].to_str().unwrap().to_owned();
        for part in ["__Host-stackyard=sys_", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
            assert!(set.contains(part), "{part}");
        }
        for secret in with.as_object().unwrap().values().filter_map(Value::as_str) {
            assert!(!set.contains(secret));
        }
        Self { running, cookie: set.split(';').next().unwrap().to_owned() }
    }

    fn own(&self, request: RequestBuilder) -> RequestBuilder {
        let request = if self.cookie.is_empty() { request } else { request.header(COOKIE, &self.cookie) };
        request.header("sec-fetch-site", "same-origin")
    }

    pub async fn get(&self, path: &str) -> Response {
        self.own(self.running.http().get(format!("{}{path}", self.running.url))).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.running.http().post(format!("{}{path}", self.running.url)).json(body);
        self.own(request).header(ORIGIN, &self.running.url).send().await.unwrap()
    }

    pub async fn sign_out(&self) -> Response {
        let request = self.running.http().delete(format!("{}/api/v1/session", self.running.url));
        self.own(request).header(ORIGIN, &self.running.url).send().await.unwrap()
    }
}
