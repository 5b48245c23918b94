//! Volumes: attached, written and read by a guest; backed up, restored and compared.

use std::time::Duration;

use stackyard_openstack::{Backup, Method, NewBackup, NewVolume, Service, Volume};

use super::guest::Guest;
use super::{TestBench, TestFault, sweep};

pub(super) const VOLUME: &str = "volume in the guest";
pub(super) const BACKUP: &str = "volume backup and restore";

/// For a volume to become available, attached, free.
const LIMIT: Duration = Duration::from_secs(90);
/// For a gibibyte to be copied to the object store or back.
const COPY: Duration = Duration::from_secs(300);

impl TestBench<'_> {
    pub(super) async fn new_volume(&self, what: &str) -> Result<Volume, TestFault> {
        let new = NewVolume { name: self.name(what), size: 1, metadata: sweep::metadata(), ..NewVolume::default() };
        let volume: Volume = self.cloud.create(&new).await?;
        Ok(self.cloud.wait_for::<Volume>(&volume.id, &["available"], LIMIT).await?)
    }

    pub(super) async fn volumes(&self, a: &Guest<'_>, volume: Result<Volume, TestFault>) {
        let written = self.check(VOLUME, async {
            let volume = volume?;
            let sum = self.attach(a, &volume.id, "written").await?;
            Ok(((volume.id, sum.clone()), format!("8 MiB written and read back, MD5 {sum}")))
        });
        let written = written.await;
        if !self.wanted(&[BACKUP], self.has_backups().await, "volume backups") {
            return;
        }
        let Some((volume, sum)) = written else { return self.needs_volume() };
        let work = async {
            self.detach(a, &volume).await?;
            let new = NewBackup {
                volume_id: volume,
                name: self.name("backup"),
                description: sweep::MARK.to_owned(),
                // One of our own, since the usual one stays when the last backup goes.
                container: Some(self.name("backup")),
                ..NewBackup::default()
            };
            // A fresh volume meanwhile: restoring over the old one would prove little.
            let backup = async {
                let backup: Backup = self.cloud.create(&new).await?;
                Ok::<_, TestFault>(self.cloud.wait_for::<Backup>(&backup.id, &["available"], COPY).await?)
            };
            let (backup, fresh) = tokio::try_join!(backup, self.new_volume("restored"))?;
            self.cloud.restore_backup(&backup.id, &fresh.id).await?;
            self.cloud.wait_for::<Volume>(&fresh.id, &["available"], COPY).await?;
            let restored = self.attach(a, &fresh.id, "holds").await?;
            if restored != sum {
                return Err(TestFault(format!("the restored volume's MD5 is {restored}, the original's {sum}")));
            }
            Ok(((), format!("restored into another volume, MD5 {sum}")))
        };
        self.check(BACKUP, work).await;
    }

    /// Cinder's API takes backups even where no service makes them, and such a backup cannot be
    /// removed: so administrators' clouds are asked first. To others one tries.
    async fn has_backups(&self) -> bool {
        let call = self.cloud.call(Method::GET, Service::Volume, "/os-services").query("binary", "cinder-backup");
        match call.read::<serde_json::Value>().await {
            Ok(answer) => answer["services"].as_array().is_some_and(|s| s.iter().any(|s| s["state"] == "up")),
            Err(e) => e.status() == Some(403),
        }
    }

    /// Attaches a volume and returns what the guest says about it.
    async fn attach(&self, a: &Guest<'_>, volume: &str, verb: &str) -> Result<String, TestFault> {
        // The guest must be up: before, it has nobody to hear of a new disk.
        a.says("TINY: user-data start", self.options.boot_limit).await?;
        self.cloud.attach_volume(&a.server.id, volume).await?;
        self.cloud.wait_for::<Volume>(volume, &["in-use"], LIMIT).await?;
        let serial = volume.get(..20).unwrap_or(volume);
        let words = format!("TEST: disk {serial} ");
        let line = a.says(&words, LIMIT).await?;
        match line.strip_prefix(&words).and_then(|rest| rest.split_once(' ')) {
            Some((said, sum)) if said == verb => Ok(sum.trim_end_matches('.').to_owned()),
            _ => Err(TestFault(format!("the guest says {line:?} where it should say {verb:?}"))),
        }
    }

    async fn detach(&self, a: &Guest<'_>, volume: &str) -> Result<(), TestFault> {
        self.cloud.detach_volume(&a.server.id, volume).await?;
        self.cloud.wait_for::<Volume>(volume, &["available"], LIMIT).await?;
        Ok(())
    }
}
