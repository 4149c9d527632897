//! What every command starts from: the surroundings, the configuration, the state directory.

use std::path::Path;
use std::path::PathBuf;

use super::exit::Failure;
use crate::config;
use crate::config::ConfigError;
use crate::surroundings::StateDir;
use crate::surroundings::Surroundings;
use crate::terminal::Output;
use crate::workplace::Workplace;

/// What a command starts from.
#[derive(Debug)]
pub struct Context {
    /// Environment, current directory, own program.
    pub around: Surroundings,
    /// Where it writes.
    pub out: Output,
    named: Option<PathBuf>,
    #[cfg(feature = "crash-points")]
    crash_at: Option<u64>,
}

impl Context {
    /// Joins surroundings, output and the configuration that was named, if one was.
    ///
    /// # Errors
    /// If the env file cannot be read.
    pub fn new(
        mut around: Surroundings,
        out: Output,
        config: Option<PathBuf>,
        env_file: Option<&Path>,
    ) -> Result<Self, Failure> {
        if let Some(path) = env_file {
            let path = around.directory.join(path);
            around.add_env_file(&path)?;
        }
        let named = config.map(|path| around.directory.join(path));
        Ok(Self {
            around,
            out,
            named,
            #[cfg(feature = "crash-points")]
            crash_at: None,
        })
    }

    /// Makes what is composed from here on end the process at this outside effect.
    #[cfg(feature = "crash-points")]
    #[must_use]
    pub fn crashing_at(mut self, point: Option<u64>) -> Self {
        self.crash_at = point;
        self
    }

    /// Returns where the configuration is, or belongs: as named, else in the state directory of the repository around.
    ///
    /// Never in the current directory unnamed: what lies in a working tree may have come from a patch.
    ///
    /// # Errors
    /// If no state directory can be told.
    pub fn config_path(&self) -> Result<PathBuf, Failure> {
        match &self.named {
            Some(path) => Ok(path.clone()),
            None => Ok(self.default_state()?.config()),
        }
    }

    /// Returns the state directory of the repository around, unless a configuration says otherwise.
    ///
    /// # Errors
    /// If no place for it can be told.
    pub fn default_state(&self) -> Result<StateDir, Failure> {
        let repository = self.around.repository();
        Ok(StateDir::default_for(&self.around, repository.as_ref())?)
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// If there is none, or it is not usable.
    pub fn workplace(&self) -> Result<Workplace, Failure> {
        let path = self.config_path()?;
        if !path.exists() {
            return Err(ConfigError::Missing { path }.into());
        }
        let workplace = Workplace::of(config::load(&path)?, &self.around)?;
        #[cfg(feature = "crash-points")]
        let workplace = Workplace {
            crash_at: self.crash_at,
            ..workplace
        };
        Ok(workplace)
    }
}
