use super::*;

fn entry() -> CloudEntry {
    CloudEntry {
        auth_url: "http://127.0.0.1:5000/v3".into(),
        username: "admin".into(),
        password: "p\"w: #1'".into(),
        project_name: "admin".into(),
        domain_name: "Default".into(),
        region_name: "RegionOne".into(),
        cacert: None,
    }
}

const BLOCK: &str = r#"local:
  auth:
    auth_url: "http://127.0.0.1:5000/v3"
    username: admin
    password: "p\"w: #1'"
    project_name: admin
    user_domain_name: Default
    project_domain_name: Default
  region_name: RegionOne
  interface: public
  identity_api_version: "3"
"#;

fn indented(by: usize) -> String {
    BLOCK.lines().map(|l| format!("{}{l}\n", " ".repeat(by))).collect()
}

fn put(text: &str) -> String {
    upsert(text, "local", &entry().fields()).expect("editable").expect("a change")
}

#[test]
fn into_nothing() {
    let fresh = format!("clouds:\n{}", indented(2));
    assert_eq!(put(""), fresh);
    assert_eq!(put("# my clouds\n"), format!("# my clouds\n{fresh}"));
    assert_eq!(put("# my clouds"), format!("# my clouds\n{fresh}"));
    assert_eq!(put("---\n"), format!("---\n{fresh}"));
    assert_eq!(put("clouds:\n"), fresh);
    assert_eq!(put("clouds: {}\n"), fresh);
    assert_eq!(put("clouds: {} # none yet\n"), format!("clouds: # none yet\n{}", indented(2)));
    assert_eq!(put("clouds: ~\nother: 1\n"), format!("clouds:\n{}other: 1\n", indented(2)));
    assert_eq!(put("cache:\n  expiration: 1\n"), format!("cache:\n  expiration: 1\n{fresh}"));
    assert_eq!(put("\u{feff}"), format!("\u{feff}{fresh}"));
}

const ODD: &str = "\
---
# the lab; ask Anna before touching
client:
  force_ipv4: true
