//! EC2 credentials: what opens S3. They are made through Keystone's general credentials, since
//! there the access key is ours to choose and can carry a mark; the older OS-EC2 call picks one.

use serde::Deserialize;
use serde_json::json;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::identity::Credential;
use crate::secret::Secret;

/// An access key and its secret, for one user in one project.
#[derive(Debug, Clone)]
pub struct Ec2Credential {
    /// Id, by which it is removed.
    pub id: String,
    /// Access key.
    pub access: String,
    /// Secret key.
    pub secret: Secret,
}

impl Cloud {
    /// Makes a credential for the token's user and project.
    ///
    /// # Errors
    /// [`crate::Error::Api`]: 409 if there is one with this access key.
    pub async fn create_ec2_credential(&self, access: &str, secret: &Secret) -> Result<Ec2Credential> {
        #[derive(Deserialize)]
        struct Ec2CredentialResponse {
            credential: Credential,
        }
        let token = self.token().await?;
        let project = self.project_id().await?;
        let blob = json!({"access": access, "secret": secret.reveal()}).to_string();
        let body =
            json!({"credential": {"type": "ec2", "user_id": token.user.id, "project_id": project, "blob": blob}});
        let call = self.call(crate::Method::POST, Service::Identity, "/credentials").on("EC2 credential", access);
        let answer: Ec2CredentialResponse = call.json(&body).read().await?;
        Ok(Ec2Credential { id: answer.credential.id, access: access.to_owned(), secret: secret.clone() })
    }

    /// The user's own EC2 credentials.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn ec2_credentials(&self) -> Result<Vec<Ec2Credential>> {
        #[derive(Deserialize)]
        struct Ec2CredentialResponse {
            credentials: Vec<Credential>,
        }
        #[derive(Deserialize)]
        struct Blob {
            access: String,
            secret: Secret,
        }
        let user = self.token().await?.user.id.clone();
        let call = self.call(crate::Method::GET, Service::Identity, "/credentials").on("EC2 credentials", "");
        let answer: Ec2CredentialResponse = call.query("user_id", user).query("type", "ec2").read().await?;
        let read = |c: Credential| {
            let blob: Blob = serde_json::from_str(c.blob.reveal()).ok()?;
            Some(Ec2Credential { id: c.id, access: blob.access, secret: blob.secret })
        };
        Ok(answer.credentials.into_iter().filter_map(read).collect())
    }

    /// Removes one: whether it was there.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn delete_ec2_credential(&self, id: &str) -> Result<bool> {
        self.call(crate::Method::DELETE, Service::Identity, format!("/credentials/{}", segment(id)))
            .on("EC2 credential", id)
            .gone()
            .await
    }
}
