//! Trying the sandbox before anything depends on it: it is not believed, it has to show what it does.

use std::fs;

use pipeline_core::agent::RunMode;
use pipeline_core::process::ProcessSpec;

use super::hermetic::PROFILE;
use super::hermetic::Reach;
use crate::cli::CliOptions;
use crate::cli::Error;
use crate::cli::Folders;
use crate::cli::Installation;
use crate::words::brief;

/// Says in words what it finds, so that the reason can be shown as it is.
const SCRIPT: &str = r#"
if (: >"$1/written") 2>/dev/null; then echo "a read-only command can write"; exit 0; fi
if cat "$2" >/dev/null 2>&1; then echo "a command can read beside its workspace"; exit 0; fi
echo confined
"#;

/// What comes before that where commands have a way to the loopback: a network in which nothing else is.
///
/// A version that does not know of its proxy would open all of it.
const ALONE: &str = r#"
[ "$(grep : /proc/net/dev | sed "s/ *\([^:]*\):.*/\1/")" = lo ] || { echo "a command has a network beyond the loopback"; exit 0; }
"#;

/// Tries the sandbox with a folder of its own as the workspace; the inner error says why it does not hold.
pub(super) async fn try_out(
    options: &CliOptions,
    installation: &Installation,
    folders: &Folders,
    reach: &Reach<'_>,
) -> Result<Result<(), String>, Error> {
    let failed = |source| Error::Folder {
        folder: folders.home.clone(),
        source,
    };
    let stage = folders.in_home("preflight/workspace")?;
    let canary = folders.home.join("preflight/canary");
    fs::write(&canary, "out of reach").map_err(failed)?;
    let reach = Reach {
        mode: RunMode::ReadOnly,
        directory: &stage,
        installation: reach.installation.clone(),
        ..*reach
    };
    let script = match reach.loopback {
        Some(_) => format!("{ALONE}{SCRIPT}"),
        None => SCRIPT.to_owned(),
    };
    let report = ProcessSpec::new(&installation.program, &stage)
        .arg("sandbox")
        .args(reach.settings())
        .args(["-P", PROFILE, "-C"])
        .arg(&stage)
        .args(["--", "/bin/sh", "-c", &script, "sh"])
        .arg(&stage)
        .arg(&canary)
        .env("PATH", &options.search_path)
        .env("HOME", &folders.home)
        .env("CODEX_HOME", folders.home.join(".codex"))
        .env("TMPDIR", &folders.temporary)
        .run()
        .await
        .map_err(Error::Process)?;
    fs::remove_dir_all(folders.home.join("preflight")).map_err(failed)?;
    let said = report.stdout().text();
    Ok(match said.trim() {
        "confined" if report.succeeded() => Ok(()),
        said if report.succeeded() && !said.is_empty() => Err(brief(said)),
        _ => {
            let why = report.stderr().text();
            let why = why.lines().rev().find(|line| !line.trim().is_empty());
            let why = brief(why.unwrap_or("it ended without a word"));
            Err(format!(
                "`codex sandbox` does not work here: {why}; unprivileged user namespaces must be allowed, \
                 or install bubblewrap"
            ))
        }
    })
}
