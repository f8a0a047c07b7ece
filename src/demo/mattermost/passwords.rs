//! Password policy, hashes and `PUT /users/{id}/password` (recordings 02, 11, 12).
//!
//! bcrypt is not checked here: such a hash is stored, and behaves as an unparsable one.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::answer::{Answer, Refusal, Reply};
use super::call::Call;
use super::controls::StandIn;
use super::ids::now_ms;

/// Rounds the real server writes, and accepts without re-hashing.
const REAL_ROUNDS: u32 = 600_000;
/// Rounds beyond this are not computed for anyone.
const MOST_ROUNDS: u32 = 2_000_000;
/// Width of the database column.
const COLUMN: usize = 128;

/// What checking a password against a stored hash gave.
pub(super) enum Verdict {
    /// Right; the hash is to be rewritten with the server's own rounds.
    Right {
        rehash: bool,
    },
    Wrong,
    /// The stored text is no hash: fails at once and counts nothing (recorded).
    Unparsable,
}

/// Hashes in Mattermost 11's form.
pub(super) fn hash(password: &str, rounds: u32) -> String {
    let mut salt = [0u8; 16];
    let _ = aws_lc_rs::rand::fill(&mut salt);
    let mut out = [0u8; 32];
    let iterations = NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        &salt,
        password.as_bytes(),
        &mut out,
    );
    let (salt, out) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(out));
    format!("$pbkdf2$f=SHA256,w={rounds},l=32${salt}${out}")
}

/// Checks a password against `$pbkdf2$f=SHA256,w=…,l=32$salt$hash`.
pub(super) fn verify(stored: &str, password: &str, own_rounds: u32) -> Verdict {
    let Some((rounds, salt, expected)) = parse(stored) else {
        return Verdict::Unparsable;
    };
    let right = pbkdf2::verify(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        &salt,
        password.as_bytes(),
        &expected,
    );
    match right {
        Ok(()) => Verdict::Right {
            rehash: ![REAL_ROUNDS, own_rounds].contains(&rounds.get()),
        },
        Err(_) => Verdict::Wrong,
    }
}

fn parse(stored: &str) -> Option<(NonZeroU32, Vec<u8>, Vec<u8>)> {
    let mut parts = stored.strip_prefix("$pbkdf2$")?.split('$');
    let mut rounds = None;
    for pair in parts.next()?.split(',') {
        match pair.split_once('=')? {
            ("f", "SHA256") | ("l", "32") => {}
            ("w", text) => rounds = text.parse::<NonZeroU32>().ok(),
            _ => return None,
        }
    }
    let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
    let expected = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
    let rounds = rounds.filter(|rounds| rounds.get() <= MOST_ROUNDS)?;
    (parts.next().is_none() && expected.len() == 32).then_some((rounds, salt, expected))
}

/// The password policy of the configuration, in the real server's order.
pub(super) fn check_policy(app: &StandIn, password: &str) -> Result<(), Refusal> {
    let shortest = app.number("PasswordSettings", "MinimumLength");
    if (password.len() as i64) < shortest {
        let message = format!("Your password must contain at least {shortest} characters.");
        return Err(Refusal::new(
            400,
            "model.user.is_valid.pwd_min_length.app_error",
            message,
        ));
    }
    if password.len() > 72 {
        return Err(Refusal::new(
            400,
            "model.user.is_valid.pwd_max_length.app_error",
            "Your password must contain no more than 72 characters.",
        ));
    }
    let missing = |setting: &str, found: bool| app.flag("PasswordSettings", setting) && !found;
    let has = |test: fn(&u8) -> bool| password.bytes().any(|byte| test(&byte));
    let bad = [
        ("Lowercase", has(u8::is_ascii_lowercase)),
        ("Uppercase", has(u8::is_ascii_uppercase)),
        ("Number", has(u8::is_ascii_digit)),
        ("Symbol", has(u8::is_ascii_punctuation)),
    ]
    .into_iter()
    .any(|(setting, found)| missing(setting, found));
    if bad {
        return Err(Refusal::new(
            400,
            "model.user.is_valid.pwd_classes.app_error",
            "Your password does not contain the characters this server demands.",
        ));
    }
    Ok(())
}

