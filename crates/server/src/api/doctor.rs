//! Measuring what gets through a yard's networks, and putting it right.

use super::endless::until_ended;
use super::graph::{YardGraph, look, look_anew};
use super::{Body, Path};
use crate::access::Operator;
use crate::api_error::ApiError;
use crate::app::App;
use crate::auth::Caller;
use crate::doctor::{AT_ONCE, Measurements, PAIRS, advise, ends, fix, measure, pairs, survey};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use stackyard_api::{HostView, MtuEvent, MtuFix, MtuPair, MtuReport, MtuRequest, MtuStep, Problem};
use stackyard_core::agent::MtuSurvey;
use stackyard_core::mtu::search::Passage;
use stackyard_core::mtu::{Layer, MIN_IPV4};
use stackyard_core::text::error_chain;
use stackyard_yard::net::{by_id, layer, mtu_paths};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tokio::sync::mpsc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How often something is sent, so that nobody takes the connection for dead.
const PULSE: Duration = Duration::from_secs(10);

/// Agents that are asked at once how they are set.
const SURVEYS: usize = 16;

/// Pairs in one measurement, at most.
const MOST: usize = 1000;

/// Tells events as they come, one JSON object a line; the work ends when the caller goes away.
fn told(
    app: &App,
    caller: Caller,
    work: impl Future<Output = ()> + Send + 'static,
    events: mpsc::Receiver<MtuEvent>,
) -> Result<Response, ApiError> {
    let state = Some((Box::pin(work), events));
    let lines = stream::unfold(state, |state| async {
        let (mut work, mut events) = state?;
        let (told, state) = tokio::select! {
            biased;
            Some(event) = events.recv() => (vec![event], Some((work, events))),
            () = &mut work => {
                let rest = std::iter::from_fn(|| events.try_recv().ok());
                (rest.chain([MtuEvent::End]).collect(), None)
            }
            () = tokio::time::sleep(PULSE) => (vec![MtuEvent::Pulse], Some((work, events))),
        };
        let line = |e: &MtuEvent| serde_json::to_string(e).unwrap_or_default() + "\n";
        Some((Ok::<_, Infallible>(told.iter().map(line).collect::<String>()), state))
    });
    let lines = until_ended(app, caller, lines)?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], axum::body::Body::from_stream(lines)).into_response())
}

/// Measures what gets through between a yard's hosts, servers and containers, and says what to do
///
/// Packets that nobody may fragment go between its hosts, both ways, from its hosts to its servers, and from one
/// container of each Docker network to one machine outside of its host. The answer is one JSON object a line, while it
/// goes on; the last but one is the report. It ends when the caller goes away.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/mtu/measure", tag = "network", security(("token" = [])),
    request_body = MtuRequest,
    responses((status = 200, body = MtuEvent, content_type = "application/x-ndjson"), (status = "4XX", body = Problem)))]
async fn mtu_measure(
    Operator(caller): Operator,
    State(app): State<App>,
    Path(yard): Path<String>,
    Body(wish): Body<MtuRequest>,
) -> Result<Response, ApiError> {
    let most = wish.pairs.unwrap_or(PAIRS);
    if !(1..=MOST).contains(&most) {
        return Err(ApiError::unprocessable(format!("`pairs` is 1 to {MOST}")));
    }
    let looked = look_anew(&app, &yard).await?;
    let (tell, events) = mpsc::channel(16);
    let measuring = app.clone();
    told(&app, caller, async move { examine(&measuring, looked, most, &tell).await }, events)
}

/// What hosts' agents say of how they are set, by the hosts' ids, and what could not be asked.
async fn ask(app: &App, looked: &YardGraph) -> (BTreeMap<String, MtuSurvey>, Vec<String>) {
    let mut notes = Vec::new();
    let mut surveys: BTreeMap<String, MtuSurvey> = BTreeMap::new();
    let connected = looked.hosts.iter().filter(|h| h.connected);
    let asked = connected.map(|h| async { (&h.name, &h.id, survey(app.hub(), &h.id).await) });
    let mut asked = stream::iter(asked.collect::<Vec<_>>()).buffer_unordered(SURVEYS);
    while let Some((name, id, survey)) = asked.next().await {
        match survey {
            Ok(survey) => {
                notes.extend(survey.problem.iter().map(|p| format!("host {name}: nothing of its containers: {p}")));
                surveys.insert(id.clone(), survey);
            }
            Err(problem) => notes.push(format!("host {name}: {problem}")),
        }
    }
    let away = looked.hosts.iter().filter(|h| !h.connected);
    notes.extend(away.map(|h| format!("host {}: its agent is not connected, so it sends nothing itself", h.name)));
    notes.extend(looked.sighting.error.iter().map(|e| format!("the cloud: {e}")));
    notes.sort();
    (surveys, notes)
}

/// Takes what is set on hosts now for what they said when they connected.
async fn take_over(app: &App, hosts: &mut [HostView], surveys: &BTreeMap<String, MtuSurvey>) {
    for host in hosts {
        let Some(survey) = surveys.get(&host.id) else { continue };
        if let Some(link) = survey.links.iter().find(|l| l.default && l.mtu != host.facts.mtu) {
            host.facts.mtu = link.mtu;
            if let Err(error) = app.store().keep_facts(&host.id, host.address, &host.facts).await {
                tracing::error!("{error}");
            }
        }
        let bridged = |id: &String| survey.networks.iter().any(|n| n.id == *id && n.bridge.is_some());
        let links = survey.containers.iter().flat_map(|c| &c.links);
        let largest = links.filter(|l| l.network.as_ref().is_some_and(bridged)).map(|l| l.mtu).max();
        if let (Some(report), Some(largest)) = (&mut host.report, largest) {
            report.mtu = Some(largest);
        }
    }
}

