//! The cookies of a request, as one bounded line that is searched where it lies.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

/// Most pairs that are looked at; browsers keep fewer than 180 for one site.
const MAX_PAIRS: usize = 256;

/// Pomerium's own cookies (`_pomerium`, `_pomerium_csrf`, …): credentials of its other routes
/// (recordings/pomerium, differences 18 and 19).
const POMERIUM: &[u8] = b"_pomerium";

/// The cookies that a request brought; none of them is in its headers any more.
#[derive(Default)]
pub struct Cookies(Option<HeaderValue>);

/// What a request brought under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookieView<'a> {
    /// Nothing.
    Absent,
    /// One value.
    One(&'a str),
    /// Several: which one the app would take is unknown, so none is.
    Duplicate,
    /// A value that is no visible ASCII.
    Unreadable,
}

impl Cookies {
    /// Takes all lines out. HTTP/2 may split them into crumbs (RFC 9113 §8.2.3); Pomerium sends an
    /// empty line when its own cookie was alone (difference 18), which is none.
    pub(super) fn take_from(headers: &mut HeaderMap, name: HeaderName) -> Self {
        let mut lines = headers.get_all(&name).iter();
        let joined = match (lines.next(), lines.next()) {
            (Some(_), Some(_)) => {
                let lines: Vec<_> = headers
                    .get_all(&name)
                    .iter()
                    .map(|l| l.as_bytes())
                    .collect();
                // Parts of header values joined by plain text are a header value.
                HeaderValue::from_bytes(&lines.join(&b"; "[..])).ok()
            }
            _ => None,
        };
        let only = headers.remove(name);
        Self(joined.or(only).filter(|line| !line.is_empty()))
    }

    /// Whether there are none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// What there is under exactly `name` (cookie names have case).
    #[must_use]
    pub fn get(&self, name: &str) -> CookieView<'_> {
        let mut found = CookieView::Absent;
        for (key, value) in self.pairs() {
            if key == name.as_bytes() {
                if found != CookieView::Absent {
                    return CookieView::Duplicate;
                }
                found = match std::str::from_utf8(value) {
                    Ok(text) if text.bytes().all(|b| b.is_ascii_graphic()) => CookieView::One(text),
                    _ => CookieView::Unreadable,
                };
            }
        }
        found
    }

    /// A `Cookie` header for the app: everything but `drop_names` (ASCII case ignored) and
    /// Pomerium's own; `None` when nothing is left.
    ///
    /// Only pairs that RFC 6265 §4.1.1 allows pass: what it does not, one parser may read as two
    /// cookies where another reads one, and one of the two could be the app's credential (T23).
    #[must_use]
    pub fn forwardable(&self, drop_names: &[&str]) -> Option<HeaderValue> {
        let mut line = Vec::new();
        for (name, value) in self.pairs() {
            let dropped = drop_names
                .iter()
                .any(|drop| drop.as_bytes().eq_ignore_ascii_case(name))
                || is_pomerium(name);
            if dropped || !is_token(name) || !is_cookie_value(value) {
                continue;
            }
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            line.extend_from_slice(name);
            line.push(b'=');
            line.extend_from_slice(value);
        }
        if line.is_empty() {
            return None;
        }
        HeaderValue::from_bytes(&line).ok()
    }

    /// Name and value of each pair, blanks around them cut, a text without `=` left out.
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let line = self.0.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        // `split` without looking at every byte by itself: the bridge cookie has hundreds.
        let mut rest = Some(line);
        std::iter::from_fn(move || {
            let line = rest.take()?;
            let end = memchr::memchr(b';', line);
            rest = end.and_then(|end| line.get(end + 1..));
            line.get(..end.unwrap_or(line.len()))
        })
        .take(MAX_PAIRS)
        .filter_map(|pair| {
            let equals = memchr::memchr(b'=', pair)?;
            let (name, value) = pair.split_at(equals);
            Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
        })
    }
}

fn is_pomerium(name: &[u8]) -> bool {
    name.get(..POMERIUM.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(POMERIUM))
}

/// RFC 9110 §5.6.2 `token`.
fn is_token(name: &[u8]) -> bool {
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !name.is_empty() && name.iter().all(token)
}

/// RFC 6265 §4.1.1 `cookie-value`.
fn is_cookie_value(value: &[u8]) -> bool {
    let inner = match value {
        [b'"', inner @ .., b'"'] => inner,
        plain => plain,
    };
    inner
        .iter()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(lines: &[&str]) -> Cookies {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("cookie", HeaderValue::from_str(line).unwrap());
        }
        let cookies = Cookies::take_from(&mut headers, http::header::COOKIE);
        assert!(headers.is_empty());
        cookies
    }

    #[test]
    fn one_two_or_no_cookie_of_a_name() {
        let some = cookies(&["a=1; MMAUTHTOKEN=x.y.z; b=2", "a=3"]);
        assert_eq!(some.get("MMAUTHTOKEN"), CookieView::One("x.y.z"));
        assert_eq!(some.get("a"), CookieView::Duplicate);
        assert_eq!(some.get("mmauthtoken"), CookieView::Absent);
        assert_eq!(cookies(&["a=é"]).get("a"), CookieView::Unreadable);
    }

    #[test]
    fn an_empty_line_is_none() {
        assert!(cookies(&[""]).is_empty());
        assert!(cookies(&[]).is_empty());
        assert_eq!(cookies(&[""]).forwardable(&[]), None);
    }

    #[test]
    fn t23_dropped_names_go_in_any_case_and_odd_pairs_with_them() {
        let some = cookies(&[
            "_pomerium=s; _Pomerium_csrf=c; theme=dark; mmauthtoken=x; MMAUTHTOKEN=y; =z; \
             a=b, MMAUTHTOKEN=evil; q=\"1\"; bad\"=1; n",
        ]);
        assert_eq!(
            some.forwardable(&["MMAUTHTOKEN"]).unwrap(),
            "theme=dark; q=\"1\""
        );
        assert_eq!(cookies(&["_pomerium=s"]).forwardable(&[]), None);
    }
}
