//! Stacks of a yard.

use super::etag::{ETag, Precondition};
use super::page::{ListPage, PageQuery, Pager};
use super::{Body, Path, Query};
use crate::access::{CallerScope, Operator, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::audit;
use crate::stack::{DeployedStack, Deployment, DeploymentChanges, NetworkChoice, ServiceChange, StackError};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use stackyard_api::{Problem, StackChange, StackChangeKind, StackDeploy, StackScale, StackVersion, StackView, time};
use stackyard_core::health::Health;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

fn view(now: DeployedStack) -> StackView {
    StackView {
        yard: now.yard,
        name: now.name,
        removing: now.removing,
        pool: now.pool,
        declared: now.declared,
        versions: now.versions.into_iter().map(|v| StackVersion { number: v.number, succeeded: v.worked }).collect(),
        previous: now.before,
        deployed: time(now.deployed),
        status: now.status,
    }
}

pub(super) fn changes(DeploymentChanges { services, notes }: DeploymentChanges) -> Json<Vec<StackChange>> {
    let change = |(service, change)| {
        let (kind, reasons) = match change {
            ServiceChange::New => (StackChangeKind::New, Vec::new()),
            ServiceChange::Changed(parts) => (StackChangeKind::Changed, parts),
            ServiceChange::Removed => (StackChangeKind::Removed, Vec::new()),
            ServiceChange::Same => (StackChangeKind::Same, Vec::new()),
        };
        let notes = notes.iter().filter(|n| n.services.contains(&service)).map(|n| n.text.clone()).collect();
        StackChange { service, kind, reasons, notes }
    };
    Json(services.into_iter().map(change).collect())
}

impl From<StackError> for ApiError {
    fn from(error: StackError) -> Self {
        let text = error.to_string();
        match error {
            StackError::Missing { .. } | StackError::NoService { .. } => Self::not_found(text),
            StackError::Refused(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, text),
            StackError::Leaving(_) => Self::conflict(text),
            StackError::Store(error) => error.into(),
        }
    }
}

/// Which stacks.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct StackFilter {
    /// Only those of this yard.
    yard: Option<String>,
    /// Only those that stand so.
    health: Option<Health>,
}

/// Of what callers can change of a stack: a version never changes but for the number of containers.
pub(super) fn tag(now: &DeployedStack) -> ETag {
    let replicas: Vec<(&String, u32)> = now.stack.services.iter().map(|(n, s)| (n, s.deploy.replicas)).collect();
    let version = now.versions.first().map(|v| v.number);
    ETag::of(&(now.deployed, version, replicas, &now.pool, now.declared, now.removing))
}

/// The stack as it is; refuses a change of one that is not as the caller says.
pub(super) async fn check(
    app: &App,
    unchanged: &Precondition,
    yard: &str,
    name: &str,
) -> Result<Option<DeployedStack>, ApiError> {
    let is = match app.stacks().get(yard, name).await {
        Ok(now) => Some(now),
        Err(StackError::Missing { .. }) => None,
        Err(other) => return Err(other.into()),
    };
    unchanged.check(&format!("stack {name}"), is.as_ref().map(tag).as_ref())?;
    Ok(is)
}

/// The stack after a change; notes for the audit log how it differs from `before`.
pub(super) async fn changed(
    app: &App,
    before: Option<DeployedStack>,
    yard: &str,
    name: &str,
) -> Result<DeployedStack, ApiError> {
    let now = app.stacks().get(yard, name).await?;
    let version = |stack: &DeployedStack| stack.versions.first().map_or(0, |v| v.number);
    let old = before.as_ref().map_or_else(String::new, |before| format!("{} -> ", version(before)));
    let pool = |stack: &DeployedStack| stack.pool.clone().unwrap_or_else(|| "any".to_owned());
    let moved = before.as_ref().filter(|before| before.pool != now.pool);
    let moved = moved.map_or_else(String::new, |before| format!("; pool {} -> {}", pool(before), pool(&now)));
    let changes = audit::stack_changes(before.as_ref().map(|before| &before.stack), &now.stack);
    crate::request::note(format!("version {old}{}: {changes}{moved}", version(&now)));
    Ok(now)
}

