//! Work on a thread of its own, in this runtime. The engine's futures are sent nowhere, since the compiler does
//! not see that they could be (rust-lang/rust#102211).

use std::thread::Builder;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Does work and waits for it; who does not wait any more drops it.
///
/// # Errors
/// In words, if there is no thread to be had.
pub(crate) async fn on_own_thread<T, F>(name: &str, work: impl FnOnce() -> F + Send + 'static) -> Result<T, String>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (mut told, hears) = oneshot::channel();
    spawn_thread(name, async move || {
        let done = tokio::select! {
            done = work() => done,
            () = told.closed() => return,
        };
        told.send(done).ok();
    })?;
    hears.await.map_err(|_| "a thread ended before its work was done".to_owned())
}

/// Begins work that nobody waits for.
///
/// # Errors
/// In words, if there is no thread to be had.
pub(crate) fn spawn_thread<F: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<(), String> {
    let runtime = Handle::current();
    let thread = Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(work()));
    thread.map(drop).map_err(|e| format!("starting a thread: {e}"))
}
