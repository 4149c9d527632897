//! What the program finds around it: environment, directories, repository. Read here and nowhere else.

mod env_file;
mod identity;
mod oauth_file;
mod repository;
mod secrets;
mod state_dir;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;

pub use self::env_file::EnvFileError;
pub use self::identity::whoami;
pub use self::oauth_file::OAuthFile;
pub use self::oauth_file::OAuthFileError;
pub use self::repository::FoundRepository;
pub use self::secrets::SecretError;
pub use self::secrets::read_secret;
pub use self::state_dir::StateDir;
pub use self::state_dir::StateDirError;

/// Everything the program knows from outside of its arguments.
#[derive(Clone)]
pub struct Surroundings {
    variables: BTreeMap<OsString, OsString>,
    /// The current directory, absolute.
    pub directory: PathBuf,
    /// This very program.
    pub program: PathBuf,
}

impl fmt::Debug for Surroundings {
    // Values may be secrets: only names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("directory", &self.directory)
            .field("program", &self.program)
            .finish()
    }
}

impl Surroundings {
    /// Reads the process's own environment.
    ///
    /// # Errors
    /// If the current directory or the program's own path cannot be told.
    pub fn of_process() -> std::io::Result<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the binary's one look at its current directory; everything below gets it as an argument"
        )]
        let directory = std::env::current_dir()?;
        Ok(Self {
            variables: std::env::vars_os().collect(),
            directory,
            program: std::env::current_exe()?,
        })
    }

    /// Makes surroundings for a test or an embedding program.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>, program: impl Into<PathBuf>) -> Self {
        Self {
            variables: BTreeMap::new(),
            directory: directory.into(),
            program: program.into(),
        }
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Adds the variables of an env file; what the environment already has stays.
    ///
    /// # Errors
    /// [`EnvFileError`], which never repeats a value.
    pub fn add_env_file(&mut self, path: &Path) -> Result<(), EnvFileError> {
        for (name, value) in env_file::read(path)? {
            self.variables
                .entry(name.into())
                .or_insert_with(|| value.into());
        }
        Ok(())
    }

    /// Returns a variable; an empty one counts as absent.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// Returns a variable as a path, if it is absolute.
    #[must_use]
    pub fn path_variable(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.variable(name)?);
        path.is_absolute().then_some(path)
    }

    /// Returns the named variables that are set, for a child that may see them.
    #[must_use]
    pub fn named<'a>(
        &self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Vec<(OsString, OsString)> {
        let pair = |name: &String| Some((name.into(), self.variable(name)?.to_owned()));
        names.into_iter().filter_map(pair).collect()
    }

    /// Returns the search path children get.
    #[must_use]
    pub fn search_path(&self) -> OsString {
        let usual = || OsString::from("/usr/local/bin:/usr/bin:/bin");
        self.variable("PATH").map_or_else(usual, OsStr::to_owned)
    }

    /// Returns where a program is, looked up as a shell would.
    #[must_use]
    pub fn find_program(&self, program: &str) -> Option<PathBuf> {
        let path = Path::new(program);
        if path.components().count() > 1 {
            let path = self.directory.join(path);
            return path.is_file().then_some(path);
        }
        let search = self.search_path();
        let found = std::env::split_paths(&search).map(|dir| dir.join(program));
        found.filter(|p| p.is_absolute()).find(|p| p.is_file())
    }

    /// Returns the user's home directory.
    #[must_use]
    pub fn home(&self) -> Option<PathBuf> {
        self.path_variable("HOME")
    }

    /// Returns the repository around the current directory, if there is one.
    #[must_use]
    pub fn repository(&self) -> Option<FoundRepository> {
        FoundRepository::around(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_show_in_debug_output() {
        let s = Surroundings::new("/", "/x").with("TOKEN", "canary");
        assert!(!format!("{s:?}").contains("canary"));
        assert!(format!("{s:?}").contains("TOKEN"));
    }

    #[test]
    fn only_named_variables_that_are_set_reach_a_child() {
        let s = Surroundings::new("/", "/x")
            .with("A", "1")
            .with("B", "2")
            .with("EMPTY", "");
        let names = ["A".to_owned(), "EMPTY".to_owned(), "ABSENT".to_owned()];
        assert_eq!(s.named(&names), [("A".into(), "1".into())]);
    }

    #[test]
    fn a_program_is_looked_up_on_absolute_places_of_the_path_only() {
        let dir = tempfile::tempdir().expect("temporary directory");
        std::fs::write(dir.path().join("tool"), "").expect("written");
        let s = Surroundings::new(dir.path(), "/x").with("PATH", ".:");
        assert_eq!(s.find_program("tool"), None);
        assert_eq!(s.find_program("./tool"), Some(dir.path().join("./tool")));
        let s = s.with("PATH", dir.path());
        assert_eq!(s.find_program("tool"), Some(dir.path().join("tool")));
    }
}
