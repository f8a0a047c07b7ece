//! What the sections share while they are read: the files, the mistakes found so far, the keys that
//! exist. What a mistake looks like to people is in `problem.rs`.

use super::problem::{ConfigError, ConfigErrors};
use super::suggest::nearest;
use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeTable;

/// One configuration file.
#[derive(Debug)]
pub(super) struct Source {
    /// As it was named on the command line, or below it.
    pub(super) name: String,
    /// What it holds.
    pub(super) text: String,
}

impl Source {
    /// The line, from 1, of a byte.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// A key that nobody asked for; explained when all sections are known.
pub(super) struct Unknown {
    pub(super) error: ConfigError,
    pub(super) section: String,
    pub(super) word: String,
}

/// What was found while reading, and what all sections share.
pub(super) struct Problems {
    /// Folder that relative paths start from.
    pub(super) base: PathBuf,
    /// `insecure_secret_permissions`.
    pub(super) shared_secrets: Cell<bool>,
    pub(super) found: RefCell<Vec<ConfigError>>,
    pub(super) unknown: RefCell<Vec<Unknown>>,
    pub(super) known: RefCell<Vec<(String, &'static str)>>,
    pub(super) insecure: RefCell<Vec<String>>,
}

impl Problems {
    pub(super) fn new(base: &Path) -> Self {
        Self {
            base: base.to_owned(),
            shared_secrets: Cell::new(false),
            found: RefCell::default(),
            unknown: RefCell::default(),
            known: RefCell::default(),
            insecure: RefCell::default(),
        }
    }

    /// Notes a mistake about a file as a whole.
    pub(super) fn about_file(&self, file: &str, problem: String, remedy: &str) {
        self.found.borrow_mut().push(ConfigError {
            file: file.to_owned(),
            line: None,
            key: String::new(),
            problem,
            remedy: remedy.to_owned(),
        });
    }

    /// Parses one file and notes what is not TOML. A broken file is not read further: its
    /// recovered remains would only raise mistakes that are none.
    pub(super) fn parse<'a>(&self, source: &'a Source) -> Option<Spanned<DeTable<'a>>> {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors.iter().take(10) {
            self.found.borrow_mut().push(ConfigError {
                file: source.name.clone(),
                line: error.span().map(|span| source.line(span.start)),
                key: String::new(),
                problem: format!("This is not TOML: {}.", error.message().replace('\n', ", ")),
                remedy: "Texts stand in quotes, one `key = value` a line; toml.io has the rules."
                    .to_owned(),
            });
        }
        errors.is_empty().then_some(table)
    }

    /// Active `insecure_…` settings, as key paths.
    pub(super) fn insecure(&self) -> Vec<String> {
        self.insecure.borrow().clone()
    }

    /// Whether nothing was found so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Every section and key that was asked for, whether it was there or not.
    pub(super) fn known(&self) -> Vec<(String, &'static str)> {
        self.known.borrow().clone()
    }

    /// All mistakes in order of file and line; `None` when there are none.
    pub(super) fn into_errors(self) -> Option<ConfigErrors> {
        let known = self.known.into_inner();
        let mut found = self.found.into_inner();
        for Unknown {
            mut error,
            section,
            word,
        } in self.unknown.into_inner()
        {
            let here = known.iter().filter(|(s, _)| *s == section).map(|(_, k)| *k);
            let elsewhere = known.iter().find(|(_, key)| *key == word);
            error.remedy = match (nearest(&word, here.clone()), elsewhere) {
                (_, Some((home, key))) if home.is_empty() => {
                    format!("`{key}` belongs at the top of the file, before the first [section].")
                }
                (_, Some((home, key))) => format!("`{key}` belongs in [{home}]."),
                (Some(meant), None) => format!("Did you mean `{meant}`?"),
                (None, None) => {
                    let mut keys: Vec<_> = here.collect();
                    keys.sort_unstable();
                    keys.dedup();
                    format!("Remove it. The keys here are: {}.", keys.join(", "))
                }
            };
            found.push(error);
        }
        // A stable sort: mistakes of one line stay in the order they were found.
        found.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        (!found.is_empty()).then_some(ConfigErrors(found))
    }
}
