//! Stacks of a yard.

use super::{App, Body, Path, Problem, Query, time};
use crate::auth::{Operator, Reach, Viewer};
use crate::stack::{Deployment, ServiceChange, StackError, StackNow};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use stackyard_core::stack::rollout::{Packed, Standing, Status};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A stack to deploy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StackDeploy {
    /// The stack, with the content of its configs and secrets, as the command line packs it.
    #[schema(value_type = Object)]
    pub stack: Packed,
    /// Only hosts of this pool are used.
    #[serde(default)]
    pub pool: Option<String>,
    /// It is in the yard's manifest: when it is not any more, it goes. A stack stays so whoever
    /// deploys it next.
    #[serde(default)]
    pub declared: bool,
}

/// A stack.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StackView {
    /// Its yard.
    pub yard: String,
    /// Its name.
    pub name: String,
    /// It is being removed.
    pub removing: bool,
    /// Only hosts of this pool are used.
    pub pool: Option<String>,
    /// It came from the yard's manifest.
    pub declared: bool,
    /// Its versions that are kept, the newest first.
    pub versions: Vec<StackVersion>,
    /// Number of the version that a roll back goes to unless told otherwise: the last one that
    /// worked. Absent if there is none.
    pub before: Option<u64>,
    /// When it was last deployed (RFC 3339).
    pub deployed: String,
    /// How it stands: services with their containers, what is not as it should be.
    pub status: Status,
}

/// A version of a stack: what was deployed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StackVersion {
    /// Its number.
    pub number: u64,
    /// All of it worked once.
    pub worked: bool,
}

impl StackView {
    fn new(now: StackNow) -> Self {
        Self {
            yard: now.yard,
            name: now.name,
            removing: now.removing,
            pool: now.pool,
            declared: now.declared,
            versions: now.versions.into_iter().map(|v| StackVersion { number: v.number, worked: v.worked }).collect(),
            before: now.before,
            deployed: time(now.deployed),
            status: now.status,
        }
    }
}

/// What happens to a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StackChange {
    /// The service.
    pub service: String,
    /// `new`, `changed`, `removed` or `same`.
    pub what: String,
    /// The parts of it that differ.
    pub why: Vec<String>,
}

fn changes(all: BTreeMap<String, ServiceChange>) -> Json<Vec<StackChange>> {
    let change = |(service, change)| {
        let (what, why) = match change {
            ServiceChange::New => ("new", Vec::new()),
            ServiceChange::Changed(parts) => ("changed", parts),
            ServiceChange::Removed => ("removed", Vec::new()),
            ServiceChange::Same => ("same", Vec::new()),
        };
        StackChange { service, what: what.to_owned(), why }
    };
    Json(all.into_iter().map(change).collect())
}

/// How many containers services are to have.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StackScale {
    /// Number by service.
    pub services: BTreeMap<String, u32>,
}

impl From<StackError> for Problem {
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

/// Which look at a stack.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Look {
    /// Waits for the next look of the server at its stacks, at most some seconds.
    #[serde(default)]
    wait: bool,
}

/// Stacks of a yard, or of all.
pub(super) async fn list(app: &App, yard: Option<&str>) -> Result<Vec<StackView>, Problem> {
    Ok(app.stacks().list(yard).await?.into_iter().map(StackView::new).collect())
}

/// Stacks of all yards
#[utoipa::path(get, path = "/api/v1/stacks", tag = "stack", security(("token" = [])),
    responses((status = 200, body = Vec<StackView>), (status = "4XX", body = Problem)))]
async fn stack_list_all(_: Viewer, reach: Reach, State(app): State<App>) -> Result<Json<Vec<StackView>>, Problem> {
    Ok(Json(reach.only(list(&app, None).await?, |s| &s.yard).await?))
}

/// Stacks of a yard
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks", tag = "stack", security(("token" = [])),
    responses((status = 200, body = Vec<StackView>), (status = "4XX", body = Problem)))]
async fn stack_list(
    _: Viewer,
    State(app): State<App>,
    Path(yard): Path<String>,
) -> Result<Json<Vec<StackView>>, Problem> {
    Ok(Json(list(&app, Some(&yard)).await?))
}

