//! `stackyard graph`

use super::super::{Context, End};
use super::YardArgs;
use serde_json::json;
use stackyard_core::yard::picture;
use stackyard_server::Session;

/// Arguments of `stackyard graph`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,

    /// Print DOT for Graphviz in the place of a tree
    #[arg(long)]
    dot: bool,
}

/// Draws the yard with what the cloud has of it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let yard = args.yard.load()?;
    let cloud = args.yard.connect(&yard, context).await?;
    let session = Session::begin(&cloud, &yard.intended).await?;
    let text = if args.dot {
        picture::dot(&yard.intended, &session.observed)
    } else {
        picture::tree(&yard.intended, &session.observed, &session.notes())
    };
    context.printer.result(&json!({"event": "result", "graph": text}), || text.clone())?;
    Ok(End::Done)
}
