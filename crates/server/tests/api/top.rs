//! Processes and published ports of a stack's containers, as agents tell them.

use crate::stacks::report;
use crate::support::{Agent, Running};
use stackyard_api::StackDeploy;
use stackyard_core::agent::{BoundPort, Bytes, Open, Processes, Replica, Stream, ToAgent, ToServer};
use stackyard_core::rollout::Packed;
use stackyard_core::stack::{PortProtocol, Service, Stack};
use std::time::Duration;

/// How an agent answers when it is asked for processes.
#[derive(Clone, Copy)]
enum Answer {
    /// Each replica has one; the second does not run.
    Lists,
    /// Bytes without end.
    Floods,
    /// As an agent that knows no such stream.
    Ignores,
}

fn bound() -> BoundPort {
    BoundPort { target: 80, protocol: PortProtocol::Tcp, published: 8080, host_ip: None }
}

fn chunk(stream: u64, replica: &Replica, from: Stream, data: Vec<u8>) -> ToServer {
    ToServer::Chunk { stream, replica: Some(replica.clone()), from, data: Bytes(data) }
}

fn listed(replica: &Replica) -> Vec<u8> {
    let titles = ["PID", "CMD"].map(str::to_owned).to_vec();
    serde_json::to_vec(&Processes { titles, rows: vec![vec!["7".into(), replica.to_string()]] }).unwrap()
}

/// An agent whose containers run at once and publish a port.
fn obey(mut agent: Agent, answer: Answer) {
    tokio::spawn(async move {
        while let Some(message) = agent.next().await {
            match (message, answer) {
                (ToAgent::Desired(desired), _) => {
                    let mut report = report(&desired);
                    let containers = report.parts.values_mut().flat_map(|part| &mut part.containers);
                    containers.for_each(|container| container.ports = vec![bound()]);
                    agent.send(&ToServer::Report(Box::new(report))).await;
                }
                (ToAgent::Open { stream, open: Open::Top { stack, replicas } }, Answer::Lists) => {
                    assert_eq!(stack, "site");
                    for replica in &replicas {
                        let said = match replica.index {
                            1 => chunk(stream, replica, Stream::Stdout, listed(replica)),
                            _ => chunk(stream, replica, Stream::Stderr, b"it is not running".to_vec()),
                        };
                        agent.send(&said).await;
                    }
                    agent.send(&ToServer::End { stream, status: None, error: None }).await;
                }
                (ToAgent::Open { stream, open: Open::Top { replicas, .. } }, Answer::Floods) => {
                    // What the server gives credit for, and more.
                    for _ in 0..1000 {
                        agent.send(&chunk(stream, &replicas[0], Stream::Stdout, vec![b'x'; 30_000])).await;
                    }
                }
                _ => {}
            }
        }
    });
}

/// A server with one host, and a stack with two containers there.
async fn site(answer: Answer) -> Running {
    let running = Running::start().await;
    let host = running.host("shop", "web-1").await;
    obey(running.agent(&host.token, None).await, answer);
    running.until("the agent", || running.server.app().hub().connected() == 1).await;
    let mut web = Service { image: "registry.example/web:1".to_owned(), ..Service::default() };
    web.deploy.replicas = 2;
    web.deploy.update.monitor = Duration::ZERO;
    let stack = Stack { name: "site".into(), services: [("web".to_owned(), web)].into(), ..Stack::default() };
    let deploy = StackDeploy { stack: Packed::pack(stack), pool: None, declared: false, network: None };
    running.admin.deploy_stack("shop", "site", &deploy).await.unwrap();
    running.admin.converged("shop", "site", crate::stacks::PATIENCE, &()).await.unwrap();
    running
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_and_ports_of_each_container() {
    let running = site(Answer::Lists).await;
    let all = running.admin.stack_top("shop", "site", &[]).await.unwrap();
    let [first, second] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((first.container.as_str(), first.host.as_str(), &first.reason), ("web-1", "web-1", &None));
    assert_eq!(first.titles, ["PID", "CMD"]);
    assert_eq!(first.processes, [["7", "web-1"]]);
    assert_eq!((second.container.as_str(), second.reason.as_deref()), ("web-2", Some("it is not running")));
    let only = running.admin.stack_top("shop", "site", &["web-1".to_owned()]).await.unwrap();
    assert_eq!(only, std::slice::from_ref(first));
    let error = running.admin.stack_top("shop", "site", &["db".to_owned()]).await.unwrap_err().to_string();
    assert!(error.contains("no container of db; its services: web"), "{error}");

    let view = running.admin.stack("shop", "site", false).await.unwrap();
    let ports: Vec<_> = view.status.services[0].replicas.iter().map(|r| r.ports.clone()).collect();
    assert_eq!(ports, [[bound()], [bound()]]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_floods_or_ignores_is_named() {
    let reason = async |answer| {
        let running = site(answer).await;
        let all = running.admin.stack_top("shop", "site", &[]).await.unwrap();
        let reasons: Vec<String> = all.into_iter().map(|c| c.reason.unwrap_or_default()).collect();
        running.stop().await;
        assert_eq!(reasons.len(), 2);
        reasons.into_iter().next_back().unwrap_or_default()
    };
    let (flood, silence) = tokio::join!(reason(Answer::Floods), reason(Answer::Ignores));
    assert!(flood.contains("more than"), "{flood}");
    assert_eq!(silence, "the agent of web-1 did not answer within 15 s; older agents do not list processes");
}
