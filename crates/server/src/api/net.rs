//! A yard's networks: ports, what fits through, who can reach whom, and rules in its manifest.

use super::graph::{YardGraph, look, tagged};
use super::page::{PageQuery, Pager};
use super::{Body, Path, Query};
use crate::access::{Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::runs::FILE;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stackyard_api::{
    MtuPaths, PortKind, PortList, PortView, Problem, ReachView, RuleError, RuleView, RulesRequest, RulesText,
    SecurityGroupView,
};
use stackyard_catalog::rules::{self, RuleChange, RuleText};
use stackyard_yard::net::{mtu_paths, ports, reach};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Which ports.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PortFilter {
    /// Only those of this kind.
    kind: Option<PortKind>,
    /// Only those of this network: name or id.
    network: Option<String>,
    /// Only those with this security group: name.
    group: Option<String>,
    /// Only those with this text in a name, an address, or their MAC address; or with this id.
    q: Option<String>,
}

fn rule_view(RuleText { proto, port, egress, peer, ipv6 }: RuleText) -> RuleView {
    RuleView { proto, port, egress, peer, ipv6 }
}

fn rule_text(RuleView { proto, port, egress, peer, ipv6 }: RuleView) -> RuleText {
    let trim = |text: String| text.trim().to_owned();
    RuleText { proto: trim(proto), port: trim(port), egress, peer: trim(peer), ipv6 }
}

impl YardGraph {
    pub(super) fn ports(&self) -> Vec<PortView> {
        self.sighting.inventory.as_deref().map(|all| ports(&self.graph, all)).unwrap_or_default()
    }
}

impl PortFilter {
    fn fits(&self, port: &PortView) -> bool {
        let is = |wanted: &Option<String>, has: &[&str]| wanted.as_deref().is_none_or(|w| has.contains(&w));
        let groups: Vec<&str> = port.security_groups.iter().map(String::as_str).collect();
        let text = self.q.as_ref().map(|q| q.to_lowercase());
        let owner = port.owner.as_ref().map(|o| &o.name);
        let texts = [&port.name, &port.mac, &port.network].into_iter().chain(owner);
        let mut texts = texts.chain(&port.addresses).chain(&port.floating_ips);
        self.kind.is_none_or(|k| k == port.kind)
            && is(&self.network, &[&port.network, &port.network_id])
            && (self.group.is_none() || is(&self.group, &groups))
            && text.is_none_or(|text| port.id == text || texts.any(|t| t.to_lowercase().contains(&text)))
    }
}

/// Ports of a yard's networks, and those of its machines in other networks
///
/// From the look at the cloud that `/api/v1/yards/{yard}/graph` tells of, too.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/ports", tag = "network", security(("token" = [])),
    params(PageQuery, PortFilter, ("If-None-Match" = Option<String>, Header, description = "entity tag of what the caller has")),
    responses((status = 200, body = PortList, headers(("ETag" = String, description = "of all but the time of the look"),
        ("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))),
        (status = 304, description = "all is as it was"), (status = "4XX", body = Problem)))]
async fn port_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    Query(which): Query<PortFilter>,
    page: Pager,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let looked = look(&app, &yard).await?;
    let mut ports = looked.ports();
    ports.retain(|p| which.fits(p));
    let (ports, next) = page.cut(ports, place).parts();
    let list = PortList { cloud: looked.graph.cloud, ports };
    let list = tagged(&headers, list, next.as_ref(), looked.sighting.looked, |list| list.cloud.as_mut());
    Ok((next, list).into_response())
}

/// Where a port is in the list: by network, kind, owner.
fn place(port: &PortView) -> String {
    let owner = port.owner.as_ref().map_or("", |o| o.name.as_str());
    format!("{}/{}/{owner}/{}", port.network, port.kind as u8, port.id)
}

/// What the cloud's own network carries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UnderlayMtu {
    /// MTU of what is beneath the cloud's networks, in bytes: a cloud tells administrators only, and only what it was told itself.
    #[param(minimum = 68, maximum = 65535)]
    underlay: Option<u32>,
}

/// What fits through a yard's networks, layer by layer, and where it breaks
///
/// From the underlay to the containers: as Neutron and the hosts' agents say.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/mtu", tag = "network", security(("token" = [])),
    params(UnderlayMtu, ("If-None-Match" = Option<String>, Header, description = "entity tag of what the caller has")),
    responses((status = 200, body = MtuPaths, headers(("ETag" = String, description = "of all but the time of the look"))),
        (status = 304, description = "all is as it was"), (status = "4XX", body = Problem)))]
