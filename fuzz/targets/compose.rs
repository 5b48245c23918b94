//! Compose files: `compose.yaml`, then, each behind a NUL, `other.yaml` and `vars.env`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_catalog::compose::{Project, SourceFiles, Target, load};
use stackyard_catalog::{Memory, Variables};

fuzz_target!(|data: &[u8]| {
    let mut source = Memory::new("").with("config/a/b", "content").with("config/c", "content");
    for (path, content) in ["compose.yaml", "other.yaml", "vars.env"].iter().zip(data.splitn(3, |b| *b == 0)) {
        source.insert(*path, content);
    }
    let values = [("profile", "core"), ("image_prefix", "stackyard"), ("image_tag", "1"), ("empty", ""), ("n", "7")];
    let values = values.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    // Both are tried, and one input is always read for the same.
    let target = if data.len() % 2 == 0 { Target::Engine } else { Target::Hosts };
    let read = || {
        load(&Project {
            source: &source,
            paths: vec!["compose.yaml".into()],
            name: None,
            default_name: None,
            profiles: vec!["core".into(), "full".into()],
            variables: Variables::lenient(Clone::clone(&values)),
            files: &SourceFiles(&source),
            home: None,
            target,
        })
    };
    let first = read();
    // The hash of a spec decides what is recreated: the same text gives the same stack.
    let second = (data.len() < 4096).then(&read);
    match (&first, second.as_ref().unwrap_or(&first)) {
        (Ok(first), Ok(second)) => assert_eq!(first.stack, second.stack),
        (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
        _ => panic!("read once, and once not"),
    }
});
