//! How long the verbs of `stackyard stack` wait.

use stackyard_client::Patience;
use std::time::Duration;

/// Options that limit a wait.
#[derive(clap::Args, Clone)]
pub struct WaitArgs {
    /// Do not wait until the stack works
    #[arg(short, long)]
    detach: bool,

    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,

    /// Give up when a service has failed for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
}

impl WaitArgs {
    /// Whether to wait at all.
    pub fn waits(&self) -> bool {
        !self.detach
    }

    /// The limits of the wait.
    pub fn patience(&self) -> Patience {
        Patience { most: Duration::from_secs(self.timeout), failing: Duration::from_secs(self.patience) }
    }
}
