//! kuryr-libnetwork's names, tags and options, as release 18.0.0 has them. Behind each stands where from;
//! files without a directory are of `kuryr_libnetwork/`, `lib/` is kuryr-lib's (3.5.0).

use crate::network::Error;
use crate::network::options::GENERIC;
use serde_json::{Map, Value, json};

/// By what ports are used, and the tag of those that are made (`lib/constants.py`; `controllers.py`,
/// `ipam_request_address`: only ports with this tag are removed with their address).
pub(crate) const DEVICE_OWNER: &str = "compute:kuryr";
/// Tag of a port that was there before and is freed, not removed (`constants.py`).
pub(crate) const EXISTING_PORT: &str = "kuryr.port.existing";
/// Tag of a subnet pool that was there before (`constants.py`).
pub(crate) const EXISTING_POOL: &str = "kuryr.subnetpool.existing";
/// Name of a port of which nothing is known but its address (`constants.py`).
pub(crate) const UNBOUND_PORT: &str = "kuryr-unbound-port";
/// How names of subnets begin that go with their Docker network (`constants.py`; `controllers.py`,
/// `network_driver_delete_network`).
pub(crate) const SUBNET: &str = "kuryr-subnet-";

/// Halves of Docker's id, on networks and ports: a tag has 60 characters at most
/// (`utils.py`, `create_net_tags`, `create_port_tags`).
const LOWER: &str = "kuryr.net.uuid.lh:";
const UPPER: &str = "kuryr.net.uuid.uh:";
/// Tag of a network that was there before, with the beginning of Docker's id (`utils.py`, `existing_net_tag`).
const EXISTING_NETWORK: &str = "kuryr.net.existing:";

/// The tags of what has this id of Docker's.
pub(crate) fn id_tags(id: &str) -> Vec<String> {
    let (lower, upper) = id.split_at_checked(32).unwrap_or((id, ""));
    let upper: String = upper.chars().take(32).collect();
    let mut tags = vec![format!("{LOWER}{lower}")];
    if !upper.is_empty() {
        tags.push(format!("{UPPER}{upper}"));
    }
    tags
}

/// The tag that says that a Docker network's Neutron network was there before.
pub(crate) fn existing_network_tag(id: &str) -> String {
    format!("{EXISTING_NETWORK}{}", short(id, 12))
}

/// The id of Docker's in tags; none if there are several, whose halves nobody can match.
pub(crate) fn id_in(tags: &[String]) -> Option<String> {
    let only = |prefix: &str| {
        let mut found = tags.iter().filter_map(|t| t.strip_prefix(prefix));
        (found.next(), found.next())
    };
    match (only(LOWER), only(UPPER)) {
        ((Some(lower), None), (upper, None)) => Some(format!("{lower}{}", upper.unwrap_or_default())),
        _ => None,
    }
}

/// Whether that is an id of Docker's or a MAC address, and not what somebody else knows a port by.
pub(crate) fn is_dockers(device_id: &str) -> bool {
    device_id.is_empty() || device_id.contains(':') || !device_id.contains('-')
}

/// Whether tags are all there.
pub(crate) fn has_all(tags: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|w| tags.contains(w))
}

/// A new network's name (`utils.py`, `make_net_name`).
pub(crate) fn network_name(id: &str) -> String {
    format!("kuryr-net-{}", short(id, 8))
}

/// A subnet pool's name (`lib/utils.py`, `get_neutron_subnetpool_name`).
pub(crate) fn pool_name(cidr: &str) -> String {
    format!("kuryrPool-{cidr}")
}

/// The name of an endpoint's port (`utils.py`, `get_neutron_port_name`).
pub(crate) fn port_name(endpoint: &str) -> String {
    if endpoint.contains(':') { UNBOUND_PORT.to_owned() } else { format!("{endpoint}-port") }
}

fn short(id: &str, length: usize) -> &str {
    id.get(..length).unwrap_or(id)
}

/// Options of a network (`docker network create -o`) as this driver calls them. Subnets and pools are those
/// that the IPAM driver, which knows these options, has given out (`controllers.py`,
/// `network_driver_create_network`).
pub(crate) fn network_options(sent: &Map<String, Value>) -> Result<Map<String, Value>, Error> {
    let mut generic = Map::new();
    for (key, value) in sent.get(GENERIC).and_then(Value::as_object).into_iter().flatten() {
        match key.as_str() {
            // `neutron.net.uuid` goes first where both are there.
            "neutron.net.uuid" => drop(generic.insert("network".to_owned(), value.clone())),
            "neutron.net.name" => drop(generic.entry("network").or_insert_with(|| value.clone())),
            "neutron.net.shared" => drop(generic.insert("shared".to_owned(), truth(value).to_string().into())),
            _ if key.starts_with("neutron.subnet.") || key.starts_with("neutron.pool.") => {}
            _ if key.starts_with("neutron.") => return Err(unknown(key)),
            _ => drop(generic.insert(key.clone(), value.clone())),
        }
    }
    let mut options = sent.clone();
    options.insert(GENERIC.to_owned(), json!(generic));
    Ok(options)
}

