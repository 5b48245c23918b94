//! Joining: a token for one machine, and its use.

use super::yard::check_name;
use super::{App, Body, Problem, time};
use crate::auth::{Joiner, Operator, Reach};
use crate::join;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use stackyard_core::agent;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Permission for one machine that is to be made.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJoin {
    /// Yard that the machine joins.
    pub yard: String,
    /// Pool of the host; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Name of the host; what the machine calls itself if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels of the host, for placement.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Seconds that the token lasts, 15 minutes if absent, at most 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
    /// Id (or `yard/name`) of a host that the new one takes the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Name or address, perhaps with port, at which the machine reaches the server. The server's
    /// certificate must be good for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// What a machine needs to join.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct JoinTicket {
    /// The join token. It is shown this once, and is good for one machine.
    pub token: String,
    /// When it ends (RFC 3339).
    pub expires: String,
    /// URL of the server.
    pub server: String,
    /// Certificate of the server's CA, PEM.
    pub ca_pem: String,
    /// SHA-256 of that text, in hexadecimal digits.
    pub ca_sha256: String,
    /// A line of shell that joins the machine where root runs it.
    pub command: String,
}

/// Shows no token.
impl std::fmt::Debug for JoinTicket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinTicket")
            .field("server", &self.server)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Makes a token for one machine to join with
#[utoipa::path(post, path = "/api/v1/joins", tag = "join", request_body = NewJoin, security(("token" = [])),
    responses((status = 201, body = JoinTicket), (status = "4XX", body = Problem)))]
async fn join_create(
    _: Operator,
    reach: Reach,
    State(app): State<App>,
    Body(request): Body<NewJoin>,
) -> Result<(StatusCode, Json<JoinTicket>), Problem> {
    check_name("yard", &request.yard)?;
    for (what, name) in [("pool", &request.pool), ("host", &request.name)] {
        if let Some(name) = name {
            check_name(what, name)?;
        }
    }
    join::check_labels(&request.labels)?;
    reach.need_yard(&request.yard).await?;
    let (token, expires, server) = join::create(&app, request).await?;
    let inner = app.inner();
    let ticket = JoinTicket {
        command: join::command(&server, &inner.ca_sha256, &token),
        token,
        expires: time(expires),
        server,
        ca_pem: inner.ca_pem.clone(),
        ca_sha256: inner.ca_sha256.clone(),
    };
    Ok((StatusCode::CREATED, Json(ticket)))
}

/// Joins: trades a join token (as bearer) for a host's identity
///
/// Asked again with the same token and nonce while the token lasts, it answers for the same host with
/// a new agent token in place of the one before.
#[utoipa::path(post, path = "/api/v1/join", tag = "join", request_body = agent::JoinRequest, security(("token" = [])),
    responses((status = 200, body = agent::Joined), (status = "4XX", body = Problem)))]
async fn join_use(
    joiner: Joiner,
    State(app): State<App>,
    Body(request): Body<agent::JoinRequest>,
) -> Result<Json<agent::Joined>, Problem> {
    join::redeem(&app, &joiner, request).await.map(Json)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(join_create)).routes(routes!(join_use))
}
