//! `stackyard net`

pub mod doctor;
pub mod mtu;
pub mod path;
pub mod ports;
pub mod reach;

use super::{Context, End};
use clap::Subcommand;

/// Verbs of `stackyard net`.
#[derive(Subcommand)]
pub enum Verb {
    /// Work out the MTU inside nested encapsulations, layer by layer
    Mtu(mtu::Args),
    /// Show what fits through a yard's networks, from the underlay to the containers, and where it breaks
    Path(path::Args),
    /// Measure what really gets through between a yard's hosts, servers and containers, say what is wrong, put it right
    Doctor(doctor::Args),
    /// List the ports of a yard's networks
    Ports(ports::Args),
    /// Show who of a yard can reach whom, by which rule of which security group
    Reach(reach::Args),
}

/// Runs one of them.
pub async fn run(verb: Verb, context: &Context) -> anyhow::Result<End> {
    match verb {
        Verb::Mtu(args) => mtu::run(args, context).await,
        Verb::Path(args) => path::run(args, context).await,
        Verb::Doctor(args) => doctor::run(args, context).await,
        Verb::Ports(args) => ports::run(args, context).await,
        Verb::Reach(args) => reach::run(args, context).await,
    }
}
