//! A file of answers. What is read resolves against the questions of the OpenStack package
//! without panic, and what that writes reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_catalog::{Answers, Memory, Package};
use std::sync::{Arc, LazyLock};

static PACKAGE: LazyLock<Package> = LazyLock::new(|| {
    let text = include_str!("../../catalog/openstack/package.yaml");
    Package::load(Arc::new(Memory::new("").with("package.yaml", text))).expect("the package")
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Answers::from_yaml("answers.yaml", text) {
        Ok(answers) => match answers.resolve(&PACKAGE.questions) {
            Ok(resolved) => {
                let written = resolved.given_to_yaml();
                let again = Answers::from_yaml("again.yaml", &written).expect("what was written reads");
                let again = again.resolve(&PACKAGE.questions).expect("what was valid is valid");
                assert_eq!(written, again.given_to_yaml());
            }
            Err(errors) => assert!(!errors.to_string().is_empty()),
        },
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
