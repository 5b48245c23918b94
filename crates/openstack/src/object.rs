//! Swift: the account, containers, objects.
//! <https://docs.openstack.org/api-ref/object-store/>

use reqwest::Method;
use serde::Deserialize;

use crate::call::{path, segment};
use crate::catalog::Service;
use crate::cloud::Cloud;
use crate::error::Result;

/// A container, as the account lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Objects in it.
    pub count: u64,
    /// Their size, in bytes.
    pub bytes: u64,
}

/// An object, as its container lists it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    /// Name, slashes and all.
    pub name: String,
    /// Size, in bytes.
    pub bytes: u64,
    /// MD5 of the content in hexadecimal (of a large object: of its parts' sums).
    pub hash: String,
}

/// Entries of one page of a listing.
const PAGE: usize = 10_000;

impl Cloud {
    /// The account's containers whose names start with `prefix`.
    ///
    /// # Errors
    /// [`crate::Error::Api`] and as of any call.
    pub async fn containers(&self, prefix: &str) -> Result<Vec<Container>> {
        self.listing("", "containers", prefix, |c: &Container| &c.name).await
    }

    /// A container's objects whose names start with `prefix`.
    ///
    /// # Errors
    /// As of [`Cloud::containers`].
    pub async fn objects(&self, container: &str, prefix: &str) -> Result<Vec<Object>> {
        self.listing(&format!("/{}", segment(container)), "objects", prefix, |o: &Object| &o.name).await
    }

    /// Makes a container, if it is not there.
    ///
    /// # Errors
    /// As of [`Cloud::containers`].
    pub async fn create_container(&self, container: &str) -> Result<()> {
        self.object_call(Method::PUT, container, None).done().await
    }

    /// Removes an empty container: whether it was there.
    ///
    /// # Errors
    /// As of [`Cloud::containers`]; 409 if it is not empty.
    pub async fn delete_container(&self, container: &str) -> Result<bool> {
        self.object_call(Method::DELETE, container, None).gone().await
    }

    /// Writes an object.
    ///
    /// # Errors
    /// As of [`Cloud::containers`].
    pub async fn put_object(&self, container: &str, object: &str, content: Vec<u8>) -> Result<()> {
        self.object_call(Method::PUT, container, Some(object)).bytes(content).done().await
    }

    /// Reads an object.
    ///
    /// # Errors
    /// As of [`Cloud::containers`].
    pub async fn get_object(&self, container: &str, object: &str) -> Result<Vec<u8>> {
        Ok(self.object_call(Method::GET, container, Some(object)).fetch().await?.1)
    }

    /// Removes an object: whether it was there.
    ///
    /// # Errors
    /// As of [`Cloud::containers`].
    pub async fn delete_object(&self, container: &str, object: &str) -> Result<bool> {
        self.object_call(Method::DELETE, container, Some(object)).gone().await
    }

    fn object_call(&self, method: Method, container: &str, object: Option<&str>) -> crate::call::Call<'_> {
        match object {
            Some(object) => {
                let to = format!("/{}/{}", segment(container), path(object));
                self.call(method, Service::ObjectStore, to).on("object", &format!("{container}/{object}"))
            }
            None => {
                self.call(method, Service::ObjectStore, format!("/{}", segment(container))).on("container", container)
            }
        }
    }

    async fn listing<T: serde::de::DeserializeOwned>(
        &self,
        at: &str,
        noun: &str,
        prefix: &str,
        name: impl Fn(&T) -> &str,
    ) -> Result<Vec<T>> {
        let mut all: Vec<T> = Vec::new();
        loop {
            let mut call = self
                .call(Method::GET, Service::ObjectStore, at)
                .on(noun, "")
                .query("format", "json")
                .query("limit", PAGE.to_string());
            if !prefix.is_empty() {
                call = call.query("prefix", prefix);
            }
            if let Some(last) = all.last() {
                call = call.query("marker", name(last));
            }
            let page: Vec<T> = call.read().await?;
            // A cluster may set a smaller page: only an empty one is surely the last.
            if page.is_empty() {
                return Ok(all);
            }
            let short = page.len() < 1000;
            all.extend(page);
            if short {
                return Ok(all);
            }
        }
    }
}
