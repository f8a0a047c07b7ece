#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| auth_manager::proxy::assertion::fuzz::fuzz_assertion(data)
);
