//! `yard.yaml` of a package that a manifest has twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_catalog::{Memory, manifest};
use std::sync::Arc;

const MANIFEST: &str = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: y}\nspec:\n  networks: [{name: n, cidr: 10.0.0.0/24}]\n  \
    packages: [{name: a, package: ./p, answers: {net: n}}, {name: b, package: ./p, answers: {on: true}}]\n";
const PACKAGE: &str = "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: p, version: '1'}\n\
    questions: [{name: net, type: string}, {name: on, type: bool, default: false}, {name: count, type: int, default: 1}]\n";

fuzz_target!(|data: &[u8]| {
    let tree = Memory::new("").with("p/package.yaml", PACKAGE).with("p/yard.yaml", data).with("p/boot", "#!/bin/sh\n");
    match manifest::read_with("yard.yaml", MANIFEST.to_owned(), Arc::new(tree)) {
        // Nothing but the network of the manifest has a name without the package's.
        Ok(yard) => {
            for server in &yard.manifest.spec.servers {
                let name = &server.name;
                assert!(name == "a" || name == "b" || name.starts_with("a-") || name.starts_with("b-"), "{name}");
            }
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
