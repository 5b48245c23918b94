//! Sets what a measurement advises.

use super::measure::{open, value};
use crate::hub::Hub;
use serde_json::json;
use stackyard_api::MtuStep;
use stackyard_core::agent::{Measure, MtuChanged, MtuSetting};
use stackyard_core::text::error_chain;
use stackyard_openstack::{Cloud, Network};
use std::time::Duration;
use tokio::time::timeout;

/// How long an agent may take to set a network of many containers.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does a step; what changed, for people. One that is done already changes nothing.
pub(crate) async fn fix(hub: &Hub, cloud: Option<&Cloud>, step: &MtuStep) -> Result<Vec<String>, String> {
    let (host, setting) = match step {
        MtuStep::Network { id, name, to, .. } => return network(cloud, id, name, *to).await,
        MtuStep::Link { host, name, to, .. } => (host, MtuSetting::Link { name: name.clone(), mtu: *to }),
        MtuStep::Containers { host, id, to, .. } => (host, MtuSetting::Network { id: id.clone(), mtu: *to }),
    };
    let mut stream = open(hub, host, Measure::Set(setting))?;
    let mut changed = Vec::new();
    let all = async {
        while let Some(MtuChanged { what, from, to }) = value(&mut stream).await? {
            changed.push(format!("{what}: {from} -> {to}"));
        }
        Ok::<(), String>(())
    };
    timeout(PATIENCE, all)
        .await
        .map_err(|_| format!("its agent has not answered within {} s", PATIENCE.as_secs()))??;
    Ok(changed)
}

async fn network(cloud: Option<&Cloud>, id: &str, name: &str, to: u32) -> Result<Vec<String>, String> {
    let cloud = cloud.ok_or("the server has no manifest of the yard, and so knows no cloud of it")?;
    let said = |e: stackyard_openstack::Error| {
        let hint = e.hint().map(|h| format!("; {h}")).unwrap_or_default();
        format!("setting the MTU of network {name}: {}{hint}", error_chain(&e))
    };
    let now: Network = cloud.get(id).await.map_err(said)?;
    if now.mtu == Some(to) {
        return Ok(Vec::new());
    }
    let _: Network = cloud.update(id, &json!({"mtu": to})).await.map_err(said)?;
    Ok(vec![format!("network {name}: {} -> {to}", now.mtu.unwrap_or_default())])
}
