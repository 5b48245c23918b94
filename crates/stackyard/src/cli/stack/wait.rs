//! How long the verbs about stacks wait.

use stackyard_server::client::Patience;
use std::time::Duration;

/// How long is waited.
#[derive(clap::Args, Clone)]
pub struct WaitArgs {
    /// Do not wait until all of it works
    #[arg(short, long)]
    detach: bool,

    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    timeout: u64,

    /// Something that does not work is given so many seconds to come right
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
}

impl WaitArgs {
    /// Whether is waited at all.
    pub fn waits(&self) -> bool {
        !self.detach
    }

    /// How long.
    pub fn patience(&self) -> Patience {
        Patience { most: Duration::from_secs(self.timeout), failing: Duration::from_secs(self.patience) }
    }
}