/// Which look at a stack.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct StackQuery {
    /// Waits for the next look of the server at its stacks, at most some seconds.
    #[serde(default)]
    wait: bool,
}

/// Stacks of a yard, or of all.
pub(super) async fn list(app: &App, yard: Option<&str>) -> Result<Vec<StackView>, ApiError> {
    Ok(app.stacks().list(yard).await?.into_iter().map(view).collect())
}

/// Stacks of all yards
#[utoipa::path(get, path = "/api/v1/stacks", tag = "stack", params(PageQuery, StackFilter), security(("token" = [])),
    responses((status = 200, body = Vec<StackView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn stack_list_all(
    _: Viewer,
    reach: CallerScope,
    State(app): State<App>,
    Query(which): Query<StackFilter>,
    page: Pager,
) -> Result<ListPage<StackView>, ApiError> {
    let mut all = list(&app, which.yard.as_deref()).await?;
    all.retain(|s| which.health.is_none_or(|is| s.status.health == is));
    Ok(page.cut(reach.only(all, |s| &s.yard).await?, |s| format!("{}/{}", s.yard, s.name)))
}

/// Stacks of a yard
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks", tag = "stack", params(PageQuery), security(("token" = [])),
    responses((status = 200, body = Vec<StackView>,
        headers(("Link" = String, description = "the next page, if there is one: `<PATH>; rel=\"next\"`"))), (status = "4XX", body = Problem)))]
async fn stack_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
    page: Pager,
) -> Result<ListPage<StackView>, ApiError> {
    Ok(page.cut(list(&app, Some(&yard)).await?, |s| s.name.clone()))
}

/// A stack
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks/{stack}", tag = "stack", params(StackQuery),
    security(("token" = [])), responses((status = 200, body = StackView,
        headers(("ETag" = String, description = "of what can be changed of it"))), (status = "4XX", body = Problem)))]
async fn stack_show(
    _: Viewer,
    State(app): State<App>,
    Path((yard, stack)): Path<(String, String)>,
    Query(look): Query<StackQuery>,
) -> Result<impl IntoResponse, ApiError> {
    if look.wait {
        let mut looked = app.stacks().looked();
        looked.mark_unchanged();
        // Where something is on its way the next look is near; else nothing would bring one about.
        if app.stacks().get(&yard, &stack).await?.status.health == Health::Ready {
            app.stacks().poke();
        }
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), looked.changed()).await;
    }
    let now = app.stacks().get(&yard, &stack).await?;
    Ok((tag(&now).header(), Json(view(now))))
}

fn named(deploy: StackDeploy, yard: &str, name: &str) -> Result<Deployment, ApiError> {
    super::yard::check_name("yard", yard)?;
    let stack = deploy.stack.unpack();
    if stack.name != name {
        return Err(ApiError::bad(format!("the stack is named {:?}, not {name:?}", stack.name)));
    }
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.len() > 40 || !name.chars().all(good) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(ApiError::bad(format!("`{name}` cannot name a stack: only [a-z0-9][a-z0-9_-]*, at most 40, can")));
    }
    let networks = deploy.network.map_or(NetworkChoice::Kept, NetworkChoice::Value);
    Ok(Deployment { stack, pool: deploy.pool, declared: deploy.declared, networks })
}

/// Deploys a stack: from now on it should be like this
///
/// Answers when the server knows it; how far it is, the stack itself says.
#[utoipa::path(put, path = "/api/v1/yards/{yard}/stacks/{stack}", tag = "stack", request_body = StackDeploy,
    params(("If-Match" = Option<String>, Header, description = "only if it is as it was"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none")),
    security(("token" = [])), responses((status = 200, body = Vec<StackChange>,
        headers(("ETag" = String, description = "the new one"))), (status = "4XX", body = Problem)))]
