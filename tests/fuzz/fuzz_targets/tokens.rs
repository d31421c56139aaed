//! Tokens, keys, and what they are written in. What must hold of them is said by the proxy.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_proxy::laws::tokens(bytes));
