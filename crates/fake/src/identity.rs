//! Keystone: who may log in, and to which projects. Everybody is in the domain `Default`.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long tokens last unless a test wants it otherwise.
const LASTS: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
struct User {
    password: String,
    disabled: bool,
    /// Roles by project.
    roles: BTreeMap<String, Vec<String>>,
}

#[derive(Debug)]
struct Credential {
    name: String,
    user: String,
    project: String,
    secret: String,
}

/// Whom Keystone knows.
#[derive(Debug)]
pub struct Identity {
    users: BTreeMap<String, User>,
    credentials: BTreeMap<String, Credential>,
    lasts: Duration,
    down: bool,
}

/// Who logs in, with a project and roles if it is for one.
pub(crate) struct LoggedIn {
    pub user: String,
    pub project: Option<String>,
    pub roles: Vec<String>,
    pub lasts: Duration,
}

/// Who a request is from, by its token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub user: String,
    /// Id of the project.
    pub project: String,
}

impl Caller {
    pub fn of(who: &LoggedIn) -> Self {
        Self { user: who.user.clone(), project: who.project.as_deref().map(project_id).unwrap_or_default() }
    }

    pub fn token(&self) -> String {
        format!("secret/{}/{}", self.user, self.project)
    }

    /// Reads such a token; any other one is of `u` in project `p`.
    pub fn parse(token: &str) -> Self {
        let (user, project) = token.strip_prefix("secret/").and_then(|t| t.split_once('/')).unwrap_or(("u", "p1"));
        Self { user: user.to_owned(), project: project.to_owned() }
    }
}

/// Id of the project with a name.
pub(crate) fn project_id(name: &str) -> String {
    format!("{name}1")
}

impl Identity {
    /// One that knows `u` with the password `p`, admin of project `p`.
    pub(crate) fn new() -> Self {
        let mut identity = Self { users: BTreeMap::new(), credentials: BTreeMap::new(), lasts: LASTS, down: false };
        identity.add_user("u", "p");
        identity.grant("u", "p", &["admin", "member", "reader"]);
        identity
    }

    /// Adds a user without roles.
    pub fn add_user(&mut self, name: &str, password: &str) {
        self.users.insert(name.to_owned(), User { password: password.to_owned(), ..User::default() });
    }

    /// Gives a user roles on a project, in place of those before.
    pub fn grant(&mut self, user: &str, project: &str, roles: &[&str]) {
        if let Some(user) = self.users.get_mut(user) {
            user.roles.insert(project.to_owned(), roles.iter().map(|r| (*r).to_owned()).collect());
        }
    }

    /// Disables a user.
    pub fn disable(&mut self, user: &str) {
        self.users.get_mut(user).into_iter().for_each(|u| u.disabled = true);
    }

    /// Adds an application credential of a user; its id.
    pub fn add_credential(&mut self, user: &str, name: &str, project: &str, secret: &str) -> String {
        let id = format!("credential-{}", self.credentials.len() + 1);
        let [name, user, project, secret] = [name, user, project, secret].map(str::to_owned);
        self.credentials.insert(id.clone(), Credential { name, user, project, secret });
        id
    }

    /// Sets how long tokens last that are given from now on.
    pub fn tokens_last(&mut self, time: Duration) {
        self.lasts = time;
    }

    /// Whether Keystone answers nobody.
    pub fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down
    }

    /// Reads `POST /v3/auth/tokens`; nothing for whom it does not let in.
    pub(crate) fn log_in(&self, body: &Value) -> Option<LoggedIn> {
        let identity = &body["auth"]["identity"];
        let (name, project) = match identity["methods"][0].as_str()? {
            "password" => {
                let told = &identity["password"]["user"];
                let name = named(told)?;
                if self.users.get(&name)?.password != told["password"].as_str()? {
                    return None;
                }
                let scope = &body["auth"]["scope"]["project"];
                let by_id = || {
                    let id = scope["id"].as_str()?;
                    self.users.values().flat_map(|u| u.roles.keys()).find(|p| project_id(p) == id).cloned()
                };
                let project = named(scope).or_else(by_id);
                (name, if scope.is_null() { None } else { Some(project?) })
            }
            "application_credential" => {
                let told = &identity["application_credential"];
                let user = named(&told["user"]);
                let is = |(id, c): &(&String, &Credential)| match told["id"].as_str() {
                    Some(wanted) => *id == wanted,
                    None => told["name"] == c.name.as_str() && user.as_ref() == Some(&c.user),
                };
                let (_, credential) = self.credentials.iter().find(is)?;
                // It brings its project: another is refused.
                if credential.secret != told["secret"].as_str()? || !body["auth"]["scope"].is_null() {
                    return None;
                }
                (credential.user.clone(), Some(credential.project.clone()))
            }
            _ => return None,
        };
        let user = self.users.get(&name).filter(|u| !u.disabled)?;
        let roles = match &project {
            Some(project) => user.roles.get(project).filter(|r| !r.is_empty())?.clone(),
            None => Vec::new(),
        };
        Some(LoggedIn { user: name, project, roles, lasts: self.lasts })
    }
}

/// A name in the only domain.
fn named(of: &Value) -> Option<String> {
    let domain = &of["domain"];
    let known = domain["name"] == "Default" || domain["id"] == "default";
    if known { of["name"].as_str().map(str::to_owned) } else { None }
}

impl LoggedIn {
    /// The answer's token, but for the catalog.
    pub fn token(&self) -> Value {
        let domain = json!({"id": "default", "name": "Default"});
        let lasts = jiff::SignedDuration::try_from(self.lasts).unwrap_or(jiff::SignedDuration::MAX);
        let ends = jiff::Timestamp::now().checked_add(lasts).unwrap_or(jiff::Timestamp::MAX);
        let roles: Vec<Value> = self.roles.iter().map(|r| json!({"id": format!("role-{r}"), "name": r})).collect();
        let mut token = json!({
            "expires_at": ends.to_string(), "roles": roles,
            "user": {"id": format!("{}1", self.user), "name": self.user, "domain": domain},
        });
        if let Some(project) = &self.project {
            token["project"] = json!({"id": project_id(project), "name": project, "domain": domain});
        }
        token
    }
}
