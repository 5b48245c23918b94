//! What a host's agent sends: frames of its WebSocket, to a real server over TLS. A line is a text
//! message, after `!` a binary one, after `~` bytes that go past the WebSocket. The server stays
//! well, and shows what it took.
#![no_main]

#[path = "shared/scratch.rs"]
mod scratch;
#[path = "shared/server.rs"]
mod server;

use futures_util::{SinkExt, StreamExt};
use libfuzzer_sys::fuzz_target;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

struct Host {
    server: server::Asked,
    tls: TlsConnector,
    token: String,
}

impl Host {
    fn new(mut server: server::Asked) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let (_, ca) = server.https();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM")).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("TLS").with_root_certificates(roots).with_no_client_auth();
        let token = server.host("web-1").token;
        Self { server, tls: TlsConnector::from(Arc::new(config)), token }
    }

    async fn send(tls: TlsConnector, address: std::net::SocketAddr, token: &str, data: &[u8]) {
        let stream = TcpStream::connect(address).await.expect("the server takes connections");
        let stream = tls.connect(ServerName::from(address.ip()), stream).await.expect("TLS");
        let mut request = format!("wss://{address}/api/v1/agent").into_client_request().expect("a request");
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket");
        for line in data.split(|b| *b == b'\n') {
            let sent = match line {
                [b'~', rest @ ..] => {
                    let stream = socket.get_mut();
                    stream.write_all(rest).await.is_ok() && stream.flush().await.is_ok()
                }
                [b'!', rest @ ..] => socket.send(Message::binary(rest.to_vec())).await.is_ok(),
                text => socket.send(Message::text(String::from_utf8_lossy(text).into_owned())).await.is_ok(),
            };
            if !sent {
                return;
            }
        }
        // Bytes that went past the WebSocket may have begun a message that a close would be part of.
        let _ = socket.send(Message::Close(None)).await;
        let _ = socket.get_mut().shutdown().await;
        while let Some(Ok(_)) = socket.next().await {}
    }
}

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

fuzz_target!(|data: &[u8]| {
    HOST.with_borrow_mut(|kept| {
        let mut host = kept.take().unwrap_or_else(|| Host::new(server::Asked::start()));
        if host.server.renew() {
            host = Host::new(host.server);
        }
        let (address, _) = host.server.https();
        let sending = Host::send(host.tls.clone(), address, &host.token, data);
        let sent = host.server.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(15), sending).await });
        assert!(sent.is_ok(), "the server does not end the connection");
        assert_eq!(host.server.ask("GET", "/api/v1/hosts?yard=shop", None, b"").0, 200);
        *kept = Some(host);
    });
});