async fn mtu_show(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    Query(beneath): Query<UnderlayMtu>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if beneath.underlay.is_some_and(|mtu| !(68..=65_535).contains(&mtu)) {
        return Err(ApiError::bad("`underlay` is 68 to 65535 bytes"));
    }
    let looked = look(&app, &yard).await?;
    let inventory = looked.sighting.inventory.as_deref();
    let paths = mtu_paths(&looked.graph, inventory, &looked.ports(), &looked.hosts, beneath.underlay);
    let all = MtuPaths { cloud: looked.graph.cloud, paths };
    Ok(tagged(&headers, all, None, looked.sighting.looked, |all| all.cloud.as_mut()))
}

/// Who can reach whom, by the cloud's security groups; and the groups as the manifest declares them
#[utoipa::path(get, path = "/api/v1/yards/{yard}/reach", tag = "network", security(("token" = [])),
    params(("If-None-Match" = Option<String>, Header, description = "entity tag of what the caller has")),
    responses((status = 200, body = ReachView, headers(("ETag" = String, description = "of all but the time of the look"))),
        (status = 304, description = "all is as it was"), (status = "4XX", body = Problem)))]
async fn reach_show(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let looked = look(&app, &yard).await?;
    let inventory = looked.sighting.inventory.as_deref();
    let table = inventory.map(|all| reach(&looked.graph, all, &looked.ports()).table()).unwrap_or_default();
    // One with mistakes is told of by `cloud`.
    let groups = looked.manifest.as_ref().and_then(|text| rules::groups(FILE, text).ok()).unwrap_or_default();
    let view =
        |g: rules::GroupText| SecurityGroupView { name: g.name, rules: g.rules.into_iter().map(rule_view).collect() };
    let groups: Vec<SecurityGroupView> = groups.into_iter().map(view).collect();
    let others = inventory.into_iter().flat_map(|all| &all.security_groups).map(|g| g.name.clone());
    let mut other_groups: Vec<String> = others.filter(|n| !groups.iter().any(|g| g.name == *n)).collect();
    other_groups.sort();
    other_groups.dedup();
    let all = ReachView { cloud: looked.graph.cloud, table, groups, other_groups };
    Ok(tagged(&headers, all, None, looked.sighting.looked, |all| all.cloud.as_mut()))
}

/// The manifest with other rules in a security group; nothing is changed
///
/// Comments and layout of all that stays are kept. The text can be planned and brought up as any other.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/security-groups/{group}/rules", tag = "network",
    security(("token" = [])), request_body = RulesRequest,
    responses((status = 200, body = RulesText), (status = "4XX", body = Problem)))]
async fn rules_rewrite(
    _: Operator,
    State(app): State<App>,
    Path((yard, group)): Path<(String, String)>,
    Body(wish): Body<RulesRequest>,
) -> Result<Json<RulesText>, ApiError> {
    super::yard::check_name("yard", &yard)?;
    let text = match wish.manifest {
        Some(text) => text,
        None => match app.store().yard(&yard).await? {
            Some(kept) => kept.manifest,
            None => return Err(ApiError::not_found(format!("there is no yard {yard}; give a `manifest`"))),
        },
    };
    let wanted: Vec<RuleChange> =
        wish.rules.into_iter().map(|w| RuleChange { was: w.was, rule: rule_text(w.rule) }).collect();
    match rules::rewrite(FILE, &text, &group, &wanted) {
        Ok(manifest) => Ok(Json(RulesText { manifest: Some(manifest), faults: Vec::new() })),
        Err(rules::Error::Faults(faults)) => {
            let fault = |f: rules::RuleFault| RuleError {
                rule: f.rule,
                field: f.field.to_owned(),
                message: f.message,
                hint: f.hint,
            };
            Ok(Json(RulesText { manifest: None, faults: faults.into_iter().map(fault).collect() }))
        }
        Err(rules::Error::Mistakes(mistakes)) => Err(mistakes.into()),
        Err(error @ rules::Error::NoGroup(_)) => Err(ApiError::not_found(error.to_string())),
        Err(error @ rules::Error::NoRule(_)) => Err(ApiError::bad(error.to_string())),
        Err(error @ rules::Error::Elsewhere { .. }) => Err(ApiError::unprocessable(error.to_string())),
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(port_list))
        .routes(routes!(mtu_show))
        .routes(routes!(reach_show))
        .routes(routes!(rules_rewrite))
}
