//! What servers and volumes are made of: flavors, images and their disks, labels, Nova's quota.

use super::{PreflightResult, exceeded};
use crate::error::Error;
use crate::retry::retry;
use futures_util::future::try_join_all;
use stackyard_core::yard::Key;
use stackyard_core::yard::intend::{ServerSpec, Spec};
use stackyard_openstack::{Cloud, Flavor, Image, Quota, Service};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Microversion since which servers are created with tags (Nova of Pike).
/// <https://docs.openstack.org/nova/latest/reference/api-microversion-history.html>
const TAGS_SINCE: &str = "2.52";

/// Checks new servers and volumes, and finds the ids of their flavors and images.
pub(super) async fn check(
    cloud: &Cloud,
    specs: &[(&Key, &Spec)],
    found: &mut PreflightResult,
) -> Result<(), Error> {
    let images = images(cloud, specs, found).await?;
    volumes(specs, &images, &mut found.blockers);
    let servers: Vec<(&Key, &ServerSpec)> = specs
        .iter()
        .filter_map(|(key, spec)| match spec {
            Spec::Server(server) => Some((*key, &**server)),
            _ => None,
        })
        .collect();
    if servers.is_empty() {
        return Ok(());
    }
    let all: Vec<Flavor> = retry(|_| {}, async || cloud.list::<Flavor>(&[]).await)
        .await
        .map_err(Error::cloud("listing flavors"))?;
    flavors(&all, &servers, &images, found);
    if !cloud.speaks(Service::Compute, TAGS_SINCE)
        && let Some((key, _)) = servers.iter().find(|(_, s)| !s.tags.is_empty())
    {
        found.blockers.push(format!(
            "Nova of this cloud is too old for tags, which server `{}` has: remove `tags`, or use `metadata`",
            key.name
        ));
    }
    let quota = retry(|_| {}, async || cloud.compute_quota().await)
        .await
        .map_err(Error::cloud("asking Nova's quota"))?;
    let by_name: HashMap<&str, &Flavor> = all
        .iter()
        .flat_map(|f| [(f.id.as_str(), f), (f.name.as_str(), f)])
        .collect();
    let (mut cores, mut ram) = (0, 0);
    for flavor in servers
        .iter()
        .filter_map(|(_, s)| by_name.get(s.flavor.as_str()))
    {
        cores += i64::from(flavor.vcpus);
        ram += i64::try_from(flavor.ram).unwrap_or(i64::MAX);
    }
    exceeded(
        &quota,
        &[
            ("instances", servers.len() as i64),
            ("cores", cores),
            ("ram", ram),
        ],
        &mut found.blockers,
    );
    metadata(&quota, &servers, &mut found.blockers);
    Ok(())
}

/// The images of new servers and volumes, by what the manifest calls them.
async fn images(
    cloud: &Cloud,
    specs: &[(&Key, &Spec)],
    found: &mut PreflightResult,
) -> Result<HashMap<String, Image>, Error> {
    let names: BTreeSet<&str> = specs
        .iter()
        .filter_map(|(_, spec)| match spec {
            Spec::Server(s) => s.image.as_deref(),
            Spec::Volume { image, .. } => image.as_deref(),
            _ => None,
        })
        .collect();
    let find = |name: &str| {
        let name = name.to_owned();
        async move {
            let image = retry(
                |_| {},
                async || match cloud.find::<Image>(&name).await {
                    Err(stackyard_openstack::Error::Ambiguous { .. }) => Ok(Err(())),
                    other => other.map(Ok),
                },
            )
            .await?;
            Ok((name, image))
        }
    };
    let looked = try_join_all(names.into_iter().map(find))
        .await
        .map_err(Error::cloud("looking for images"))?;
    let mut by_name: HashMap<String, Image> = HashMap::new();
    for (name, image) in looked {
        match image {
            Ok(Some(image)) if image.status == "active" => {
                found.choices.images.insert(name.clone(), image.id.clone());
                by_name.insert(name, image);
            }
            Ok(Some(image)) => found
                .blockers
                .push(format!("image `{name}` is {}, not active", image.status)),
            Ok(None) => found
                .blockers
                .push(format!("the cloud has no image `{name}`")),
            Err(()) => found.blockers.push(format!(
                "several images are named `{name}`; use the id of one of them"
            )),
        }
    }
    Ok(by_name)
}

