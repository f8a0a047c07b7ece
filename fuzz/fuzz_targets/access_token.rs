#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auth_manager::keys::access_token::fuzz::fuzz_access_token(data));