/// Measures, and tells the report.
async fn examine(app: &App, mut looked: YardGraph, most: usize, tell: &mpsc::Sender<MtuEvent>) {
    let (surveys, notes) = ask(app, &looked).await;
    let agents = looked.hosts.iter().filter_map(|h| Some((h.id.clone(), h.report.as_ref()?.mtu?))).collect();
    take_over(app, &mut looked.hosts, &surveys).await;
    let ports = looked.ports();
    let ends = ends(&ports, &looked.hosts, &surveys);
    let (paired, left_out) = pairs(&ends, most);
    let _ = tell.send(MtuEvent::Begun { pairs: paired.len() }).await;
    let work = paired.iter().enumerate().map(|(number, pair)| {
        let (from, to) = (ends[pair.from].clone(), ends[pair.to].clone());
        async move { (number, measure(app.hub(), from, to).await) }
    });
    let mut work = stream::iter(work.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
    let mut measured: BTreeMap<usize, MtuPair> = BTreeMap::new();
    while let Some((number, pair)) = work.next().await {
        let _ = tell.send(MtuEvent::Pair { pair: Box::new(pair.clone()) }).await;
        measured.insert(number, pair);
    }
    drop(work);
    let pairs: Vec<MtuPair> = measured.into_values().collect();

    let inventory = looked.sighting.inventory.as_deref();
    let layers: BTreeMap<String, Layer> =
        inventory.into_iter().flat_map(|i| &i.networks).filter_map(|n| Some((n.name.clone(), layer(n)?))).collect();
    let known = Measurements { ends: &ends, pairs: &pairs, surveys: &surveys, agents: &agents, layers: &layers };
    let advice = advise(&known);
    let paths = mtu_paths(&looked.graph, inventory, &ports, &looked.hosts, None);
    let passages = || pairs.iter().flat_map(MtuPair::ways).map(|(.., way)| way.passage);
    let measured = passages().any(|p| !matches!(p, Passage::Unknown | Passage::Filtered));
    let well = measured && advice.is_empty() && passages().all(|p| p != Passage::BlackHole);
    let report = MtuReport { well, pairs, left_out, notes, paths, advice };
    let _ = tell.send(MtuEvent::Report { report: Box::new(report) }).await;
}

/// Sets MTUs that a measurement advises
///
/// One after the other: networks of the cloud, interfaces of hosts, networks of containers. The answer is one JSON
/// object a line, one for each step. A step that is done already changes nothing; measure again to see what it did.
#[utoipa::path(post, path = "/api/v1/yards/{yard}/mtu/fix", tag = "network", security(("token" = [])),
    request_body = MtuFix,
    responses((status = 200, body = MtuEvent, content_type = "application/x-ndjson"), (status = "4XX", body = Problem)))]
async fn mtu_fix(
    Operator(caller): Operator,
    State(app): State<App>,
    Path(yard): Path<String>,
    Body(MtuFix { mut steps }): Body<MtuFix>,
) -> Result<Response, ApiError> {
    let looked = look(&app, &yard).await?;
    for step in &steps {
        check(&looked, &yard, step)?;
    }
    let needs_cloud = steps.iter().any(|s| matches!(s, MtuStep::Network { .. }));
    let cloud = if needs_cloud {
        app.ports().cloud(&yard).await.map_err(|e| ApiError::unprocessable(error_chain(&e)))?
    } else {
        None
    };
    steps.sort_by_key(|s| match s {
        MtuStep::Network { .. } => 0,
        MtuStep::Link { .. } => 1,
        MtuStep::Containers { .. } => 2,
    });
    let (tell, events) = mpsc::channel(16);
    let hub = app.hub().clone();
    let work = async move {
        for step in steps {
            let (changed, error) = match fix(&hub, cloud.as_ref(), &step).await {
                Ok(changed) => (changed, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            let _ = tell.send(MtuEvent::Step { step, changed, error }).await;
        }
    };
    told(&app, caller, work, events)
}

/// Whether a step is about something of the yard's.
fn check(looked: &YardGraph, yard: &str, step: &MtuStep) -> Result<(), ApiError> {
    let (MtuStep::Network { to, .. } | MtuStep::Link { to, .. } | MtuStep::Containers { to, .. }) = step;
    if !(MIN_IPV4..=65_535).contains(to) {
        return Err(ApiError::unprocessable(format!("{step}: an MTU is {MIN_IPV4} to 65535 bytes")));
    }
    let known = match step {
        MtuStep::Network { id, .. } => by_id(&looked.graph).get(id.as_str()).is_some_and(|n| !n.outside),
        MtuStep::Link { host, .. } | MtuStep::Containers { host, .. } => looked.hosts.iter().any(|h| h.id == *host),
    };
    if known { Ok(()) } else { Err(ApiError::not_found(format!("{step}: yard {yard} has nothing of that id"))) }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(mtu_measure)).routes(routes!(mtu_fix))
}
