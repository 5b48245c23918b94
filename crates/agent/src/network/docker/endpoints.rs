//! Endpoints: a container's link to a network.

use crate::network::Error;
use crate::network::announce::PAUSES;
use crate::network::docker::protocol::{CreateEndpointRequest, EndpointRequest};
use crate::network::ledger::{Endpoint, Network, Subnet};
use crate::network::options::{EndpointOptions, exposed, internal, published};
use crate::network::port_manager::PortManager;
use crate::network::ports::PortSpec;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use stackyard_wire::binding::IPVLAN;
use stackyard_wire::namespace::Namespace;
use std::net::IpAddr;
use std::path::PathBuf;

/// Route type of Docker's that means: over a next hop.
const NEXT_HOP: u32 = 0;

impl PortManager {
    /// `CreateEndpoint`: the port, plugged.
    pub(crate) async fn create_endpoint(&self, request: CreateEndpointRequest) -> Result<Value, Error> {
        let _lock = self.locks.lock(&request.endpoint).await;
        let network = self.network(&request.network).await?;
        let mut endpoint = match self.endpoint_of(&request.network, &request.endpoint).await? {
            Some(known) => known,
            None => self.attach(&request, &network).await?,
        };
        // One of a pool is plugged already; Join looks.
        if !endpoint.unnamed
            && !self.end_plugging(&endpoint.port).await
            && let Err(e) = self.plug(&request.endpoint, &mut endpoint, network.mtu).await
        {
            return Err(self.undo(&request.endpoint, &endpoint, e).await);
        }
        Ok(json!({"Interface": interface(&request, &network, &endpoint)}))
    }

    /// Gets an endpoint its port and what else it wants.
    async fn attach(&self, request: &CreateEndpointRequest, network: &Network) -> Result<Endpoint, Error> {
        let mut options = EndpointOptions::read(&request.options)?.or(&network.defaults);
        self.check_link(&options)?;
        if self.broker().is_some() {
            options.check_for_yard()?;
        }
        if options.floating_ip.is_some() {
            if network.internal {
                return Err(internal("floating-ip"));
            }
            options.publish = published(&request.options)?;
            options.on_host = false;
        }
        // kuryr does nothing for `-p` (`network_driver_program_external_connectivity`).
        options.on_host &= !self.kuryr;
        if options.on_host {
            self.check_publishing(network).await?;
        }
        self.check_extras(&options).await?;
        let mut endpoint = self.port_of(request, network, options).await?;
        if let Err(e) = self.give_extras(&request.endpoint, &mut endpoint).await {
            return Err(self.undo(&request.endpoint, &endpoint, e).await);
        }
        Ok(endpoint)
    }

    /// Gets an endpoint its port, and writes it down.
    async fn port_of(
        &self,
        request: &CreateEndpointRequest,
        network: &Network,
        mut options: EndpointOptions,
    ) -> Result<Endpoint, Error> {
        if options.expose == Some(true) {
            if options.port.is_some() {
                return Err(Error::request("the options name `port` and `expose`: they exclude each other"));
            }
            let open = exposed(&request.options);
            match self.broker() {
                Some(_) => options.exposed = open,
                None => self.open_exposed(&request.network, network, &request.endpoint, &open, &mut options).await?,
            }
        }
        match self.port_with(request, network, options.clone()).await {
            Err(e) => Err(self.and_close(&options, e).await),
            made => made,
        }
    }

    async fn port_with(
        &self,
        request: &CreateEndpointRequest,
        network: &Network,
        options: EndpointOptions,
    ) -> Result<Endpoint, Error> {
        let _own;
        let mac = Some(request.interface.mac_address.as_str()).filter(|m| !m.is_empty());
        let v4 = one_of("ip", &request.interface.address, options.ip)?;
        let v6 = one_of("ip6", &request.interface.address_v6, options.ip6)?;
        // With `--mac-address`, Docker has not told it when it asked for addresses, but for kuryr.
        mac.into_iter().chain([request.network.as_str()]).for_each(|who| self.address_requests.forget(who));
        let before = self.made_for_address(&request.network, mac, [v4, v6]);
        let before_key = before.as_ref().map(|(key, _)| key.clone());
        let endpoint = match before.map(|(_, made)| made) {
            Some(mut made) if options.port.is_none() && mac.is_none_or(|m| m == made.mac) => {
                self.change_port(&mut made, options).await?;
                if self.kuryr {
                    self.tag_port(&request.endpoint, &made).await?;
                }
                made
            }
            other => {
                if let (Some(stale), Some(key)) = (other, &before_key) {
                    self.detach(key, &stale).await?;
                }
                let wanted = PortSpec {
                    network_id: &request.network,
                    network,
                    key: &request.endpoint,
                    mac,
                    ips: network.addresses(v4, v6)?,
                    options: &options,
                    before: None,
                    container_end: None,
                };
                let any = mac.is_none() && v4.is_none() && v6.is_none();
                let ready = match any {
                    true => self.take_spare(&request.network, network, Some(&request.endpoint), &options).await?,
                    false => None,
                };
                _own = ready.is_none().then(|| self.prefetch.make_own(&request.network));
                match (&options.port, ready) {
                    (_, Some(ready)) => ready,
                    (Some(port), None) if self.broker().is_none() => self.adopt_port(&wanted, port).await?,
                    (_, None) => self.port_for(&wanted).await?,
                }
            }
        };
        self.ledger.endpoints.put(&request.endpoint, &endpoint)?;
        if let Some(key) = before_key {
            self.ledger.endpoints.remove(&key)?;
            self.port_demand.changed.notify_one();
        }
        Ok(endpoint)
    }

