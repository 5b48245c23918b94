//! Sets MTUs as they are now. What makes links anew later does it as it is configured.

use super::survey::{bridge, inside, links_here};
use super::within;
use crate::context::Context;
use bollard::query_parameters::InspectNetworkOptions;
use stackyard_core::agent::{MtuChanged, MtuSetting};
use stackyard_core::mtu::MIN_IPV4;
use stackyard_core::text::error_chain;
use stackyard_wire::link::{self, Link};

/// Sets it; what had another.
pub(crate) async fn set(context: &Context, setting: MtuSetting) -> Result<Vec<MtuChanged>, String> {
    let (MtuSetting::Link { mtu, .. } | MtuSetting::Network { mtu, .. }) = setting;
    if !(MIN_IPV4..=65_535).contains(&mtu) {
        return Err(format!("an MTU is {MIN_IPV4} to 65535 bytes, not {mtu}"));
    }
    match setting {
        MtuSetting::Link { name, mtu } => {
            within(None, move || {
                let there = link::get(&name).map_err(|e| error_chain(&e))?;
                let link = there.ok_or_else(|| format!("this host has no interface {name}"))?;
                let what = format!("interface {name}");
                Ok(change(&link, mtu, what)?.into_iter().collect())
            })
            .await
        }
        MtuSetting::Network { id, mtu } => of_network(context, &id, mtu).await,
    }
}

/// A Docker network's bridge, and both ends of each link of a container.
async fn of_network(context: &Context, id: &str, mtu: u32) -> Result<Vec<MtuChanged>, String> {
    let engine = context.engine()?;
    let docker = engine.docker().api();
    let network = docker.inspect_network(id, None::<InspectNetworkOptions>).await;
    let network = network.map_err(|e| format!("looking up Docker network {id}: {}", error_chain(&e)))?;
    let name = network.name.unwrap_or_default();
    let bridge = bridge(id, network.driver.as_deref().unwrap_or_default(), &network.options.unwrap_or_default());
    // The bridge first: the kernel then leaves it as it is when its ports change.
    let of_bridge = bridge.clone();
    let on_bridge = format!("the bridge of network {name}");
    let mut changed: Vec<MtuChanged> = within(None, move || {
        let there = of_bridge.map(|b| link::get(&b).map_err(|e| error_chain(&e))).transpose()?.flatten();
        Ok(there.map(|link| change(&link, mtu, on_bridge)).transpose()?.flatten().into_iter().collect())
    })
    .await?;
    for container in network.containers.unwrap_or_default().into_keys() {
        // One that has ended meanwhile has no link.
        let Some(inside) = inside(docker, &container).await else { continue };
        let (container, of_network) = (inside.name.clone(), id.to_owned());
        let what = format!("container {container}'s end in network {name}");
        let (peers, ends) = within(Some(inside.namespace.clone()), move || {
            let (mut peers, mut ends) = (Vec::new(), Vec::new());
            for (link, seen) in links_here()? {
                if inside.network(&link, &seen) == Some(&of_network) {
                    ends.extend(change(&link, mtu, what.clone())?);
                    peers.extend(link.peer);
                }
            }
            Ok((peers, ends))
        })
        .await?;
        changed.extend(ends);
        if bridge.is_none() {
            continue;
        }
        let what = format!("the host's end of container {container} in network {name}");
        let on_host = within(None, move || {
            let links = link::list().map_err(|e| error_chain(&e))?;
            let mut changed = Vec::new();
            for link in links.iter().filter(|l| peers.contains(&l.index) && l.veth) {
                changed.extend(change(link, mtu, what.clone())?);
            }
            Ok(changed)
        })
        .await?;
        changed.extend(on_host);
    }
    Ok(changed)
}

/// Sets a link's MTU, if it has another.
fn change(link: &Link, mtu: u32, what: String) -> Result<Option<MtuChanged>, String> {
    if link.mtu == mtu {
        return Ok(None);
    }
    link::set_mtu(&link.name, mtu).map_err(|e| format!("{what}: {}", error_chain(&e)))?;
    Ok(Some(MtuChanged { what, from: link.mtu, to: mtu }))
}
