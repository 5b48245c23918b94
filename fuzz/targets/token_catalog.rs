//! The service catalog in Keystone's answer, and the addresses in it. Compiled in as
//! `error_body` is.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../crates/openstack/src/catalog.rs"]
mod catalog;

/// What the module takes from its crate.
mod config {
    pub use stackyard_openstack::Interface;
}

fuzz_target!(|data: &[u8]| {
    use catalog::Service::{Compute, Identity, ObjectStore, Volume};
    let Ok(found) = serde_json::from_slice::<catalog::Catalog>(data) else { return };
    let _ = found.known();
    for service in [Identity, Compute, Volume, ObjectStore] {
        for region in [None, Some("RegionOne")] {
            let Some(url) = found.find(service, config::Interface::Public, region) else { continue };
            let normal = catalog::normal(service, url, Some("p1"));
            assert!(!normal.ends_with('/') || url.is_empty(), "{normal:?} of {url:?}");
            assert_eq!(catalog::normal(service, &normal, Some("p1")), normal, "not settled: {url:?}");
        }
    }
});