    /// The port that was made when Docker asked for an endpoint's addresses: known by its MAC address, or by
    /// these addresses.
    fn made_for_address(
        &self,
        network: &str,
        mac: Option<&str>,
        addresses: [Option<IpAddr>; 2],
    ) -> Option<(String, Endpoint)> {
        let mut addresses = addresses.into_iter().flatten().peekable();
        addresses.peek()?;
        let addresses: Vec<IpAddr> = addresses.collect();
        let is_it = |key: &str, e: &Endpoint| {
            let waits = key.contains(':') && e.network == network;
            waits && (mac == Some(key) || addresses.iter().all(|a| e.has(*a)))
        };
        self.ledger.endpoints.all().into_iter().find(|(key, e)| is_it(key, e))
    }

    /// `Join`: how the container's end is called, and where its routes lead.
    pub(crate) async fn join(&self, request: &EndpointRequest) -> Result<Value, Error> {
        let endpoint = self.endpoint_of(&request.network, &request.endpoint).await?;
        let mut endpoint = endpoint.map_or_else(|| self.ledger.endpoints.need(&request.endpoint), Ok)?;
        let network = self.network(&endpoint.network).await?;
        match self.wiring.ready(&endpoint).await {
            Err(_) if endpoint.unnamed => {
                self.plug_links(&endpoint, network.mtu, None).await?;
                self.wiring.ready(&endpoint).await?;
            }
            done => done?,
        }
        let (_, container) = self.devices(&endpoint);
        let mut answer = json!({
            "InterfaceName": {"SrcName": container, "DstPrefix": "eth"},
            // A network without a way out has none: no other is to be added.
            "DisableGatewayService": true,
        });
        let subnets: Vec<&Subnet> = network.subnets.iter().filter(|s| endpoint.address_in(&s.id).is_some()).collect();
        for gateway in subnets.iter().filter_map(|s| s.gateway) {
            answer[if gateway.is_ipv4() { "Gateway" } else { "GatewayIPv6" }] = gateway.to_string().into();
        }
        let routes = subnets.iter().flat_map(|s| &s.routes);
        answer["StaticRoutes"] = routes
            .map(|(to, via)| json!({"Destination": to.to_string(), "RouteType": NEXT_HOP, "NextHop": via.to_string()}))
            .collect();
        if self.publishes_on_host(request, &mut endpoint).await? {
            self.publish_by_docker(&mut answer).await?;
            self.make_ways_out(&request.sandbox_key);
        }
        // In any other container, port 53 is for its own programs.
        if endpoint.options.resolver
            && let Some(announce) = &self.announce_sandbox
        {
            // One that is missed here is found when its container runs.
            let _ = announce.try_send(request.sandbox_key.clone());
        }
        let sandbox = PathBuf::from(&request.sandbox_key);
        self.announce(&endpoint, PAUSES, move |addresses| match Namespace::open(&sandbox) {
            Ok(namespace) if namespace.is_there().unwrap_or(false) => namespace.announce(addresses),
            // Docker makes it later, or its container has ended.
            _ => Ok(0),
        });
        Ok(answer)
    }

    /// `EndpointOperInfo`.
    pub(crate) fn describe_endpoint(&self, request: &EndpointRequest) -> Value {
        let port = self.ledger.endpoints.get(&request.endpoint).map(|e| e.port);
        json!({"Value": port.map(|p| json!({"dev.stackyard.port": p})).unwrap_or_else(|| json!({}))})
    }

    /// `DeleteEndpoint`.
    pub(crate) async fn delete_endpoint(&self, request: &EndpointRequest) -> Result<Value, Error> {
        let _lock = self.locks.lock(&request.endpoint).await;
        if let Some(endpoint) = self.endpoint_of(&request.network, &request.endpoint).await? {
            self.detach(&request.endpoint, &endpoint).await?;
        }
        Ok(json!({}))
    }
}

/// What Docker did not know of an endpoint; to repeat what it knows is an error to it.
fn interface(request: &CreateEndpointRequest, network: &Network, endpoint: &Endpoint) -> Value {
    let mut answer = Map::new();
    // An ipvlan has its parent's, and takes no other.
    if request.interface.mac_address.is_empty() && endpoint.vif.vif_type != IPVLAN {
        answer.insert("MacAddress".to_owned(), endpoint.mac.clone().into());
    }
    for subnet in &network.subnets {
        let Some(address) = endpoint.address_in(&subnet.id) else { continue };
        let (field, known) = match address {
            IpAddr::V4(_) => ("Address", &request.interface.address),
            IpAddr::V6(_) => ("AddressIPv6", &request.interface.address_v6),
        };
        if known.is_empty() && !answer.contains_key(field) {
            answer.insert(field.to_owned(), format!("{address}/{}", subnet.cidr.prefix_len()).into());
        }
    }
    Value::Object(answer)
}

/// The address that Docker has, or else the option's.
fn one_of(option: &str, known: &str, wanted: Option<IpAddr>) -> Result<Option<IpAddr>, Error> {
    if known.is_empty() {
        return Ok(wanted);
    }
    let net: IpNet =
        known.parse().map_err(|_| Error::request(format!("{known:?} is no address with prefix length")))?;
    match wanted {
        Some(other) if other != net.addr() => Err(Error::request(format!(
            "option `{option}` says {other}, but Docker has chosen {}; say --{option} instead",
            net.addr()
        ))),
        _ => Ok(Some(net.addr())),
    }
}
