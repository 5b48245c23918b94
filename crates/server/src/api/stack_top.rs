//! Processes of a stack's containers.

use super::stack_stream::{ReplicasByHost, wanted};
use super::{Path, Query};
use crate::access::Operator;
use crate::api_error::ApiError;
use crate::app::App;
use crate::hub::{AgentStream, Hub, Output};
use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;
use serde::Deserialize;
use stackyard_api::{ContainerTop, Problem};
use stackyard_core::agent::{Open, Processes, Replica, Stream};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Time that a host has to list the processes of its containers.
const SOON: Duration = Duration::from_secs(15);

/// Bytes that a host may send: its token may be stolen.
const MOST: usize = 4 << 20;

/// Which containers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TopQuery {
    /// Services or replicas (`web`, `web-2`), also those of one host (`web@host-1`), with commas between them; all
    /// if absent.
    #[serde(default)]
    only: String,
}

/// What a host says of one container.
type Told = Result<Processes, String>;

/// Processes of a stack's containers
///
/// Their command lines may hold passwords.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks/{stack}/top", tag = "stack", params(TopQuery),
    security(("token" = [])), responses((status = 200, body = Vec<ContainerTop>), (status = "4XX", body = Problem)))]
async fn stack_top(
    Operator(caller): Operator,
    State(app): State<App>,
    Path((yard, stack)): Path<(String, String)>,
    Query(query): Query<TopQuery>,
) -> Result<Json<Vec<ContainerTop>>, ApiError> {
    let now = app.stacks().get(&yard, &stack).await?;
    let hosts: ReplicasByHost = wanted(&now, &query.only)?;
    let _place = app.inner().endless.take(&caller, "streams")?;
    let asked = hosts.into_iter().map(|((host, name), replicas)| of_host(app.hub(), &stack, host, name, replicas));
    let mut all: Vec<ContainerTop> = join_all(asked).await.into_iter().flatten().collect();
    all.sort_by(|a, b| (&a.container, &a.host).cmp(&(&b.container, &b.host)));
    Ok(Json(all))
}

/// The processes of containers on one host.
async fn of_host(hub: &Hub, stack: &str, host: String, name: String, replicas: Vec<Replica>) -> Vec<ContainerTop> {
    let open = Open::Top { stack: stack.to_owned(), replicas: replicas.clone() };
    let mut told = BTreeMap::new();
    let ended = match hub.open_stream(&host, open) {
        Ok(stream) => timeout(SOON, gather(stream, &mut told)).await.unwrap_or_else(|_| {
            let seconds = SOON.as_secs();
            Err(format!("the agent of {name} did not answer within {seconds} s; older agents do not list processes"))
        }),
        Err(error) => Err(error.to_string()),
    };
    let top = |replica: Replica| {
        let told = told.remove(&replica).unwrap_or_else(|| Err(why(&ended, &replica)));
        let (processes, reason) = match told {
            Ok(processes) => (processes, None),
            Err(reason) => (Processes { titles: Vec::new(), rows: Vec::new() }, Some(reason)),
        };
        ContainerTop {
            container: replica.to_string(),
            host: name.clone(),
            titles: processes.titles,
            processes: processes.rows,
            reason,
        }
    };
    replicas.into_iter().map(top).collect()
}

fn why(ended: &Result<(), String>, replica: &Replica) -> String {
    ended.clone().err().unwrap_or_else(|| format!("the host has no container of {replica}"))
}

/// Reads what a host says until it has said all.
async fn gather(mut stream: AgentStream, told: &mut BTreeMap<Replica, Told>) -> Result<(), String> {
    let mut bytes = 0;
    while let Some(output) = stream.next().await {
        match output {
            Output::Chunk { replica: Some(replica), from, data } => {
                bytes += data.len();
                if bytes > MOST {
                    return Err(format!("the host lists more than {} MiB of processes", MOST >> 20));
                }
                let said = match from {
                    Stream::Stdout => serde_json::from_slice(&data).map_err(|e| format!("the agent's answer: {e}")),
                    Stream::Stderr => Err(String::from_utf8_lossy(&data).into_owned()),
                };
                told.insert(replica, said);
            }
            Output::Chunk { .. } => {}
            Output::End { error: Some(error), .. } => return Err(error),
            Output::End { .. } => return Ok(()),
        }
    }
    Ok(())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stack_top))
}
