//! Keys that name files and secrets: whether they are there, and private. What is in them is their
//! reader's business.

use super::SecretSource;
use super::reader::{Table, shown};
use super::secret::shared_mode;
use std::io;
use std::path::{Path, PathBuf};

impl<'a> Table<'a> {
    /// A path, made absolute from the configuration's folder.
    pub(super) fn path(&self, key: &'static str) -> Option<PathBuf> {
        let text = self.text(key)?;
        if text.is_empty() || text.contains('\0') {
            self.complain(key, "It is not a path.", "Name a file.");
            return None;
        }
        Some(self.problems.base.join(text))
    }

    /// A path of a file that is there.
    pub(super) fn file(&self, key: &'static str) -> Option<PathBuf> {
        let path = self.path(key)?;
        if let Err(unreadable) = readable(&path) {
            self.complain(
                key,
                format!("{} {}.", path.display(), unreadable.why),
                unreadable.remedy,
            );
        }
        Some(path)
    }

    /// A path of a file that is there and that nobody else may read.
    pub(super) fn private_file(&self, key: &'static str) -> Option<PathBuf> {
        let path = self.file(key)?;
        self.check_private(key, &path);
        Some(path)
    }

    fn check_private(&self, key: &str, path: &Path) {
        if self.problems.shared_secrets.get() {
            return;
        }
        if let Some(mode) = shared_mode(path) {
            self.complain(
                key,
                format!(
                    "{} is a secret that others may read (mode {mode:04o}).",
                    path.display()
                ),
                format!(
                    "Run `chmod 600 {}`. (`insecure_secret_permissions = true` at the top of the \
                     file allows it.)",
                    path.display()
                ),
            );
        }
    }

    /// `{ file = "…" }` or `{ credential = "…" }`, and that it is there.
    pub(super) fn secret(&self, key: &'static str) -> Option<SecretSource> {
        let (at, value) = self.entry(key)?;
        if value.get_ref().as_table().is_none() {
            // Never shown: somebody may have written the secret itself here.
            self.complain(
                key,
                "A secret never stands in this file: it must say where the secret is.",
                format!(
                    "Write `{key} = {{ file = \"…\" }}` or `{key} = {{ credential = \"…\" }}`."
                ),
            );
            return None;
        }
        self.secret_in(&self.nested(key, at, value), key)
    }

    /// A list of what [`Self::secret`] reads.
    pub(super) fn secrets(&self, key: &'static str) -> Vec<SecretSource> {
        let tables = self.tables(key, "");
        tables
            .iter()
            .filter_map(|table| table.secret_in(table, ""))
            .collect()
    }

    fn secret_in(&self, table: &Table<'a>, key: &str) -> Option<SecretSource> {
        let file = table.file("file");
        let credential = table.text("credential");
        match (file, credential) {
            (Some(path), None) => {
                table.check_private("file", &path);
                Some(SecretSource::File(path))
            }
            (None, Some(name)) => {
                let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
                if name.is_empty() || name.starts_with('.') || !name.bytes().all(good) {
                    table.complain(
                        "credential",
                        format!("{} is not a credential's name.", shown(name)),
                        "Use the name of LoadCredential= in the unit: letters, digits, - _ .",
                    );
                    return None;
                }
                let source = SecretSource::Credential(name.to_owned());
                let there = source.path().map_err(|e| e.to_string()).and_then(|path| {
                    readable(&path)
                        .map_err(|unreadable| format!("the credential {name:?} {}", unreadable.why))
                });
                if let Err(why) = there {
                    table.complain(
                        "credential",
                        format!("{why}."),
                        format!("Add LoadCredential={name}:/path/to/it to the systemd unit."),
                    );
                }
                Some(source)
            }
            (None, None) if table.has("file") || table.has("credential") => None,
            (file, _) => {
                let problem = if file.is_some() {
                    "It names both a file and a credential."
                } else {
                    "It names neither a file nor a credential."
                };
                self.complain(
                    key,
                    problem,
                    "Write { file = \"…\" } or { credential = \"…\" }.",
                );
                None
            }
        }
    }
}

/// Why a file can't be read.
struct Unreadable {
    /// As the end of a sentence.
    why: String,
    remedy: &'static str,
}

const NO_SUCH_FILE: &str =
    "Name an existing file; relative paths start at the configuration's folder.";
const NOT_ALLOWED: &str = "Give it to the user that runs this (`chown`), or run this as the \
                           bridge's user; a secret may also come by LoadCredential= of systemd.";

fn readable(path: &Path) -> Result<(), Unreadable> {
    let because = |what: &str, error: io::Error| Unreadable {
        remedy: remedy(error.kind()),
        why: format!("{what}: {error}"),
    };
    let meta = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Unreadable {
                why: "does not exist".to_owned(),
                remedy: NO_SUCH_FILE,
            });
        }
        Err(error) => return Err(because("can't be looked at", error)),
        Ok(meta) => meta,
    };
    if !meta.is_file() {
        return Err(Unreadable {
            why: "is not an ordinary file".to_owned(),
            remedy: NO_SUCH_FILE,
        });
    }
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(because("can't be read", error)),
    }
}

fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => NOT_ALLOWED,
        _ => NO_SUCH_FILE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Not tried on a real file: to root, who may run this, every file is readable.
    #[test]
    fn a_file_of_another_user_is_not_said_to_be_missing() {
        assert!(remedy(io::ErrorKind::PermissionDenied).contains("chown"));
        assert!(remedy(io::ErrorKind::NotFound).contains("existing file"));
    }
}
