//! Where a project is.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// The words that stand before a project's key in the addresses people copy.
const PAGES: &[&str] = &[
    "projects",
    "find",
    "board",
    "gantt",
    "FindIssue",
    "add",
    "view",
];

/// A project of a space, by the address of any of its pages.
///
/// The three hosted domains (`backlog.com`, `backlog.jp`, `backlogtool.com`) and own installations, under a path or not,
/// are all alike: what stands before the page's path is the base.
///
/// # Examples
/// ```
/// use pipeline_trackers::backlog::BacklogAddress;
/// let address: BacklogAddress = "https://team.backlog.com/projects/WEB".parse()?;
/// assert_eq!((address.base().as_str(), address.project()), ("https://team.backlog.com/", "WEB"));
/// let address: BacklogAddress = "https://dev.example/tools/backlog/view/WEB-12".parse()?;
/// assert_eq!(address.to_string(), "https://dev.example/tools/backlog/projects/WEB");
/// # Ok::<(), pipeline_trackers::backlog::InvalidAddress>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BacklogAddress {
    base: Url,
    project: String,
}

/// The text is not the address of a project.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not the address of a Backlog project: expected https://SPACE.backlog.com/projects/KEY, or an own server's address that ends like it"
)]
#[non_exhaustive]
pub struct InvalidAddress;

impl BacklogAddress {
    /// Returns the space's address, which ends with a slash.
    #[must_use]
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// Returns the project's key.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Returns the page of an issue.
    #[must_use]
    pub fn issue(&self, key: &str) -> String {
        format!("{}view/{key}", self.base)
    }

    /// Returns host, path and project without the scheme, which name it for signatures and digests.
    pub(super) fn identity(&self) -> String {
        let base = self.base.as_str();
        let (_, place) = base.split_once("://").unwrap_or(("", base));
        format!("{}:{place}{}", super::NAME, self.project)
    }

    pub(super) fn api(&self) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v2"]);
        }
        url
    }
}

impl fmt::Display for BacklogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}projects/{}", self.base, self.project)
    }
}

impl FromStr for BacklogAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let mut url = Url::parse(text.trim()).map_err(|_| InvalidAddress)?;
        let web = matches!(url.scheme(), "https" | "http") && url.host().is_some();
        if !web || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidAddress);
        }
        let segments: Vec<String> = url
            .path_segments()
            .ok_or(InvalidAddress)?
            .map(str::to_owned)
            .collect();
        let page = segments.iter().rposition(|s| PAGES.contains(&s.as_str()));
        let page = page.ok_or(InvalidAddress)?;
        let named = segments.get(page + 1).ok_or(InvalidAddress)?;
        let project = match (
            segments.get(page).map(String::as_str),
            named.rsplit_once('-'),
        ) {
            (Some("view"), Some((project, number))) if number.parse::<u64>().is_ok() => project,
            (Some("view"), _) => return Err(InvalidAddress),
            _ => named,
        };
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if project.is_empty() || project.len() > 40 || !project.chars().all(plain) {
            return Err(InvalidAddress);
        }
        let project = project.to_owned();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments.iter().take(page)).push("");
        }
        Ok(Self { base: url, project })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_a_project_names_it() {
        for (text, base, project) in [
            (
                "https://a.backlog.jp/projects/WEB",
                "https://a.backlog.jp/",
                "WEB",
            ),
            (
                "https://a.backlogtool.com/find/WEB_2?x=1#y",
                "https://a.backlogtool.com/",
                "WEB_2",
            ),
            (
                "https://a.backlog.com/view/WEB-12#comment-3",
                "https://a.backlog.com/",
                "WEB",
            ),
            (
                "https://h.example:8443/sub/path/board/W",
                "https://h.example:8443/sub/path/",
                "W",
            ),
            // A path of the installation may hold a word of ours.
            (
                "https://h.example/projects/backlog/projects/W",
                "https://h.example/projects/backlog/",
                "W",
            ),
        ] {
            let address: BacklogAddress = text.parse().expect(text);
            assert_eq!(
                (address.base().as_str(), address.project()),
                (base, project)
            );
        }
    }

    #[test]
    fn what_is_no_project_is_refused() {
        for text in [
            "",
            "WEB",
            "https://a.backlog.com/",
            "https://a.backlog.com/projects",
            "https://a.backlog.com/projects/",
            "https://a.backlog.com/view/WEB",
            "ftp://a.backlog.com/projects/WEB",
            "https://me:pw@a.backlog.com/projects/WEB",
            "https://a.backlog.com/projects/../WEB",
            "https://a.backlog.com/projects/a%2Fb",
            "https://a.backlog.com/projects/web",
        ] {
            assert_eq!(
                text.parse::<BacklogAddress>(),
                Err(InvalidAddress),
                "{text}"
            );
        }
    }

    #[test]
    fn the_api_is_under_the_base() {
        let address: BacklogAddress = "https://h.example/sub/projects/W".parse().unwrap();
        assert_eq!(address.api().as_str(), "https://h.example/sub/api/v2");
        assert_eq!(address.identity(), "backlog:h.example/sub/W");
    }
}
