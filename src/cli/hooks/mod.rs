//! `auth-manager hooks`: what directories told, and playing Authentik to try that it arrives.
//!
//! `list` shows what was heard · `send` delivers · `play` writes bodies as Authentik does.

mod list;
mod play;
mod send;

use super::ConfigFile;

/// Webhooks of directories.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Hooks {
    /// The directories that send webhooks, and what was heard of each last.
    List {
        /// As JSON; times are seconds since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Play Authentik: deliver events to a running bridge, which asks the real directory about them.
    Send(send::Send),
    /// Say what the bridge would make of a body, from a file or standard input (`-`).
    Explain {
        /// The file.
        #[arg(value_name = "FILE")]
        body: String,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Hooks {
    pub(super) fn run(self, file: &ConfigFile) -> anyhow::Result<u8> {
        match self {
            Self::List { json } => list::run(file, json),
            Self::Send(send) => send.run(file),
            Self::Explain { body, json } => send::explain(&body, json),
        }
    }
}
