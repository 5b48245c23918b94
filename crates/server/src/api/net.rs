//! A yard's networks: ports, what fits through, who can reach whom, and rules in its manifest.

use super::graph::{Looked, look, tagged};
use super::page::{Page, Pager};
use super::{App, Body, Path, Problem, Query};
use crate::auth::{Operator, Viewer};
use crate::graph::GraphCloud;
use crate::net::{MtuPath, PortKind, PortView, mtu_paths, ports, reach};
use crate::runs::FILE;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use stackyard_catalog::rules::{self, RuleText, Wanted};
use stackyard_core::reach::Table;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Which ports.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those of this kind.
    kind: Option<PortKind>,
    /// Only those of this network: name or id.
    network: Option<String>,
    /// Only those with this security group: name.
    group: Option<String>,
    /// Only those with this text in a name, an address, or their MAC address; or with this id.
    q: Option<String>,
}

/// A page of the ports of a yard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PortList {
    /// The look at the cloud; absent where the yard has none.
    pub cloud: Option<GraphCloud>,
    /// Ports: by network, kind, owner.
    pub ports: Vec<PortView>,
}

/// What fits through a yard's networks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MtuPaths {
    /// The look at the cloud; absent where the yard has none.
    pub cloud: Option<GraphCloud>,
    /// The ways; those that break first.
    pub paths: Vec<MtuPath>,
}

/// Who can reach whom.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReachView {
    /// The look at the cloud; absent where the yard has none.
    pub cloud: Option<GraphCloud>,
    /// The table, by what the cloud has.
    pub table: Table,
    /// The groups that the manifest declares.
    pub groups: Vec<SecurityGroupView>,
    /// Names of the cloud's groups that the manifest does not declare, for rules to speak of.
    pub other_groups: Vec<String>,
}

/// A security group that a manifest declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecurityGroupView {
    /// Its name.
    pub name: String,
    /// Its rules, as they are written.
    pub rules: Vec<RuleView>,
}

/// A rule as a manifest has it; what it does not say is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleView {
    /// Protocol; all if empty.
    #[serde(default)]
    pub proto: String,
    /// Port or range, as `80` or `8000-8100`; all if empty.
    #[serde(default)]
    pub port: String,
    /// For what goes out, not for what comes in.
    #[serde(default)]
    pub egress: bool,
    /// The other side: a CIDR or a group; everybody if empty.
    #[serde(default)]
    pub peer: String,
    /// Whether it is for IPv6, where the other side does not say.
    #[serde(default)]
    pub ipv6: Option<bool>,
}

/// Rules that a group is to have.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulesWish {
    /// The manifest to change; the one that the yard has if absent.
    #[serde(default)]
    pub manifest: Option<String>,
    /// The rules, in their order.
    pub rules: Vec<RuleWish>,
}

/// A rule that is wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleWish {
    /// Which of the group's rules it is so far, from 0; absent if it is new.
    #[serde(default)]
    pub was: Option<usize>,
    /// What it is to say.
    pub rule: RuleView,
}

/// A manifest with other rules.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RulesText {
    /// Its text; absent if the rules have mistakes.
    pub manifest: Option<String>,
    /// Mistakes.
    pub faults: Vec<RuleFault>,
}

/// A mistake in a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleFault {
    /// Which of the wanted rules, from 0.
    pub rule: usize,
    /// Which of its fields: `proto`, `port`, `peer`, `ipv6`; empty for all of it.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl From<RuleText> for RuleView {
    fn from(RuleText { proto, port, egress, peer, ipv6 }: RuleText) -> Self {
        Self { proto, port, egress, peer, ipv6 }
    }
}

impl From<RuleView> for RuleText {
    fn from(RuleView { proto, port, egress, peer, ipv6 }: RuleView) -> Self {
        let trim = |text: String| text.trim().to_owned();
        Self { proto: trim(proto), port: trim(port), egress, peer: trim(peer), ipv6 }
    }
}

impl Looked {
    pub(super) fn ports(&self) -> Vec<PortView> {
        self.sighting.inventory.as_deref().map(|all| ports(&self.graph, all)).unwrap_or_default()
    }
}

