//! What a network configuration wants of this plugin: its own keys, `args`, `runtimeConfig`, `CNI_ARGS`.

use super::failure::{Failure, code};
use super::protocol::CniRequest;
use crate::network::bandwidth::Bandwidth;
use crate::network::options::{EndpointOptions, PoolMemberSpec, Published, pair};
use ipnet::IpNet;
use serde_json::{Map, Value};
use stackyard_wire::Rate;
use std::net::IpAddr;

/// Keys of the specification and of CNI's conventions, which mean something to runtimes and other plugins.
const COMMON: [&str; 12] = [
    "cniVersion",
    "name",
    "type",
    "args",
    "capabilities",
    "dns",
    "disableCheck",
    "disableGC",
    "loadOnlyInlinedPlugins",
    "prevResult",
    "runtimeConfig",
    "ipMasq",
];
/// Keys that one container may have for itself, in `args.stackyard`.
const OF_ENDPOINTS: [&str; 8] = [
    "securityGroups",
    "qosPolicy",
    "floatingIP",
    "port",
    "dnsName",
    "allowedAddressPairs",
    "loadBalancers",
    "firewallGroup",
];
/// Keys of a network.
const OF_NETWORKS: [&str; 5] = ["network", "subnets", "socket", "pool", "bandwidth"];

/// Who limits bandwidth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limiter {
    Neutron,
    Kernel,
}

impl Limiter {
    /// The key `bandwidth` of a configuration.
    pub(crate) fn read(text: &str) -> Result<Self, Failure> {
        match text {
            "neutron" => Ok(Self::Neutron),
            "tc" => Ok(Self::Kernel),
            other => Err(invalid(format!("`bandwidth` must be \"neutron\" or \"tc\", not {other:?}"))),
        }
    }
}

/// What an attach is to be. Names are still names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct AttachSpec {
    /// Name of the network configuration.
    pub(crate) name: String,
    /// Neutron's network: name or id.
    pub(crate) network: String,
    /// Names, ids or CIDRs; empty: the first of each IP version.
    pub(crate) subnets: Vec<String>,
    /// How many ports the network is to keep ready.
    pub(crate) pool: Option<usize>,
    pub(crate) options: EndpointOptions,
    /// How fast packets may go.
    pub(crate) bandwidth: Option<Bandwidth>,
    /// Who sees to that; absent: whoever can.
    pub(crate) limiter: Option<Limiter>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) mac: Option<String>,
    /// What the container is to be told of name servers; empty: what its subnets say.
    pub(crate) dns: Map<String, Value>,
}

