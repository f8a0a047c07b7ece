//! Children that are read line by line and never outlive their test.

use super::PATIENCE;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// A child in a process group of its own, so that its own children die with it.
pub struct Process {
    name: String,
    child: Child,
    group: u32,
    lines: watch::Receiver<Vec<String>>,
}

impl Process {
    /// Starts `command`; panics with `hint` when the program is not there.
    pub fn start(command: Command, name: &str, hint: &str) -> Self {
        Self::start_with(command, Stdio::null(), name, hint)
    }

    /// With this as standard input.
    pub fn start_with(mut command: Command, input: Stdio, name: &str, hint: &str) -> Self {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start ({error}). {hint}"));
        let group = child
            .id()
            .expect("a child that was not waited for has an id");
        let (sender, lines) = watch::channel(Vec::new());
        let sender = Arc::new(sender);
        read(child.stdout.take().expect("piped"), Arc::clone(&sender));
        read(child.stderr.take().expect("piped"), sender);
        Self {
            name: name.into(),
            child,
            group,
            lines,
        }
    }

    /// The first thing `wanted` finds in a line, old or new.
    pub async fn line<T>(&mut self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let search = async {
            loop {
                let found = self
                    .lines
                    .borrow_and_update()
                    .iter()
                    .find_map(|line| wanted(line));
                if found.is_some() {
                    return found;
                }
                if self.lines.changed().await.is_err() {
                    return None;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        match found {
            Ok(Some(found)) => found,
            Ok(None) => panic!("{} ended without {what}:\n{}", self.name, self.output()),
            Err(_) => panic!("{} never said {what}:\n{}", self.name, self.output()),
        }
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.group
    }

    /// Everything it said so far, both streams.
    pub fn output(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// `kill -9`, and waits until it is gone and all it said has been read.
    pub async fn kill(&mut self) {
        self.signal("KILL");
        self.ended().await;
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.group));
        let status = status.expect("it runs, on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("its memory") * 1024
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        // By the shell's own kill: the standard library has no signals, and tests no unsafe.
        let status = std::process::Command::new("kill")
            .args([format!("-{name}"), format!("{}", self.group)])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "kill -{name} {}",
            self.name
        );
    }

    /// Waits for its end; the exit code, `None` after a signal.
    pub async fn ended(&mut self) -> Option<i32> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("{} does not end", self.name));
        // Both readers drop the sender at the end of their stream.
        while self.lines.changed().await.is_ok() {}
        status.expect("a child can be waited for").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group, since chromedriver's Chromium would live on.
        let _ = std::process::Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.group)])
            .stderr(Stdio::null())
            .status();
    }
}

fn read(stream: impl AsyncRead + Unpin + Send + 'static, into: Arc<watch::Sender<Vec<String>>>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line).into_owned();
            into.send_modify(|lines| lines.push(line));
        }
    });
}
