//! Options of networks (`docker network create -o`, Compose's `driver_opts` of a network) and of endpoints
//! (`docker run --network name=N,driver-opt=K=V`, Compose's `driver_opts` of a service's network).

use crate::network::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
pub(crate) use stackyard_core::agent::PublishedPort as Published;
use stackyard_core::agent::{ExposedPorts, PortLink};
use stackyard_core::stack::{RESOLVER_OPTION, STACK_GROUP_OPTION};
use std::net::IpAddr;
use std::str::FromStr;

/// Docker's own keys begin so; those that mean something here are named below.
const DOCKER: &str = "com.docker.";
/// Where Docker puts the options that a user gave to a network.
pub(crate) const GENERIC: &str = "com.docker.network.generic";
/// Whether a network is `--internal`.
const INTERNAL: &str = "com.docker.network.internal";
/// What other drivers call `mtu`.
const MTU: &str = "com.docker.network.driver.mtu";
/// Ports that a user wants published (`-p`).
const PORT_MAP: &str = "com.docker.network.portmap";

/// Ports that an image or a user says a container listens on (`EXPOSE`, `--expose`, `-p`).
const EXPOSED: &str = "com.docker.network.endpoint.exposedports";

/// Port of DNS (RFC 1035, section 4.2).
const DNS: u16 = 53;

/// Keys of networks; endpoints' keys below that are defaults for a network's endpoints.
const NETWORK_KEYS: [&str; 15] = [
    "network",
    "subnet",
    "subnet6",
    "subnet-pool",
    "subnet-pool6",
    "name",
    "router",
    "external",
    "mtu",
    "port-security",
    "dns-domain",
    "dns-servers",
    "shared",
    "pool",
    FIREWALL,
];
/// Keys of endpoints that a network may have defaults for.
const DEFAULT_KEYS: [&str; 8] = [
    "security-groups",
    "qos-policy",
    "floating-ip",
    "allowed-address-pairs",
    "load-balancer",
    "expose",
    "link",
    STACK_GROUP_OPTION,
];
/// Keys of endpoints alone.
const ENDPOINT_KEYS: [&str; 6] = ["ip", "ip6", "port", "dns-name", FIREWALL, RESOLVER_OPTION];
/// Of a network for its router's ports, of an endpoint for its own port.
const FIREWALL: &str = "firewall-group";

/// What a Docker network is to be.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct NetworkOptions {
    /// An existing Neutron network: name or id.
    pub(crate) network: Option<String>,
    /// IPv4 subnet: a CIDR; of an existing network also a name or id.
    pub(crate) subnet: Option<String>,
    /// IPv6 subnet, likewise.
    pub(crate) subnet6: Option<String>,
    /// Pool that a new IPv4 subnet is of: name or id.
    pub(crate) subnet_pool: Option<String>,
    /// Pool that a new IPv6 subnet is of.
    pub(crate) subnet_pool6: Option<String>,
    /// Name of the new network in Neutron.
    pub(crate) name: Option<String>,
    /// An existing router to connect a new network to: name or id.
    pub(crate) router: Option<String>,
    /// An external network that a new network gets a router to: name or id.
    pub(crate) external: Option<String>,
    /// Greatest packet, in bytes.
    pub(crate) mtu: Option<u32>,
    pub(crate) port_security: Option<bool>,
    pub(crate) dns_domain: Option<String>,
    pub(crate) dns_servers: Vec<String>,
    pub(crate) shared: Option<bool>,
    /// How many ports to keep ready.
    pub(crate) pool: Option<PoolSize>,
    /// Firewall group for the ports of a new network's router: name or id.
    pub(crate) firewall_group: Option<String>,
    /// What endpoints have unless they say otherwise.
    pub(crate) defaults: EndpointOptions,
    /// Whether its containers get no way out (`--internal`).
    pub(crate) internal: bool,
}

