//! What every command starts from: the surroundings, the configuration, the state directory.

use std::path::Path;
use std::path::PathBuf;

use super::exit::Failure;
use crate::config;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Loaded;
use crate::surroundings::FoundRepository;
use crate::surroundings::StateDir;
use crate::surroundings::Surroundings;
use crate::terminal::Output;

/// What a command starts from.
#[derive(Debug)]
pub struct Context {
    /// Environment, current directory, own program.
    pub around: Surroundings,
    /// Where it writes.
    pub out: Output,
    named: Option<PathBuf>,
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
        Ok(Self { around, out, named })
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
        self.workplace_of(config::load(&path)?)
    }

    /// Joins a configuration with what it is about.
    ///
    /// # Errors
    /// If no state directory can be told.
    pub fn workplace_of(&self, loaded: Loaded) -> Result<Workplace, Failure> {
        let named = loaded
            .config
            .repository
            .dir
            .as_deref()
            .map(|dir| loaded.resolve(dir));
        let repository = match named {
            Some(dir) => FoundRepository::around(&dir),
            None => self.around.repository(),
        };
        let state = match &loaded.config.state.dir {
            Some(dir) => StateDir::at(loaded.resolve(dir)),
            None => StateDir::default_for(&self.around, repository.as_ref())?,
        };
        Ok(Workplace {
            loaded,
            repository,
            state,
        })
    }
}

/// A configuration with what it is about.
#[derive(Debug, Clone)]
pub struct Workplace {
    /// The configuration.
    pub loaded: Loaded,
    /// The repository, if there is one.
    pub repository: Option<FoundRepository>,
    /// The state directory.
    pub state: StateDir,
}

impl Workplace {
    /// Returns what the configuration says.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Returns the local tracker's folder.
    #[must_use]
    pub fn tracker_dir(&self) -> PathBuf {
        match &self.config().tracker.dir {
            Some(dir) => self.loaded.resolve(dir),
            None => self.state.path().join("tracker"),
        }
    }

    /// Returns a short name for units and messages.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.config().repository.name, &self.repository) {
            (Some(name), _) => {
                let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
                name.chars().take(40).map(plain).collect()
            }
            (None, Some(found)) => found.name(),
            (None, None) => "pipeline".to_owned(),
        }
    }
}
