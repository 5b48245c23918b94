//! The volumes themselves: found by their marks, created, listed, removed.

use super::{VolumeQuestion, VolumeTrouble, Volumes};
use stackyard_core::stack::CinderVolume;
use stackyard_core::text::error_chain;
use stackyard_core::yard::{MARK_METADATA, Mark};
use stackyard_openstack::{Cloud, NewVolume, Server, Volume};
use stackyard_ports::scope_of;
use stackyard_yard::container_volume::{HOLDS_DATA, whose};
use std::collections::{BTreeMap, HashMap};

/// A volume of a stack, as Cinder has it.
#[derive(Debug, Clone)]
pub struct StackVolume {
    /// The stack.
    pub stack: String,
    /// Its key in the Compose file.
    pub key: String,
    /// The volume.
    pub volume: Volume,
    /// Name of the server that has it; its id if there is no such server.
    pub server: Option<String>,
}

/// Volumes with a mark; those that are being removed do not count.
async fn marked(cloud: &Cloud, mark: &Mark) -> Result<Vec<Volume>, VolumeTrouble> {
    let all: Vec<Volume> = cloud.list(&[]).await.map_err(VolumeTrouble::of("list volumes"))?;
    let is_it = |v: &Volume| whose(v).is_some_and(|(m, ..)| m == *mark) && v.status != "deleting";
    Ok(all.into_iter().filter(is_it).collect())
}

/// The one of several volumes with a mark that counts: the one that was used, else the oldest that came to something.
/// A request whose answer got lost may have made another one.
fn choose(mark: &Mark, mut volumes: Vec<Volume>) -> Result<Option<Volume>, VolumeTrouble> {
    volumes.sort_by(|a, b| (&a.created_at, &a.id).cmp(&(&b.created_at, &b.id)));
    let holds_data = |v: &Volume| v.metadata.contains_key(HOLDS_DATA);
    let used: Vec<&Volume> = volumes.iter().filter(|v| holds_data(v)).collect();
    if let [_, _, ..] = used.as_slice() {
        let ids: Vec<&str> = used.iter().map(|v| v.id.as_str()).collect();
        return Err(VolumeTrouble::Refuse(format!(
            "several volumes are marked as {}: {}; remove the metadata `{MARK_METADATA}` from all but one",
            mark.key,
            ids.join(", ")
        )));
    }
    if let [one] = used.as_slice() {
        return Ok(Some((*one).clone()));
    }
    let good = volumes.iter().find(|v| !v.status.starts_with("error"));
    Ok(good.or(volumes.first()).cloned())
}

/// Finds the volume that a host asks for.
pub(super) async fn find(question: &VolumeQuestion<'_>) -> Result<Option<Volume>, VolumeTrouble> {
    choose(&question.mark, marked(question.cloud, &question.mark).await?)
}

/// Finds all volumes with the mark of the one that a host asks about.
pub(super) async fn find_all(question: &VolumeQuestion<'_>) -> Result<Vec<Volume>, VolumeTrouble> {
    marked(question.cloud, &question.mark).await
}

/// Finds the volume that a host asks for, or creates it. It may not be ready.
pub(super) async fn find_or_create(
    question: &VolumeQuestion<'_>,
    wanted: &CinderVolume,
) -> Result<Volume, VolumeTrouble> {
    if let Some(volume) = find(question).await? {
        return Ok(volume);
    }
    let Mark { yard, key, .. } = &question.mark;
    let new = NewVolume {
        name: format!("{yard}_{}", key.name.replace(':', "_")),
        size: wanted.size,
        volume_type: wanted.volume_type.clone(),
        description: format!("volume of a stack of yard {yard}"),
        metadata: BTreeMap::from([(MARK_METADATA.to_owned(), question.mark.to_string())]),
        ..NewVolume::default()
    };
    let made = question.cloud.create::<Volume>(&new).await;
    match made {
        Ok(volume) => Ok(volume),
        // It may be there all the same.
        Err(error) => match find(question).await {
            Ok(Some(volume)) => Ok(volume),
            _ => Err(VolumeTrouble::of(format!("create volume {} of {} GiB", new.name, wanted.size))(error)),
        },
    }
}

