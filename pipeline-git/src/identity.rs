//! A name of the repository on which the machines that work on it agree by themselves.

use pipeline_core::workspace::Target;

use crate::error::GitError;
use crate::repository::OpenError;
use crate::repository::Repository;

impl Repository {
    /// Returns the address of a target's upstream without credentials, else the repository's first commit.
    ///
    /// `None` where there is no commit yet. What stands in lock memos: two clones of one project have the same.
    ///
    /// # Errors
    /// Fails when git cannot read the repository.
    pub async fn identity(&self, target: &Target) -> Result<Option<String>, OpenError> {
        let remote = self.setting(&format!("branch.{target}.remote")).await?;
        if let Some(remote) = remote.filter(|name| name != ".")
            && let Some(url) = self.setting(&format!("remote.{remote}.url")).await?
        {
            return Ok(Some(without_credentials(&url)));
        }
        Ok(self.first_commit(target).await?)
    }

    async fn first_commit(&self, target: &Target) -> Result<Option<String>, GitError> {
        let Some(tip) = self.resolve(&format!("refs/heads/{target}")).await? else {
            return Ok(None);
        };
        let answer = self
            .real()
            .args(["rev-list", "--max-parents=0", "--first-parent"])
            .args([tip.to_string()])
            .finish()
            .await?;
        if answer.code != Some(0) {
            return Err(answer.failure("rev-list --max-parents=0"));
        }
        let text = String::from_utf8_lossy(&answer.stdout);
        Ok(text.lines().last().map(str::to_owned))
    }

    /// Reads one setting of the repository's own configuration.
    pub(crate) async fn setting(&self, key: &str) -> Result<Option<String>, GitError> {
        let answer = self
            .real()
            .args(["config", "--get", "-z", "--", key])
            .finish()
            .await?;
        match answer.code {
            Some(0) => {
                let value = String::from_utf8_lossy(&answer.stdout);
                Ok(Some(value.trim_end_matches('\0').to_owned()))
            }
            Some(1) => Ok(None),
            _ => Err(answer.failure("config --get")),
        }
    }
}

/// Drops user and password from a URL, and the user from the short form of ssh (`git@host:path`).
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    // A colon before any at-sign is the short form's path, or a password; both lie behind the user.
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    #[test]
    fn credentials_are_dropped_and_nothing_else() {
        for (url, name) in [
            (
                "https://rei:glpat-canary@git.example/shop.git",
                "https://git.example/shop.git",
            ),
            (
                "https://glpat-canary@git.example:8443/g/shop",
                "https://git.example:8443/g/shop",
            ),
            (
                "https://git.example/a@b/shop",
                "https://git.example/a@b/shop",
            ),
            (
                "ssh://git@git.example:22/shop.git",
                "ssh://git.example:22/shop.git",
            ),
            (
                "git@git.example:group/shop.git",
                "git.example:group/shop.git",
            ),
            ("/srv/git/shop.git", "/srv/git/shop.git"),
        ] {
            assert_eq!(without_credentials(url), name, "{url}");
        }
    }

    #[tokio::test]
    async fn the_upstream_comes_first_and_the_first_commit_last() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let main = Target::new("main").expect("a branch");
        let identity = fixture.repository.identity(&main).await.expect("read");
        assert_eq!(identity, Some(fixture.oid("main").to_string()));

        fixture.git(&[
            "remote",
            "add",
            "origin",
            "https://rei:secret@git.example/shop.git",
        ]);
        fixture.git(&["config", "branch.main.remote", "origin"]);
        let identity = fixture.repository.identity(&main).await.expect("read");
        assert_eq!(identity.as_deref(), Some("https://git.example/shop.git"));

        let absent = Target::new("absent").expect("a branch");
        let identity = fixture.repository.identity(&absent).await.expect("read");
        assert_eq!(identity, None);
    }
}
