//! Tokens: Keystone's v3 request in every form, and what its answer says.
//! <https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management>

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::catalog::Catalog;
use crate::config::{Auth, CloudConfig, CredentialRef, Domain, Ref, Scope};
use crate::json;
use crate::secret::Secret;

/// A token and what came with it.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token itself.
    pub(crate) secret: Secret,
    /// When it ends.
    pub expires: Timestamp,
    /// Who.
    pub user: Named,
    /// Name of the user's domain; empty where Keystone does not tell.
    pub user_domain: String,
    /// The project, if it is for one.
    pub project: Option<Named>,
    /// Names of the roles there.
    pub roles: Vec<String>,
    /// How many access rules limit what it may be used for; none if 0.
    pub(crate) access_rules: usize,
    /// The cloud's services.
    pub(crate) catalog: Catalog,
}

/// Id and name of a user or project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: String,
}

impl Token {
    /// Whether it ends within a minute, which a request may take.
    pub(crate) fn is_stale(&self) -> bool {
        self.expires.duration_since(Timestamp::now()).as_secs() < 60
    }

    /// Reads the answer's body.
    pub(crate) fn read(secret: String, body: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct AuthResponse {
            token: Inner,
        }
        #[derive(Deserialize)]
        struct User {
            #[serde(flatten)]
            named: Named,
            domain: Option<Named>,
        }
        #[derive(Default, Deserialize)]
        struct Credential {
            #[serde(default)]
            access_rules: Vec<serde::de::IgnoredAny>,
        }
        #[derive(Deserialize)]
        struct Inner {
            expires_at: Timestamp,
            user: User,
            project: Option<Named>,
            #[serde(default)]
            roles: Vec<Named>,
            #[serde(default)]
            application_credential: Credential,
            #[serde(default)]
            catalog: Catalog,
        }
        let AuthResponse { token } = json::read(body).map_err(|e| e.to_string())?;
        Ok(Self {
            secret: secret.into(),
            expires: token.expires_at,
            user: token.user.named,
            user_domain: token.user.domain.map(|d| d.name).unwrap_or_default(),
            project: token.project,
            roles: token.roles.into_iter().map(|r| r.name).collect(),
            access_rules: token.application_credential.access_rules.len(),
            catalog: token.catalog,
        })
    }
}

/// Body of POST /v3/auth/tokens.
pub(crate) fn request(config: &CloudConfig) -> Value {
    let identity = match &config.auth {
        Auth::Password { user, password } => {
            let mut user = reference(user);
            user["password"] = password.reveal().into();
            json!({"methods": ["password"], "password": {"user": user}})
        }
        Auth::ApplicationCredential { id, secret } => {
            let mut credential = match id {
                CredentialRef::Id(id) => json!({"id": id}),
                CredentialRef::Name(name, user) => json!({"name": name, "user": reference(user)}),
            };
            credential["secret"] = secret.reveal().into();
            json!({"methods": ["application_credential"], "application_credential": credential})
        }
        Auth::Token(token) => json!({"methods": ["token"], "token": {"id": token.reveal()}}),
    };
    let mut auth = json!({"identity": identity});
    match &config.scope {
        Scope::Project(project) => auth["scope"] = json!({"project": reference(project)}),
        Scope::Domain(domain) => auth["scope"] = json!({"domain": self::domain(domain)}),
        Scope::System => auth["scope"] = json!({"system": {"all": true}}),
        Scope::Trust(id) => auth["scope"] = json!({"OS-TRUST:trust": {"id": id}}),
        Scope::Default => {}
    }
    json!({"auth": auth})
}

fn reference(of: &Ref) -> Value {
    match of {
        Ref::Id(id) => json!({"id": id}),
        Ref::Name { name, domain } => json!({"name": name, "domain": self::domain(domain)}),
    }
}

fn domain(of: &Domain) -> Value {
    match of {
        Domain::Id(id) => json!({"id": id}),
        Domain::Name(name) => json!({"name": name}),
    }
}
