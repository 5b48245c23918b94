//! What happens to containers.

use super::{Client, ClientError};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::Method;
use stackyard_api::{ContainerEvent, ContainerEventKind, segment};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time within which a connection that was lost must be there again.
const AGAIN: Duration = Duration::from_secs(60);

/// Time between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose containers.
#[derive(Debug, Clone, Copy)]
pub enum EventsOf<'a> {
    /// A stack's.
    Stack {
        /// Its yard.
        yard: &'a str,
        /// The stack.
        stack: &'a str,
    },
    /// A host's, by its id or as `yard/name`.
    Host(&'a str),
}

impl EventsOf<'_> {
    fn path(self) -> String {
        match self {
            Self::Stack { yard, stack } => format!(
                "/api/v1/yards/{}/stacks/{}/events",
                segment(yard),
                segment(stack)
            ),
            Self::Host(host) => format!("/api/v1/hosts/{}/events", segment(host)),
        }
    }

    fn doing(self) -> String {
        match self {
            Self::Stack { yard, stack } => {
                format!("asking what happens to stack {stack} of yard {yard}")
            }
            Self::Host(host) => format!("asking what happens on host {host}"),
        }
    }
}

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Services or replicas; all when empty.
    pub only: Vec<String>,
    /// Of this kind.
    pub kind: Option<ContainerEventKind>,
}

impl EventQuery {
    fn text(&self) -> String {
        let kind = serde_json::to_value(self.kind).unwrap_or_default();
        let kind = kind.as_str().map(|kind| format!("&kind={kind}"));
        format!(
            "only={}{}",
            segment(&self.only.join(",")),
            kind.unwrap_or_default()
        )
    }
}

/// Events as they come.
pub struct EventReader {
    client: Client,
    path: String,
    doing: String,
    /// Id of the last event.
    last: Option<String>,
    pieces: Option<BoxStream<'static, reqwest::Result<Bytes>>>,
    rest: Vec<u8>,
    /// Since when there is no connection.
    lost: Option<Instant>,
}

impl std::fmt::Debug for EventReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventReader")
            .field("path", &self.path)
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl EventReader {
    /// The next event, when it comes. A connection that is lost is made again, and nothing is missed meanwhile that
    /// the server still has.
    ///
    /// # Errors
    /// [`ClientError`]: the server refuses, or was away for a minute.
    pub async fn next(&mut self) -> Result<ContainerEvent, ClientError> {
        loop {
            let Some(pieces) = &mut self.pieces else {
                sleep(PAUSE).await;
                self.connect().await?;
                continue;
            };
            if let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                if let Some(event) = self.read(&String::from_utf8_lossy(&block)) {
                    return Ok(event);
                }
                continue;
            }
            match pieces.next().await {
                Some(Ok(piece)) => self.rest.extend_from_slice(&piece),
                Some(Err(_)) | None => {
                    (self.pieces, self.lost) = (None, Some(Instant::now()));
                    self.rest.clear();
                }
            }
        }
    }

    /// One event of the stream (WHATWG HTML, 9.2.6), if it has data.
    fn read(&mut self, block: &str) -> Option<ContainerEvent> {
        let field = |name: &str| {
            block
                .lines()
                .find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim_start)
        };
        if let Some(id) = field("id") {
            self.last = Some(id.to_owned());
        }
        serde_json::from_str(field("data")?).ok()
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        loop {
            let mut request = self.client.request(Method::GET, &self.path);
            if let Some(last) = &self.last {
                request = request.header("last-event-id", last);
            }
            match self.client.send(request, &self.doing).await {
                Ok(response) => {
                    self.pieces = Some(response.bytes_stream().boxed());
                    self.lost = None;
                    return Ok(());
                }
                Err(ClientError::Unreachable { .. })
                    if self.lost.is_some_and(|since| since.elapsed() < AGAIN) =>
                {
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Client {
    /// What happened to containers, as far as the server has it, the newest first.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn events(
        &self,
        of: EventsOf<'_>,
        query: &EventQuery,
    ) -> Result<Vec<ContainerEvent>, ClientError> {
        self.list(&format!("{}?{}", of.path(), query.text()), &of.doing())
            .await
    }

    /// What happens to containers, the oldest first; it begins with the last `tail` events that were before, with all
    /// that the server has without.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn follow_events(
        &self,
        of: EventsOf<'_>,
        query: &EventQuery,
        tail: Option<u32>,
    ) -> Result<EventReader, ClientError> {
        let tail = tail.map(|n| format!("&tail={n}")).unwrap_or_default();
        let mut reader = EventReader {
            client: self.clone(),
            path: format!("{}/stream?{}{tail}", of.path(), query.text()),
            doing: of.doing(),
            last: None,
            pieces: None,
            rest: Vec::new(),
            lost: None,
        };
        reader.connect().await?;
        Ok(reader)
    }
}
