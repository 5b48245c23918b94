//! `stackyard net path`

use super::super::yard::{Seen, YardArgs};
use super::super::{Context, End};
use serde_json::json;
use stackyard_server::net::{MtuPath, PortKind, mtu_paths, ports};

/// Arguments of `stackyard net path`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,

    /// What the cloud's own network carries, in bytes [default: what Neutron was told, if it says]
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(68..=65_535))]
    underlay: Option<u32>,
}

/// Prints the paths; fails where one breaks.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let seen = Seen::look(&args.yard, context).await?;
    let ports = ports(&seen.graph, &seen.inventory);
    let paths = mtu_paths(&seen.graph, Some(&seen.inventory), &ports, &seen.hosts, args.underlay);
    let breaks = paths.iter().any(|p| p.chain.breaks);
    let result = json!({"event": "result", "yard": seen.graph.yard, "breaks": breaks, "paths": paths});
    context.printer.result(&result, || text(&paths))?;
    Ok(if breaks { End::Failed } else { End::Done })
}

fn text(paths: &[MtuPath]) -> String {
    if paths.is_empty() {
        return "The yard has nothing in a network yet.".to_owned();
    }
    let part = |path: &MtuPath| {
        let names: Vec<&str> = path.of.iter().map(|o| o.name.as_str()).collect();
        let kind = match path.kind {
            PortKind::Host => "containers of host",
            PortKind::Container => "containers with ports, on",
            other => other.noun(),
        };
        format!("{kind} {}\n{}", names.join(", "), path.chain.explain())
    };
    let mut text = paths.iter().map(part).collect::<Vec<_>>().join("\n");
    text += match paths.iter().filter(|p| p.chain.breaks).count() {
        0 => "\nNothing is set larger than what carries it.",
        _ => "\nSmall packets pass there and large ones vanish: make the MTU smaller where it is too large.",
    };
    text
}
