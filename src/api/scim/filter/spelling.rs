//! Spellings that clients use and the grammar's parser does not know, put into its own: no blank
//! between `not` and its bracket (which the RFC allows), and Entra's sub-attribute behind brackets,
//! `emails[type eq "work"].value eq "x"`. Whatever this makes of a text, the parser judges it.

/// The text with a blank behind each `not`.
pub(super) fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut quotes = Quotes::default();
    for c in text.chars() {
        if !quotes.inside() && c == '(' && ends_in_not(&spaced) {
            spaced.push(' ');
        }
        spaced.push(c);
        quotes.pass(c);
    }
    spaced
}

/// The text with what stands behind brackets in them: `a[f].s op v` is `a[(f) and s op v]`.
pub(super) fn gathered(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut quotes = Quotes::default();
    let mut open = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        if !quotes.inside() {
            match c {
                '[' => open = Some(out.len() + 1),
                ']' => {
                    let behind = rest.strip_prefix('.').and_then(comparison);
                    if let (Some(at), Some((comparison, left))) = (open.take(), behind) {
                        out.insert(at, '(');
                        out.push_str(") and ");
                        out.push_str(comparison);
                        out.push(']');
                        rest = left;
                        continue;
                    }
                }
                _ => {}
            }
        }
        out.push(c);
        quotes.pass(c);
    }
    out
}

/// `name op value` or `name pr` at the beginning of a text, and what is left of it.
fn comparison(text: &str) -> Option<(&str, &str)> {
    let name = text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_$".contains(c)))?;
    let rest = text.get(name..)?;
    let operator = rest.trim_start();
    let length = operator.find(|c: char| !c.is_ascii_alphabetic());
    let length = length.unwrap_or(operator.len());
    let at = text.len() - operator.len() + length;
    if name == 0 || rest.len() == operator.len() || length != 2 {
        return None;
    }
    if operator.get(..2)?.eq_ignore_ascii_case("pr") {
        return text.split_at_checked(at);
    }
    let value = text.get(at..)?.trim_start();
    let mut quotes = Quotes::default();
    let mut end = value.len();
    for (at, c) in value.char_indices() {
        if !quotes.inside() && (c.is_whitespace() || c == ')') {
            end = at;
            break;
        }
        quotes.pass(c);
    }
    if end == 0 {
        return None;
    }
    text.split_at_checked(text.len() - value.len() + end)
}

/// Whether one is in a JSON text.
#[derive(Default)]
struct Quotes {
    quoted: bool,
    escaped: bool,
}

impl Quotes {
    const fn inside(&self) -> bool {
        self.quoted
    }

    fn pass(&mut self, c: char) {
        match c {
            _ if self.escaped => self.escaped = false,
            '"' => self.quoted = !self.quoted,
            '\\' if self.quoted => self.escaped = true,
            _ => {}
        }
    }
}

fn ends_in_not(text: &str) -> bool {
    let at = text.len().checked_sub(3);
    let Some((before, word)) = at.and_then(|at| text.split_at_checked(at)) else {
        return false;
    };
    let part_of_a_name = |c: char| c.is_alphanumeric() || "-_.:$".contains(c);
    word.eq_ignore_ascii_case("not") && !before.ends_with(part_of_a_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_gets_its_blank_outside_of_texts() {
        assert_eq!(spaced("not(a pr)"), "not (a pr)");
        assert_eq!(
            spaced(r#"a eq "not(" and NOT(b pr)"#),
            r#"a eq "not(" and NOT (b pr)"#
        );
        assert_eq!(spaced(r#"a eq "\"not(""#), r#"a eq "\"not(""#);
        assert_eq!(spaced("cannot(a)"), "cannot(a)");
    }

    #[test]
    fn what_stands_behind_brackets_goes_in() {
        for (text, wanted) in [
            (
                r#"emails[type eq "work"].value eq "a b)""#,
                r#"emails[(type eq "work") and value eq "a b)"]"#,
            ),
            (
                r#"(emails[type eq "w]"].value pr) and a pr"#,
                r#"(emails[(type eq "w]") and value pr]) and a pr"#,
            ),
            (r#"emails[type eq "work"]"#, r#"emails[type eq "work"]"#),
            (
                r#"emails[type eq "work"].value"#,
                r#"emails[type eq "work"].value"#,
            ),
            (r#"a eq "x].y eq 1""#, r#"a eq "x].y eq 1""#),
            ("].a eq 1", "].a eq 1"),
        ] {
            assert_eq!(gathered(text), wanted);
        }
    }
}
