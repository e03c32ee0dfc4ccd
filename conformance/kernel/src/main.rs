//! The program, where there is one.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    frazil_kernel::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("kernel-matrix makes its networks of Linux's namespaces");
    ExitCode::FAILURE
}
