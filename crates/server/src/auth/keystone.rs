//! Signing in with a cloud's Keystone: which clouds are asked, and what their roles may do here (ADR 5).
//!
//! Keystone is asked once, for a token for the project that somebody signs in to. What it says of them is kept
//! until that token's end at most; password, secret and token are dropped with the answer.

use super::{AttemptLimiter, Caller};
use crate::api_error::ApiError;
use axum::http::StatusCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stackyard_api::Role;
use stackyard_core::text::error_chain;
use stackyard_openstack::{Auth, Cloud, CloudConfig, Error, Options, Ref, RetryPolicy, Scope, Sources, Token};
use stackyard_store::Person;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a Keystone is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many people sign in at once; others wait.
const AT_ONCE: usize = 8;

/// A session lasts so many milliseconds at most, whatever Keystone's token does.
const LASTS: i64 = 24 * 3600 * 1000;

/// Who may sign in with Keystone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SignIn {
    /// Clouds whose Keystones are asked, by their names in clouds.yaml; without any, none is.
    pub clouds: Vec<String>,
    /// What a role of Keystone's may do here.
    pub roles: BTreeMap<String, Role>,
}

impl SignIn {
    /// What Keystone's own roles may do, unless told otherwise.
    pub fn usual_roles() -> BTreeMap<String, Role> {
        let usual = [("admin", Role::Admin), ("member", Role::Operator), ("reader", Role::Viewer)];
        usual.map(|(name, role)| (name.to_owned(), role)).into()
    }

    fn known(&self) -> String {
        self.roles.keys().cloned().collect::<Vec<_>>().join(", ")
    }
}

/// Somebody at the door.
pub(crate) struct KeystoneLogin {
    /// Which cloud; the only one if absent.
    pub cloud: Option<String>,
    /// Who, and how they prove it.
    pub auth: Auth,
    /// For which project.
    pub scope: Scope,
    /// Who, for people.
    pub shown: String,
    /// Where from.
    pub address: Option<IpAddr>,
}

/// The Keystones that are asked.
#[derive(Debug)]
pub(crate) struct Keystones {
    sources: Sources,
    rules: SignIn,
    /// Ids of the projects of entries of clouds.yaml, by what the entries say without their secrets.
    projects: Mutex<HashMap<String, String>>,
    turns: Semaphore,
}

/// A Keystone's address, however an entry of clouds.yaml spells it.
fn address(auth_url: &str) -> String {
    let bare = auth_url.trim_end_matches('/');
    bare.strip_suffix("/v3").unwrap_or(bare).trim_end_matches('/').to_owned()
}

/// A Keystone that does not answer is told soon: somebody waits.
async fn connect(mut config: CloudConfig) -> Result<Cloud, Error> {
    config.timeout = Some(PATIENCE);
    let retry = RetryPolicy { attempts: 2, longest_wait: Duration::from_secs(2), ..RetryPolicy::default() };
    Cloud::connect(config, Options { retry, ..Options::default() }).await
}

/// Why Keystone does not let somebody in. It does not tell strangers more, nor do we.
fn refusal(login: &KeystoneLogin, cloud: &str, error: &Error) -> ApiError {
    match error {
        Error::Api(said) if matches!(said.status, 401 | 403 | 404) => {
            let why = match &login.auth {
                Auth::Password { .. } => {
                    "user, password, project or domain is wrong, or the user is disabled or has no role on the project"
                }
                _ => "the application credential or its secret is wrong, or it has ended",
            };
            let detail = format!("Keystone of cloud {cloud} does not let {} in: {why} ({})", login.shown, said.message);
            ApiError::unauthorized(detail)
        }
        Error::Api(said) if said.status == 400 => ApiError::unprocessable(format!(
            "Keystone of cloud {cloud} cannot use what it was sent for {}: {}",
            login.shown, said.message
        )),
        Error::Api(said) if said.status == 429 => ApiError::too_many(
            format!("Keystone of cloud {cloud} limits the rate of requests: {}; try again later", said.message),
            60,
        ),
        other => {
            tracing::error!("signing {} in at cloud {cloud}: {}", login.shown, error_chain(other));
            silent(cloud)
        }
    }
}

fn silent(cloud: &str) -> ApiError {
    let detail = format!("Keystone of cloud {cloud} does not answer as it should; the server's log says more");
    ApiError::new(StatusCode::BAD_GATEWAY, detail)
}

