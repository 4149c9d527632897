//! Where a program really is, and whether it is new enough.

use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_core::process::ProcessSpec;

use super::Error;
use crate::words::brief;

/// How long a program may take to say its version; the first start reads some 300 MB from the disk.
const PATIENCE: Duration = Duration::from_secs(120);

/// A version of three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u64, pub(crate) u64, pub(crate) u64);

impl Version {
    /// Finds the first version in what a program says of itself.
    pub(crate) fn find(said: &str) -> Option<Self> {
        said.split(|c: char| !c.is_ascii_digit() && c != '.')
            .find_map(|word| {
                let mut numbers = word.split('.').map(|part| part.parse().ok());
                let version = Self(numbers.next()??, numbers.next()??, numbers.next()??);
                Some(version)
            })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What is asked of an installation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The oldest version that has every flag it is started with.
    pub(crate) needed: Version,
    /// The package's name without its scope (`codex`).
    pub(crate) package: &'static str,
    /// The native program inside the package of a platform; `{triple}` stands for the platform.
    pub(crate) native: &'static str,
}

/// A program that was found and is new enough.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    /// The program to start: the native one, where it is found beside its script.
    pub(crate) program: PathBuf,
    /// The version.
    pub(crate) version: Version,
}

impl Installation {
    /// Finds the program and asks for its version.
    pub(crate) async fn probe(
        wanted: &Wanted,
        program: &Path,
        search_path: &str,
        home: &Path,
    ) -> Result<Self, Error> {
        let program = native(wanted, program).unwrap_or_else(|| program.to_owned());
        let report = ProcessSpec::new(&program, home)
            .arg("--version")
            .env("PATH", search_path)
            .env("HOME", home)
            .deadline(PATIENCE)
            .run()
            .await
            .map_err(Error::Process)?;
        let said = report.stdout().text();
        let version = report
            .succeeded()
            .then(|| Version::find(&said))
            .flatten()
            .ok_or_else(|| Error::NoVersion {
                said: brief(&format!("{said} {}", report.stderr().text())),
            })?;
        if version < wanted.needed {
            return Err(Error::TooOld {
                found: version.to_string(),
                needed: wanted.needed.to_string(),
            });
        }
        Ok(Self { program, version })
    }

    /// Returns the folder with everything that belongs to the program.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        let program = self.program.canonicalize().ok()?;
        let folder = program.parent()?;
        // Beside the program lie folders with its helpers.
        let whole = if folder.ends_with("bin") {
            folder.parent()?
        } else {
            folder
        };
        Some(whole.to_owned())
    }
}

/// Finds the native program behind a script of the package, which would stay as its parent.
///
/// Killing such a script leaves the native program at work.
fn native(wanted: &Wanted, program: &Path) -> Option<PathBuf> {
    let (platform, triple) = platform()?;
    let script = program.canonicalize().ok()?;
    // <scope>/<package>/bin/<script>
    let package = script.parent()?.parent()?;
    let scope = package.parent()?;
    if package.file_name()? != wanted.package {
        return None;
    }
    let name = format!("{}-{platform}", wanted.package);
    let inside = wanted.native.replace("{triple}", triple);
    let places = [
        scope.join(&name),
        package
            .join("node_modules")
            .join(scope.file_name()?)
            .join(&name),
        package.to_owned(),
    ];
    let mut places = places.into_iter().map(|place| place.join(&inside));
    places.find(|place| place.is_file())
}

fn platform() -> Option<(&'static str, &'static str)> {
    Some(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => ("linux-x64", "x86_64-unknown-linux-musl"),
        ("linux", "aarch64") => ("linux-arm64", "aarch64-unknown-linux-musl"),
        ("macos", "x86_64") => ("darwin-x64", "x86_64-apple-darwin"),
        ("macos", "aarch64") => ("darwin-arm64", "aarch64-apple-darwin"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(
            Version::find("codex-cli 0.169.0\n"),
            Some(Version(0, 169, 0))
        );
        assert_eq!(
            Version::find("2.1.328 (Claude Code)"),
            Some(Version(2, 1, 328))
        );
        assert_eq!(Version::find("v1.2"), None);
        assert_eq!(Version::find(""), None);
        assert!(Version(0, 169, 0) > Version(0, 99, 12));
    }

    #[test]
    fn the_native_program_is_found_behind_its_script() {
        let Some((platform, triple)) = platform() else {
            return;
        };
        let wanted = Wanted {
            needed: Version(0, 0, 0),
            package: "codex",
            native: "vendor/{triple}/bin/codex",
        };
        let dir = tempfile::tempdir().unwrap();
        let scope = dir.path().canonicalize().unwrap().join("node_modules/@x");
        let script = scope.join("codex/bin/codex.js");
        std::fs::create_dir_all(script.parent().unwrap()).unwrap();
        std::fs::write(&script, "").unwrap();
        let link = dir.path().join("codex");
        std::os::unix::fs::symlink(&script, &link).unwrap();
        assert_eq!(native(&wanted, &link), None);
        let program = scope.join(format!("codex-{platform}/vendor/{triple}/bin/codex"));
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::write(&program, "").unwrap();
        assert_eq!(native(&wanted, &link), Some(program));
        assert_eq!(native(&wanted, Path::new("/bin/sh")), None);
    }
}
