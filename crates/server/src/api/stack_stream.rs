//! What comes out of a stack's containers: logs, and programs run in them.

use super::endless::until_ended;
use super::{Path, Query};
use crate::access::{Operator, Viewer, ended};
use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::{Caller, CallerSlot};
use crate::hub::{AgentStream, Output, StreamInput};
use crate::stack::DeployedStack;
use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket};
use axum::extract::{State, WebSocketUpgrade};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitStream, select_all, unfold};
use futures_util::{SinkExt, Stream, StreamExt};
use serde::Deserialize;
use stackyard_api::{ExecInput, ExecOutput, Problem, StackLine};
use stackyard_core::agent::{Bytes, Open, Replica, Stream as From};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Lines that are there at once are one piece of the answer.
const LINES_AT_ONCE: usize = 64;

/// Time without a line after which an empty one is sent.
const ALIVE: Duration = Duration::from_secs(10);

/// Largest piece of input for a program, in bytes of its message.
const MESSAGE: usize = 4 << 20;

/// Time for the other side of a program that ends to take its last output.
const FAREWELL: Duration = Duration::from_secs(10);

/// Which logs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Services or replicas (`web`, `web-2`), also those of one host (`web@host-1`), with commas between them; all
    /// if absent.
    #[serde(default)]
    only: String,
    /// Go on with new lines.
    #[serde(default)]
    follow: bool,
    /// So many lines of each container that were written before; all if absent.
    tail: Option<u32>,
    /// Not older, in seconds since 1970.
    since: Option<i64>,
}

/// Replicas by id and name of their host.
pub(super) type ReplicasByHost = BTreeMap<(String, String), Vec<Replica>>;

/// Hosts with containers of a stack, and the replicas on each that were asked for.
///
/// # Arguments
/// - `only`: services or replicas, with commas between them; all if empty
///
/// # Errors
/// 404 for a name that the stack does not have.
pub(super) fn wanted(now: &DeployedStack, only: &str) -> Result<ReplicasByHost, ApiError> {
    let names: BTreeSet<String> = only.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let mut found = BTreeSet::new();
    let mut hosts = ReplicasByHost::new();
    for service in &now.status.services {
        for replica in &service.replicas {
            let asked: Vec<String> =
                replica.names(&service.name).into_iter().filter(|name| names.contains(name)).collect();
            if names.is_empty() || !asked.is_empty() {
                found.extend(asked);
                let which = Replica { service: service.name.clone(), index: replica.index };
                hosts.entry((replica.host.clone(), replica.host_name.clone())).or_default().push(which);
            }
        }
    }
    if let Some(missing) = names.difference(&found).next() {
        let known: Vec<&str> = now.status.services.iter().map(|s| s.name.as_str()).collect();
        let detail = format!("stack {} has no container of {missing}; its services: {}", now.name, known.join(", "));
        return Err(ApiError::not_found(detail));
    }
    Ok(hosts)
}

type Lines = Pin<Box<dyn Stream<Item = StackLine> + Send>>;

/// Logs of a stack's containers, mixed as they come: one JSON object a line
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks/{stack}/logs", tag = "stack", params(LogQuery),
    security(("token" = [])), responses((status = 200, body = StackLine, content_type = "application/x-ndjson"),
        (status = "4XX", body = Problem)))]
async fn stack_logs(
    Viewer(caller): Viewer,
    State(app): State<App>,
    Path((yard, stack)): Path<(String, String)>,
    Query(logs): Query<LogQuery>,
) -> Result<Response, ApiError> {
    let now = app.stacks().get(&yard, &stack).await?;
    let mut streams: Vec<Lines> = Vec::new();
    for ((host, host_name), replicas) in wanted(&now, &logs.only)? {
        // Without names, also containers that come later.
        let replicas = if logs.only.is_empty() { Vec::new() } else { replicas };
        let (follow, tail, since) = (logs.follow, logs.tail, logs.since);
        let open = Open::Logs { stack: stack.clone(), replicas, follow, tail, since };
        streams.push(match app.hub().open_stream(&host, open) {
            Ok(stream) => Box::pin(lines(stream, host_name)),
            Err(error) => {
                let text = error.to_string();
                let line = StackLine { replica: None, host: host_name, stream: "error".into(), text };
                Box::pin(futures_util::stream::iter([line]))
            }
        });
    }
    streamed(select_all(streams), &app, caller)
}

/// Lines as JSON, one an object, until they end or `caller` may read no more.
///
/// # Errors
/// 429
pub(super) fn streamed(
    lines: impl Stream<Item = StackLine> + Send + Unpin + 'static,
    app: &App,
    caller: Caller,
) -> Result<Response, ApiError> {
    let json = lines.ready_chunks(LINES_AT_ONCE).map(|lines| {
        let mut text = Vec::new();
        for line in lines {
            text.extend(serde_json::to_vec(&line).unwrap_or_default());
            text.push(b'\n');
        }
        Ok::<_, std::io::Error>(text)
    });
    let json = until_ended(app, caller, alive(json))?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(json)).into_response())
}

/// Adds an empty line where nothing is said for some time, so that neither side gives up.
fn alive<S>(stream: S) -> impl Stream<Item = Result<Vec<u8>, std::io::Error>> + Send
where
    S: Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + Unpin,
{
    unfold(stream, |mut stream| async move {
        match tokio::time::timeout(ALIVE, stream.next()).await {
            Ok(next) => Some((next?, stream)),
            Err(_) => Some((Ok(b"\n".to_vec()), stream)),
        }
    })
}

