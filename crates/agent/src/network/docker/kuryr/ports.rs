//! Ports as kuryr marks and finds them.

use crate::network::kuryr_names::{DEVICE_OWNER, EXISTING_PORT};
use crate::network::ledger::Endpoint;
use crate::network::port_manager::PortManager;
use crate::network::ports::PortSpec;
use crate::network::{Error, kuryr_names};
use serde_json::json;
use stackyard_openstack::{FixedIp, Port, PortChange};

impl PortManager {
    /// An endpoint: the ledger's, or the port with its tags (`controllers.py`, `_get_ports_by_identifier`).
    pub(crate) async fn endpoint_of(&self, network: &str, id: &str) -> Result<Option<Endpoint>, Error> {
        if let Some(known) = self.ledger.endpoints.get(id) {
            return Ok(Some(known));
        }
        if !self.kuryr {
            return Ok(None);
        }
        let doing = || Error::cloud(format!("looking up kuryr's port of endpoint {id}"));
        let tags = kuryr_names::id_tags(id);
        let mut ports: Vec<Port> = self.cloud()?.list(&[("tags", &tags.join(","))]).await.map_err(doing())?;
        ports.retain(|p| kuryr_names::has_all(&p.tags, &tags));
        if ports.is_empty() {
            // Of two IP versions kuryr makes a port without tags (`_create_port`).
            ports = self.cloud()?.list(&[("device_id", id), ("device_owner", DEVICE_OWNER)]).await.map_err(doing())?;
            ports.retain(|p| p.device_id == id);
        }
        let Some(port) = ports.into_iter().next() else { return Ok(None) };
        let found = self.endpoint(network, port, Default::default());
        self.ledger.endpoints.put(id, &found)?;
        self.say(format!("endpoint {id} is taken over from kuryr's tags"));
        Ok(Some(found))
    }

    /// The tags of a port that is made.
    pub(crate) fn port_tags(&self, key: &str) -> Vec<String> {
        let ids = if key.contains(':') { Vec::new() } else { kuryr_names::id_tags(key) };
        [DEVICE_OWNER.to_owned()].into_iter().chain(ids).collect()
    }

    /// Tags a port as an endpoint's, that was made before there was one.
    pub(crate) async fn tag_port(&self, id: &str, endpoint: &Endpoint) -> Result<(), Error> {
        let doing = || Error::cloud(format!("tagging port {}", endpoint.port));
        if !endpoint.adopted {
            return self.cloud()?.set_tags::<Port>(&endpoint.port, &self.port_tags(id)).await.map_err(doing());
        }
        for tag in kuryr_names::id_tags(id) {
            self.cloud()?.add_tag::<Port>(&endpoint.port, &tag).await.map_err(doing())?;
        }
        Ok(())
    }

    /// The port for an endpoint: made, or the one that has its address or its MAC address already, as Zun makes
    /// it (`ipam_request_address`, `_create_or_update_port`). One that is bound is not taken away from whoever
    /// has it.
    pub(crate) async fn port_for(&self, wanted: &PortSpec<'_>) -> Result<Endpoint, Error> {
        let refused = match self.make_port(wanted).await {
            Err(Error::Cloud { source, doing }) if self.kuryr && source.is_conflict() => Error::Cloud { source, doing },
            other => return other,
        };
        let query = [("network_id", wanted.network.neutron.as_str())];
        let all: Vec<Port> =
            self.cloud()?.list(&query).await.map_err(Error::cloud("looking for the port with that address"))?;
        let request = |ip: &FixedIp| wanted.ips.iter().any(|w| w.ip_address.is_some() && *w == *ip);
        let found = all.iter().find(|p| p.fixed_ips.iter().any(request));
        let found = found.or_else(|| all.iter().find(|p| Some(p.mac_address.as_str()) == wanted.mac));
        match found {
            Some(port) => self.adopt_kuryr_port(wanted, port.clone()).await,
            None => Err(refused),
        }
    }

    /// Binds an existing port (`port_driver/driver.py`, `update_port`).
    async fn adopt_kuryr_port(&self, wanted: &PortSpec<'_>, port: Port) -> Result<Endpoint, Error> {
        let bound = port.host.as_deref().unwrap_or_default();
        let is_free = bound.is_empty() && port.device_owner.is_empty();
        if !is_free && port.device_id != wanted.key {
            return Err(Error::request(format!(
                "port {} has that address, and is in use: by {} {} on host {bound:?}",
                port.id, port.device_owner, port.device_id
            )));
        }
        // An address of each subnet: Docker wants one of each IP version.
        let missing = wanted.ips.iter().filter(|w| port.fixed_ips.iter().all(|f| f.subnet_id != w.subnet_id));
        let missing: Vec<FixedIp> = missing.cloned().collect();
        let all = [port.fixed_ips.clone(), missing.clone()].concat();
        let keeps_device = !kuryr_names::is_dockers(&port.device_id);
        let change = PortChange {
            host: Some(self.host.clone()),
            device_owner: DEVICE_OWNER.to_owned(),
            device_id: if keeps_device { String::new() } else { wanted.key.to_owned() },
            mac_address: wanted.mac.filter(|m| *m != port.mac_address).map(str::to_owned),
            fixed_ips: if missing.is_empty() { Vec::new() } else { all },
            ..PortChange::default()
        };
        let doing = || Error::cloud(format!("taking port {}", port.id));
        // First: what is killed in between is found by it.
        self.cloud()?.add_tag::<Port>(&port.id, EXISTING_PORT).await.map_err(doing())?;
        let taken: Port = self.cloud()?.update(&port.id, &change).await.map_err(doing())?;
        let made = self.endpoint(wanted.network_id, taken, wanted.options.clone());
        let endpoint = Endpoint { adopted: true, keeps_device, ..made };
        if wanted.key.contains(':') {
            return Ok(endpoint);
        }
        match self.tag_port(wanted.key, &endpoint).await {
            Ok(()) => Ok(endpoint),
            Err(e) => self.return_port(wanted.key, &endpoint).await.and(Err(e)),
        }
    }

    /// Frees a port that was there before (`ipam_release_address`).
    pub(crate) async fn free_kuryr_port(&self, key: &str, endpoint: &Endpoint) -> Result<(), Error> {
        let doing = || Error::cloud(format!("giving back port {}", endpoint.port));
        let mut free = json!({"device_owner": "", "binding:host_id": ""});
        if !endpoint.keeps_device {
            free["device_id"] = "".into();
        }
        match self.cloud()?.update::<Port>(&endpoint.port, &free).await {
            Err(e) if e.is_not_found() => return Ok(()),
            other => drop(other.map_err(doing())?),
        }
        for tag in kuryr_names::id_tags(key).iter().map(String::as_str).chain([EXISTING_PORT]) {
            self.cloud()?.remove_tag::<Port>(&endpoint.port, tag).await.map_err(doing())?;
        }
        Ok(())
    }
}
