//! An archive of a catalog: what comes out has only paths below its root, and packs to the same tree again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_catalog::{CatalogIndex, content_digest, pack_tree, unpack};

fuzz_target!(|data: &[u8]| {
    match unpack("fuzz.tar", data) {
        Ok(tree) => {
            for (path, _) in tree.files() {
                assert!(!path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path}");
            }
            let index = CatalogIndex::of("fuzz", &tree);
            assert!(index.packages.iter().all(|p| p.digest().len() == 71));
            // A path may be too odd for a tar of ours, but never another one.
            if let Ok(packed) = pack_tree(&tree)
                && let Ok(again) = unpack("again.tar", packed.as_slice())
            {
                assert_eq!(content_digest(&again), content_digest(&tree));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
