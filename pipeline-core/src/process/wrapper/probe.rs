//! Trying a wrapper out: a wrapper is not believed, it is asked to show what it does.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use super::Wrapper;
use super::reach::Access;
use super::reach::Reach;
use crate::process::Ending;
use crate::process::OwnFolder;
use crate::process::ProcessSpec;
use crate::process::error::ProcessError;
use crate::process::error::WrapperError;
use crate::report::chain;

const TIME: Duration = Duration::from_secs(30);
/// Says in words what it finds, so that the reason can be shown as it is.
const SCRIPT: &str = r#"
if cat "$1" >/dev/null 2>&1; then echo "a child can read files beside its workspace"; exit 0; fi
if (: >"$2") 2>/dev/null; then wrote=rw; else wrote=ro; fi
if [ "$wrote" != "$3" ]; then echo "a workspace that should be $3 is $wrote inside"; exit 0; fi
echo confined
"#;

pub(super) async fn probe(wrapper: &Wrapper, by: &str, scratch: &Path) -> Result<(), WrapperError> {
    let unavailable = |reason: String| WrapperError::Unavailable {
        by: by.to_owned(),
        reason,
    };
    let stage = Stage::new(scratch).map_err(|error| {
        unavailable(format!(
            "no folder for a trial could be made in {}: {error}",
            scratch.display()
        ))
    })?;
    let modes = [(Access::ReadWrite, "rw"), (Access::ReadOnly, "ro")];
    let tried = if wrapper.enforces_read_only() { 2 } else { 1 };
    for (access, word) in modes.into_iter().take(tried) {
        let spec = ProcessSpec::new("/bin/sh", &stage.workspace)
            .args(["-c", SCRIPT, "sh"])
            .arg(&stage.canary)
            .arg(stage.workspace.join(word))
            .arg(word)
            .deadline(TIME)
            .confined(
                wrapper.clone().hide(stage.root.path()),
                Reach::new(&stage.workspace, access),
            );
        let report = spec.run().await.map_err(|error| match error {
            ProcessError::Wrapper {
                source: source @ WrapperError::Unavailable { .. },
                ..
            } => source,
            error => unavailable(chain(&error)),
        })?;
        match report.stdout().text().trim() {
            "confined" if report.succeeded() => {}
            said if report.succeeded() && !said.is_empty() => {
                return Err(unavailable(said.to_owned()));
            }
            _ if report.ending() == Ending::Deadline => {
                return Err(unavailable("the trial did not come to an end".to_owned()));
            }
            _ => return Err(unavailable(first_words(&report.stderr().text()))),
        }
    }
    Ok(())
}

/// Returns the first line of what a wrapper complained, short and without control characters.
pub(super) fn first_words(stderr: &str) -> String {
    let line = stderr
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("it ended without a word");
    line.chars()
        .filter(|char| !char.is_control())
        .take(300)
        .collect()
}

/// A workspace with a canary beside it, gone when dropped.
struct Stage {
    root: OwnFolder,
    workspace: PathBuf,
    canary: PathBuf,
}

impl Stage {
    fn new(scratch: &Path) -> io::Result<Self> {
        let name = format!("wrapper-trial-{}", crate::random::nonce());
        let root = OwnFolder::new(scratch, &name)?;
        let (workspace, canary) = (root.path().join("workspace"), root.path().join("canary"));
        fs::create_dir(&workspace)?;
        fs::write(&canary, "out of reach")?;
        Ok(Self {
            root,
            workspace,
            canary,
        })
    }
}