impl AttachSpec {
    pub(crate) fn read(request: &CniRequest) -> Result<Self, Failure> {
        let config = &request.config;
        let mut spec = Self { name: text(config, "name")?.unwrap_or_default(), ..Self::default() };
        for (key, value) in config {
            if OF_ENDPOINTS.contains(&key.as_str()) {
                spec.set(key, config)?;
            } else if key == "ipam" && value.as_object().is_some_and(Map::is_empty) || key == "ipMasq" && value != true
            {
                // What other plugins need to be told to leave alone.
            } else if key == "ipam" || key == "ipMasq" {
                let who = if key == "ipam" { "addresses are Neutron's" } else { "the network's router does that" };
                return Err(unsupported(key, value, &format!("; {who}: leave it away")));
            } else if !(COMMON.contains(&key.as_str()) || OF_NETWORKS.contains(&key.as_str()) || key.contains('/')) {
                return Err(unsupported(key, value, &nearest(key, &[&OF_NETWORKS[..], &OF_ENDPOINTS].concat())));
            }
        }
        spec.network = text(config, "network")?
            .filter(|n| !n.is_empty())
            .ok_or_else(|| invalid("`network` must say which network of the cloud: a name or an id"))?;
        spec.subnets = words(config, "subnets")?.unwrap_or_default();
        spec.pool = match config.get("pool") {
            None => None,
            Some(value) => match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
                Some(number) => Some(number),
                None => return Err(invalid(format!("`pool` must be a number of ports, not {value}"))),
            },
        };
        spec.limiter = text(config, "bandwidth")?.map(|limiter| Limiter::read(&limiter)).transpose()?;
        spec.dns = object(config, "dns")?;
        spec.of_arguments(&request.args)?;
        spec.of_args(&object(config, "args")?)?;
        spec.of_runtime(&object(config, "runtimeConfig")?)?;
        Ok(spec)
    }

    fn set(&mut self, key: &str, from: &Map<String, Value>) -> Result<(), Failure> {
        let options = &mut self.options;
        match key {
            "securityGroups" => options.security_groups = words(from, key)?,
            "qosPolicy" => options.qos_policy = text(from, key)?,
            "floatingIP" => options.floating_ip = text(from, key)?,
            "port" => options.port = text(from, key)?,
            "dnsName" => options.dns_name = text(from, key)?,
            "allowedAddressPairs" => {
                options.address_pairs = words(from, key)?.unwrap_or_default().iter().map(|p| pair(p)).collect();
            }
            "loadBalancers" => {
                let wrong = |text: &String| invalid(format!("`{key}`: {text:?} must be {}", PoolMemberSpec::FORM));
                let each = words(from, key)?.unwrap_or_default();
                let each = each.iter().map(|text| text.parse().map_err(|()| wrong(text)));
                options.load_balancers = each.collect::<Result<_, _>>()?;
            }
            "firewallGroup" => options.firewall_group = text(from, key)?,
            _ => {}
        }
        Ok(())
    }

    /// `CNI_ARGS`.
    fn of_arguments(&mut self, args: &[(String, String)]) -> Result<(), Failure> {
        let is_set = |value: &str| matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on");
        let lenient = args.iter().any(|(key, value)| key == "IgnoreUnknown" && is_set(value));
        for (key, value) in args {
            match key.as_str() {
                "IP" => self.ips = addresses("CNI_ARGS: IP", value.split(','))?,
                "MAC" => self.mac = Some(mac("CNI_ARGS: MAC", value)?),
                "IgnoreUnknown" => {}
                _ if lenient => {}
                _ => {
                    let msg = format!("CNI_ARGS: {key}={value} is not known; there are IP, MAC, IgnoreUnknown=1");
                    return Err(Failure::new(code::ENVIRONMENT, msg));
                }
            }
        }
        Ok(())
    }

    /// `args`: what is for any plugin under `cni`, what is for this one under `stackyard`.
    fn of_args(&mut self, args: &Map<String, Value>) -> Result<(), Failure> {
        let common = object(args, "cni")?;
        if let Some(ips) = words(&common, "ips")? {
            self.ips = addresses("args.cni.ips", ips.iter().map(String::as_str))?;
        }
        if let Some(text) = text(&common, "mac")? {
            self.mac = Some(mac("args.cni.mac", &text)?);
        }
        let own = object(args, "stackyard")?;
        for (key, value) in &own {
            if !OF_ENDPOINTS.contains(&key.as_str()) {
                return Err(unsupported(&format!("args.stackyard.{key}"), value, &nearest(key, &OF_ENDPOINTS)));
            }
            self.set(key, &own)?;
        }
        Ok(())
    }

    /// `runtimeConfig`: what the configuration's `capabilities` ask the runtime for.
    fn of_runtime(&mut self, runtime: &Map<String, Value>) -> Result<(), Failure> {
        for (key, value) in runtime {
            match key.as_str() {
                "ips" => {
                    let ips = words(runtime, key)?.unwrap_or_default();
                    if !ips.is_empty() {
                        self.ips = addresses("runtimeConfig.ips", ips.iter().map(String::as_str))?;
                    }
                }
                "mac" => {
                    if let Some(text) = text(runtime, key)?.filter(|t| !t.is_empty()) {
                        self.mac = Some(mac("runtimeConfig.mac", &text)?);
                    }
                }
                "dns" => self.dns_of_runtime(&object(runtime, key)?),
                "bandwidth" => self.bandwidth = bandwidth(&object(runtime, key)?)?,
                "portMappings" => self.options.publish = mappings(value)?,
                // For others.
                "aliases" | "cgroupPath" => {}
                _ => {
                    let hint = match key.as_str() {
                        "ipRanges" => "; addresses are Neutron's: `subnets` says of which subnets",
                        _ => "; leave it out of `capabilities`",
                    };
                    return Err(unsupported(&format!("runtimeConfig.{key}"), value, hint));
                }
            }
        }
        let given = &self.options;
        if !given.publish.is_empty() && given.floating_ip.is_none() {
            return Err(invalid(
                "ports are published (portMappings) by a floating IP here: `floatingIP` names one, or the external \
                 network to get one from; to publish them on this host, chain the plugin `portmap` behind this one \
                 and give the capability portMappings to it instead",
            ));
        }
        Ok(())
    }

    /// The runtime says `servers` and `searches` where results say `nameservers` and `search`.
    fn dns_of_runtime(&mut self, dns: &Map<String, Value>) {
        for (said, meant) in [("servers", "nameservers"), ("searches", "search"), ("options", "options")] {
            if let Some(Value::Array(list)) = dns.get(said).filter(|v| v.as_array().is_some_and(|l| !l.is_empty())) {
                self.dns.insert(meant.to_owned(), list.clone().into());
            }
        }
    }
}

