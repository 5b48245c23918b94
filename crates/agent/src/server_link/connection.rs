//! The connection to the server.

use super::ServerAccess;
use super::http::{CONNECT, refused, said};
use super::rpc::RpcClient;
use crate::Error;
use crate::backoff::{Backoff, LONGEST_PAUSE};
use crate::context::Context;
use crate::facts;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use rustls::pki_types::ServerName;
use stackyard_core::agent::{PROTOCOL, Report, ToAgent, ToServer};
use stackyard_core::text::error_chain;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

/// Time for TLS and the WebSocket handshake.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// How often the server is asked for a sign of life.
const PING: Duration = Duration::from_secs(15);

/// How long the first message waits for Docker Engine, whose version it tells.
const ENGINE: Duration = Duration::from_secs(3);

/// Silence after which the server counts as dead.
const DEAD: Duration = Duration::from_secs(45);

/// A connection that lasted so long was a good one: the next one is tried soon.
const GOOD: Duration = Duration::from_secs(30);

/// Largest message, in bytes: a whole picture with the files of all configs.
const LARGEST: usize = 64 << 20;

/// Messages of streams that wait to be sent; who writes more waits.
const QUEUE: usize = 32;

const CALL: &str = "connect";

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Acts on what happens on the connection.
pub(crate) trait ConnectionHandler {
    /// A connection to `server` is there.
    fn connected(&self, server: &str);
    /// There is none any more, or none yet, because of `problem`.
    fn cut_off(&self, problem: &str);
    /// Revision of the desired state that is on disk.
    fn revision(&self) -> Option<u64>;
    /// Begins to serve a connection, whose messages to the server go to `out`.
    fn begin(&self, out: mpsc::Sender<ToServer>) -> Box<dyn ConnectionSession>;
}

/// Serves one connection; dropped when that ends.
pub(crate) trait ConnectionSession: Send {
    /// Acts on a message, which is no answer to a question.
    ///
    /// # Errors
    /// Why the connection has to end.
    fn handle(&mut self, message: ToAgent) -> Result<(), Error>;
}

/// Keeps a connection to one of the servers. Returns when a server refuses this host.
pub(crate) async fn keep(
    context: &Context,
    rpc: &RpcClient,
    access: &ServerAccess,
    reports: &watch::Receiver<Option<Report>>,
    handler: &dyn ConnectionHandler,
) -> Error {
    let mut backoff = Backoff::new(Duration::from_secs(1), LONGEST_PAUSE);
    let mut before = String::new();
    loop {
        for server in &access.servers {
            let begun = Instant::now();
            let problem = match connect(server, access).await {
                Err(refused @ Error::Refused { .. }) => return refused,
                Err(e) => error_chain(&e),
                Ok(socket) => {
                    context.say(format!("connected to {server}"));
                    handler.connected(server);
                    before.clear();
                    let problem = talk(socket, context, rpc, reports.clone(), handler).await;
                    format!("the connection to {server} has ended: {problem}")
                }
            };
            if problem != before {
                context.say(format!("{problem}; containers go on, the server is called again"));
            }
            handler.cut_off(&problem);
            before = problem;
            if begun.elapsed() > GOOD {
                backoff.reset();
            }
        }
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn connect(server: &str, access: &ServerAccess) -> Result<Socket, Error> {
    let failed = |problem: String| Error::Server { doing: CALL, server: server.to_owned(), problem };
    let (host, port) = host_and_port(server).ok_or_else(|| failed("an address is https://host:port".into()))?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|e| failed(error_chain(&e)))?;
    let stream = timeout(CONNECT, TcpStream::connect(format!("{host}:{port}"))).await;
    let stream = stream.map_err(|_| failed("no answer".into()))?.map_err(|e| failed(error_chain(&e)))?;
    let _ = stream.set_nodelay(true);
    let mut request =
        format!("wss://{host}:{port}/api/v1/agent").into_client_request().map_err(|e| failed(error_chain(&e)))?;
    let bearer = format!("Bearer {}", access.identity.token);
    let mut bearer: tungstenite::http::HeaderValue =
        bearer.parse().map_err(|_| failed("this host's token is no token".into()))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let config = WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(8 << 10)
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST));
    let handshake = async {
        let stream = TlsConnector::from(access.client.tls.clone()).connect(name, stream).await;
        let stream = stream.map_err(|e| failed(error_chain(&e)))?;
        match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => Ok(socket),
            Err(tungstenite::Error::Http(answer)) => {
                let words = said(answer.body().as_deref().unwrap_or_default());
                Err(refused(server, CALL, answer.status().as_u16(), words))
            }
            Err(e) => Err(failed(error_chain(&e))),
        }
    };
    timeout(HANDSHAKE, handshake).await.map_err(|_| failed("no answer to the handshake".into()))?
}

