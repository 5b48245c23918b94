//! Results of ADD, in the shape of each version of the specification; and what CHECK compares with one.

use super::protocol::AttachResult;
use super::spec::Version;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// What ADD prints: what plugins before have done, and this one.
pub(crate) fn render(
    version: Version,
    before: Option<&Map<String, Value>>,
    attached: &AttachResult,
    host_mac: &str,
    ifname: &str,
    netns: &str,
) -> Value {
    let mut result = before.cloned().unwrap_or_default();
    let list = |result: &mut Map<String, Value>, key: &str| match result.remove(key) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let mut interfaces = list(&mut result, "interfaces");
    let mut host = json!({"name": attached.host, "mac": host_mac});
    let mut inside = json!({"name": ifname, "mac": attached.mac, "sandbox": netns});
    if version >= Version::V1_1_0 {
        host["mtu"] = attached.mtu.into();
        inside["mtu"] = attached.mtu.into();
    }
    interfaces.extend([host, inside]);
    let mut ips = list(&mut result, "ips");
    for address in &attached.addresses {
        let mut ip = json!({"address": address.address.to_string(), "interface": interfaces.len() - 1});
        if let Some(gateway) = address.gateway {
            ip["gateway"] = gateway.to_string().into();
        }
        if version < Version::V1_0_0 {
            ip["version"] = if address.address.addr().is_ipv4() { "4" } else { "6" }.into();
        }
        ips.push(ip);
    }
    let mut routes = list(&mut result, "routes");
    routes.extend(attached.routes.iter().map(|(to, via)| json!({"dst": to.to_string(), "gw": via.to_string()})));
    result.insert("cniVersion".to_owned(), version.text().into());
    result.insert("interfaces".to_owned(), interfaces.into());
    result.insert("ips".to_owned(), ips.into());
    result.insert("routes".to_owned(), routes.into());
    let dns = result.entry("dns").or_insert_with(|| json!({}));
    if dns.as_object().is_none_or(Map::is_empty) {
        *dns = Value::Object(attached.dns.clone());
    }
    Value::Object(result)
}

/// What a previous result says of the container's end.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PreviousResult {
    pub(crate) mac: Option<String>,
    pub(crate) mtu: Option<u64>,
    pub(crate) addresses: Vec<IpNet>,
    /// Destinations and next hops of all routes over a next hop.
    pub(crate) routes: Vec<(IpNet, IpAddr)>,
}

/// Reads one; nothing if it does not have that interface.
pub(crate) fn previous_result(result: &Map<String, Value>, ifname: &str) -> Option<PreviousResult> {
    let list = |key: &str| result.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_ours = |i: &Value| i["name"] == ifname && i["sandbox"].as_str().is_some_and(|s| !s.is_empty());
    let index = list("interfaces").iter().position(is_ours)?;
    let interface = &list("interfaces")[index];
    let of_it = list("ips").iter().filter(|ip| ip["interface"].as_u64() == u64::try_from(index).ok());
    let route = |route: &Value| Some((route["dst"].as_str()?.parse().ok()?, route["gw"].as_str()?.parse().ok()?));
    Some(PreviousResult {
        mac: interface["mac"].as_str().filter(|m| !m.is_empty()).map(str::to_ascii_lowercase),
        mtu: interface["mtu"].as_u64().filter(|m| *m > 0),
        addresses: of_it.filter_map(|ip| ip["address"].as_str()?.parse().ok()).collect(),
        routes: list("routes").iter().filter_map(route).collect(),
    })
}
