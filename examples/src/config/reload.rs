//! Reads the configuration again while `watch` runs; a bad edit keeps the last good one.

use std::path::Path;

use super::ConfigError;
use super::Loaded;
use super::load;

/// A configuration file that is read again before each tick.
#[derive(Debug)]
pub struct ConfigFile {
    good: Loaded,
    told: Option<String>,
}

/// What reading it again came to.
#[derive(Debug)]
pub enum Reload {
    /// It says the same as before, or is as bad as it was when that was told.
    Unchanged,
    /// It says something new, and that is in force now.
    Changed,
    /// It is not usable; the last good one stays in force. Told once per distinct problem.
    Kept(ConfigError),
}

impl ConfigFile {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// [`ConfigError`]: there is no last good one yet.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let good = load(path)?;
        Ok(Self { good, told: None })
    }

    /// Returns what is in force.
    #[must_use]
    pub const fn current(&self) -> &Loaded {
        &self.good
    }

    /// Reads it again.
    pub fn reload(&mut self) -> Reload {
        match load(&self.good.path) {
            Ok(loaded) => {
                self.told = None;
                if loaded == self.good {
                    return Reload::Unchanged;
                }
                self.good = loaded;
                Reload::Changed
            }
            Err(error) => {
                let text = error.to_string();
                if self.told.as_ref() == Some(&text) {
                    return Reload::Unchanged;
                }
                self.told = Some(text);
                Reload::Kept(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_edit_keeps_the_last_good_one_and_says_so_once() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("pipeline.toml");
        let write = |text: &str| std::fs::write(&path, text).expect("written");
        write("[limits]\nissues_per_tick = 2\n");
        let mut file = ConfigFile::open(&path).expect("good");
        assert!(matches!(file.reload(), Reload::Unchanged));

        write("[limits]\nissues_per_tik = 9\n");
        let Reload::Kept(error) = file.reload() else {
            panic!("a bad edit was taken");
        };
        let text = error.to_string();
        assert!(text.contains("did you mean `issues_per_tick`?"), "{text}");
        assert_eq!(file.current().config.limits.issues_per_tick, 2);
        assert!(matches!(file.reload(), Reload::Unchanged));

        std::fs::remove_file(&path).expect("removed");
        assert!(matches!(
            file.reload(),
            Reload::Kept(super::ConfigError::Unreadable { .. })
        ));
        assert_eq!(file.current().config.limits.issues_per_tick, 2);

        write("[limits]\nissues_per_tick = 9\n");
        assert!(matches!(file.reload(), Reload::Changed));
        assert_eq!(file.current().config.limits.issues_per_tick, 9);
    }
}
