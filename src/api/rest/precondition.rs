//! Conditional requests (RFC 9110 §13). A change that is made on what was read says so by
//! `If-Match`; whether it still is so is decided in the store's transaction, not here: here only the
//! tag of what was read is compared.

use crate::api::problem::Problem;
use crate::error::Code;
use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};

/// Longest line and most tags that are looked at.
const LONGEST: usize = 4096;

/// What a change demands of what it changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::api) struct Precondition {
    /// `If-Match`.
    matches: Option<Tags>,
    /// `If-None-Match: *`.
    absent: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever it is.
    Any,
    /// One of these.
    These(Vec<String>),
}

impl Precondition {
    /// That of a request.
    ///
    /// # Errors
    /// When its lines can't be read.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let absent = match tags(headers, &IF_NONE_MATCH)? {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(_)) => {
                let problem = Problem::new(Code::ApiMalformed, "If-None-Match of a change");
                return Err(problem.detail("A change takes If-None-Match: * alone."));
            }
        };
        Ok(Self {
            matches: tags(headers, &IF_MATCH)?,
            absent,
        })
    }

    /// Judges what was read: `tag` is that of the resource, `None` when there is none. Gives whether
    /// the change must be made on exactly this.
    ///
    /// # Errors
    /// 412.
    pub(in crate::api) fn judge(&self, tag: Option<&str>) -> Result<bool, Problem> {
        let holds = match (&self.matches, tag) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(Tags::Any), Some(_)) => true,
            // Strong comparison: a weak tag is never ours.
            (Some(Tags::These(tags)), Some(tag)) => tags.iter().any(|known| known == tag),
        };
        if !holds || (self.absent && tag.is_some()) {
            return Err(Code::ApiPrecondition.into());
        }
        Ok(matches!(self.matches, Some(Tags::These(_))))
    }

    /// The same, of a change that must not be made blindly.
    ///
    /// # Errors
    /// 428 when nothing is demanded; 412.
    pub(in crate::api) fn judge_required(&self, tag: Option<&str>) -> Result<bool, Problem> {
        if self.matches.is_none() && !self.absent {
            let problem = Problem::from(Code::ApiPreconditionRequired);
            let detail = match tag {
                Some(_) => "Say If-Match with the ETag that you read, or * for whatever it is.",
                None => "Say If-None-Match: *, since there is nothing yet.",
            };
            return Err(problem.detail(detail));
        }
        self.judge(tag)
    }
}

/// Whether a question's `If-None-Match` names this tag (weak comparison, §13.1.2).
pub(super) fn has_already(headers: &HeaderMap, etag: &str) -> bool {
    match tags(headers, &IF_NONE_MATCH) {
        Ok(Some(Tags::Any)) => true,
        Ok(Some(Tags::These(tags))) => tags
            .iter()
            .any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag),
        // What can't be read is no condition: the whole answer is always right.
        Ok(None) | Err(_) => false,
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let malformed = || {
        Problem::new(Code::ApiMalformed, format!("{name} can't be read"))
            .detail(format!("{name} is a list of entity tags, or *."))
    };
    let mut all = Vec::new();
    for line in headers.get_all(name) {
        let line = line.to_str().map_err(|_| malformed())?.trim();
        if line.len() > LONGEST {
            return Err(malformed());
        }
        if line == "*" && all.is_empty() {
            return Ok(Some(Tags::Any));
        }
        // Our tags hold no comma; one that does is not ours, and matches nothing.
        for tag in line.split(',').map(str::trim).filter(|t| !t.is_empty()) {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag);
            let quoted = opaque.len() >= 2 && opaque.starts_with('"') && opaque.ends_with('"');
            if !quoted {
                return Err(malformed());
            }
            all.push(tag.to_owned());
        }
    }
    let named = headers.contains_key(name);
    match all.is_empty() {
        true if named => Err(malformed()),
        true => Ok(None),
        false => Ok(Some(Tags::These(all))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(HeaderName, &str)]) -> Result<Precondition, Code> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value.parse().unwrap());
        }
        Precondition::of(&headers).map_err(|problem| problem.code())
    }

    #[test]
    fn a_change_is_made_on_what_was_read_or_not_at_all() {
        let read = Some("\"a\"");
        for (lines, tag, outcome) in [
            (&[][..], read, Ok(false)),
            (&[(IF_MATCH, "\"a\"")][..], read, Ok(true)),
            (&[(IF_MATCH, "\"b\", \"a\"")][..], read, Ok(true)),
            (
                &[(IF_MATCH, "\"b\""), (IF_MATCH, "\"a\"")][..],
                read,
                Ok(true),
            ),
            (&[(IF_MATCH, "*")][..], read, Ok(false)),
            (&[(IF_MATCH, "\"b\"")][..], read, Err(Code::ApiPrecondition)),
            (
                &[(IF_MATCH, "W/\"a\"")][..],
                read,
                Err(Code::ApiPrecondition),
            ),
            (&[(IF_MATCH, "*")][..], None, Err(Code::ApiPrecondition)),
            (&[(IF_MATCH, "\"a\"")][..], None, Err(Code::ApiPrecondition)),
            (&[(IF_NONE_MATCH, "*")][..], None, Ok(false)),
            (
                &[(IF_NONE_MATCH, "*")][..],
                read,
                Err(Code::ApiPrecondition),
            ),
        ] {
            let judged = of(lines).unwrap().judge(tag).map_err(|p| p.code());
            assert_eq!(judged, outcome, "{lines:?} {tag:?}");
        }
        for (lines, outcome) in [
            (&[][..], Err(Code::ApiPreconditionRequired)),
            (&[(IF_MATCH, "*")][..], Ok(false)),
        ] {
            let judged = of(lines).unwrap().judge_required(read);
            assert_eq!(judged.map_err(|p| p.code()), outcome);
        }
    }

    #[test]
    fn t31_lines_that_are_none_are_refused() {
        for bad in ["a", "", "\"", "\"a\" \"b", &"\"x\",".repeat(2000)] {
            assert_eq!(of(&[(IF_MATCH, bad)]), Err(Code::ApiMalformed), "{bad:.20}");
        }
        let listed = of(&[(IF_NONE_MATCH, "\"a\"")]);
        assert_eq!(listed, Err(Code::ApiMalformed));
    }

    #[test]
    fn who_has_it_already_is_told_so() {
        let has = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, line.parse().unwrap());
            has_already(&headers, "\"a\"")
        };
        assert!(has("\"a\"") && has("W/\"a\"") && has("\"b\", \"a\"") && has("*"));
        assert!(!has("\"b\"") && !has("a") && !has("nonsense,\"a\""));
    }
}
