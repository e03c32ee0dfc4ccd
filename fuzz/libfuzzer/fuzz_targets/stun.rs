//! Fuzzes [`frazil_fuzz::stun`]: STUN messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| frazil_fuzz::stun(data));
