//! Reads a configuration file, as far as a program can know what is in it.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::TABLES;
use super::nearest::hint;

/// More than any configuration has.
const BYTES_MAX: u64 = 1 << 20;

/// A configuration file.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    path: PathBuf,
    tables: Table,
}

/// Why a configuration file is not used. Every message names the file, and where it can the table and the key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read the configuration file {}; check --config (WEIR_CONFIG)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is far too long.
    #[error("{} has more than {BYTES_MAX} bytes and is no configuration file", .0.display())]
    TooLong(PathBuf),
    /// It is not TOML.
    #[error("{} is not TOML: {}", path.display(), problem.trim_end())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What and where.
        problem: String,
    },
    /// A table that no program has.
    #[error("{}: unknown table [{name}]; the tables are {}{hint}", path.display(), TABLES.map(|name| format!("[{name}]")).join(", "))]
    Table {
        /// The file.
        path: PathBuf,
        /// As written.
        name: String,
        /// What may have been meant.
        hint: String,
    },
    /// Something outside of all tables.
    #[error("{}: {name} stands outside of a table; write it below [orchestrator], [worker] or [weir]", path.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// The key.
        name: String,
    },
    /// A key that the program does not have.
    #[error("{}: unknown key {key} in [{table}]{hint}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// As written.
        key: String,
        /// What may have been meant.
        hint: String,
    },
    /// A value of a kind that no flag takes.
    #[error("{}: {key} in [{table}] is {found}; write {expected}", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// What stands there.
        found: &'static str,
        /// What may stand there.
        expected: &'static str,
    },
    /// A value that the flag refuses.
    #[error("{}: {key} in [{table}] cannot be used: {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The table.
        table: &'static str,
        /// The key.
        key: String,
        /// In clap's words.
        reason: String,
    },
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is no TOML, or has tables of no program.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let at_file = |source| ConfigError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(at_file)?.len() > BYTES_MAX {
            return Err(ConfigError::TooLong(path.to_owned()));
        }
        Self::parse(path, &std::fs::read_to_string(path).map_err(at_file)?)
    }

    /// The text of the file at `path`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let path = path.to_owned();
        let tables: Table = match text.parse() {
            Ok(tables) => tables,
            Err(error) => {
                let error: toml::de::Error = error;
                return Err(ConfigError::Toml { path, problem: error.to_string() });
            }
        };
        for (name, value) in &tables {
            let name = name.clone();
            if !value.is_table() {
                return Err(ConfigError::Outside { path, name });
            }
            if !TABLES.contains(&name.as_str()) {
                return Err(ConfigError::Table { path, hint: hint(&name, TABLES), name });
            }
        }
        Ok(Self { path, tables })
    }

    /// Where it was read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a table for `program`.
    pub fn has(&self, program: &str) -> bool {
        self.tables.contains_key(program)
    }

    /// The settings of a table, as the values of flags.
    ///
    /// # Errors
    /// If a value is of a kind that no flag takes.
    pub fn settings(&self, table: &'static str) -> Result<Vec<(String, Vec<String>)>, ConfigError> {
        let found = self.tables.get(table).and_then(Value::as_table).into_iter().flatten();
        found.map(|(key, value)| Ok((key.clone(), self.texts(table, key, value)?))).collect()
    }

    fn texts(&self, table: &'static str, key: &str, value: &Value) -> Result<Vec<String>, ConfigError> {
        let wrong = |found, expected| {
            let (path, key) = (self.path.clone(), key.to_owned());
            Err(ConfigError::Kind { path, table, key, found, expected })
        };
        match value {
            Value::Array(values) => {
                let texts = values.iter().map(|value| self.texts(table, key, value));
                Ok(texts.collect::<Result<Vec<_>, _>>()?.concat())
            }
            Value::String(text) => Ok(vec![text.clone()]),
            Value::Integer(number) => Ok(vec![number.to_string()]),
            Value::Float(number) => Ok(vec![number.to_string()]),
            Value::Boolean(flag) => Ok(vec![flag.to_string()]),
            Value::Datetime(_) => wrong("a date", "a string in quotes"),
            Value::Table(_) => wrong("a table", "a string or a number"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let error = File::parse(Path::new("weir.toml"), text).unwrap_err().to_string();
        assert!(error.starts_with("weir.toml") && error.contains(expect), "{error}");
    }

    #[test]
    fn what_no_program_reads_is_refused() {
        check("[orchestrater]", "unknown table [orchestrater]");
        check("[orchestrater]", "did you mean orchestrator?");
        check("threads = 1", "threads stands outside of a table");
        check("[worker]\nthreads 1", "line 2");
        check("[worker]\na = 1\na = 2", "duplicate key");
    }

    #[test]
    fn values_become_the_texts_of_flags() {
        let text =
            "[worker]\nthreads = 2\npower_budget_watts = 2.5\ncerts = 'c'\nlist = ['a', 'b']\n[weir]\n";
        let file = File::parse(Path::new("weir.toml"), text).unwrap();
        let settings = file.settings("worker").unwrap();
        let texts: Vec<_> =
            settings.iter().map(|(key, texts)| format!("{key}={}", texts.join("+"))).collect();
        assert_eq!(texts, ["certs=c", "list=a+b", "power_budget_watts=2.5", "threads=2"]);
        assert!(file.settings("orchestrator").unwrap().is_empty() && file.has("weir"));
        let file = File::parse(Path::new("weir.toml"), "[worker]\nlisten = {}").unwrap();
        let error = file.settings("worker").unwrap_err().to_string();
        assert_eq!(error, "weir.toml: listen in [worker] is a table; write a string or a number");
    }
}
