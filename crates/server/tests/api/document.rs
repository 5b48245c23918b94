//! The committed OpenAPI document is the code's.

use std::path::Path;

#[test]
fn the_openapi_document_is_as_committed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/stackyard.json");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let code = stackyard_server::api::openapi();
    if std::env::var_os("STACKYARD_WRITE_OPENAPI").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, code).unwrap();
        return;
    }
    assert!(
        committed == code,
        "openapi/stackyard.json is not what the code says; write it with\n  \
         STACKYARD_WRITE_OPENAPI=1 cargo test -p stackyard-server --test api document"
    );
}
