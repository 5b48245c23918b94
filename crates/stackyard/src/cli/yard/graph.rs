//! `stackyard graph`

use super::super::{Context, End};
use super::{Seen, YardArgs, as_service, there};
use anyhow::Context as _;
use serde_json::json;
use stackyard_core::yard::picture;
use stackyard_server::Session;
use std::path::PathBuf;

/// Arguments of `stackyard graph`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,

    /// Print DOT for Graphviz in the place of a tree
    #[arg(long)]
    dot: bool,

    /// Draw the picture as SVG: print it, or write it to FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with = "dot")]
    svg: Option<Option<PathBuf>>,
}

/// Draws the yard with what the cloud has of it.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    if context.printer.is_json() && args.svg.is_none() && !args.dot {
        let seen = Seen::look(&args.yard, context).await?;
        context.printer.result(&seen.graph, String::new)?;
        return Ok(End::Done);
    }
    let yard = args.yard.load()?;
    let cloud = args.yard.connect(&yard, context).await?;
    let service = args.yard.service(context)?;
    let session = Session::begin_with(&cloud, &yard.intended, as_service(service.as_ref())).await?;
    let views = there(&yard.intended.yard, service.as_ref()).await?;
    let stacks = views.unwrap_or_default();
    let stacks = stacks.into_iter().filter(|s| !s.removing).map(|s| (s.name, s.status)).collect();
    let (intended, observed) = (&yard.intended, &session.observed);
    let text = match (&args.svg, args.dot) {
        (Some(_), _) => picture::svg(intended, observed, &session.notes(), &stacks),
        (None, true) => picture::dot(intended, observed, &stacks),
        (None, false) => picture::tree(intended, observed, &session.notes(), &stacks),
    };
    if let Some(Some(file)) = args.svg {
        std::fs::write(&file, text).with_context(|| format!("writing the picture to {}", file.display()))?;
        let result = json!({"event": "result", "file": file});
        context.printer.result(&result, || format!("The picture is in {}.", file.display()))?;
    } else {
        context.printer.result(&json!({"event": "result", "graph": text}), || text.clone())?;
    }
    Ok(End::Done)
}