/// Host and port of `https://host:port`; 443 without one.
fn host_and_port(server: &str) -> Option<(&str, u16)> {
    let authority = server.strip_prefix("https://")?.trim_end_matches('/');
    if authority.is_empty() || authority.contains('/') {
        return None;
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => Some((host, port.parse().ok()?)),
        _ => Some((authority, 443)),
    }
}

/// Talks until the connection ends; returns why it did.
async fn talk(
    socket: Socket,
    context: &Context,
    rpc: &RpcClient,
    reports: watch::Receiver<Option<Report>>,
    handler: &dyn ConnectionHandler,
) -> String {
    let (sink, source) = socket.split();
    let (out, queue) = mpsc::channel(QUEUE);
    let heard = watch::Sender::new(Instant::now());
    // At a start, the engine answers a moment later than the server.
    let _ = timeout(ENGINE, context.docker.subscribe().wait_for(|d| d.engine.is_some())).await;
    let version = context.docker.borrow().version.clone();
    let hello = ToServer::Hello { protocol: PROTOCOL, facts: facts::facts(&version), revision: handler.revision() };
    rpc.connected(out.clone());
    let mut session = handler.begin(out);
    let problem = tokio::select! {
        problem = write(sink, hello, queue, reports) => problem,
        problem = read(source, context, rpc, &mut *session, &heard) => problem,
        () = silence(heard.subscribe()) => format!("nothing was heard for {} s", DEAD.as_secs()),
    };
    rpc.cut_off();
    problem
}

async fn silence(mut heard: watch::Receiver<Instant>) {
    loop {
        let last = *heard.borrow_and_update();
        match tokio::time::timeout_at(last + DEAD, heard.changed()).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

async fn write(
    mut sink: impl Sink<Message, Error = tungstenite::Error> + Unpin,
    hello: ToServer,
    mut queue: mpsc::Receiver<ToServer>,
    mut reports: watch::Receiver<Option<Report>>,
) -> String {
    reports.mark_changed();
    let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
    let mut next = Some(hello);
    loop {
        let message = match next.take() {
            Some(message) => text(&message),
            None => tokio::select! {
                biased;
                Ok(()) = reports.changed() => match reports.borrow_and_update().clone() {
                    Some(report) => text(&ToServer::Report(Box::new(report))),
                    None => continue,
                },
                _ = ping.tick() => Message::Ping(Vec::new().into()),
                Some(message) = queue.recv() => text(&message),
            },
        };
        if let Err(e) = sink.send(message).await {
            return error_chain(&e);
        }
    }
}

fn text(message: &ToServer) -> Message {
    // Structs of strings, numbers and maps with string keys always serialize.
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

async fn read(
    mut source: impl Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
    context: &Context,
    rpc: &RpcClient,
    session: &mut dyn ConnectionSession,
    heard: &watch::Sender<Instant>,
) -> String {
    loop {
        let message = match source.next().await {
            Some(Ok(message)) => message,
            Some(Err(e)) => return error_chain(&e),
            None => return "the server closed it".into(),
        };
        heard.send_replace(Instant::now());
        let said = match message {
            Message::Text(text) => serde_json::from_str::<ToAgent>(&text),
            Message::Close(Some(frame)) if !frame.reason.is_empty() => {
                return format!("the server says: {}", frame.reason);
            }
            Message::Close(_) => return "the server closed it".into(),
            _ => continue,
        };
        match said {
            Ok(ToAgent::Answer { number, answer }) => rpc.answer(number, answer),
            Ok(message) => {
                if let Err(e) = session.handle(message) {
                    return error_chain(&e);
                }
            }
            Err(e) => context.complain("the server said what this agent does not understand", &e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(host_and_port("https://a:7443"), Some(("a", 7443)));
        assert_eq!(host_and_port("https://a/"), Some(("a", 443)));
        assert_eq!(host_and_port("https://[2001:db8::1]:7"), Some(("[2001:db8::1]", 7)));
        assert_eq!(host_and_port("https://[2001:db8::1]"), Some(("[2001:db8::1]", 443)));
        assert_eq!(host_and_port("http://a:1"), None);
        assert_eq!(host_and_port("https://a:x"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_dead() {
        let heard = watch::Sender::new(Instant::now());
        let begun = Instant::now();
        let dead = tokio::spawn(silence(heard.subscribe()));
        tokio::time::sleep(Duration::from_secs(40)).await;
        heard.send_replace(Instant::now());
        dead.await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 85);
    }
}
