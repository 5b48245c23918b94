//! Load balancers: one resource with all its listeners, pools, members and health monitors, as it
//! is made by one request. Its parts have no life of their own and are compared as fields.

use super::super::manifest::{self, HealthMonitor, Listener, LoadBalancer, Member, MonitorType};
use super::super::observed::{Fields, Value};
use super::{Key, Kind, Maker, Need, Ref, Spec};
use std::net::IpAddr;

/// What it takes to make a load balancer.
#[derive(Debug, Clone)]
pub struct LoadBalancerSpec {
    /// The network of its address.
    pub network: Ref,
    /// The subnet of its address, if it is known.
    pub subnet: Option<Ref>,
    /// Its address, if said.
    pub address: Option<IpAddr>,
    /// Octavia's provider, if said.
    pub provider: Option<String>,
    /// What it listens on, each with a pool of its own.
    pub listeners: Vec<ListenerSpec>,
}

/// A listener with its pool.
#[derive(Debug, Clone)]
pub struct ListenerSpec {
    /// Octavia's word.
    pub protocol: &'static str,
    /// Port.
    pub port: u16,
    /// Octavia's word, if said.
    pub algorithm: Option<&'static str>,
    /// Who answers.
    pub members: Vec<MemberSpec>,
    /// How they are watched.
    pub health: Option<HealthSpec>,
}

/// A member of a pool.
#[derive(Debug, Clone)]
pub struct MemberSpec {
    /// The port that has its address.
    pub port: Key,
    /// Where it listens.
    pub number: u16,
    /// How much it takes.
    pub weight: u8,
}

/// A health monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSpec {
    /// Octavia's word.
    pub monitor_type: String,
    /// Seconds between two tries.
    pub delay: u64,
    /// Seconds until a try has failed.
    pub timeout: u64,
    /// Tries.
    pub retries: u64,
    /// For HTTP.
    pub path: Option<String>,
}

impl ListenerSpec {
    /// Name of listener, pool and health monitor, unique within the balancer: `tcp-80`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.protocol.to_ascii_lowercase(), self.port)
    }

    /// For people and for comparing: `tcp 80`.
    pub fn label(&self) -> String {
        listener_label(self.protocol, self.port)
    }
}

/// A listener for people and for comparing: `tcp 80`.
pub fn listener_label(protocol: &str, port: u16) -> String {
    format!("{} {port}", protocol.to_ascii_lowercase())
}

/// A member for people and for comparing: `tcp 80: web-1/front:8080`; `at` is its port's name or
/// an address.
pub fn member_label(listener: &str, at: &str, number: u16, weight: u8) -> String {
    let weight = if weight == 1 { String::new() } else { format!(" (weight {weight})") };
    format!("{listener}: {at}:{number}{weight}")
}

/// A pool's algorithm for people and for comparing: `tcp 80: round-robin`.
pub fn algorithm_label(listener: &str, word: &str) -> String {
    format!("{listener}: {}", word.to_ascii_lowercase().replace('_', "-"))
}

/// A health monitor for people and for comparing: `tcp 80: tcp every 5 s, timeout 3 s, 3 tries`.
pub fn health_label(listener: &str, health: &HealthSpec) -> String {
    let HealthSpec { monitor_type, delay, timeout, retries, path } = health;
    let path = path.as_ref().map(|p| format!(" of {p}")).unwrap_or_default();
    let kind = monitor_type.to_ascii_lowercase();
    format!("{listener}: {kind}{path} every {delay} s, timeout {timeout} s, {retries} tries")
}

