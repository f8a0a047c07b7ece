//! A PostgreSQL of one's own: a fresh cluster in a temporary folder, on a Unix socket, gone when
//! the test process is gone.
//!
//! Needs the server's programs (`initdb`, `pg_ctl`, `postgres`): from `AUTH_MANAGER_TEST_PG_BIN`,
//! the newest `/usr/lib/postgresql/*/bin`, or the path. As root it runs as the user `postgres`,
//! since the server refuses to run as root.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

const MISSING: &str = "PostgreSQL is needed for these tests and was not found. Install the server \
    (Debian: `apt-get install -y postgresql`; Nix: `postgresql`), or name the folder of its \
    programs in AUTH_MANAGER_TEST_PG_BIN.";

/// Makes the cluster, says `ready`, and stays until its input ends: when the test process does,
/// however it does. Durability is off: nothing here outlives the run.
const KEEPER: &str = r#"
set -e
umask 077
trap 'pg_ctl -D "$1/data" -m immediate -w stop >/dev/null 2>&1 || true; rm -rf "$1"' EXIT
trap '' INT
initdb -D "$1/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$1/initdb.log" 2>&1 \
    || { cat "$1/initdb.log" >&2; exit 1; }
pg_ctl -D "$1/data" -l "$1/server.log" -w -t 60 start >/dev/null 2>&1 -o "-k '$1' \
    -c listen_addresses= -c fsync=off -c full_page_writes=off -c synchronous_commit=off \
    -c max_connections=300 -c shared_buffers=32MB" \
    || { cat "$1/server.log" >&2; exit 1; }
echo ready
cat >/dev/null
"#;

/// A running cluster.
pub(crate) struct Cluster {
    folder: PathBuf,
    keeper: Child,
}

impl Cluster {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let owner = running_as_root().then(postgres_user);
        let folder = tempfile::Builder::new()
            .prefix("am-pg-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        if let Some((uid, gid)) = owner {
            chown(&folder, Some(uid), Some(gid)).expect("the folder becomes the server's");
        }
        let mode = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&folder, mode).expect("the folder is private");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .current_dir(&folder)
            .env("PATH", path())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some((uid, gid)) = owner {
            command.uid(uid).gid(gid);
        }
        let mut keeper = command.spawn().expect("a shell");
        let mut line = String::new();
        let out = keeper.stdout.take().expect("its output is a pipe");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("the keeper speaks");
        assert_eq!(line, "ready\n", "the cluster did not start. {MISSING}");
        Self { folder, keeper }
    }

    /// The cluster of this test binary.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// How a client reaches it, as its superuser.
    pub(crate) fn url(&self) -> String {
        format!(
            "host={} user=postgres dbname=postgres",
            self.folder.display()
        )
    }

    /// Where its socket is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new, empty database; gives its name.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls)
            .await
            .expect("the cluster runs");
        let asked = async {
            let statement = format!("CREATE DATABASE {name}");
            let made = client.batch_execute(&statement).await;
            made.expect("a superuser makes databases");
        };
        tokio::select! {
            () = asked => {}
            ended = connection => panic!("the cluster is gone: {ended:?}"),
        }
        name
    }

    /// Restarts it: every connection is lost, what was committed stays.
    pub(crate) fn restart(&self) {
        self.control(&["-m", "fast", "restart"]);
    }

    /// `pg_ctl` on it, with these arguments; waits until it is done.
    pub(crate) fn control(&self, arguments: &[&str]) {
        let mut command = Command::new("pg_ctl");
        command
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("-l")
            .arg(self.folder.join("server.log"))
            .args(["-w", "-t", "60"])
            .args(arguments)
            .current_dir(&self.folder)
            .env("PATH", path())
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some((uid, gid)) = running_as_root().then(postgres_user) {
            command.uid(uid).gid(gid);
        }
        let done = command.status().expect("pg_ctl runs");
        assert!(done.success(), "pg_ctl {arguments:?} failed");
    }

    /// Stops it at once, as a crash would, and waits until it is gone.
    pub(crate) fn stop(mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().expect("the keeper ends");
    }
}

fn running_as_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // Whose process this is; without /proc, or elsewhere, the server says so itself.
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

/// The user and group ids of `postgres`.
fn postgres_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == "postgres").then_some(())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((uid, gid))
    });
    found.unwrap_or_else(|| panic!("there is no user `postgres` to run the server as. {MISSING}"))
}

/// The search path with the server's programs first.
fn path() -> OsString {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = Vec::new();
    folders.extend(std::env::var_os("AUTH_MANAGER_TEST_PG_BIN").map(PathBuf::from));
    let mut packaged: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    packaged.sort();
    folders.extend(packaged.into_iter().rev().map(|(_, folder)| folder));
    folders.extend(std::env::split_paths(&usual));
    let has = |folder: &PathBuf| Path::exists(&folder.join("initdb"));
    assert!(folders.iter().any(has), "{MISSING}");
    std::env::join_paths(folders).expect("a path")
}
