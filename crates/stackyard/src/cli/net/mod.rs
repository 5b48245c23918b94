//! `stackyard net`

pub mod mtu;

use super::{Context, End};
use clap::Subcommand;

/// Verbs of `stackyard net`.
#[derive(Subcommand)]
pub enum Verb {
    /// Work out the MTU inside nested encapsulations, layer by layer
    Mtu(mtu::Args),
}

/// Runs one of them.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
    match verb {
        Verb::Mtu(args) => mtu::run(args, context).await,
    }
}
