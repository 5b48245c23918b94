//! What a cloud has to choose from, for a first manifest.

use crate::error::Error;
use crate::steady::steady;
use futures_util::try_join;
use serde::{Deserialize, Serialize};
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{Cloud, Flavor, Image, Keypair, Network, Resource, Service};
use utoipa::ToSchema;

/// Something to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub what: String,
    /// Processors of a flavor.
    pub vcpus: u32,
    /// Disk in GiB: of a flavor what it has (0 is no limit), of an image what it needs.
    pub disk: u64,
    /// Memory in MiB: of a flavor what it has, of an image what it needs.
    pub ram: u64,
    /// Size of an image in bytes, if the cloud tells.
    pub size: Option<u64>,
    /// MTU of a network in bytes, if the cloud tells.
    pub mtu: Option<u32>,
    /// A network is another project's, which shares it.
    pub shared: bool,
}

/// What a cloud has to choose from; of each the first is the most sensible. What belongs to a yard is not
/// in it.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// Flavors and what is in them. Those with a disk first, then the small ones.
    pub flavors: Vec<Offered>,
    /// Active images and their sizes.
    pub images: Vec<Offered>,
    /// External networks.
    pub externals: Vec<Offered>,
    /// Networks that servers can be in.
    pub networks: Vec<Offered>,
    /// The user's keypairs.
    pub keypairs: Vec<Offered>,
    /// Whether there are load balancers.
    pub balances: bool,
    /// Whether there is an object store.
    pub stores: bool,
}

impl Offer {
    /// The flavors on which a server from `image` can be; all of them if none fits, or if there is no such image.
    pub fn flavors_for(&self, image: Option<&str>) -> Vec<Offered> {
        let needs = self.images.iter().find(|i| Some(i.name.as_str()) == image);
        let fits = |f: &&Offered| needs.is_none_or(|i| (f.disk == 0 || f.disk >= i.disk) && f.ram >= i.ram);
        let fitting: Vec<Offered> = self.flavors.iter().filter(fits).cloned().collect();
        if fitting.is_empty() { self.flavors.clone() } else { fitting }
    }

    /// Asks the cloud: four requests.
    ///
    /// # Errors
    /// [`Error::Cloud`]
    pub async fn of(cloud: &Cloud) -> Result<Self, Error> {
        let listed = try_join!(
            steady(|_| {}, async || cloud.list::<Flavor>(&[]).await),
            steady(|_| {}, async || cloud.list::<Image>(&[("status", "active")]).await),
            steady(|_| {}, async || cloud.list::<Network>(&[]).await),
            steady(|_| {}, async || cloud.list::<Keypair>(&[]).await),
            cloud.project_id(),
            cloud.has(Service::LoadBalancer),
            cloud.has(Service::ObjectStore),
        );
        let (mut flavors, mut images, networks, keypairs, project, balances, stores) =
            listed.map_err(Error::cloud("asking what there is to choose from"))?;
        flavors.sort_by(|a, b| (a.disk == 0, a.ram, &a.name).cmp(&(b.disk == 0, b.ram, &b.name)));
        images.retain(|i| i.name.as_ref().is_some_and(|n| !n.is_empty()));
        images.sort_by(|a, b| a.name().cmp(b.name()));
        let flavor = |f: Flavor| {
            let what = format!("{} MiB, {} processors, disk of {} GiB", f.ram, f.vcpus, f.disk);
            Offered { name: f.name, what, vcpus: f.vcpus, disk: f.disk, ram: f.ram, ..Offered::default() }
        };
        let image = |i: Image| {
            let what = i.size.map(|s| format!("{} MiB", s >> 20)).unwrap_or_default();
            let (name, size) = (i.name().to_owned(), i.size);
            Offered { name, what, size, disk: i.min_disk, ram: i.min_ram, ..Offered::default() }
        };
        let (externals, mut networks): (Vec<_>, Vec<_>) = networks.into_iter().partition(|n| n.external);
        networks.retain(|n| Mark::parse(&n.description).is_none() && !n.name.is_empty());
        let inside = |n: Network| {
            let shared = n.project_id != project;
            let whose = if shared { "shared" } else { "the project's" };
            let what = n.mtu.map_or_else(|| whose.to_owned(), |mtu| format!("{whose}, MTU {mtu}"));
            Offered { name: n.name, what, mtu: n.mtu, shared, ..Offered::default() }
        };
        let only = |name| Offered { name, ..Offered::default() };
        let own = |k: &Keypair| Mark::parse_name(Kind::Keypair, &k.name).is_none();
        Ok(Self {
            flavors: flavors.into_iter().map(flavor).collect(),
            images: images.into_iter().map(image).collect(),
            externals: externals.into_iter().map(|n| only(n.name)).collect(),
            networks: networks.into_iter().map(inside).collect(),
            keypairs: keypairs.into_iter().filter(own).map(|k| only(k.name)).collect(),
            balances,
            stores,
        })
    }
}
