//! The binary: everything lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match auth_manager::cli::run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("auth-manager: {error:#}");
            ExitCode::FAILURE
        }
    }
}
