//! The repository around a directory, found by looking, without running git: every command starts here.

use std::path::Path;
use std::path::PathBuf;

/// A repository's working tree and the git directory all its worktrees share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRepository {
    /// The top of the working tree.
    pub root: PathBuf,
    /// The common git directory.
    pub common_dir: PathBuf,
}

impl FoundRepository {
    /// Returns the repository whose working tree contains this directory.
    #[must_use]
    pub fn around(directory: &Path) -> Option<Self> {
        let directory = directory.canonicalize().ok()?;
        directory.ancestors().find_map(|root| {
            let common_dir = common_dir(&root.join(".git"))?;
            Some(Self {
                root: root.to_owned(),
                common_dir,
            })
        })
    }

    /// Returns the commit that is checked out; `None` before the first one, and where the refs are kept in another way
    /// than in files.
    #[must_use]
    pub fn head(&self) -> Option<String> {
        let dot_git = self.root.join(".git");
        let own = match std::fs::read_to_string(&dot_git) {
            Ok(text) => self.root.join(text.strip_prefix("gitdir:")?.trim()),
            Err(_) => dot_git,
        };
        let head = std::fs::read_to_string(own.join("HEAD")).ok()?;
        let Some(name) = head.trim().strip_prefix("ref: ") else {
            return hash(&head);
        };
        if let Ok(loose) = std::fs::read_to_string(self.common_dir.join(name)) {
            return hash(&loose);
        }
        let packed = std::fs::read_to_string(self.common_dir.join("packed-refs")).ok()?;
        let mut refs = packed.lines().filter_map(|line| line.split_once(' '));
        refs.find(|(_, known)| *known == name)
            .and_then(|(id, _)| hash(id))
    }

    /// Returns a short name for people: the directory's.
    #[must_use]
    pub fn name(&self) -> String {
        // A linked worktree is called after the main one, which shares its state.
        let home = match self.common_dir.file_name() {
            Some(name) if name == ".git" => self.common_dir.parent().unwrap_or(&self.root),
            _ => &self.common_dir,
        };
        let name = home.file_name().unwrap_or_default().to_string_lossy();
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        };
        let name: String = name
            .trim_end_matches(".git")
            .chars()
            .take(40)
            .map(plain)
            .collect();
        let name = name.trim_matches(['-', '.']).to_owned();
        if name.is_empty() {
            "repository".to_owned()
        } else {
            name
        }
    }
}

fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let hex = text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| text.to_owned())
}

fn common_dir(dot_git: &Path) -> Option<PathBuf> {
    let git_dir = if dot_git.is_dir() {
        dot_git.to_owned()
    } else {
        let text = std::fs::read_to_string(dot_git).ok()?;
        dot_git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
    };
    let git_dir = git_dir.canonicalize().ok()?;
    match std::fs::read_to_string(git_dir.join("commondir")) {
        Ok(common) => git_dir.join(common.trim()).canonicalize().ok(),
        Err(_) => git_dir.join("HEAD").exists().then_some(git_dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_leads_to_the_common_git_directory() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let top = dir.path().canonicalize().expect("there");
        let main = top.join("shop");
        std::fs::create_dir_all(main.join(".git/worktrees/wt")).expect("made");
        std::fs::write(main.join(".git/HEAD"), "ref: refs/heads/main\n").expect("written");
        std::fs::create_dir_all(main.join("app/views")).expect("made");
        let found = FoundRepository::around(&main.join("app/views")).expect("found");
        assert_eq!(found.root, main);
        assert_eq!(found.common_dir, main.join(".git"));
        assert_eq!(found.name(), "shop");

        let linked = top.join("elsewhere");
        std::fs::create_dir(&linked).expect("made");
        let git_dir = main.join(".git/worktrees/wt");
        std::fs::write(
            linked.join(".git"),
            format!("gitdir: {}\n", git_dir.display()),
        )
        .expect("written");
        std::fs::write(git_dir.join("commondir"), "../..\n").expect("written");
        let found = FoundRepository::around(&linked).expect("found");
        assert_eq!(found.root, linked);
        assert_eq!(found.common_dir, main.join(".git"));
        assert_eq!(found.name(), "shop");

        assert_eq!(FoundRepository::around(&top), None);
    }
}
