//! Reading from the engine what a stack has.

use super::{Engine, Error, files, labels};
use crate::docker::is_not_found;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};
use stackyard_core::stack::observed::{Container, Image, Network, Observed, State};
use stackyard_core::stack::spec::{ARCHIVE, Spec};
use stackyard_core::stack::{Stack, is_image_reference};
use std::collections::{BTreeMap, BTreeSet};

/// Requests in flight at once while looking.
pub(super) const PARALLEL: usize = 16;

impl Engine {
    /// Looks at everything that bears the mark of `stack` and at the images, external
    /// networks and external volumes that it names.
    pub async fn observe(&self, stack: &Stack) -> Result<Observed, Error> {
        let (containers, networks, volumes, images) = tokio::try_join!(
            self.containers(&stack.name),
            self.networks(stack),
            self.volumes(stack),
            self.images(stack)
        )?;
        let containers = containers.iter().map(|c| self.container(c)).collect();
        Ok(Observed { containers, networks, volumes, images })
    }

    /// Inspects all containers of the stack `name`, ordered by name.
    pub(super) async fn containers(&self, name: &str) -> Result<Vec<ContainerInspectResponse>, Error> {
        let ids = self.container_ids(name).await?;
        let inspect = |id: String| async move {
            match self.api().inspect_container(&id, None).await {
                // Removed since it was listed.
                Err(e) if is_not_found(&e) => Ok(None),
                other => other.map(Some).map_err(Error::engine(format!("inspect container {id}"))),
            }
        };
        let mut all: Vec<_> = stream::iter(ids)
            .map(inspect)
            .buffer_unordered(PARALLEL)
            .try_filter_map(async |c| Ok(c))
            .try_collect()
            .await?;
        all.sort_by(|a: &ContainerInspectResponse, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Ids of all containers of the stack `name`.
    pub(super) async fn container_ids(&self, name: &str) -> Result<Vec<String>, Error> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(&labels::filter(name)).build();
        let list = self.api().list_containers(Some(options)).await;
        let list = list.map_err(Error::engine(format!("list the containers of stack {name}")))?;
        Ok(list.into_iter().filter_map(|c| c.id).collect())
    }

    async fn networks(&self, stack: &Stack) -> Result<BTreeMap<String, Network>, Error> {
        let mut found = BTreeMap::new();
        for n in self.stack_networks(&stack.name).await? {
            let spec = n.labels.as_ref().and_then(|l| l.get(labels::SPEC)).cloned().unwrap_or_default();
            // Of doubles, the oldest counts; see `mend_networks`.
            found
                .entry(n.name.unwrap_or_default())
                .or_insert(Network { id: n.id.unwrap_or_default(), spec: Some(spec) });
        }
        for key in stack.network_keys() {
            let name = stack.network(&key).name;
            if found.contains_key(&name) {
                continue;
            }
            match self.api().inspect_network(&name, None).await {
                Ok(n) => found.insert(name, Network { id: n.id.unwrap_or_default(), spec: None }),
                Err(e) if is_not_found(&e) => None,
                Err(e) => return Err(Error::engine(format!("inspect network {name}"))(e)),
            };
        }
        Ok(found)
    }

    /// Networks that bear the mark of the stack `name`, oldest first.
    pub(super) async fn stack_networks(&self, name: &str) -> Result<Vec<bollard::models::Network>, Error> {
        let options = ListNetworksOptionsBuilder::new().filters(&labels::filter(name)).build();
        let mut list = self
            .api()
            .list_networks(Some(options))
            .await
            .map_err(Error::engine(format!("list the networks of stack {name}")))?;
        list.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        Ok(list)
    }

    async fn volumes(&self, stack: &Stack) -> Result<BTreeMap<String, bool>, Error> {
        let mut found: BTreeMap<String, bool> =
            self.stack_volumes(&stack.name).await?.into_iter().map(|v| (v, true)).collect();
        for key in stack.volume_keys() {
            let Some(volume) = stack.volumes.get(key).filter(|v| !found.contains_key(&v.name)) else { continue };
            match self.api().inspect_volume(&volume.name).await {
                Ok(v) => found.insert(v.name, false),
                Err(e) if is_not_found(&e) => None,
                Err(e) => return Err(Error::engine(format!("inspect volume {}", volume.name))(e)),
            };
        }
        Ok(found)
    }

    /// Names of the volumes that bear the mark of the stack `name`.
    pub(super) async fn stack_volumes(&self, name: &str) -> Result<Vec<String>, Error> {
        let options = ListVolumesOptionsBuilder::new().filters(&labels::filter(name)).build();
        let list = self
            .api()
            .list_volumes(Some(options))
            .await
            .map_err(Error::engine(format!("list the volumes of stack {name}")))?;
        Ok(list.volumes.unwrap_or_default().into_iter().map(|v| v.name).collect())
    }

    /// A container in the plan's words.
    fn container(&self, c: &ContainerInspectResponse) -> Container {
        let none = std::collections::HashMap::new();
        let labels = c.config.as_ref().and_then(|c| c.labels.as_ref()).unwrap_or(&none);
        let networks = c.network_settings.as_ref().and_then(|n| n.networks.as_ref());
        let mut parts: BTreeMap<String, String> = labels::parse(labels, labels::PARTS);
        if self.docker.is_local() {
            // A container whose files are gone would not start again: make it look changed.
            for lost in files::lost(c.mounts.iter().flatten().filter_map(|m| m.source.as_deref())) {
                parts.remove(&lost);
            }
            let archives = self.archives();
            let sources = c.mounts.iter().flatten().filter_map(|m| m.source.as_deref());
            if sources.filter_map(|s| archives.digest_of(s)).any(|digest| !archives.has(&digest)) {
                parts.retain(|name, _| !name.starts_with(ARCHIVE));
            }
        }
        Container {
            id: c.id.clone().unwrap_or_default(),
            name: name(c).to_owned(),
            service: labels.get(labels::SERVICE).cloned().unwrap_or_default(),
            job: labels.get(labels::JOB).is_some_and(|v| v == "true"),
            spec: Spec::from_parts(parts),
            state: state(c),
            started: started(c),
            follows: labels::parse(labels, labels::FOLLOWS),
            networks: networks
                .into_iter()
                .flatten()
                .map(|(name, e)| (name.clone(), e.network_id.clone().unwrap_or_default()))
                .collect(),
        }
    }

    async fn images(&self, stack: &Stack) -> Result<BTreeMap<String, Image>, Error> {
        let images = stack.services.values().map(|s| &s.image);
        // Another text would ask the engine for something else.
        let references: BTreeSet<&String> = images.filter(|image| is_image_reference(image)).collect();
        let inspect = |reference: &'_ String| {
            let reference = reference.clone();
            async move {
                match self.api().inspect_image(&reference).await {
                    Ok(image) => {
                        let test = image.config.and_then(|c| c.healthcheck).and_then(|h| h.test).unwrap_or_default();
                        let healthcheck = test.first().is_some_and(|t| t != "NONE");
                        Ok(Some((reference, Image { id: image.id.unwrap_or_default(), healthcheck })))
                    }
                    Err(e) if is_not_found(&e) => Ok(None),
                    Err(e) => Err(Error::engine(format!("inspect image {reference}"))(e)),
                }
            }
        };
        stream::iter(references)
            .map(inspect)
            .buffer_unordered(PARALLEL)
            .try_filter_map(async |i| Ok(i))
            .try_collect()
            .await
    }
}

