//! Any bytes, read as a file: the laws of `lang/tests/laws/law.rs` hold.

#![no_main]

#[path = "../../../lang/tests/laws/law.rs"]
mod law;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| law::check(&String::from_utf8_lossy(bytes)));
