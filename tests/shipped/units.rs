//! `config/systemd`: taken by systemd without a complaint, and tight.

use super::{path, run, text};

const SERVICE: &str = "config/systemd/auth-manager.service";
const SOCKET: &str = "config/systemd/auth-manager.socket";

#[test]
fn systemd_takes_the_units_without_a_complaint() {
    // Where the program is on this machine.
    let folder = tempfile::tempdir().unwrap();
    let service = text(SERVICE).replace(
        "/usr/local/bin/auth-manager",
        env!("CARGO_BIN_EXE_auth-manager"),
    );
    let (unit, socket) = (
        folder.path().join("auth-manager.service"),
        folder.path().join("auth-manager.socket"),
    );
    std::fs::write(&unit, service).unwrap();
    std::fs::copy(path(SOCKET), &socket).unwrap();
    let units = [unit.to_str().unwrap(), socket.to_str().unwrap()];
    let (output, said) = run(
        "systemd-analyze",
        "systemd",
        &["verify", "--man=false", units[0], units[1]],
    );
    // It says of a mistyped key only that it is ignored, and ends well.
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("auth-manager"))
        .collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_services_exposure_is_at_most_two() {
    let file = path(SERVICE);
    // In tenths, and without the bus: the file alone is judged.
    let arguments = [
        "security",
        "--offline=true",
        "--threshold=20",
        file.to_str().unwrap(),
    ];
    let (output, said) = run("systemd-analyze", "systemd", &arguments);
    let level = said
        .lines()
        .find_map(|line| line.split_once("Overall exposure level"))
        .and_then(|(_, rest)| {
            rest.split_whitespace()
                .find_map(|word| word.parse::<f64>().ok())
        });
    assert!(output.status.success(), "{said}");
    assert!(level.is_some_and(|level| level <= 2.0), "{said}");
}

#[test]
fn no_secret_is_in_the_unit_and_each_is_a_credential() {
    let unit = text(SERVICE);
    for name in ["master.key", "bot.token"] {
        assert!(unit.contains(&format!("LoadCredential={name}:/etc/auth-manager/{name}\n")));
    }
    assert!(!unit.contains("Environment"), "secrets don't belong there");
    let socket = text(SOCKET);
    assert!(socket.contains("FileDescriptorName=proxy\n"));
    // The names that a configuration gives them.
    assert!(unit.contains("Requires=auth-manager.socket"));
}
