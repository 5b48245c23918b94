//! What is known of a request while it is served: its id, where it came from, and what the audit log says of it.
//!
//! The id is in the answer's `X-Request-Id`, in problems, in the lines of the server's log that the request causes, and in
//! its entries of the audit log. It is always the server's own: an id that callers choose could be another request's.

use axum::extract::Request;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;
use std::net::IpAddr;
use tracing::Instrument;

/// Header of every answer.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest note, in bytes.
pub(crate) const NOTE: usize = 2000;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The Unix socket.
    Socket,
    /// HTTPS, from this address.
    Remote(IpAddr),
}

impl Peer {
    /// The address, if it has one.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Self::Socket => None,
            Self::Remote(address) => Some(address),
        }
    }
}

/// One network is one caller: IPv6 gives everybody 2^64 addresses.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(a) => match a.to_ipv4_mapped() {
            Some(a) => IpAddr::V4(a),
            None => IpAddr::V6((u128::from(a) >> 64 << 64).into()),
        },
    }
}

/// The process at the other end of a connection over the Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SocketPeer {
    /// Its effective user.
    pub uid: u32,
    /// Its process id, if the system tells it.
    pub pid: Option<i32>,
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The address. Over the socket it is `uid N`, or `server` for this process.
    pub shown: Option<String>,
    /// What counts as one caller's: an IPv6 address is its network of 64 bits.
    pub network: String,
}

impl Origin {
    fn of(extensions: &Extensions) -> Self {
        match extensions.get::<Peer>() {
            Some(Peer::Remote(address)) => {
                Self { shown: Some(address.to_canonical().to_string()), network: network(*address).to_string() }
            }
            Some(Peer::Socket) => {
                let own = i32::try_from(std::process::id()).ok();
                let shown = extensions.get::<SocketPeer>().map(|peer| match peer.pid {
                    pid if pid.is_some() && pid == own => "server".to_owned(),
                    _ => format!("uid {}", peer.uid),
                });
                Self { network: shown.clone().unwrap_or_default(), shown }
            }
            None => Self::default(),
        }
    }
}

#[derive(Debug)]
struct RequestContext {
    id: String,
    origin: Origin,
    note: Mutex<Option<String>>,
}

/// Gives a request its id, before anything else happens.
pub(crate) async fn begin(request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    let header = HeaderValue::from_str(&id);
    let span = tracing::info_span!("request", %id);
    let context = RequestContext { id, origin: Origin::of(request.extensions()), note: Mutex::default() };
    let mut response = CURRENT.scope(context, next.run(request).instrument(span)).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

/// Id of the request that is served; none outside of one.
pub(crate) fn id() -> Option<String> {
    CURRENT.try_with(|c| c.id.clone()).ok()
}

/// Where the request that is served came from.
pub(crate) fn origin() -> Origin {
    CURRENT.try_with(|c| c.origin.clone()).unwrap_or_default()
}

/// Says in the audit log what the request that is served changes, or is about. `text` must have no value of a secret.
pub(crate) fn note(text: impl Into<String>) {
    let text = text.into();
    let _ = CURRENT.try_with(|c| *c.note.lock() = (!text.is_empty()).then(|| bounded(text, NOTE)));
}

/// What was noted.
pub(crate) fn noted() -> Option<String> {
    CURRENT.try_with(|c| c.note.lock().clone()).ok().flatten()
}

/// A text without control characters of at most `most` bytes, and a mark if it had more.
pub(crate) fn bounded(text: impl AsRef<str>, most: usize) -> String {
    let mut kept = String::new();
    for c in text.as_ref().chars() {
        if kept.len() + c.len_utf8() > most {
            return kept + "...";
        }
        kept.push(if c.is_control() { ' ' } else { c });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_short_and_of_one_line() {
        assert_eq!(bounded("a\nb\u{1b}[31m", 100), "a b [31m");
        assert_eq!(bounded("üüü", 5), "üü...");
        assert_eq!(bounded("üüü", 6), "üüü");
    }

    #[test]
    fn the_origin_is_the_other_end() {
        let mut extensions = Extensions::new();
        assert_eq!(Origin::of(&extensions), Origin::default());
        extensions.insert(Peer::Remote("2001:db8::1:2".parse().unwrap()));
        let origin = Origin::of(&extensions);
        assert_eq!((origin.shown.as_deref(), origin.network.as_str()), (Some("2001:db8::1:2"), "2001:db8::"));
        extensions.insert(Peer::Socket);
        extensions.insert(SocketPeer { uid: 1000, pid: Some(1) });
        assert_eq!(Origin::of(&extensions).shown.as_deref(), Some("uid 1000"));
        extensions.insert(SocketPeer { uid: 0, pid: i32::try_from(std::process::id()).ok() });
        assert_eq!(Origin::of(&extensions).shown.as_deref(), Some("server"));
    }
}
