//! What a person is called in Mattermost: user name, first and last name, e-mail, locale. Pure; what
//! comes from the identity provider is made fit or left out, never passed on as it is.

use aws_lc_rs::digest;
use std::fmt::Write as _;

/// Longest user name (facts §4).
const MAX_USERNAME: usize = 64;
/// Longest first or last name, in characters (facts §4).
const MAX_NAME: usize = 64;
/// Longest e-mail address in bytes (facts §4).
const MAX_EMAIL: usize = 128;
/// How many numbered names are tried before the digest.
const NUMBERED: u32 = 5;

/// Words that make a name look official: as the whole name, or as one of its parts.
const OFFICIAL: &[&str] = &[
    "admin",
    "administrator",
    "admins",
    "bot",
    "bots",
    "helpdesk",
    "matterbot",
    "mattermost",
    "moderator",
    "official",
    "owner",
    "root",
    "security",
    "superuser",
    "support",
    "sysadmin",
    "sysop",
    "system",
    "systembot",
    "webmaster",
];

/// Names that mean something to Mattermost itself: mentions, bots of its plugins, the first parts of
/// its paths (facts §4 and §5), and our own.
const RESERVED: &[&str] = &[
    "all",
    "api",
    "authmanager",
    "boards",
    "calls",
    "channel",
    "claim",
    "error",
    "feedbackbot",
    "files",
    "github",
    "gitlab",
    "help",
    "here",
    "hooks",
    "incomingwebhook",
    "landing",
    "login",
    "logout",
    "me",
    "mfa",
    "nobody",
    "null",
    "oauth",
    "playbooks",
    "plugin",
    "plugins",
    "pomerium",
    "pomeriumbridge",
    "post",
    "signup",
    "static",
    "surveybot",
    "undefined",
    "webhook",
];

/// Beginnings that no name has.
const OFFICIAL_START: &[&str] = &["admin", "mattermost", "sysadmin", "systembot"];

/// The user names to try, best first: from the preferred name, else the e-mail's local part, else the
/// display name, else a neutral one; then with -2, -3, …; at last with a digest of `unique`, which is
/// the person's own and never changes, so that a repeated try plans the same names.
pub(super) fn usernames(
    preferred: Option<&str>,
    email: Option<&str>,
    name: &str,
    unique: &str,
) -> Vec<String> {
    let digest = short_digest(unique);
    let before_at = |text: &str| text.split('@').next().unwrap_or("").to_owned();
    let base = [
        preferred.map(before_at),
        email.map(before_at),
        Some(name.to_owned()),
    ]
    .into_iter()
    .flatten()
    .find_map(|text| clean(&text));
    let Some(base) = base else {
        return vec![format!("user-{digest}")];
    };
    let with = |suffix: &str| {
        let room = MAX_USERNAME - suffix.len() - 1;
        let short = base.get(..room.min(base.len())).unwrap_or(&base);
        format!("{}-{suffix}", short.trim_end_matches(['.', '-', '_']))
    };
    std::iter::once(base.clone())
        .chain((2..=NUMBERED).map(|n| with(&n.to_string())))
        .chain(std::iter::once(with(&digest)))
        // Cutting may bring something official to the end.
        .filter(|name| !looks_official(name))
        .collect()
}

/// `CleanUsername` of Mattermost, but stricter: begins with a letter, ends in a letter or digit, and
/// is never a name that looks official. `None` when nothing is left.
fn clean(text: &str) -> Option<String> {
    let mut out = String::new();
    // A name of a megabyte is cut before any work is done on it.
    for c in text.chars().take(4 * MAX_USERNAME) {
        let plain = latin(c);
        if plain.is_empty() {
            if !out.ends_with('-') {
                out.push('-');
            }
        } else {
            out.push_str(plain);
        }
    }
    let begun = out.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let short = begun.get(..MAX_USERNAME.min(begun.len())).unwrap_or(begun);
    let done = short.trim_end_matches(['.', '-', '_']);
    (!done.is_empty() && !looks_official(done)).then(|| done.to_owned())
}

/// One character as user names may have it; empty for what they may not.
fn latin(c: char) -> &'static str {
    const PLAIN: &str = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    let lower = c.to_lowercase().next().unwrap_or(c);
    if let Some(at) = PLAIN.find(lower) {
        return PLAIN.get(at..=at).unwrap_or("");
    }
    match lower {
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ä' | 'æ' => "ae",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' | 'ő' => "o",
        'ö' | 'œ' => "oe",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ț' | 'ţ' => "t",
        'ù' | 'ú' | 'û' | 'ū' | 'ů' | 'ű' => "u",
        'ü' => "ue",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    }
}

