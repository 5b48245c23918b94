//! What a yard is to be, and what that would do.

use super::yard::check_name;
use super::{App, Body, Mistake, Path, Problem};
use crate::apart::apart;
use crate::auth::{Operator, Reach};
use crate::runs::{FILE, Outlook, Wish};
use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::header;
use serde::{Deserialize, Serialize};
use stackyard_core::yard::plan::{Plan, Summary};
use stackyard_store::Store;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Files that may come with a manifest.
const FILES: usize = 500;

/// What a yard is to be: as `manifest` says, or as it was at `revision`, or gone (`remove`).
///
/// Files that the manifest names (`compose: ./site/compose.yaml`) come along in `files`, by their paths
/// relative to it. Nothing else is read: no file, no variable and no program of the server's machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct YardWish {
    /// The manifest, YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Files that it names: text by path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// A revision that the yard had. Beside `manifest`, only the files of it are meant, where `files`
    /// has no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Remove the yard.
    #[serde(default)]
    pub remove: bool,
    /// Digest of the plan that somebody said yes to: if something else would be done by now, nothing
    /// is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Lose the data that the plan marks (`loses_data`). Without it, a run whose plan loses data is
    /// refused (422). With `plan`, a run that changes the yard loses what that plan marks and nothing
    /// else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_data_loss: bool,
}

/// What would be done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct YardPlan {
    /// The cloud.
    pub cloud: String,
    /// The plan, with the steps that keep what is there.
    pub plan: Plan,
    /// Counts of its steps.
    pub summary: Summary,
    /// There is nothing to do.
    pub noop: bool,
    /// Why it cannot be carried out.
    pub blockers: Vec<String>,
    /// What in the files has no effect.
    pub warnings: Vec<String>,
    /// Names this plan, for the run that is to carry out no other.
    pub digest: String,
}

impl From<Outlook> for YardPlan {
    fn from(outlook: Outlook) -> Self {
        let digest = outlook.digest();
        let Outlook { plan, blockers, warnings, cloud } = outlook;
        Self { summary: plan.summary(), noop: plan.is_noop(), cloud, plan, blockers, warnings, digest }
    }
}

/// That a manifest has no mistakes.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ManifestChecked {
    /// The yard's name.
    pub yard: String,
    /// Its cloud, if it says.
    pub cloud: Option<String>,
}

/// A wish as JSON, or a manifest alone as YAML.
#[derive(Debug)]
pub(super) struct Wished(pub YardWish);

impl<S: Send + Sync> FromRequest<S> for Wished {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if ["application/yaml", "application/x-yaml", "text/yaml"].contains(&kind) {
            let manifest = Some(String::from_request(request, state).await?);
            return Ok(Self(YardWish { manifest, ..YardWish::default() }));
        }
        let Body(wish) = Body::from_request(request, state).await?;
        Ok(Self(wish))
    }
}

/// A mistake that is none of YAML's.
fn mistake(message: String, hint: Option<String>) -> Problem {
    let mistake = Mistake { file: FILE.to_owned(), line: None, column: None, message: message.clone(), hint };
    Problem { mistakes: vec![mistake], ..Problem::unprocessable(message) }
}

/// Reads what somebody wants.
pub(super) async fn read(store: &Store, reach: &Reach, yard: &str, wish: YardWish) -> Result<Wish, Problem> {
    let wish = read_any(store, reach, yard, wish).await?;
    reach.need_cloud(wish.cloud()).await?;
    Ok(wish)
}

async fn read_any(store: &Store, reach: &Reach, yard: &str, wish: YardWish) -> Result<Wish, Problem> {
    check_name("yard", yard)?;
    let YardWish { manifest, mut files, revision, remove, plan: _, allow_data_loss: _ } = wish;
    check_files(&files)?;
    if remove {
        if manifest.is_some() || revision.is_some() || !files.is_empty() {
            return Err(Problem::bad("`remove` goes with nothing else"));
        }
        return match store.yard(yard).await? {
            Some(found) => Ok(Wish::down(&found.manifest)?),
            None => Err(Problem::not_found(format!("there is no yard {yard}"))),
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
            let none = || Problem::not_found(format!("yard {yard} has no manifest of revision {revision}"));
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
        (None, Some(_)) if !files.is_empty() => return Err(Problem::bad("`files` need a `manifest`")),
        (None, Some(past)) => {
            files = past.files;
            past.text
        }
        (None, None) => return Err(Problem::bad("give a `manifest`, a `revision`, or `remove: true`")),
    };
    let wish = Wish::up(text, files)?;
    match &wish {
        Wish::Up { yard: read, .. } if read.intended.yard != yard => {
            let named = &read.intended.yard;
            let message = format!("metadata.name: the manifest is of the yard `{named}`, not of `{yard}`");
            Err(mistake(message, Some(format!("send it to /api/v1/yards/{named}"))))
        }
        _ => Ok(wish),
    }
}

pub(super) fn check_files(files: &BTreeMap<String, String>) -> Result<(), Problem> {
    if files.len() > FILES {
        return Err(Problem::bad(format!("a manifest comes with {FILES} files at most")));
    }
    let outside = |path: &&String| path.starts_with('/') || path.split('/').any(|p| p == "..") || path.contains('\0');
    if let Some(path) = files.keys().find(outside) {
        return Err(Problem::bad(format!("{path:?} is no path below the manifest")));
    }
    match files.iter().find(|(_, text)| text.contains('\0')) {
        Some((path, _)) => Err(Problem::bad(format!("{path:?} is not text: it has a NUL"))),
        None => Ok(()),
    }
}

/// What bringing a yard to a manifest would do; nothing is changed
///
/// Also for going back to an earlier manifest (`revision`) and for removing the yard (`remove`).
#[utoipa::path(post, path = "/api/v1/yards/{yard}/plan", tag = "yard", security(("token" = [])),
    request_body(content((YardWish = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = YardPlan), (status = "4XX", body = Problem),
        (status = 502, description = "the cloud does not answer", body = Problem)))]
async fn yard_plan(
    _: Operator,
    reach: Reach,
    State(app): State<App>,
    Path(yard): Path<String>,
    Wished(wish): Wished,
) -> Result<Json<YardPlan>, Problem> {
    let wish = read(app.store(), &reach, &yard, wish).await?;
    let runs = app.runs().clone();
    let planned = apart("yard", move || async move { runs.plan(&yard, &wish).await }).await;
    Ok(Json(planned.map_err(Problem::internal)??.into()))
}

/// Whether a manifest has mistakes; no cloud is asked
#[utoipa::path(post, path = "/api/v1/yards/{yard}/check", tag = "yard", security(("token" = [])),
    request_body(content((YardWish = "application/json"), (String = "application/yaml"))),
    responses((status = 200, body = ManifestChecked), (status = "4XX", body = Problem)))]
async fn yard_check(
    _: Operator,
    reach: Reach,
    State(app): State<App>,
    Path(yard): Path<String>,
    Wished(wish): Wished,
) -> Result<Json<ManifestChecked>, Problem> {
    let wish = read(app.store(), &reach, &yard, wish).await?;
    Ok(Json(ManifestChecked { yard, cloud: wish.cloud().map(str::to_owned) }))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(yard_plan)).routes(routes!(yard_check))
}
