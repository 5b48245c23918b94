//! Keystone's catalog: where a service is.
//!
//! A catalog's address may lack the version, name it, or name version and project. Where it lacks
//! the version, the usual one is appended: every release since 2015 serves it there, and asking the
//! service's version document first would cost a request for each service of each run. Services
//! that moved on (microversions) are asked when they refuse, see [`crate::Cloud`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::config::Interface;

/// A service of OpenStack that this client has calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Keystone.
    Identity,
    /// Glance.
    Image,
    /// Nova.
    Compute,
    /// Cinder.
    Volume,
    /// Neutron.
    Network,
    /// Swift.
    ObjectStore,
    /// Octavia.
    LoadBalancer,
    /// Heat.
    Orchestration,
    /// Placement.
    Placement,
    /// Manila.
    SharedFileSystem,
}

impl Service {
    /// The official type, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Image => "image",
            Self::Compute => "compute",
            Self::Volume => "volume",
            Self::Network => "network",
            Self::ObjectStore => "object-store",
            Self::LoadBalancer => "load-balancer",
            Self::Orchestration => "orchestration",
            Self::Placement => "placement",
            Self::SharedFileSystem => "shared-file-system",
        }
    }

    /// Types under which catalogs and clouds.yaml list it, the best first.
    /// <https://service-types.openstack.org/>
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::Identity => &["identity"],
            Self::Image => &["image"],
            Self::Compute => &["compute"],
            Self::Volume => &["block-storage", "volumev3", "volume", "block-store"],
            Self::Network => &["network"],
            Self::ObjectStore => &["object-store"],
            Self::LoadBalancer => &["load-balancer"],
            Self::Orchestration => &["orchestration"],
            Self::Placement => &["placement"],
            Self::SharedFileSystem => &["shared-file-system", "sharev2", "share"],
        }
    }

    /// What is appended to an address without a version.
    fn version(self, project: Option<&str>) -> Option<String> {
        let project = project.unwrap_or_default();
        Some(match self {
            Self::Identity => "v3".to_owned(),
            Self::Image | Self::SharedFileSystem => "v2".to_owned(),
            Self::Compute => "v2.1".to_owned(),
            Self::Network | Self::LoadBalancer => "v2.0".to_owned(),
            Self::Volume => format!("v3/{project}"),
            Self::Orchestration => format!("v1/{project}"),
            Self::ObjectStore => format!("v1/AUTH_{project}"),
            Self::Placement => return None,
        })
    }

    /// What configuration sets for this service, under any of its types.
    pub(crate) fn setting_in<T>(self, settings: &BTreeMap<String, T>) -> Option<&T> {
        self.types().iter().find_map(|t| settings.get(&t.replace('-', "_")))
    }

    /// The headers that ask for microversion `version`.
    pub(crate) fn microversion_headers(self, version: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![("openstack-api-version", format!("{} {version}", self.name()))];
        match self {
            Self::Compute => headers.push(("x-openstack-nova-api-version", version.to_owned())),
            Self::SharedFileSystem => headers.push(("x-openstack-manila-api-version", version.to_owned())),
            _ => {}
        }
        headers
    }
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The services of a token.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Catalog(Vec<Entry>);

#[derive(Debug, Clone, Deserialize)]
struct Entry {
    r#type: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Deserialize)]
struct Endpoint {
    interface: String,
    url: String,
    region: Option<String>,
    region_id: Option<String>,
}

/// Region of an endpoint that serves all of them, in catalogs of some public clouds.
const EVERYWHERE: &str = "*";

/// The regions in which a service is, where none of them is chosen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SeveralRegions(pub Vec<String>);

impl Endpoint {
    fn is_in(&self, region: &str) -> bool {
        [&self.region_id, &self.region].into_iter().flatten().any(|r| r == region)
    }

