//! The audit log: who did what, from where, and what came of it.

use super::Query;
use super::page::{ListPage, PageQuery, Pager};
use crate::access::Admin;
use crate::api_error::ApiError;
use crate::app::App;
use crate::audit;
use crate::auth::Caller;
use crate::request::{NOTE, bounded};
use axum::extract::{MatchedPath, Request, State};
use axum::http::Uri;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use stackyard_api::{AuditEntry, AuditFilter, AuditKind, Problem};
use stackyard_core::text::error_chain;
use stackyard_store as store;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Writes down what a known caller does or tries to do, before it begins, and what came of it: every change, and what reads
/// secrets or runs programs.
pub(crate) async fn record(State(app): State<App>, request: Request, next: Next) -> Response {
    let actor = request.extensions().get::<Caller>().and_then(Caller::actor);
    let path = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    let kind = path.as_deref().and_then(|path| audit::kind(request.method(), path));
    let (Some(actor), Some(path), Some(kind)) = (actor, path, kind) else { return next.run(request).await };
    let verb = format!("{} {path}", request.method());
    let mut entry = audit::new_entry(&actor, kind, &verb, request.uri().path());
    if kind == AuditKind::Exec {
        // Whatever comes of it: the handler says in which container.
        entry.detail = Some(asked_program(request.uri()));
    }
    // A program that runs is no read, although a WebSocket begins as one.
    let is_read = audit::is_read(request.method()) && kind != AuditKind::Exec;
    match app.audit().begin(entry).await {
        Err(error) => not_written(&error).into_response(),
        Ok(pending) => {
            let response = next.run(request).await;
            pending.end(response.status().as_u16(), is_read).await;
            response
        }
    }
}

/// What is not written down is not done.
fn not_written(error: &store::Error) -> ApiError {
    ApiError::internal(format!("the audit log cannot be written, so nothing was done: {}", error_chain(error)))
}

/// The program that a request for a WebSocket asks for, and where.
fn asked_program(uri: &Uri) -> String {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    let pairs = pairs.map(|pairs| pairs.0).unwrap_or_default();
    let of =
        |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default();
    bounded(format!("{}: {}", of("replica"), of("command")), NOTE)
}

/// The audit log, newest entries first
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(PageQuery, AuditFilter), security(("token" = [])),
    responses((status = 200, body = Vec<AuditEntry>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn audit_list(
    _: Admin,
    State(app): State<App>,
    Query(which): Query<AuditFilter>,
    page: Pager,
) -> Result<ListPage<AuditEntry>, ApiError> {
    let seconds = |seconds: Option<i64>| seconds.map(|s| s.saturating_mul(1000));
    let filter = store::AuditFilter {
        actor: which.actor,
        kind: which.kind.map(|k| k.name().to_owned()),
        target: which.resource.map(|r| resource(&r)),
        result: which.result.map(|r| r.name().to_owned()),
        address: which.address,
        since: seconds(which.since),
        until: seconds(which.until),
    };
    let entries = app.store().audit(&filter, page.marker(), page.reads()).await?;
    Ok(page.of(entries, |e| e.id.clone()).map(audit::view))
}

/// The path of a resource, as entries have it.
fn resource(text: &str) -> String {
    let text = text.trim_end_matches('/');
    if text.starts_with('/') { text.to_owned() } else { format!("/api/v1/{text}") }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(audit_list))
}
