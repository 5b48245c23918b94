//! Hosts that joined.

use super::etag::{ETag, Precondition};
use super::page::{ListPage, PageQuery, Pager};
use super::{Body, Path, Query};
use crate::access::{CallerScope, Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::host::find;
use crate::hub::HostActivity;
use crate::runs::FILE;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use stackyard_api::{Drain, HostAddress, HostView, Problem, Replacement, host_health, now, time};
use stackyard_catalog::manifest::AbsentPackages;
use stackyard_core::yard::intend::Spec;
use stackyard_core::yard::{Key, Kind, Scope};
use stackyard_store::{self as store, Host};
use stackyard_yard::Error;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

fn host_view(host: Host, seen: Option<HostActivity>) -> HostView {
    let seen = seen.unwrap_or_default();
    let report = seen.report.map(|r| (*r).clone());
    let (health, reason) = host_health(seen.connected, host.drain.is_on(), report.as_ref());
    HostView {
        id: host.id,
        yard: host.yard,
        pool: host.pool,
        name: host.name,
        labels: host.labels,
        health,
        reason,
        connected: seen.connected,
        drain: host.drain.is_on(),
        leaving: host.drain == store::Drain::Leaving,
        replace: host.replace.map(|r| Replacement { actor: r.actor, at: time(r.at) }),
        joined: time(host.joined),
        last_seen: host.last_seen.map(|at| time(if seen.connected { now() } else { at })),
        facts: host.facts,
        address: host.address,
        revision: host.revision,
        report,
    }
}

/// Which hosts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HostFilter {
    /// Only those of this yard.
    yard: Option<String>,
    /// Only those of this pool.
    pool: Option<String>,
    /// Only those whose agent is connected, or is not.
    connected: Option<bool>,
    /// Only those that are drained, or are not.
    drain: Option<bool>,
}

/// Of what callers can change of a host.
fn tag(host: &Host) -> ETag {
    let drain = (host.drain.is_on(), host.drain == store::Drain::Leaving);
    let replace = host.replace.as_ref().map(|r| (&r.actor, r.at));
    let address = host.address.map(|a| a.to_string());
    ETag::of(&(&host.id, &host.yard, &host.pool, &host.name, &host.labels, drain, replace, address))
}

/// The same, if it is as the caller knows it.
async fn as_it_was(app: &App, id: &str, unchanged: &Precondition) -> Result<Host, ApiError> {
    let host = find(app, id).await?;
    crate::request::note(format!("host {}/{}", host.yard, host.name));
    unchanged.check(&format!("host {id}"), Some(&tag(&host)))?;
    Ok(host)
}

/// A host as callers see it.
fn view(app: &App, host: Host) -> HostView {
    let seen = app.hub().seen(&host.id);
    host_view(host, seen)
}

/// Hosts that joined, of a yard or of all, of a pool or of all.
pub(super) async fn list(app: &App, yard: Option<&str>, pool: Option<&str>) -> Result<Vec<HostView>, ApiError> {
    let hosts = app.store().hosts(yard, pool).await?;
    Ok(hosts.into_iter().map(|host| view(app, host)).collect())
}

/// Hosts that joined
#[utoipa::path(get, path = "/api/v1/hosts", tag = "host", params(PageQuery, HostFilter), security(("token" = [])),
    responses((status = 200, body = Vec<HostView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn host_list(
    _: Viewer,
    reach: CallerScope,
    State(app): State<App>,
    Query(which): Query<HostFilter>,
    page: Pager,
) -> Result<ListPage<HostView>, ApiError> {
    let mut all = list(&app, which.yard.as_deref(), which.pool.as_deref()).await?;
    all.retain(|h| which.connected.is_none_or(|is| h.connected == is) && which.drain.is_none_or(|is| h.drain == is));
    Ok(page.cut(reach.only(all, |h| &h.yard).await?, |h| format!("{}/{}", h.yard, h.name)))
}

/// A host
#[utoipa::path(get, path = "/api/v1/hosts/{id}", tag = "host", security(("token" = [])),
    params(("id" = String, Path, description = "id, or yard and name as `yard%2Fname`")),
    responses((status = 200, body = HostView,
        headers(("ETag" = String, description = "of what can be changed of it"))), (status = "4XX", body = Problem)))]
