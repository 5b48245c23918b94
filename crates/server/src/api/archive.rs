//! Archives: files that stacks carry to their hosts.

use super::body::TooSlow;
use super::{Body, Path};
use crate::access::{Agent, Operator};
use crate::api_error::ApiError;
use crate::app::App;
use crate::archive::ArchiveError;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use stackyard_api::{ArchiveCheck, ArchiveNeeds, Problem};
use stackyard_core::stack::is_archive_digest;
use stackyard_core::text::error_chain;
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Digests that are asked for at once; a stack mounts fewer.
const MOST: usize = 10_000;

impl From<ArchiveError> for ApiError {
    fn from(error: ArchiveError) -> Self {
        let text = error.to_string();
        match &error {
            ArchiveError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, text),
            ArchiveError::TooMany { .. } => Self::too_many(text, 600),
            ArchiveError::Other { .. } => Self::unprocessable(text),
            ArchiveError::Body(source) => match TooSlow::behind(source) {
                Some(slow) => Self::new(StatusCode::REQUEST_TIMEOUT, slow.to_string()),
                None => Self::bad(error_chain(&error)),
            },
            ArchiveError::Disk { .. } => Self::internal(error_chain(&error)),
        }
    }
}

fn check_digest(digest: &str) -> Result<(), ApiError> {
    if is_archive_digest(digest) {
        return Ok(());
    }
    Err(ApiError::bad(format!("{digest:?} is no digest of an archive: SHA-256 in 64 lowercase hex digits")))
}

/// Which archives a yard does not have yet; nothing is changed
///
/// Those that it has stay for ten minutes, for a stack that is about to mount them.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/archives/check", tag = "stack", request_body = ArchiveCheck,
    security(("token" = [])), responses((status = 200, body = ArchiveNeeds), (status = "4XX", body = Problem)))]
async fn archive_check(
    _: Operator,
    State(app): State<App>,
    Path(yard): Path<String>,
    Body(check): Body<ArchiveCheck>,
) -> Result<Json<ArchiveNeeds>, ApiError> {
    super::yard::check_name("yard", &yard)?;
    if check.digests.len() > MOST {
        return Err(ApiError::bad(format!("more than {MOST} digests are not looked at")));
    }
    check.digests.iter().try_for_each(|d| check_digest(d))?;
    let missing = app.archives().missing(&yard, &check.digests);
    Ok(Json(ArchiveNeeds { missing, limit: app.archives().limit() }))
}

/// Uploads an archive, a tar of one file or directory that services of the yard's stacks mount
///
/// Its only entry at the top is called `root`. It stays while a version of a stack mounts it, and for ten minutes without
/// one.
#[utoipa::path(put, path = "/api/v1/yards/{yard}/archives/{digest}", tag = "stack",
    request_body(content = String, content_type = "application/octet-stream", description = "the tar, with this SHA-256"),
    security(("token" = [])), responses((status = 204), (status = "4XX", body = Problem)))]
async fn archive_put(
    _: Operator,
    State(app): State<App>,
    Path((yard, digest)): Path<(String, String)>,
    body: axum::body::Body,
) -> Result<StatusCode, ApiError> {
    super::yard::check_name("yard", &yard)?;
    check_digest(&digest)?;
    app.archives().receive(&yard, &digest, body).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An archive, as it was uploaded
///
/// Only archives that the desired state of the calling agent's host mounts.
#[utoipa::path(get, path = "/api/v1/archives/{digest}", tag = "agent", security(("token" = [])),
    responses((status = 200, content_type = "application/x-tar"), (status = "4XX", body = Problem)))]
async fn archive_fetch(
    Agent(host): Agent,
    State(app): State<App>,
    Path(digest): Path<String>,
) -> Result<Response, ApiError> {
    check_digest(&digest)?;
    let desired = app.hub().desired(&host);
    let mounts = desired.iter().flat_map(|d| &d.parts).any(|p| p.archives().contains_key(digest.as_str()));
    let Some(host) = app.store().host(&host).await?.filter(|_| mounts) else {
        return Err(ApiError::forbidden(format!("no stack on this host mounts the archive {digest}")));
    };
    let Some((file, length)) = app.archives().read(&host.yard, &digest).await.map_err(ApiError::internal)? else {
        return Err(ApiError::not_found(format!(
            "the server no longer has the archive {digest}; deploy its stack again"
        )));
    };
    let headers =
        [(header::CONTENT_TYPE, "application/x-tar".to_owned()), (header::CONTENT_LENGTH, length.to_string())];
    Ok((headers, axum::body::Body::from_stream(ReaderStream::new(file))).into_response())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(archive_check)).routes(routes!(archive_put)).routes(routes!(archive_fetch))
}
