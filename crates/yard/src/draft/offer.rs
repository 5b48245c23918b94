//! What a cloud has to choose from, for a first manifest.

use crate::error::Error;
use crate::retry::retry;
use futures_util::try_join;
use stackyard_api::{CloudChoice, CloudChoices};
use stackyard_core::yard::{Kind, Mark};
use stackyard_openstack::{Cloud, Flavor, Image, Keypair, Network, Resource, Service};

/// Asks a cloud what it has to choose from: four requests. The first of each list is the most suitable one,
/// and resources that belong to a yard are left out.
///
/// # Errors
/// [`Error::Cloud`]
pub async fn offer_of(cloud: &Cloud) -> Result<CloudChoices, Error> {
    let listed = try_join!(
        retry(|_| {}, async || cloud.list::<Flavor>(&[]).await),
        retry(
            |_| {},
            async || cloud.list::<Image>(&[("status", "active")]).await
        ),
        retry(|_| {}, async || cloud.list::<Network>(&[]).await),
        retry(|_| {}, async || cloud.list::<Keypair>(&[]).await),
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
        let description = format!(
            "{} MiB, {} processors, disk of {} GiB",
            f.ram, f.vcpus, f.disk
        );
        CloudChoice {
            name: f.name,
            description,
            vcpus: f.vcpus,
            disk: f.disk,
            ram: f.ram,
            ..CloudChoice::default()
        }
    };
    let image = |i: Image| {
        let description = i
            .size
            .map(|s| format!("{} MiB", s >> 20))
            .unwrap_or_default();
        let (name, size) = (i.name().to_owned(), i.size);
        CloudChoice {
            name,
            description,
            size,
            disk: i.min_disk,
            ram: i.min_ram,
            ..CloudChoice::default()
        }
    };
    let (externals, mut networks): (Vec<_>, Vec<_>) =
        networks.into_iter().partition(|n| n.external);
    networks.retain(|n| Mark::parse(&n.description).is_none() && !n.name.is_empty());
    let inside = |n: Network| {
        let shared = n.project_id != project;
        let whose = if shared { "shared" } else { "the project's" };
        let description = n
            .mtu
            .map_or_else(|| whose.to_owned(), |mtu| format!("{whose}, MTU {mtu}"));
        CloudChoice {
            name: n.name,
            description,
            mtu: n.mtu,
            shared,
            ..CloudChoice::default()
        }
    };
    let only = |name| CloudChoice {
        name,
        ..CloudChoice::default()
    };
    let own = |k: &Keypair| Mark::parse_name(Kind::Keypair, &k.name).is_none();
    Ok(CloudChoices {
        flavors: flavors.into_iter().map(flavor).collect(),
        images: images.into_iter().map(image).collect(),
        externals: externals.into_iter().map(|n| only(n.name)).collect(),
        networks: networks.into_iter().map(inside).collect(),
        keypairs: keypairs
            .into_iter()
            .filter(own)
            .map(|k| only(k.name))
            .collect(),
        balances,
        stores,
    })
}
