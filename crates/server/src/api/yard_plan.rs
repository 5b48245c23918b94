//! What a yard is to be, and what that would do.

use super::yard::check_name;
use super::{Body, Path};
use crate::access::{CallerScope, Operator};
use crate::api_error::ApiError;
use crate::app::App;
use crate::own_thread::on_own_thread;
use crate::runs::{FILE, PlanPreview, YardIntent};
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use stackyard_api::{Diagnostic, ManifestChecked, Problem, YardPlan, YardRequest};
use stackyard_catalog::manifest::COMPANIONS;
use stackyard_store::Store;
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

impl From<PlanPreview> for YardPlan {
    fn from(outlook: PlanPreview) -> Self {
        let digest = outlook.digest();
        let PlanPreview { plan, blockers, warnings, cloud } = outlook;
        Self { summary: plan.summary(), noop: plan.is_noop(), cloud, plan, blockers, warnings, digest }
    }
}

/// A wish as JSON, or a manifest alone as YAML.
#[derive(Debug)]
pub(super) struct YardRequestBody(pub YardRequest);

impl<S: Send + Sync> FromRequest<S> for YardRequestBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if ["application/yaml", "application/x-yaml", "text/yaml"].contains(&kind) {
            let manifest = Some(String::from_request(request, state).await?);
            return Ok(Self(YardRequest { manifest, ..YardRequest::default() }));
        }
        let Body(wish) = Body::from_request(request, state).await?;
        Ok(Self(wish))
    }
}

/// A mistake that is none of YAML's.
fn mistake(message: String, hint: Option<String>) -> ApiError {
    let mistake = Diagnostic { file: FILE.to_owned(), line: None, column: None, message: message.clone(), hint };
    ApiError::unprocessable(message).with_mistakes(vec![mistake])
}

/// Reads what somebody wants.
pub(super) async fn read(
    store: &Store,
    reach: &CallerScope,
    yard: &str,
    wish: YardRequest,
) -> Result<YardIntent, ApiError> {
    let wish = read_any(store, reach, yard, wish).await?;
    reach.need_cloud(wish.cloud()).await?;
    Ok(wish)
}

async fn read_any(store: &Store, reach: &CallerScope, yard: &str, wish: YardRequest) -> Result<YardIntent, ApiError> {
    check_name("yard", yard)?;
    let YardRequest { manifest, mut files, revision, remove, plan: _, allow_data_loss: _ } = wish;
    check_files(&files)?;
    if remove {
        if manifest.is_some() || revision.is_some() || !files.is_empty() {
            return Err(ApiError::bad("`remove` goes with nothing else"));
        }
        return match store.yard(yard).await? {
            Some(found) => Ok(YardIntent::down(&found.manifest)?),
            None => Err(ApiError::not_found(format!("there is no yard {yard}"))),
        };
    }
    let past = match revision {
        Some(revision) => {
            let mut past = store.manifest(yard, revision).await?;
            // It may be of another project's yard that had the name before.
            if let Some(found) = &past
                && !reach.has_manifest(&found.text).await?
            {
                past = None;
            }
            let none = || ApiError::not_found(format!("yard {yard} has no manifest of revision {revision}"));
            Some(past.ok_or_else(none)?)
        }
        None => None,
    };
    let text = match (manifest, past) {
        (Some(text), past) => {
            for (path, text) in past.into_iter().flat_map(|p| p.files) {
                files.entry(path).or_insert(text);
            }
            text
        }
        (None, Some(_)) if !files.is_empty() => return Err(ApiError::bad("`files` need a `manifest`")),
        (None, Some(past)) => {
            files = past.files;
            past.text
        }
        (None, None) => return Err(ApiError::bad("give a `manifest`, a `revision`, or `remove: true`")),
    };
    let wish = YardIntent::up(text, files)?;
    match &wish {
        YardIntent::Up { yard: read, .. } if read.intended.yard != yard => {
            let named = &read.intended.yard;
            let message = format!("metadata.name: the manifest is of the yard `{named}`, not of `{yard}`");
            Err(mistake(message, Some(format!("send it to /api/v1/yards/{named}"))))
        }
        _ => Ok(wish),
    }
}

pub(super) fn check_files(files: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if files.len() > COMPANIONS {
        return Err(ApiError::bad(format!("a manifest comes with {COMPANIONS} files at most")));
    }
    let outside = |path: &&String| path.starts_with('/') || path.split('/').any(|p| p == "..") || path.contains('\0');
    if let Some(path) = files.keys().find(outside) {
        return Err(ApiError::bad(format!("{path:?} is no path below the manifest")));
    }
    match files.iter().find(|(_, text)| text.contains('\0')) {
        Some((path, _)) => Err(ApiError::bad(format!("{path:?} is not text: it has a NUL"))),
        None => Ok(()),
    }
}

/// What bringing a yard to a manifest would do; nothing is changed
///
/// Also for going back to an earlier manifest (`revision`) and for removing the yard (`remove`).
#[utoipa::path(post, path = "/api/v1/yards/{yard}/plan", tag = "yard", security(("token" = [])),
    request_body(content((YardRequest = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = YardPlan), (status = "4XX", body = Problem),
        (status = 502, description = "the cloud does not answer", body = Problem)))]
async fn yard_plan(
    _: Operator,
    reach: CallerScope,
    State(app): State<App>,
    Path(yard): Path<String>,
    YardRequestBody(wish): YardRequestBody,
) -> Result<Json<YardPlan>, ApiError> {
    let wish = read(app.store(), &reach, &yard, wish).await?;
    let runs = app.runs().clone();
    let planned = on_own_thread("yard", move || async move { runs.plan(&yard, &wish).await }).await;
    Ok(Json(planned.map_err(ApiError::internal)??.into()))
}

/// Whether a manifest has mistakes; no cloud is asked
#[utoipa::path(post, path = "/api/v1/yards/{yard}/check", tag = "yard", security(("token" = [])),
    request_body(content((YardRequest = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = ManifestChecked), (status = "4XX", body = Problem)))]
async fn yard_check(
    _: Operator,
    reach: CallerScope,
    State(app): State<App>,
    Path(yard): Path<String>,
    YardRequestBody(wish): YardRequestBody,
) -> Result<Json<ManifestChecked>, ApiError> {
    let wish = read(app.store(), &reach, &yard, wish).await?;
    Ok(Json(ManifestChecked { yard, cloud: wish.cloud().map(str::to_owned) }))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(yard_plan)).routes(routes!(yard_check))
}
