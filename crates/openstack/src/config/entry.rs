//! One entry of clouds.yaml: keys in `auth` and next to it, and what their values may be.

use std::collections::BTreeMap;
use std::time::Duration;

use super::yaml::Value;
use super::{Domain, Interface, Ref};
use crate::error::{Error, Result};

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

/// Keys that name the project.
const PROJECT: [&str; 4] = ["project_id", "tenant_id", "project_name", "tenant_name"];

/// What keys of `auth` name by `_id` or `_name`.
const SUBJECTS: [&str; 8] = [
    "application_credential",
    "default_domain",
    "domain",
    "project",
    "project_domain",
    "tenant",
    "user",
    "user_domain",
];

/// The other keys of `auth`.
const AUTH_KEYS: [&str; 8] =
    ["auth_url", "auth_token", "password", "passcode", "system_scope", "token", "trust_id", "username"];

/// Looks keys up in `auth` and next to it.
pub(super) struct Entry<'a> {
    /// File and cloud, for errors.
    pub place: String,
    /// The entry.
    pub value: &'a Value,
}

impl Entry<'_> {
    /// Checks what no key's own reader sees.
    ///
    /// # Errors
    /// [`Error::Config`] for an entry or an `auth` that is no mapping, and for a region of one service: a yard is in one
    /// region.
    pub fn check(&self) -> Result<()> {
        if !matches!(self.value, Value::Map(_)) {
            return Err(Error::config(&self.place, format!("the entry is {}, not a mapping", self.value.kind())));
        }
        if let Some(auth) = self.value.get("auth").filter(|auth| !matches!(auth, Value::Map(_))) {
            return Err(Error::config(&self.place, format!("auth is {}, not a mapping", auth.kind())));
        }
        match self.of_services(&["_region_name"], |key| self.text(&[key]))?.into_iter().next() {
            Some((service, region)) => {
                let message =
                    format!("{service}_region_name is {region:?}: one service in another region is not supported");
                Err(Error::config(&self.place, message).with_hint(format!("set {service}_endpoint_override instead")))
            }
            None => Ok(()),
        }
    }

    /// Checks that some login uses each key of `auth`.
    ///
    /// # Errors
    /// [`Error::Config`] for another key, such as a typo.
    pub fn check_keys(&self) -> Result<()> {
        let subject = |key: &str| {
            let (subject, part) = key.rsplit_once('_').unwrap_or_default();
            match part {
                "id" | "name" => SUBJECTS.contains(&subject),
                "secret" => subject == "application_credential",
                "domain" => subject == "default",
                _ => false,
            }
        };
        let keys = self.value.get("auth").map(Value::keys).unwrap_or_default();
        match keys.iter().find(|key| !subject(key) && !AUTH_KEYS.contains(&key.as_str())) {
            Some(key) => Err(Error::config(&self.place, format!("auth has the key {key:?}, which no login uses"))),
            None => Ok(()),
        }
    }

    /// The first of `keys` that has a text. Null and the empty text are like a key that is not there.
    ///
    /// # Errors
    /// [`Error::Config`] for a list or a mapping.
    pub fn text(&self, keys: &[&str]) -> Result<Option<String>> {
        let auth = self.value.get("auth");
        let inner = |key: &&str| Some(((*key).to_owned(), auth?.get(key)?));
        let outer = |key: &&str| Some(((*key).to_owned(), self.value.get(key)?));
        let places: Vec<_> = if keys.iter().any(|key| OUTER.contains(key)) {
            keys.iter().flat_map(|key| [outer(key), inner(key)]).collect()
        } else {
            keys.iter().map(inner).chain(keys.iter().map(outer)).collect()
        };
        for (key, value) in places.into_iter().flatten() {
            match value.text() {
                Some("") => {}
                Some(text) => return Ok(Some(text.to_owned())),
                None => return Err(Error::config(&self.place, format!("{key} is {}, not a text", value.kind()))),
            }
        }
        Ok(None)
    }

    /// As [`Self::text`], for what must be there.
    pub fn need(&self, keys: &[&str], what: &str) -> Result<String> {
        self.text(keys)?.ok_or_else(|| Error::config(&self.place, format!("{what} is missing ({})", keys[0])))
    }

    /// The domain of the user or project (`of`), where an id counts before a name. `domain_id` and `domain_name` are for
    /// both if there is a project; without one they are the scope.
    fn domain(&self, of: &str) -> Result<Option<Domain>> {
        let scoped = self.text(&PROJECT)?.is_some();
        let find = |part: &str| {
            let own = self.text(&[&format!("{of}_domain_{part}")])?;
            let both = if scoped { self.text(&[&format!("domain_{part}")])? } else { None };
            Ok::<_, Error>(own.or(both).or(self.text(&[&format!("default_domain_{part}")])?))
        };
        Ok(match find("id")? {
            Some(id) => Some(Domain::Id(id)),
            None => find("name")?.or(self.text(&["default_domain"])?).map(Domain::Name),
        })
    }

    /// The user or project (`of`) by one of the keys `ids` or `names`.
    pub fn reference(&self, of: &str, ids: &[&str], names: &[&str]) -> Result<Option<Ref>> {
        if let Some(id) = self.text(ids)? {
            return Ok(Some(Ref::Id(id)));
        }
        let Some(name) = self.text(names)? else { return Ok(None) };
        let domain = self.domain(of)?.unwrap_or_else(|| Domain::Id("default".to_owned()));
        Ok(Some(Ref::Name { name, domain }))
    }

    /// A key that is true or false.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(text) = self.text(&[key])? else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(Some(true)),
            "false" | "no" | "off" | "0" => Ok(Some(false)),
            _ => Err(Error::config(&self.place, format!("{key} is {text:?}, neither true nor false"))),
        }
    }

    /// The first of `keys` that names an interface.
    pub fn interface(&self, keys: &[&str]) -> Result<Option<Interface>> {
        let Some(word) = self.text(keys)? else { return Ok(None) };
        Interface::of(&word)
            .map(Some)
            .ok_or_else(|| Error::config(&self.place, format!("interface {word:?} is none of public, internal, admin")))
    }

    /// Longest time for one request. A key such as `compute_timeout` counts before `api_timeout`, and for all services.
    pub fn timeout(&self) -> Result<Option<Duration>> {
        let keys = self.value.keys();
        let of_service =
            keys.iter().rfind(|key| key.ends_with("timeout") && *key != "timeout" && *key != "api_timeout");
        let key = of_service.map_or("api_timeout", String::as_str);
        let Some(text) = self.text(&[key])? else { return Ok(None) };
        match text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).filter(|d| !d.is_zero()) {
            Some(duration) => Ok(Some(duration)),
            None => Err(Error::config(&self.place, format!("{key} {text:?} is no number of seconds"))),
        }
    }

    /// Values of the keys that are a service type and one of `suffixes`, by service type. A later suffix counts before an
    /// earlier one.
    pub fn of_services<T>(
        &self,
        suffixes: &[&str],
        read: impl Fn(&str) -> Result<Option<T>>,
    ) -> Result<BTreeMap<String, T>> {
        let keys = self.value.keys();
        let mut found = BTreeMap::new();
        for suffix in suffixes {
            for key in &keys {
                if let Some(service) = key.strip_suffix(suffix)
                    && let Some(value) = read(key)?
                {
                    found.insert(service.to_owned(), value);
                }
            }
        }
        Ok(found)
    }
}
