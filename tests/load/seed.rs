//! Fills a bridge's store with people who are signed in, so that a load test starts where a working
//! day does: accounts linked, app sessions sealed in the store, bridge cookies in the browsers.
//!
//!     load-seed CONFIG USERS COOKIES
//!
//! User *u* has the subject `50b00000-0000-4000-8000-` and *u* in 12 digits and the sid
//! `5e551d00-0000-4000-8000-` likewise; line *u* of COOKIES is the Cookie header of their browser.
//! Everything goes through the library, as a sign-in would; only the app is not asked.

use anyhow::{Context, bail};
use auth_manager::apps::Profile;
use auth_manager::config::Config;
use auth_manager::identity::{Asserted, Memo};
use auth_manager::keys::seal::Purpose;
use auth_manager::keys::session_token::{self, NewToken};
use auth_manager::keys::{random, rotation};
use auth_manager::runtime::{audit_of, master_of, store_of};
use auth_manager::store::{Account, AccountState, Birth, SeenUser, Session};
use auth_manager::types::{Clock, RemoteId, Sid, Subject, SystemClock};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what| arguments.next().context(what);
    let config: PathBuf = next("CONFIG")?.into();
    let users: u64 = next("USERS")?.parse()?;
    let cookies: PathBuf = next("COOKIES")?.into();
    let lines = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(seed(&config, users))?;
    // Whole or not at all: whoever waits for it may look at any moment.
    let draft = cookies.with_extension("draft");
    std::fs::write(&draft, lines)?;
    std::fs::rename(draft, cookies)?;
    Ok(())
}

async fn seed(config: &std::path::Path, users: u64) -> anyhow::Result<String> {
    let config = match Config::load(config) {
        Ok(config) => config,
        Err(errors) => bail!("{errors}"),
    };
    let (app, now) = (&config.apps[0], SystemClock.now());
    let store = store_of(&config.store).await?;
    let master = master_of(&config.keys)?;
    let by = audit_of(&config, Arc::new(SystemClock)).bridge();
    let ring = rotation::ensure(&*store, &master, now, &by).await?;
    let mut cookies = String::new();
    for number in 0..users {
        let seen = SeenUser {
            issuer: app.issuer.clone(),
            subject: Subject::new(format!("50b00000-0000-4000-8000-{number:012}"))?,
            email: format!("user{number:05}@example.com"),
            email_verified: false,
            name: format!("User Number {number:05}"),
            username: None,
            locale: None,
            groups: Vec::new(),
            at: now,
        };
        let user = store.saw_user(&seen).await?;
        let remote = RemoteId::new(format!("perfuserperfuserper{number:07}"))?;
        let profile = Profile {
            username: format!("user{number:05}"),
            email: seen.email.clone(),
            ..Profile::default()
        };
        let asserted = Asserted::of(&user);
        let account = store.begin_account(&app.id, user.id, now).await?;
        let linked = Account {
            state: AccountState::Linked,
            remote: Some(remote.clone()),
            username: Some(profile.username.clone()),
            memo: Memo { asserted, profile }.text(),
            settled: true,
            ..account
        };
        let account = store.save_account(&linked, &by).await?;
        let id = random::session_id()?;
        let csrf = format!("pagecsrfpagecsrfpagec{number:07}");
        // The form of the session's seal (`proxy/session/live`).
        let grant = serde_json::json!({
            "token": format!("apptokenapptokenapp{number:07}"),
            "app_csrf": format!("appcsrfappcsrfappcs{number:07}"),
            "csrf": csrf,
        });
        let purpose = Purpose::Session(&id, &app.id);
        let session = Session {
            id,
            app: app.id.clone(),
            issuer: user.issuer.clone(),
            subject: user.subject.clone(),
            user: user.id,
            account: account.id,
            remote: remote.clone(),
            sid: Sid::new(format!("5e551d00-0000-4000-8000-{number:012}"))?,
            former_sids: Vec::new(),
            sealed: master.seal(purpose, grant.to_string().as_bytes())?,
            app_session: None,
            app_expires_at: now + app.session.overall,
            generation: 0,
            created_at: now,
            sid_since: now,
            expires_at: now + app.session.absolute,
            last_seen: now,
            admission: Default::default(),
            ended_at: None,
            end_reason: None,
            agent: "load".to_owned(),
        };
        let epoch = store.epoch(user.id).await?;
        match store.birth(&session, epoch, now, &by).await? {
            Birth::Stands(_) => {}
            other => bail!("no session for user {number}: {other:?}"),
        }
        let token = session_token::mint(
            &ring,
            &NewToken {
                issuer: "auth-manager",
                audience: &app.host,
                session: id,
                user: user.id,
                issued_at: now,
                expires_at: session.expires_at,
            },
        )?;
        writeln!(
            cookies,
            "MMAUTHTOKEN={token}; MMUSERID={remote}; MMCSRF={csrf}"
        )?;
    }
    Ok(cookies)
}
