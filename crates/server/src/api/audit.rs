//! The audit log: who changed what.

use super::{App, Changes, Problem, Query, now, time};
use crate::auth::{Admin, Caller};
use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Writes every change down that a known caller makes or tries to make: before it begins, and what
/// came of it. An entry without a result tells of a server that was killed, or of a caller who did
/// not wait.
pub(crate) async fn record(State(app): State<App>, request: Request, next: Next) -> Response {
    let who = request.extensions().get::<Caller>().and_then(Caller::who);
    let path = request.extensions().get::<MatchedPath>().map(|p| p.as_str().to_owned());
    // To plan is to ask, with a body that is too large for a query.
    let asks = path.as_deref().is_some_and(|p| p.ends_with("/plan") || p.ends_with("/check"));
    let reads = asks || matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let (Some(who), Some(path), false) = (who, path, reads) else { return next.run(request).await };
    let verb = format!("{} {path}", request.method());
    match app.store().audit_begin(now(), &who, &verb, request.uri().path()).await {
        Err(error) => axum::response::IntoResponse::into_response(Problem::from(error)),
        Ok(id) => {
            Changes::note(&app.inner().changes.audit);
            let response = next.run(request).await;
            if let Err(error) = app.store().audit_end(&id, response.status().as_str()).await {
                tracing::error!("{error}: the entry {id} stays without a result");
            }
            Changes::note(&app.inner().changes.audit);
            response
        }
    }
}

/// An entry of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// Its id; ids grow with time.
    pub id: String,
    /// When it began (RFC 3339).
    pub at: String,
    /// Who: `socket`, `token NAME`, `user NAME@DOMAIN of CLOUD/PROJECT`, `agent YARD/HOST` or
    /// `join YARD/HOST`.
    pub who: String,
    /// Method and pattern of the path.
    pub verb: String,
    /// The path.
    pub target: String,
    /// Status of the answer. Absent while it lasts, and for ever if the server was killed during it
    /// or the caller did not wait.
    pub result: Option<String>,
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Only entries older than the one with this id.
    before: Option<String>,
    /// So many at most, 1 to 1000.
    #[param(default = 100)]
    limit: Option<u32>,
}

/// The audit log, newest entries first
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(Page), security(("token" = [])),
    responses((status = 200, body = Vec<AuditEntry>), (status = "4XX", body = Problem)))]
async fn audit_list(
    _: Admin,
    State(app): State<App>,
    Query(page): Query<Page>,
) -> Result<Json<Vec<AuditEntry>>, Problem> {
    let limit = page.limit.unwrap_or(100).clamp(1, 1000);
    let entries = app.store().audit(page.before.as_deref(), limit).await?;
    let entries = entries.into_iter().map(|e| AuditEntry {
        id: e.id,
        at: time(e.at),
        who: e.who,
        verb: e.verb,
        target: e.target,
        result: e.result,
    });
    Ok(Json(entries.collect()))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(audit_list))
}