clouds:
    lab:   {auth: {auth_url: 'https://lab:5000/v3', password: \"a # b\"}, verify: no}   # one line

    # production
    prod: &prod
        profile: vendor
        auth:
          username: x
          password: |
            two
            lines
        regions: [a,
           b]
    prod2:
        <<: *prod
        region_name: b     # trailing
  # odd comment, too far left

# the end
cache: {class: dogpile}
";

#[test]
fn among_others_every_byte_stays() {
    let new = put(ODD);
    let cut = ODD.find("  # odd comment").expect("there");
    assert_eq!(new, format!("{}{}{}", &ODD[..cut], indented(4), &ODD[cut..]));
    // The same again changes nothing; a new password changes the entry alone.
    assert!(upsert(&new, "local", &entry().fields()).expect("editable").is_none());
    let other = CloudEntry { password: "other".into(), ..entry() };
    let changed = upsert(&new, "local", &other.fields()).expect("editable").expect("a change");
    assert_eq!(changed, new.replace(r#""p\"w: #1'""#, "other"));
    // And gone again as if it had never been.
    assert_eq!(remove(&new, "local").expect("editable").as_deref(), Some(ODD));
    assert!(remove(ODD, "local").expect("editable").is_none());
}

#[test]
fn an_entry_in_the_middle() {
    let text =
        "clouds:\n  a: {x: 1}\n  local:\n    auth: {}\n    note: |\n      # no comment\n\n  # about b\n  b: {x: 2}\n";
    assert_eq!(put(text), format!("clouds:\n  a: {{x: 1}}\n{}\n  # about b\n  b: {{x: 2}}\n", indented(2)));
    let gone = remove(text, "local").expect("editable").expect("a change");
    assert_eq!(gone, "clouds:\n  a: {x: 1}\n\n  # about b\n  b: {x: 2}\n");
}

#[test]
fn the_only_entry_goes_and_comes() {
    let one = put("");
    let none = remove(&one, "local").expect("editable").expect("a change");
    assert_eq!(none, "clouds: {}\n");
    assert_eq!(put(&none), one);
}

#[test]
fn windows_lines_and_no_last_newline() {
    assert_eq!(
        put("clouds:\r\n  a: {x: 1}\r\n"),
        format!("clouds:\n  a: {{x: 1}}\n{}", indented(2)).replace('\n', "\r\n")
    );
    assert_eq!(put("clouds:\n  a: {x: 1}"), format!("clouds:\n  a: {{x: 1}}\n{}", indented(2)));
    assert_eq!(
        put("clouds:\n  a:\n    k: >-\n      folded\n      text"),
        format!("clouds:\n  a:\n    k: >-\n      folded\n      text\n{}", indented(2))
    );
}

#[test]
fn json_stays_json() {
    for text in
        [r#"{"clouds": {"a": {"x": "1"}}}"#, "{}", r#"{"cache": {}}"#, "{\n  \"clouds\": {\n    \"a\": {}\n  }\n}\n"]
    {
        let new = put(text);
        serde_json::from_str::<serde_json::Value>(&new).expect(&new);
        let changed = upsert(&new, "local", &CloudEntry { region_name: "R2".into(), ..entry() }.fields());
        serde_json::from_str::<serde_json::Value>(&changed.expect("editable").expect("a change")).expect("json");
        let gone = remove(&new, "local").expect("editable").expect("a change");
        serde_json::from_str::<serde_json::Value>(&gone).expect(&gone);
    }
}

#[test]
fn unsafe_edits_are_refused() {
    let refused = |text: &str| upsert(text, "local", &entry().fields()).expect_err(text);
    assert!(refused("clouds:\n  local: {a: 1}\n  local: {b: 1}\n").contains("twice"));
    assert!(refused("clouds:\n  a: 1\n---\nclouds: {}\n").contains("document"));
    assert!(refused("clouds: [a]\n").contains("not a mapping"));
    assert!(refused("- a\n").contains("not a mapping"));
    assert!(refused("clouds: {a: [}\n").contains("line 1"));
    // Somebody else uses what the entry defines.
    let shared = "clouds:\n  local: &l\n    a: 1\n  b: *l\n";
    assert!(refused(shared).contains("break the file"), "{}", refused(shared));
}

#[test]
fn the_file_is_private_and_links_stay() {
    let dir = tempfile::tempdir().expect("dir");
    let real = dir.path().join("sub/real.yaml");
    let link = dir.path().join("clouds.yaml");
    assert!(upsert_cloud(&real, "local", &entry()).expect("written"));
    fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).expect("chmod");
    std::os::unix::fs::symlink(&real, &link).expect("link");
    assert!(!upsert_cloud(&link, "local", &entry()).expect("the same"));
    assert!(upsert_cloud(&link, "other", &entry()).expect("written"));
    assert!(fs::symlink_metadata(&link).expect("link").is_symlink());
    assert_eq!(fs::metadata(&real).expect("file").permissions().mode() & 0o777, 0o600);
    assert!(remove_cloud(&link, "other").expect("removed"));
    assert_eq!(fs::read_to_string(&real).expect("file"), format!("clouds:\n{}", indented(2)));
    assert!(!remove_cloud(&dir.path().join("none.yaml"), "local").expect("no file"));
    assert_eq!(fs::read_dir(dir.path().join("sub")).expect("dir").count(), 1);
}

#[test]
fn no_input_makes_it_panic() {
    // Every prefix of an odd file, and it with every byte dropped.
    for text in [ODD, "clouds:\n  local: {a: b}\n", r#"{"clouds": {"local": {"x": "1"}, "b": {}}}"#] {
        for at in 0..text.len() {
            let short = &text[..at];
            let dropped = format!("{}{}", &text[..at], &text[at + 1..]);
            for t in [short, &dropped] {
                let _ = upsert(t, "local", &entry().fields());
                let _ = remove(t, "local");
            }
        }
    }
}