async fn host_show(_: Viewer, State(app): State<App>, Path(id): Path<String>) -> Result<impl IntoResponse, ApiError> {
    let host = find(&app, &id).await?;
    Ok((tag(&host).header(), Json(view(&app, host))))
}

/// Begins or ends draining a host
#[utoipa::path(post, path = "/api/v1/hosts/{id}/drain", tag = "host", request_body = Drain, security(("token" = [])),
    params(("id" = String, Path, description = "id, or yard and name as `yard%2Fname`"),
        ("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    responses((status = 204, headers(("ETag" = String, description = "the new one"))), (status = "4XX", body = Problem)))]
async fn host_drain(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path(id): Path<String>,
    Body(drain): Body<Drain>,
) -> Result<impl IntoResponse, ApiError> {
    let _turn = app.inner().turns.hosts.lock().await;
    let host = as_it_was(&app, &id, &unchanged).await?;
    let asked = if drain.on { "on" } else { "off" };
    crate::request::note(format!("host {}/{}: drain {asked}", host.yard, host.name));
    match (drain.on, drain.leaving) {
        (true, true) => app.store().drain(&host.id, store::Drain::Leaving).await?,
        (true, false) => app.store().drain(&host.id, store::Drain::Held).await?,
        (false, true) => app.store().stays(&host.id).await?,
        (false, false) => app.store().drain(&host.id, store::Drain::No).await?,
    };
    app.hub().changed();
    Ok((StatusCode::NO_CONTENT, tag(&find(&app, &host.id).await?).header()))
}

/// Changes the address at which others reach a host
///
/// A host keeps the address that it joined with, whatever interfaces it gets later. Containers that know the address, on
/// the host and in `extra_hosts` of others, get the new one at once. Templates of packages that list hosts get it with the
/// next deployment. 400 if the host's agent does not report the address.
#[utoipa::path(put, path = "/api/v1/hosts/{id}/address", tag = "host", request_body = HostAddress,
    security(("token" = [])),
    params(("id" = String, Path, description = "id, or yard and name as `yard%2Fname`"),
        ("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    responses((status = 200, body = HostView, headers(("ETag" = String, description = "the new one"))),
        (status = "4XX", body = Problem)))]
async fn host_address(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path(id): Path<String>,
    Body(HostAddress { address }): Body<HostAddress>,
) -> Result<impl IntoResponse, ApiError> {
    let _turn = app.inner().turns.hosts.lock().await;
    let host = as_it_was(&app, &id, &unchanged).await?;
    if !host.facts.addresses.contains(&address) {
        let told: Vec<String> = host.facts.addresses.iter().map(ToString::to_string).collect();
        return Err(ApiError::bad(format!(
            "{address} is no address of host {}/{}: its agent reports {}; choose one of these",
            host.yard,
            host.name,
            if told.is_empty() { "none".to_owned() } else { told.join(", ") }
        )));
    }
    let before = host.address.map_or_else(|| "none".to_owned(), |a| a.to_string());
    crate::request::note(format!("host {}/{}: address {address}, was {before}", host.yard, host.name));
    app.store().set_address(&host.id, address).await?;
    app.hub().changed();
    let host = find(&app, &host.id).await?;
    Ok((tag(&host).header(), Json(view(&app, host))))
}

/// Refuses a host that no run of its yard would make anew.
async fn need_pool(app: &App, host: &Host) -> Result<(), ApiError> {
    let Host { yard, name, .. } = host;
    let refused = |why: String| {
        Err(ApiError::conflict(format!(
            "{yard}/{name} is replaced by no run: {why}. Replace the machine yourself: drain the host, remove it, and \
             join another one (`stackyard host drain`, `remove`, `join`)"
        )))
    };
    let Some(text) = app.manifest_of(yard).await? else {
        return refused(format!("the server knows no manifest of yard {yard}"));
    };
    // Of a manifest that has mistakes by now: its next run, or rather its plan, tells them.
    let Ok(outline) = app.outline_of(yard, FILE, &text).await? else {
        return refused(format!("the manifest of yard {yard} cannot be read"));
    };
    let made = outline.intended.get(&Key::new(Kind::Server, name)).and_then(|r| match &r.spec {
        Spec::Server(server) => server.host.as_ref(),
        _ => None,
    });
    match made {
        Some(made) if made.has_agent() => Ok(()),
        _ if !outline.absent.is_empty() => refused(AbsentPackages(outline.absent).to_string()),
        _ => refused(format!("it is of no pool in the manifest of yard {yard}")),
    }
}

/// Asks for another server in a host's place
///
/// The yard's next run drains the host, removes its server and makes another with the same name, addresses
/// and data volume, as it does with one that is broken; of a pool no more than `maxUnavailable` are away at once. The
/// plan tells who asked for it. Asked for again, it stays as it was. 409 if the host is none of a pool.
#[utoipa::path(post, path = "/api/v1/hosts/{id}/replace", tag = "host", security(("token" = [])),
    params(("id" = String, Path, description = "id, or yard and name as `yard%2Fname`"),
        ("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    responses((status = 200, body = HostView, headers(("ETag" = String, description = "the new one"))),
        (status = "4XX", body = Problem)))]
