//! `stackyard net mtu`

use super::super::yard::CloudArgs;
use super::super::{Context, ExitStatus};
use crate::printer::{UserError, table};
use anyhow::bail;
use serde_json::json;
use stackyard_core::mtu::{self, Layer, MIN_IPV6, Path};
use stackyard_openstack::Network;

/// Arguments of `stackyard net mtu`.
#[derive(clap::Args)]
#[command(after_help = layers())]
pub struct MtuArgs {
    /// Layers, outermost first
    ///
    /// The outermost layer is next to the wire. Append `:v6` to a layer that runs over IPv6.
    #[arg(value_name = "LAYER")]
    layers: Vec<Layer>,

    /// MTU below all layers, in bytes [default: 1500]
    #[arg(short, long, value_name = "BYTES", conflicts_with = "network")]
    underlay: Option<u32>,

    /// Calculate the underlay MTU that packets of this size need
    #[arg(short, long, value_name = "BYTES", conflicts_with_all = ["underlay", "network"])]
    payload: Option<u32>,

    /// Put the layers inside this Neutron network, by name or ID
    #[arg(short, long, value_name = "NETWORK")]
    network: Option<String>,

    #[command(flatten)]
    cloud: CloudArgs,
}

fn layers() -> String {
    let rows = mtu::WORDS.iter().map(|(word, meaning)| format!("  {word}\n          {meaning}\n"));
    format!("Layers:\n{}", rows.collect::<String>())
}

/// Prints the path.
pub async fn run(args: MtuArgs, context: &Context) -> anyhow::Result<ExitStatus> {
    let mut layers = args.layers;
    let underlay = match (&args.network, args.payload) {
        (Some(name), _) => {
            let cloud = args.cloud.connect(None, &context.printer.onlooker()).await?;
            let network: Option<Network> = cloud.find(name).await?;
            let network = network.ok_or_else(|| {
                UserError::new(
                    format!("cannot find network `{name}` in the cloud"),
                    "pass the name or ID of a network that `openstack network list` shows",
                )
            })?;
            let (underlay, segment) = beneath(&network)?;
            layers.splice(0..0, segment);
            underlay
        }
        (None, Some(payload)) => mtu::needed(payload, &layers),
        (None, None) => args.underlay.unwrap_or(1500),
    };
    let path = Path::new(underlay, &layers)?;
    let result = json!({
        "event": "result", "underlay": path.underlay, "payload": path.payload(),
        "overhead": path.overhead(), "carries_ipv6": path.carries_ipv6(), "steps": path.steps,
    });
    context.printer.result(&result, || text(&path))?;
    Ok(ExitStatus::Done)
}

/// MTU below a Neutron network, and the layer of its segments. Neutron shows the layer only to
/// administrators; for other users the path begins at the network.
fn beneath(network: &Network) -> anyhow::Result<(u32, Option<Layer>)> {
    let Some(size) = network.mtu.filter(|m| *m > 0) else {
        bail!(UserError::new(
            format!("cannot read the MTU of network `{}`: Neutron does not report it", network.name),
            "pass --underlay",
        ));
    };
    let Some(layer) = network.network_type.as_deref().and_then(mtu::neutron::layer_of) else {
        return Ok((size, None));
    };
    Ok((layer.needed(size), Some(layer)))
}

fn text(path: &Path) -> String {
    let underlay = [path.underlay.to_string(), "underlay".to_owned(), String::new(), String::new(), String::new()];
    let rows = path.steps.iter().map(|s| {
        [s.payload.to_string(), s.name.clone(), s.overhead.to_string(), s.formula.clone(), s.source.to_owned()]
    });
    let head = ["MTU", "LAYER", "OVERHEAD", "FORMULA", "SOURCE"];
    let mut text = table::table(head, std::iter::once(underlay).chain(rows));
    text += &format!("\nPackets of up to {} bytes fit inside; all layers add {}.", path.payload(), path.overhead());
    if !path.carries_ipv6() {
        text += &format!(" IPv6 needs {MIN_IPV6} (RFC 8200, section 5) and does not work inside.");
    }
    text
}
