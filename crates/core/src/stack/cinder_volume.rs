//! Volumes with `driver: stackyard`: Cinder volumes that follow their container from host to host.
//!
//! ```yaml
//! volumes:
//!   db: {driver: stackyard, driver_opts: {size: 20Gi, type: ssd, fs: ext4}}
//! ```
//!
//! Such a volume is a block device, so one container has it at a time: [`check`] refuses services that could run two.

use super::deploy::Order;
use super::plan::PlanError;
use super::{Mount, MountKind, Service, Stack, Volume};
use crate::text::{is_name, parse_gib};
use serde::{Deserialize, Serialize};

/// The driver of such volumes.
pub const VOLUME_DRIVER: &str = "stackyard";

/// The options of this driver: `size` is required.
pub const VOLUME_OPTIONS: [&str; 3] = ["size", "type", "fs"];

/// Longest key of such a volume, in bytes: Cinder's metadata has to hold the mark.
const LONGEST_KEY: usize = 64;

/// Whether a Cinder volume of a stack can have this key. It becomes a part of a mark and of a path on the host.
pub fn is_volume_key(key: &str) -> bool {
    is_name(key, LONGEST_KEY)
}

/// The file system of a volume that Stackyard formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filesystem {
    /// ext4
    #[default]
    Ext4,
    /// XFS
    Xfs,
}

impl Filesystem {
    /// The name that `mkfs`, `mount` and Compose files use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Ext4, Self::Xfs].into_iter().find(|f| f.word() == text)
    }
}

/// The Cinder volume that a stack asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CinderVolume {
    /// Size in GiB, at least 1.
    pub size: u64,
    /// Cinder's volume type; the cloud's default if absent.
    pub volume_type: Option<String>,
    /// The file system for a blank volume.
    pub filesystem: Filesystem,
}

/// Parses a size as [`parse_gib`], without blanks and up to a PiB.
fn gib(text: &str) -> Option<u64> {
    parse_gib(text).filter(|n| *n <= 1 << 20 && !text.contains(char::is_whitespace))
}

/// Checks the value of one driver option.
///
/// # Errors
/// What is expected instead, for people.
pub fn check_option(name: &str, value: &str) -> Result<(), String> {
    match name {
        "size" if gib(value).is_none() => Err(format!("`{value}`: a size in GiB is expected, such as 20Gi or 1Ti")),
        "fs" if Filesystem::parse(value).is_none() => Err(format!("`{value}`: one of `ext4`, `xfs` is expected")),
        "type" if value.is_empty() || value.len() > 255 => Err("the name of a volume type is expected".to_owned()),
        "size" | "fs" | "type" => Ok(()),
        _ => Err(format!("no such option; options are {}", VOLUME_OPTIONS.join(", "))),
    }
}

impl Volume {
    /// Whether it is a Cinder volume that follows its container.
    pub fn is_cinder(&self) -> bool {
        self.driver.as_deref() == Some(VOLUME_DRIVER)
    }

    /// The Cinder volume that it asks for.
    ///
    /// # Errors
    /// The first wrong option, for people.
    pub fn cinder(&self) -> Result<CinderVolume, String> {
        for (name, value) in &self.driver_opts {
            check_option(name, value).map_err(|why| format!("driver_opts.{name}: {why}"))?;
        }
        let option = |name: &str| self.driver_opts.get(name);
        let size = option("size").and_then(|s| gib(s));
        Ok(CinderVolume {
            size: size.ok_or("driver_opts: `size` is missing; add one, such as 20Gi")?,
            volume_type: option("type").cloned(),
            filesystem: option("fs").and_then(|f| Filesystem::parse(f)).unwrap_or_default(),
        })
    }
}

impl Stack {
    /// Keys of the Cinder volumes that `service` mounts.
    pub fn cinder_volumes<'a>(&'a self, service: &'a Service) -> impl Iterator<Item = &'a str> {
        service.volume_keys().filter(|key| self.volumes.get(*key).is_some_and(Volume::is_cinder))
    }

    /// Names of the services that mount the Cinder volume `key`.
    pub fn cinder_users<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let uses = move |service: &Service| self.cinder_volumes(service).any(|k| k == key);
        self.services.iter().filter(move |(_, service)| uses(service)).map(|(name, _)| name.as_str())
    }
}

/// Checks that each Cinder volume of a stack can only be in one container at a time.
///
/// # Errors
/// [`PlanError::CinderVolume`]
pub fn check(stack: &Stack) -> Result<(), PlanError> {
    for (name, service) in &stack.services {
        for key in stack.cinder_volumes(service) {
            let why = stack.volumes[key].cinder().err().or_else(|| conflict(stack, name, service, key));
            if let Some(why) = why {
                return Err(PlanError::CinderVolume { volume: key.to_owned(), why });
            }
        }
    }
    Ok(())
}