/// The lines of a host.
fn lines(stream: AgentStream, host: String) -> impl Stream<Item = StackLine> + Send {
    let pieces = unfold(stream, |mut stream| async move { Some((stream.next().await?, stream)) });
    pieces.flat_map(move |output| {
        let line = |replica: Option<&Replica>, stream: &str, text: &str| StackLine {
            replica: replica.map(ToString::to_string),
            host: host.clone(),
            stream: stream.to_owned(),
            text: text.to_owned(),
        };
        let lines: Vec<StackLine> = match output {
            Output::Chunk { replica, from, data } => {
                let text = String::from_utf8_lossy(&data);
                let text = text.strip_suffix('\n').unwrap_or(&text);
                text.split('\n').map(|t| line(replica.as_ref(), word(from), t.trim_end_matches('\r'))).collect()
            }
            Output::End { error: Some(error), .. } => vec![line(None, "error", &error)],
            Output::End { .. } => Vec::new(),
        };
        futures_util::stream::iter(lines)
    })
}

fn word(from: From) -> &'static str {
    match from {
        From::Stdout => "stdout",
        From::Stderr => "stderr",
    }
}

/// A program to run.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExecQuery {
    /// A service (its first container that runs) or a replica, `web-2`, also of one host, `web@host-1`.
    replica: String,
    /// Program and arguments, as a JSON list.
    command: String,
    /// With a terminal.
    #[serde(default)]
    tty: bool,
    /// Whether input will come.
    #[serde(default)]
    stdin: bool,
    /// User; the container's if absent.
    user: Option<String>,
}

/// Runs a program in a container: a WebSocket of `ExecInput` to it and `ExecOutput` from it
///
/// One JSON object to a text frame.
#[utoipa::path(get, path = "/api/v1/yards/{yard}/stacks/{stack}/exec", tag = "stack", params(ExecQuery),
    security(("token" = [])), responses((status = 101, description = "a WebSocket", body = ExecOutput),
        (status = "4XX", body = Problem)))]
async fn stack_exec(
    Operator(caller): Operator,
    State(app): State<App>,
    Path((yard, stack)): Path<(String, String)>,
    Query(exec): Query<ExecQuery>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|r| ApiError::new(r.status(), r.body_text()))?;
    let command: Vec<String> = serde_json::from_str(&exec.command)
        .map_err(|e| ApiError::bad(format!("`command` must be a JSON list of texts: {e}")))?;
    if command.is_empty() {
        return Err(ApiError::bad("`command` names no program"));
    }
    let now = app.stacks().get(&yard, &stack).await?;
    wanted(&now, &exec.replica)?;
    let all = now.status.services.iter().flat_map(|s| s.replicas.iter().map(move |r| (s, r)));
    let asked = all.filter(|(s, r)| r.is_called(&s.name, &exec.replica));
    let Some((service, replica)) = asked.clone().find(|(_, r)| r.state == "running").or_else(|| asked.clone().next())
    else {
        return Err(ApiError::not_found(format!("stack {stack} has no container of {}", exec.replica)));
    };
    if replica.state != "running" {
        return Err(ApiError::conflict(format!(
            "the container of {} does not run: it is {}",
            replica.name, replica.state
        )));
    }
    let shown = serde_json::to_string(&command).unwrap_or_default();
    let user = exec.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
    let terminal = if exec.tty { " with a terminal" } else { "" };
    crate::request::note(format!("{} on host {}{user}{terminal}: {shown}", replica.name, replica.host_name));
    let open = Open::Exec {
        stack,
        replica: Replica { service: service.name.clone(), index: replica.index },
        command,
        tty: exec.tty,
        stdin: exec.stdin,
        user: exec.user,
    };
    let place = app.inner().endless.take(&caller, "streams")?;
    let stream = app.hub().open_stream(&replica.host, open).map_err(|e| ApiError::conflict(e.to_string()))?;
    let upgrade = upgrade.max_message_size(MESSAGE).max_frame_size(MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| carry(socket, stream, app, caller, place)))
}

/// Carries input to a program and its output back, until one of them ends. All is polled all the time: who does not
/// read the output holds nothing but this program's stream.
async fn carry(socket: WebSocket, mut stream: AgentStream, app: App, caller: Caller, _place: CallerSlot) {
    let (mut out, incoming) = socket.split();
    // Ends when the other side goes, so that nobody runs a program for nobody.
    let input = take_input(incoming, stream.input());
    let output = async {
        while let Some(output) = stream.next().await {
            let output = match output {
                Output::Chunk { from: From::Stdout, data, .. } => ExecOutput::Stdout(Bytes(data)),
                Output::Chunk { from: From::Stderr, data, .. } => ExecOutput::Stderr(Bytes(data)),
                Output::End { status, error } => ExecOutput::End { status, error },
            };
            let text = serde_json::to_string(&output).unwrap_or_default();
            if out.send(Message::Text(text.into())).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = input => {}
        () = output => {}
        () = ended(app, caller) => {}
    }
    let _ = timeout(FAREWELL, out.close()).await;
}

/// Takes input until the other side goes.
async fn take_input(mut incoming: SplitStream<WebSocket>, input: StreamInput) {
    while let Some(Ok(message)) = incoming.next().await {
        let Message::Text(text) = message else { continue };
        match serde_json::from_str(&text) {
            Ok(ExecInput::Input(Bytes(data))) if !data.is_empty() => input.send(data).await,
            Ok(ExecInput::Input(_)) => {}
            Ok(ExecInput::Eof) => input.send(Vec::new()).await,
            Ok(ExecInput::Resize(rows, columns)) => input.resize(rows, columns).await,
            Err(_) => return,
        }
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stack_logs)).routes(routes!(stack_exec))
}
