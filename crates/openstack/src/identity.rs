//! Keystone: projects, users, roles and who has which.

use serde::Deserialize;
use serde_json::json;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::resource::{ByName, Kind, Resource, request};
use crate::secret::Secret;

/// A project.
#[derive(Debug, Clone, Deserialize)]
pub struct Project {
    /// Id.
    pub id: String,
    /// Name, unique in its domain.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: String,
    /// Its domain's id.
    #[serde(default)]
    pub domain_id: String,
}

request! {
    /// A project to create.
    NewProject {
        /// Name.
        name: String,
        /// Free text; where Stackyard puts its mark.
        description: String,
        /// Its domain's id.
        domain_id: String,
    }
}

/// A user.
#[derive(Debug, Clone, Deserialize)]
pub struct User {
    /// Id.
    pub id: String,
    /// Name, unique in its domain.
    pub name: String,
    /// Free text.
    #[serde(default)]
    pub description: Option<String>,
}

/// A user to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Name.
    pub name: String,
    /// Password.
    pub password: Secret,
    /// Free text; where Stackyard puts its mark.
    pub description: String,
    /// Its domain's id.
    pub domain_id: String,
}

impl serde::Serialize for NewUser {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = json!({
            "name": self.name, "password": self.password.reveal(),
            "description": self.description, "domain_id": self.domain_id,
        });
        body.serialize(serializer)
    }
}

/// A role.
#[derive(Debug, Clone, Deserialize)]
pub struct Role {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
}

request! {
    /// A role to create.
    NewRole {
        /// Name.
        name: String,
        /// Free text.
        description: String,
    }
}

/// Credentials of a kind that Keystone keeps for others, as EC2's.
#[derive(Debug, Clone, Deserialize)]
pub struct Credential {
    /// Id.
    pub id: String,
    /// `ec2`, `totp` ...
    pub r#type: String,
    /// Its content; for `ec2` JSON with `access` and `secret`.
    pub blob: Secret,
    /// The user's id.
    pub user_id: String,
}

const fn kind(noun: &'static str, path: &'static str, one: &'static str, many: &'static str) -> Kind {
    Kind { service: Service::Identity, noun, path, list: "", one, many, by_name: ByName::Query, microversion: None }
}

impl Resource for Project {
    type New = NewProject;
    const KIND: Kind = kind("project", "/projects", "project", "projects");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}

impl Resource for User {
    type New = NewUser;
    const KIND: Kind = kind("user", "/users", "user", "users");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}

impl Resource for Role {
    type New = NewRole;
    const KIND: Kind = kind("role", "/roles", "role", "roles");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}

impl Cloud {
    /// Gives a user a role in a project; having it already is fine.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn grant(&self, project: &str, user: &str, role: &str) -> Result<()> {
        let path = format!("/projects/{}/users/{}/roles/{}", segment(project), segment(user), segment(role));
        self.call(crate::Method::PUT, Service::Identity, path).on("role assignment", role).done().await
    }

    /// Names of the roles that a user has in a project.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn roles_of(&self, project: &str, user: &str) -> Result<Vec<Role>> {
        #[derive(Deserialize)]
        struct IdentityResponse {
            roles: Vec<Role>,
        }
        let path = format!("/projects/{}/users/{}/roles", segment(project), segment(user));
        Ok(self
            .call(crate::Method::GET, Service::Identity, path)
            .on("roles", "")
            .read::<IdentityResponse>()
            .await?
            .roles)
    }
}
