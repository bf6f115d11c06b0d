#![no_main]

// The reader catches panics of the Parquet library, and the fuzzer must not end at them.
libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|panic| {
        if !panic.location().is_some_and(|place| place.file().contains("parquet-")) {
            eprintln!("{panic}");
        }
    })),
    |bytes: &[u8]| peakhour_fuzz::readers::recording(bytes)
);
