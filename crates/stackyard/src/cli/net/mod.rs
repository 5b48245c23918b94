//! `stackyard net`

pub mod doctor;
pub mod mtu;
pub mod path;
pub mod ports;
pub mod reach;

use super::{Context, ExitStatus};
use clap::Subcommand;

/// Verbs of `stackyard net`.
#[derive(Subcommand)]
pub enum NetVerb {
    /// Calculate the MTU inside nested encapsulations, layer by layer
    Mtu(mtu::MtuArgs),
    /// Show the MTU along a yard's networks and where it breaks
    ///
    /// The paths lead from the underlay to the containers.
    Path(path::PathArgs),
    /// Measure which packet sizes get through, and fix wrong MTUs
    Doctor(doctor::DoctorArgs),
    /// List the ports of a yard's networks
    Ports(ports::PortsArgs),
    /// Show which members of a yard can reach each other
    ///
    /// For each connection it shows the security group and the rule that allow it.
    Reach(reach::ReachArgs),
}

/// Runs a verb of `stackyard net`.
pub async fn run(verb: NetVerb, context: &Context) -> anyhow::Result<ExitStatus> {
    match verb {
        NetVerb::Mtu(args) => mtu::run(args, context).await,
        NetVerb::Path(args) => path::run(args, context).await,
        NetVerb::Doctor(args) => doctor::run(args, context).await,
        NetVerb::Ports(args) => ports::run(args, context).await,
        NetVerb::Reach(args) => reach::run(args, context).await,
    }
}
