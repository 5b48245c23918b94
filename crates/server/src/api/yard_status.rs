//! How a yard stands: what its cloud has of it, against its manifest and the project's quota.

use super::Path;
use super::yard_plan::read;
use crate::access::{CallerScope, Viewer};
use crate::api_error::ApiError;
use crate::app::App;
use crate::manifest::file_tree;
use crate::own_thread::on_own_thread;
use crate::runs::{FILE, YardIntent};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use stackyard_api::{Problem, QuotaUse, ResourceStatus, YardRequest, YardStatus, now, time};
use stackyard_catalog::manifest::outline_with;
use stackyard_core::health::Health;
use stackyard_core::yard::Kind;
use stackyard_core::yard::intend::Intended;
use stackyard_openstack::{Cloud, Quota};
use stackyard_yard::{HostService, YardSnapshot};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a cloud is waited for.
const PATIENCE: Duration = Duration::from_secs(25);

/// Quotas that are told, with the kinds that use them: the cloud's names.
const QUOTAS: [(&str, Option<Kind>); 10] = [
    ("instances", Some(Kind::Server)),
    ("cores", None),
    ("ram", None),
    ("volumes", Some(Kind::Volume)),
    ("gigabytes", None),
    ("network", Some(Kind::Network)),
    ("router", Some(Kind::Router)),
    ("port", Some(Kind::Port)),
    ("security_group", Some(Kind::SecurityGroup)),
    ("floatingip", Some(Kind::FloatingIp)),
];

/// What the yard uses of what is not counted by kind: processors, MiB, GiB.
fn sizes(session: &YardSnapshot<'_>) -> BTreeMap<&'static str, Option<i64>> {
    let ids = |kind| session.observed.resources.iter().filter(move |s| s.key.kind == kind).map(|s| s.id.as_str());
    let servers: Vec<&str> = ids(Kind::Server).collect();
    let servers = session.inventory.servers.iter().filter(|s| servers.contains(&s.id.as_str()));
    let sum = |what: &str| servers.clone().map(|s| s.flavor[what].as_i64()).sum::<Option<i64>>();
    let volumes: Vec<&str> = ids(Kind::Volume).collect();
    let volumes = session.inventory.volumes.iter().filter(|v| volumes.contains(&v.id.as_str()));
    let gib = volumes.map(|v| i64::try_from(v.size).ok()).sum();
    [("cores", sum("vcpus")), ("ram", sum("ram")), ("gigabytes", gib)].into()
}

/// Each service that does not tell is left out: not every cloud lets its users see all of it.
async fn quotas(cloud: &Cloud, session: &YardSnapshot<'_>) -> Vec<QuotaUse> {
    let (compute, volume, network) = tokio::join!(cloud.compute_quota(), cloud.volume_quota(), cloud.network_quota());
    let told = [compute, volume, network].into_iter().flatten();
    let told: BTreeMap<String, Quota> = told.flatten().collect();
    let sizes = sizes(session);
    let count = |kind| session.observed.resources.iter().filter(|s| s.key.kind == kind).count();
    let view = |(name, kind): &(&str, Option<Kind>)| {
        let quota = told.get(*name)?;
        let yard = match kind {
            Some(kind) => i64::try_from(count(*kind)).ok(),
            None => sizes.get(name).copied().flatten(),
        };
        let limit = (quota.limit >= 0).then_some(quota.limit);
        Some(QuotaUse { name: (*name).to_owned(), yard, used: quota.used + quota.reserved, limit })
    };
    QUOTAS.iter().filter_map(view).collect()
}

/// How a yard stands, as its cloud says now
///
/// A cloud that does not answer makes no problem of it: its health is `unknown` then, and `error` says why. How its
/// stacks stand, `/api/v1/yards/{yard}/stacks` says.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/status", tag = "yard", security(("token" = [])),
    responses((status = 200, body = YardStatus), (status = "4XX", body = Problem)))]
async fn yard_status(
    _: Viewer,
    reach: CallerScope,
    State(app): State<App>,
    Path(yard): Path<String>,
) -> Result<Json<YardStatus>, ApiError> {
    let Some(found) = app.store().yard(&yard).await? else {
        return Err(ApiError::not_found(format!("there is no yard {yard}")));
    };
    let mut status = YardStatus {
        cloud: super::yard::yard_view(found.clone()).cloud,
        yard,
        observed_at: time(now()),
        health: Health::Unknown,
        in_sync: false,
        error: None,
        resources: Vec::new(),
        quotas: Vec::new(),
    };
    let (name, app) = (status.yard.clone(), app.clone());
    let looked = on_own_thread("yard", move || async move { look(&app, &reach, &name, found.revision).await });
    let looked = async { looked.await.map_err(ApiError::internal)? };
    let looked = tokio::time::timeout(PATIENCE, looked).await;
    let late = || {
        let detail = format!("the cloud did not answer within {} s", PATIENCE.as_secs());
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, detail)
    };
    match looked.unwrap_or_else(|_| Err(late())) {
        Ok(CloudLook { cloud, resources, quotas, in_sync }) => {
            status.health = resources.iter().map(|r| r.health).max().unwrap_or_default();
            (status.cloud, status.resources, status.quotas) = (Some(cloud), resources, quotas);
            status.in_sync = in_sync;
        }
        Err(problem) => status.error = Some(problem.into_detail()),
    }
    Ok(Json(status))
}

/// What the manifest means. One that the command line brought up may need files and programs of its machine:
/// those make no difference then.
async fn intended(app: &App, reach: &CallerScope, yard: &str, revision: i64) -> Result<Intended, ApiError> {
    let wish = YardRequest { revision: Some(revision), ..YardRequest::default() };
    match read(app.store(), reach, yard, wish).await {
        Ok(YardIntent::Up { yard, .. }) => Ok(yard.intended),
        Ok(YardIntent::Down { .. }) => Err(ApiError::internal("a revision is no removal")),
        Err(problem) => {
            let Some(kept) = app.store().manifest(yard, revision).await? else { return Err(problem) };
            let Ok(outline) = outline_with(FILE, &kept.text, &file_tree(&kept.files)) else { return Err(problem) };
            // Without the parts of a package, its resources would seem to be in the way.
            outline.complete().map_err(|absent| ApiError::unprocessable(absent.to_string()))
        }
    }
}

/// What a cloud has of a yard.
struct CloudLook {
    cloud: String,
    resources: Vec<ResourceStatus>,
    quotas: Vec<QuotaUse>,
    /// A run would change nothing: not even what has no row of its own, such as the rules of a security group.
    in_sync: bool,
}

async fn look(app: &App, reach: &CallerScope, yard: &str, revision: i64) -> Result<CloudLook, ApiError> {
    let intended = intended(app, reach, yard, revision).await?;
    let cloud = app.runs().cloud(intended.cloud.as_deref()).await?;
    let client = app.runs().client()?;
    let session = YardSnapshot::take_with(&cloud, &intended, Some(&client as &dyn HostService)).await?;
    let quotas = quotas(&cloud, &session).await;
    let (resources, in_sync) = (session.resources(), session.plan.is_noop());
    Ok(CloudLook { cloud: cloud.config().name.clone(), resources, quotas, in_sync })
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(yard_status))
}
