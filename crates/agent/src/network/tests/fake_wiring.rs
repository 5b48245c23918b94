//! A host of paper: what is plugged is only noted down.

use crate::network::Error;
use crate::network::ledger::Endpoint;
use crate::network::wiring::{ContainerEnd, KeepWaysOut, NamespaceSetup, PreparedLink, Wiring};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ipnet::Ipv4Net;
use serde_json::Value;
use stackyard_core::agent::PortLink;
use stackyard_wire::binding::{self, Found, Naming, Vif};
use stackyard_wire::{Ovsdb, Remote, Switch};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

/// A host without a switch: links by name, with the port that each is for. What Neutron could not bind is
/// refused by the real factory of drivers.
#[derive(Clone, Default)]
pub(crate) struct FakeWiring(
    pub(crate) Arc<Mutex<BTreeMap<String, String>>>,
    Arc<Mutex<Vec<u16>>>,
    Arc<Mutex<Vec<String>>>,
);

impl FakeWiring {
    /// These VLAN ids are in use, and no others.
    pub(crate) fn occupy(&self, ids: &[u16]) {
        *self.1.lock().unwrap() = ids.to_vec();
    }

    /// The names of containers' ends that were made where they belong.
    pub(crate) fn container_ends(&self) -> Vec<String> {
        self.2.lock().unwrap().clone()
    }

    fn set(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let id =
            endpoint.vif.details.get(binding::VLAN_ID).and_then(Value::as_u64).and_then(|id| u16::try_from(id).ok());
        if let Some(id) = id.filter(|id| self.1.lock().unwrap().contains(id)) {
            let (parent, holder) = ("eth0".to_owned(), "another".to_owned());
            return Err(Error::wire("plug")(stackyard_wire::Error::VlanTaken { id, parent, holder }));
        }
        binding::driver(&endpoint.vif, Some(&Switch::new(Ovsdb::new(Remote::default()))))
            .map_err(Error::wire("plug"))?;
        self.0.lock().unwrap().insert(device(endpoint), endpoint.port.clone());
        Ok(())
    }
}

impl Wiring for FakeWiring {
    fn plug(
        &self,
        endpoint: &Endpoint,
        _: u32,
        container_end: Option<&Arc<ContainerEnd>>,
        prepared: Option<PreparedLink>,
    ) -> BoxFuture<'static, Result<(), Error>> {
        if let Some(prepared) = prepared {
            assert_eq!(self.0.lock().unwrap().remove(&prepared.link).as_deref(), Some(""));
        }
        self.2.lock().unwrap().extend(container_end.map(|h| h.name.clone()));
        let done = self.set(endpoint);
        async { done }.boxed()
    }
    fn prepare(
        &self,
        vif: &Vif,
        _: u32,
        _: Option<&Arc<ContainerEnd>>,
    ) -> BoxFuture<'_, Result<Option<PreparedLink>, Error>> {
        let prepared = PreparedLink::new(vif);
        self.0.lock().unwrap().insert(prepared.link.clone(), String::new());
        async { Ok(Some(prepared)) }.boxed()
    }
    fn discard(&self, prepared: PreparedLink) -> BoxFuture<'_, Result<(), Error>> {
        assert_eq!(self.0.lock().unwrap().remove(&prepared.link).as_deref(), Some(""));
        async { Ok(()) }.boxed()
    }
    fn rewire(&self, endpoint: &Endpoint, _: u32) -> BoxFuture<'_, Result<bool, Error>> {
        let mut endpoint = endpoint.clone();
        if endpoint.vif.is_known_by_name() {
            self.0.lock().unwrap().remove(&device(&endpoint));
            endpoint.link.clone_from(&endpoint.port);
        }
        let done = self.set(&endpoint).map(|()| true);
        async { done }.boxed()
    }
    fn ready(&self, endpoint: &Endpoint) -> BoxFuture<'_, Result<(), Error>> {
        assert_eq!(self.0.lock().unwrap().get(&device(endpoint)), Some(&endpoint.port));
        async { Ok(()) }.boxed()
    }
    fn unplug(&self, endpoint: &Endpoint) -> BoxFuture<'_, Result<(), Error>> {
        self.0.lock().unwrap().remove(&device(endpoint));
        async { Ok(()) }.boxed()
    }
    fn plugged(&self) -> BoxFuture<'_, Result<Vec<Found>, Error>> {
        let all = self.0.lock().unwrap().clone();
        let found = all
            .into_iter()
            .map(|(device, port)| Found { device, port: Some(port).filter(|p| !p.is_empty()) })
            .collect();
        async { Ok(found) }.boxed()
    }
    fn links(&self) -> BoxFuture<'_, Result<HashSet<String>, Error>> {
        let names = self.0.lock().unwrap().keys().cloned().collect();
        async { Ok(names) }.boxed()
    }
    fn answers(&self) -> BoxFuture<'_, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }
    fn kinds(&self) -> BoxFuture<'_, Result<Vec<PortLink>, Error>> {
        async { Ok(PortLink::ALL.to_vec()) }.boxed()
    }
    fn remove(&self, found: &Found) -> BoxFuture<'_, Result<(), Error>> {
        self.0.lock().unwrap().remove(&found.device);
        async { Ok(()) }.boxed()
    }
    fn publisher(&self) -> BoxFuture<'_, Result<Vec<Ipv4Net>, Error>> {
        async { Ok(vec!["172.18.0.0/16".parse().unwrap()]) }.boxed()
    }
    fn keep_publisher(&self, _: bool) -> BoxFuture<'_, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }
    fn keep_ways_out(&self) -> KeepWaysOut {
        Arc::new(|_, _| async { Ok(NamespaceSetup::Whole) }.boxed())
    }
}

/// The host's end of an endpoint's link.
pub(crate) fn device(endpoint: &Endpoint) -> String {
    Naming::Stackyard.devices(&endpoint.vif, &endpoint.link).0
}
