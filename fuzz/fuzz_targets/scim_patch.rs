#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auth_manager::api::scim::fuzz::fuzz_patch(data));