/// Name of a container without the engine's leading slash.
pub(super) fn name(c: &ContainerInspectResponse) -> &str {
    c.name.as_deref().unwrap_or_default().trim_start_matches('/')
}

/// A label of a container.
pub(super) fn label<'a>(c: &'a ContainerInspectResponse, key: &str) -> Option<&'a str> {
    c.config.as_ref()?.labels.as_ref()?.get(key).map(String::as_str)
}

/// When a container was last started, in nanoseconds since 1970.
pub(super) fn started(c: &ContainerInspectResponse) -> Option<i64> {
    let time: jiff::Timestamp = c.state.as_ref()?.started_at.as_ref()?.parse().ok()?;
    // A container that never ran has the year 1.
    i64::try_from(time.as_nanosecond()).ok().filter(|t| *t > 0)
}

/// State of a container in the plan's words.
pub(super) fn state(c: &ContainerInspectResponse) -> State {
    use ContainerStateStatusEnum as Status;
    let Some(state) = &c.state else { return State::Dead };
    match state.status {
        Some(Status::CREATED) => State::Created,
        Some(Status::RUNNING | Status::STOPPING) => State::Running,
        Some(Status::PAUSED) => State::Paused,
        Some(Status::RESTARTING) => State::Restarting,
        Some(Status::EXITED) => State::Exited(state.exit_code.unwrap_or_default()),
        Some(Status::REMOVING | Status::DEAD | Status::EMPTY) | None => State::Dead,
    }
}
