//! Asks agents.

use crate::hub::{AgentStream, Hub, Output, StreamInput};
use serde::de::DeserializeOwned;
use stackyard_api::{MtuEnd, MtuPair, MtuWay};
use stackyard_core::agent::{Ear, Measure, MtuSurvey, Open};
use stackyard_core::mtu::search::Found;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::timeout;

/// How long an agent may take to say how it is set, or that it listens.
const SOON: Duration = Duration::from_secs(20);

/// How long a search may take: that of a black hole on a large link, where most packets are lost three times.
const SEARCH: Duration = Duration::from_secs(120);

/// The largest packet of IP, in bytes.
const LARGEST: u32 = 65_535;

/// The next value of a stream; none at its end.
pub(super) async fn value<T: DeserializeOwned>(stream: &mut AgentStream) -> Result<Option<T>, String> {
    match stream.next().await {
        Some(Output::Chunk { data, .. }) => serde_json::from_slice(&data)
            .map(Some)
            .map_err(|e| format!("the agent said what this server does not know: {e}")),
        Some(Output::End { error: Some(error), .. }) => Err(error),
        Some(Output::End { .. }) | None => Ok(None),
    }
}

pub(super) fn open(hub: &Hub, host: &str, measure: Measure) -> Result<AgentStream, String> {
    hub.open_stream(host, Open::Measure { measure }).map_err(|e| e.to_string())
}

/// What a value that must come says.
async fn needed<T: DeserializeOwned>(stream: &mut AgentStream, within: Duration) -> Result<T, String> {
    let value = timeout(within, value(stream)).await;
    let value = value.map_err(|_| {
        let within = within.as_secs();
        format!("its agent has not answered within {within} s; one of an earlier version cannot measure")
    })?;
    value?.ok_or_else(|| "its agent ended without an answer".to_owned())
}

/// How MTUs are set on a host.
pub(crate) async fn survey(hub: &Hub, host: &str) -> Result<MtuSurvey, String> {
    needed(&mut open(hub, host, Measure::Survey)?, SOON).await
}

/// Measures both ways of a pair.
pub(crate) async fn measure(hub: &Hub, from: MtuEnd, to: MtuEnd) -> MtuPair {
    let there = way(hub, &from, &to).await;
    let back = match (&to.host, from.address) {
        (Some(_), Some(_)) => Some(way(hub, &to, &from).await),
        _ => None,
    };
    MtuPair { from, to, there, back }
}

async fn way(hub: &Hub, from: &MtuEnd, to: &MtuEnd) -> MtuWay {
    let (Some(sender), Some(address)) = (&from.host, to.address) else {
        return MtuWay::of(Err("no agent sends there".to_owned()), false);
    };
    let token = rand::random();
    // Without an ear, answers tell.
    let mut ear = listen(hub, to, address, token).await.ok().flatten();
    let heard = ear.is_some();
    let search = Measure::Search { from: from.container.clone(), to: address, token, most: LARGEST, heard };
    let found = async {
        let mut search = open(hub, sender, search)?;
        let input = search.input();
        tokio::select! {
            found = needed::<Found>(&mut search, SEARCH) => found,
            never = relay(&mut ear, input) => match never {},
        }
    };
    MtuWay::of(found.await, heard)
}

/// Has an end's agent listen.
async fn listen(hub: &Hub, at: &MtuEnd, address: IpAddr, token: u64) -> Result<Option<AgentStream>, String> {
    let Some(host) = &at.host else { return Ok(None) };
    let listen = Measure::Listen { at: at.container.clone(), ipv6: address.is_ipv6(), token };
    let mut stream = open(hub, host, listen)?;
    match needed(&mut stream, SOON).await? {
        Ear::Ready => Ok(Some(stream)),
        Ear::Heard(_) => Ok(None),
    }
}

/// Tells who searches what was heard, for ever.
async fn relay(ear: &mut Option<AgentStream>, input: StreamInput) -> std::convert::Infallible {
    while let Some(stream) = ear {
        match value(stream).await {
            Ok(Some(Ear::Heard(heard))) => input.send(serde_json::to_vec(&heard).unwrap_or_default()).await,
            Ok(Some(Ear::Ready)) => {}
            // It listens no more: answers tell.
            Ok(None) | Err(_) => break,
        }
    }
    std::future::pending().await
}
