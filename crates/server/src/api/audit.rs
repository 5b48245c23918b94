//! The audit log: who changed what.

use super::Query;
use super::page::{ListPage, PageQuery, Pager};
use crate::access::Admin;
use crate::api_error::ApiError;
use crate::app::App;
use crate::app::ChangeCounters;
use crate::auth::Caller;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use stackyard_api::{AuditEntry, Problem, now, time};
use stackyard_store::Entry;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Writes every change down that a known caller makes or tries to make: before it begins, and what
/// came of it. An entry without a result tells of a server that was killed, or of a caller who did
/// not wait.
pub(crate) async fn record(State(app): State<App>, request: Request, next: Next) -> Response {
    let actor = request.extensions().get::<Caller>().and_then(Caller::actor);
    let path = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    // To plan is to ask, with a body that is too large for a query.
    let asks = path.as_deref().is_some_and(|p| p.ends_with("/plan") || p.ends_with("/check"));
    let reads = asks || matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let (Some(actor), Some(path), false) = (actor, path, reads) else { return next.run(request).await };
    let verb = format!("{} {path}", request.method());
    match app.store().audit_begin(now(), &actor, &verb, request.uri().path()).await {
        Err(error) => axum::response::IntoResponse::into_response(ApiError::from(error)),
        Ok(id) => {
            ChangeCounters::note(&app.inner().changes.audit);
            let response = next.run(request).await;
            if let Err(error) = app.store().audit_end(&id, response.status().as_str()).await {
                tracing::error!("{error}: the entry {id} stays without a result");
            }
            ChangeCounters::note(&app.inner().changes.audit);
            response
        }
    }
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AuditFilter {
    /// Only those of this caller, as `who` has it.
    actor: Option<String>,
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
    let entries = app.store().audit(which.actor.as_deref(), page.marker(), page.reads()).await?;
    let entry = |e: Entry| AuditEntry {
        id: e.id,
        at: time(e.at),
        actor: e.actor,
        verb: e.verb,
        target: e.target,
        result: e.result,
    };
    Ok(page.of(entries, |e| e.id.clone()).map(entry))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(audit_list))
}