impl Which {
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
    params(Page, Which, ("If-None-Match" = Option<String>, Header, description = "entity tag of what the caller has")),
    responses((status = 200, body = PortList, headers(("ETag" = String, description = "of all but the time of the look"),
        ("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))),
        (status = 304, description = "all is as it was"), (status = "4XX", body = Problem)))]
async fn port_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    Query(which): Query<Which>,
    page: Pager,
    headers: HeaderMap,
) -> Result<Response, Problem> {
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
struct Beneath {
    /// MTU of what is beneath the cloud's networks, in bytes: a cloud tells administrators only, and only what it was told itself.
    #[param(minimum = 68, maximum = 65535)]
    underlay: Option<u32>,
}

/// What fits through a yard's networks, layer by layer, and where it breaks
///
/// From the underlay to the containers: as Neutron and the hosts' agents say.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/mtu", tag = "network", security(("token" = [])),
    params(Beneath, ("If-None-Match" = Option<String>, Header, description = "entity tag of what the caller has")),
    responses((status = 200, body = MtuPaths, headers(("ETag" = String, description = "of all but the time of the look"))),
        (status = 304, description = "all is as it was"), (status = "4XX", body = Problem)))]
async fn mtu_show(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    Query(beneath): Query<Beneath>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if beneath.underlay.is_some_and(|mtu| !(68..=65_535).contains(&mtu)) {
        return Err(Problem::bad("`underlay` is 68 to 65535 bytes"));
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
) -> Result<Response, Problem> {
    let looked = look(&app, &yard).await?;
    let inventory = looked.sighting.inventory.as_deref();
    let table = inventory.map(|all| reach(&looked.graph, all, &looked.ports()).table()).unwrap_or_default();
    // One with mistakes is told of by `cloud`.
    let groups = looked.manifest.as_ref().and_then(|text| rules::groups(FILE, text).ok()).unwrap_or_default();
    let view = |g: rules::GroupText| SecurityGroupView {
        name: g.name,
        rules: g.rules.into_iter().map(RuleView::from).collect(),
    };
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
    security(("token" = [])), request_body = RulesWish,
    responses((status = 200, body = RulesText), (status = "4XX", body = Problem)))]
async fn rules_rewrite(
    _: Operator,
    State(app): State<App>,
    Path((yard, group)): Path<(String, String)>,
    Body(wish): Body<RulesWish>,
) -> Result<Json<RulesText>, Problem> {
    super::yard::check_name("yard", &yard)?;
    let text = match wish.manifest {
        Some(text) => text,
        None => match app.store().yard(&yard).await? {
            Some(kept) => kept.manifest,
            None => return Err(Problem::not_found(format!("there is no yard {yard}; give a `manifest`"))),
        },
    };
    let wanted: Vec<Wanted> = wish.rules.into_iter().map(|w| Wanted { was: w.was, rule: w.rule.into() }).collect();
    match rules::rewrite(FILE, &text, &group, &wanted) {
        Ok(manifest) => Ok(Json(RulesText { manifest: Some(manifest), faults: Vec::new() })),
        Err(rules::Error::Faults(faults)) => {
            let fault = |f: rules::Fault| RuleFault {
                rule: f.rule,
                field: f.field.to_owned(),
                message: f.message,
                hint: f.hint,
            };
            Ok(Json(RulesText { manifest: None, faults: faults.into_iter().map(fault).collect() }))
        }
        Err(rules::Error::Mistakes(mistakes)) => Err(mistakes.into()),
        Err(error @ rules::Error::NoGroup(_)) => Err(Problem::not_found(error.to_string())),
        Err(error @ rules::Error::NoRule(_)) => Err(Problem::bad(error.to_string())),
        Err(error @ rules::Error::Elsewhere { .. }) => Err(Problem::unprocessable(error.to_string())),
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(port_list))
        .routes(routes!(mtu_show))
        .routes(routes!(reach_show))
        .routes(routes!(rules_rewrite))
}
