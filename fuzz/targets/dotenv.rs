//! `.env` files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stackyard_catalog::Variables;
use stackyard_catalog::compose::parse_dotenv;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let known = [("HOME".to_owned(), "/home/x".to_owned()), ("EMPTY".to_owned(), String::new())];
    match parse_dotenv(text, &Variables::lenient(known.into_iter().collect())) {
        Ok(pairs) => assert!(pairs.iter().all(|(name, _)| !name.is_empty() && !name.contains('='))),
        Err((line, message)) => assert!(line >= 1 && line <= text.lines().count() && !message.is_empty()),
    }
});
