//! What systemd is for a service: it holds the socket, hands it over as file descriptor 3, and
//! listens to what the service says of itself. Played without systemd, so that it needs neither
//! root nor a booted machine.

use super::PATIENCE;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::sync::watch;

/// A `.socket` unit and the notification socket of its service.
#[derive(Debug)]
pub struct Unit {
    socket: TcpListener,
    /// `FileDescriptorName=`
    name: String,
    /// `WatchdogSec=`, in microseconds.
    watchdog: u64,
    said: watch::Receiver<Vec<String>>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Unit {
    /// With a socket on `address`.
    pub fn new(address: &str, name: &str, watchdog: u64) -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = folder.path().join("notify");
        let notify = UnixDatagram::bind(&path).expect("a socket in it");
        let (sender, said) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut message = vec![0; 4096];
            while let Ok(length) = notify.recv(&mut message).await {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                sender.send_modify(|all| all.push(text));
            }
        });
        Arc::new(Self {
            socket: TcpListener::bind(address).expect("a free port"),
            name: name.into(),
            watchdog,
            said,
            path,
            _folder: folder,
        })
    }

    /// Where clients connect, whichever process serves.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    /// `program` with `arguments`, as systemd starts it. The shell gives what it got as standard
    /// input on as descriptor 3 and its own process id, which `exec` keeps, as `LISTEN_PID`.
    pub fn command(&self, program: &str, arguments: &[&Path]) -> (Command, Stdio) {
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "export LISTEN_PID=$$ WATCHDOG_PID=$$; exec \"$0\" \"$@\" 3<&0 </dev/null",
            ])
            .arg(program)
            .args(arguments)
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", &self.name)
            .env("WATCHDOG_USEC", self.watchdog.to_string())
            .env("NOTIFY_SOCKET", &self.path);
        let handed = self.socket.try_clone().expect("a descriptor");
        (command, Stdio::from(OwnedFd::from(handed)))
    }

    /// What the service said so far, a message an entry.
    pub fn said(&self) -> Vec<String> {
        self.said.borrow().clone()
    }

    /// Waits until `count` messages hold `words`.
    pub async fn hears(&self, words: &str, count: usize) {
        let mut said = self.said.clone();
        let heard = said.wait_for(|all| all.iter().filter(|m| m.contains(words)).count() >= count);
        if tokio::time::timeout(PATIENCE, heard).await.is_err() {
            panic!("{words} was not said {count} times: {:?}", self.said());
        }
    }
}