/// Why a service cannot have a Cinder volume, if it cannot.
fn conflict(stack: &Stack, name: &str, service: &Service, key: &str) -> Option<String> {
    let other = stack.cinder_users(key).find(|other| *other != name);
    let deploy = &service.deploy;
    let one = "a Cinder volume can be in one container at a time";
    if stack.volumes[key].external {
        return Some("an external volume is not supported with this driver".to_owned());
    }
    if !is_volume_key(key) {
        return Some(format!("only [a-zA-Z0-9][a-zA-Z0-9._-]*, at most {LONGEST_KEY} characters, can name it"));
    }
    let is_part = |m: &Mount| matches!(&m.kind, MountKind::Volume { name, subpath: Some(_), .. } if name == key);
    if service.volumes.iter().any(is_part) {
        return Some(format!(
            "service {name} mounts a part of it (`subpath`), which is not supported; mount all of it"
        ));
    }
    if let Some(other) = other {
        return Some(format!("services {name} and {other} both mount it, and {one}; give each its own volume"));
    }
    if deploy.mode.is_global() {
        return Some(format!("service {name} runs on each host, and {one}; use `mode: replicated`"));
    }
    if deploy.replicas > 1 {
        let count = deploy.replicas;
        return Some(format!("service {name} has {count} replicas, and {one}; use one replica"));
    }
    if [deploy.update.order, deploy.rollback.order].contains(&Order::StartFirst) {
        return Some(format!("service {name} starts the new container first, and {one}; use `order: stop-first`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(options: &[(&str, &str)]) -> Volume {
        Volume {
            name: "s_db".into(),
            driver: Some(VOLUME_DRIVER.into()),
            driver_opts: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Volume::default()
        }
    }

    fn service() -> Service {
        let kind = MountKind::Volume { name: "db".into(), nocopy: false, subpath: None };
        let mount = Mount { kind, target: "/d".into(), read_only: false };
        Service { image: "i".into(), volumes: vec![mount], ..Service::default() }
    }

    fn stack(service: Service, volume: Volume) -> Stack {
        let mut stack = Stack { name: "s".into(), ..Stack::default() };
        stack.services.insert("db".into(), service);
        stack.volumes.insert("db".into(), volume);
        stack
    }

    fn why(stack: &Stack) -> String {
        check(stack).unwrap_err().to_string()
    }

    #[test]
    fn options_are_read_and_checked() {
        let all = volume(&[("size", "1Ti"), ("type", "ssd"), ("fs", "xfs")]).cinder().unwrap();
        assert_eq!((all.size, all.volume_type.as_deref(), all.filesystem), (1024, Some("ssd"), Filesystem::Xfs));
        let least = volume(&[("size", "20")]).cinder().unwrap();
        assert_eq!((least.size, least.filesystem), (20, Filesystem::Ext4));
        for (options, expected) in [
            (&[][..], "`size` is missing"),
            (&[("size", "0Gi")], "a size in GiB is expected"),
            (&[("size", "20Mi")], "a size in GiB is expected"),
            (&[("size", "99999999Ti")], "a size in GiB is expected"),
            (&[("size", "1"), ("fs", "btrfs")], "one of `ext4`, `xfs`"),
            (&[("size", "1"), ("sise", "2")], "options are size, type, fs"),
        ] {
            let said = volume(options).cinder().unwrap_err();
            assert!(said.contains(expected), "{options:?}: {said}");
        }
    }

    #[test]
    fn one_container_at_a_time() {
        let size = || volume(&[("size", "1")]);
        assert_eq!(check(&stack(service(), size())), Ok(()));
        let mut two = service();
        two.deploy.replicas = 2;
        assert!(why(&stack(two, size())).contains("2 replicas"));
        let mut first = service();
        first.deploy.update.order = Order::StartFirst;
        assert!(why(&stack(first, size())).contains("stop-first"));
        let mut global = service();
        global.deploy.mode = super::super::deploy::Mode::Global;
        assert!(why(&stack(global, size())).contains("each host"));
        let mut part = service();
        part.volumes[0].kind = MountKind::Volume { name: "db".into(), nocopy: false, subpath: Some("a".into()) };
        assert!(why(&stack(part, size())).contains("subpath"));
        let mut shared = stack(service(), size());
        shared.services.insert("other".into(), service());
        assert!(why(&shared).contains("services db and other"));
        assert!(why(&stack(service(), Volume { external: true, ..size() })).contains("external"));
        assert!(is_volume_key("db.data-1") && !is_volume_key("../x") && !is_volume_key("a/b") && !is_volume_key(""));
        // Two on two hosts are fine with the engine's own volumes.
        let mut two = service();
        two.deploy.replicas = 2;
        assert_eq!(check(&stack(two, Volume::default())), Ok(()));
    }
}
