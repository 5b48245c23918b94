//! Every example in the repository is a manifest without mistakes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stackyard_catalog::manifest::load;
use std::path::Path;

#[test]
fn every_example_can_be_read() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut read = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.lines().any(|l| l == "kind: Yard") {
            let yard = load(&path).unwrap_or_else(|e| panic!("{e}"));
            assert!(!yard.intended.resources.is_empty(), "{}", path.display());
            // One yard's name is in all of its resources: two examples must not share one.
            read.push(yard.intended.yard);
        }
    }
    assert!(read.len() >= 2, "{read:?}");
    let names: std::collections::BTreeSet<_> = read.iter().collect();
    assert_eq!(names.len(), read.len(), "{read:?}");
}
