//! The files that are shipped beside the program, judged by the tools that will read them: systemd's
//! units, Nix expressions, compose. A missing tool is a failed test that says what to install;
//! `tests/run` installs them.

mod authentik;
mod compose;
mod nix;
mod units;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a tool; gives how it ended and all it said.
fn run(tool: &str, package: &str, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap_or_else(|error| panic!("{tool} ({error}): install the package {package}"));
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    (output, said)
}