/// What an endpoint's port is to have. Names are still names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct EndpointOptions {
    /// Names or ids; absent: the project's default group.
    pub(crate) security_groups: Option<Vec<String>>,
    /// Name or id.
    pub(crate) qos_policy: Option<String>,
    /// An address that is the project's already, or the external network (name or id) to get one from.
    pub(crate) floating_ip: Option<String>,
    /// IP addresses or CIDRs, each with `=MAC` behind it if that is not the port's own.
    pub(crate) address_pairs: Vec<(String, Option<String>)>,
    pub(crate) ip: Option<IpAddr>,
    pub(crate) ip6: Option<IpAddr>,
    /// An existing port: id or name.
    pub(crate) port: Option<String>,
    pub(crate) dns_name: Option<String>,
    /// What the link is to be on the NIC of a yard's host; absent: the best that works.
    pub(crate) link: Option<PortLink>,
    /// Ports of its floating IP that are to lead to it.
    pub(crate) publish: Vec<Published>,
    /// Whether ports of this host are to lead to it (`-p` without a floating IP).
    pub(crate) on_host: bool,
    /// Pools of load balancers that it is to be a member of.
    pub(crate) load_balancers: Vec<PoolMemberSpec>,
    /// Firewall group that its port is to be in: name or id.
    pub(crate) firewall_group: Option<String>,
    /// Whether a security group of its own is to let in what it exposes.
    pub(crate) expose: Option<bool>,
    /// Id of that group, once it is made.
    pub(crate) own_group: Option<String>,
    /// On a host of a yard: whether it is in the yard's group for stacks, too.
    pub(crate) stack_group: Option<bool>,
    /// On a host of a yard: what the server is to let in by such a group.
    pub(crate) exposed: Vec<ExposedPorts>,
    /// Whether its container asks the agent's resolver, which then listens on port 53 in there.
    pub(crate) resolver: bool,
}

/// A place in a load balancer's pool: `POOL:PORT`, or `POOL:PORT=WEIGHT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct PoolMemberSpec {
    /// Name or id.
    pub(crate) pool: String,
    /// The container's port.
    pub(crate) port: u16,
    /// How much it takes beside others, to 256; Octavia's default is 1.
    pub(crate) weight: Option<u32>,
}

impl FromStr for PoolMemberSpec {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pool, port) = text.rsplit_once(':').filter(|(pool, _)| !pool.is_empty()).ok_or(())?;
        let (port, weight) = match port.split_once('=') {
            Some((port, weight)) => (port, Some(weight.parse().ok().filter(|w| *w <= 256).ok_or(())?)),
            None => (port, None),
        };
        let port = port.parse().ok().filter(|p| *p > 0).ok_or(())?;
        Ok(Self { pool: pool.to_owned(), port, weight })
    }
}

impl PoolMemberSpec {
    /// What its text must be, for errors.
    pub(crate) const FORM: &'static str = "POOL:PORT or POOL:PORT=WEIGHT, as web:8080";
}

/// How many ports to keep ready: `MOST`, or `LEAST-MOST` to keep only that many once they are not used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSize {
    /// While nothing asks for them.
    pub least: usize,
    /// As long as endpoints come.
    pub most: usize,
}

impl FromStr for PoolSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| format!("{text:?} is no number"));
        let (least, most) = match text.split_once('-') {
            Some((least, most)) => (number(least)?, number(most)?),
            None => (number(text)?, number(text)?),
        };
        if least > most { Err(format!("{least} is more than {most}")) } else { Ok(Self { least, most }) }
    }
}