    fn region(&self) -> Option<&str> {
        self.region_id.as_deref().or(self.region.as_deref())
    }
}

impl Catalog {
    fn endpoint(
        &self,
        service: Service,
        interface: Interface,
        region: Option<&str>,
    ) -> Result<Option<&Endpoint>, SeveralRegions> {
        for wanted in service.types() {
            let of_type = self.0.iter().filter(|e| e.r#type == *wanted).flat_map(|e| &e.endpoints);
            let all: Vec<&Endpoint> = of_type.filter(|e| e.interface == interface.word()).collect();
            let found = match region {
                Some(region) => {
                    let find = |region| all.iter().find(|e| e.is_in(region));
                    find(region).or_else(|| find(EVERYWHERE))
                }
                None => {
                    let regions = regions(all.iter().copied());
                    if regions.len() > 1 {
                        return Err(SeveralRegions(regions));
                    }
                    all.iter().min_by_key(|e| e.is_in(EVERYWHERE))
                }
            };
            if let Some(found) = found {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The address of `service`, as the catalog has it.
    ///
    /// # Errors
    /// The service's regions, if there are several and `region` names none: which of them comes first is chance.
    pub fn find(
        &self,
        service: Service,
        interface: Interface,
        region: Option<&str>,
    ) -> Result<Option<&str>, SeveralRegions> {
        Ok(self.endpoint(service, interface, region)?.map(|e| e.url.as_str()))
    }

    /// Id of the region of the endpoint that [`Self::find`] finds, if the catalog says.
    ///
    /// # Errors
    /// As of [`Self::find`].
    pub fn region_of(
        &self,
        service: Service,
        interface: Interface,
        region: Option<&str>,
    ) -> Result<Option<&str>, SeveralRegions> {
        let found = self.endpoint(service, interface, region)?.and_then(Endpoint::region);
        Ok(if found == Some(EVERYWHERE) { None } else { found })
    }

    /// For an error: the regions, if `region` is none of them, else the services.
    pub fn known(&self, region: Option<&str>) -> String {
        let regions = regions(self.0.iter().flat_map(|e| &e.endpoints));
        match region {
            Some(region) if !regions.is_empty() && !regions.iter().any(|r| r == region) => {
                format!("the regions {}", regions.join(", "))
            }
            _ => self.services(),
        }
    }

    fn services(&self) -> String {
        let mut types: Vec<_> = self.0.iter().map(|e| e.r#type.as_str()).collect();
        types.sort_unstable();
        types.dedup();
        types.join(", ")
    }
}

/// The regions of endpoints, each once, sorted.
fn regions<'e>(endpoints: impl Iterator<Item = &'e Endpoint>) -> Vec<String> {
    let all: BTreeSet<&str> = endpoints.filter_map(Endpoint::region).filter(|r| *r != EVERYWHERE).collect();
    all.into_iter().map(str::to_owned).collect()
}

/// Brings an address into the form that paths are appended to: with version, without slash.
pub(crate) fn normal(service: Service, url: &str, project: Option<&str>) -> String {
    let url = url.trim_end_matches('/');
    let path = url.split_once("://").map_or(url, |(_, rest)| rest);
    let versioned = path.split('/').skip(1).any(is_version);
    match service.version(project) {
        Some(version) if !versioned => format!("{url}/{}", version.trim_end_matches('/')),
        // Keystone's v2 has been gone since 2018, but addresses with it live on.
        _ if service == Service::Identity && url.ends_with("/v2.0") => format!("{}v3", url.trim_end_matches("v2.0")),
        _ => url.to_owned(),
    }
}

pub(crate) fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.chars().all(|c| c.is_ascii_digit() || c == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_their_version() {
        let cases = [
            (Service::Network, "http://c:9696/", "http://c:9696/v2.0"),
            (Service::Network, "http://c/networking", "http://c/networking/v2.0"),
            (Service::Network, "http://c:9696/v2.0", "http://c:9696/v2.0"),
            (Service::Compute, "http://c:8774/v2.1/p1", "http://c:8774/v2.1/p1"),
            (Service::Volume, "http://c:8776", "http://c:8776/v3/p1"),
            (Service::Volume, "http://c:8776/v3/p1", "http://c:8776/v3/p1"),
            (Service::Identity, "http://c:5000/v2.0", "http://c:5000/v3"),
            (Service::Identity, "http://c/identity", "http://c/identity/v3"),
            (Service::Placement, "http://c/placement", "http://c/placement"),
            (Service::ObjectStore, "http://c/v1/AUTH_p1", "http://c/v1/AUTH_p1"),
            (Service::Image, "https://v2.example:9292", "https://v2.example:9292/v2"),
        ];
        for (service, url, wanted) in cases {
            assert_eq!(normal(service, url, Some("p1")), wanted);
        }
    }

    #[test]
    fn settings_are_found_under_every_type_the_official_first() {
        let settings = |keys: &[&'static str]| keys.iter().map(|key| ((*key).to_owned(), *key)).collect();
        let find = |keys: &[&'static str]| Service::Volume.setting_in(&settings(keys)).copied();
        assert_eq!(find(&["volume", "volumev3", "block_storage", "network"]), Some("block_storage"));
        assert_eq!((find(&["volumev3"]), find(&["network"])), (Some("volumev3"), None));
        assert_eq!(Service::LoadBalancer.setting_in(&settings(&["load_balancer"])), Some(&"load_balancer"));
    }

    #[test]
    fn endpoints_by_region_and_interface() {
        let catalog: Catalog = serde_json::from_str(
            r#"[{"type": "volumev2", "endpoints": []},
                {"type": "block-storage", "name": "cinder", "endpoints": [
                  {"interface": "public", "url": "http://a", "region": "one", "region_id": "one", "id": "1"},
                  {"interface": "internal", "url": "http://i", "region": "one", "region_id": "one", "id": "2"},
                  {"interface": "public", "url": "http://b", "region": "two", "region_id": null, "id": "3"}]}]"#,
        )
        .expect("catalog");
        let find = |interface, region| catalog.find(Service::Volume, interface, region);
        let several = || SeveralRegions(vec!["one".to_owned(), "two".to_owned()]);
        assert_eq!(find(Interface::Public, None), Err(several()));
        assert_eq!(find(Interface::Public, Some("one")), Ok(Some("http://a")));
        assert_eq!(find(Interface::Public, Some("two")), Ok(Some("http://b")));
        // There is only one region with such an endpoint.
        assert_eq!(find(Interface::Internal, None), Ok(Some("http://i")));
        assert_eq!(find(Interface::Internal, Some("one")), Ok(Some("http://i")));
        assert_eq!(find(Interface::Admin, None), Ok(None));
        let region = |region| catalog.region_of(Service::Volume, Interface::Public, region);
        assert_eq!(
            (region(None), region(Some("two")), region(Some("six"))),
            (Err(several()), Ok(Some("two")), Ok(None))
        );
        assert_eq!(catalog.known(None), "block-storage, volumev2");
        assert_eq!(catalog.known(Some("two")), "block-storage, volumev2");
        assert_eq!(catalog.known(Some("six")), "the regions one, two");
    }

    #[test]
    fn an_endpoint_of_all_regions_is_in_each() {
        let catalog: Catalog = serde_json::from_str(
            r#"[{"type": "object-store", "endpoints": [
                  {"interface": "public", "url": "http://all", "region": "*", "region_id": "*"},
                  {"interface": "public", "url": "http://own", "region": "one", "region_id": "one"}]}]"#,
        )
        .expect("catalog");
        let find = |region| catalog.find(Service::ObjectStore, Interface::Public, region);
        assert_eq!((find(Some("one")), find(None)), (Ok(Some("http://own")), Ok(Some("http://own"))));
        assert_eq!(find(Some("two")), Ok(Some("http://all")));
        assert_eq!(catalog.region_of(Service::ObjectStore, Interface::Public, Some("two")), Ok(None));
    }
}
