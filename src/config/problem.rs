//! Mistakes in the configuration, as an operator reads them: where, what is wrong, what to do.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: String,
    /// Line in it, from 1; `None` when the mistake is about the file as a whole.
    pub line: Option<usize>,
    /// The key's path, `apps[chat].session.tombstone`; empty for the file as a whole.
    pub key: String,
    /// What is wrong. Never a secret's value.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, "\n    {}", self.problem)?;
        if self.remedy.is_empty() {
            Ok(())
        } else {
            write!(f, "\n    -> {}", self.remedy)
        }
    }
}

/// All mistakes of a configuration, in the order of its files and lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => writeln!(f, "There is 1 mistake in the configuration:")?,
            n => writeln!(f, "There are {n} mistakes in the configuration:")?,
        }
        for error in &self.0 {
            write!(f, "\n  {}\n", error.to_string().replace('\n', "\n  "))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
