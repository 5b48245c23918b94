//! Bodies of OpenStack's error answers. The module is private to its crate and needs nothing of
//! it: compiled in here.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/openstack/src/error_body.rs"]
mod error_body;

fuzz_target!(|data: &[u8]| {
    let error_body::Said { message, kind } = error_body::read(data);
    // 600 characters and "...".
    assert!(!message.is_empty() && message.chars().count() <= 603 && !message.contains('\n'));
    assert!(kind.is_none_or(|k| k.len() <= 16 * data.len() + 16));
});
