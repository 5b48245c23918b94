//! `stackyard net path`

use super::super::yard::{ObservedYard, YardArgs};
use super::super::{Context, ExitStatus};
use serde_json::json;
use stackyard_api::{MtuPath, PortKind};
use stackyard_yard::net::{mtu_paths, ports};

/// Arguments of `stackyard net path`.
#[derive(clap::Args)]
pub struct PathArgs {
    #[command(flatten)]
    yard: YardArgs,

    /// MTU of the cloud's physical network, in bytes [default: as Neutron reports]
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(68..=65_535))]
    underlay: Option<u32>,
}

/// Prints the paths; exit code 1 if one breaks.
pub async fn run(args: PathArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let observed = ObservedYard::observe(&args.yard, context).await?;
    let ports = ports(&observed.graph, &observed.inventory);
    let paths = mtu_paths(&observed.graph, Some(&observed.inventory), &ports, &observed.hosts, args.underlay);
    let breaks = paths.iter().any(|p| p.chain.breaks);
    let result = json!({"event": "result", "yard": observed.graph.yard, "breaks": breaks, "paths": paths});
    context.printer.result(&result, || text(&paths))?;
    Ok(if breaks { ExitStatus::Failed } else { ExitStatus::Done })
}

fn text(paths: &[MtuPath]) -> String {
    if paths.is_empty() {
        return "The yard has no ports in a network yet.".to_owned();
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
        0 => "\nNo MTU is larger than the layer below it allows.",
        _ => "\nSmall packets pass there and large ones vanish. Lower each MTU that is too large.",
    };
    text
}