fn mappings(value: &Value) -> Result<Vec<Published>, Failure> {
    let list = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        _ => return Err(invalid("runtimeConfig.portMappings must be a list")),
    };
    let number = |mapping: &Value, key: &str| {
        let number = mapping[key].as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
        number.ok_or_else(|| invalid(format!("runtimeConfig.portMappings: {key} of {mapping} is no port")))
    };
    let one = |mapping: &Value| {
        let protocol = mapping["protocol"].as_str().unwrap_or("tcp").to_ascii_lowercase();
        if !["tcp", "udp"].contains(&protocol.as_str()) {
            return Err(invalid(format!("only ports of TCP and UDP can be published, not of {protocol}")));
        }
        let host = mapping["hostIP"].as_str().unwrap_or_default();
        if !["", "0.0.0.0", "::"].contains(&host) {
            let msg = format!("a floating IP publishes ports, not the host's address {host}: leave hostIP away");
            return Err(invalid(msg));
        }
        Ok(Published { protocol, inside: number(mapping, "containerPort")?, outside: number(mapping, "hostPort")? })
    };
    list.iter().map(one).collect()
}

fn addresses<'a>(place: &str, texts: impl Iterator<Item = &'a str>) -> Result<Vec<IpAddr>, Failure> {
    let parse = |text: &str| text.parse::<IpAddr>().ok().or_else(|| text.parse::<IpNet>().ok().map(|n| n.addr()));
    texts.map(|t| parse(t.trim()).ok_or_else(|| invalid(format!("{place}: {t:?} is no address")))).collect()
}

fn mac(place: &str, text: &str) -> Result<String, Failure> {
    let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    if text.split(':').count() == 6 && text.split(':').all(is_pair) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(invalid(format!("{place}: {text:?} is no MAC address")))
}

fn text(from: &Map<String, Value>, key: &str) -> Result<Option<String>, Failure> {
    match from.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(invalid(format!("`{key}` must be text, not {other}"))),
    }
}

fn words(from: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, Failure> {
    let wrong = |value: &Value| invalid(format!("`{key}` must be a list of texts, not {value}"));
    match from.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(list)) => {
            let words = list.iter().map(|v| v.as_str().map(str::to_owned).ok_or_else(|| wrong(v)));
            words.collect::<Result<_, _>>().map(Some)
        }
        Some(other) => Err(wrong(other)),
    }
}

fn object(from: &Map<String, Value>, key: &str) -> Result<Map<String, Value>, Failure> {
    match from.get(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(other) => Err(invalid(format!("`{key}` must be an object, not {other}"))),
    }
}

fn invalid(msg: impl Into<String>) -> Failure {
    Failure::new(code::CONFIG, msg)
}

fn unsupported(key: &str, value: &Value, hint: &str) -> Failure {
    Failure::new(code::UNSUPPORTED_FIELD, format!("`{key}`: {value} is not supported{hint}"))
}

fn nearest(key: &str, known: &[&str]) -> String {
    let near = known.iter().map(|k| (strsim::damerau_levenshtein(k, key), k)).min().filter(|(far, _)| *far <= 3);
    match near {
        Some((_, word)) => format!("; did you mean `{word}`?"),
        None => format!("; there are {}", known.join(", ")),
    }
}

/// Reads `runtimeConfig.bandwidth`; nothing if that limits nothing.
fn bandwidth(given: &Map<String, Value>) -> Result<Option<Bandwidth>, Failure> {
    let number = |key: &str| match given.get(key) {
        None | Some(Value::Null) => Ok(0),
        Some(value) => {
            let wrong = || invalid(format!("runtimeConfig.bandwidth: {key} must be a number of bits, not {value}"));
            value.as_u64().ok_or_else(wrong)
        }
    };
    let direction = |of: &str| {
        let (rate, burst) = (number(&format!("{of}Rate"))?, number(&format!("{of}Burst"))?);
        if rate == 0 && burst > 0 {
            return Err(invalid(format!("runtimeConfig.bandwidth: {of}Burst needs {of}Rate")));
        }
        Ok(Some(Rate { rate, burst }).filter(|r| r.rate > 0))
    };
    let known = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"];
    let is_empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if let Some((key, value)) = given.iter().find(|(key, value)| !known.contains(&key.as_str()) && !is_empty(value)) {
        let msg = format!("runtimeConfig.bandwidth: {key} is {value}; there are {}", known.join(", "));
        return Err(Failure::new(code::UNSUPPORTED_FIELD, msg));
    }
    let read = Bandwidth { ingress: direction("ingress")?, egress: direction("egress")? };
    Ok(Some(read).filter(|b| *b != Bandwidth::default()))
}
