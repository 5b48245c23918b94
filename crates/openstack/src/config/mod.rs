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
mod files;
mod regions;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use edit::{CloudEntry, remove_cloud, upsert_cloud};
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
        let there = |value| Entry { place: String::new(), value }.text(&["auth_url"]).is_some();
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
            endpoint_overrides: BTreeMap::new(),
            timeout: None,
        }
    }
}

/// Keys that count outside of `auth` before those in it (openstacksdk, `_fix_backwards_auth`); all others count in
/// `auth` first (`_validate_auth`).
const OUTER: [&str; 12] = [
    "domain_id",
    "domain_name",
    "user_domain_id",
    "user_domain_name",
    "project_domain_id",
    "project_domain_name",
    "project_id",
    "project_name",
    "tenant_id",
    "tenant_name",
    "token",
    "auth_token",
];

/// Looks keys up in `auth` and next to it.
struct Entry<'a> {
    place: String,
    value: &'a Value,
}

impl Entry<'_> {
    fn text(&self, keys: &[&str]) -> Option<String> {
        let auth = self.value.get("auth");
        keys.iter().find_map(|key| {
            let (inner, outer) = (auth.and_then(|a| a.get(key)), self.value.get(key));
            let found = if OUTER.contains(key) { outer.or(inner) } else { inner.or(outer) }?;
            found.text().filter(|t| !t.is_empty()).map(str::to_owned)
        })
    }

    fn need(&self, keys: &[&str], what: &str) -> Result<String> {
        self.text(keys).ok_or_else(|| Error::config(&self.place, format!("{what} is missing ({})", keys[0])))
    }

    fn domain(&self, of: &str) -> Option<Domain> {
        let own = |k: &str| self.text(&[&format!("{of}_domain_{k}"), &format!("domain_{k}")]);
        own("id").map(Domain::Id).or_else(|| own("name").map(Domain::Name)).or_else(|| {
            self.text(&["default_domain_id"])
                .map(Domain::Id)
                .or_else(|| self.text(&["default_domain_name", "default_domain"]).map(Domain::Name))
        })
    }

    fn reference(&self, of: &str, ids: &[&str], names: &[&str]) -> Option<Ref> {
        if let Some(id) = self.text(ids) {
            return Some(Ref::Id(id));
        }
        let name = self.text(names)?;
        Some(Ref::Name { name, domain: self.domain(of).unwrap_or_else(|| Domain::Id("default".to_owned())) })
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.text(&[key]) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" => Ok(Some(false)),
            _ => Err(Error::config(&self.place, format!("{key} is {text:?}, neither true nor false"))),
        }
    }
}

fn read(name: &str, place: &str, value: &Value, region: Option<&str>) -> Result<CloudConfig> {
    let (region, value) = &regions::choose(name, place, value.clone(), region)?;
    let e = Entry { place: place.to_owned(), value };
    if let Some(profile) = e.text(&["profile", "cloud"])
        && e.text(&["auth_url"]).is_none()
    {
        return Err(Error::config(place, format!("vendor profile {profile:?} is not supported")).with_hint(
            "write the profile's auth_url and region_name into the entry, or the profile into clouds-public.yaml",
        ));
    }
    let auth_url = expanded(&e.need(&["auth_url"], "Keystone's address")?, region.as_deref());
    let (_, rest) = auth_url.split_once("://").unwrap_or_default();
    if !(auth_url.starts_with("http://") || auth_url.starts_with("https://")) || rest.is_empty() {
        return Err(Error::config(place, format!("auth_url {auth_url:?} is no http address")));
    }
    let interface = match e.text(&["interface", "endpoint_type"]).as_deref().map(|s| s.trim_end_matches("URL")) {
        None | Some("public") => Interface::Public,
        Some("internal") => Interface::Internal,
        Some("admin") => Interface::Admin,
        Some(other) => {
            return Err(Error::config(place, format!("interface {other:?} is none of public, internal, admin")));
        }
    };
    let timeout = match e.text(&["api_timeout"]) {
        None => None,
        Some(text) => {
            match text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).filter(|d| !d.is_zero()) {
                Some(duration) => Some(duration),
                None => return Err(Error::config(place, format!("api_timeout {text:?} is no number of seconds"))),
            }
        }
    };
    let auth = auth(&e)?;
    let scope = scope(&e, &auth)?;
    Ok(CloudConfig {
        name: name.to_owned(),
        auth_url,
        auth,
        scope,
        region: region.clone(),
        interface,
        cacert: e.text(&["cacert"]).map(files::expand),
        client_cert: e.text(&["cert"]).map(|cert| {
            let key = e.text(&["key"]).map_or_else(|| files::expand(cert.clone()), files::expand);
            (files::expand(cert), key)
        }),
        verify: e.flag("verify")?.unwrap_or(true) && !e.flag("insecure")?.unwrap_or(false),
        endpoint_overrides: value
            .keys()
            .iter()
            .filter_map(|key| {
                let service = key.strip_suffix("_endpoint_override").or_else(|| key.strip_suffix("_endpoint"))?;
                let url = value.get(key)?.text()?;
                Some((service.to_owned(), expanded(url, region.as_deref())))
            })
            .collect(),
        timeout,
    })
}

