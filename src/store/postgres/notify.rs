//! `LISTEN`: hears when any replica appends to the log or wishes for a job, on a connection of its
//! own.
//!
//! It comes back by itself when the connection is lost, and says "there may be something new" each
//! time it does, since it may have missed what was.

use super::archive::OPEN;
use super::jobs::WISHED;
use super::lock::key;
use super::pool::{FollowingTls, PostgresOptions};
use crate::store::Result;
use crate::store::signal::Signal;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Config, NoTls, Socket};
use tokio_util::task::AbortOnDropHandle;

/// Wait before the first new attempt; doubled up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a silent connection is asked whether it still stands.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Longest wait for an answer of the server.
const ANSWER: Duration = Duration::from_secs(5);

/// The channel of a schema.
pub(super) fn channel(schema: &str) -> String {
    format!("auth_manager_{schema}")
}

/// Who is told.
pub(super) struct Heard {
    /// Of the log.
    pub(super) appended: Arc<Signal>,
    /// Of the queue.
    pub(super) wished: Arc<Signal>,
}

impl Heard {
    fn hint(&self, payload: &str) {
        match payload {
            WISHED => self.wished.hint(),
            _ => self.appended.hint(),
        }
    }

    fn hint_all(&self) {
        self.appended.hint();
        self.wished.hint();
    }
}

/// Listens until the handle is dropped.
pub(super) fn listen(options: &PostgresOptions, heard: Heard) -> Result<AbortOnDropHandle<()>> {
    let config = options.config()?;
    let channel = channel(&options.schema);
    let open = key(&options.schema, OPEN);
    let task = match &options.tls {
        Some(tls) => {
            let tls = FollowingTls(Arc::clone(tls));
            tokio::spawn(run(config, tls, channel, open, heard))
        }
        None => tokio::spawn(run(config, NoTls, channel, open, heard)),
    };
    Ok(AbortOnDropHandle::new(task))
}

async fn run<T>(config: Config, tls: T, channel: String, open: i64, heard: Heard)
where
    T: MakeTlsConnect<Socket> + Clone + Send + 'static,
    T::Stream: Send,
    T::TlsConnect: Send,
    <T::TlsConnect as tokio_postgres::tls::TlsConnect<Socket>>::Future: Send,
{
    let mut pause = PAUSE;
    loop {
        if once(&config, tls.clone(), &channel, open, &heard).await {
            pause = PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One connection, until it is lost. Gives whether it ever listened.
async fn once<T>(config: &Config, tls: T, channel: &str, open: i64, heard: &Heard) -> bool
where
    T: MakeTlsConnect<Socket>,
{
    let Ok(Ok((client, mut connection))) = timeout(ANSWER, config.connect(tls)).await else {
        return false;
    };
    let hear = async {
        while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notification(said) = message {
                heard.hint(said.payload());
            }
        }
    };
    let mut listened = false;
    let hold = async {
        // The lock says that somebody has the store open: a restore takes it alone, so that it
        // replaces nothing under a running bridge.
        let listen = format!("SELECT pg_advisory_lock_shared({open}); LISTEN {channel}");
        if !matches!(
            timeout(ANSWER, client.batch_execute(&listen)).await,
            Ok(Ok(()))
        ) {
            return;
        }
        listened = true;
        heard.hint_all();
        loop {
            sleep(HEARTBEAT).await;
            if !matches!(timeout(ANSWER, client.simple_query("")).await, Ok(Ok(_))) {
                return;
            }
        }
    };
    tokio::select! {
        () = hear => {}
        () = hold => {}
    }
    listened
}
