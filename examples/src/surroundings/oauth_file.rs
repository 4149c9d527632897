//! The file an account's OAuth tokens are kept in.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::clock::Timestamp;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_trackers::backlog::OAuthTokens;
use pipeline_trackers::backlog::TokenStore;
use serde::Deserialize;
use serde_json::json;

/// Longest file that is read.
const LONGEST: u64 = 64 << 10;

/// Why tokens cannot be had or kept. Nothing of the file is repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OAuthFileError {
    /// It cannot be read or written.
    #[error("the file of the OAuth tokens {} cannot be {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("the file of the OAuth tokens {0} is open to other users: chmod 600 {0}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// It is no pair of tokens.
    #[error(
        "the file of the OAuth tokens {} does not hold access_token and refresh_token: give the application access again \
         and put the service's answer there",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}

/// What stands in the file: what the service answers, and when it ends.
#[derive(Deserialize)]
struct Kept {
    access_token: String,
    refresh_token: String,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// An account's OAuth tokens in a file that the processes of one machine share.
#[derive(Debug)]
pub struct OAuthFile {
    path: PathBuf,
    redactor: OnceLock<Redactor>,
}

impl OAuthFile {
    /// Names the file.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            redactor: OnceLock::new(),
        }
    }

    /// Lets a redactor know every token from now on, and the ones that are there.
    pub fn tell(&self, redactor: &Redactor) {
        let redactor = self.redactor.get_or_init(|| redactor.clone());
        if let Ok(tokens) = self.read() {
            learn(redactor, &tokens);
        }
    }

    fn file(&self, what: &'static str) -> impl FnOnce(io::Error) -> OAuthFileError {
        let path = self.path.clone();
        move |source| OAuthFileError::File { path, what, source }
    }

    /// Returns what stands in the file.
    ///
    /// # Errors
    /// [`OAuthFileError`].
    pub fn read(&self) -> Result<OAuthTokens, OAuthFileError> {
        let path = || self.path.clone();
        let meta = fs::metadata(&self.path).map_err(self.file("read"))?;
        if meta.mode() & 0o077 != 0 {
            return Err(OAuthFileError::Open { path: path() });
        }
        let unusable = || OAuthFileError::Unusable { path: path() };
        if !meta.is_file() || meta.len() > LONGEST {
            return Err(unusable());
        }
        let bytes = fs::read(&self.path).map_err(self.file("read"))?;
        // What is wrong in it would be told with a piece of it.
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|_| unusable())?;
        let sendable = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        if !sendable(&kept.access_token) || !sendable(&kept.refresh_token) {
            return Err(unusable());
        }
        Ok(OAuthTokens {
            access: Secret::new(kept.access_token),
            refresh: Secret::new(kept.refresh_token),
            expires: kept.expires_at,
        })
    }

    /// Replaces the file: whoever dies in between leaves the old pair or the new one.
    fn write(&self, tokens: &OAuthTokens) -> Result<(), OAuthFileError> {
        let wrong = || self.file("written");
        let content = json!({
            "access_token": tokens.access.expose(),
            "refresh_token": tokens.refresh.expose(),
            "expires_at": tokens.expires,
        });
        let part = beside(&self.path, ".part");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&part).map_err(wrong())?;
        file.write_all(format!("{content}\n").as_bytes())
            .map_err(wrong())?;
        file.sync_all().map_err(wrong())?;
        fs::rename(&part, &self.path).map_err(wrong())?;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(wrong())
    }
}

fn learn(redactor: &Redactor, tokens: &OAuthTokens) {
    redactor.learn(&tokens.access);
    redactor.learn(&tokens.refresh);
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[async_trait]
impl TokenStore for OAuthFile {
    async fn load(&self) -> Result<OAuthTokens, BoxError> {
        let tokens = self.read()?;
        if let Some(redactor) = self.redactor.get() {
            learn(redactor, &tokens);
        }
        Ok(tokens)
    }

    async fn store(&self, tokens: &OAuthTokens) -> Result<(), BoxError> {
        if let Some(redactor) = self.redactor.get() {
            learn(redactor, tokens);
        }
        Ok(self.write(tokens)?)
    }

    async fn hold(&self) -> Result<Box<dyn Send>, BoxError> {
        let path = beside(&self.path, ".lock");
        let wrong = self.file("locked");
        let locked = tokio::task::spawn_blocking(move || {
            let mut options = fs::OpenOptions::new();
            options.append(true).create(true).mode(0o600);
            let file = options.open(path)?;
            file.lock()?;
            Ok(file)
        });
        let file: File = locked.await?.map_err(wrong)?;
        Ok(Box::new(file))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(dir: &Path, text: &str, mode: u32) -> OAuthFile {
        let path = dir.join("tokens.json");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        OAuthFile::new(path)
    }

    #[tokio::test]
    async fn it_begins_as_the_services_answer_and_goes_on_as_what_was_kept() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let answer = r#"{"access_token":"access-0-canary","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-0-canary"}"#;
        let file = file(dir.path(), answer, 0o600);
        let redactor = Redactor::default();
        file.tell(&redactor);
        let first = file.load().await.expect("read");
        assert_eq!(first.access, Secret::new("access-0-canary"));
        assert_eq!(first.expires, None);
        let next = OAuthTokens {
            access: Secret::new("access-1-canary"),
            refresh: Secret::new("refresh-1-canary"),
            expires: Timestamp::parse("2026-03-01T09:00:00Z"),
        };
        file.store(&next).await.expect("kept");
        assert_eq!(file.load().await.expect("read"), next);
        let mode = fs::metadata(&file.path).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
        for token in [
            "access-0-canary",
            "refresh-0-canary",
            "access-1-canary",
            "refresh-1-canary",
        ] {
            assert!(redactor.finds(token), "{token}");
        }
        assert!(!format!("{file:?} {next:?}").contains("canary"));
    }

    #[tokio::test]
    async fn whoever_holds_it_keeps_others_out() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (one, other) = (
            OAuthFile::new(dir.path().join("t")),
            OAuthFile::new(dir.path().join("t")),
        );
        let held = one.hold().await.expect("held");
        let lock = File::open(dir.path().join("t.lock")).expect("there");
        assert!(lock.try_lock().is_err());
        drop(held);
        let _held = other.hold().await.expect("held");
    }

    #[test]
    fn what_is_wrong_is_told_without_what_stands_there() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let good = r#"{"access_token":"canary","refresh_token":"canary"}"#;
        for (text, mode, part) in [
            (good, 0o644, "chmod 600"),
            ("canary", 0o600, "does not hold"),
            (r#"{"access_token":"canary"}"#, 0o600, "does not hold"),
            (
                r#"{"access_token":"can\nary","refresh_token":"canary"}"#,
                0o600,
                "does not hold",
            ),
        ] {
            let said = file(dir.path(), text, mode).read().expect_err(part);
            let said = format!("{said} {said:?}");
            assert!(said.contains(part) && !said.contains("canary"), "{said}");
        }
        let absent = OAuthFile::new(dir.path().join("absent"));
        let said = absent.read().expect_err("absent").to_string();
        assert!(said.contains("cannot be read"), "{said}");
    }
}
