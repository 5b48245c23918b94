//! Yards and their secrets.

use super::{Client, ClientError};
use reqwest::Method;
use reqwest::header::{IF_MATCH, IF_NONE_MATCH};
use stackyard_api::{
    Graph, ManifestText, SecretValue, SecretView, YardRequest, YardScope, YardView, segment,
};
use stackyard_core::yard::Scope;
use std::collections::BTreeMap;

impl Client {
    /// All yards.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn yards(&self) -> Result<Vec<YardView>, ClientError> {
        self.list("/api/v1/yards", "listing yards").await
    }

    /// The manifest of a yard that was last applied, and its revision.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 404 if there is none.
    pub async fn yard(&self, yard: &str) -> Result<(String, i64), ClientError> {
        let doing = format!("asking for yard {yard}");
        let request = self.request(Method::GET, &format!("/api/v1/yards/{}", segment(yard)));
        let response = self.send(request, &doing).await?;
        let tag = response
            .headers()
            .get("etag")
            .and_then(|t| t.to_str().ok()?.trim_matches('"').parse().ok());
        let strange = |source| ClientError::Strange {
            doing: doing.clone(),
            server: self.shown().to_owned(),
            source,
        };
        Ok((
            response.text().await.map_err(strange)?,
            tag.unwrap_or_default(),
        ))
    }

    /// A manifest that a yard has or had, by its revision.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 404 if there is none.
    pub async fn manifest(&self, yard: &str, revision: i64) -> Result<ManifestText, ClientError> {
        let path = format!("/api/v1/yards/{}/manifests/{revision}", segment(yard));
        self.get(&path, &format!("asking for a manifest of yard {yard}"))
            .await
    }

    /// A yard as it is: what its cloud has, what its hosts run.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 404 if nothing is known of the yard.
    pub async fn graph(&self, yard: &str) -> Result<Graph, ClientError> {
        self.get(
            &format!("/api/v1/yards/{}/graph", segment(yard)),
            &format!("looking at yard {yard}"),
        )
        .await
    }

    /// Project and region of the yard of this name, if the server knows them.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn yard_scope(&self, yard: &str) -> Result<Option<Scope>, ClientError> {
        let path = format!("/api/v1/yards/{}/scope", segment(yard));
        let known: YardScope = self
            .get(&path, &format!("asking whose yard {yard} is"))
            .await?;
        Ok(known.scope.as_deref().and_then(Scope::parse))
    }

    /// Says which project and region a yard is in; the server takes it down if it knows none.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 409 if the yard of this name is in another.
    pub async fn take_yard_scope(&self, yard: &str, scope: &Scope) -> Result<(), ClientError> {
        let body = YardScope {
            scope: Some(scope.to_string()),
        };
        let request = self
            .request(
                Method::PUT,
                &format!("/api/v1/yards/{}/scope", segment(yard)),
            )
            .json(&body);
        self.send(request, &format!("saying whose yard {yard} is"))
            .await
            .map(drop)
    }

    /// Keeps the manifest of a yard, whose revision must be `at` if that is given (0: there must be
    /// none).
    ///
    /// # Errors
    /// [`ClientError`]; its status is 412 if the revision is another.
    pub async fn keep_yard(
        &self,
        yard: &str,
        manifest: &str,
        at: Option<i64>,
    ) -> Result<YardView, ClientError> {
        self.keep_yard_with(yard, manifest, BTreeMap::new(), at)
            .await
    }

    /// As [`Client::keep_yard`], with the files that the manifest names: text by path.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 412 if the revision is another.
    pub async fn keep_yard_with(
        &self,
        yard: &str,
        manifest: &str,
        files: BTreeMap<String, String>,
        at: Option<i64>,
    ) -> Result<YardView, ClientError> {
        let wish = YardRequest {
            manifest: Some(manifest.to_owned()),
            files,
            ..YardRequest::default()
        };
        let request = self.request(Method::PUT, &format!("/api/v1/yards/{}", segment(yard)));
        let request = match at {
            Some(0) => request.header(IF_NONE_MATCH, "*"),
            Some(revision) => request.header(IF_MATCH, format!("\"{revision}\"")),
            None => request,
        };
        self.json(request.json(&wish), &format!("keeping yard {yard}"))
            .await
    }

    /// Forgets that there is a yard; its secrets stay.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 404 if there was none.
    pub async fn yard_is_gone(&self, yard: &str) -> Result<(), ClientError> {
        let path = format!("/api/v1/yards/{}?record=true", segment(yard));
        self.delete(&path, &format!("forgetting yard {yard}")).await
    }

    /// Forgets a yard and its secrets.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 409 while the yard has hosts or stacks.
    pub async fn forget_yard(&self, yard: &str) -> Result<(), ClientError> {
        self.delete(
            &format!("/api/v1/yards/{}", segment(yard)),
            &format!("forgetting yard {yard}"),
        )
        .await
    }

    /// Names of a yard's secrets.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn secrets(&self, yard: &str) -> Result<Vec<SecretView>, ClientError> {
        self.list(
            &format!("/api/v1/yards/{}/secrets", segment(yard)),
            &format!("listing the secrets of {yard}"),
        )
        .await
    }

    /// The value of a secret; over the socket alone.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 404 if there is none.
    pub async fn secret(&self, yard: &str, name: &str) -> Result<String, ClientError> {
        let secret: SecretValue = self
            .get(
                &secret_path(yard, name),
                &format!("reading secret {name} of {yard}"),
            )
            .await?;
        Ok(secret.value)
    }

    /// Sets a secret.
    ///
    /// # Errors
    /// [`ClientError`]
    pub async fn set_secret(&self, yard: &str, name: &str, value: &str) -> Result<(), ClientError> {
        let request = self
            .request(Method::PUT, &secret_path(yard, name))
            .json(&SecretValue {
                value: value.to_owned(),
            });
        self.send(request, &format!("setting secret {name} of {yard}"))
            .await
            .map(drop)
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// [`ClientError`]; its status is 404 if there is none.
    pub async fn remove_secret(&self, yard: &str, name: &str) -> Result<(), ClientError> {
        self.delete(
            &secret_path(yard, name),
            &format!("removing secret {name} of {yard}"),
        )
        .await
    }
}

fn secret_path(yard: &str, name: &str) -> String {
    format!("/api/v1/yards/{}/secrets/{}", segment(yard), segment(name))
}
