//! `stackyard net ports`

use super::super::yard::{Seen, YardArgs};
use super::super::{Context, End};
use crate::printer::table;
use serde_json::json;
use stackyard_server::net::{PortView, ports};

/// Arguments of `stackyard net ports`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    yard: YardArgs,

    /// Only ports of this network
    #[arg(short, long, value_name = "NETWORK")]
    network: Option<String>,
}

/// Lists the ports.
pub async fn run(args: Args, context: &Context) -> anyhow::Result<End> {
    let seen = Seen::look(&args.yard, context).await?;
    let mut ports = ports(&seen.graph, &seen.inventory);
    if let Some(network) = &args.network {
        ports.retain(|p| p.network == *network || p.network_id == *network);
    }
    let result = json!({"event": "result", "yard": seen.graph.yard, "ports": ports});
    context.printer.result(&result, || text(&ports))?;
    Ok(End::Done)
}

fn text(ports: &[PortView]) -> String {
    if ports.is_empty() {
        return "There is no port.".to_owned();
    }
    let row = |p: &PortView| {
        let groups = if p.port_security { p.security_groups.join(", ") } else { "not enforced".to_owned() };
        [
            p.kind.noun().to_owned(),
            p.owner.as_ref().map_or(&p.name, |o| &o.name).clone(),
            p.network.clone(),
            p.addresses.join(", "),
            p.mac.clone(),
            p.mtu.map(|mtu| mtu.to_string()).unwrap_or_default(),
            groups,
            p.floating_ips.join(", "),
            p.status.clone(),
        ]
    };
    let head = ["KIND", "OF", "NETWORK", "ADDRESSES", "MAC", "MTU", "SECURITY GROUPS", "FLOATING IP", "STATUS"];
    table::table(head, ports.iter().map(row))
}
