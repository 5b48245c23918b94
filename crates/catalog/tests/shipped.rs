//! The packages for yards in `catalog/`: each renders with its defaults, confined.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stackyard_catalog::manifest::{StackSource, read};
use stackyard_catalog::{Machines, Secrets, privileges, render_for_hosts};
use std::path::PathBuf;

#[test]
fn postgresql_keeps_its_data_on_the_storage_of_the_answer() {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../catalog/postgresql");
    let made = |answers: &str| {
        let text = format!(
            "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {{name: shop}}\nspec:\n  packages: [{{name: db, package: {}, \
             answers: {{{answers}}}}}]\n",
            package.display()
        );
        let yard = read("yard.yaml", text, "/".as_ref()).unwrap();
        let stack = &yard.stacks[0];
        let StackSource::Installed(part) = &stack.source else { panic!("{stack:?}") };
        let mut secrets = Secrets::default();
        secrets.generate(&part.package.secrets).unwrap();
        let made = render_for_hosts(&part.package, &stack.name, &part.answers, &secrets, &Machines::Example, &|job| {
            Ok(job.render())
        })
        .unwrap();
        assert_eq!((made.warnings, privileges(&made.stack)), (Vec::new(), Vec::new()));
        let file = &made.stack.secrets["password"].files[""];
        assert_eq!(file, format!("{}\n", secrets.get("password").unwrap()).as_bytes());
        (stack.pool.clone(), made.stack)
    };
    let (pool, stack) = made("");
    let volume = &stack.volumes["data"];
    assert_eq!((pool, volume.driver.as_deref()), (None, Some("stackyard")));
    assert_eq!(volume.driver_opts["size"], "10Gi");
    let server = &stack.services["server"];
    assert_eq!((server.image.as_str(), server.ports[0].published), ("docker.io/library/postgres:17", Some(5432)));
    assert_eq!(server.healthcheck.as_ref().map(|h| format!("{:?}", h.test).contains("$POSTGRES_USER")), Some(true));
    let (pool, stack) = made("storage: local, pool: data, port: 6000");
    assert_eq!((pool.as_deref(), stack.volumes["data"].driver.as_deref()), (Some("data"), None));
    assert_eq!(stack.services["server"].ports[0].published, Some(6000));
}