impl Keystones {
    /// Those that `rules` name, found in `sources`.
    pub fn new(sources: Sources, rules: SignIn) -> Self {
        Self { sources, rules, projects: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }

    /// Clouds that people can sign in with.
    pub fn clouds(&self) -> &[String] {
        &self.rules.clouds
    }

    fn offered(&self, cloud: Option<&str>) -> Result<&str, ApiError> {
        let all = &self.rules.clouds;
        match (cloud, all.as_slice()) {
            (_, []) => Err(ApiError::conflict(
                "no user can sign in with Keystone: the server was not started with --sign-in-cloud",
            )),
            (None, [only]) => Ok(only),
            (None, _) => Err(ApiError::unprocessable(format!("say with which `cloud`: {}", all.join(", ")))),
            (Some(name), _) => all.iter().find(|c| *c == name).map(String::as_str).ok_or_else(|| {
                ApiError::unprocessable(format!(
                    "no user can sign in with cloud {name}; this server accepts {}",
                    all.join(", ")
                ))
            }),
        }
    }

    /// Asks Keystone to let somebody in. Refusals are counted by address.
    ///
    /// # Errors
    /// 401, 403, 409, 422, 429, 502, 503.
    pub async fn sign_in(
        &self,
        login: KeystoneLogin,
        limiter: &AttemptLimiter,
        now: i64,
    ) -> Result<(Person, Role), ApiError> {
        let check = || login.address.map_or(Ok(()), |a| limiter.check(a));
        check()?;
        let cloud = self.offered(login.cloud.as_deref())?.to_owned();
        let entry = CloudConfig::load_from(Some(&cloud), &self.sources).map_err(|e| {
            tracing::error!("signing {} in: {}", login.shown, error_chain(&e));
            let detail = format!("the server's clouds.yaml does not say where cloud {cloud} is; its log says more");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        })?;
        let keystone = address(&entry.auth_url);
        let config = CloudConfig { auth: login.auth.clone(), scope: login.scope.clone(), ..entry };
        // It goes with the server, not before.
        let _turn = self.turns.acquire().await.map_err(ApiError::internal)?;
        // Whoever waited may have failed meanwhile.
        check()?;
        let asked = async { connect(config).await?.token().await };
        let token = asked.await.map_err(|error| {
            let problem = refusal(&login, &cloud, &error);
            if problem.status == StatusCode::UNAUTHORIZED {
                tracing::warn!(address = ?login.address, "{}", problem.detail);
                login.address.iter().for_each(|a| limiter.failed(*a));
            }
            problem
        })?;
        self.person(cloud, keystone, &token, now).await
    }

    /// What somebody whom Keystone let in is here.
    async fn person(
        &self,
        cloud: String,
        keystone: String,
        token: &Token,
        now: i64,
    ) -> Result<(Person, Role), ApiError> {
        let name = format!("{}@{}", token.user.name, token.user_domain);
        let Some(project) = &token.project else {
            return Err(ApiError::unprocessable(format!("{name} signs in to no project; say which")));
        };
        let Some(role) = token.roles.iter().filter_map(|r| self.rules.roles.get(r)).max() else {
            return Err(ApiError::forbidden(format!(
                "{name} has the roles {} on project {}, and none of them may do anything here; those that may: {}",
                token.roles.join(", "),
                project.name,
                self.rules.known()
            )));
        };
        let mut person = Person {
            cloud,
            keystone,
            name,
            project: project.id.clone(),
            project_name: project.name.clone(),
            role: String::new(),
            expires: token.expires.as_millisecond().min(now + LASTS),
        };
        // The server is administered from the project that it works in itself, and from no other.
        let role = match role {
            Role::Admin if !self.reaches(&person, Some(&person.cloud)).await? => Role::Operator,
            role => *role,
        };
        person.role = role.name().to_owned();
        Ok((person, role))
    }

    /// Whether what the server does on a cloud is done in the project that a person signed in to. Without a
    /// name it is the cloud that variables and files point to.
    ///
    /// # Errors
    /// 502 if that cannot be told, since Keystone does not answer.
    pub async fn reaches(&self, person: &Person, cloud: Option<&str>) -> Result<bool, ApiError> {
        // What is not in clouds.yaml is nobody's.
        let Ok(config) = CloudConfig::load_from(cloud, &self.sources) else { return Ok(false) };
        if address(&config.auth_url) != person.keystone {
            return Ok(false);
        }
        Ok(self.project(config).await? == Some(person.project.clone()))
    }

    /// Id of the project of an entry of clouds.yaml; nothing if its credentials are not good.
    async fn project(&self, config: CloudConfig) -> Result<Option<String>, ApiError> {
        if let Scope::Project(Ref::Id(id)) = &config.scope {
            return Ok(Some(id.clone()));
        }
        let (name, entry) = (config.name.clone(), format!("{config:?}"));
        let known = self.projects.lock().get(&entry).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let asked = async { connect(config).await?.project_id().await };
        match asked.await {
            Ok(id) => {
                self.projects.lock().insert(entry, id.clone());
                Ok(Some(id))
            }
            Err(error @ (Error::Api(_) | Error::Config { .. })) => {
                tracing::warn!("whose cloud {name} is, is not known: {}", error_chain(&error));
                Ok(None)
            }
            Err(error) => {
                tracing::error!("whose cloud {name} is, is not known: {}", error_chain(&error));
                Err(silent(&name))
            }
        }
    }
}

impl Caller {
    /// Somebody who signed in with Keystone, by the SHA-256 of the session.
    ///
    /// # Errors
    /// 500.
    pub(crate) fn person(person: Person, session: String) -> Result<Self, ApiError> {
        Ok(Self::Person { role: super::role(&person.role)?, person, session })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_it_is_spelled() {
        for text in ["https://k.example/identity", "https://k.example/identity/", "https://k.example/identity/v3/"] {
            assert_eq!(address(text), "https://k.example/identity");
        }
        assert_ne!(address("http://k.example/identity"), address("https://k.example/identity"));
    }
}