impl Volumes {
    /// The volumes of a yard's stacks, by stack and key. A yard without a cloud has none.
    ///
    /// # Errors
    /// What the cloud said, for people.
    pub async fn list(&self, yard: &str) -> Result<Vec<StackVolume>, String> {
        let Some(cloud) = self.0.ports.cloud(yard).await.map_err(|e| error_chain(&e))? else { return Ok(Vec::new()) };
        let all = match cloud.list::<Volume>(&[]).await {
            Err(stackyard_openstack::Error::NoEndpoint { .. }) => return Ok(Vec::new()),
            other => other.map_err(|e| VolumeTrouble::of("list volumes")(e).into_text())?,
        };
        let scope = scope_of(&cloud).await.map_err(|e| VolumeTrouble::of("ask for the project")(e).into_text())?;
        let of_yard = all.into_iter().filter_map(|volume| {
            let (mark, stack, key) = whose(&volume)?;
            (mark.yard == yard && mark.is_in(&scope)).then_some(StackVolume { stack, key, volume, server: None })
        });
        let mut volumes: Vec<StackVolume> = of_yard.collect();
        let mut names: HashMap<String, String> = HashMap::new();
        for volume in &mut volumes {
            let Some(id) = volume.volume.attachments.first().map(|a| a.server_id.clone()) else { continue };
            if !names.contains_key(&id) {
                let name = cloud.get::<Server>(&id).await.map_or_else(|_| id.clone(), |s| s.name);
                names.insert(id.clone(), name);
            }
            volume.server = names.get(&id).cloned();
        }
        volumes.sort_by(|a, b| (&a.stack, &a.key, &a.volume.id).cmp(&(&b.stack, &b.key, &b.volume.id)));
        Ok(volumes)
    }

    /// Removes a volume of a yard's stack, which no server has. `may_go` is asked once nothing else can happen to it.
    ///
    /// # Errors
    /// [`VolumeRemoveError`], or the answer of `may_go`.
    pub async fn remove<F, E>(&self, yard: &str, id: &str, may_go: impl FnOnce(StackVolume) -> F) -> Result<(), E>
    where
        F: Future<Output = Result<(), E>>,
        E: From<VolumeRemoveError>,
    {
        let is_it = |v: &StackVolume| v.volume.id == id;
        let missing = || VolumeRemoveError::Missing(format!("yard {yard} has no stack with volume {id}"));
        let listed = self.list(yard).await.map_err(VolumeRemoveError::Cloud)?;
        let found = listed.into_iter().find(is_it).ok_or_else(missing)?;
        let turn = self.turn(yard, &found.stack, &found.key).await;
        let _turn = turn.map_err(|t| VolumeRemoveError::InUse(t.into_text()))?;
        let listed = self.list(yard).await.map_err(VolumeRemoveError::Cloud)?;
        let found = listed.into_iter().find(is_it).ok_or_else(missing)?;
        if let Some(server) = &found.server {
            let what = format!("volume {id} is attached to server {server}; it goes once no host has it");
            return Err(VolumeRemoveError::InUse(what).into());
        }
        may_go(found).await?;
        let cloud = self.cloud(yard).await.map_err(|t| VolumeRemoveError::Cloud(t.into_text()))?;
        let gone = cloud.delete::<Volume>(id).await;
        gone.map_err(|e| VolumeRemoveError::Cloud(VolumeTrouble::of(format!("remove volume {id}"))(e).into_text()))?;
        Ok(())
    }
}

/// Why a volume stays.
#[derive(Debug, thiserror::Error)]
pub enum VolumeRemoveError {
    /// There is none.
    #[error("{0}")]
    Missing(
        /// In words.
        String,
    ),
    /// Something has it.
    #[error("{0}")]
    InUse(
        /// In words.
        String,
    ),
    /// The cloud did not answer as it should.
    #[error("{0}")]
    Cloud(
        /// In words.
        String,
    ),
}