async fn stack_put(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(deploy): Body<StackDeploy>,
) -> Result<impl IntoResponse, ApiError> {
    let deployment = named(deploy, &yard, &name)?;
    let _turn = app.inner().turns.stacks.lock().await;
    let before = check(&app, &unchanged, &yard, &name).await?;
    let changes = changes(app.stacks().deploy(&yard, deployment).await?);
    let now = changed(&app, before, &yard, &name).await?;
    Ok((tag(&now).header(), changes))
}

/// What deploying a stack would change; nothing is changed
#[utoipa::path(post, path = "/api/v1/yards/{yard}/stacks/{stack}/plan", tag = "stack", request_body = StackDeploy,
    security(("token" = [])), responses((status = 200, body = Vec<StackChange>), (status = "4XX", body = Problem)))]
async fn stack_plan(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(deploy): Body<StackDeploy>,
) -> Result<Json<Vec<StackChange>>, ApiError> {
    let deployment = named(deploy, &yard, &name)?;
    Ok(changes(app.stacks().changes(&yard, deployment).await?))
}

/// Removes a stack; its volumes stay
///
/// Answers at once; the stack is there, being removed, until no host runs anything of it.
#[utoipa::path(delete, path = "/api/v1/yards/{yard}/stacks/{stack}", tag = "stack", security(("token" = [])),
    params(("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    responses((status = 202), (status = "4XX", body = Problem)))]
async fn stack_delete(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let _turn = app.inner().turns.stacks.lock().await;
    check(&app, &unchanged, &yard, &name).await?;
    app.stacks().remove(&yard, &name).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Changes how many containers services have
#[utoipa::path(post, path = "/api/v1/yards/{yard}/stacks/{stack}/scale", tag = "stack", request_body = StackScale,
    params(("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    security(("token" = [])), responses((status = 204, headers(("ETag" = String, description = "the new one"))),
        (status = "4XX", body = Problem)))]
async fn stack_scale(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(scale): Body<StackScale>,
) -> Result<impl IntoResponse, ApiError> {
    let _turn = app.inner().turns.stacks.lock().await;
    let before = check(&app, &unchanged, &yard, &name).await?;
    app.stacks().scale(&yard, &name, &scale.services).await?;
    let now = changed(&app, before, &yard, &name).await?;
    Ok((StatusCode::NO_CONTENT, tag(&now).header()))
}

/// Which version.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct RollbackQuery {
    /// Number of the version; the last one that worked and is another than the newest if absent.
    to: Option<u64>,
}

/// Goes back to an earlier version
///
/// Answers with the version that it went back to.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/stacks/{stack}/rollback", tag = "stack",
    params(RollbackQuery, ("If-Match" = Option<String>, Header, description = "only if it is as it was")),
    security(("token" = [])), responses((status = 200, body = StackVersion,
        headers(("ETag" = String, description = "the new one"))), (status = "4XX", body = Problem)))]
async fn stack_rollback(
    _: Operator,
    unchanged: Precondition,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Query(back): Query<RollbackQuery>,
) -> Result<impl IntoResponse, ApiError> {
    let _turn = app.inner().turns.stacks.lock().await;
    let before = check(&app, &unchanged, &yard, &name).await?;
    let number = app.stacks().roll_back(&yard, &name, back.to).await?;
    let now = changed(&app, before, &yard, &name).await?;
    let succeeded = now.versions.iter().any(|v| v.number == number && v.worked);
    Ok((tag(&now).header(), Json(StackVersion { number, succeeded })))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(stack_list_all))
        .routes(routes!(stack_list))
        .routes(routes!(stack_show, stack_put, stack_delete))
        .routes(routes!(stack_plan))
        .routes(routes!(stack_scale))
        .routes(routes!(stack_rollback))
}
