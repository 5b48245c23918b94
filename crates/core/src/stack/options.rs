//! Settings of a container that the engine takes as the file has them.

use super::deploy::{Constraint, What};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings that are only handed to the engine (Compose specification,
/// `05-services.md`). Part of a [`super::Service`], in whose JSON its fields are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineOptions {
    /// Platform that the container needs, `os[/arch[/variant]]`: `linux/amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// NIS domain name inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// OCI runtime of the engine, by name: `runc`, `nvidia`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// User name space: `host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userns_mode: Option<String>,
    /// Control group that the container's own is created in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup_parent: Option<String>,
    /// OCI annotations, which the runtime reads.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Options of the storage driver, such as `size`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub storage_opt: BTreeMap<String, String>,
    /// Weight of the container's CPU time among others; the engine's default is 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<i64>,
    /// Period of the CPU quota in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<i64>,
    /// CPU time of each period in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<i64>,
    /// CPUs that may be used: `0-3`, `0,1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpuset: Option<String>,
    /// Limit of memory and swap together in bytes; -1 means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memswap_limit: Option<i64>,
    /// How readily the kernel swaps the container's memory out, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_swappiness: Option<i64>,
    /// The kernel does not kill the container when memory runs out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub oom_kill_disable: bool,
    /// Rules of the device control group: `c 1:3 mr`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_cgroup_rules: Vec<String>,
    /// Options for the container's `/etc/resolv.conf`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns_opt: Vec<String>,
    /// Devices that a driver of the engine hands in, such as GPUs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_requests: Vec<DeviceRequest>,
    /// Programs to run in the container each time Stackyard has started it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_start: Vec<ServiceHook>,
    /// Programs to run in the container before Stackyard stops it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pre_stop: Vec<ServiceHook>,
}

/// A request for devices to a driver of the engine (Docker Engine API, `DeviceRequest`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    /// Name of the driver, `nvidia`, `cdi`; any with the capabilities if absent.
    pub driver: Option<String>,
    /// Number of devices; -1 means all, none means that `device_ids` names them.
    pub count: Option<i64>,
    /// Ids of devices, as the driver knows them.
    pub device_ids: Vec<String>,
    /// What the devices must be able to do, all of them: `gpu`, `compute`.
    pub capabilities: Vec<String>,
    /// Options for the driver.
    pub options: BTreeMap<String, String>,
}

/// A program that runs in a container at a moment of its life (Compose specification, `post_start`, `pre_stop`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceHook {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// User, `name|uid[:group|gid]`; the container's if absent.
    pub user: Option<String>,
    /// It runs with all privileges.
    pub privileged: bool,
    /// Its working directory; the container's if absent.
    pub working_dir: Option<String>,
    /// Environment in addition to the container's.
    pub environment: BTreeMap<String, String>,
}

impl EngineOptions {
    /// The constraint on a host's architecture that `platform` stands for.
    pub fn platform_constraint(&self) -> Option<Constraint> {
        let arch = self.platform.as_deref()?.split_once('/')?.1;
        Some(Constraint { what: What::Arch, equal: true, value: debian_arch(arch).to_owned() })
    }
}

/// An architecture in Debian's words, from those of the kernel or of an image's platform (`arch[/variant]`).
pub fn debian_arch(arch: &str) -> &str {
    match arch {
        "x86_64" | "amd64/v1" => "amd64",
        "aarch64" | "arm64/v8" => "arm64",
        "armv7l" | "arm" | "arm/v7" => "armhf",
        "arm/v5" | "arm/v6" => "armel",
        "386" | "i686" => "i386",
        "ppc64le" => "ppc64el",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_a_constraint_on_the_architecture() {
        let text = |platform: &str| {
            let options = EngineOptions { platform: Some(platform.into()), ..EngineOptions::default() };
            options.platform_constraint().map(|c| c.to_string()).unwrap_or_default()
        };
        assert_eq!(text("linux/amd64"), "node.platform.arch == amd64");
        assert_eq!(text("linux/arm64/v8"), "node.platform.arch == arm64");
        assert_eq!(text("linux/arm/v7"), "node.platform.arch == armhf");
        assert_eq!(text("linux"), "");
    }
}
