//! Who runs a command, for the audit trail: the user it runs as, and who had logged in, which the
//! kernel remembers across `sudo` (proc(5), `loginuid`). Neither comes from the environment.

use crate::audit::Actor;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// `loginuid` of a process that nobody logged in for.
const UNSET: u32 = u32::MAX;

/// The user id that this runs as.
pub(super) fn uid() -> Option<u32> {
    Some(std::fs::metadata(Path::new("/proc/self")).ok()?.uid())
}

/// See the module.
pub(super) fn operator() -> Actor {
    let login = std::fs::read_to_string("/proc/self/loginuid").ok();
    let login = login.and_then(|text| text.trim().parse().ok());
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Actor::Operator {
        user: uid().map_or_else(|| "unknown".into(), |uid| named(&passwd, uid)),
        login: login
            .filter(|uid| *uid != UNSET)
            .map(|uid| named(&passwd, uid)),
    }
}

/// The user that this runs as, for a list.
pub(super) fn name() -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    uid().map_or_else(|| "unknown".into(), |uid| named(&passwd, uid))
}

/// `1000 alice`; the number alone when passwd(5) has no such user.
fn named(passwd: &str, uid: u32) -> String {
    let number = uid.to_string();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then_some(name)
    });
    match name {
        Some(name) => format!("{number} {name}"),
        None => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_number_and_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\n\nalice:x:1000:100::/:/bin/sh\nbroken\n";
        assert_eq!(named(passwd, 1000), "1000 alice");
        assert_eq!(named(passwd, 0), "0 root");
        assert_eq!(named(passwd, 100), "100");
    }
}
