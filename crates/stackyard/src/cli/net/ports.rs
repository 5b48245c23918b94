//! `stackyard net ports`

use super::super::yard::{ObservedYard, YardArgs};
use super::super::{Context, ExitStatus};
use crate::printer::table;
use serde_json::json;
use stackyard_api::PortView;
use stackyard_yard::net::ports;

/// Arguments of `stackyard net ports`.
#[derive(clap::Args)]
pub struct PortsArgs {
    #[command(flatten)]
    yard: YardArgs,

    /// Show only ports of this network
    #[arg(short, long, value_name = "NETWORK")]
    network: Option<String>,
}

/// Lists the ports.
pub async fn run(args: PortsArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let observed = ObservedYard::observe(&args.yard, context).await?;
    let mut ports = ports(&observed.graph, &observed.inventory);
    if let Some(network) = &args.network {
        ports.retain(|p| p.network == *network || p.network_id == *network);
    }
    let result = json!({"event": "result", "yard": observed.graph.yard, "ports": ports});
    context.printer.result(&result, || text(&ports))?;
    Ok(ExitStatus::Done)
}

fn text(ports: &[PortView]) -> String {
    if ports.is_empty() {
        return "No ports.".to_owned();
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
    let head = ["KIND", "OWNER", "NETWORK", "ADDRESSES", "MAC", "MTU", "SECURITY GROUPS", "FLOATING IP", "STATUS"];
    table::table(head, ports.iter().map(row))
}
