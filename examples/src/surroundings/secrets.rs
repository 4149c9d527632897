//! Fetches a secret from where the configuration says it is.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_core::process::ProcessError;
use pipeline_core::process::ProcessSpec;
use pipeline_core::secret::Secret;

use super::Surroundings;
use crate::config::SecretSource;

const DEADLINE: Duration = Duration::from_secs(30);
const LONGEST: usize = 64 << 10;

/// Why a secret could not be had. The secret itself, or what a command printed instead, is never repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The variable is not set.
    #[error("variable {name} is not set: export it, or name a file with --env-file")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// The file cannot be read.
    #[error("the secret's file {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("the secret's file {0} is open to other users: chmod 600 {0}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// The command cannot be started.
    #[error("the command that prints the secret cannot be run")]
    Command {
        /// Why.
        #[source]
        source: ProcessError,
    },
    /// The command did not print it.
    #[error("`{program}` did not print the secret: it ended with {ending}")]
    Failed {
        /// The program.
        program: String,
        /// Its exit code, in words.
        ending: String,
    },
    /// What was found is no secret.
    #[error("{place} holds no usable secret: it is empty, longer than 64 KiB or not UTF-8 text")]
    Unusable {
        /// The place.
        place: String,
    },
}

/// Returns the secret.
///
/// # Errors
/// [`SecretError`], which says where it was looked for and what to do.
///
/// # Cancel safety
/// Dropping the future ends the command.
pub async fn read_secret(
    source: &SecretSource,
    around: &Surroundings,
    directory: &Path,
) -> Result<Secret, SecretError> {
    let bytes = match source {
        SecretSource::Env(name) => {
            let value = around.variable(name);
            let value = value.ok_or_else(|| SecretError::NotSet { name: name.clone() })?;
            value.as_encoded_bytes().to_vec()
        }
        SecretSource::File(path) => read_file(&directory.join(path))?,
        SecretSource::Command(words) => run(words, around, directory).await?,
    };
    let unusable = || SecretError::Unusable {
        place: source.to_string(),
    };
    let text = String::from_utf8(bytes).map_err(|_| unusable())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.len() > LONGEST {
        return Err(unusable());
    }
    Ok(Secret::new(text))
}

fn read_file(path: &Path) -> Result<Vec<u8>, SecretError> {
    let failed = |source| SecretError::File {
        path: path.to_owned(),
        source,
    };
    let meta = std::fs::metadata(path).map_err(failed)?;
    if meta.is_file() && meta.mode() & 0o077 != 0 {
        return Err(SecretError::Open {
            path: path.to_owned(),
        });
    }
    std::fs::read(path).map_err(failed)
}

async fn run(
    words: &[String],
    around: &Surroundings,
    directory: &Path,
) -> Result<Vec<u8>, SecretError> {
    let (program, arguments) = words
        .split_first()
        .map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    let report = ProcessSpec::new(program, directory)
        .args(arguments)
        .env("PATH", around.search_path())
        // Password managers find their store and their agent by these.
        .envs(
            around.named(
                &[
                    "HOME",
                    "USER",
                    "XDG_RUNTIME_DIR",
                    "GPG_TTY",
                    "SSH_AUTH_SOCK",
                ]
                .map(str::to_owned),
            ),
        )
        .deadline(DEADLINE)
        .run()
        .await
        .map_err(|source| SecretError::Command { source })?;
    if report.succeeded() {
        return Ok(report.into_stdout());
    }
    let ending = report.code().map_or_else(
        || "no exit code".to_owned(),
        |code| format!("exit code {code}"),
    );
    Err(SecretError::Failed {
        program: program.to_owned(),
        ending,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    async fn read(source: SecretSource, around: &Surroundings) -> Result<String, String> {
        let read = read_secret(&source, around, Path::new("/")).await;
        read.map(|s| s.expose().to_owned())
            .map_err(|e| e.to_string())
    }

    #[tokio::test]
    async fn from_each_of_the_three_places_without_the_final_line_break() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("token");
        std::fs::write(&path, "two\n").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("closed");
        let around = Surroundings::new("/", "/x").with("T", "one");
        let command = ["sh", "-c", "echo three"].map(str::to_owned).to_vec();
        assert_eq!(
            read(SecretSource::Env("T".into()), &around).await,
            Ok("one".into())
        );
        assert_eq!(
            read(SecretSource::File(path), &around).await,
            Ok("two".into())
        );
        assert_eq!(
            read(SecretSource::Command(command), &around).await,
            Ok("three".into())
        );
    }

    #[tokio::test]
    async fn what_went_wrong_is_told_without_what_was_found() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let open = dir.path().join("open");
        std::fs::write(&open, "canary").expect("written");
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).expect("opened");
        let around = Surroundings::new("/", "/x").with("OTHER", "canary");
        let command = ["sh", "-c", "echo canary; echo canary >&2; exit 3"]
            .map(str::to_owned)
            .to_vec();
        for (source, part) in [
            (SecretSource::Env("T".into()), "variable T is not set"),
            (SecretSource::File(open), "chmod 600"),
            (
                SecretSource::File(dir.path().join("absent")),
                "cannot be read",
            ),
            (SecretSource::Command(command), "exit code 3"),
            (
                SecretSource::Command(vec!["true".into()]),
                "holds no usable secret",
            ),
        ] {
            let said = read(source, &around).await.expect_err(part);
            assert!(said.contains(part), "{said}");
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
