//! The raw form: TOML tables that remember where each value stands and which keys were asked for.
//!
//! A section is read by asking its [`Table`] for each key that exists; what nobody asked for when
//! the table is dropped is an unknown key. So the list of keys is the code that reads them, and
//! can't drift from it. Mistakes are collected, never returned: a wrong value counts as absent and
//! reading goes on, so that all of them are reported at once. What does not live here: what a key
//! means (`sections.rs`, `apps.rs`).

use super::SecretSource;
use super::problem::{ConfigError, ConfigErrors};
use super::secret::shared_mode;
use super::suggest::nearest;
use super::units::{format_duration, format_size, parse_duration, parse_size};
use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// A key that nobody asked for; explained when all sections are known.
struct Unknown {
    error: ConfigError,
    section: String,
    word: String,
}

/// What was found while reading, and what all sections share.
pub(super) struct Problems {
    /// Folder that relative paths start from.
    pub(super) base: PathBuf,
    /// `insecure_secret_permissions`.
    pub(super) shared_secrets: Cell<bool>,
    found: RefCell<Vec<ConfigError>>,
    unknown: RefCell<Vec<Unknown>>,
    known: RefCell<Vec<(String, &'static str)>>,
    insecure: RefCell<Vec<String>>,
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

/// A TOML table being read.
pub(super) struct Table<'a> {
    problems: &'a Problems,
    source: &'a Source,
    /// `apps[chat].session`; empty for the whole file.
    path: String,
    /// `apps.session`.
    section: String,
    /// Where it begins, for mistakes about keys that are absent.
    at: usize,
    entries: Option<&'a DeTable<'a>>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(super) fn root(
        problems: &'a Problems,
        source: &'a Source,
        table: &'a Spanned<DeTable<'a>>,
    ) -> Self {
        Self {
            problems,
            source,
            path: String::new(),
            section: String::new(),
            at: 0,
            entries: Some(table.get_ref()),
            asked: RefCell::default(),
        }
    }

    /// Whether the file has this table.
    pub(super) fn is_present(&self) -> bool {
        self.entries.is_some()
    }

    fn entry(&self, key: &'static str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
        self.asked.borrow_mut().push(key);
        let known = (self.section.clone(), key);
        if !self.problems.known.borrow().contains(&known) {
            self.problems.known.borrow_mut().push(known);
        }
        let (name, value) = self.entries?.get_key_value(key)?;
        Some((name.span().start, value))
    }

    /// Whether the key is there, of whatever type.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.entry(key).is_some()
    }

    /// Notes a mistake about a key of this table, at its line or, when it is absent, the table's.
    pub(super) fn complain(&self, key: &str, problem: impl Display, remedy: impl Display) {
        let at = self
            .entries
            .and_then(|entries| entries.get_key_value(key))
            .map_or(self.at, |(name, _)| name.span().start);
        self.problems.found.borrow_mut().push(ConfigError {
            file: self.source.name.clone(),
            line: Some(self.source.line(at)),
            key: self.child(key),
            problem: problem.to_string(),
            remedy: remedy.to_string(),
        });
    }

    fn child(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }

    fn wrong_type(&self, key: &str, value: &DeValue<'_>, wanted: &str, example: &str) {
        self.complain(
            key,
            format!("It must be {wanted}, but it is {}.", kind(value)),
            format!("Write it like `{key} = {example}`."),
        );
    }

    // ---- values ------------------------------------------------------------------------------