fn auth(e: &Entry<'_>) -> Result<Auth> {
    let credential = e.text(&["application_credential_id", "application_credential_name"]).is_some();
    let kind = e.text(&["auth_type", "auth_plugin"]).unwrap_or_else(|| match () {
        () if credential => "v3applicationcredential".to_owned(),
        () if e.text(&["token", "auth_token"]).is_some() && e.text(&["password"]).is_none() => "token".to_owned(),
        () => "password".to_owned(),
    });
    match kind.as_str() {
        "password" | "v3password" => Ok(Auth::Password {
            user: e
                .reference("user", &["user_id"], &["username", "user_name"])
                .ok_or_else(|| Error::config(&e.place, "the user is missing (username or user_id)"))?,
            password: e.need(&["password"], "the password")?.into(),
        }),
        "v3applicationcredential" => {
            let id = match e.text(&["application_credential_id"]) {
                Some(id) => CredentialRef::Id(id),
                None => CredentialRef::Name(
                    e.need(&["application_credential_name"], "the application credential's name or id")?,
                    e.reference("user", &["user_id"], &["username", "user_name"]).ok_or_else(|| {
                        Error::config(&e.place, "an application credential by name needs its user (username or user_id)")
                    })?,
                ),
            };
            Ok(Auth::ApplicationCredential {
                id,
                secret: e.need(&["application_credential_secret"], "the application credential's secret")?.into(),
            })
        }
        "token" | "v3token" => Ok(Auth::Token(e.need(&["token", "auth_token"], "the token")?.into())),
        other => Err(Error::config(&e.place, format!("auth_type {other:?} is not supported"))
            .with_hint("supported are password, v3applicationcredential and token; `openstack token issue` gets one by any other way")),
    }
}

fn scope(e: &Entry<'_>, auth: &Auth) -> Result<Scope> {
    if matches!(auth, Auth::ApplicationCredential { .. }) {
        return Ok(Scope::Default);
    }
    let domain = match (e.text(&["domain_id"]), e.text(&["domain_name"])) {
        (Some(id), _) => Some(Scope::Domain(Domain::Id(id))),
        (None, Some(name)) => Some(Scope::Domain(Domain::Name(name))),
        (None, None) => None,
    };
    let system = match e.text(&["system_scope"]) {
        Some(system) if system != "all" => {
            return Err(Error::config(&e.place, format!("system_scope {system:?} is not \"all\"")));
        }
        system => system.map(|_| Scope::System),
    };
    let project = e.reference("project", &["project_id", "tenant_id"], &["project_name", "tenant_name"]);
    // With a project, a domain is that of the user and of the project.
    let domain = domain.filter(|_| project.is_none());
    let trust = e.text(&["trust_id"]).map(Scope::Trust);
    let mut all = [trust, project.map(Scope::Project), system, domain].into_iter().flatten();
    match (all.next(), all.next()) {
        (Some(_), Some(_)) => Err(Error::config(
            &e.place,
            "a token is for one of project, domain, system and trust, and several are there",
        )),
        (scope, _) => Ok(scope.unwrap_or(Scope::Default)),
    }
}

/// An address with the region in it.
fn expanded(address: &str, region: Option<&str>) -> String {
    address.replace("{region_name}", region.unwrap_or_default())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
