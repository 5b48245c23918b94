//! Stopping and removing stacks, dependents first.

use super::apply::blocking;
use super::error::{Failure, Failures};
use super::{Engine, Error, files, labels, observe};
use crate::docker::is_not_found;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::RemoveVolumeOptionsBuilder;
use futures_util::future::join_all;
use stackyard_core::progress::{Event, Onlooker};
use stackyard_core::stack::plan::Resource;
use stackyard_core::text::error_chain;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use tokio::sync::watch;

impl Engine {
    /// Removes the containers and networks of the stack `name`, dependents first and in
    /// parallel; with `purge` also its volumes, with all data in them, and its files.
    ///
    /// What is gone already is no error. Needs no description of the stack.
    pub async fn remove(&self, name: &str, purge: bool, onlooker: &dyn Onlooker) -> Result<(), Error> {
        let _lock = self.lock(name).await?;
        self.each_container(name, Work::Remove, onlooker).await?;
        let networks = self.stack_networks(name).await?.into_iter().filter_map(|n| Some((n.name?, n.id?)));
        let networks = networks
            .map(|(name, id)| tell(onlooker, Resource::Network(name), async move { self.remove_network(&id).await }));
        failures(join_all(networks).await)?;
        if purge {
            let volumes = self.stack_volumes(name).await?.into_iter();
            let volumes = volumes
                .map(|v| tell(onlooker, Resource::Volume(v.clone()), async move { self.remove_volume(&v).await }));
            failures(join_all(volumes).await)?;
        }
        let (state, name) = (self.state.clone(), name.to_owned());
        blocking(move || files::remove_all(&state, &name)).await
    }

    /// Stops the containers of the stack `name`, dependents first and in parallel.
    pub async fn stop(&self, name: &str, onlooker: &dyn Onlooker) -> Result<(), Error> {
        let _lock = self.lock(name).await?;
        self.each_container(name, Work::Stop, onlooker).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        let options = RemoveVolumeOptionsBuilder::new().force(false).build();
        match self.api().remove_volume(name, Some(options)).await {
            Err(e) if is_not_found(&e) => Ok(()),
            other => other.map_err(Error::engine(format!("remove volume {name}"))),
        }
    }

    /// Does one thing to every container of the stack; a container's turn comes when all
    /// those whose services come after its service are through.
    async fn each_container(&self, stack: &str, work: Work, onlooker: &dyn Onlooker) -> Result<(), Error> {
        let containers = self.containers(stack).await?;
        let waits = dependents(&containers);
        let through: Vec<watch::Sender<bool>> = containers.iter().map(|_| watch::Sender::new(false)).collect();
        let turns = containers.iter().enumerate().map(async |(i, container)| {
            for other in &waits[i] {
                let _ = through[*other].subscribe().wait_for(|t| *t).await;
            }
            let resource = resource(container);
            let step = resource.to_string();
            let begun = Instant::now();
            onlooker.see(Event::Started { step: step.clone(), doing: work.doing().to_owned() });
            let id = container.id.as_deref().unwrap_or_default();
            let result = match work {
                Work::Stop => self.stop_container(id).await,
                Work::Remove => self.remove_container(id).await,
            };
            through[i].send_replace(true);
            report(onlooker, step, work.did(), begun, &result);
            result.map_err(|e| failure(resource, e))
        });
        failures(join_all(turns).await)
    }
}

/// What is done to every container of a stack.
#[derive(Clone, Copy)]
enum Work {
    Stop,
    Remove,
}

impl Work {
    fn doing(self) -> &'static str {
        if matches!(self, Self::Stop) { "stopping" } else { "removing" }
    }

    fn did(self) -> &'static str {
        if matches!(self, Self::Stop) { "stopped" } else { "removed" }
    }
}

/// For each container, the positions of those that go before it: the dependents, as far as
/// that makes no circle (labels of several versions of a stack may be mixed).
fn dependents(containers: &[ContainerInspectResponse]) -> Vec<BTreeSet<usize>> {
    let service = |c| observe::label(c, labels::SERVICE).unwrap_or_default().to_owned();
    let mut by_service: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, c) in containers.iter().enumerate() {
        by_service.entry(service(c)).or_default().push(i);
    }
    let mut before: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); containers.len()];
    for (i, c) in containers.iter().enumerate() {
        let none = std::collections::HashMap::new();
        let labels = c.config.as_ref().and_then(|c| c.labels.as_ref()).unwrap_or(&none);
        let after: Vec<String> = labels::parse(labels, labels::AFTER);
        for other in after.iter().filter_map(|s| by_service.get(s)).flatten() {
            if *other != i && !reaches(&before, i, *other) {
                before[*other].insert(i);
            }
        }
    }
    before
}

/// Whether `from` waits for `to`, directly or not.
fn reaches(before: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    from == to || before[from].iter().any(|next| reaches(before, *next, to))
}

fn resource(container: &ContainerInspectResponse) -> Resource {
    let service = observe::label(container, labels::SERVICE).unwrap_or_default().to_owned();
    match observe::label(container, labels::JOB) {
        Some("true") => Resource::Job(service),
        _ => Resource::Container(service),
    }
}

async fn tell(
    onlooker: &dyn Onlooker,
    resource: Resource,
    work: impl Future<Output = Result<(), Error>>,
) -> Result<(), Failure> {
    let step = resource.to_string();
    let begun = Instant::now();
    onlooker.see(Event::Started { step: step.clone(), doing: "removing".into() });
    let result = work.await;
    report(onlooker, step, "removed", begun, &result);
    result.map_err(|e| failure(resource, e))
}

fn report(onlooker: &dyn Onlooker, step: String, did: &str, begun: Instant, result: &Result<(), Error>) {
    onlooker.see(match result {
        Ok(()) => Event::Done { step, did: did.to_owned(), took: begun.elapsed() },
        Err(e) => Event::Failed { step, error: error_chain(e) },
    });
}

fn failure(resource: Resource, error: Error) -> Failure {
    Failure { resource, hint: super::step::hint(&error), error: Box::new(error), log: Vec::new() }
}

fn failures(results: Vec<Result<(), Failure>>) -> Result<(), Error> {
    let failed: Vec<Failure> = results.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() { Ok(()) } else { Err(Failures { failed, skipped: Vec::new() }.into()) }
}
