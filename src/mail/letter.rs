//! What letters say. Plain text: no picture, no script, nothing that says that it was read.

use crate::portal::Lang;

/// What *you have access* is about.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// The person's name; may be empty.
    pub name: &'a str,
    /// What visitors call the app.
    pub app: &'a str,
    /// Where it is.
    pub address: &'a str,
    /// The organisation's name; may be empty.
    pub organisation: &'a str,
    /// Whom to ask; may be empty.
    pub contact: &'a str,
}

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Subject line: one line, whatever it is made of (T39).
    pub subject: String,
    /// Text, lines ended by `\n`.
    pub text: String,
}

/// The language of a BCP 47 tag that a directory knows of a person.
#[must_use]
pub fn language(locale: Option<&str>) -> Lang {
    Lang::negotiate(locale.map(|tag| tag.split(['_', '-']).next().unwrap_or_default()))
}

impl Access<'_> {
    /// The letter in a language.
    #[must_use]
    pub fn letter(&self, lang: Lang) -> Letter {
        let (app, name) = (line(self.app), line(self.name));
        let from = line(self.organisation);
        let contact = line(self.contact);
        let mut text = match (lang, name.is_empty()) {
            (Lang::En, true) => "Hello,\n\n".to_owned(),
            (Lang::En, false) => format!("Hello {name},\n\n"),
            (Lang::Fr, true) => "Bonjour,\n\n".to_owned(),
            (Lang::Fr, false) => format!("Bonjour {name},\n\n"),
        };
        let address = line(self.address);
        text.push_str(&match lang {
            Lang::En => format!(
                "your account for {app} is ready. Open it with the sign-in you already have, no \
                 other password is needed:\n\n{address}\n"
            ),
            Lang::Fr => format!(
                "votre compte {app} est prêt. Ouvrez-le avec votre connexion habituelle, aucun \
                 autre mot de passe n'est nécessaire :\n\n{address}\n"
            ),
        });
        if !contact.is_empty() {
            text.push_str(&match lang {
                Lang::En => format!("\nQuestions? Ask {contact}.\n"),
                Lang::Fr => format!("\nDes questions ? Adressez-vous à {contact}.\n"),
            });
        }
        if !from.is_empty() {
            text.push_str(&format!("\n-- \n{from}\n"));
        }
        Letter {
            subject: match lang {
                Lang::En => format!("You have access to {app}"),
                Lang::Fr => format!("Vous avez accès à {app}"),
            },
            text,
        }
    }
}

/// Somebody else's text as part of one line: nothing that ends it or turns it around.
pub(super) fn line(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let plain = text.chars().filter(|c| !odd(*c)).take(200);
    plain.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: Access<'_> = Access {
        name: "Alice Martin",
        app: "Chat",
        address: "https://chat.example.com/",
        organisation: "Example",
        contact: "help@example.com",
    };

    #[test]
    fn a_letter_says_which_app_and_where_in_both_languages() {
        for (lang, subject) in [
            (Lang::En, "You have access to Chat"),
            (Lang::Fr, "Vous avez accès à Chat"),
        ] {
            let letter = ACCESS.letter(lang);
            assert_eq!(letter.subject, subject);
            for part in [
                "Alice Martin",
                "https://chat.example.com/",
                "help@example.com",
            ] {
                assert!(letter.text.contains(part), "{part} in {}", letter.text);
            }
        }
    }

    #[test]
    fn t39_a_name_never_makes_a_line_of_its_own() {
        let hostile = Access {
            name: "Eve\r\nBcc: all@example.com\u{202e}",
            app: "Chat\nX-Evil: 1",
            ..ACCESS
        };
        let letter = hostile.letter(Lang::En);
        assert!(!letter.subject.contains('\n') && !letter.subject.contains('\r'));
        assert!(!letter.text.lines().any(|line| line.starts_with("Bcc")));
        assert!(!letter.text.contains('\u{202e}'));
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let bare = Access {
            name: "",
            organisation: "",
            contact: "",
            ..ACCESS
        };
        let letter = bare.letter(Lang::Fr);
        assert!(letter.text.starts_with("Bonjour,\n"));
        assert!(!letter.text.contains("-- "));
    }

    #[test]
    fn a_locale_names_its_language() {
        assert_eq!(language(Some("fr_CA")), Lang::Fr);
        assert_eq!(language(Some("FR")), Lang::Fr);
        assert_eq!(language(Some("de-DE")), Lang::En);
        assert_eq!(language(None), Lang::En);
    }
}
