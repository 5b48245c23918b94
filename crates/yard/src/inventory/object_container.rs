//! Containers of objects that carry a mark.

use crate::retry::retry_question;
use futures_util::{StreamExt, TryStreamExt, stream};
use stackyard_core::yard::{Kind, Mark, Scope};
use stackyard_openstack::{Cloud, ContainerDetail, Error, Result};

/// A container whose name is a mark.
#[derive(Debug)]
pub struct StoredContainer {
    /// Its name in the cloud.
    pub name: String,
    /// What is in it, and what it carries.
    pub detail: ContainerDetail,
}

/// Requests at once.
const PARALLEL: usize = 8;

impl StoredContainer {
    /// One request for the names, one for each container with a mark of `scope`: listings show no metadata.
    pub(super) async fn take(cloud: &Cloud, scope: &Scope) -> Result<Vec<Self>> {
        let named = retry_question(cloud, async || match cloud.containers("stackyard_").await {
            // An account that was never used.
            Err(e) if e.is_not_found() => Ok(Vec::new()),
            other => other,
        });
        let names = named.await?.into_iter().map(|c| c.name);
        let names = names
            .filter(|n| Mark::parse_name(Kind::ObjectContainer, n).is_some_and(|m| m.is_in(scope)));
        let looked = stream::iter(names).map(|name| async {
            let detail = retry_question(cloud, async || cloud.container(&name).await).await?;
            Ok::<_, Error>(detail.map(|detail| Self { name, detail }))
        });
        let looked: Vec<Option<Self>> = looked.buffered(PARALLEL).try_collect().await?;
        Ok(looked.into_iter().flatten().collect())
    }
}
