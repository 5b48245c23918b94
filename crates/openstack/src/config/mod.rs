//! What is known about a cloud before anybody talks to it: an entry of clouds.yaml or the OS_*
//! variables, read as os-client-config reads them.
//!
//! Which cloud, in this order: the name asked for; `OS_CLOUD`; the OS_* variables if they hold an
//! address; the only entry of clouds.yaml. Which file: `OS_CLIENT_CONFIG_FILE`, else the first
//! `clouds.yaml` (or .yml, .json) in `.`, the user's and the system's openstack folder. Over it goes
//! `secure.yaml` from the same places, and under it the profile that it names in `clouds-public.yaml`. Vendor profiles
//! that openstacksdk brings are not supported and said so.
//!
//! `OS_REGION_NAME` chooses among the regions of an entry. Without it the first of `regions` is taken.

mod edit;
mod entry;
mod files;
mod login;
mod regions;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use edit::{CloudEntry, remove_cloud, upsert_cloud};
use entry::Entry;
pub use files::Sources;
use yaml::Value;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// How to reach one cloud.
#[derive(Debug, Clone)]
pub struct CloudConfig {
    /// Name of the entry, `envvars` for the OS_* variables.
    pub name: String,
    /// Keystone's address, with or without version.
    pub auth_url: String,
    /// Who asks.
    pub auth: Auth,
    /// For what.
    pub scope: Scope,
    /// Region; without one the catalog must have a service in one region only.
    pub region: Option<String>,
    /// Which of a service's endpoints.
    pub interface: Interface,
    /// PEM file with CAs that are trusted beside the system's.
    pub cacert: Option<PathBuf>,
    /// PEM files of a client certificate and its key.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// Whether certificates are checked.
    pub verify: bool,
    /// Which endpoints of services that differ from `interface`, by service type with underscores.
    pub interfaces: BTreeMap<String, Interface>,
    /// Endpoints that replace the catalog's, by service type with underscores, as `load_balancer`.
    pub endpoint_overrides: BTreeMap<String, String>,
    /// Longest time for one request, where set.
    pub timeout: Option<Duration>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    /// User and password.
    Password {
        /// The user.
        user: Ref,
        /// Its password.
        password: Secret,
    },
    /// Application credential; it brings its own project.
    ApplicationCredential {
        /// By id, or by name within a user.
        id: CredentialRef,
        /// Its secret.
        secret: Secret,
    },
    /// A token that somebody else got. It cannot be renewed.
    Token(Secret),
}

/// A name in a domain, or an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ref {
    /// An id.
    Id(String),
    /// A name within a domain.
    Name {
        /// The name.
        name: String,
        /// Its domain.
        domain: Domain,
    },
}

/// An application credential by id, or by name within a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialRef {
    /// Its id.
    Id(String),
    /// Its name and user.
    Name(String, Ref),
}

/// A domain by name or id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A project.
    Project(Ref),
    /// A domain.
    Domain(Domain),
    /// The whole cloud.
    System,
    /// A trust.
    Trust(String),
    /// Whatever the credential says.
    Default,
}

/// Which of a service's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interface {
    /// For users.
    #[default]
    Public,
    /// For services.
    Internal,
    /// For administrators, where it still differs.
    Admin,
}

impl Interface {
    /// The catalog's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    /// The interface of a word in clouds.yaml; `publicURL` is Keystone v2's word.
    fn of(word: &str) -> Option<Self> {
        [Self::Public, Self::Internal, Self::Admin].into_iter().find(|i| i.word() == word.trim_end_matches("URL"))
    }
}

impl CloudConfig {
    /// Reads the configuration of `name`, or of the cloud that files and variables of this process
    /// point to.
    ///
    /// # Errors
    /// [`Error::Config`] naming the file or variable.
    pub fn load(name: Option<&str>) -> Result<Self> {
        Self::load_from(name, &Sources::of_process())
    }

    /// The same from given places.
    ///
    /// # Errors
    /// As of [`CloudConfig::load`].
    pub fn load_from(name: Option<&str>, sources: &Sources) -> Result<Self> {
        let chosen = name.map(str::to_owned).or_else(|| sources.var("OS_CLOUD"));
        let variables = sources.variables();
        let envvars = sources.var("OS_CLOUD_NAME").unwrap_or_else(|| "envvars".to_owned());
        let region = sources.var("OS_REGION_NAME");
        let files = sources.clouds()?;
        let read = |name: &str, place: &str, entry: &Value| read(name, place, entry, region.as_deref());
        match (chosen, variables) {
            (Some(n), Some(vars)) if n == envvars && files.get(&n).is_none() => read(&n, "OS_* variables", &vars),
            (Some(n), _) => match files.get(&n) {
                Some(entry) => read(&n, &files.place(&n), entry),
                None => Err(files.missing(&n)),
            },
            (None, Some(vars)) => read(&envvars, "OS_* variables", &vars),
            (None, None) => match files.names().as_slice() {
                [only] => {
                    files.get(only).map_or_else(|| Err(files.missing(only)), |e| read(only, &files.place(only), e))
                }
                [] => Err(files.missing("")),
                many => Err(Error::config(files.file(), "there are several clouds and none is chosen")
                    .with_hint(format!("choose one with --cloud or OS_CLOUD: {}", many.join(", ")))),
            },
        }
    }

