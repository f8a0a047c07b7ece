//! The command line: one file a command. What lives here: reading arguments, printing results.
//! What does not: anything that a running bridge does.

mod demo;
mod serve;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Where the configuration lies when nothing else is said.
const CONFIG: &str = "/etc/auth-manager/auth-manager.toml";

/// Single sign-on for apps whose free edition has none, behind Pomerium.
#[derive(Debug, Parser)]
#[command(name = "auth-manager", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// The configuration file's place, for every command that needs it.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(long, short, env = "AUTH_MANAGER_CONFIG", default_value = CONFIG, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bridge.
    Serve(ConfigFile),
    /// Show everything on this machine: a door that plays Pomerium, the bridge, a stand-in app.
    Demo(demo::Demo),
}

/// Runs the command of the arguments; gives the exit code (sysexits: 78 for a bad configuration).
///
/// # Errors
/// What the command could not do, for printing.
pub fn run() -> anyhow::Result<u8> {
    match Arguments::parse().command {
        Command::Serve(file) => serve::run(&file.config),
        Command::Demo(demo) => demo.run(),
    }
}
