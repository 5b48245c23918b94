//! Answers without an end: logs, events, programs in containers.

use crate::access::ended;
use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::Caller;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use std::pin::pin;
use tokio::sync::mpsc;

/// Such answers that one caller, and all callers, may have at once: a browser has four at most for each tab.
pub(crate) const ENDLESS: (usize, usize) = (100, 2000);

/// Sends `items` as the body of an answer, until they end or `caller` may not read any longer.
///
/// A body is polled only as far as its reader reads. So what makes the items, and asks the store whether the caller's
/// token is still good, is a task of its own: nothing of the server's is held by who does not read.
///
/// # Errors
/// 429: the caller has too many of them.
pub(super) fn until_ended<S>(
    app: &App,
    caller: Caller,
    items: S,
) -> Result<impl Stream<Item = S::Item> + use<S>, ApiError>
where
    S: Stream + Send + 'static,
    S::Item: Send,
{
    let place = app.inner().endless.take(&caller, "streams")?;
    let (out, told) = mpsc::channel(1);
    let app = app.clone();
    tokio::spawn(async move {
        let _place = place;
        let tell = async {
            let mut items = pin!(items);
            while let Some(item) = items.next().await {
                if out.send(item).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = tell => {}
            () = ended(app, caller) => {}
            () = out.closed() => {}
        }
    });
    Ok(unfold(told, |mut told| async move { Some((told.recv().await?, told)) }))
}
