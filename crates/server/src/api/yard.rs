//! Yards: the manifest that was last applied, and those before it.

use super::etag::ETag;
use super::follow::current;
use super::page::{ListPage, PageQuery, Pager};
use super::yard_plan::{YardRequestBody, check_files};
use super::yard_run::run_view;
use super::{Path, Query};
use crate::access::{CallerScope, Operator, Viewer, YardOwnership};
use crate::api_error::ApiError;
use crate::app::App;
use crate::app::ChangeCounters;
use crate::audit;
use crate::manifest::keep_manifest;
use crate::runs::FILE;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use stackyard_api::{
    ManifestText, ManifestView, Problem, RunDetail, RunView, YardRequest, YardView, manifest_digest, time,
};
use stackyard_catalog::manifest;
use stackyard_core::text::is_name_char;
use stackyard_store::{Manifest, ManifestName, Yard};
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Which yards.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct YardFilter {
    /// Only those whose manifests name this cloud.
    cloud: Option<String>,
}

/// Revision that a caller wants to change: `If-Match: "7"`, or `If-None-Match: *` for one that
/// must not be there yet (RFC 9110, section 13.1).
pub(super) fn expected(headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    let text = |name| headers.get(name).map(|v| v.to_str().unwrap_or_default().trim());
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None | Some("*"), None) => Ok(None),
        (None, Some("*")) => Ok(Some(0)),
        (Some(tag), None) => {
            let number = tag.strip_prefix('"').and_then(|t| t.strip_suffix('"')).and_then(|t| t.parse().ok());
            number
                .filter(|n| *n > 0)
                .map(Some)
                .ok_or_else(|| ApiError::bad("`If-Match` must be one entity tag of a yard, as `\"7\"`"))
        }
        _ => Err(ApiError::bad("give `If-Match: \"REVISION\"` or `If-None-Match: *`")),
    }
}

/// The same of a yard that a caller may make only if nobody has been quicker.
pub(super) async fn at(reach: &CallerScope, yard: &str, headers: &HeaderMap) -> Result<Option<i64>, ApiError> {
    match expected(headers)? {
        None if reach.whose(yard).await? == YardOwnership::Nobodys => Ok(Some(0)),
        at => Ok(at),
    }
}

/// Whether a text can name a yard or one of its things.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.len() > 63 || !name.chars().all(is_name_char) || name.starts_with(['-', '.']) {
        return Err(ApiError::bad(format!(
            "{what} {name:?} must be 1 to 63 letters, digits, `-`, `_`, `.`, and begin with a letter, digit or `_`"
        )));
    }
    Ok(())
}

/// A yard without its newest run.
pub(super) fn yard_view(yard: Yard) -> YardView {
    let cloud = manifest::gist(FILE, &yard.manifest).ok().and_then(|g| g.cloud);
    YardView { name: yard.name, revision: yard.revision, updated: time(yard.updated), cloud, run: None }
}

fn manifest_view(name: ManifestName) -> ManifestView {
    ManifestView { revision: name.revision, actor: name.actor, kept: time(name.kept) }
}

/// All yards, each with its newest run
#[utoipa::path(get, path = "/api/v1/yards", tag = "yard", params(PageQuery, YardFilter), security(("token" = [])),
    responses((status = 200, body = Vec<YardView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn yard_list(
    _: Viewer,
    reach: CallerScope,
    State(app): State<App>,
    Query(which): Query<YardFilter>,
    page: Pager,
) -> Result<ListPage<YardView>, ApiError> {
    let (yards, runs) = (app.store().yards().await?, app.store().last_runs().await?);
    let yards = reach.only(yards, |y| &y.name).await?;
    let mut runs: BTreeMap<String, RunView> =
        runs.into_iter().map(|r| (r.new.yard.clone(), run_view(current::<RunDetail>(&app, r)))).collect();
    let view = |yard: Yard| {
        let run = runs.remove(&yard.name);
        YardView { run, ..yard_view(yard) }
    };
    let mut views: Vec<YardView> = yards.into_iter().map(view).collect();
    views.retain(|v| which.cloud.is_none() || v.cloud == which.cloud);
    Ok(page.cut(views, |v| v.name.clone()))
}

/// The manifest of a yard that was last applied, as it was written
///
/// It may have been kept with mistakes, so that nothing is said of its form.
#[utoipa::path(get, path = "/api/v1/yards/{yard}", tag = "yard", security(("token" = [])),
    responses((status = 200, body = serde_json::Value, content_type = "application/yaml",
        headers(("ETag" = String, description = "revision"))), (status = "4XX", body = Problem)))]
