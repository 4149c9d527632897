//! Which git is needed, and what is known of the one that is there.

use std::fmt;

/// The oldest git whose options are all used here.
pub(crate) const MINIMUM: Version = Version {
    major: 2,
    minor: 36,
    patch: 0,
};

/// A released version of git.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// Reads the answer of `git version`, vendors' suffixes included.
    ///
    /// `git version 2.39.5 (Apple Git-154)` and `git version 2.47.rc1` are both understood; the
    /// answer is `None` when no version number is in it.
    #[must_use]
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(answer).ok()?;
        let word = text
            .strip_prefix("git version ")?
            .split_whitespace()
            .next()?;
        let mut parts = word.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let patch = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
        Some(Self {
            major,
            minor,
            patch,
        })
    }

    /// Returns the known holes of this upstream version, one sentence each.
    ///
    /// Distributions repair holes without a new upstream number, so this is a warning for a person
    /// and never a refusal.
    #[must_use]
    pub fn known_holes(self) -> Vec<&'static str> {
        HOLES
            .iter()
            .filter(|hole| !hole.repaired_in(self))
            .map(|hole| hole.sentence)
            .collect()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

struct Hole {
    sentence: &'static str,
    /// Newest line first.
    repaired: &'static [Version],
}

impl Hole {
    fn repaired_in(&self, version: Version) -> bool {
        let line = |v: Version| (v.major, v.minor);
        let newer_line = self
            .repaired
            .first()
            .is_none_or(|newest| line(version) > line(*newest));
        newer_line
            || self
                .repaired
                .iter()
                .any(|v| line(*v) == line(version) && version.patch >= v.patch)
    }
}

const fn v(major: u32, minor: u32, patch: u32) -> Version {
    Version {
        major,
        minor,
        patch,
    }
}

const HOLES: &[Hole] = &[
    Hole {
        sentence: "CVE-2025-48384: a crafted submodule path can write outside of its directory",
        repaired: &[
            v(2, 50, 1),
            v(2, 49, 1),
            v(2, 48, 2),
            v(2, 47, 3),
            v(2, 46, 4),
            v(2, 45, 4),
            v(2, 44, 4),
            v(2, 43, 7),
        ],
    },
    Hole {
        sentence: "CVE-2024-32002 and -32004: a crafted repository can run hooks while it is cloned",
        repaired: &[
            v(2, 45, 1),
            v(2, 44, 1),
            v(2, 43, 4),
            v(2, 42, 2),
            v(2, 41, 1),
            v(2, 40, 2),
            v(2, 39, 4),
        ],
    },
    Hole {
        sentence: "CVE-2023-25652: `git apply --reject` can write outside of the tree",
        repaired: &[
            v(2, 40, 1),
            v(2, 39, 3),
            v(2, 38, 5),
            v(2, 37, 7),
            v(2, 36, 6),
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_vendors_are_read() {
        for (answer, expected) in [
            ("git version 2.47.3\n", "2.47.3"),
            ("git version 2.39.5 (Apple Git-154)\n", "2.39.5"),
            ("git version 2.50.0.windows.1\n", "2.50.0"),
            ("git version 2.48.rc1\n", "2.48.0"),
        ] {
            assert_eq!(
                Version::parse(answer.as_bytes())
                    .map(|v| v.to_string())
                    .as_deref(),
                Some(expected)
            );
        }
        for bad in ["", "git version", "git version x.y", "version 2.1.0"] {
            assert_eq!(Version::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn holes_follow_the_line_a_version_belongs_to() {
        assert_eq!(v(2, 47, 3).known_holes(), [""; 0]);
        assert_eq!(v(2, 51, 0).known_holes(), [""; 0]);
        assert_eq!(v(2, 47, 2).known_holes().len(), 1);
        assert_eq!(
            v(2, 39, 5).known_holes().len(),
            1,
            "2.39.5 has the repairs of 2024 and 2023"
        );
        assert_eq!(v(2, 36, 0).known_holes().len(), 3);
    }
}