async fn host_replace(
    Operator(caller): Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let _turn = app.inner().turns.hosts.lock().await;
    let host = as_it_was(&app, &id, &unchanged).await?;
    need_pool(&app, &host).await?;
    let replace = store::Replace { actor: caller.actor().unwrap_or_default(), at: now() };
    app.store().mark_to_replace(&host.id, &replace).await?;
    app.hub().changed();
    let host = find(&app, &host.id).await?;
    Ok((tag(&host).header(), Json(view(&app, host))))
}

/// Keeps a host's server after all
///
/// Only while no run of the yard goes on: that may be replacing it (409).
#[utoipa::path(delete, path = "/api/v1/hosts/{id}/replace", tag = "host", security(("token" = [])),
    params(("id" = String, Path, description = "id, or yard and name as `yard%2Fname`"),
        ("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    responses((status = 204, headers(("ETag" = String, description = "the new one"))), (status = "4XX", body = Problem)))]
async fn host_replace_cancel(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let _turn = app.inner().turns.hosts.lock().await;
    let host = as_it_was(&app, &id, &unchanged).await?;
    // What a run has read, it carries out.
    let scope = app.store().scope_of(&host.yard).await?.as_deref().and_then(Scope::parse).unwrap_or_default();
    let _lock = app.records().lock(&host.yard, &scope).map_err(|e| match e {
        Error::Locked { .. } => ApiError::conflict(format!(
            "a run of yard {} is active, and may be replacing the host; wait for it, or cancel it, and try again",
            host.yard
        )),
        other => other.into(),
    })?;
    app.store().unmark_to_replace(&host.id).await?;
    app.hub().changed();
    Ok((StatusCode::NO_CONTENT, tag(&find(&app, &host.id).await?).header()))
}

/// Removes a host: its agent is no longer let in. What runs there goes on until the machine goes
#[utoipa::path(delete, path = "/api/v1/hosts/{id}", tag = "host", security(("token" = [])),
    params(("id" = String, Path, description = "id, or yard and name as `yard%2Fname`"),
        ("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn host_remove(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let _turn = app.inner().turns.hosts.lock().await;
    let host = as_it_was(&app, &id, &unchanged).await?;
    app.store().remove_host(&host.id, now()).await?;
    app.hub().forget(&host.id);
    app.ports().wake();
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(host_list))
        .routes(routes!(host_show, host_remove))
        .routes(routes!(host_drain))
        .routes(routes!(host_address))
        .routes(routes!(host_replace, host_replace_cancel))
}
