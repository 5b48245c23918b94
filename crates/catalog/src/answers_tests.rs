//! Answers against questions.

use super::*;
use crate::source::Memory;
use std::sync::Arc;

const PACKAGE: &str = r#"
apiVersion: stackyard.dev/v1
kind: Package
metadata: {name: demo, version: 1.0.0}
questions:
  - {name: profile, type: enum, options: [core, full], default: core}
  - {name: port, type: int, default: 80, min: 1, max: 65535}
  - {name: address, type: ip, default: 127.0.0.1}
  - {name: net, type: cidr, default: 10.0.0.0/24}
  - {name: host, type: hostname, default: a.b-c}
  - {name: nic, type: interface, default: ""}
  - {name: debug, type: bool, default: false}
  - {name: motto, type: string, min_length: 2, max_length: 5, pattern: "[a-z]*"}
  - {name: key, type: password, min_length: 8, required: true}
  - {name: token, type: string, required: true, show_if: {profile: full}}
"#;

fn questions() -> Vec<Question> {
    let source = Memory::new("").with("package.yaml", PACKAGE);
    crate::Package::load(Arc::new(source)).expect("a package").questions.clone()
}

fn resolve(pairs: &[&str]) -> Result<ResolvedAnswers, String> {
    let mut answers = Answers::default();
    pairs.iter().for_each(|p| answers.set_pair(p).expect("a pair"));
    answers.resolve(&questions()).map_err(|e| e.to_string())
}

#[test]
fn defaults_and_given() {
    let resolved = resolve(&["key=password", "port=8080", "motto="]).expect("fine");
    insta::assert_snapshot!(resolved);
    assert_eq!(resolved.given_to_yaml(), "port: \"8080\"\nkey: \"password\"\n");
    let again = Answers::from_yaml("a.yaml", &resolved.given_to_yaml()).expect("read");
    assert_eq!(again.resolve(&questions()).expect("fine").given_to_yaml(), resolved.given_to_yaml());
    assert_eq!(resolved.get("port"), Some(&Value::Int(8080)));
    assert_eq!((resolved.get("motto"), resolved.text("nic").as_str()), (None, ""));
    for text in [format!("{resolved:?}"), serde_json::to_string(&resolved).expect("json"), resolved.to_string()] {
        assert!(!text.contains("password"), "{text}");
    }
}

#[test]
fn all_errors_at_once() {
    let wrong = [
        "profile=medium",
        "port=0",
        "address=1.2.3",
        "net=10.0.0.0",
        "host=-x",
        "nic=a/b",
        "debug=yes",
        "motto=A",
        "key=short",
        "prot=1",
    ];
    insta::assert_snapshot!(resolve(&wrong).expect_err("wrong"));
    assert_eq!(
        resolve(&["profile=full"]).expect_err("missing"),
        "key: an answer is required: a password of 8 characters or more\ntoken: an answer is required: a text"
    );
}

#[test]
fn files_have_places() {
    let mut answers =
        Answers::from_yaml("a.yaml", "key: longenough\nport: many\nprofil: core\nmotto:\n").expect("read");
    assert_eq!(
        answers.resolve(&questions()).expect_err("wrong").to_string(),
        "a.yaml:3:9: unknown answer `profil`; did you mean `profile`?\n\
         a.yaml:2:7: port: `many` is not allowed: it must be a whole number from 1 to 65535"
    );
    // A later answer takes the place of an earlier one.
    answers.set("port", "81");
    answers.unset("profil");
    assert_eq!(answers.resolve(&questions()).expect("fine").text("port"), "81");
    assert_eq!(format!("{answers:?}"), r#"{"key", "port"}"#);
    assert!(Answers::from_yaml("a.yaml", "[1]").is_err());
    assert!(Answers::from_yaml("a.yaml", "a: [1]").is_err());
    assert!(Answers::from_yaml("a.yaml", "").expect("empty").is_empty());
    assert!(Answers::default().set_pair("novalue").is_err());
}
