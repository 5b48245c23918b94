//! Measurements that the server asks for ([`crate::probe`]), over a stream.

use super::StreamInput;
use super::flow::{StreamInputs, StreamOutput};
use crate::context::Context;
use crate::probe::{namespace, search, set, survey, within};
use serde::Serialize;
use stackyard_core::agent::{Heard, Measure, Stream};
use stackyard_core::text::error_chain;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Searches and ears at once.
const AT_ONCE: usize = 32;

static PLACES: Semaphore = Semaphore::const_new(AT_ONCE);

/// Tells a thread to end when it is dropped.
struct StopGuard(Arc<AtomicBool>);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Tells the one who asked.
async fn say(out: &StreamOutput, what: &impl Serialize) -> Result<(), String> {
    let data = serde_json::to_vec(what).map_err(|e| error_chain(&e))?;
    let told = out.send(None, Stream::Stdout, data).await;
    told.then_some(()).ok_or_else(|| "the connection to the server was lost".to_owned())
}

/// Does what the server asked for, until it is done or the stream is closed.
pub(super) async fn run(
    context: &Context,
    measure: Measure,
    out: &StreamOutput,
    mut inputs: StreamInputs,
    closing: &mut oneshot::Receiver<()>,
) -> Result<(), String> {
    match measure {
        Measure::Survey => say(out, &survey::survey(context).await?).await,
        Measure::Set(setting) => {
            for changed in set::set(context, setting).await? {
                context.say(format!("the MTU of {} is {} now, for it was {}", changed.what, changed.to, changed.from));
                say(out, &changed).await?;
            }
            Ok(())
        }
        Measure::Search { from, to, token, most, heard } => {
            let _place = PLACES.acquire().await;
            let namespace = namespace(context, from.as_deref()).await?;
            let (tell, hears) = std::sync::mpsc::channel();
            let stop = Arc::new(AtomicBool::new(false));
            let _stop = StopGuard(stop.clone());
            let work = within(namespace, move || {
                search::largest(to, token, most, heard.then_some(hears), &stop)
                    .map_err(|e| format!("sending echoes to {to}: {e}"))
            });
            tokio::pin!(work);
            loop {
                tokio::select! {
                    _ = &mut *closing => return Ok(()),
                    found = &mut work => return say(out, &found?).await,
                    Some(input) = inputs.recv() => {
                        if let StreamInput::Data(data) = input
                            && let Ok(Heard { sequence, .. }) = serde_json::from_slice(&data)
                        {
                            let _ = tell.send(sequence);
                        }
                    }
                }
            }
        }
        Measure::Listen { at, ipv6, token } => {
            let _place = PLACES.acquire().await;
            let namespace = namespace(context, at.as_deref()).await?;
            let stop = Arc::new(AtomicBool::new(false));
            let _stop = StopGuard(stop.clone());
            let (told, mut tells) = mpsc::channel(64);
            let work = within(namespace, move || {
                search::listen(ipv6, token, &told, &stop).map_err(|e| format!("listening for echoes: {e}"))
            });
            tokio::pin!(work);
            loop {
                tokio::select! {
                    _ = &mut *closing => return Ok(()),
                    ended = &mut work => return ended,
                    Some(ear) = tells.recv() => say(out, &ear).await?,
                }
            }
        }
    }
}