async fn yard_show(_: Viewer, State(app): State<App>, Path(yard): Path<String>) -> Result<Response, ApiError> {
    let Some(found) = app.store().yard(&yard).await? else {
        return Err(ApiError::not_found(format!("there is no yard {yard}")));
    };
    let kind = [(header::CONTENT_TYPE, "application/yaml")];
    Ok((ETag::revision(found.revision).header(), kind, found.manifest).into_response())
}

/// Manifests that a yard has or had, the newest first; also of one that is gone
#[utoipa::path(get, path = "/api/v1/yards/{yard}/manifests", tag = "yard", params(PageQuery), security(("token" = [])),
    responses((status = 200, body = Vec<ManifestView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn manifest_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    page: Pager,
) -> Result<ListPage<ManifestView>, ApiError> {
    let before = page.marker().map(str::parse).transpose();
    let before = before.map_err(|_| ApiError::bad("`marker` of manifests must be a revision"))?;
    let all = app.store().manifests(&yard, before, page.reads()).await?;
    Ok(page.of(all, |m| m.revision.to_string()).map(manifest_view))
}

/// A manifest that a yard has or had
#[utoipa::path(get, path = "/api/v1/yards/{yard}/manifests/{revision}", tag = "yard", security(("token" = [])),
    params(("revision" = i64, Path, description = "its revision")),
    responses((status = 200, body = ManifestText), (status = "4XX", body = Problem)))]
async fn manifest_show(
    _: Viewer,
    reach: CallerScope,
    State(app): State<App>,
    Path((yard, revision)): Path<(String, i64)>,
) -> Result<Json<ManifestText>, ApiError> {
    match app.store().manifest(&yard, revision).await? {
        // It may be of another project's yard that had the name before.
        Some(Manifest { name, text, files }) if reach.has_manifest(&text).await? => {
            let ManifestView { revision, actor, kept } = manifest_view(name);
            let digest = manifest_digest(&text, &files);
            let files = files.into_keys().collect();
            Ok(Json(ManifestText { revision, actor, kept, manifest: text, files, digest }))
        }
        _ => Err(ApiError::not_found(format!("yard {yard} has no manifest of revision {revision}"))),
    }
}

/// Revision of the manifest that a yard has, and what another one changes of it, for the audit log.
pub(super) async fn changes(
    app: &App,
    yard: &str,
    manifest: &str,
    files: &BTreeMap<String, String>,
) -> Result<(Option<i64>, String), ApiError> {
    let kept = app.store().yard(yard).await?;
    let revision = kept.as_ref().map(|y| y.revision);
    let old_files = match revision {
        Some(revision) => app.store().manifest(yard, revision).await?.map(|m| m.files),
        None => None,
    };
    let changes = audit::manifest_changes(FILE, kept.as_ref().map(|y| y.manifest.as_str()), manifest);
    Ok((revision, changes + &audit::file_changes(&old_files.unwrap_or_default(), files)))
}