/// A stack
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks/{stack}", tag = "stack", params(Look),
    security(("token" = [])), responses((status = 200, body = StackView), (status = "4XX", body = Problem)))]
async fn stack_show(
    _: Viewer,
    State(app): State<App>,
    Path((yard, stack)): Path<(String, String)>,
    Query(look): Query<Look>,
) -> Result<Json<StackView>, Problem> {
    if look.wait {
        let mut looked = app.stacks().looked();
        looked.mark_unchanged();
        // Where something is on its way the next look is near; else nothing would bring one about.
        if app.stacks().get(&yard, &stack).await?.status.standing == Standing::Converged {
            app.stacks().poke();
        }
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), looked.changed()).await;
    }
    Ok(Json(StackView::new(app.stacks().get(&yard, &stack).await?)))
}

fn named(deploy: StackDeploy, yard: &str, name: &str) -> Result<Deployment, Problem> {
    super::yard::check_name("yard", yard)?;
    let stack = deploy.stack.unpack();
    if stack.name != name {
        return Err(Problem::bad(format!("the stack is named {:?}, not {name:?}", stack.name)));
    }
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.len() > 40 || !name.chars().all(good) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Problem::bad(format!("`{name}` cannot name a stack: only [a-z0-9][a-z0-9_-]*, at most 40, can")));
    }
    Ok(Deployment { stack, pool: deploy.pool, declared: deploy.declared })
}

/// Deploys a stack: from now on it should be like this
///
/// Answers when the server knows it; how far it is, the stack itself says.
#[utoipa::path(put, path = "/api/v1/yards/{yard}/stacks/{stack}", tag = "stack", request_body = StackDeploy,
    security(("token" = [])), responses((status = 200, body = Vec<StackChange>), (status = "4XX", body = Problem)))]
async fn stack_put(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(deploy): Body<StackDeploy>,
) -> Result<Json<Vec<StackChange>>, Problem> {
    let deployment = named(deploy, &yard, &name)?;
    Ok(changes(app.stacks().deploy(&yard, deployment).await?))
}

/// What deploying a stack would change; nothing is changed
#[utoipa::path(post, path = "/api/v1/yards/{yard}/stacks/{stack}/plan", tag = "stack", request_body = StackDeploy,
    security(("token" = [])), responses((status = 200, body = Vec<StackChange>), (status = "4XX", body = Problem)))]
async fn stack_plan(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(deploy): Body<StackDeploy>,
) -> Result<Json<Vec<StackChange>>, Problem> {
    let deployment = named(deploy, &yard, &name)?;
    Ok(changes(app.stacks().changes(&yard, deployment).await?))
}

/// Removes a stack; volumes stay on their hosts
///
/// Answers at once; the stack is there, being removed, until no host runs anything of it.
#[utoipa::path(delete, path = "/api/v1/yards/{yard}/stacks/{stack}", tag = "stack", security(("token" = [])),
    responses((status = 202), (status = "4XX", body = Problem)))]
async fn stack_delete(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    app.stacks().remove(&yard, &name).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Changes how many containers services have
#[utoipa::path(post, path = "/api/v1/yards/{yard}/stacks/{stack}/scale", tag = "stack", request_body = StackScale,
    security(("token" = [])), responses((status = 204), (status = "4XX", body = Problem)))]
async fn stack_scale(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Body(scale): Body<StackScale>,
) -> Result<StatusCode, Problem> {
    app.stacks().scale(&yard, &name, &scale.services).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which version.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Back {
    /// Number of the version; the last one that worked and is another than the newest if absent.
    to: Option<u64>,
}

/// Goes back to an earlier version
///
/// Answers with the version that it went back to.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/stacks/{stack}/rollback", tag = "stack", params(Back),
    security(("token" = [])), responses((status = 200, body = StackVersion), (status = "4XX", body = Problem)))]
async fn stack_rollback(
    _: Operator,
    State(app): State<App>,
    Path((yard, name)): Path<(String, String)>,
    Query(back): Query<Back>,
) -> Result<Json<StackVersion>, Problem> {
    let number = app.stacks().roll_back(&yard, &name, back.to).await?;
    let now = app.stacks().get(&yard, &name).await?;
    let worked = now.versions.iter().any(|v| v.number == number && v.worked);
    Ok(Json(StackVersion { number, worked }))
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
