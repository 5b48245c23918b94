//! What a project may have and has: to find out before the first creation that it will not fit.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::catalog::Service;
use crate::cloud::{Cloud, segment};
use crate::error::Result;

/// One quota. -1 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Quota {
    /// What there may be.
    pub limit: i64,
    /// What there is.
    pub used: i64,
    /// What is being created.
    #[serde(default)]
    pub reserved: i64,
}

impl Quota {
    /// How many more there may be; `None` without a limit.
    pub fn left(self) -> Option<i64> {
        (self.limit >= 0).then(|| (self.limit - self.used - self.reserved).max(0))
    }
}

impl Cloud {
    /// Nova's: `instances`, `cores`, `ram` (MiB), and `metadata_items` of each server.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn compute_quota(&self) -> Result<BTreeMap<String, Quota>> {
        self.limits(
            Service::Compute,
            &[
                ("instances", "maxTotalInstances", "totalInstancesUsed"),
                ("cores", "maxTotalCores", "totalCoresUsed"),
                ("ram", "maxTotalRAMSize", "totalRAMUsed"),
                // Of each server, so that none are used.
                ("metadata_items", "maxServerMeta", ""),
            ],
        )
        .await
    }

    /// Cinder's: `volumes`, `gigabytes` (GiB), `backups`.
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn volume_quota(&self) -> Result<BTreeMap<String, Quota>> {
        self.limits(
            Service::Volume,
            &[
                ("volumes", "maxTotalVolumes", "totalVolumesUsed"),
                ("gigabytes", "maxTotalVolumeGigabytes", "totalGigabytesUsed"),
                ("backups", "maxTotalBackups", "totalBackupsUsed"),
            ],
        )
        .await
    }

    /// Neutron's: `network`, `port`, `floatingip`, `router`, `security_group` ...
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn network_quota(&self) -> Result<BTreeMap<String, Quota>> {
        #[derive(Deserialize)]
        struct QuotaResponse {
            quota: BTreeMap<String, Quota>,
        }
        let path = format!("/quotas/{}/details", segment(&self.project_id().await?));
        Ok(self.call(crate::Method::GET, Service::Network, path).on("quota", "").read::<QuotaResponse>().await?.quota)
    }

    /// Octavia's limits: `loadbalancer`, `listener`, `pool`, `member`, `healthmonitor`; -1 is no limit.
    /// What is in use it does not tell.
    /// <https://docs.openstack.org/api-ref/load-balancer/v2/#show-project-quota>
    ///
    /// # Errors
    /// [`crate::Error::Api`].
    pub async fn load_balancer_limits(&self) -> Result<BTreeMap<String, i64>> {
        #[derive(Deserialize)]
        struct QuotaResponse {
            quota: BTreeMap<String, Option<i64>>,
        }
        let path = format!("/lbaas/quotas/{}", segment(&self.project_id().await?));
        let call = self.call(crate::Method::GET, Service::LoadBalancer, path).on("quota", "");
        let mut quota = call.read::<QuotaResponse>().await?.quota;
        // Names of before Rocky, which newer ones tell too.
        for (old, name) in [("load_balancer", "loadbalancer"), ("health_monitor", "healthmonitor")] {
            if let Some(limit) = quota.remove(old).flatten() {
                quota.entry(name.to_owned()).or_default().get_or_insert(limit);
            }
        }
        Ok(quota.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect())
    }

    async fn limits(&self, service: Service, names: &[(&str, &str, &str)]) -> Result<BTreeMap<String, Quota>> {
        #[derive(Deserialize)]
        struct QuotaResponse {
            limits: Limits,
        }
        #[derive(Deserialize)]
        struct Limits {
            absolute: BTreeMap<String, i64>,
        }
        let answer: QuotaResponse = self.call(crate::Method::GET, service, "/limits").on("limits", "").read().await?;
        let of = answer.limits.absolute;
        let read = |(name, limit, used): &(&str, &str, &str)| {
            let used = if used.is_empty() { 0 } else { *of.get(*used)? };
            Some(((*name).to_owned(), Quota { limit: *of.get(*limit)?, used, reserved: 0 }))
        };
        Ok(names.iter().filter_map(read).collect())
    }
}
