//! Verdicts, one line each, and how they are printed.

use crate::cli::out::{self, clean, count};
use serde::Serialize;
use serde_json::json;

/// How something fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum Level {
    Ok,
    Note,
    Warning,
    Error,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Verdict {
    level: Level,
    about: String,
    text: String,
    /// What to do; empty where there is nothing to do, or the text says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
}

/// All that was looked at, in order.
#[derive(Debug, Default)]
pub(in crate::cli) struct Report {
    verdicts: Vec<Verdict>,
}

impl Report {
    pub(in crate::cli) fn ok(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Ok, about, text, "");
    }

    pub(in crate::cli) fn note(&mut self, about: impl Into<String>, text: impl Into<String>) {
        self.add(Level::Note, about, text, "");
    }

    pub(in crate::cli) fn warning(
        &mut self,
        about: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Level::Warning, about, text, remedy);
    }

    pub(in crate::cli) fn error(
        &mut self,
        about: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Level::Error, about, text, remedy);
    }

    pub(in crate::cli) fn add(
        &mut self,
        level: Level,
        about: impl Into<String>,
        text: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.verdicts.push(Verdict {
            level,
            about: about.into(),
            text: text.into(),
            remedy: remedy.into(),
        });
    }

    pub(in crate::cli) fn has_errors(&self) -> bool {
        self.number(Level::Error) > 0
    }

    fn number(&self, level: Level) -> usize {
        self.verdicts.iter().filter(|v| v.level == level).count()
    }

    pub(in crate::cli) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let (errors, warnings) = (self.number(Level::Error), self.number(Level::Warning));
        if as_json {
            return out::json(&json!({
                "ok": errors == 0,
                "errors": errors,
                "warnings": warnings,
                "verdicts": self.verdicts,
            }));
        }
        let width = self.verdicts.iter().map(|v| v.about.chars().count()).max();
        // A long name of a setting moves its own line only.
        let width = width.unwrap_or(0).min(32);
        for verdict in &self.verdicts {
            let (word, about) = (verdict.level.word(), clean(&verdict.about));
            out::print(format!(
                "{word:<8} {about:<width$}  {}",
                clean(&verdict.text)
            ))?;
            if !verdict.remedy.is_empty() {
                out::print(format!("         -> {}", clean(&verdict.remedy)))?;
            }
        }
        out::print(format!(
            "\n{}, {}",
            count(errors, "error"),
            count(warnings, "warning")
        ))
    }
}
