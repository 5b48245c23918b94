//! A file of secrets: what is read, written and read again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_catalog::Secrets;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Secrets::from_yaml("secrets.yaml", text) {
        // Names that stand in a file of ours are those of a package: words.
        Ok(secrets) if secrets.names().all(|n| n.starts_with(|c: char| c.is_ascii_alphabetic()) && is_word(n)) => {
            let again = Secrets::from_yaml("again.yaml", &secrets.to_yaml()).expect("what was written reads");
            assert!(again == secrets);
        }
        Ok(_) => {}
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});

fn is_word(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
