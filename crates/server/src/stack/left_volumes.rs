//! Volumes that a new version of a stack leaves behind: the data stays, and the containers begin with an empty volume.

use stackyard_core::stack::Stack;
use std::collections::BTreeSet;

/// Where the data of a volume is: as a Cinder volume or in an engine, and its name there.
type VolumePlace<'s> = (bool, &'s str);

fn place<'s>(stack: &'s Stack, key: &str) -> Option<VolumePlace<'s>> {
    stack.volumes.get(key).map(|volume| (volume.is_cinder(), volume.name.as_str()))
}

/// A phrase for each volume of a service of the old version that no service of the new one mounts.
pub(super) fn left_volumes(old: &Stack, new: &Stack, service: &str) -> Vec<String> {
    let used = new.services.values().flat_map(|s| s.volume_keys());
    let used: BTreeSet<VolumePlace<'_>> = used.filter_map(|key| place(new, key)).collect();
    let mounted = old.services.get(service).into_iter().flat_map(|s| s.volume_keys());
    let left: BTreeSet<&str> = mounted.filter(|key| place(old, key).is_some_and(|p| !used.contains(&p))).collect();
    left.into_iter().map(|key| format!("volume {key} is not used any longer; its data stays")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stackyard_core::stack::{Mount, MountKind, Service, Volume};

    fn stack(mounted: &str, driver: Option<&str>, name: &str) -> Stack {
        let kind = MountKind::Volume { name: mounted.into(), nocopy: false, subpath: None };
        let volumes = vec![Mount { kind, target: "/d".into(), read_only: false }];
        let volume = Volume { name: name.into(), driver: driver.map(str::to_owned), ..Volume::default() };
        Stack {
            name: "s".into(),
            services: [("db".to_owned(), Service { volumes, ..Service::default() })].into(),
            volumes: [(mounted.to_owned(), volume)].into(),
            ..Stack::default()
        }
    }

    #[test]
    fn another_place_of_a_volume_is_told() {
        let old = stack("data", Some("stackyard"), "s_data");
        let told = ["volume data is not used any longer; its data stays"];
        // The answer `storage` of the package postgresql: `cinder`, then `local`.
        assert_eq!(left_volumes(&old, &stack("data", None, "s_data"), "db"), told);
        assert_eq!(left_volumes(&old, &stack("more", Some("stackyard"), "s_more"), "db"), told);
        assert_eq!(left_volumes(&old, &Stack::default(), "db"), told);
        let local = stack("data", None, "s_data");
        assert_eq!(left_volumes(&local, &stack("data", None, "other"), "db"), told);

        assert_eq!(left_volumes(&old, &old, "db"), [""; 0]);
        // Another key for the same volume, and the driver by its name.
        assert_eq!(left_volumes(&local, &stack("store", Some("local"), "s_data"), "db"), [""; 0]);
    }
}