    /// Names of the clouds that [`CloudConfig::load_from`] finds in given places, sorted, and the file
    /// that it reads.
    ///
    /// # Errors
    /// As of [`CloudConfig::load`].
    pub fn names(sources: &Sources) -> Result<(Vec<String>, Option<PathBuf>)> {
        let files = sources.clouds()?;
        let mut names = files.names();
        // One that only secure.yaml has is none.
        let there = |value| Entry { place: String::new(), value }.text(&["auth_url"]).is_ok_and(|url| url.is_some());
        names.retain(|name| files.get(name).is_some_and(there));
        if sources.variables().is_some() {
            names.push(sources.var("OS_CLOUD_NAME").unwrap_or_else(|| "envvars".to_owned()));
        }
        names.sort();
        names.dedup();
        Ok((names, files.path().map(Path::to_owned)))
    }

    /// A cloud that is known without any file: what `cloud up` uses.
    pub fn from_entry(name: &str, entry: &CloudEntry) -> Self {
        let domain = Domain::Name(entry.domain_name.clone());
        Self {
            name: name.to_owned(),
            auth_url: entry.auth_url.clone(),
            auth: Auth::Password {
                user: Ref::Name { name: entry.username.clone(), domain: domain.clone() },
                password: entry.password.clone(),
            },
            scope: Scope::Project(Ref::Name { name: entry.project_name.clone(), domain }),
            region: Some(entry.region_name.clone()),
            interface: Interface::Public,
            cacert: entry.cacert.as_ref().map(PathBuf::from),
            client_cert: None,
            verify: true,
            interfaces: BTreeMap::new(),
            endpoint_overrides: BTreeMap::new(),
            timeout: None,
        }
    }
}

/// Reads an entry. `region` is the one that OS_REGION_NAME names.
fn read(name: &str, place: &str, value: &Value, region: Option<&str>) -> Result<CloudConfig> {
    let e = Entry { place: place.to_owned(), value };
    e.check()?;
    if let Some(profile) = e.text(&["profile", "cloud"])?
        && (e.text(&["auth_url"])?.is_none() || regions::KEYS.iter().all(|key| value.get(key).is_none()))
    {
        return Err(Error::config(place, format!("vendor profile {profile:?} is not supported")).with_hint(
            "write the profile's auth_url and region_name into the entry, or the profile into clouds-public.yaml",
        ));
    }
    let (region, value) = &regions::choose(name, place, value.clone(), region)?;
    let e = Entry { place: place.to_owned(), value };
    e.check()?;
    let auth = login::auth(&e)?;
    e.check_keys()?;
    let auth_url = expanded(&e.need(&["auth_url"], "Keystone's address")?, region.as_deref());
    let (_, rest) = auth_url.split_once("://").unwrap_or_default();
    if !(auth_url.starts_with("http://") || auth_url.starts_with("https://")) || rest.is_empty() {
        return Err(Error::config(place, format!("auth_url {auth_url:?} is no http address")));
    }
    let verify = e.flag("verify")?.unwrap_or(true) && !e.flag("insecure")?.unwrap_or(false);
    let scope = login::scope(&e, &auth)?;
    Ok(CloudConfig {
        name: name.to_owned(),
        auth_url,
        auth,
        scope,
        region: region.clone(),
        interface: e.interface(&["endpoint_type", "interface"])?.unwrap_or_default(),
        cacert: e.text(&["cacert"])?.filter(|_| verify).map(files::expand),
        client_cert: match e.text(&["cert"])? {
            Some(cert) => Some((files::expand(cert.clone()), files::expand(e.text(&["key"])?.unwrap_or(cert)))),
            None => None,
        },
        verify,
        interfaces: e.of_services(&["_interface", "_endpoint_type"], |key| e.interface(&[key]))?,
        endpoint_overrides: e.of_services(&["_endpoint", "_endpoint_override"], |key| {
            Ok(e.text(&[key])?.map(|url| expanded(&url, region.as_deref())))
        })?,
        timeout: e.timeout()?,
    })
}

/// An address with the region in it.
fn expanded(address: &str, region: Option<&str>) -> String {
    address.replace("{region_name}", region.unwrap_or_default())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