    /// A text; `None` when absent.
    pub(super) fn text(&self, key: &'static str) -> Option<&'a str> {
        let (_, value) = self.entry(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(key, value.get_ref(), "a text", "\"…\"");
        }
        text
    }

    /// A text that becomes something; `None` when absent or wrong.
    pub(super) fn parsed<T, E: Display>(
        &self,
        key: &'static str,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
        remedy: &str,
    ) -> Option<T> {
        let text = self.text(key)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.complain(key, format!("{} is not right: {why}.", shown(text)), remedy);
                None
            }
        }
    }

    /// Notes that a key must be there, unless it is.
    pub(super) fn require(&self, key: &'static str, remedy: &str) {
        if !self.has(key) {
            self.complain(key, "It is missing.", remedy);
        }
    }

    /// Texts; empty when absent.
    pub(super) fn texts(&self, key: &'static str) -> Vec<&'a str> {
        let Some((_, value)) = self.entry(key) else {
            return Vec::new();
        };
        let texts = value.get_ref().as_array().and_then(|array| {
            array
                .iter()
                .map(|item| item.get_ref().as_str())
                .collect::<Option<Vec<_>>>()
        });
        texts.unwrap_or_else(|| {
            self.wrong_type(key, value.get_ref(), "a list of texts", "[\"…\", \"…\"]");
            Vec::new()
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        let Some((_, value)) = self.entry(key) else {
            return default;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong_type(key, value.get_ref(), "true or false", "true");
            default
        })
    }

    /// A flag that weakens the bridge: false by default, and listed when it is set.
    pub(super) fn insecure(&self, key: &'static str) -> bool {
        let set = self.flag(key, false);
        if set {
            self.problems.insecure.borrow_mut().push(self.child(key));
        }
        set
    }

    /// A duration within bounds.
    pub(super) fn duration(
        &self,
        key: &'static str,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Duration {
        let Some((_, value)) = self.entry(key) else {
            return default;
        };
        let example = format!("\"{}\"", format_duration(default));
        let Some(given) = value.get_ref().as_str().and_then(parse_duration) else {
            let wanted = "a duration (ms, s, m, h, d)";
            match value.get_ref().as_str() {
                Some(text) => self.complain(
                    key,
                    format!("{} is not {wanted}.", shown(text)),
                    format!("Write it like `{key} = {example}`."),
                ),
                None => self.wrong_type(key, value.get_ref(), wanted, &example),
            }
            return default;
        };
        if bounds.contains(&given) {
            return given;
        }
        self.complain(
            key,
            format!(
                "{} is out of bounds: {} to {}.",
                format_duration(given),
                format_duration(*bounds.start()),
                format_duration(*bounds.end())
            ),
            format!("The default is {example}."),
        );
        default
    }

    /// A whole number within bounds.
    pub(super) fn count(
        &self,
        key: &'static str,
        default: usize,
        bounds: RangeInclusive<usize>,
    ) -> usize {
        self.number(key, default, bounds, false)
    }

    /// A size in bytes within bounds: `65536` or `"64KiB"`.
    pub(super) fn size(
        &self,
        key: &'static str,
        default: usize,
        bounds: RangeInclusive<usize>,
    ) -> usize {
        self.number(key, default, bounds, true)
    }

    fn number(
        &self,
        key: &'static str,
        default: usize,
        bounds: RangeInclusive<usize>,
        is_size: bool,
    ) -> usize {
        let Some((_, value)) = self.entry(key) else {
            return default;
        };
        let given = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) if is_size => parse_size(text),
            other => {
                let wanted = if is_size { "a size" } else { "a whole number" };
                self.wrong_type(key, other, wanted, &default.to_string());
                return default;
            }
        };
        let given = given.and_then(|number| usize::try_from(number).ok());
        if let Some(number) = given.filter(|number| bounds.contains(number)) {
            return number;
        }
        let show = |number: usize| match is_size {
            true => format_size(number as u64),
            false => number.to_string(),
        };
        self.complain(
            key,
            format!(
                "It must be from {} to {}.",
                show(*bounds.start()),
                show(*bounds.end())
            ),
            format!("The default is {default}."),
        );
        default
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        default: T,
        choices: &[(&'static str, T)],
    ) -> T {
        let Some(word) = self.text(key) else {
            return default;
        };
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
            return *value;
        }
        let names: Vec<_> = choices
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        let remedy = nearest(word, choices.iter().map(|(name, _)| *name)).map_or_else(
            || format!("Write one of: {}.", names.join(", ")),
            |meant| {
                format!(
                    "Did you mean \"{meant}\"? The choices are: {}.",
                    names.join(", ")
                )
            },
        );
        self.complain(
            key,
            format!("{} is not a choice here.", shown(word)),
            remedy,
        );
        default
    }

    // ---- files -------------------------------------------------------------------------------

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
        if let Err(error) = readable(&path) {
            self.complain(
                key,
                format!("{} {error}.", path.display()),
                "Name an existing file; relative paths start at the configuration's folder.",
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
                    readable(&path).map_err(|why| format!("the credential {name:?} {why}"))
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

    // ---- tables ------------------------------------------------------------------------------

    fn nested(&self, key: &'static str, at: usize, value: &'a Spanned<DeValue<'a>>) -> Self {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let what = format!("It must be a section, but it is {}.", kind(value.get_ref()));
            self.complain(
                key,
                what,
                format!("Write [{}] on a line of its own.", self.child(key)),
            );
        }
        Self {
            path: self.child(key),
            section: join(&self.section, key),
            at,
            entries: table,
            asked: RefCell::default(),
            ..*self
        }
    }

    /// A table of its own; absent, it reads as empty.
    pub(super) fn table(&self, key: &'static str) -> Self {
        match self.entry(key) {
            Some((at, value)) => self.nested(key, at, value),
            None => Self {
                path: self.child(key),
                section: join(&self.section, key),
                at: self.at,
                entries: None,
                asked: RefCell::default(),
                ..*self
            },
        }
    }

    /// `[[key]]`: tables called by what their `name` key says, else by their number.
    pub(super) fn tables(&self, key: &'static str, name: &str) -> Vec<Self> {
        let Some((_, value)) = self.entry(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            let what = format!(
                "It must be a list of sections, but it is {}.",
                kind(value.get_ref())
            );
            self.complain(
                key,
                what,
                format!("Write [[{}]].", join(&self.section, key)),
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in array.iter().enumerate() {
            let entries = item.get_ref().as_table();
            let called = entries
                .and_then(|entries| entries.get(name)?.get_ref().as_str())
                .filter(|text| text.len() <= 40 && !text.contains(char::is_control))
                .map_or_else(|| format!("#{}", index + 1), str::to_owned);
            let table = Self {
                path: format!("{}[{called}]", self.child(key)),
                section: join(&self.section, key),
                at: item.span().start,
                entries,
                asked: RefCell::default(),
                ..*self
            };
            if entries.is_none() {
                table.complain(
                    "",
                    "It must be a section.",
                    "Write { … }, or [[…]] above its keys.",
                );
            }
            tables.push(table);
        }
        tables
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        for (name, _) in self.entries.iter().flat_map(|entries| entries.iter()) {
            let word: &str = name.get_ref();
            if asked.iter().any(|key| *key == word) {
                continue;
            }
            let word: String = word.chars().filter(|c| !c.is_control()).take(60).collect();
            let line = self.source.line(name.span().start);
            self.problems.unknown.borrow_mut().push(Unknown {
                error: ConfigError {
                    file: self.source.name.clone(),
                    line: Some(line),
                    key: self.child(&word),
                    problem: "There is no such key.".to_owned(),
                    remedy: String::new(),
                },
                section: self.section.clone(),
                word,
            });
        }
    }
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

/// Why a file can't be read, as the end of a sentence.
fn readable(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err("does not exist".to_owned())
        }
        Err(error) => Err(format!("can't be looked at: {error}")),
        Ok(meta) if !meta.is_file() => Err("is not an ordinary file".to_owned()),
        Ok(_) => std::fs::File::open(path)
            .map(drop)
            .map_err(|error| format!("can't be read: {error}")),
    }
}

/// A value as a mistake shows it: quoted, on one line, not longer than a line.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
