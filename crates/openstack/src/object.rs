//! Swift: the account, containers, objects.
//! <https://docs.openstack.org/api-ref/object-store/>

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;

use crate::catalog::Service;
use crate::cloud::{Cloud, path, segment};
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

/// A container's headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerDetail {
    /// Objects in it.
    pub count: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// Who may read it, as `.r:*,.rlistings`.
    pub read: String,
    /// Metadata, its keys in lower case.
    pub metadata: BTreeMap<String, String>,
}

/// Before the key of a container's metadata.
const META: &str = "x-container-meta-";

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

    /// A container's headers, or `None` if it is not there.
    ///
    /// # Errors
    /// As of [`Cloud::containers`].
    pub async fn container(&self, container: &str) -> Result<Option<ContainerDetail>> {
        let headers = match self.object_call(Method::HEAD, container, None).fetch().await {
            Ok((headers, _)) => headers,
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(e),
        };
        let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let number = |name: &str| text(name).parse().unwrap_or_default();
        let metadata = headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix(META)?.to_owned(), value.to_str().ok()?.to_owned()))
        });
        Ok(Some(ContainerDetail {
            count: number("x-container-object-count"),
            bytes: number("x-container-bytes-used"),
            read: text("x-container-read"),
            metadata: metadata.collect(),
        }))
    }

    /// Makes a container with metadata and, if said, who may read it. One that is there gets these.
    ///
    /// # Errors
    /// As of [`Cloud::containers`].
    pub async fn put_container(
        &self,
        container: &str,
        read: Option<&str>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let call = self.object_call(Method::PUT, container, None);
        described(call, read, metadata).done().await
    }

    /// Changes metadata and, if said, who may read a container; what is empty is removed.
    ///
    /// # Errors
    /// As of [`Cloud::containers`].
    pub async fn change_container(
        &self,
        container: &str,
        read: Option<&str>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        // A POST, but one that does the same each time.
        let call = self.object_call(Method::POST, container, None).idempotent();
        described(call, read, metadata).done().await
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

    fn object_call(&self, method: Method, container: &str, object: Option<&str>) -> crate::cloud::Call<'_> {
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

/// Adds what a container is to carry.
fn described<'a>(
    call: crate::cloud::Call<'a>,
    read: Option<&str>,
    metadata: &BTreeMap<String, String>,
) -> crate::cloud::Call<'a> {
    let call = match read {
        Some("") => call.header("x-remove-container-read", "x"),
        Some(read) => call.header("x-container-read", read),
        None => call,
    };
    metadata.iter().fold(call, |call, (key, value)| match value.as_str() {
        "" => call.header(format!("x-remove-container-meta-{key}"), "x"),
        value => call.header(format!("{META}{key}"), value),
    })
}
