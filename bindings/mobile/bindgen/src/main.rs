//! Writes the Kotlin and Swift that call the mobile library: `frazil-bindgen generate LIBRARY --language kotlin --out-dir F`.
//!
//! A crate of its own, so that the library itself is built without it.

fn main() {
    uniffi::uniffi_bindgen_main();
}
