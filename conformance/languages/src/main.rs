//! The program, where there is one.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    frazil_languages::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("language-matrix runs in a network namespace of Linux's");
    ExitCode::FAILURE
}
