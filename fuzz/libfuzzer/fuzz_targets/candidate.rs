//! Fuzzes [`frazil_fuzz::candidate`]: candidates.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| frazil_fuzz::candidate(data));
