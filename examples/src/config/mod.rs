//! `pipeline.toml`: reading it, refusing what is wrong in it, reading it again while `watch` runs.

mod address;
pub mod model;
mod period;
mod reload;
mod schema;
mod secret;
pub mod template;
mod validate;

use std::fmt;
use std::path::Path;
use std::path::PathBuf;

use toml::de::DeTable;

pub use self::address::AddressSource;
pub use self::model::Config;
pub use self::period::Period;
pub use self::reload::ConfigFile;
pub use self::reload::Reload;
pub use self::secret::SecretSource;

/// The largest configuration file that is read.
const LARGEST: u64 = 1 << 20;

/// A configuration together with where it was read: paths in it are relative to that place.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The file, absolute.
    pub path: PathBuf,
}

impl Loaded {
    /// Returns a path of the configuration as an absolute one.
    #[must_use]
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("/")).join(path)
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// [`ConfigError`], with every problem that was found and its line.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let path = std::path::absolute(path).map_err(unreadable)?;
    let size = std::fs::metadata(&path).map_err(unreadable)?.len();
    if size > LARGEST {
        return Err(ConfigError::Invalid {
            path,
            problems: vec![Problem::new(
                None,
                "it is larger than 1 MiB, so it is not a configuration file",
            )],
        });
    }
    let text = std::fs::read_to_string(&path).map_err(unreadable)?;
    match parse(&text) {
        Ok(config) => Ok(Loaded { config, path }),
        Err(problems) => Err(ConfigError::Invalid { path, problems }),
    }
}

/// Parses and checks the text of a configuration.
///
/// # Errors
/// Every problem that was found: all unknown keys at once, else the first value of a wrong type, else everything that
/// contradicts itself.
///
/// # Examples
/// ```
/// let problems = pipeline_examples::config::parse("[trackr]\nkind = \"local\"").unwrap_err();
/// assert_eq!(problems[0].to_string(), "line 1: unknown section [trackr]: did you mean [tracker]?");
/// ```
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let first = |e: &toml::de::Error| {
        let line = e.span().map(|span| line_at(text, span.start));
        vec![Problem::new(line, e.message().trim())]
    };
    let document = DeTable::parse(text).map_err(|e| first(&e))?;
    let unknown = schema::unknown_keys(text, document.get_ref());
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let config: Config = toml::from_str(text).map_err(|e| first(&e))?;
    let mut problems: Vec<Problem> = validate::contradictions(&config)
        .into_iter()
        .map(|(path, what)| Problem::new(line_of(text, document.get_ref(), path), what))
        .collect();
    problems.sort_by_key(|p| p.line);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

/// Returns the line of a dotted path, or of the nearest part of it that is written down.
fn line_of(text: &str, table: &DeTable<'_>, path: &str) -> Option<usize> {
    let mut table = Some(table);
    let mut line = None;
    for part in path.split('.') {
        let found = table.and_then(|t| t.iter().find(|(k, _)| k.get_ref() == part));
        let Some((key, value)) = found else {
            break;
        };
        line = Some(line_at(text, key.span().start));
        table = value.get_ref().as_table();
    }
    line
}

/// One thing that is wrong in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what to write.
    pub what: String,
}

impl Problem {
    fn new(line: Option<usize>, what: impl Into<String>) -> Self {
        Self {
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file says something wrong.
    #[error("the configuration {} is not usable\n{}", path.display(), lines(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// There is no file.
    #[error(
        "there is no configuration at {}: run `issue-pipeline init`, or name one with --config",
        path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|p| format!("  {p}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
