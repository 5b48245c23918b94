//! Ports of containers on yards' hosts: agents ask over their tunnel, and a broker of [`stackyard_ports`] answers, with
//! the cloud of the host's yard.

use parking_lot::Mutex;
use stackyard_catalog::manifest;
use stackyard_core::agent::{Answer, Ask};
use stackyard_core::text::error_chain;
use stackyard_openstack::{Cloud, CloudConfig, Options, Sources};
use stackyard_ports::{HostPorts, YardHost};
use stackyard_store::{Host, Store};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How often to look for what hosts that are gone have left.
const SWEEP_EVERY: Duration = Duration::from_secs(120);

/// Why the cloud of a yard cannot be asked for ports.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server knows no cloud of the yard.
    #[error("the server has no manifest of yard {yard}, and so knows no cloud of it")]
    NoManifest {
        /// The yard.
        yard: String,
    },
    /// The server's own records.
    #[error(transparent)]
    Store(#[from] stackyard_store::Error),
    /// The manifest that the server keeps.
    #[error(transparent)]
    Manifest(#[from] stackyard_catalog::Problems),
    /// clouds.yaml, or the cloud.
    #[error(transparent)]
    Cloud(#[from] stackyard_openstack::Error),
    /// What hosts that are gone have left could not be removed.
    #[error(transparent)]
    Ports(#[from] stackyard_ports::Error),
}

/// Ports of containers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ports(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    sources: Sources,
    /// Clouds that were connected to, by what they were made from.
    clouds: Mutex<HashMap<String, Cloud>>,
    hosts: HostPorts,
    wake: Notify,
}

impl Ports {
    /// Ports on the clouds that are found in these places.
    pub fn new(store: Store, sources: Sources) -> Self {
        let (clouds, hosts, wake) = (Mutex::default(), HostPorts::default(), Notify::new());
        Self(Arc::new(Inner { store, sources, clouds, hosts, wake }))
    }

    /// Has the leftovers of removed hosts looked for soon.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Answers a host.
    pub(crate) async fn answer(&self, host: &Host, ask: Ask) -> Answer {
        let cloud = match self.cloud(&host.yard).await {
            Ok(Some(cloud)) => cloud,
            // Machines of a yard that is no cloud's have none, and ask now and then.
            Ok(None) if ask == Ask::Ports => return Answer::Ports { ports: Vec::new() },
            Ok(None) => return refuse(&Error::NoManifest { yard: host.yard.clone() }),
            Err(e) => return refuse(&e),
        };
        stackyard_ports::answer(&self.0.hosts.broker(cloud, yard_host(host)), ask).await
    }

    /// The cloud of a yard, if the server has a manifest of it.
    pub(crate) async fn cloud(&self, yard: &str) -> Result<Option<Cloud>, Error> {
        let Some(row) = self.0.store.yard(yard).await? else { return Ok(None) };
        let summary = manifest::gist("the yard's manifest", &row.manifest)?;
        self.connect(summary.cloud.as_deref()).await.map(Some)
    }

    /// Whether the cloud of a yard has trunks.
    pub(crate) async fn has_trunks(&self, yard: &str) -> Result<bool, Error> {
        let Some(cloud) = self.cloud(yard).await? else { return Err(Error::NoManifest { yard: yard.to_owned() }) };
        Ok(self.0.hosts.has_trunks(&cloud).await?)
    }

    /// Reads clouds.yaml for each call, since `cloud up` and users change it.
    async fn connect(&self, name: Option<&str>) -> Result<Cloud, Error> {
        let config = CloudConfig::load_from(name, &self.0.sources)?;
        let key = format!("{config:?}");
        if let Some(known) = self.0.clouds.lock().get(&key) {
            return Ok(known.clone());
        }
        let cloud = Cloud::connect(config, Options::default()).await?;
        self.0.clouds.lock().insert(key, cloud.clone());
        Ok(cloud)
    }

    /// Sweeps now and then, for ever.
    pub(crate) async fn keep(&self) {
        let mut before = String::new();
        loop {
            let _ = tokio::time::timeout(SWEEP_EVERY, self.0.wake.notified()).await;
            let failed = self.sweep().await.err().unwrap_or_default();
            if !failed.is_empty() && failed != before {
                tracing::warn!("ports of containers whose hosts are gone: {failed}");
            }
            before = failed;
        }
    }

    /// Sweeps the clouds of all yards; what went wrong, cloud by cloud.
    async fn sweep(&self) -> Result<(), String> {
        self.0.hosts.forget();
        let clouds = self.yards_by_cloud().await.map_err(|e| error_chain(&e))?;
        let mut failed = Vec::new();
        for (name, yards) in clouds {
            if let Err(e) = self.sweep_cloud(name.as_deref(), &yards).await {
                failed.push(error_chain(&e));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    /// Yards with pools of hosts, by the name of their cloud.
    async fn yards_by_cloud(&self) -> Result<BTreeMap<Option<String>, BTreeSet<String>>, Error> {
        let mut clouds: BTreeMap<Option<String>, BTreeSet<String>> = BTreeMap::new();
        for yard in self.0.store.yards().await? {
            if let Ok(summary) = manifest::gist("a yard's manifest", &yard.manifest)
                && summary.has_pools
            {
                clouds.entry(summary.cloud).or_default().insert(yard.name);
            }
        }
        Ok(clouds)
    }

    async fn sweep_cloud(&self, name: Option<&str>, yards: &BTreeSet<String>) -> Result<(), Error> {
        let cloud = self.connect(name).await?;
        let hosts = async || {
            let hosts = self.0.store.hosts(None, None).await?;
            Ok::<_, Error>(hosts.iter().map(yard_host).collect::<Vec<_>>())
        };
        self.0.hosts.sweep(&cloud, yards, hosts).await
    }
}

/// A host as the brokers of ports know it.
pub(crate) fn yard_host(host: &Host) -> YardHost {
    YardHost {
        id: host.id.clone(),
        name: host.name.clone(),
        yard: host.yard.clone(),
        pool: host.pool.clone(),
        server_id: host.facts.server_id.clone(),
    }
}

fn refuse(error: &Error) -> Answer {
    Answer::Refused { why: error_chain(error) }
}
