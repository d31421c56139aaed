//! Answers of HTTP/1.1. What must hold of them is said by the proxy.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh_proxy::laws::answers(bytes));
