//! Neutron's tags (extension `standard-attr-tag`): words on networks, subnets, subnet pools, ports ...

use serde::Deserialize;
use serde_json::json;

use crate::Method;
use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;
use crate::resource::Resource;

impl Cloud {
    /// Whether requests that make something may have tags in their body (extension `tag-creation`); else
    /// they are set afterwards.
    ///
    /// # Errors
    /// [`crate::Error::Api`], [`crate::Error::Transport`]; so for all of these.
    pub async fn takes_tags(&self) -> Result<bool> {
        self.has_extension("tag-creation").await
    }

    /// Whether Neutron has an extension, by its alias.
    pub async fn has_extension(&self, alias: &str) -> Result<bool> {
        #[derive(Deserialize)]
        struct TagResponse {
            extensions: Vec<Extension>,
        }
        #[derive(Deserialize)]
        struct Extension {
            alias: String,
        }
        let call = self.call(Method::GET, Service::Network, "/extensions").on("extensions", "");
        Ok(call.read::<TagResponse>().await?.extensions.iter().any(|e| e.alias == alias))
    }

    /// Gives one a tag that it may have already.
    pub async fn add_tag<T: Resource>(&self, id: &str, tag: &str) -> Result<()> {
        let path = format!("{}/{}/tags/{}", T::KIND.path, segment(id), segment(tag));
        self.call(Method::PUT, T::KIND.service, path).on(T::KIND.noun, id).done().await
    }

    /// Takes a tag from one; whether it had it.
    pub async fn remove_tag<T: Resource>(&self, id: &str, tag: &str) -> Result<bool> {
        let path = format!("{}/{}/tags/{}", T::KIND.path, segment(id), segment(tag));
        self.call(Method::DELETE, T::KIND.service, path).on(T::KIND.noun, id).gone().await
    }

    /// Makes these all the tags that one has.
    pub async fn set_tags<T: Resource>(&self, id: &str, tags: &[String]) -> Result<()> {
        let path = format!("{}/{}/tags", T::KIND.path, segment(id));
        let call = self.call(Method::PUT, T::KIND.service, path).on(T::KIND.noun, id);
        call.json(&json!({"tags": tags})).done().await
    }
}
