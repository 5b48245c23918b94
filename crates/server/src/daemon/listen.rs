//! Connections: HTTPS and the Unix socket, the same router on both.

use crate::auth::Connections;
use crate::metrics::{HandshakeOutcome, Metrics};
use crate::request::{Peer, SocketPeer};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Time for a caller's TLS handshake, and for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Buffer of a connection, in bytes; heads of requests must fit in.
const BUFFER: usize = 16 << 10;

/// Time for requests that are under way when the server stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// After an error of `accept` (no file descriptors left), the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves a connection; `router` knows where it comes from.
async fn http<I>(io: I, router: Router, mut stop: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(BUFFER);
    let connection = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // Errors of a connection are its caller's: it went, or spoke no HTTP.
        _ = connection.as_mut() => {}
        () = stopping(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(FAREWELL, connection).await;
        }
    }
}

/// Waits until `stop` becomes true. Its sender goes with the server alone.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Serves HTTPS until `stop` becomes true.
pub(super) async fn https(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    connections: Connections,
    metrics: Metrics,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let acceptor = TlsAcceptor::from(tls);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping(&mut stop) => return,
        };
        let Some((stream, address)) = taken(accepted).await else { continue };
        let (acceptor, router, stop) = (acceptor.clone(), router.clone(), stop.clone());
        let metrics = metrics.clone();
        let connection = Arc::new(connections.enter(address.ip()));
        tokio::spawn(async move {
            let serving = async {
                // Port scanners, and clients that do not know the CA, get no further.
                let handshake = timeout(PATIENCE, acceptor.accept(stream)).await;
                metrics.handshake(match &handshake {
                    Ok(Ok(_)) => HandshakeOutcome::Done,
                    Ok(Err(_)) => HandshakeOutcome::Failed,
                    Err(_) => HandshakeOutcome::TooSlow,
                });
                if let Ok(Ok(stream)) = handshake {
                    let router =
                        router.layer(Extension(Peer::Remote(address.ip()))).layer(Extension(connection.clone()));
                    http(stream, router, stop).await;
                }
            };
            tokio::select! {
                () = serving => {}
                () = connection.ended() => {}
            }
        });
    }
}

async fn taken(accepted: io::Result<(TcpStream, std::net::SocketAddr)>) -> Option<(TcpStream, std::net::SocketAddr)> {
    match accepted {
        Ok((stream, address)) => {
            stream.set_nodelay(true).ok();
            Some((stream, address))
        }
        Err(error) => {
            tracing::warn!("accepting a connection: {error}");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

/// Serves the Unix socket until `stop` becomes true.
pub(super) async fn unix(listener: UnixListener, router: Router, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopping(&mut stop) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let mut router = router.clone().layer(Extension(Peer::Socket));
                if let Ok(peer) = stream.peer_cred() {
                    router = router.layer(Extension(SocketPeer { uid: peer.uid(), pid: peer.pid() }));
                }
                drop(tokio::spawn(http(stream, router, stop.clone())));
            }
            Err(error) => {
                tracing::warn!("accepting a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Connections without TLS that are served at the same time.
const PLAIN_AT_ONCE: usize = 32;

/// Serves HTTP without TLS until `stop` becomes true. When there are too many connections, the next ones wait.
pub(super) async fn plain(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(PLAIN_AT_ONCE));
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = stopping(&mut stop) => return,
        };
        let Some((stream, _)) = taken(accepted).await else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            http(stream, router, stop).await;
        });
    }
}