/// `UpdatePassword` of the store: whatever the account was, it is an e-mail account now.
pub(super) fn store(user: &mut super::state::User, hash: String) {
    let now = now_ms();
    user.password = hash;
    user.last_password_update = now;
    user.update_at = now;
    user.auth_data = None;
    user.auth_service.clear();
    user.failed_attempts = 0;
}

/// `PUT /users/{id}/password`.
pub(super) async fn set(mut call: Call) -> Answer {
    let id = call.user_id(1)?;
    let fields = call.strings().await?;
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let new = field("new_password").to_owned();
    let app = call.app.clone();
    let own = call.caller()?.user_id == id;
    // Mattermost's own word for the permission error, whoever the target is.
    let context = "Update password failed because context user_id did not match props user_id.";
    let context = Refusal::new(403, "api.user.update_password.context.app_error", context);

    if field("already_hashed") == "true" {
        if !call.is_admin() {
            return Err(if own {
                Refusal::new(
                    401,
                    "api.user.update_password.user_and_hashed.app_error",
                    "Only system administrators can set already-hashed passwords.",
                )
            } else {
                context
            });
        }
        let failed = Refusal::new(
            500,
            "api.user.update_password.failed.app_error",
            "Update password failed.",
        );
        if new.len() > COLUMN {
            return Err(failed);
        }
        let mut state = app.state();
        let user = state.user_mut(&id).ok_or_else(Refusal::missing_user)?;
        store(user, new);
        return Ok(Reply::ok());
    }

    if !call.is_admin() {
        if !own {
            return Err(context);
        }
        if field("current_password").is_empty() {
            return Err(Refusal::body_param("current_password"));
        }
        let stored = app
            .state()
            .user(&id)
            .map(|user| user.password.clone())
            .unwrap_or_default();
        let current = field("current_password").to_owned();
        if !matches!(app.verify(stored, current).await, Verdict::Right { .. }) {
            return Err(Refusal::new(
                400,
                "api.user.update_password.incorrect.app_error",
                "The \"Current Password\" you entered is incorrect.",
            ));
        }
    }
    check_policy(&app, &new)?;
    if !app
        .state()
        .user(&id)
        .is_some_and(super::state::User::is_person)
    {
        let unknown = app.state().user(&id).is_none();
        return Err(if unknown {
            Refusal::missing_user()
        } else {
            Refusal::new(
                500,
                "api.user.update_password.failed.app_error",
                "Update password failed.",
            )
        });
    }
    let hashed = app.hash(new).await;
    let mut state = app.state();
    let user = state.user_mut(&id).ok_or_else(Refusal::missing_user)?;
    store(user, hashed);
    if app.flag("ServiceSettings", "TerminateSessionsOnPasswordChange") {
        state.end_sessions(&id);
    }
    Ok(Reply::ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_hash_opens_with_its_password() {
        // Recording 02, exchange 14: the password is "derived-password-1".
        let stored = "$pbkdf2$f=SHA256,w=600000,l=32$G1YbhRIT+vVZp2IzZE1mJQ$xYyhT1DXdg6nzDUxVi7quE0BAU7YmQpgP5Q8/assHU0";
        assert!(matches!(
            verify(stored, "derived-password-1", 1_000),
            Verdict::Right { rehash: false }
        ));
    }

    #[test]
    fn own_hashes_and_foreign_texts() {
        let stored = hash("secret", 10);
        assert!(matches!(
            verify(&stored, "secret", 10),
            Verdict::Right { rehash: false }
        ));
        assert!(matches!(
            verify(&stored, "secret", 20),
            Verdict::Right { rehash: true }
        ));
        assert!(matches!(verify(&stored, "Secret", 10), Verdict::Wrong));
        for text in [
            "",
            "garbage",
            "$pbkdf2$f=SHA256,w=0,l=32$$",
            "$2a$10$abc",
            "$pbkdf2$f=SHA256,l=32$AA$AA",
        ] {
            assert!(
                matches!(verify(text, "", 10), Verdict::Unparsable),
                "{text}"
            );
        }
    }
}
