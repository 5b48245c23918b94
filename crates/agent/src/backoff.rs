//! Waiting longer after each failure.

use std::time::Duration;

/// Longest time between two attempts to reach a server, or to bring a stack up.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Times to wait: doubled each time, with jitter, so that many hosts do not come at once.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, next: first }
    }

    /// The next time to wait: between half and all of what it has grown to.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.last);
        now.mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_up_to_its_limit() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let times: Vec<_> = (0..10).map(|_| backoff.next()).collect();
        for (n, time) in times.iter().enumerate() {
            let full = Duration::from_secs((1 << n.min(6)).min(60));
            assert!(*time <= full && *time >= full / 2, "{n}: {time:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }
}
