//! Yards: the manifest that was last applied.

use super::{App, Changes, Path, Problem, now, time};
use crate::auth::{Operator, Viewer};
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::StringRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A yard.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct YardView {
    /// Its name.
    pub name: String,
    /// Grows with each change of the manifest; also the entity tag.
    pub revision: i64,
    /// When it was last changed (RFC 3339).
    pub updated: String,
}

fn tag(revision: i64) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{revision}\""))]
}

/// Revision that a caller wants to change: `If-Match: "7"`, or `If-None-Match: *` for one that
/// must not be there yet (RFC 9110, section 13.1).
fn expected(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or_default().trim());
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None | Some("*"), None) => Ok(None),
        (None, Some("*")) => Ok(Some(0)),
        (Some(tag), None) => {
            let number = tag.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(|t| t.parse().ok());
            number
                .filter(|n| *n > 0)
                .map(Some)
                .ok_or_else(|| Problem::bad("`If-Match` must be one entity tag of a yard, as `\"7\"`"))
        }
        _ => Err(Problem::bad("give `If-Match: \"REVISION\"` or `If-None-Match: *`")),
    }
}

fn changed(yard: &str) -> Problem {
    let detail = format!("yard {yard} was changed by somebody else meanwhile; read it again");
    Problem::new(StatusCode::PRECONDITION_FAILED, detail)
}

/// Whether a text can name a yard or one of its things.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), Problem> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(good) || name.starts_with(['-', '.']) {
        return Err(Problem::bad(format!(
            "{what} {name:?} must be 1 to 63 letters, digits, `-`, `_`, `.`, and begin with a letter, digit or `_`"
        )));
    }
    Ok(())
}

/// All yards
#[utoipa::path(get, path = "/api/v1/yards", tag = "yard", security(("token" = [])),
    responses((status = 200, body = Vec<YardView>), (status = "4XX", body = Problem)))]
async fn yard_list(_: Viewer, State(app): State<App>) -> Result<Json<Vec<YardView>>, Problem> {
    let yards = app.store().yards().await?;
    let yards = yards.into_iter().map(|y| YardView { name: y.name, revision: y.revision, updated: time(y.updated) });
    Ok(Json(yards.collect()))
}

/// The manifest of a yard that was last applied
#[utoipa::path(get, path = "/api/v1/yards/{yard}", tag = "yard", security(("token" = [])),
    responses((status = 200, body = String, content_type = "application/yaml",
        headers(("ETag" = String, description = "revision"))), (status = "4XX", body = Problem)))]
async fn yard_show(_: Viewer, State(app): State<App>, Path(yard): Path<String>) -> Result<Response, Problem> {
    let Some(found) = app.store().yard(&yard).await? else {
        return Err(Problem::not_found(format!("there is no yard {yard}")));
    };
    let kind = [(header::CONTENT_TYPE, "application/yaml")];
    Ok((tag(found.revision), kind, found.manifest).into_response())
}

/// Keeps the manifest of a yard
#[utoipa::path(put, path = "/api/v1/yards/{yard}", tag = "yard", security(("token" = [])),
    params(("If-Match" = Option<String>, Header, description = "revision that is to be changed"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none")),
    request_body(content = String, content_type = "application/yaml"),
    responses((status = 200, body = YardView, headers(("ETag" = String, description = "new revision"))),
        (status = "4XX", body = Problem)))]
async fn yard_put(
    _: Operator,
    State(app): State<App>,
    Path(yard): Path<String>,
    headers: HeaderMap,
    manifest: Result<String, StringRejection>,
) -> Result<Response, Problem> {
    let manifest = manifest?;
    check_name("yard", &yard)?;
    let now = now();
    match app.store().keep_yard(&yard, &manifest, expected(&headers)?, now).await? {
        Some(revision) => {
            Changes::note(&app.inner().changes.yards);
            let view = YardView { name: yard, revision, updated: time(now) };
            Ok((tag(revision), Json(view)).into_response())
        }
        None => Err(changed(&yard)),
    }
}

/// Forgets a yard and its secrets; its hosts and stacks must be gone
#[utoipa::path(delete, path = "/api/v1/yards/{yard}", tag = "yard", security(("token" = [])),
    params(("If-Match" = Option<String>, Header, description = "revision that is to be removed")),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn yard_delete(
    _: Operator,
    State(app): State<App>,
    Path(yard): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let store = app.store();
    let (hosts, stacks) = (store.hosts(Some(&yard), None).await?, store.stacks(Some(&yard)).await?);
    if !hosts.is_empty() || !stacks.is_empty() {
        let names = hosts.iter().map(|h| format!("host {}", h.name));
        let names: Vec<String> = names.chain(stacks.iter().map(|s| format!("stack {}", s.name))).collect();
        return Err(Problem::conflict(format!("yard {yard} still has {}; remove them first", names.join(", "))));
    }
    if store.forget_yard(&yard, expected(&headers)?).await? {
        Changes::note(&app.inner().changes.yards);
        return Ok(StatusCode::NO_CONTENT);
    }
    match store.yard(&yard).await? {
        Some(_) => Err(changed(&yard)),
        None => Err(Problem::not_found(format!("there is no yard {yard}"))),
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(yard_list)).routes(routes!(yard_show, yard_put, yard_delete))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preconditions() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(header::HeaderName::from_static(name), value.parse().unwrap())])
        };
        assert_eq!(expected(&HeaderMap::new()).unwrap(), None);
        assert_eq!(expected(&headers("if-match", "*")).unwrap(), None);
        assert_eq!(expected(&headers("if-match", "\"7\"")).unwrap(), Some(7));
        assert_eq!(expected(&headers("if-none-match", "*")).unwrap(), Some(0));
        for bad in ["7", "\"x\"", "\"7\", \"8\"", "W/\"7\"", "\"0\"", "\"-1\""] {
            assert!(expected(&headers("if-match", bad)).is_err(), "{bad}");
        }
        assert!(expected(&headers("if-none-match", "\"7\"")).is_err());
    }

    #[test]
    fn names() {
        for good in ["shop", "a.b-c_d", "_x", "7"] {
            check_name("yard", good).unwrap();
        }
        let long = "x".repeat(64);
        for bad in ["", "-a", ".a", "..", "a/b", "ü", "a b", &long] {
            assert!(check_name("yard", bad).is_err(), "{bad}");
        }
    }
}
