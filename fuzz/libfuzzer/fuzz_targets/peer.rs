//! Fuzzes [`frazil_fuzz::peer`]: a connected peer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| frazil_fuzz::peer(data));
