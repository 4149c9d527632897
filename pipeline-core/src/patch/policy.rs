//! What a patch may do.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;

use super::entry::ChangeKind;
use super::entry::Entry;
use super::entry::FileMode;
use super::entry::Side;
use super::existing::EntryKind;
use super::existing::ExistingNames;
use super::names;
use super::parse::FilePatch;
use super::parse::ParsedPatch;
use super::path::RepoPath;
use super::refusal::PatchRefusal;
use super::touched;
use super::touched::TouchedFile;
use super::written::WrittenChange;

/// The rules a patch must keep to be applied at all.
///
/// They are not configurable: a team sets sizes ([`PatchLimits`](super::PatchLimits)) and decides what is
/// held ([`crate::protected`]), but no team needs a patch that leaves the tree. The rules: modes 100644 and
/// 100755 only; no path outside the tree or in git's own folder; added names in composed UTF-8 without
/// control, bidirectional or invisible characters, backslash, colon, device names or a dot or space at the
/// end, and unique where case and accents are not told apart. A name the repository already has may stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PatchPolicy {}

/// The proof that a patch, or the tree written from it, kept the policy. Only the policy makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    touched: Vec<TouchedFile>,
    /// Every path that differs afterwards; `None` where there is no file any more.
    after: BTreeMap<RepoPath, Option<Option<FileMode>>>,
}

impl Accepted {
    /// Returns what is touched, sorted by path.
    #[must_use]
    pub fn touched(&self) -> &[TouchedFile] {
        &self.touched
    }

    /// Compares an accepted patch with the accepted tree that was written from it: the same paths must
    /// differ from the base, in the same way, with the same modes where the patch names them.
    ///
    /// # Errors
    /// Answers with [`PatchRefusal::WrittenDiffers`] for the first path that differs in only one of the two.
    pub fn agrees_with(&self, written: &Self) -> Result<(), PatchRefusal> {
        let agrees = |path: &RepoPath| match (self.after.get(path), written.after.get(path)) {
            (Some(Some(one)), Some(Some(other))) => {
                one.is_none() || other.is_none() || one == other
            }
            (one, other) => one == other,
        };
        let mut paths = self.after.keys().chain(written.after.keys());
        match paths.find(|path| !agrees(path)) {
            Some(path) => Err(PatchRefusal::WrittenDiffers { path: path.clone() }),
            None => Ok(()),
        }
    }
}

impl PatchPolicy {
    /// Checks a parsed patch against the names of its base.
    ///
    /// # Errors
    /// Answers with the [`PatchRefusal`] for the first rule that is broken.
    pub fn check(
        &self,
        patch: &ParsedPatch<'_>,
        existing: &dyn ExistingNames,
    ) -> Result<Accepted, PatchRefusal> {
        check_entries(
            patch.files().iter().map(FilePatch::entry).collect(),
            existing,
        )
    }

    /// Checks the difference that was read again from the written tree, against the names of the base.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub fn check_written(
        &self,
        changes: &[WrittenChange],
        existing: &dyn ExistingNames,
    ) -> Result<Accepted, PatchRefusal> {
        check_entries(changes.iter().map(WrittenChange::entry).collect(), existing)
    }
}

fn check_entries(
    entries: Vec<Entry<'_>>,
    existing: &dyn ExistingNames,
) -> Result<Accepted, PatchRefusal> {
    for side in entries
        .iter()
        .flat_map(|entry| [&entry.old, &entry.new])
        .flatten()
    {
        names::check_structure(side.path)?;
        check_mode(side)?;
    }
    let after = contradictions(&entries)?;
    let mut tree = NewTree::new(&after, existing);
    for entry in &entries {
        if let Some(side) = &entry.new {
            tree.add(side.path)?;
        }
    }
    Ok(Accepted {
        touched: touched::of(entries.into_iter()),
        after,
    })
}

fn check_mode(side: &Side<'_>) -> Result<(), PatchRefusal> {
    let path = || side.path.clone();
    match side.mode {
        // A pure rename names no mode; the written tree will.
        None | Some(FileMode::Regular | FileMode::Executable) => Ok(()),
        Some(FileMode::Symlink) => Err(PatchRefusal::Symlink { path: path() }),
        Some(FileMode::Gitlink) => Err(PatchRefusal::Gitlink { path: path() }),
        Some(FileMode::Other(mode)) => Err(PatchRefusal::Mode { path: path(), mode }),
    }
}

/// Collects what is at each path afterwards, refusing two entries about one path.
///
/// The source of a copy is only read, so it may be named any number of times.
fn contradictions(
    entries: &[Entry<'_>],
) -> Result<BTreeMap<RepoPath, Option<Option<FileMode>>>, PatchRefusal> {
    let mut after = BTreeMap::new();
    let mut claim = |path: &RepoPath, state| match after.insert(path.clone(), state) {
        Some(_) => Err(PatchRefusal::Contradiction { path: path.clone() }),
        None => Ok(()),
    };
    for entry in entries {
        if let Some(new) = &entry.new {
            claim(new.path, Some(new.mode))?;
        }
        if let (ChangeKind::Deleted | ChangeKind::Renamed, Some(old)) = (entry.kind, &entry.old) {
            claim(old.path, None)?;
        }
    }
    Ok(after)
}

/// A folder of the base, by exact and by folded name.
#[derive(Debug, Default)]
struct Folder<'e> {
    exact: HashMap<&'e [u8], EntryKind>,
    folded: HashMap<Vec<u8>, Vec<&'e [u8]>>,
}

