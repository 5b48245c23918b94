//! Manifests of yards.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_catalog::manifest;
use std::path::Path;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Files and packages that a manifest names are read: keep to the text (`/dev/zero` has no end).
    if text.contains("File") || text.contains("package") {
        return;
    }
    match manifest::read("yard.yaml", text.to_owned(), Path::new("nowhere")) {
        Ok(yard) => assert_eq!(yard.text, text),
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
