//! `stackyard stack events`

use super::YardNameArgs;
use crate::cli::{Context, ExitStatus, events};
use stackyard_client::EventsOf;

/// Arguments of `stackyard stack events`.
#[derive(clap::Args)]
pub struct EventsArgs {
    #[command(flatten)]
    yard: YardNameArgs,

    /// Name of the stack
    stack: String,

    #[command(flatten)]
    filter: events::EventFilterArgs,
}

/// Prints the events of a stack's containers.
pub async fn run(args: EventsArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let of = EventsOf::Stack { yard: &args.yard.yard, stack: &args.stack };
    events::print_events(&args.yard.client(context)?, of, args.filter, context).await
}
