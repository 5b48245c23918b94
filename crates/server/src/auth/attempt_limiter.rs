//! Failed attempts of an address are limited.
//!
//! Tokens cannot be guessed, and are looked up before anything is counted: a good one works whatever others at its
//! address (NAT, a proxy, a container of the host) have tried. Attempts with passwords are refused beforehand, since
//! these can be guessed. Successes are not counted: a hundred hosts behind one address may join at once.

use crate::api_error::ApiError;
use crate::request::network;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Failures that are let through in a [`PERIOD`].
const FAILURES: u32 = 30;
const PERIOD: Duration = Duration::from_secs(60);

/// Addresses that are remembered; with more, the oldest periods are forgotten.
const ADDRESSES: usize = 4096;

/// Counts failures by address.
#[derive(Debug, Default)]
pub(crate) struct AttemptLimiter {
    failures: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl AttemptLimiter {
    /// Counts a failure.
    ///
    /// # Errors
    /// 429, if there were too many before it.
    pub fn fail(&self, address: IpAddr) -> Result<(), ApiError> {
        self.check(address)?;
        self.failed(address);
        Ok(())
    }

    /// Refuses an address with too many failures, for what can be guessed.
    ///
    /// # Errors
    /// 429.
    pub fn check(&self, address: IpAddr) -> Result<(), ApiError> {
        let failures = self.failures.lock();
        match failures.get(&network(address)) {
            Some((start, count)) if *count >= FAILURES && start.elapsed() < PERIOD => {
                let wait = PERIOD.saturating_sub(start.elapsed()).as_secs() + 1;
                Err(ApiError::too_many(format!("too many failed attempts from {address}"), wait))
            }
            _ => Ok(()),
        }
    }

    /// Counts a failure.
    pub fn failed(&self, address: IpAddr) {
        let mut failures = self.failures.lock();
        if failures.len() >= ADDRESSES {
            failures.retain(|_, (start, _)| start.elapsed() < PERIOD);
            if failures.len() >= ADDRESSES {
                failures.clear();
            }
        }
        let (start, count) = failures.entry(network(address)).or_insert((Instant::now(), 0));
        if start.elapsed() >= PERIOD {
            (*start, *count) = (Instant::now(), 0);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_who_fails_is_refused() {
        let limiter = AttemptLimiter::default();
        let bad: IpAddr = "2001:db8::1".parse().unwrap();
        for _ in 0..FAILURES {
            limiter.check(bad).unwrap();
            limiter.failed(bad);
        }
        assert!(limiter.check(bad).is_err());
        assert!(limiter.check("2001:db8::2".parse().unwrap()).is_err());
        limiter.check("2001:db8:0:1::1".parse().unwrap()).unwrap();
        limiter.check("192.0.2.1".parse().unwrap()).unwrap();
    }
}