/// Options of an address pool (`--ipam-opt`), of one IP version.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolOptions {
    /// Id of an existing subnet.
    pub(crate) subnet_id: Option<String>,
    /// Its name.
    pub(crate) subnet_name: Option<String>,
    /// An existing subnet pool: id, or else name.
    pub(crate) pool: Option<String>,
    /// Whether a new subnet pool is for other projects, too.
    pub(crate) shared: Option<bool>,
}

impl PoolOptions {
    /// Reads what Docker sends with RequestPool (`controllers.py`, `ipam_request_pool`).
    pub(crate) fn read(sent: &Map<String, Value>, v6: bool) -> Result<Self, Error> {
        let mut options = Self::default();
        let mut pool_name = None;
        let version = if v6 { "v6." } else { "" };
        for (key, value) in sent.iter().filter(|(key, _)| key.starts_with("neutron.")) {
            let word = || value.as_str().map(str::to_owned).filter(|w| !w.is_empty());
            let mine = |kind: &str, field: &str| *key == format!("neutron.{kind}.{version}{field}");
            match key.as_str() {
                "neutron.net.shared" => options.shared = Some(truth(value)),
                _ if mine("subnet", "uuid") => options.subnet_id = word(),
                _ if mine("subnet", "name") => options.subnet_name = word(),
                _ if mine("pool", "uuid") => options.pool = word(),
                _ if mine("pool", "name") => pool_name = word(),
                // Those of the other version, and what says the same to the network driver.
                _ if ["neutron.subnet.", "neutron.pool.", "neutron.net."].iter().any(|k| key.starts_with(k)) => {}
                _ => return Err(unknown(key)),
            }
        }
        options.pool = options.pool.or(pool_name);
        Ok(options)
    }
}

/// oslo.utils `strutils.bool_from_string`, which reads these options.
fn truth(value: &Value) -> bool {
    let text = value.as_str().map(|t| t.trim().to_lowercase()).unwrap_or_default();
    value == &json!(true) || ["t", "true", "on", "y", "yes", "1"].contains(&text.as_str())
}

fn unknown(key: &str) -> Error {
    Error::request(format!(
        "kuryr has no option `{key}`; there are neutron.net.uuid, .name and .shared, and neutron.subnet, \
         neutron.subnet.v6, neutron.pool and neutron.pool.v6 with .uuid and .name"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_from_tags() {
        let id = "0123456789abcdef0123456789ABCDEF_123456789abcdef0123456789abcdef";
        let tags = id_tags(id);
        assert_eq!(tags[0], "kuryr.net.uuid.lh:0123456789abcdef0123456789ABCDEF");
        assert_eq!(tags[1], "kuryr.net.uuid.uh:_123456789abcdef0123456789abcdef");
        assert_eq!(id_in(&tags).as_deref(), Some(id));
        // Swarm's ids have 25 characters.
        assert_eq!(id_in(&id_tags("0123456789abcdefghijklmno")).as_deref(), Some("0123456789abcdefghijklmno"));
        let both = [tags, id_tags(&id.replace('0', "1"))].concat();
        assert_eq!(id_in(&both), None, "two Docker networks on one network");
        assert_eq!(existing_network_tag(id), "kuryr.net.existing:0123456789ab");
        assert_eq!(network_name(id), "kuryr-net-01234567");
        assert_eq!((port_name("e1"), port_name("02:42:00:00:00:01")), ("e1-port".to_owned(), UNBOUND_PORT.to_owned()));
    }

    #[test]
    fn options_are_kuryrs_and_this_drivers() {
        let sent = json!({GENERIC: {"neutron.net.name": "n", "neutron.net.uuid": "u", "neutron.net.shared": "True",
            "neutron.subnet.uuid": "s", "security-groups": "web"}, "x": 1});
        let read = network_options(sent.as_object().unwrap()).unwrap();
        assert_eq!(json!(read), json!({GENERIC: {"network": "u", "shared": "true", "security-groups": "web"}, "x": 1}));
        assert!(network_options(json!({GENERIC: {"neutron.net.id": "u"}}).as_object().unwrap()).is_err());
        let sent = json!({"neutron.subnet.uuid": "s4", "neutron.subnet.v6.uuid": "s6", "neutron.pool.name": "p",
            "neutron.net.shared": "False"});
        let read = |v6| PoolOptions::read(sent.as_object().unwrap(), v6).unwrap();
        assert_eq!((read(false).subnet_id.as_deref(), read(false).pool.as_deref()), (Some("s4"), Some("p")));
        assert_eq!((read(true).subnet_id.as_deref(), read(true).pool), (Some("s6"), None));
        assert_eq!(read(true).shared, Some(false));
    }
}
