//! Reading clouds.yaml; behind a NUL the secure.yaml that goes over it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_openstack::{CloudConfig, Sources};
use std::path::PathBuf;
use std::sync::LazyLock;

#[path = "shared/scratch.rs"]
mod scratch;

static DIR: LazyLock<PathBuf> = LazyLock::new(scratch::folder);

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == 0);
    std::fs::write(DIR.join("clouds.yaml"), parts.next().unwrap_or_default()).expect("written");
    std::fs::write(DIR.join("secure.yaml"), parts.next().unwrap_or_default()).expect("written");
    let sources = Sources { folders: vec![DIR.clone()], ..Sources::default() };
    for name in [None, Some("local")] {
        match CloudConfig::load_from(name, &sources) {
            Ok(config) => assert!(config.auth_url.starts_with("http")),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