/// The tree as it will be: what the patch adds, beside what stays of the base.
#[derive(Debug)]
struct NewTree<'e> {
    existing: &'e dyn ExistingNames,
    folders: HashMap<Vec<u8>, Folder<'e>>,
    removed: HashSet<&'e [u8]>,
    /// Folders above removed files, and whether everything in them is removed, once that was asked.
    thinned: HashMap<&'e [u8], Option<bool>>,
    /// Added names by the node of their folder and their folded form.
    added: HashMap<(usize, Vec<u8>), AddedName>,
    nodes: usize,
}

#[derive(Debug)]
struct AddedName {
    node: usize,
    path: RepoPath,
    kind: EntryKind,
}

impl<'e> NewTree<'e> {
    fn new(
        after: &'e BTreeMap<RepoPath, Option<Option<FileMode>>>,
        existing: &'e dyn ExistingNames,
    ) -> Self {
        let gone = || {
            after
                .iter()
                .filter(|(_, state)| state.is_none())
                .map(|(path, _)| path)
        };
        Self {
            existing,
            folders: HashMap::new(),
            removed: gone().map(RepoPath::as_bytes).collect(),
            thinned: gone()
                .flat_map(RepoPath::directories)
                .map(|folder| (folder, None))
                .collect(),
            added: HashMap::new(),
            nodes: 1,
        }
    }

    fn add(&mut self, path: &RepoPath) -> Result<(), PatchRefusal> {
        let ends = path
            .directories()
            .skip(1)
            .map(<[u8]>::len)
            .chain([path.as_bytes().len()]);
        let mut node = 0;
        let mut start = 0;
        let mut in_base = true;
        for end in ends {
            let upto = |end: usize| path.as_bytes().get(..end).unwrap_or_default();
            let part = path.as_bytes().get(start..end).unwrap_or_default();
            let folder = upto(start.saturating_sub(1));
            let here = RepoPath::new(upto(end));
            let kind = if end == path.as_bytes().len() {
                EntryKind::File
            } else {
                EntryKind::Folder
            };
            start = end + 1;

            let standing = if in_base {
                self.in_base(folder, part, kind, &here)?
            } else {
                None
            };
            in_base = standing.is_some();
            if standing.is_none()
                && let Some(fault) = names::fault(part)
            {
                return Err(PatchRefusal::Name {
                    path: path.clone(),
                    fault,
                });
            }
            node = self.in_patch(node, part, kind, here, standing == Some(Standing::Stays))?;
        }
        Ok(())
    }

    /// Compares one part with the base; `None` if the base has no such name.
    fn in_base(
        &mut self,
        folder: &[u8],
        part: &[u8],
        kind: EntryKind,
        here: &RepoPath,
    ) -> Result<Option<Standing>, PatchRefusal> {
        let known = self.folder(folder);
        let same = known.exact.get(part).copied();
        let others: Vec<(&[u8], EntryKind)> = if same.is_some() {
            // A name the repository already has may stay, beside whatever it already stands.
            Vec::new()
        } else {
            let folded = known.folded.get(&names::fold(part)).into_iter().flatten();
            folded
                .filter_map(|name| Some((*name, *known.exact.get(name)?)))
                .collect()
        };
        for (name, kind) in others {
            let other = join(folder, name);
            if !self.is_gone(&other, kind) {
                let (path, other) = (here.clone(), RepoPath::new(other));
                return Err(PatchRefusal::SameWhenFolded { path, other });
            }
        }
        let Some(same) = same else { return Ok(None) };
        if !self.is_gone(here.as_bytes(), same) {
            if same == kind {
                return Ok(Some(Standing::Stays));
            }
            return Err(PatchRefusal::FileAndFolder { path: here.clone() });
        }
        Ok(Some(Standing::Goes))
    }

    /// Compares one part with what else the patch adds, and returns the node of the part.
    fn in_patch(
        &mut self,
        node: usize,
        part: &[u8],
        kind: EntryKind,
        here: RepoPath,
        stays: bool,
    ) -> Result<usize, PatchRefusal> {
        // What stays was compared with the base, and is kept apart from other spellings that stay too.
        let key = (
            node,
            if stays {
                part.to_vec()
            } else {
                names::fold(part)
            },
        );
        let Some(before) = self.added.get(&key) else {
            let node = self.nodes;
            self.nodes += 1;
            self.added.insert(
                key,
                AddedName {
                    node,
                    path: here,
                    kind,
                },
            );
            return Ok(node);
        };
        if before.path != here {
            return Err(PatchRefusal::SameWhenFolded {
                path: here,
                other: before.path.clone(),
            });
        }
        if before.kind != kind || kind == EntryKind::File {
            return Err(PatchRefusal::FileAndFolder { path: here });
        }
        Ok(before.node)
    }

    fn folder(&mut self, folder: &[u8]) -> &Folder<'e> {
        let existing = self.existing;
        self.folders.entry(folder.to_vec()).or_insert_with(|| {
            let mut known = Folder::default();
            for (name, kind) in existing.names_in(folder) {
                known.exact.insert(name, kind);
                known
                    .folded
                    .entry(names::fold(name))
                    .or_default()
                    .push(name);
            }
            known
        })
    }

    /// Says whether nothing is left of a name of the base.
    fn is_gone(&mut self, path: &[u8], kind: EntryKind) -> bool {
        if kind == EntryKind::File {
            return self.removed.contains(path);
        }
        match self.thinned.get(path) {
            None => return false,
            Some(Some(known)) => return *known,
            Some(None) => {}
        }
        let existing = self.existing;
        let gone = existing
            .names_in(path)
            .all(|(name, kind)| self.is_gone(&join(path, name), kind));
        if let Some(known) = self.thinned.get_mut(path) {
            *known = Some(gone);
        }
        gone
    }
}

/// What becomes of a name the base has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Stays,
    Goes,
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        name.to_vec()
    } else {
        [folder, b"/", name].concat()
    }
}
