//! `package.yaml`. What loads is rendered, too, with a Compose file that takes the answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_catalog::{Answers, HostFacts, Memory, Package, Secrets, render};
use std::sync::Arc;

const COMPOSE: &str = "services: {a: {image: '${image_prefix}/i', configs: [c]}}\nconfigs: {c: {file: ./config/c}}\n";

fuzz_target!(|data: &[u8]| {
    let source = Memory::new("").with("package.yaml", data).with("compose.yaml", COMPOSE);
    let source = source.with("config/c.j2", "{{ answers }}{{ secrets }}{{ host.name }}");
    match Package::load(Arc::new(source)) {
        Ok(package) => {
            let mut secrets = Secrets::default();
            secrets.generate(&package.secrets).expect("random bytes");
            let host = HostFacts { name: "h".into(), kvm: true, ovs_kernel: false, cpus: 2, memory_mib: 4096 };
            if let Err(error) = render(&package, None, &Answers::default(), &secrets, &host) {
                assert!(!error.to_string().is_empty());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
