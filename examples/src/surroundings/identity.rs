//! Who the person at the terminal is, as git would write it.

use std::ffi::OsStr;
use std::time::Duration;

use pipeline_core::gate::Person;
use pipeline_core::process::ProcessSpec;

use super::Surroundings;

const DEADLINE: Duration = Duration::from_secs(10);

/// Returns the person at the terminal: as the environment or their own git configuration says, else by their login.
///
/// The pipeline's own git never reads a person's configuration; a committer's name has to come from there.
///
/// # Cancel safety
/// Reads only.
pub async fn whoami(around: &Surroundings) -> Person {
    let login = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| around.variable(name)?.to_str());
    let login = login.unwrap_or("somebody");
    let name = part(around, "GIT_COMMITTER_NAME", "user.name").await;
    let email = part(around, "GIT_COMMITTER_EMAIL", "user.email").await;
    let person = Person::new(
        name.as_deref().unwrap_or(login),
        email.as_deref().unwrap_or(&format!("{login}@localhost")),
    );
    if person.name.is_empty() {
        Person::new("somebody", &person.email)
    } else {
        person
    }
}

async fn part(around: &Surroundings, variable: &str, key: &str) -> Option<String> {
    if let Some(value) = around.variable(variable).and_then(OsStr::to_str) {
        return Some(value.to_owned());
    }
    let names = [
        "HOME",
        "XDG_CONFIG_HOME",
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
    ];
    let report = ProcessSpec::new("git", &around.directory)
        .args(["config", "--get", key])
        .env("PATH", around.search_path())
        .envs(around.named(&names.map(str::to_owned)))
        .deadline(DEADLINE)
        .run()
        .await
        .ok()?;
    let text = report.stdout().text().trim().to_owned();
    (report.succeeded() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings::new("/", "/x")
            .with("PATH", "/usr/local/bin:/usr/bin:/bin")
            .with("GIT_CONFIG_GLOBAL", "/dev/null")
            .with("GIT_CONFIG_SYSTEM", "/dev/null")
    }

    #[tokio::test]
    async fn the_environment_comes_first_and_the_login_last() {
        let named = around()
            .with("GIT_COMMITTER_NAME", "Rei")
            .with("GIT_COMMITTER_EMAIL", "rei@example.com");
        assert_eq!(whoami(&named).await.to_string(), "Rei <rei@example.com>");
        let login = around().with("USER", "rei");
        assert_eq!(whoami(&login).await.to_string(), "rei <rei@localhost>");
        assert_eq!(
            whoami(&around()).await.to_string(),
            "somebody <somebody@localhost>"
        );
    }

    #[tokio::test]
    async fn a_persons_own_git_configuration_counts() {
        let home = tempfile::tempdir().expect("temporary directory");
        let config = home.path().join("gitconfig");
        std::fs::write(&config, "[user]\n\tname = Rei\n\temail = rei@example.com\n")
            .expect("written");
        let around = around().with("USER", "x").with("GIT_CONFIG_GLOBAL", config);
        assert_eq!(whoami(&around).await.to_string(), "Rei <rei@example.com>");
    }
}
