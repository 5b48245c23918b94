//! Carrying out one step of a plan.

use super::apply::{Run, StepReporter};
use super::create::ContainerRequest;
use super::{Engine, Error, labels, observe};
use crate::docker::{is_not_found, status};
use bollard::models::{
    ContainerInspectResponse, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
    VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use stackyard_core::stack::observed::State;
use stackyard_core::stack::plan::{Action, Resource, Step, container_name};
use stackyard_core::stack::spec::network_digest;
use stackyard_core::stack::{Network, Service, Volume};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Grace period of a container that has none of its own, as the engine's.
const GRACE: Duration = Duration::from_secs(10);

/// What the engine may take on top of a grace period to stop or remove a container.
const MARGIN: Duration = Duration::from_secs(120);

impl Run<'_> {
    /// Does what the step says and waits until it is as it should be; returns what was done.
    pub(super) async fn carry_out(&self, step: &Step, telling: &mut StepReporter<'_>) -> Result<&'static str, Error> {
        let did = match &step.resource {
            Resource::Network(name) => self.network(name, step, telling).await?,
            Resource::Volume(name) => self.volume(name, step, telling).await?,
            Resource::Orphan(name) => {
                let _permit = self.work.acquire().await;
                telling.doing("removing");
                self.engine.remove_container(step.id.as_deref().unwrap_or(name)).await?;
                "removed"
            }
            Resource::Container(name) => return self.service(name, step, telling).await,
            Resource::Job(name) => return self.job(name, step, telling).await,
        };
        self.reach(&step.resource, |r| r.started = true);
        Ok(did)
    }

    async fn network(&self, name: &str, step: &Step, telling: &mut StepReporter<'_>) -> Result<&'static str, Error> {
        if step.action == Action::Keep {
            return Ok("kept");
        }
        let _permit = self.work.acquire().await;
        if matches!(step.action, Action::Recreate | Action::Remove) {
            telling.doing("removing");
            self.engine.remove_network(step.id.as_deref().unwrap_or(name)).await?;
        }
        if step.action == Action::Remove {
            return Ok("removed");
        }
        telling.doing("creating");
        let key = self.stack.network_keys().into_iter().find(|k| self.stack.network(k).name == name);
        let network = key.map(|k| self.stack.network(&k)).unwrap_or_default();
        self.engine.create_network(&self.stack.name, &network).await?;
        Ok("created")
    }

    async fn volume(&self, name: &str, step: &Step, telling: &mut StepReporter<'_>) -> Result<&'static str, Error> {
        let Some(volume) = self.stack.volumes.values().find(|v| v.name == name) else { return Ok("kept") };
        if step.action == Action::Keep {
            return Ok("kept");
        }
        let _permit = self.work.acquire().await;
        telling.doing("creating");
        self.engine.create_volume(&self.stack.name, volume).await?;
        Ok("created")
    }

    async fn service(&self, name: &str, step: &Step, telling: &mut StepReporter<'_>) -> Result<&'static str, Error> {
        let container = container_name(&self.stack.name, name);
        let id = self.bring_up(name, &container, step, telling).await?;
        self.reach(&step.resource, |r| r.started = true);
        let healthy = self.wait_until_well(&id, step, telling).await?;
        if healthy {
            self.reach(&step.resource, |r| r.healthy = true);
        }
        Ok(match step.action {
            _ if healthy => "healthy",
            Action::Keep => "runs",
            _ => "started",
        })
    }

    async fn job(&self, name: &str, step: &Step, telling: &mut StepReporter<'_>) -> Result<&'static str, Error> {
        let container = container_name(&self.stack.name, name);
        if step.action != Action::Keep {
            let id = self.bring_up(name, &container, step, telling).await?;
            self.reach(&step.resource, |r| r.started = true);
            self.wait_for_end(&id, telling).await?;
        }
        self.reach(&step.resource, |r| (r.started, r.completed) = (true, true));
        Ok("completed")
    }

    /// Makes the container run, as the step says; returns its id.
    async fn bring_up(
        &self,
        name: &str,
        container: &str,
        step: &Step,
        telling: &mut StepReporter<'_>,
    ) -> Result<String, Error> {
        let old = step.id.clone().unwrap_or_default();
        let _permit = match step.action {
            Action::Keep | Action::Await => return Ok(old),
            _ => self.work.acquire().await,
        };
        match step.action {
            Action::Start => {
                telling.doing("starting");
                self.engine.start(&old, container).await?;
                self.engine.after_start(&old, &self.stack.services[name].engine.post_start).await?;
                return Ok(old);
            }
            Action::Restart => {
                telling.doing("restarting");
                self.engine.stop_container(&old).await?;
                self.engine.start(&old, container).await?;
                self.engine.after_start(&old, &self.stack.services[name].engine.post_start).await?;
                return Ok(old);
            }
            Action::Recreate => {
                telling.doing("removing the old one");
                self.engine.remove_container(&old).await?;
            }
            _ => {}
        }
        telling.doing("creating");
        let service = &self.stack.services[name];
        let follows = self.follows(service).await?;
        let image_serves_dns = self.engine.image_serves_dns(self.stack, service).await?;
        let (engine, stack) = (self.engine, self.stack);
        let making = ContainerRequest { engine, stack, name, service, step, follows, image_serves_dns };
        match self.engine.create(&making, container).await? {
            CreatedContainer::Now(id) => {
                telling.doing("starting");
                self.engine.start(&id, container).await?;
                self.engine.after_start(&id, &service.engine.post_start).await?;
                Ok(id)
            }
            CreatedContainer::Before(id) => Ok(id),
        }
    }

    /// Ids of the containers that the service follows.
    async fn follows(&self, service: &Service) -> Result<BTreeMap<String, String>, Error> {
        let mut ids = BTreeMap::new();
        for other in service.follows() {
            if self.stack.services.contains_key(other) {
                let name = container_name(&self.stack.name, other);
                match self.engine.api().inspect_container(&name, None).await {
                    Ok(c) => ids.insert(other.to_owned(), c.id.unwrap_or_default()),
                    Err(e) if is_not_found(&e) => None,
                    Err(e) => return Err(Error::engine(format!("inspect container {name}"))(e)),
                };
            }
        }
        Ok(ids)
    }
}

impl Engine {
    /// Makes a container on all of its networks.
    async fn create(&self, making: &ContainerRequest<'_>, name: &str) -> Result<CreatedContainer, Error> {
        let body = making.body()?;
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let failed = || Error::engine(format!("create container {name}"));
        // Filling a new volume from the image may take its time.
        let api = self.docker.patient(MARGIN * 5);
        let create = |body| {
            let (api, options) = (api.clone(), options.clone());
            self.docker.finish(async move { api.create_container(Some(options), body).await })
        };
        let made = match create(body.clone()).await {
            Err(e) if status(&e) == Some(409) => {
                let Ok(there) = self.api().inspect_container(name, None).await else { return Err(failed()(e)) };
                if observe::label(&there, labels::STACK) != Some(&making.stack.name) {
                    return Err(failed()(e));
                }
                if will_do(&there, making) {
                    return Ok(CreatedContainer::Before(there.id.unwrap_or_default()));
                }
                // A killed run's request came through after we looked.
                self.remove_container(name).await?;
                create(body).await
            }
            other => other,
        };
        let id = made.map_err(failed())?.id;
        for (network, endpoint) in making.further_networks()? {
            let request = NetworkConnectRequest { container: id.clone(), endpoint_config: Some(endpoint) };
            let doing = format!("connect container {name} to network {network}");
            self.api().connect_network(&network, request).await.map_err(Error::engine(doing))?;
        }
        Ok(CreatedContainer::Now(id))
    }

    /// Starts a container, or thaws it when it is frozen.
    async fn start(&self, id: &str, name: &str) -> Result<(), Error> {
        let inspected =
            self.api().inspect_container(id, None).await.map_err(Error::engine(format!("inspect container {name}")))?;
        if inspected.state.and_then(|s| s.paused) == Some(true) {
            return self.api().unpause_container(id).await.map_err(Error::engine(format!("unpause container {name}")));
        }
        let (api, container) = (self.docker.patient(MARGIN * 5), id.to_owned());
        let started = self.docker.finish(async move { api.start_container(&container, None).await }).await;
        started.map_err(Error::engine(format!("start container {name}")))
    }

    /// Stops a container with its own signal and grace period; one that is gone or stopped is no error.
    pub(super) async fn stop_container(&self, id: &str) -> Result<(), Error> {
        let inspected = match self.api().inspect_container(id, None).await {
            Err(e) if is_not_found(&e) => return Ok(()),
            other => other.map_err(Error::engine(format!("inspect container {id}")))?,
        };
        let name = observe::name(&inspected).to_owned();
        let state = inspected.state.clone().unwrap_or_default();
        if state.running != Some(true) && state.restarting != Some(true) {
            return Ok(());
        }
        if state.paused == Some(true) {
            // A frozen process cannot take its signal.
            let _ = self.api().unpause_container(id).await;
        }
        self.before_stop(id, &inspected).await;
        let grace = inspected.config.and_then(|c| c.stop_timeout).and_then(|s| u64::try_from(s).ok());
        let grace = grace.map_or(GRACE, Duration::from_secs);
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let (api, container) = (self.docker.patient(grace + MARGIN), id.to_owned());
        match self.docker.finish(async move { api.stop_container(&container, Some(options)).await }).await {
            Err(e) if is_not_found(&e) => Ok(()),
            other => other.map_err(Error::engine(format!("stop container {name}"))),
        }
    }

    /// Stops and removes a container and its anonymous volumes; one that is gone is no error.
    pub(super) async fn remove_container(&self, id: &str) -> Result<(), Error> {
        self.stop_container(id).await?;
        let (api, container) = (self.docker.patient(MARGIN), id.to_owned());
        let removed = self.docker.finish(async move {
            let options = || Some(RemoveContainerOptionsBuilder::new().force(true).v(true).build());
            for _ in 0..100 {
                match api.remove_container(&container, options()).await {
                    // Its removal is under way already, begun by a killed run perhaps.
                    Err(e) if status(&e) == Some(409) => tokio::time::sleep(Duration::from_millis(200)).await,
                    other => return other,
                }
            }
            api.remove_container(&container, options()).await
        });
        match removed.await {
            Err(e) if is_not_found(&e) => Ok(()),
            other => other.map_err(Error::engine(format!("remove container {id}"))),
        }
    }

    async fn create_network(&self, stack: &str, network: &Network) -> Result<(), Error> {
        let mut labels: HashMap<String, String> = network.labels.clone().into_iter().collect();
        labels.insert(labels::STACK.into(), stack.into());
        labels.insert(labels::SPEC.into(), network_digest(network));
        let pools = network.subnets.iter().map(|(subnet, gateway)| IpamConfig {
            subnet: Some(subnet.clone()),
            gateway: gateway.clone(),
            ip_range: network.ip_ranges.get(subnet).cloned(),
            auxiliary_addresses: network.aux_addresses.get(subnet).map(|a| a.clone().into_iter().collect()),
        });
        let request = NetworkCreateRequest {
            name: network.name.clone(),
            driver: network.driver.clone(),
            internal: Some(network.internal),
            attachable: Some(true),
            enable_ipv6: Some(network.enable_ipv6),
            options: Some(network.driver_opts.clone().into_iter().collect()),
            labels: Some(labels),
            ipam: (!network.subnets.is_empty() || network.ipam_driver.is_some() || !network.ipam_options.is_empty())
                .then(|| Ipam {
                    driver: network.ipam_driver.clone(),
                    config: (!network.subnets.is_empty()).then(|| pools.collect()),
                    options: (!network.ipam_options.is_empty())
                        .then(|| network.ipam_options.clone().into_iter().collect()),
                }),
            ..Default::default()
        };
        match self.api().create_network(request).await {
            // There already: newer engines refuse doubles.
            Err(e) if status(&e) == Some(409) => Ok(()),
            Err(e) => Err(Error::engine(format!("create network {}", network.name))(e)),
            Ok(_) => self.mend_networks(stack).await,
        }
    }

    /// Engines before 25 let two networks have one name: a killed run's request that came
    /// through late makes one. The oldest stays.
    pub(super) async fn mend_networks(&self, stack: &str) -> Result<(), Error> {
        let mut names = std::collections::BTreeSet::new();
        for network in self.stack_networks(stack).await? {
            let (name, id) = (network.name.unwrap_or_default(), network.id.unwrap_or_default());
            if !names.insert(name) {
                self.remove_network(&id).await?;
            }
        }
        Ok(())
    }

    /// Takes all containers off a network and removes it; one that is gone is no error.
    pub(super) async fn remove_network(&self, id: &str) -> Result<(), Error> {
        let inspected = match self.api().inspect_network(id, None).await {
            Err(e) if is_not_found(&e) => return Ok(()),
            other => other.map_err(Error::engine(format!("inspect network {id}")))?,
        };
        let name = inspected.name.unwrap_or_default();
        for container in inspected.containers.unwrap_or_default().into_keys() {
            let request = NetworkDisconnectRequest { container, force: Some(true) };
            // Whoever left by himself meanwhile is off it too; the removal tells.
            let _ = self.api().disconnect_network(id, request).await;
        }
        match self.api().remove_network(id).await {
            Err(e) if is_not_found(&e) => Ok(()),
            other => other.map_err(Error::engine(format!("remove network {name}"))),
        }
    }

    async fn create_volume(&self, stack: &str, volume: &Volume) -> Result<(), Error> {
        let mut labels: HashMap<String, String> = volume.labels.clone().into_iter().collect();
        labels.insert(labels::STACK.into(), stack.into());
        let request = VolumeCreateRequest {
            name: Some(volume.name.clone()),
            driver: volume.driver.clone(),
            driver_opts: Some(volume.driver_opts.clone().into_iter().collect()),
            labels: Some(labels),
            cluster_volume_spec: None,
        };
        let made = self.api().create_volume(request).await;
        made.map(drop).map_err(Error::engine(format!("create volume {}", volume.name)))
    }
}

/// How a container came to be there.
enum CreatedContainer {
    /// Just now, with this id; it is to be started.
    Now(String),
    /// By another run since the plan was made, with this id; it does what it should.
    Before(String),
}

/// Whether a container that another run made in the meantime is the one that is wanted.
fn will_do(there: &ContainerInspectResponse, making: &ContainerRequest<'_>) -> bool {
    let same = observe::label(there, labels::SPEC) == Some(&making.step.spec.digest());
    let job = matches!(making.step.resource, Resource::Job(_));
    same && match observe::state(there) {
        State::Running => true,
        State::Exited(0) => job,
        _ => false,
    }
}

/// What to do about what the engine said, where its words do not tell.
pub(super) fn hint(error: &Error) -> Option<String> {
    let text = stackyard_core::text::error_chain(error);
    let path = || text.split("path ").nth(1).and_then(|t| t.split_whitespace().next()).unwrap_or("PATH").to_owned();
    if text.contains("is not a shared mount") || text.contains("is not a shared or slave mount") {
        let path = path();
        return Some(format!(
            "mounts made on one side are to show on the other, so {path} must be on a shared mount of the host: \
             `mount --bind {path} {path} && mount --make-rshared {path}`"
        ));
    }
    if text.contains("unable to apply caps") {
        return Some(
            "the engine's machine lacks capabilities that the kernel knows (a restricted virtual machine or \
             container?), so it cannot run privileged containers; name the capabilities that are needed in cap_add"
                .into(),
        );
    }
    if text.contains("is already in use by container") {
        return Some("another program created a container of that name; remove or rename it".into());
    }
    if text.contains("port is already allocated") || text.contains("address already in use") {
        return Some("another process or container has that port; `ss -ltnp` shows which".into());
    }
    None
}
