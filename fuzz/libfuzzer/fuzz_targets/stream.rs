//! Fuzzes [`frazil_fuzz::stream`]: what somebody writes into a TCP stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| frazil_fuzz::stream(data));