impl NetworkOptions {
    /// Reads what Docker sends with CreateNetwork.
    pub(crate) fn read(sent: &Map<String, Value>) -> Result<Self, Error> {
        let mut options = Self::default();
        for (key, value) in sent.get(GENERIC).and_then(Value::as_object).into_iter().flatten() {
            if key == MTU {
                options.mtu = Some(parsed(key, text(key, value)?, "a number of bytes")?);
            } else if !key.starts_with(DOCKER) {
                let known = [&NETWORK_KEYS[..], &DEFAULT_KEYS].concat();
                check("network", key, &known, &ENDPOINT_KEYS)?;
                options.set(key, text(key, value)?)?;
            }
        }
        options.internal = sent.get(INTERNAL).is_some_and(|value| *value == true || value == "true");
        match &options {
            Self { internal: true, router: Some(_), .. } => Err(internal("router")),
            Self { internal: true, external: Some(_), .. } => Err(internal("external")),
            Self { internal: true, defaults, .. } if defaults.floating_ip.is_some() => Err(internal("floating-ip")),
            Self { network: Some(_), subnet_pool: Some(_), .. }
            | Self { network: Some(_), subnet_pool6: Some(_), .. } => Err(clash("network", "a subnet pool")),
            Self { network: Some(_), router: Some(_), .. } | Self { network: Some(_), external: Some(_), .. } => {
                Err(clash("network", "a router"))
            }
            Self { router: Some(_), external: Some(_), .. } => Err(clash("router", "external")),
            Self { firewall_group: Some(_), router: None, external: None, .. } => Err(Error::request(
                "option `firewall-group` of a network is for the router that a new one gets: say `external` or `router`, \
                 too",
            )),
            _ => Ok(options),
        }
    }

