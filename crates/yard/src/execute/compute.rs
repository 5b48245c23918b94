//! Nova's and Cinder's resources.

use crate::execute::{ActionError, Executor};
use crate::host_service::JOINED;
use crate::observe::{ASKED, CONFIG_DRIVE, FLAVOR, IMAGE, TYPE, USER_DATA, ZONE, record};
use crate::retry::{create_once, delete_until_gone, retry};
use serde_json::{Value, json};
use stackyard_core::yard::intend::{Ref, ServerSpec, Spec, key_of};
use stackyard_core::yard::observed::OLDER_MARK;
use stackyard_core::yard::plan::Step;
use stackyard_core::yard::{Key, Kind, MARK_METADATA, Mark};
use stackyard_openstack::{
    BlockDevice, Error, Keypair, Method, NewKeypair, NewServer, NewServerGroup, NewVolume, Nic,
    Nics, Port, Resource, Server, ServerGroup, Service, Volume, user_data,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a server may take to boot; without KVM that is long.
const BOOT: Duration = Duration::from_secs(900);
/// How long a volume may take to be filled from its image.
const FILL: Duration = Duration::from_secs(1800);
/// How long a removal may take.
const LEAVE: Duration = Duration::from_secs(300);
/// What to do when a volume did not grow.
const GROW: &str = "not every storage grows a volume while a server has it: take it from the server's `volumes`, run \
    `up`, and give it back with the new size; if its state is error_extending, an administrator resets that with \
    `openstack volume set --state available`";
/// The same for the volume of a host.
const GROW_OF_HOST: &str = "this storage does not grow a volume while a server has it: remove the server (`openstack \
    server delete`) and run `up`, which grows the volume before it gives it to the next host; if its state is \
    error_extending, an administrator resets that with `openstack volume set --state available`, once it is free";
/// Lines of a failed server's console that are shown.
const TAIL: u32 = 20;

impl Executor<'_> {
    pub(super) async fn create_keypair(
        &self,
        key: &Key,
        public_key: &str,
    ) -> Result<String, ActionError> {
        let name = self.mark(key).as_name();
        let new = NewKeypair {
            name: name.clone(),
            public_key: public_key.to_owned(),
        };
        let make = async || self.cloud.create::<Keypair>(&new).await;
        let find = async || match self.cloud.get::<Keypair>(&name).await {
            Ok(found) => Ok(Some(found)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        };
        let made = create_once(self.on_retry(key), || {}, make, find).await?;
        if !made.public_key.is_empty() && key_of(&made.public_key) != key_of(public_key) {
            return Err(format!("another key has the name {name}").into());
        }
        Ok(name)
    }

    pub(super) async fn create_server_group(
        &self,
        key: &Key,
        policy: &str,
    ) -> Result<String, ActionError> {
        let new = NewServerGroup {
            name: self.mark(key).as_name(),
            policy: policy.to_owned(),
        };
        let make = async || self.cloud.create::<ServerGroup>(&new).await;
        let known = |g: &ServerGroup| self.inventory.server_groups.iter().any(|k| k.id == g.id);
        let find = async || {
            let all: Vec<ServerGroup> = self.cloud.list(&[]).await?;
            Ok(all.into_iter().find(|g| g.name == new.name && !known(g)))
        };
        Ok(
            create_once(self.on_retry(key), self.on_unknown_outcome(), make, find)
                .await?
                .id,
        )
    }

    pub(super) async fn create_volume(&self, key: &Key) -> Result<String, ActionError> {
        let Spec::Volume {
            name,
            size,
            volume_type,
            image,
            availability_zone,
            ..
        } = self.spec(key)?
        else {
            return Err(format!("{key} is no volume").into());
        };
        let mut metadata = BTreeMap::from([(MARK_METADATA.to_owned(), self.mark(key).to_string())]);
        metadata.extend(image.as_ref().map(|i| (IMAGE.to_owned(), i.clone())));
        metadata.extend(self.asked(key, &[("type", TYPE), ("availability zone", ZONE)]));
        let new = NewVolume {
            name: name.clone(),
            size: size.0,
            volume_type: volume_type.clone(),
            image: image.as_ref().map(|i| self.image(i)).transpose()?,
            metadata,
            availability_zone: availability_zone.clone(),
            ..NewVolume::default()
        };
        let mark = Some(self.mark(key));
        let make = async || self.cloud.create::<Volume>(&new).await;
        let known = |v: &Volume| self.inventory.volumes.iter().any(|k| k.id == v.id);
        let find = async || {
            let named: Vec<Volume> = self.cloud.list(&[("name", name)]).await?;
            Ok(named
                .into_iter()
                .find(|v| Mark::from_metadata(&v.metadata) == mark && !known(v)))
        };
        Ok(
            create_once(self.on_retry(key), self.on_unknown_outcome(), make, find)
                .await?
                .id,
        )
    }

    fn image(&self, text: &str) -> Result<String, ActionError> {
        self.choices
            .images
            .get(text)
            .cloned()
            .ok_or_else(|| format!("no image {text}").into())
    }

    pub(super) async fn create_server(
        &self,
        key: &Key,
        server: &ServerSpec,
    ) -> Result<String, ActionError> {
        let ports = server
            .ports
            .iter()
            .map(|p| self.id(p).map(Nic::Port))
            .collect::<Result<Vec<_>, _>>()?;
        let boot = server.boot.as_ref().map(|b| self.id(b)).transpose()?;
        let flavor = self.choices.flavors.get(&server.flavor).cloned();
        let key_name = match &server.key {
            // One of an older version has another name.
            Some(Ref::Own(pair)) => Some(self.id(pair)?),
            Some(Ref::Cloud(_, name)) => Some(name.clone()),
            None => None,
        };
        let image = server
            .image
            .as_ref()
            .filter(|_| boot.is_none())
            .map(|i| self.image(i))
            .transpose()?;
        let disk = match &server.host {
            Some(host) => self.free_disk(key, host).await?,
            None => None,
        };
        // The server before may have let go of it just now.
        if let Some(key_boot) = &server.boot {
            self.free(key, key_boot).await?;
        }
        let mut devices: Vec<BlockDevice> = boot.into_iter().map(boot_device).collect();
        // Where there is any, Nova wants to hear of the disk from the image, too.
        devices.extend(image.clone().filter(|_| disk.is_some()).map(image_device));
        devices.extend(disk.map(data_device));
        let new = NewServer {
            name: key.name.clone(),
            flavor: flavor.ok_or_else(|| format!("no flavor {}", server.flavor))?,
            image: image.unwrap_or_default(),
            networks: if ports.is_empty() {
                Nics::None
            } else {
                Nics::List(ports)
            },
            key_name,
            user_data: self.boot_data(key, server).await?.as_deref().map(user_data),
            metadata: self.metadata(key, server),
            availability_zone: server.availability_zone.clone(),
            config_drive: server.config_drive,
            block_device_mapping_v2: devices,
            tags: server.tags.clone(),
            ..NewServer::default()
        };
        let mut body = json!({"server": new});
        if let Some(group) = &server.group {
            body["os:scheduler_hints"] = json!({"group": self.refer(group)?});
        }
        let make = async || {
            let call = self
                .cloud
                .call(Method::POST, Service::Compute, "/servers")
                .on("server", &key.name);
            let made: Value = call
                .microversion(Server::KIND.microversion)
                .json(&body)
                .read()
                .await?;
            Ok(made["server"]["id"].as_str().unwrap_or_default().to_owned())
        };
        let find = async || Ok(self.new_servers(key).await?.pop().map(|s| s.id));
        Ok(create_once(self.on_retry(key), self.on_unknown_outcome(), make, find).await?)
    }

    /// Servers with a key's mark that were not there when this run looked.
    async fn new_servers(&self, key: &Key) -> stackyard_openstack::Result<Vec<Server>> {
        let mark = Some(self.mark(key));
        let known = |s: &Server| self.inventory.servers.iter().any(|k| k.id == s.id);
        let name = format!("^{}$", key.name.replace('.', "\\."));
        let named: Vec<Server> = self.cloud.list(&[("name", &name)]).await?;
        Ok(named
            .into_iter()
            .filter(|s| Mark::from_metadata(&s.metadata) == mark && !known(s))
            .collect())
    }

    /// What stands in for a server of ours that came to nothing because a killed run had asked for it, too, and
    /// was heard only after this run had looked: both are given the same ports. The other one stays if it has
    /// them in the end. Nova frees a port with the server that it noted last, whoever else uses it: then both
    /// go, and it is made anew.
    async fn adopt_duplicate(&self, key: &Key, ours: &str) -> Option<String> {
        let others = self.new_servers(key).await.ok()?;
        let elder = others
            .into_iter()
            .find(|s| s.id != ours && s.status != "ERROR")?
            .id;
        self.delete_duplicate::<Server>(key, ours).await?;
        if self.active(key, &elder).await.is_ok() && self.has_ports(key, &elder).await? {
            self.on_retry(key)(format!(
                "a run that was killed has made it, too; that one stays ({elder})"
            ));
            return Some(elder);
        }
        self.on_retry(key)(
            "a run that was killed created it, too, and took its ports: recreated".to_owned(),
        );
        self.delete_duplicate::<Server>(key, &elder).await?;
        let Spec::Server(server) = self.spec(key).ok()? else {
            return None;
        };
        self.create_server(key, server).await.ok()
    }

    /// Removes one of two resources that have the same key, or one that failed, and waits until it is gone.
    async fn delete_duplicate<T: Resource>(&self, key: &Key, id: &str) -> Option<()> {
        delete_until_gone(self.on_retry(key), async || {
            self.cloud.delete::<T>(id).await
        })
        .await
        .ok()?;
        self.retry_action(key, async || self.cloud.wait_gone::<T>(id, LEAVE).await)
            .await
            .ok()
    }

    /// Whether Neutron says of all ports of a server that it has them.
    async fn has_ports(&self, key: &Key, id: &str) -> Option<bool> {
        let Spec::Server(server) = self.spec(key).ok()? else {
            return None;
        };
        for port in &server.ports {
            let port = self.id(port).ok()?;
            let now = retry(self.on_retry(key), async || {
                self.cloud.get::<Port>(&port).await
            })
            .await
            .ok()?;
            if now.device_id != id {
                return Some(false);
            }
        }
        Some(true)
    }

    async fn active(&self, key: &Key, id: &str) -> stackyard_openstack::Result<()> {
        let wait = async || self.cloud.wait_for::<Server>(id, &["ACTIVE"], BOOT).await;
        retry(self.on_retry(key), wait).await.map(drop)
    }

    fn metadata(&self, key: &Key, server: &ServerSpec) -> BTreeMap<String, String> {
        let mut metadata = server.metadata.clone();
        metadata.insert(MARK_METADATA.to_owned(), self.mark(key).to_string());
        metadata.insert(FLAVOR.to_owned(), server.flavor.clone());
        metadata.extend(server.image.as_ref().map(|i| (IMAGE.to_owned(), i.clone())));
        if !server.digest.is_empty() {
            metadata.insert(USER_DATA.to_owned(), server.digest.clone());
        }
        metadata.extend(self.asked(
            key,
            &[("availability zone", ZONE), ("config drive", CONFIG_DRIVE)],
        ));
        metadata.extend(server.host.iter().flat_map(|host| self.host_metadata(host)));
        metadata
    }

    /// Metadata that keeps what the manifest asks of these fields.
    fn asked(&self, key: &Key, of: &[(&'static str, &'static str)]) -> BTreeMap<String, String> {
        self.intended
            .get(key)
            .map(|r| record(&r.fields, of).collect())
            .unwrap_or_default()
    }

    pub(super) async fn change_server(&self, step: &Step, id: &str) -> Result<(), ActionError> {
        let key = &step.key;
        let Spec::Server(server) = self.spec(key)? else {
            return Err(format!("{key} is no server").into());
        };
        let put = async |what: &str, body: Value| {
            let action = async || {
                let call = self.cloud.call(
                    Method::PUT,
                    Service::Compute,
                    format!("/servers/{id}/{what}"),
                );
                call.on("server", &key.name)
                    .microversion(Server::KIND.microversion)
                    .json(&body)
                    .done()
                    .await
            };
            self.retry_action(key, action).await
        };
        if step
            .changes
            .iter()
            .any(|c| matches!(c.field, "metadata" | OLDER_MARK))
        {
            let mut metadata = self.metadata(key, server);
            // How it joined is not in the manifest, and what was asked when it was made may be there no more.
            let now = self.inventory.servers.iter().find(|s| s.id == id);
            let kept = now
                .into_iter()
                .flat_map(|s| &s.metadata)
                .filter(|(k, _)| *k == JOINED || ASKED.contains(&k.as_str()));
            metadata.extend(kept.map(|(k, v)| (k.clone(), v.clone())));
            put("metadata", json!({"metadata": metadata})).await?;
        }
        if step.changes.iter().any(|c| c.field == "tags") {
            put("tags", json!({"tags": server.tags})).await?;
        }
        if self
            .inventory
            .servers
            .iter()
            .any(|s| s.id == id && s.status == "SHUTOFF")
        {
            self.retry_action(key, async || match self.cloud.start_server(id).await {
                // It is starting already.
                Err(e) if e.is_conflict() => Ok(()),
                other => other,
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn change_volume(&self, step: &Step, id: &str) -> Result<(), ActionError> {
        let key = &step.key;
        let Spec::Volume { size, .. } = self.spec(key)? else {
            return Err(format!("{key} is no volume").into());
        };
        if step.changes.iter().any(|c| c.field == OLDER_MARK) {
            let body = json!({"metadata": {MARK_METADATA: self.mark(key).to_string()}});
            let action = async || {
                let call = self.cloud.call(
                    Method::POST,
                    Service::Volume,
                    format!("/volumes/{id}/metadata"),
                );
                call.on("volume", &key.name).json(&body).done().await
            };
            self.retry_action(key, action).await?;
        }
        if step.changes.iter().all(|c| c.field == OLDER_MARK) {
            return Ok(());
        }
        let grown = async || self.cloud.get::<Volume>(id).await.map(|v| v.size >= size.0);
        let extend = async || {
            if grown().await? {
                Ok(())
            } else {
                self.cloud.extend_volume(id, size.0).await
            }
        };
        self.retry_action(key, extend).await?;
        let wait = async || {
            let fits = |v: &Volume| v.size >= size.0 && v.status != "extending";
            self.cloud
                .wait_until::<Volume>(id, "larger", LEAVE, fits)
                .await
                .map(drop)
        };
        let grown = self.retry_action(key, wait).await;
        let hint = if self.is_of_host(key) {
            GROW_OF_HOST
        } else {
            GROW
        };
        grown.map_err(|trouble| ActionError {
            hint: trouble.hint.or_else(|| Some(hint.to_owned())),
            ..trouble
        })
    }

    pub(super) async fn attach(
        &self,
        key: &Key,
        server: &Key,
        volume: &Ref,
    ) -> Result<String, ActionError> {
        let key_server = server;
        let (server, volume) = (self.id(server)?, self.refer(volume)?);
        let make = async || self.cloud.attach_volume(&server, &volume).await;
        let find = async || {
            let now: Volume = self.cloud.get(&volume).await?;
            Ok(now
                .attachments
                .iter()
                .any(|a| a.server_id == server)
                .then_some(()))
        };
        // A host's volume was attached as its server was made.
        let attached = self.is_host(key_server) && find().await?.is_some();
        let made = async || {
            if attached {
                Ok(())
            } else {
                create_once(self.on_retry(key), || {}, make, find).await
            }
        };
        match made().await {
            // Said of a second try, too.
            Err(e) if e.status() == Some(400) && find().await?.is_some() => {}
            other => other?,
        }
        let wait = async || {
            let fits = |v: &Volume| {
                v.status == "in-use" && v.attachments.iter().any(|a| a.server_id == server)
            };
            self.cloud
                .wait_until::<Volume>(&volume, "attached", LEAVE, fits)
                .await
                .map(drop)
        };
        self.retry_action(key, wait).await?;
        Ok(volume)
    }

    pub(super) async fn detach(&self, step: &Step, volume: &str) -> Result<(), ActionError> {
        let (server, _) = step.key.name.split_once(':').unwrap_or_default();
        let server = self.id(&Key::new(Kind::Server, server))?;
        delete_until_gone(self.on_retry(&step.key), async || {
            self.cloud.detach_volume(&server, volume).await
        })
        .await?;
        let wait = async || {
            let fits = |v: &Volume| !v.attachments.iter().any(|a| a.server_id == server);
            match self
                .cloud
                .wait_until::<Volume>(volume, "detached", LEAVE, fits)
                .await
            {
                Err(e) if e.is_not_found() => Ok(()),
                other => other.map(drop),
            }
        };
        self.retry_action(&step.key, wait).await
    }

    /// Waits until what was made can be used.
    pub(crate) async fn wait_ready(&self, key: &Key) -> Result<(), ActionError> {
        match key.kind {
            Kind::Server => {
                let id = self.id(key)?;
                let Err(error) = self.active(key, &id).await else {
                    return Ok(());
                };
                let Some(other) = self.adopt_duplicate(key, &id).await else {
                    return Err(self.explain(&id, error).await);
                };
                self.note_id(key, other.clone());
                match self.active(key, &other).await {
                    Ok(()) => Ok(()),
                    Err(e) => Err(self.explain(&other, e).await),
                }
            }
            Kind::Volume => {
                let id = self.id(key)?;
                let ready = ["available", "in-use", "attaching", "detaching"];
                let wait = async || {
                    self.cloud
                        .wait_for::<Volume>(&id, &ready, FILL)
                        .await
                        .map(drop)
                };
                match self.retry_action(key, wait).await {
                    Ok(()) => Ok(()),
                    Err(trouble) => Err(self.take_back(key, &id, trouble).await),
                }
            }
            Kind::LoadBalancer => self.settle_load_balancer(key, &self.id(key)?).await,
            _ => Ok(()),
        }
    }

    /// Removes a volume of this run that came to nothing: there is no data on it yet, which the next run
    /// could not know.
    async fn take_back(&self, key: &Key, id: &str, trouble: ActionError) -> ActionError {
        let failed = async || Ok(self.cloud.get::<Volume>(id).await?.status == "error");
        let ours = self.inventory.volumes.iter().all(|v| v.id != id);
        if !ours || !self.retry_action(key, failed).await.unwrap_or(false) {
            return trouble;
        }
        let ActionError { mut message, hint } = trouble;
        message += match self.delete_duplicate::<Volume>(key, id).await {
            Some(()) => "; it is removed again, and the next `up` creates it",
            None => "; it could not be removed again",
        };
        ActionError { message, hint }
    }

    /// Whether a volume is a host's own.
    fn is_of_host(&self, volume: &Key) -> bool {
        let disk = |spec: &Spec| match spec {
            Spec::Server(s) => s
                .host
                .as_ref()
                .and_then(|h| h.disk.as_ref())
                .is_some_and(|d| d.volume == *volume),
            _ => false,
        };
        self.intended.values().any(|r| disk(&r.spec))
    }

    fn is_host(&self, server: &Key) -> bool {
        matches!(self.spec(server), Ok(Spec::Server(s)) if s.host.is_some())
    }

    /// A server's failure with the end of its console.
    async fn explain(&self, id: &str, error: Error) -> ActionError {
        self.with_console(id, ActionError::from(error)).await
    }

    /// Adds the end of a server's console.
    pub(crate) async fn with_console(&self, id: &str, mut trouble: ActionError) -> ActionError {
        if let Ok(console) = self.cloud.console(id, Some(TAIL)).await
            && !console.trim().is_empty()
        {
            trouble.message += "\nthe end of its console:";
            console
                .trim_end()
                .lines()
                .for_each(|line| trouble.message += &format!("\n  | {line}"));
        }
        trouble
    }

    /// Waits until what was removed is gone.
    pub(crate) async fn wait_deleted(&self, step: &Step) -> Result<(), ActionError> {
        let Some(id) = step.id.as_deref() else {
            return Ok(());
        };
        match step.key.kind {
            Kind::Server => {
                self.retry_action(&step.key, async || {
                    self.cloud.wait_gone::<Server>(id, LEAVE).await
                })
                .await
            }
            Kind::Volume => {
                self.retry_action(&step.key, async || {
                    self.cloud.wait_gone::<Volume>(id, LEAVE).await
                })
                .await
            }
            Kind::LoadBalancer => self.load_balancer_gone(&step.key, id).await,
            _ => Ok(()),
        }
    }
}

/// The disk that Nova fills from the image.
fn image_device(image: String) -> BlockDevice {
    BlockDevice {
        boot_index: "0".to_owned(),
        source_type: "image".to_owned(),
        destination_type: "local".to_owned(),
        uuid: Some(image),
        delete_on_termination: Some(true),
        ..BlockDevice::default()
    }
}

/// A volume that is there as soon as the server boots.
fn data_device(volume: String) -> BlockDevice {
    BlockDevice {
        boot_index: "-1".to_owned(),
        ..boot_device(volume)
    }
}

fn boot_device(volume: String) -> BlockDevice {
    BlockDevice {
        boot_index: "0".to_owned(),
        source_type: "volume".to_owned(),
        destination_type: "volume".to_owned(),
        uuid: Some(volume),
        delete_on_termination: Some(false),
        ..BlockDevice::default()
    }
}
