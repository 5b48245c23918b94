//! Glance images.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::{Error, Result};
use crate::resource::{ByName, Kind, Resource};

/// An image.
#[derive(Debug, Clone, Deserialize)]
pub struct Image {
    /// Id.
    pub id: String,
    /// Name.
    #[serde(default)]
    pub name: Option<String>,
    /// `queued`, `saving`, `active`, `killed`, `deactivated` ...
    #[serde(default)]
    pub status: String,
    /// Size, in bytes.
    #[serde(default)]
    pub size: Option<u64>,
    /// Smallest disk, in GiB.
    #[serde(default)]
    pub min_disk: u64,
    /// Least memory, in MiB.
    #[serde(default)]
    pub min_ram: u64,
    /// `public`, `private`, `shared`, `community`.
    #[serde(default)]
    pub visibility: String,
    /// Everything else, the image's own properties among it.
    #[serde(flatten)]
    pub properties: BTreeMap<String, Value>,
}

/// An image to create. Its content follows with [`Cloud::upload_image`].
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewImage {
    /// Name.
    pub name: String,
    /// `qcow2`, `raw` ...
    pub disk_format: String,
    /// `bare` ...
    pub container_format: String,
    /// `public` (administrators), `private`, `shared`, `community`.
    pub visibility: String,
    /// Smallest disk, in GiB.
    pub min_disk: u64,
    /// Least memory, in MiB.
    pub min_ram: u64,
    /// Properties; where Stackyard puts its mark.
    #[serde(flatten)]
    pub properties: BTreeMap<String, String>,
}

impl Resource for Image {
    type New = NewImage;
    const KIND: Kind = Kind {
        service: Service::Image,
        noun: "image",
        path: "/images",
        list: "",
        one: "",
        many: "images",
        by_name: ByName::Query,
        microversion: None,
    };
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
    fn status(&self) -> &str {
        &self.status
    }
}

impl Image {
    /// A property as text.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str)
    }
}

impl Cloud {
    /// Sets fields of an image that has them: `name`, `visibility` ...
    ///
    /// # Errors
    /// [`Error::Api`], [`Error::Transport`], [`Error::Decode`].
    pub async fn change_image(&self, image: &str, fields: &[(&str, &str)]) -> Result<Image> {
        let change =
            |(field, value): &(&str, &str)| json!({"op": "replace", "path": format!("/{field}"), "value": value});
        let call = self.call(crate::Method::PATCH, Service::Image, format!("/images/{}", segment(image)));
        let call = call.on("image", image).json(&fields.iter().map(change).collect::<Vec<_>>()).idempotent();
        call.header("content-type", "application/openstack-images-v2.1-json-patch").read().await
    }

    /// Sends an image its content from a file. `progress` is told the bytes sent so far, from 0
    /// again where it had to be begun anew.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Api`]: 409 if the image has content already.
    pub async fn upload_image(
        &self,
        image: &str,
        file: &Path,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<()> {
        let trouble = |source| Error::File { action: "read", path: file.to_owned(), source };
        let size = std::fs::metadata(file).map_err(trouble)?.len();
        let path = file.to_owned();
        let progress = Arc::new(progress);
        let make = move || {
            let progress = progress.clone();
            let mut sent = 0;
            let opened = std::fs::File::open(&path)
                .map(|f| ReaderStream::with_capacity(tokio::fs::File::from_std(f), 256 << 10));
            let stream = futures_util::stream::once(std::future::ready(opened)).try_flatten().inspect(move |chunk| {
                if let Ok(bytes) = chunk {
                    sent += bytes.len() as u64;
                    progress(sent);
                }
            });
            reqwest::Body::wrap_stream(stream)
        };
        let call = self.call(crate::Method::PUT, Service::Image, format!("/images/{}/file", segment(image)));
        // With a length it is not chunked, which not every WSGI server in front of Glance takes.
        call.on("image", image).header("content-length", size.to_string()).stream(make).done().await
    }
}
