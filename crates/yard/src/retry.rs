//! Doing a thing until it is done: which failures pass by themselves, and how long to wait.

use stackyard_openstack::{Cloud, Error, Result};
use std::time::{Duration, Instant};

/// Attempts at most, the first included. The client below has tried several times already where
/// that was safe.
const ATTEMPTS: u32 = 6;
/// How long a resource may be in use by something that is going.
pub(crate) const RELEASE: Duration = Duration::from_secs(120);

/// Whether a failure passes by itself.
pub(crate) fn is_transient(error: &Error) -> bool {
    match error {
        Error::Transport(e) => !e.message.contains("certificate"),
        _ => matches!(error.status(), Some(408 | 429 | 500 | 502..=504)),
    }
}

/// Whether the request may have been carried out although it failed.
pub(crate) fn is_outcome_unknown(error: &Error) -> bool {
    match error {
        Error::Transport(e) => !e.unsent,
        _ => matches!(error.status(), Some(408 | 500 | 502..=504)),
    }
}

/// How many times the client has tried.
fn tried(error: &Error) -> u32 {
    match error {
        Error::Api(e) => e.attempts,
        Error::Transport(e) => e.attempts,
        _ => 1,
    }
}

fn pause(attempt: u32) -> Duration {
    Duration::from_millis(300).saturating_mul(1 << attempt.min(4))
}

/// Does what may be done twice, until no transient failure comes. `told` hears of each retry.
pub(crate) async fn retry<T>(
    told: impl Fn(String),
    action: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    retry_for(ATTEMPTS, told, action).await
}

/// The same for questions to a cloud; where it is asked without retries, each is put twice at most.
pub(crate) async fn retry_question<T>(
    cloud: &Cloud,
    question: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    retry_for(
        if cloud.is_without_retries() {
            2
        } else {
            ATTEMPTS
        },
        |_| {},
        question,
    )
    .await
}

async fn retry_for<T>(
    most: u32,
    told: impl Fn(String),
    action: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    let mut attempt = 1;
    loop {
        match action().await {
            Err(e) if is_transient(&e) && attempt < if tried(&e) > 1 { 2 } else { most } => {
                told(format!("trying again: {e}"));
                tokio::time::sleep(pause(attempt)).await;
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// Makes a thing that must not be made twice. After a failure that leaves open whether it was
/// made, after a conflict and after a refusal, `find` looks for it by its mark first.
pub(crate) async fn create_once<T>(
    told: impl Fn(String),
    unsure: impl Fn(),
    make: impl AsyncFn() -> Result<T>,
    find: impl AsyncFn() -> Result<Option<T>>,
) -> Result<T> {
    let mut attempt = 1;
    loop {
        let error = match make().await {
            Ok(made) => return Ok(made),
            Err(e) => e,
        };
        // Neutron's word for a subnet that a killed run made after this one had looked.
        if error.status() == Some(400)
            && let Ok(Some(found)) = find().await
        {
            return Ok(found);
        }
        let conflict = error.is_conflict() && !error.is_quota();
        if !(is_transient(&error) || conflict) || attempt >= ATTEMPTS {
            return Err(error);
        }
        if is_outcome_unknown(&error) {
            unsure();
        }
        told(format!("trying again: {error}"));
        tokio::time::sleep(pause(attempt)).await;
        if let Some(found) = retry(&told, &find).await? {
            return Ok(found);
        }
        attempt += 1;
    }
}

/// How long it may be in use by something that may not go, since it was not seen.
pub(crate) const SHORT_RELEASE: Duration = Duration::from_secs(10);

/// Removes a thing; that something else still uses it passes, since that goes, too.
pub(crate) async fn delete_until_gone(
    told: impl Fn(String),
    action: impl AsyncFn() -> Result<bool>,
) -> Result<bool> {
    delete_within(RELEASE, told, action).await
}

/// The same with another time until what uses it must be gone.
pub(crate) async fn delete_within(
    release: Duration,
    told: impl Fn(String),
    action: impl AsyncFn() -> Result<bool>,
) -> Result<bool> {
    let started = Instant::now();
    let mut attempt = 1;
    loop {
        match retry(&told, &action).await {
            // Cinder says 400 for a volume that is still attached.
            Err(e) if matches!(e.status(), Some(400 | 409)) && started.elapsed() < release => {
                if attempt == 4 {
                    told(format!("still in use: {e}"));
                }
                tokio::time::sleep(pause(attempt)).await;
                attempt += 1;
            }
            other => return other,
        }
    }
}
