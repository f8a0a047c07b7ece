//! The raw form: TOML tables that remember where each value stands and which keys were asked for.
//!
//! A section is read by asking its [`Table`] for each key that exists; what nobody asked for when
//! the table is dropped is an unknown key. So the list of keys is the code that reads them, and
//! can't drift from it. Mistakes are collected, never returned: a wrong value counts as absent and
//! reading goes on, so that all of them are reported at once. What does not live here: what a key
//! means (`sections.rs`, `apps.rs`).

use super::findings::{Problems, Source, Unknown};
use super::problem::ConfigError;
use super::suggest::nearest;
use super::units::{format_duration, format_size, parse_duration, parse_size};
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A TOML table being read.
pub(super) struct Table<'a> {
    pub(super) problems: &'a Problems,
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

    pub(super) fn entry(&self, key: &'static str) -> Option<(usize, &'a Spanned<DeValue<'a>>)> {
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
            self.weakens(key);
        }
        set
    }

    /// Lists a key that weakens the bridge.
    pub(super) fn weakens(&self, key: &str) {
        self.problems.insecure.borrow_mut().push(self.child(key));
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

    // ---- tables ------------------------------------------------------------------------------

    pub(super) fn nested(
        &self,
        key: &'static str,
        at: usize,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Self {
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
            if asked.contains(&word) {
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
