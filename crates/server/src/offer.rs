//! What a cloud has to choose from, for a first manifest.

use crate::error::Error;
use crate::steady::steady;
use futures_util::try_join;
use stackyard_openstack::{Cloud, Flavor, Image, Network, Resource};

/// What a cloud has to choose from; of each the first is the most sensible.
#[derive(Debug, Default)]
pub struct Offer {
    /// Flavors: name and what is in it. Those with a disk first, then the small ones.
    pub flavors: Vec<(String, String)>,
    /// Active images: name and size.
    pub images: Vec<(String, String)>,
    /// External networks.
    pub externals: Vec<(String, String)>,
}

impl Offer {
    /// Asks the cloud: three requests.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn of(cloud: &Cloud) -> Result<Self, Error> {
        let listed = try_join!(
            steady(|_| {}, async || cloud.list::<Flavor>(&[]).await),
            steady(|_| {}, async || cloud.list::<Image>(&[("status", "active")]).await),
            steady(|_| {}, async || cloud.list::<Network>(&[("router:external", "true")]).await),
        );
        let (mut flavors, mut images, externals) =
            listed.map_err(Error::cloud("asking what there is to choose from"))?;
        flavors.sort_by(|a, b| (a.disk == 0, a.ram, &a.name).cmp(&(b.disk == 0, b.ram, &b.name)));
        images.retain(|i| i.name.as_ref().is_some_and(|n| !n.is_empty()));
        images.sort_by(|a, b| a.name().cmp(b.name()));
        let flavor = |f: Flavor| {
            let what = format!("{} MiB, {} processors, disk of {} GiB", f.ram, f.vcpus, f.disk);
            (f.name, what)
        };
        let image = |i: Image| {
            let what = i.size.map(|s| format!("{} MiB", s >> 20)).unwrap_or_default();
            (i.name().to_owned(), what)
        };
        Ok(Self {
            flavors: flavors.into_iter().map(flavor).collect(),
            images: images.into_iter().map(image).collect(),
            externals: externals.into_iter().map(|n| (n.name, String::new())).collect(),
        })
    }
}