impl Maker<'_> {
    pub(super) fn load_balancers(&mut self) {
        let spec = self.spec;
        for (i, balancer) in spec.load_balancers.iter().enumerate() {
            let path = format!("spec.loadBalancers[{i}]");
            self.name(&path, &balancer.name);
            self.load_balancer(&path, balancer);
        }
    }

    fn load_balancer(&mut self, path: &str, balancer: &LoadBalancer) {
        let key = Key::new(Kind::LoadBalancer, &balancer.name);
        let Some(on) = self.balanced_network(path, balancer) else { return };
        let network = self.refer(Kind::Network, &on);
        let subnet = match &balancer.subnet {
            Some(text) => {
                let own = self.refer(Kind::Subnet, &format!("{on}/{text}"));
                Some(if matches!(own, Ref::Own(_)) { own } else { self.refer(Kind::Subnet, text) })
            }
            None => self.first_subnet(&on, balancer.address).map(Ref::Own),
        };
        let mut needs: Vec<Need> = Need::of(&network, true).into_iter().collect();
        needs.extend(subnet.as_ref().and_then(|s| Need::of(s, true)));
        needs.extend(self.feet(&on).into_iter().map(Need::before));
        self.address_fits(&format!("{path}.address"), &on, balancer.address);

        if balancer.listeners.is_empty() {
            self.trouble(format!("{path}.listeners"), "there is none", Some("add `{port: 80, servers: [NAME]}`"));
        }
        let mut listeners: Vec<ListenerSpec> = Vec::new();
        for (j, listener) in balancer.listeners.iter().enumerate() {
            let path = format!("{path}.listeners[{j}]");
            let spec = self.listener(&path, listener, &on);
            if listeners.iter().any(|l| l.name() == spec.name()) {
                self.trouble(&path, format!("there are two listeners on {}", spec.label()), None);
            }
            needs.extend(spec.members.iter().map(|m| Need::before(m.port.clone())));
            listeners.push(spec);
        }
        let mut keys = std::collections::HashSet::new();
        needs.retain(|n| keys.insert(n.key.clone()));

        let mut fields = fields(&listeners);
        fields.insert("network", network.text().into());
        if let (Some(_), Some(subnet)) = (&balancer.subnet, &subnet) {
            fields.insert("subnet", subnet.text().into());
        }
        fields.extend(balancer.address.map(|a| ("address", a.into())));
        fields.extend(balancer.provider.as_ref().map(|p| ("provider", p.into())));
        let (address, provider) = (balancer.address, balancer.provider.clone());
        let spec = LoadBalancerSpec { network, subnet, address, provider, listeners };
        self.add(path, key, Spec::LoadBalancer(Box::new(spec)), fields, needs);
    }

    fn balanced_network(&mut self, path: &str, balancer: &LoadBalancer) -> Option<String> {
        match (&balancer.network, self.spec.networks.as_slice()) {
            (Some(network), _) => Some(network.clone()),
            (None, [only]) => Some(only.name.clone()),
            (None, _) => {
                let message = format!("load balancer `{}` names no network", balancer.name);
                self.trouble(path, message, Some("add `network: NAME`"));
                None
            }
        }
    }

    /// The subnet of a network of the yard that a balancer gets: the one with its address, else the
    /// first of IPv4, else the first.
    fn first_subnet(&self, network: &str, address: Option<IpAddr>) -> Option<Key> {
        let keys = self.subnets(network);
        let cidr = |key: &Key| match self.index.get(key).map(|at| &self.resources[*at].spec) {
            Some(Spec::Subnet { cidr, .. }) => Some(*cidr),
            _ => None,
        };
        let fits = |key: &&Key| match address {
            Some(address) => cidr(key).is_some_and(|c| c.contains(&address)),
            None => cidr(key).is_some_and(|c| c.addr().is_ipv4()),
        };
        keys.iter().find(fits).or_else(|| keys.first()).cloned()
    }

    fn address_fits(&mut self, path: &str, network: &str, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        let Some(network) = self.spec.networks.iter().find(|n| n.name == network) else { return };
        let mut nets = network.cidr.into_iter().chain(network.subnets.iter().map(|s| s.cidr));
        if !nets.any(|n| n.contains(&address)) {
            self.trouble(path, format!("`{address}` is in no subnet of network `{}`", network.name), None);
        }
    }

    fn listener(&mut self, path: &str, listener: &Listener, network: &str) -> ListenerSpec {
        if listener.port == 0 || listener.to == Some(0) {
            self.trouble(path, "a port is between 1 and 65535", None);
        }
        let mut members: Vec<MemberSpec> = Vec::new();
        for (i, member) in listener.servers.iter().enumerate() {
            let path = format!("{path}.servers[{i}]");
            let number = member.port.or(listener.to).unwrap_or(listener.port);
            for port in self.member_ports(&path, member, network) {
                if members.iter().any(|m| m.port == port && m.number == number) {
                    self.trouble(&path, format!("`{}` is there twice", member.server), None);
                    continue;
                }
                members.push(MemberSpec { port, number, weight: member.weight.unwrap_or(1) });
            }
        }
        let health = listener.health_monitor.as_ref().map(|h| self.health(path, listener.proto, h));
        ListenerSpec {
            protocol: listener.proto.word(),
            port: listener.port,
            algorithm: listener.algorithm.map(manifest::Algorithm::word),
            members,
            health,
        }
    }

    /// The ports by which the servers of a name take part.
    fn member_ports(&mut self, path: &str, member: &Member, network: &str) -> Vec<Key> {
        let Some(servers) = self.servers_named(&member.server) else {
            let hint = self.near(Kind::Server, &member.server);
            self.trouble(path, format!("the yard has no server `{}`", member.server), hint.as_deref());
            return Vec::new();
        };
        let mut ports = Vec::new();
        for server in servers {
            let Some(Spec::Server(of)) = self.index.get(&server).map(|at| &self.resources[*at].spec) else { continue };
            let on = |network: &str| of.ports.iter().find(|p| p.name == format!("{}/{network}", server.name)).cloned();
            let port = match &member.network {
                Some(wanted) => on(wanted),
                None => on(network).or_else(|| of.ports.first().cloned()),
            };
            match port {
                Some(port) => ports.push(port),
                None => {
                    let wanted = member.network.as_deref().unwrap_or(network);
                    self.trouble(path, format!("server `{}` is not on network `{wanted}`", server.name), None);
                    return ports;
                }
            }
        }
        ports
    }

    fn health(&mut self, path: &str, proto: manifest::BalancedProtocol, health: &HealthMonitor) -> HealthSpec {
        let path = format!("{path}.healthMonitor");
        let usual = if proto == manifest::BalancedProtocol::Udp { MonitorType::UdpConnect } else { MonitorType::Tcp };
        let monitor_type = health.monitor_type.unwrap_or(usual);
        let (delay, timeout, retries) =
            (health.delay.unwrap_or(5), health.timeout.unwrap_or(3), health.retries.unwrap_or(3));
        if delay == 0 || timeout == 0 || timeout > delay {
            self.trouble(&path, "`timeout` is at least 1 and at most `delay`", None);
        }
        if !(1..=10).contains(&retries) {
            self.trouble(&path, "`retries` is 1 to 10", None);
        }
        let asks = matches!(monitor_type, MonitorType::Http | MonitorType::Https);
        if health.path.is_some() && !asks {
            self.trouble(format!("{path}.path"), "a path goes with http or https", Some("add `type: http`"));
        }
        if health.path.as_ref().is_some_and(|p| !p.starts_with('/')) {
            self.trouble(format!("{path}.path"), "a path starts with `/`", None);
        }
        HealthSpec {
            monitor_type: monitor_type.word().to_owned(),
            delay: delay.into(),
            timeout: timeout.into(),
            retries: retries.into(),
            path: asks.then(|| health.path.clone().unwrap_or_else(|| "/".to_owned())),
        }
    }

    /// The servers that a name means: one, those of a `count`, or the hosts of a pool. `None` if the
    /// yard has none.
    pub(super) fn servers_named(&self, name: &str) -> Option<Vec<Key>> {
        let one = Key::new(Kind::Server, name);
        if self.has(&one) {
            return Some(vec![one]);
        }
        let several = self.spec.servers.iter().find(|s| s.name == name).and_then(|s| s.count);
        let pool = || self.spec.hosts.iter().find(|h| h.pool == name).map(|h| h.count.unwrap_or(1));
        let count = several.or_else(pool)?;
        Some((1..=count).map(|n| Key::new(Kind::Server, format!("{name}-{n}"))).collect())
    }
}

/// What can be compared of listeners and their pools.
fn fields(listeners: &[ListenerSpec]) -> Fields {
    let members = listeners.iter().flat_map(|l| {
        let label = l.label();
        l.members.iter().map(move |m| member_label(&label, &m.port.name, m.number, m.weight))
    });
    let mut fields = Fields::from([
        ("listeners", Value::set(listeners.iter().map(ListenerSpec::label))),
        ("members", Value::set(members)),
        (
            "health monitors",
            Value::set(listeners.iter().filter_map(|l| Some(health_label(&l.label(), l.health.as_ref()?)))),
        ),
    ]);
    let algorithms: Vec<String> =
        listeners.iter().filter_map(|l| Some(algorithm_label(&l.label(), l.algorithm?))).collect();
    if !algorithms.is_empty() {
        fields.insert("algorithms", Value::set(algorithms));
    }
    fields
}
