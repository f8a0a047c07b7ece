//! Every byte that left the bridge towards visitors, logs and metrics, and what must not be among
//! them (T24, T34).

use base64::{
    Engine, engine::general_purpose::STANDARD_NO_PAD, engine::general_purpose::URL_SAFE_NO_PAD,
};
use parking_lot::Mutex;
use std::sync::Arc;

/// A shared collection; clones are handles.
#[derive(Clone, Default)]
pub struct Taint(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// What visitors received.
    downstream: Vec<(String, Vec<u8>)>,
    /// What operators can read: logs, metrics, output of commands.
    operator: Vec<(String, Vec<u8>)>,
    /// Texts that visitors have and logs must not: assertions, bridge cookies.
    private: Vec<String>,
}

impl Taint {
    /// Bytes that a visitor received.
    pub fn downstream(&self, what: &str, bytes: &[u8]) {
        self.0.lock().downstream.push((what.into(), bytes.to_vec()));
    }

    /// Text that an operator can read.
    pub fn operator(&self, what: &str, text: &str) {
        self.0
            .lock()
            .operator
            .push((what.into(), text.as_bytes().to_vec()));
    }

    /// A text that no operator may read.
    pub fn private(&self, text: &str) {
        if text.len() >= 16 {
            self.0.lock().private.push(text.into());
        }
    }

    /// Asserts that none of `tokens` (of the app) was seen anywhere, in any usual coding, and that
    /// operators saw no credential of a visitor.
    pub fn assert_clean(&self, tokens: &[String]) {
        assert!(!self.0.lock().downstream.is_empty(), "nothing was watched");
        self.assert_unseen(tokens);
    }

    /// The same where nobody visited.
    pub fn assert_unseen(&self, tokens: &[String]) {
        let leaks = self.leaks(tokens);
        assert!(
            leaks.is_empty(),
            "{} leaks:\n{}",
            leaks.len(),
            leaks.join("\n")
        );
    }

    fn leaks(&self, tokens: &[String]) -> Vec<String> {
        let seen = self.0.lock();
        let mut leaks = Vec::new();
        for token in tokens.iter().filter(|token| !token.is_empty()) {
            let codings = codings(token);
            for (what, bytes) in seen.downstream.iter().chain(&seen.operator) {
                let found = codings
                    .iter()
                    .find(|(_, form)| contains(bytes, form.as_bytes()));
                if let Some((coding, _)) = found {
                    let text = String::from_utf8_lossy(bytes);
                    leaks.push(format!(
                        "an app's real token ({token}, {coding}) in {what}:\n{text}"
                    ));
                }
            }
        }
        for private in &seen.private {
            let shown = seen
                .operator
                .iter()
                .find(|(_, bytes)| contains(bytes, private.as_bytes()));
            if let Some((what, _)) = shown {
                leaks.push(format!("a visitor's credential ({private}) in {what}"));
            }
        }
        leaks
    }
}

/// The text itself, reversed, in hex, and in base64 at each of the three alignments.
fn codings(token: &str) -> Vec<(&'static str, String)> {
    let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut codings = vec![
        ("plain", token.to_owned()),
        ("reversed", token.chars().rev().collect()),
        ("hex", hex),
    ];
    for before in 0..3 {
        let mut bytes = vec![b'x'; before];
        bytes.extend_from_slice(token.as_bytes());
        for (name, engine) in [
            ("base64", &STANDARD_NO_PAD),
            ("base64url", &URL_SAFE_NO_PAD),
        ] {
            let text = engine.encode(&bytes);
            // The ends mix with what stands beside the token.
            if let Some(inner) = text.get(4..text.len() - 4) {
                codings.push((name, inner.to_owned()));
            }
        }
    }
    codings
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_token_is_found_in_every_coding() {
    let token = "abcdefghijklmnopqrstuvwxyz".to_owned();
    for text in [
        format!("x{token}y"),
        URL_SAFE_NO_PAD.encode(format!("{{\"a\":\"{token}\"}}")),
        STANDARD_NO_PAD.encode(format!("..{token}..")),
        token.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ] {
        let taint = Taint::default();
        taint.downstream("test", text.as_bytes());
        assert_eq!(taint.leaks(std::slice::from_ref(&token)).len(), 1, "{text}");
    }
    let taint = Taint::default();
    taint.downstream("test", b"abcdefghijklmnopqrstuvwxy");
    taint.assert_clean(&[token]);
}
