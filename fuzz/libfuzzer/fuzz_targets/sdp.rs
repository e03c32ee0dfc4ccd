//! Fuzzes [`frazil_fuzz::sdp`]: session descriptions.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| frazil_fuzz::sdp(data));
