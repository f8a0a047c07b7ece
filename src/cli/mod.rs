//! The command line: one file a command. What lives here: reading arguments, printing results, and
//! what only an operator asks (`check`, `init`). What does not: anything that a running bridge does.
//!
//! Beside the commands: `stage` is what a command stands on, `person` finds whom an operator means,
//! `operator` who runs it, `out` prints.

mod accounts;
mod audit;
mod backup;
mod bots;
mod by_hand;
mod check;
mod clients;
mod demo;
mod explain;
mod health;
mod hooks;
mod init;
mod jobs;
mod keys;
mod master;
mod migrate;
mod operator;
mod out;
mod person;
mod person_data;
mod reconcile;
mod restore;
mod scim;
mod seats;
mod serve;
mod sessions;
mod smoke;
mod stage;
mod users;

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Where the configuration lies when nothing else is said.
const CONFIG: &str = "/etc/auth-manager/auth-manager.toml";

/// sysexits(3) `EX_CONFIG`.
const EX_CONFIG: u8 = 78;

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
    #[arg(long, short, env = "AUTH_MANAGER_CONFIG", default_value = CONFIG, value_name = "FILE", global = true)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the bridge.
    Serve(ConfigFile),
    /// Read the configuration, ask Pomerium's keys, the app and the store, and explain what is
    /// wrong.
    Check(check::Check),
    /// Write configuration and master key; with --dev development certificates too.
    Init(init::Init),
    /// The signing keys of the bridge's cookie; rotating signs nobody out.
    Keys {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: keys::Keys,
    },
    /// Who is signed in; revoking cuts within a second, on every replica.
    Sessions {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: sessions::Sessions,
    },
    /// People; disabling refuses the next request and ends their sessions.
    Users {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: users::Users,
    },
    /// Whose account in the app is whose; resolves conflicts.
    Accounts {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: accounts::Accounts,
    },
    /// Work that must happen surely: what waits, what is dead, trying it again.
    Jobs {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: jobs::Jobs,
    },
    /// The bots that services call an app as: made, listed, rotated.
    Bots {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: bots::Bots,
    },
    /// Who takes an app's seats, how long they last, and taking back those that nobody uses.
    Seats {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: seats::Seats,
    },
    /// Who did what: look, export, and prove that nothing was changed.
    Audit {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: audit::Audit,
    },
    /// Services that may call the api listener, and bearers for them.
    Clients {
        #[command(subcommand)]
        what: clients::Clients,
    },
    /// Webhooks of directories: what was heard, and playing Authentik to try them.
    Hooks {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: hooks::Hooks,
    },
    /// SCIM clients that provision people and groups.
    Scim {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: scim::Scim,
    },
    /// Read directories whole, compare, and do what follows; plans that are held.
    Reconcile {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: reconcile::Reconcile,
    },
    /// Have a directory read again: one person, or everybody.
    Sync(by_hand::sync::Sync),
    /// Invite people to a directory, see who is invited, take it back.
    Invitations {
        #[command(flatten)]
        file: ConfigFile,
        #[command(subcommand)]
        what: by_hand::invitations::Invitations,
    },
    /// Ask the running bridge how it is, for health checks without curl.
    Health(health::Health),
    /// Bring store and sealed keys into one file, while the bridge runs.
    Backup(backup::Backup),
    /// Restore a backup, on either engine; the bridge must be stopped.
    Restore(restore::Restore),
    /// Walk the whole road of a running instance as a browser does: door, session, API, socket, and
    /// what must be refused.
    Smoke(smoke::Smoke),
    /// Bring the store's tables up to date (`serve` does it too).
    Migrate(migrate::Migrate),
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
        Command::Check(check) => check.run(),
        Command::Init(init) => init.run(),
        Command::Keys { file, what } => what.run(&file),
        Command::Sessions { file, what } => what.run(&file),
        Command::Users { file, what } => what.run(&file),
        Command::Accounts { file, what } => what.run(&file),
        Command::Jobs { file, what } => what.run(&file),
        Command::Bots { file, what } => what.run(&file),
        Command::Seats { file, what } => what.run(&file),
        Command::Audit { file, what } => what.run(&file),
        Command::Clients { what } => what.run(),
        Command::Hooks { file, what } => what.run(&file),
        Command::Scim { file, what } => what.run(&file),
        Command::Reconcile { file, what } => what.run(&file),
        Command::Sync(sync) => sync.run(),
        Command::Invitations { file, what } => what.run(&file),
        Command::Health(health) => health.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Smoke(smoke) => smoke.run(),
        Command::Migrate(migrate) => migrate.run(),
        Command::Demo(demo) => demo.run(),
    }
}
