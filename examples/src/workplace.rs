//! A configuration joined with what it is about: repository and state directory.

use std::path::PathBuf;

use crate::config::Config;
use crate::config::Loaded;
use crate::surroundings::FoundRepository;
use crate::surroundings::StateDir;
use crate::surroundings::StateDirError;
use crate::surroundings::Surroundings;

/// A configuration with what it is about.
#[derive(Debug, Clone)]
pub struct Workplace {
    /// The configuration.
    pub loaded: Loaded,
    /// The repository, if there is one.
    pub repository: Option<FoundRepository>,
    /// The state directory.
    pub state: StateDir,
    /// Nothing is written, not even what was read of the tracker: a dry run.
    pub dry_run: bool,
    /// At which outside effect the process ends.
    #[cfg(feature = "crash-points")]
    pub crash_at: Option<u64>,
}

impl Workplace {
    /// Joins a configuration with what it is about.
    ///
    /// # Errors
    /// If no state directory can be told.
    pub fn of(loaded: Loaded, around: &Surroundings) -> Result<Self, StateDirError> {
        let named = loaded.config.repository.dir.as_deref();
        let repository = match named.map(|dir| loaded.resolve(dir)) {
            Some(dir) => FoundRepository::around(&dir),
            None => around.repository(),
        };
        let state = match &loaded.config.state.dir {
            Some(dir) => StateDir::at(loaded.resolve(dir)),
            None => StateDir::default_for(around, repository.as_ref())?,
        };
        Ok(Self {
            loaded,
            repository,
            state,
            dry_run: false,
            #[cfg(feature = "crash-points")]
            crash_at: None,
        })
    }

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
            (_, Some(found)) => found.name(),
            (Some(name), None) => {
                let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
                name.chars().take(40).map(plain).collect()
            }
            (None, None) => "pipeline".to_owned(),
        }
    }
}