/// Whether a name could pass for the server's, an administrator's or a bot's: separators, trailing
/// numbers and digits that stand for letters don't hide it.
fn looks_official(name: &str) -> bool {
    let fold = |text: &str| -> String {
        text.trim_end_matches(|c: char| c.is_ascii_digit())
            .chars()
            .filter_map(|c| match c {
                '0' => Some('o'),
                '1' => Some('i'),
                '3' => Some('e'),
                '4' => Some('a'),
                '5' => Some('s'),
                '7' => Some('t'),
                '.' | '-' | '_' => None,
                other => Some(other),
            })
            .collect()
    };
    let whole = fold(name);
    whole.is_empty()
        || OFFICIAL.contains(&whole.as_str())
        || RESERVED.contains(&whole.as_str())
        || OFFICIAL_START.iter().any(|start| whole.starts_with(start))
        || name
            .split(['.', '-', '_'])
            .any(|part| OFFICIAL.contains(&fold(part).as_str()))
}

/// First and last name of a display name: the first word, and the rest. Control and invisible
/// characters are dropped, since they could make one name look like another.
pub(super) fn first_and_last(display: &str) -> (String, String) {
    let visible: String = display
        .chars()
        .take(8 * MAX_NAME)
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_invisible(*c))
        .collect();
    let mut words = visible.split(' ').filter(|w| !w.is_empty());
    let first = words.next().unwrap_or("");
    let rest: Vec<_> = words.collect();
    (cut(first), cut(&rest.join(" ")))
}

fn cut(text: &str) -> String {
    let cut: String = text.chars().take(MAX_NAME).collect();
    cut.trim_end().to_owned()
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffd}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// The address as Mattermost stores it (lower case), if it is a plain one: exactly one `@`, ASCII, no
/// quotes, no angle form, no control character, no trailing dot (T15). A plus tag stays: it makes
/// another address.
pub(super) fn email(text: &str) -> Option<String> {
    if text.len() > MAX_EMAIL {
        return None;
    }
    let (local, domain) = text.split_once('@')?;
    let word = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    let local_ok = local
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(word));
    let domain_ok = domain.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    });
    (local_ok && domain_ok).then(|| text.to_ascii_lowercase())
}

/// A locale of Mattermost's (facts §4: a patch refuses others), if it has one for this tag.
pub(super) fn locale(tag: &str) -> Option<&'static str> {
    const PLAIN: &[&str] = &[
        "bg", "de", "en", "es", "fa", "fr", "hu", "it", "ja", "ko", "nl", "pl", "ro", "ru", "sv",
        "tr", "uk", "vi",
    ];
    let tag = tag
        .get(..tag.len().min(16))?
        .to_ascii_lowercase()
        .replace('_', "-");
    let (language, rest) = tag.split_once('-').unwrap_or((&tag, ""));
    match (language, rest) {
        ("en", "au") => Some("en-AU"),
        ("pt", _) => Some("pt-BR"),
        ("zh", rest)
            if ["tw", "hk", "mo", "hant"]
                .iter()
                .any(|r| rest.starts_with(r)) =>
        {
            Some("zh-TW")
        }
        ("zh", _) => Some("zh-CN"),
        _ => PLAIN.iter().find(|known| **known == language).copied(),
    }
}