/// Keeps the manifest of a yard, as the command line does when it has brought it up; nothing is done
#[utoipa::path(put, path = "/api/v1/yards/{yard}", tag = "yard", security(("token" = [])),
    params(("If-Match" = Option<String>, Header, description = "revision that is to be changed"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none")),
    request_body(content((YardRequest = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = YardView, headers(("ETag" = String, description = "new revision"))),
        (status = "4XX", body = Problem)))]
async fn yard_put(
    Operator(caller): Operator,
    reach: CallerScope,
    State(app): State<App>,
    Path(yard): Path<String>,
    headers: HeaderMap,
    YardRequestBody(wish): YardRequestBody,
) -> Result<Response, ApiError> {
    check_name("yard", &yard)?;
    let YardRequest {
        manifest: Some(manifest),
        files,
        revision: None,
        remove: false,
        plan: None,
        allow_data_loss: false,
    } = wish
    else {
        return Err(ApiError::bad("give a `manifest`, with `files` if it names some, and nothing else"));
    };
    check_files(&files)?;
    if manifest.contains('\0') {
        return Err(ApiError::bad("a manifest is text without NUL"));
    }
    if !reach.has_manifest(&manifest).await? {
        reach.need_cloud(manifest::gist(FILE, &manifest)?.cloud.as_deref()).await?;
    }
    let at = at(&reach, &yard, &headers).await?;
    let actor = caller.actor().unwrap_or_default();
    let (old, changes) = changes(&app, &yard, &manifest, &files).await?;
    let revision = keep_manifest(app.store(), &yard, &manifest, &files, &actor, at).await?;
    let old = old.map_or_else(String::new, |old| format!("{old} -> "));
    crate::request::note(format!("revision {old}{revision}: {changes}"));
    ChangeCounters::note(&app.inner().changes.yards);
    let kept = app.store().yard(&yard).await?.ok_or_else(|| ApiError::changed(&format!("yard {yard}")))?;
    Ok((ETag::revision(revision).header(), Json(yard_view(kept))).into_response())
}

/// What is forgotten.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ForgetQuery {
    /// Only that there is such a yard, as after the command line removed it: secrets stay, and hosts and
    /// stacks are not looked at.
    #[serde(default)]
    record: bool,
}

/// Forgets a yard and its secrets; its hosts and stacks must be gone
///
/// Nothing of it is removed from the cloud: a run that `remove`s does that.
#[utoipa::path(delete, path = "/api/v1/yards/{yard}", tag = "yard", security(("token" = [])),
    params(ForgetQuery, ("If-Match" = Option<String>, Header, description = "revision that is to be removed")),
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn yard_delete(
    _: Operator,
    State(app): State<App>,
    Path(yard): Path<String>,
    Query(forget): Query<ForgetQuery>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    if app.runs().of(&yard).is_some() {
        return Err(ApiError::conflict(format!("a run of yard {yard} is active; wait for it, or cancel it")));
    }
    let (store, at) = (app.store(), expected(&headers)?);
    if forget.record && store.yard_is_gone(&yard, at).await? {
        ChangeCounters::note(&app.inner().changes.yards);
        return Ok(StatusCode::NO_CONTENT);
    }
    let (hosts, stacks) = (store.hosts(Some(&yard), None).await?, store.stacks(Some(&yard)).await?);
    let bare = hosts.is_empty() && stacks.is_empty();
    if !forget.record && !bare {
        let names = hosts.iter().map(|h| format!("host {}", h.name));
        let names: Vec<String> = names.chain(stacks.iter().map(|s| format!("stack {}", s.name))).collect();
        return Err(ApiError::conflict(format!("yard {yard} still has {}; remove them first", names.join(", "))));
    }
    if !forget.record && store.forget_yard(&yard, at).await? {
        ChangeCounters::note(&app.inner().changes.yards);
        return Ok(StatusCode::NO_CONTENT);
    }
    match store.yard(&yard).await? {
        Some(_) => Err(ApiError::changed(&format!("yard {yard}"))),
        None => Err(ApiError::not_found(format!("there is no yard {yard}"))),
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(yard_list))
        .routes(routes!(yard_show, yard_put, yard_delete))
        .routes(routes!(manifest_list))
        .routes(routes!(manifest_show))
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