/// GiB that an image takes on a disk. Cinder and Nova refuse a smaller one by `min_disk` and by the size of the file
/// at once, by the virtual size while they fill it.
fn disk_needed(image: &Image) -> u64 {
    let virtual_size = image
        .properties
        .get("virtual_size")
        .and_then(serde_json::Value::as_u64);
    let bytes = image.size.max(virtual_size).unwrap_or(0);
    image.min_disk.max(bytes.div_ceil(1 << 30))
}

/// Volumes that are filled from an image must hold it.
fn volumes(specs: &[(&Key, &Spec)], images: &HashMap<String, Image>, blockers: &mut Vec<String>) {
    // One line for all hosts of a pool.
    let mut seen = BTreeSet::new();
    for (key, spec) in specs {
        let Spec::Volume {
            size,
            image: Some(name),
            ..
        } = spec
        else {
            continue;
        };
        let Some(needed) = images.get(name).map(disk_needed) else {
            continue;
        };
        if size.0 >= needed || !seen.insert((name, size.0)) {
            continue;
        }
        let place = match key.name.strip_suffix("/boot") {
            Some(server) => format!("`bootVolume` of `{server}`"),
            None => format!("volume `{}`", key.name),
        };
        blockers.push(format!(
            "image `{name}` needs a disk of {needed} GiB; {place} has {}",
            size.0
        ));
    }
}

/// Flavors must be there and fit the images that boot with them.
fn flavors(
    all: &[Flavor],
    servers: &[(&Key, &ServerSpec)],
    images: &HashMap<String, Image>,
    found: &mut PreflightResult,
) {
    let pairs: BTreeSet<(&str, Option<&str>, bool)> = servers
        .iter()
        .map(|(_, s)| (s.flavor.as_str(), s.image.as_deref(), s.boot.is_some()))
        .collect();
    for (wanted, image, from_volume) in pairs {
        let Some(flavor) = all.iter().find(|f| f.id == wanted || f.name == wanted) else {
            let mut known: Vec<&str> = all.iter().map(|f| f.name.as_str()).collect();
            known.sort_unstable();
            known.truncate(12);
            found.blockers.push(format!(
                "the cloud has no flavor `{wanted}`; it has {}",
                known.join(", ")
            ));
            continue;
        };
        found
            .choices
            .flavors
            .insert(wanted.to_owned(), flavor.id.clone());
        if !from_volume && flavor.disk == 0 {
            found.blockers.push(format!(
                "flavor `{wanted}` has no disk: add `bootVolume: {{size: 10Gi}}`, or use a flavor with a disk"
            ));
        }
        let Some(image) = image.and_then(|i| images.get(i)) else {
            continue;
        };
        let name = image.name.as_deref().unwrap_or(&image.id);
        let needed = disk_needed(image);
        if !from_volume && flavor.disk != 0 && flavor.disk < needed {
            found.blockers.push(format!(
                "image `{name}` needs a disk of {needed} GiB; flavor `{wanted}` has {}",
                flavor.disk
            ));
        }
        if flavor.ram < image.min_ram {
            found.blockers.push(format!(
                "image `{name}` needs {} MiB of memory; flavor `{wanted}` has {}",
                image.min_ram, flavor.ram
            ));
        }
    }
}

/// Nova counts the metadata of each server, Stackyard's own too.
fn metadata(
    quota: &BTreeMap<String, Quota>,
    servers: &[(&Key, &ServerSpec)],
    blockers: &mut Vec<String>,
) {
    let Some(limit) = quota.get("metadata_items").and_then(|q| q.left()) else {
        return;
    };
    let counts = |server: &ServerSpec| (server.metadata.len(), own_metadata(server));
    let too_many = servers.iter().find(|(_, server)| {
        let (has, own) = counts(server);
        i64::try_from(has + own).is_ok_and(|all| all > limit)
    });
    if let Some((key, server)) = too_many {
        let (has, own) = counts(server);
        blockers.push(format!(
            "server `{}` has {has} entries of metadata and {own} of Stackyard's; the quota `metadata_items` is {limit}",
            key.name
        ));
    }
}

/// How much metadata a server gets from Stackyard: its mark, what was asked, and what makes it a host.
fn own_metadata(server: &ServerSpec) -> usize {
    let asked = [
        server.image.is_some(),
        !server.digest.is_empty(),
        server.availability_zone.is_some(),
        server.config_drive.is_some(),
    ];
    let of_host = server.host.as_ref().map_or(0, |host| {
        // The pool, how it joined, and its volume.
        2 + usize::from(host.disk.is_some())
    });
    2 + asked.iter().filter(|there| **there).count() + of_host
}
