//! `stackyard graph`

use super::super::{Context, ExitStatus};
use super::{ObservedYard, YardArgs, as_host_service, list_stacks};
use anyhow::Context as _;
use serde_json::json;
use stackyard_core::yard::picture;
use stackyard_yard::YardSnapshot;
use std::path::PathBuf;

/// Arguments of `stackyard graph`.
#[derive(clap::Args)]
pub struct GraphArgs {
    #[command(flatten)]
    yard: YardArgs,

    /// Print DOT for Graphviz, not a tree
    #[arg(long)]
    dot: bool,

    /// Print the picture as SVG, or write it to FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with = "dot")]
    svg: Option<Option<PathBuf>>,
}

/// Draws the yard and its resources in the cloud.
pub async fn run(args: GraphArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    if context.printer.is_json() && args.svg.is_none() && !args.dot {
        let observed = ObservedYard::observe(&args.yard, context).await?;
        context.printer.result(&observed.graph, String::new)?;
        return Ok(ExitStatus::Done);
    }
    let yard = args.yard.load(context)?;
    let cloud = args.yard.connect(&yard, context).await?;
    let service = args.yard.service(context)?;
    let session = YardSnapshot::take_with(&cloud, &yard.intended, as_host_service(service.as_ref())).await?;
    let stacks = list_stacks(&yard.intended.yard, service.as_ref()).await?.unwrap_or_default();
    let stacks = stacks.into_iter().filter(|s| !s.removing).map(|s| (s.name, s.status)).collect();
    let (intended, observed) = (&yard.intended, &session.observed);
    let text = match (&args.svg, args.dot) {
        (Some(_), _) => picture::svg(intended, observed, &session.notes(), &stacks),
        (None, true) => picture::dot(intended, observed, &stacks),
        (None, false) => picture::tree(intended, observed, &session.notes(), &stacks),
    };
    if let Some(Some(file)) = args.svg {
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let result = json!({"event": "result", "file": file});
        context.printer.result(&result, || format!("Wrote {}.", file.display()))?;
    } else {
        context.printer.result(&json!({"event": "result", "graph": text}), || text.clone())?;
    }
    Ok(ExitStatus::Done)
}