fn short_digest(text: &str) -> String {
    let full = digest::digest(&digest::SHA256, text.as_bytes());
    full.as_ref()
        .iter()
        .take(4)
        .fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(preferred: Option<&str>, email: Option<&str>, name: &str) -> String {
        usernames(preferred, email, name, "u1").remove(0)
    }

    #[test]
    fn the_best_source_wins() {
        assert_eq!(first(Some("Ann.Lee"), Some("x@y.z"), "N"), "ann.lee");
        assert_eq!(first(Some("ann@corp.example"), None, ""), "ann");
        assert_eq!(first(None, Some("ann+tag@y.z"), "N"), "ann-tag");
        assert_eq!(first(None, None, "René Müller"), "rene-mueller");
        assert_eq!(first(Some("42"), Some("7ann@y.z"), ""), "ann");
        assert!(first(Some("Анна"), None, "").starts_with("user-"));
        assert_eq!(first(Some(" -a b- "), None, ""), "a-b");
    }

    #[test]
    fn official_looking_names_are_passed_over() {
        for bad in [
            "admin",
            "Administrator",
            "adm1n",
            "ad-min",
            "admin2",
            "r00t",
            "alice.admin",
            "all",
            "system",
            "support_fr",
            "pomerium-bridge",
            "here",
            "ádmin",
            "mattermost-advisor",
            "news-bot",
            "5ystem",
            "sysadmin",
            "me",
        ] {
            let got = first(Some(bad), Some("ann@y.z"), "");
            assert!(got == "ann" || !looks_official(&got), "{bad} became {got}");
            assert_ne!(got, bad.to_lowercase(), "{bad}");
        }
        for good in [
            "abbot", "robotham", "rootes", "alladin", "helena", "meg", "owen",
        ] {
            assert_eq!(first(Some(good), None, ""), good);
        }
    }

    #[test]
    fn collisions_have_planned_names() {
        let all = usernames(Some("ann"), None, "", "u1");
        assert_eq!(all[..5], ["ann", "ann-2", "ann-3", "ann-4", "ann-5"]);
        assert_eq!(all.len(), 6);
        assert_eq!(all, usernames(Some("ann"), None, "", "u1"));
        assert_ne!(all[5], usernames(Some("ann"), None, "", "u2")[5]);
    }

    #[test]
    fn display_names_are_split_and_cleaned() {
        assert_eq!(first_and_last("Ann Lee"), ("Ann".into(), "Lee".into()));
        assert_eq!(
            first_and_last("  Ann\tvan  der Lee "),
            ("Ann".into(), "van der Lee".into())
        );
        assert_eq!(
            first_and_last("A\u{202e}nn\r\n\u{0}Lee"),
            ("Ann".into(), "Lee".into())
        );
        assert_eq!(first_and_last(""), (String::new(), String::new()));
        assert_eq!(first_and_last(&"é".repeat(99)).0.chars().count(), 64);
    }

    #[test]
    fn only_plain_addresses_pass() {
        assert_eq!(
            email("Ann+Tag@Example.COM").as_deref(),
            Some("ann+tag@example.com")
        );
        for bad in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "\"a\"@b",
            "\"a@b\"@c",
            "Ann <a@b>",
            "a@b.",
            "a@.b",
            "a..b@c",
            "a b@c",
            "a@b c",
            "a\r\n@b",
            "ａ@b",
            "a@ехample.com",
            "a@b,c@d",
            "a;b@c",
            "a@[::1]",
            "a@b\0",
            ".a@b",
            "a.@b",
            "a@-b",
            "a(x)@b",
            "a:b@c",
            "a\\@b",
        ] {
            assert_eq!(email(bad), None, "{bad:?}");
        }
        assert_eq!(email(&format!("a@{}", "b".repeat(127))), None);
    }

    #[test]
    fn only_known_locales_pass() {
        let cases = [
            ("fr", Some("fr")),
            ("fr-CA", Some("fr")),
            ("DE_de", Some("de")),
            ("pt", Some("pt-BR")),
            ("zh-Hant-TW", Some("zh-TW")),
            ("zh", Some("zh-CN")),
            ("en-AU", Some("en-AU")),
            ("zz", None),
            ("", None),
            ("é", None),
            ("tlh", None),
        ];
        for (tag, want) in cases {
            assert_eq!(locale(tag), want, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn every_planned_name_is_one_that_mattermost_takes(
            preferred in proptest::option::of(".{0,90}"),
            mail in proptest::option::of("[ -~]{0,40}"),
            name in "\\PC{0,90}",
        ) {
            let all = usernames(preferred.as_deref(), mail.as_deref(), &name, "u1");
            prop_assert!((1..=6).contains(&all.len()));
            for user in all {
                prop_assert!((1..=64).contains(&user.len()), "{user}");
                prop_assert!(user.starts_with(|c: char| c.is_ascii_lowercase()), "{user}");
                prop_assert!(user.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b)));
                prop_assert!(!looks_official(&user), "{user}");
            }
        }

        #[test]
        fn names_are_short_and_visible(name in ".{0,300}") {
            let (first, last) = first_and_last(&name);
            for part in [first, last] {
                prop_assert!(part.chars().count() <= 64);
                prop_assert!(!part.chars().any(is_invisible));
                prop_assert_eq!(part.trim(), part.as_str());
            }
        }

        #[test]
        fn addresses_have_one_at(text in "[a-zA-Z0-9@.\"<> +-]{0,30}") {
            if let Some(mail) = email(&text) {
                prop_assert_eq!(mail.matches('@').count(), 1);
                prop_assert!(mail.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()));
            }
        }
    }
}
