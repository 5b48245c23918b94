//! Bodies of requests: how large they may be, and how long they may take.
//!
//! Who is not known sends little and at once. A body is read when its handler asks for it, which it does once it
//! knows that the caller may; the limits stand before that, whatever the handler.

use crate::api_error::ApiError;
use crate::app::App;
use crate::archive::ArchiveError;
use crate::auth::{Caller, CallerSlot};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// Greatest body, in bytes: a stack with its configs and secrets.
const GREATEST: usize = 16 << 20;

/// Greatest body of who is not known, in bytes: somebody who signs in, or a machine that joins.
const OF_NOBODY: usize = 64 << 10;

/// Time for a body that is no greater than [`OF_NOBODY`].
const TIME: Duration = Duration::from_secs(20);

/// Time for a greater one: 140 kB a second for the greatest.
const TIME_OF_GREAT: Duration = Duration::from_secs(120);

/// The operation whose body is an archive: as large as the server allows files of stacks to be.
const ARCHIVE: &str = "/api/v1/yards/{yard}/archives/{digest}";

/// Great bodies that one caller, and all callers, may send at once.
pub(crate) const GREAT_AT_ONCE: (usize, usize) = (4, 16);

/// Holds a request to the limits of its body.
pub(super) async fn limit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or(Caller::Nobody);
    let known = !matches!(caller, Caller::Nobody | Caller::Joiner { .. });
    let archive = request.extensions().get::<MatchedPath>().is_some_and(|p| p.as_str() == ARCHIVE);
    let greatest = match (known, archive) {
        (false, _) => OF_NOBODY,
        (true, false) => GREATEST,
        (true, true) => usize::try_from(app.archives().limit()).unwrap_or(usize::MAX),
    };
    let length = request.headers().get(header::CONTENT_LENGTH).map(|l| l.to_str().ok()?.parse::<usize>().ok());
    // Without a length, a body comes in pieces, or there is none.
    let length = match length {
        Some(length) => length.unwrap_or(usize::MAX),
        None if request.headers().contains_key(header::TRANSFER_ENCODING) => greatest,
        None => 0,
    };
    if length > greatest && archive && known {
        return ApiError::from(ArchiveError::TooLarge(app.archives().limit())).into_response();
    }
    if length > greatest {
        let from = if known { "" } else { " of a caller who has not signed in" };
        let detail = format!("the body{from} has {length} bytes, and may have {greatest}");
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response();
    }
    let (place, time) = if length > OF_NOBODY {
        match app.inner().bodies.take(&caller, "requests with more than 64 KiB") {
            // As much for each of the greatest that others send.
            Ok(place) => (Some(place), TIME_OF_GREAT * u32::try_from(length.div_ceil(GREATEST)).unwrap_or(u32::MAX)),
            Err(problem) => return problem.into_response(),
        }
    } else {
        (None, TIME)
    };
    DefaultBodyLimit::max(greatest).apply(&mut request);
    let timed = |body| Body::new(Timed { body, time, until: None, _place: place });
    next.run(request.map(timed)).await
}

/// The other side took too long to send a body.
#[derive(Debug, thiserror::Error)]
#[error("the body has not come within {} s", .0.as_secs())]
pub(super) struct TooSlow(Duration);

impl TooSlow {
    /// The one that an extractor's error comes from.
    pub fn behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut error = Some(error);
        while let Some(cause) = error {
            if let Some(slow) = cause.downcast_ref() {
                return Some(slow);
            }
            error = cause.source();
        }
        None
    }
}

/// A body that must have come in time. The time begins when it is asked for.
struct Timed {
    body: Body,
    time: Duration,
    until: Option<Pin<Box<Sleep>>>,
    _place: Option<CallerSlot>,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let until = this.until.get_or_insert_with(|| Box::pin(sleep(this.time)));
        until.as_mut().poll(cx).map(|()| Some(Err(axum::Error::new(TooSlow(this.time)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream::{self, StreamExt};
    use std::convert::Infallible;

    fn timed(body: Body) -> Body {
        Body::new(Timed { body, time: TIME, until: None, _place: None })
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_in_is_given_up() {
        let drop = || async { tokio::time::sleep(Duration::from_secs(3)).await };
        let trickle = stream::repeat(()).then(move |()| drop()).map(|()| Ok::<_, Infallible>("x"));
        let begun = tokio::time::Instant::now();
        let error = axum::body::to_bytes(timed(Body::from_stream(trickle)), 1000).await.unwrap_err();
        assert_eq!(begun.elapsed(), TIME);
        assert_eq!(TooSlow::behind(&error).unwrap().to_string(), "the body has not come within 20 s");
        let whole = axum::body::to_bytes(timed(Body::from("whole")), 1000).await.unwrap();
        assert_eq!(whole, "whole");
    }
}
