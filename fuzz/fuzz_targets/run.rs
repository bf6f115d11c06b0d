#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peakhour_fuzz::runs::run(bytes));
