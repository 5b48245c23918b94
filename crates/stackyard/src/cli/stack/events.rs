//! `stackyard stack events`

use super::YardName;
use crate::cli::{Context, End, events};
use stackyard_server::client::EventsOf;

/// Arguments of `stackyard stack events`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardName,

    /// The stack
    stack: String,

    #[command(flatten)]
    which: events::Which,
}

/// Prints what happens to the containers of a stack.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let of = EventsOf::Stack { yard: &args.yard.yard, stack: &args.stack };
    events::tell(&args.yard.client(context)?, of, args.which, context).await
}