    /// Reads `--ipam-opt`: an existing network, and which of its subnets.
    pub(crate) fn read_ipam(sent: &Map<String, Value>) -> Result<Self, Error> {
        let mut options = Self::default();
        for (key, value) in sent.iter().filter(|(key, _)| !key.starts_with(DOCKER)) {
            check("address pool", key, &["network", "subnet", "subnet6"], &NETWORK_KEYS)?;
            options.set(key, text(key, value)?)?;
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let word = || Some(value.to_owned()).filter(|v| !v.is_empty());
        match key {
            "network" => self.network = word(),
            "subnet" => self.subnet = word(),
            "subnet6" => self.subnet6 = word(),
            "subnet-pool" => self.subnet_pool = word(),
            "subnet-pool6" => self.subnet_pool6 = word(),
            "name" => self.name = word(),
            "router" => self.router = word(),
            "external" => self.external = word(),
            "mtu" => self.mtu = Some(parsed(key, value, "a number of bytes")?),
            "port-security" => self.port_security = Some(parsed(key, value, "true or false")?),
            "dns-domain" => self.dns_domain = word().map(|d| if d.ends_with('.') { d } else { d + "." }),
            "dns-servers" => self.dns_servers = list(value),
            "pool" => self.pool = Some(parsed(key, value, "a number, or LEAST-MOST")?),
            "shared" => self.shared = Some(parsed(key, value, "true or false")?),
            FIREWALL => self.firewall_group = word(),
            _ => self.defaults.set(key, value)?,
        }
        Ok(())
    }
}

impl EndpointOptions {
    /// Reads what Docker sends with CreateEndpoint.
    pub(crate) fn read(sent: &Map<String, Value>) -> Result<Self, Error> {
        let mut options = Self::default();
        for (key, value) in sent.iter().filter(|(key, _)| !key.starts_with(DOCKER)) {
            check("endpoint", key, &[&DEFAULT_KEYS[..], &ENDPOINT_KEYS].concat(), &NETWORK_KEYS)?;
            options.set(key, text(key, value)?)?;
        }
        // Unless it gets a floating IP to publish them by.
        options.on_host = publishes(sent);
        // A name server could not listen on all addresses next to the agent.
        options.resolver &= !exposed(sent).iter().any(|e| (e.first..=e.last).contains(&DNS));
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let word = || Some(value.to_owned()).filter(|v| !v.is_empty());
        match key {
            // Empty means: none, not even the default one.
            "security-groups" => self.security_groups = Some(list(value)),
            "qos-policy" => self.qos_policy = word(),
            "floating-ip" => self.floating_ip = word(),
            "allowed-address-pairs" => self.address_pairs = list(value).iter().map(|p| pair(p)).collect(),
            "ip" => self.ip = Some(parsed(key, value, "an IPv4 address")?),
            "ip6" => self.ip6 = Some(parsed(key, value, "an IPv6 address")?),
            "port" => self.port = word(),
            "dns-name" => self.dns_name = word(),
            RESOLVER_OPTION => self.resolver = parsed(key, value, "true or false")?,
            "load-balancer" => {
                let each = list(value);
                self.load_balancers =
                    each.iter().map(|m| parsed(key, m, PoolMemberSpec::FORM)).collect::<Result<_, _>>()?;
            }
            FIREWALL => self.firewall_group = word(),
            STACK_GROUP_OPTION => self.stack_group = Some(parsed(key, value, "true or false")?),
            "expose" => self.expose = Some(parsed(key, value, "true or false")?),
            "link" => {
                let link = PortLink::ALL.into_iter().find(|link| link.word() == value);
                let wrong =
                    || Error::request(format!("option `link` is {value:?}; it must be trunk, macvlan or ipvlan"));
                self.link = Some(link.ok_or_else(wrong)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// These, and what they do not say as `defaults` say it.
    pub(crate) fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        let pairs = if self.address_pairs.is_empty() { defaults.address_pairs } else { self.address_pairs };
        let balancers = if self.load_balancers.is_empty() { defaults.load_balancers } else { self.load_balancers };
        Self {
            security_groups: self.security_groups.or(defaults.security_groups),
            qos_policy: self.qos_policy.or(defaults.qos_policy),
            floating_ip: self.floating_ip.or(defaults.floating_ip),
            link: self.link.or(defaults.link),
            address_pairs: pairs,
            load_balancers: balancers,
            expose: self.expose.or(defaults.expose),
            stack_group: self.stack_group.or(defaults.stack_group),
            ..self
        }
    }
}

/// Whether a user wants ports of a container published.
pub(crate) fn publishes(sent: &Map<String, Value>) -> bool {
    sent.get(PORT_MAP).and_then(Value::as_array).is_some_and(|ports| !ports.is_empty())
}

/// The ports that a container listens on, those next to each other together.
pub(crate) fn exposed(sent: &Map<String, Value>) -> Vec<ExposedPorts> {
    let ports = sent.get(EXPOSED).and_then(Value::as_array).into_iter().flatten();
    let one = |port: &Value| {
        let protocol = match port["Proto"].as_u64() {
            Some(6) => "tcp",
            Some(17) => "udp",
            Some(132) => "sctp",
            _ => return None,
        };
        Some((protocol, u16::try_from(port["Port"].as_u64()?).ok()?))
    };
    let mut all: Vec<_> = ports.filter_map(one).collect();
    all.sort_unstable();
    all.dedup();
    let mut ranges: Vec<ExposedPorts> = Vec::new();
    for (protocol, port) in all {
        match ranges.last_mut() {
            Some(range) if range.protocol == protocol && range.last.checked_add(1) == Some(port) => range.last = port,
            _ => ranges.push(ExposedPorts { protocol: protocol.to_owned(), first: port, last: port }),
        }
    }
    ranges
}

/// The ports of a floating IP that a user wants published.
pub(crate) fn published(sent: &Map<String, Value>) -> Result<Vec<Published>, Error> {
    let ports = sent.get(PORT_MAP).and_then(Value::as_array).into_iter().flatten();
    let number = |value: &Value| value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
    let one = |port: &Value| {
        // Numbers of IP protocols.
        let protocol = match port["Proto"].as_u64() {
            Some(6) => "tcp",
            Some(17) => "udp",
            _ => return Err(Error::request("only ports of TCP and UDP can be published by a floating IP")),
        };
        let inside = number(&port["Port"]).ok_or_else(|| Error::request("a port to publish has no number"))?;
        let outside = number(&port["HostPort"]).ok_or_else(|| {
            Error::request(format!("say which port of the floating IP leads to port {inside}: -p OUTSIDE:{inside}"))
        })?;
        Ok(Published { protocol: protocol.to_owned(), inside, outside })
    };
    ports.map(one).collect()
}

fn check(noun: &str, key: &str, known: &[&str], elsewhere: &[&str]) -> Result<(), Error> {
    if known.contains(&key) {
        return Ok(());
    }
    let near = known.iter().map(|k| (strsim::damerau_levenshtein(k, key), k)).min().filter(|(far, _)| *far <= 3);
    let hint = match near {
        _ if elsewhere.contains(&key) => " (it is one of another kind)".to_owned(),
        Some((_, word)) => format!("; did you mean `{word}`?"),
        None => format!("; there are {}", known.join(", ")),
    };
    Err(Error::request(format!("`{key}` is no option of this driver for a {noun}{hint}")))
}

fn clash(one: &str, other: &str) -> Error {
    Error::request(format!("the options name `{one}` and {other}: they exclude each other"))
}

/// What an internal network cannot have.
pub(crate) fn internal(option: &str) -> Error {
    Error::request(format!("cannot use option `{option}` on an internal network: its containers have no way out"))
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, Error> {
    value.as_str().map(str::trim).ok_or_else(|| Error::request(format!("option `{key}` must be text, not {value}")))
}

fn parsed<T: FromStr>(key: &str, value: &str, wanted: &str) -> Result<T, Error> {
    value.parse().map_err(|_| Error::request(format!("option `{key}` is {value:?}; it must be {wanted}")))
}

/// Words between commas or spaces; `docker run --network` takes commas for itself.
fn list(value: &str) -> Vec<String> {
    value.split([',', ' ']).filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// An address that may be sent from, `ADDRESS` or `ADDRESS=MAC`.
pub(crate) fn pair(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((ip, mac)) => (ip.to_owned(), Some(mac.to_owned())),
        None => (text.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn network(options: Value) -> Result<NetworkOptions, Error> {
        let sent = json!({GENERIC: options, "com.docker.network.enable_ipv6": false});
        NetworkOptions::read(sent.as_object().unwrap())
    }

    #[test]
    fn a_network_has_defaults_for_its_endpoints() {
        let read = network(json!({
            "network": "front", MTU: "1400", "security-groups": "web, db", "com.docker.network.x": "y",
        }));
        let read = read.unwrap();
        assert_eq!((read.network.as_deref(), read.mtu), (Some("front"), Some(1400)));
        let defaults = read.defaults;
        assert_eq!(defaults.security_groups, Some(vec!["web".to_owned(), "db".to_owned()]));
        let own = json!({"security-groups": "", "ip": "10.0.0.9", "com.docker.network.portmap": []});
        let own = EndpointOptions::read(own.as_object().unwrap()).unwrap().or(&defaults);
        assert_eq!(own.security_groups, Some(Vec::new()), "none at all is a choice, too");
        assert_eq!(own.ip, Some("10.0.0.9".parse().unwrap()));
    }

    #[test]
    fn a_pool_has_one_size_or_two() {
        assert_eq!("20".parse(), Ok(PoolSize { least: 20, most: 20 }));
        assert_eq!("2-20".parse(), Ok(PoolSize { least: 2, most: 20 }));
        assert!("20-2".parse::<PoolSize>().is_err() && "-3".parse::<PoolSize>().is_err());
    }

    #[test]
    fn mistakes_are_said() {
        for (options, said) in [
            (json!({"netwrok": "x"}), "did you mean `network`"),
            (json!({"ip": "10.0.0.1"}), "another kind"),
            (json!({"mtu": "big"}), "a number of bytes"),
            (json!({"link": "vlan"}), "trunk, macvlan or ipvlan"),
            (json!({"network": "x", "external": "public"}), "exclude each other"),
            (json!({"router": "x", "external": "public"}), "exclude each other"),
            (json!({"firewall-group": "x"}), "say `external` or `router`"),
            (json!({"expose": "yes"}), "true or false"),
        ] {
            let error = network(options).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_internal_network_has_no_way_out() {
        let read = |options: Value| {
            let sent = json!({GENERIC: options, INTERNAL: true});
            NetworkOptions::read(sent.as_object().unwrap())
        };
        assert!(read(json!({"network": "front"})).unwrap().internal);
        for option in ["router", "external", "floating-ip"] {
            let error = read(json!({option: "public"})).unwrap_err().to_string();
            assert!(error.contains(&format!("`{option}` on an internal network")), "{error}");
        }
        assert!(!network(json!({"network": "front"})).unwrap().internal);
    }

    #[test]
    fn pairs_may_name_a_mac_address() {
        let sent = json!({"allowed-address-pairs": "10.0.0.0/24 10.1.0.1=fa:16:3e:00:00:01"});
        let read = EndpointOptions::read(sent.as_object().unwrap()).unwrap();
        assert_eq!(read.address_pairs[0], ("10.0.0.0/24".to_owned(), None));
        assert_eq!(read.address_pairs[1].1.as_deref(), Some("fa:16:3e:00:00:01"));
    }

    #[test]
    fn members_are_a_pool_a_port_and_a_weight() {
        let read = |text: &str| {
            let sent = json!({"load-balancer": text});
            EndpointOptions::read(sent.as_object().unwrap()).map(|o| o.load_balancers)
        };
        let member = |pool: &str, port, weight| PoolMemberSpec { pool: pool.to_owned(), port, weight };
        assert_eq!(read("web:80 a:b:81=5").unwrap(), [member("web", 80, None), member("a:b", 81, Some(5))]);
        for wrong in ["web", ":80", "web:0", "web:80=300", "web:x"] {
            assert!(read(wrong).unwrap_err().to_string().contains("POOL:PORT"), "{wrong}");
        }
        let network = network(json!({"load-balancer": "web:80", "expose": "true"})).unwrap();
        let own = EndpointOptions { expose: Some(false), ..EndpointOptions::default() }.or(&network.defaults);
        assert_eq!((own.load_balancers, own.expose), (vec![member("web", 80, None)], Some(false)));
    }

    #[test]
    fn exposed_ports_next_to_each_other_are_a_range() {
        let port = |proto: u8, port: u16| json!({"Proto": proto, "Port": port});
        let sent = json!({EXPOSED: [port(6, 81), port(17, 82), port(6, 80), port(6, 443), port(6, 80)]});
        let ranges = exposed(sent.as_object().unwrap());
        let ranges: Vec<_> = ranges.iter().map(|e| (e.protocol.as_str(), e.first, e.last)).collect();
        assert_eq!(ranges, [("tcp", 80, 81), ("tcp", 443, 443), ("udp", 82, 82)]);
    }

    #[test]
    fn ports_to_publish_have_a_number_outside() {
        let read = |ports: Value| published(json!({PORT_MAP: ports}).as_object().unwrap());
        assert_eq!(read(json!([])).unwrap(), []);
        assert_eq!(read(Value::Null).unwrap(), []);
        let web = Published { protocol: "tcp".to_owned(), inside: 80, outside: 8080 };
        assert_eq!(read(json!([{"Proto": 6, "Port": 80, "HostPort": 8080, "HostPortEnd": 8080}])).unwrap(), [web]);
        for (port, said) in [
            (json!({"Proto": 6, "Port": 80, "HostPort": 0}), "-p OUTSIDE:80"),
            (json!({"Proto": 132, "Port": 80, "HostPort": 80}), "TCP and UDP"),
        ] {
            let error = read(json!([port])).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
