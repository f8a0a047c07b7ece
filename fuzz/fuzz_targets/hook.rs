#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| auth_manager::api::hooks::fuzz::fuzz_hook(data));
