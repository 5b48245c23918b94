//! Packages that come into a manifest's text and go again.

use super::*;

const HEAD: &str = "# The shop.\napiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\n";
const DIGEST: &str = "sha256:0a";

fn new(name: &str) -> NewPackage {
    let answers = [("nodes", "3"), ("title", "The: shop"), ("code", "007")];
    NewPackage {
        name: name.into(),
        package: "main/db@1.0".into(),
        digest: Some(DIGEST.into()),
        answers: answers.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
    }
}

const BLOCK: &str = "- name: db\n      package: main/db@1.0\n      digest: sha256:0a\n      answers:\n        code: \"007\"\n        nodes: 3\n        title: \"The: shop\"";

/// Adds the package; without it again, the text is the one before.
fn added(spec: &str) -> String {
    let text = format!("{HEAD}{spec}");
    let added = add_package("yard.yaml", &text, &new("db")).unwrap();
    let answers = &manifest::form("yard.yaml", &added).unwrap().spec.packages.last().unwrap().answers.clone();
    let answers: Vec<String> = answers.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(answers, ["code=007", "nodes=3", "title=The: shop"]);
    let without = remove_package("yard.yaml", &added, "db").unwrap();
    let plain = |t: &str| t.replace("packages: []", "").replace("packages:", "").replace([' ', '\n', ','], "");
    assert_eq!(plain(&without), plain(&text));
    added.strip_prefix(HEAD).unwrap().to_owned()
}

#[test]
fn a_package_is_added_and_the_rest_stays() {
    let rest = "spec:\n  # what is needed\n  networks: # all\n    - {name: n, cidr: 10.0.0.0/24} # one\n";
    assert_eq!(added(rest), format!("{}\n  packages:\n    {BLOCK}\n", rest.trim_end()));
    let one = "spec:\n  packages:\n    - name: a # first\n      package: ./a # here\n  # end\n  cloud: x\n";
    assert_eq!(
        added(one),
        format!(
            "spec:\n  packages:\n    - name: a # first\n      package: ./a # here\n    {BLOCK}\n  # end\n  cloud: x\n"
        )
    );
    assert_eq!(
        added("spec:\n  packages: # none yet\n  cloud: x"),
        format!("spec:\n  packages: # none yet\n    {BLOCK}\n  cloud: x")
    );
    let flow = "{name: \"db\", package: \"main/db@1.0\", digest: \"sha256:0a\", answers: {\"code\": \"007\", \"nodes\": 3, \"title\": \"The: shop\"}}";
    assert_eq!(added("spec: {cloud: x}\n"), format!("spec: {{cloud: x, packages: [{flow}]}}\n"));
    assert_eq!(added("spec:\n  packages: []\n"), format!("spec:\n  packages: [{flow}]\n"));
    assert_eq!(
        added("spec:\n  packages: [{name: a, package: ./a}]\n"),
        format!("spec:\n  packages: [{{name: a, package: ./a}}, {flow}]\n")
    );
}

#[test]
fn another_version_takes_the_place_of_one() {
    let set = |spec: &str| {
        let text = format!("{HEAD}{spec}");
        let changed = set_package("yard.yaml", &text, "b", "main/db@2", "sha256:0b").unwrap();
        changed.strip_prefix(HEAD).unwrap().to_owned()
    };
    assert_eq!(
        set(
            "spec:\n  packages:\n    - name: a\n      package: ./a\n    - package: main/db@1 # old\n      name: b\n      digest: sha256:0a # d\n"
        ),
        "spec:\n  packages:\n    - name: a\n      package: ./a\n    - package: main/db@2 # old\n      name: b\n      digest: sha256:0b # d\n"
    );
    assert_eq!(
        set("spec:\n  packages:\n    - name: b\n      package: main/db@1 # old\n"),
        "spec:\n  packages:\n    - name: b\n      package: main/db@2 # old\n      digest: sha256:0b\n"
    );
    assert_eq!(
        set("spec:\n  packages: [{name: b, package: main/db@1}]\n"),
        "spec:\n  packages: [{name: b, package: \"main/db@2\", digest: \"sha256:0b\"}]\n"
    );
}

#[test]
fn what_cannot_be_changed_in_place_is_refused() {
    let add = |spec: &str| add_package("yard.yaml", &format!("{HEAD}{spec}"), &new("db")).map_err(|e| e.to_string());
    assert_eq!(
        add("spec:\n  packages: [{name: db, package: ./a}]\n").unwrap_err(),
        "the manifest has a package `db` already"
    );
    assert!(add("spec: {nett: 1}\n").unwrap_err().contains("unknown key `nett`"));
    let anchored = "spec:\n  packages: &p\n    - {name: a, package: ./a}\n";
    assert!(add(anchored).unwrap_err().contains("anchors, aliases or tags; edit the manifest yourself"));
    assert!(add("spec:\n  packages: ~\n").unwrap_err().contains("its layout is not understood"));
    let gone = remove_package("yard.yaml", &format!("{HEAD}{anchored}"), "b").unwrap_err().to_string();
    assert_eq!(gone, "the manifest has no package `b`; it has a");
}
