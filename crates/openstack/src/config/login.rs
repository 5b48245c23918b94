//! Who asks and for what: the login that an entry of clouds.yaml describes.

use super::entry::Entry;
use super::{Auth, CredentialRef, Domain, Scope};
use crate::error::{Error, Result};

/// The credentials. Without `auth_type`, the keys that are there decide.
///
/// # Errors
/// [`Error::Config`] if something is missing, or for another login.
pub(super) fn auth(e: &Entry<'_>) -> Result<Auth> {
    let has = |keys: &[&str]| e.text(keys).map(|text| text.is_some());
    let kind = match e.text(&["auth_type"])? {
        Some(kind) => kind,
        None if has(&["application_credential_id", "application_credential_name"])? => {
            "v3applicationcredential".to_owned()
        }
        None if has(&["token", "auth_token"])? && !has(&["password"])? => "token".to_owned(),
        None => "password".to_owned(),
    };
    let user = || e.reference("user", &["user_id"], &["username", "user_name"]);
    match kind.as_str() {
        "password" | "v3password" => Ok(Auth::Password {
            user: user()?
                .ok_or_else(|| Error::config(&e.place, "the user is missing (username or user_id)"))?,
            password: e.need(&["password"], "the password")?.into(),
        }),
        "v3applicationcredential" => {
            let id = match e.text(&["application_credential_id"])? {
                Some(id) => CredentialRef::Id(id),
                None => CredentialRef::Name(
                    e.need(&["application_credential_name"], "the application credential's name or id")?,
                    user()?.ok_or_else(|| {
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

/// What the token is for.
///
/// # Errors
/// [`Error::Config`] for more than one scope.
pub(super) fn scope(e: &Entry<'_>, auth: &Auth) -> Result<Scope> {
    if matches!(auth, Auth::ApplicationCredential { .. }) {
        return Ok(Scope::Default);
    }
    let domain = match (e.text(&["domain_id"])?, e.text(&["domain_name"])?) {
        (Some(id), _) => Some(Scope::Domain(Domain::Id(id))),
        (None, Some(name)) => Some(Scope::Domain(Domain::Name(name))),
        (None, None) => None,
    };
    let system = match e.text(&["system_scope"])? {
        Some(system) if system != "all" => {
            return Err(Error::config(&e.place, format!("system_scope {system:?} is not \"all\"")));
        }
        system => system.map(|_| Scope::System),
    };
    let project = e.reference("project", &["project_id", "tenant_id"], &["project_name", "tenant_name"])?;
    // With a project, a domain is that of the user and of the project.
    let domain = domain.filter(|_| project.is_none());
    let trust = e.text(&["trust_id"])?.map(Scope::Trust);
    let mut all = [trust, project.map(Scope::Project), system, domain].into_iter().flatten();
    match (all.next(), all.next()) {
        (Some(_), Some(_)) => Err(Error::config(
            &e.place,
            "a token is for one of project, domain, system and trust, and several are there",
        )),
        (scope, _) => Ok(scope.unwrap_or(Scope::Default)),
    }
}
