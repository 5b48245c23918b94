//! Writing an entry of somebody else's clouds.yaml: the file; behind a NUL the cloud's name; behind
//! another the password.
//!
//! What must hold when the file is accepted: the entry reads as it was given, other entries read
//! as before, every byte outside the entry stays, a second time changes nothing, and the entry can
//! be removed again. When it is refused: the file is as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_openstack::{Auth, CloudConfig, CloudEntry, Sources, remove_cloud, upsert_cloud};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

#[path = "shared/scratch.rs"]
mod scratch;

static DIR: LazyLock<PathBuf> = LazyLock::new(scratch::folder);

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |b| *b == 0);
    let old = parts.next().unwrap_or_default();
    let text = |bytes: Option<&[u8]>, other: &str| {
        let text = bytes.and_then(|b| std::str::from_utf8(b).ok()).unwrap_or_default();
        if text.is_empty() { other.to_owned() } else { text.to_owned() }
    };
    let (name, password) = (text(parts.next(), "local"), text(parts.next(), "p\"w: #1'"));
    let path = DIR.join("clouds.yaml");

    // What stays when the entry goes, with or without the edit before.
    write(&path, old);
    let without = remove_cloud(&path, &name).ok().filter(|removed| *removed).map(|_| read(&path));

    write(&path, old);
    let Ok(changed) = upsert_cloud(&path, &name, &entry(&password)) else {
        assert_eq!(read(&path), old, "refused, and yet changed");
        return;
    };
    let new = read(&path);
    assert_eq!(changed, new != old);
    check_entry(&name, &password);
    assert!(!upsert_cloud(&path, &name, &entry(&password)).expect("again"), "not the same the second time");
    assert_eq!(read(&path), new);

    let removed = remove_cloud(&path, &name);
    match without {
        // The entry was there: all around it is as it was.
        Some(without) => {
            assert!(removed.expect("removed as before"));
            assert_eq!(show(&read(&path)), show(&without));
        }
        // It was not: it went in at one place, and what gave way was an empty value.
        None if changed => assert!(holds(&new, old), "lost bytes:\n{}\n=>\n{}", show(old), show(&new)),
        None => {}
    }
});

fn entry(password: &str) -> CloudEntry {
    CloudEntry {
        auth_url: "http://127.0.0.1:5000/v3".into(),
        username: "admin".into(),
        password: password.to_owned().into(),
        project_name: "admin".into(),
        domain_name: "Default".into(),
        region_name: "RegionOne".into(),
        cacert: None,
    }
}

fn check_entry(name: &str, wanted: &str) {
    let sources = Sources { folders: vec![DIR.clone()], ..Sources::default() };
    let config = CloudConfig::load_from(Some(name), &sources).expect("the entry reads");
    let expected = CloudConfig::from_entry(name, &entry(wanted));
    assert_eq!(format!("{config:?}"), format!("{expected:?}"));
    let Auth::Password { password, .. } = config.auth else { panic!("not a password") };
    assert_eq!(password.reveal(), wanted);
}

/// Whether `new` is `old` with one insertion, and without at most one empty value before it.
fn holds(new: &[u8], old: &[u8]) -> bool {
    let start = common(old.iter(), new.iter());
    let (old, new) = (&old[start..], &new[start..]);
    (0..=old.len()).filter(|end| is_empty_value(&old[..*end])).any(|end| {
        let rest = &old[end..];
        common(rest.iter(), new.iter()) + common(rest.iter().rev(), new.iter().rev()) >= rest.len()
    })
}

fn common<'a>(a: impl Iterator<Item = &'a u8>, b: impl Iterator<Item = &'a u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

fn is_empty_value(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    ["", "~", "null", "Null", "NULL"].contains(&text) || (text.starts_with('{') && text.ends_with('}'))
}

fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("written");
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("read")
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
