//! Measuring what gets through, with agents that say what the test wants.

use super::support::{Agent, Running};
use reqwest::StatusCode;
use serde::Serialize;
use serde_json::json;
use stackyard_api::{MtuEvent, MtuFix, MtuRequest, MtuStep, Role};
use stackyard_core::agent::{
    Bytes, Ear, Heard, Measure, MtuChanged, MtuLink, MtuSetting, MtuSurvey, Open, Stream, ToAgent, ToServer,
};
use stackyard_core::mtu::search::{Beyond, Found, Passage};
use std::net::IpAddr;

async fn say(agent: &mut Agent, stream: u64, what: &impl Serialize) {
    let data = Bytes(serde_json::to_vec(what).unwrap());
    agent.send(&ToServer::Chunk { stream, replica: None, from: Stream::Stdout, data }).await;
}

async fn end(agent: &mut Agent, stream: u64, error: Option<&str>) {
    agent.send(&ToServer::End { stream, status: None, error: error.map(str::to_owned) }).await;
}

/// An agent that hears packets of up to `hears` bytes, and finds what it is told that others hear.
async fn be(mut agent: Agent, address: IpAddr, hears: u32) {
    while let Some(message) = agent.next().await {
        match message {
            ToAgent::Open { stream, open: Open::Measure { measure } } => match measure {
                Measure::Survey => {
                    let addresses = vec![address];
                    let link = MtuLink { name: "eth0".into(), mtu: 1500, addresses, default: true, network: None };
                    say(&mut agent, stream, &MtuSurvey { links: vec![link], ..MtuSurvey::default() }).await;
                    end(&mut agent, stream, None).await;
                }
                Measure::Listen { at: None, ipv6: false, .. } => {
                    say(&mut agent, stream, &Ear::Ready).await;
                    say(&mut agent, stream, &Ear::Heard(Heard { sequence: 7, size: hears })).await;
                }
                Measure::Search { from: None, heard: true, most: 65_535, .. } => {}
                Measure::Set(MtuSetting::Link { name, mtu }) => {
                    let what = format!("interface {name}");
                    say(&mut agent, stream, &MtuChanged { what, from: 1500, to: mtu }).await;
                    end(&mut agent, stream, None).await;
                }
                Measure::Set(_) => end(&mut agent, stream, Some("there is no such network")).await,
                other => panic!("{other:?}"),
            },
            ToAgent::Input { stream, data } => {
                let heard: Heard = serde_json::from_slice(&data.0).unwrap();
                let largest = Some(heard.size);
                let found = Found { largest, lets_in: Some(1500), beyond: Beyond::Lost, probes: 20 };
                say(&mut agent, stream, &found).await;
                end(&mut agent, stream, None).await;
            }
            ToAgent::Close { .. } | ToAgent::Desired(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_are_measured_and_put_right() {
    let running = Running::start().await;
    let mut hosts = Vec::new();
    for (name, last, hears) in [("web-1", 1, 1380), ("web-2", 2, 1400)] {
        let host = running.host("shop", name).await;
        let agent = running.agent(&host.token, Some(0)).await;
        tokio::spawn(be(agent, IpAddr::from([192, 0, 2, last]), hears));
        hosts.push(host);
    }
    running.until("both agents", || running.server.app().hub().connected() == 2).await;
    // One that has joined and is away.
    running.host("shop", "web-3").await;
    let client = running.client(&running.token("o", Role::Operator).await);
    let mut events = Vec::new();
    client.measure_mtu("shop", &MtuRequest { pairs: Some(1) }, &mut |e| events.push(e)).await.unwrap();
    let [MtuEvent::Begun { pairs: 1 }, MtuEvent::Pair { pair }, MtuEvent::Report { report }] = events.as_slice() else {
        panic!("{events:?}")
    };
    let back = pair.back.as_ref().unwrap();
    assert!(pair.there.heard && back.heard);
    let largest = |way: &stackyard_api::MtuWay| way.found.as_ref().unwrap().largest;
    assert_eq!((pair.from.name.as_str(), pair.to.name.as_str()), ("web-1", "web-2"));
    assert_eq!((largest(&pair.there), largest(back), back.passage), (Some(1400), Some(1380), Passage::BlackHole));
    assert!(
        !report.well && report.notes.iter().any(|n| n.contains("web-3") && n.contains("not connected")),
        "{report:?}"
    );
    let steps: Vec<MtuStep> = report.advice.iter().filter_map(|a| a.step.clone()).collect();
    let shown: Vec<String> = steps.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["host web-1, interface eth0: MTU 1500 -> 1380", "host web-2, interface eth0: MTU 1500 -> 1380"]);

    let mut all = steps.clone();
    let strange = |host: &str| MtuStep::Containers {
        host: host.to_owned(),
        host_name: "web-1".into(),
        id: "none".into(),
        name: "none".into(),
        from: 1500,
        to: 1380,
    };
    all.insert(0, strange(&hosts[0].host));
    let mut told = Vec::new();
    client.fix_mtu("shop", &MtuFix { steps: all }, &mut |e| told.push(e)).await.unwrap();
    let told: Vec<String> = told
        .into_iter()
        .map(|event| match event {
            MtuEvent::Step { changed, error, .. } => changed.into_iter().chain(error).collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["interface eth0: 1500 -> 1380", "interface eth0: 1500 -> 1380", "there is no such network"]);

    // What is not the yard's is left alone, and nothing of the rest is done.
    let refused = client.fix_mtu("shop", &MtuFix { steps: vec![strange("other")] }, &mut |_| ()).await.unwrap_err();
    assert_eq!(refused.status(), Some(404), "{refused}");
    let MtuStep::Link { host, host_name, name, from, .. } = steps[0].clone() else { panic!("{steps:?}") };
    let tiny = MtuStep::Link { host, host_name, name, from, to: 60 };
    let refused = client.fix_mtu("shop", &MtuFix { steps: vec![tiny] }, &mut |_| ()).await.unwrap_err();
    assert_eq!(refused.status(), Some(422), "{refused}");
    let viewer = running.token("v", Role::Viewer).await;
    for path in ["/api/v1/yards/shop/mtu/measure", "/api/v1/yards/shop/mtu/fix"] {
        let (status, _) = running.call("POST", path, Some(&viewer), Some(&json!({"steps": []}))).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    running.stop().await;
}
