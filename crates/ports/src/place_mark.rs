//! Whose a resource is that a stand-alone agent made: the mark in its `description`.
//!
//! `PLACE/NETWORK` on networks, subnets, routers and ports, with Docker's id of the network;
//! `PLACE/NETWORK/ENDPOINT` on floating IPs. A place is a plugin on a host, `stackyard-docker:NAME@HOST`;
//! for containers that come by CNI `stackyard-cni:NAME@HOST`, with Neutron's id of the network.

/// By what ports are used. Neutron's distributed routers serve what begins with `compute:`.
pub const DEVICE_OWNER: &str = "compute:stackyard";

/// The mark of what belongs to a Docker network of a host.
pub fn of_network(place: &str, network: &str) -> String {
    format!("{place}/{network}")
}

/// The mark of what belongs to an endpoint.
pub fn of_endpoint(place: &str, network: &str, endpoint: &str) -> String {
    format!("{place}/{network}/{endpoint}")
}

/// Docker's id of the network in a mark of this place.
pub fn network<'a>(place: &str, description: &'a str) -> Option<&'a str> {
    let rest = description.strip_prefix(place)?.strip_prefix('/')?;
    rest.split('/').next().filter(|n| !n.is_empty())
}

/// Docker's id of the endpoint in a mark of this place.
pub fn endpoint<'a>(place: &str, description: &'a str) -> Option<&'a str> {
    let rest = description.strip_prefix(place)?.strip_prefix('/')?;
    rest.split_once('/')
        .map(|(_, e)| e)
        .filter(|e| !e.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_at_their_place_only() {
        assert_eq!(network("h", &of_network("h", "n")), Some("n"));
        assert_eq!(network("h", &of_endpoint("h", "n", "e")), Some("n"));
        assert_eq!(endpoint("h", &of_endpoint("h", "n", "e")), Some("e"));
        assert_eq!(endpoint("h", &of_network("h", "n")), None);
        assert_eq!(network("h", &of_network("h2", "n")), None);
        assert_eq!(
            network("stackyard-docker:h", "stackyard:yard/network/n"),
            None
        );
    }
}
