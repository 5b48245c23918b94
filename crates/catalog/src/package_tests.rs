//! `package.yaml`, read.

use super::*;
use crate::source::Memory;

fn problems(text: &str) -> String {
    let source = Memory::new("").with("package.yaml", text);
    match Package::load(Arc::new(source)) {
        Ok(package) => format!("{package:?}"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn the_least() {
    let least = "apiVersion: stackyard.dev/v1\nkind: Package\nmetadata: {name: a, version: 1}\n";
    assert_eq!(problems(least), "Package(a 1)");
}

#[test]
fn mistakes_come_all_at_once() {
    let text = r#"apiVersion: v2
kind: Package
metadata: {name: Big, version: 1, tittle: x}
profile: [a]
questions:
  - {name: a, type: sting}
  - {name: b, type: enum}
  - {name: c, type: int, default: many}
  - {name: d, type: string, pattern: "("}
  - {name: d, type: ip, show_if: {aa: x}}
  - {name: e-f, type: ip, requierd: true}
  - {type: ip}
secrets:
  - {name: s, type: pasword}
  - {name: s, type: hex, length: 4}
  - {name: t, type: uuid}
  - {name: t, type: uuid}
  - {name: a, type: uuid}
"#;
    insta::assert_snapshot!(problems(text));
}

#[test]
fn no_package() {
    assert_eq!(problems("- a\n"), "package.yaml:1:1: the file: a mapping is expected, not a list");
    let error = Package::load(Arc::new(Memory::new("here"))).expect_err("nothing there");
    assert_eq!(error.to_string(), "cannot read package.yaml of the package here");
    assert!(problems("a: [").starts_with("package.yaml:1:4: not valid YAML"), "{}", problems("a: ["));
}
