//! The parser for `git diff --binary --full-index`.

use super::binary;
use super::binary::BinaryChange;
use super::binary::BinaryPayload;
use super::binary::Budget;
use super::entry::ChangeKind;
use super::entry::Entry;
use super::entry::FileMode;
use super::entry::Side;
use super::hunk;
use super::hunk::Hunk;
use super::id::BlobId;
use super::id::PatchId;
use super::limits::PatchLimits;
use super::lines::Lines;
use super::names;
use super::path::RepoPath;
use super::quote;
use super::refusal::PatchRefusal;
use super::touched;
use super::touched::TouchedFile;

/// What a patch does to the content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content<'a> {
    /// Nothing, or the file is empty.
    Unchanged,
    /// Changed regions of a text file.
    Text(Vec<Hunk<'a>>),
    /// New binary content.
    Binary(BinaryChange),
}

/// What a patch does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilePatch<'a> {
    /// What happens to the file.
    pub kind: ChangeKind,
    /// The path before; `None` for an added file.
    pub old_path: Option<RepoPath>,
    /// The path after; `None` for a deleted file.
    pub new_path: Option<RepoPath>,
    /// The mode before, where the patch names it (a pure rename does not).
    pub old_mode: Option<FileMode>,
    /// The mode after, where the patch names it.
    pub new_mode: Option<FileMode>,
    /// The blob before, where the content changes and there was one.
    pub old_id: Option<BlobId>,
    /// The blob after, where the content changes and there will be one.
    pub new_id: Option<BlobId>,
    /// The change of the content.
    pub content: Content<'a>,
}

impl FilePatch<'_> {
    /// Returns the path the change is about: where the file is afterwards, or was before it went away.
    #[must_use]
    pub fn path(&self) -> &RepoPath {
        const ROOT: &RepoPath = &RepoPath::root();
        self.new_path
            .as_ref()
            .or(self.old_path.as_ref())
            .unwrap_or(ROOT)
    }

    pub(super) fn entry(&self) -> Entry<'_> {
        Entry {
            kind: self.kind,
            old: self.old_path.as_ref().map(|path| Side {
                path,
                mode: self.old_mode,
            }),
            new: self.new_path.as_ref().map(|path| Side {
                path,
                mode: self.new_mode,
            }),
        }
    }
}

/// A patch that was read to its last byte. Nothing is said yet about whether it may be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedPatch<'a> {
    id: PatchId,
    files: Vec<FilePatch<'a>>,
}

impl<'a> ParsedPatch<'a> {
    /// Returns the content address of the bytes.
    #[must_use]
    pub fn id(&self) -> PatchId {
        self.id
    }

    /// Returns the files in the order of the patch.
    #[must_use]
    pub fn files(&self) -> &[FilePatch<'a>] {
        &self.files
    }

    /// Says whether the patch touches nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Returns what is touched, sorted by path.
    #[must_use]
    pub fn touched(&self) -> Vec<TouchedFile> {
        touched::of(self.files.iter().map(FilePatch::entry))
    }

    /// Returns every folder whose names [`PatchPolicy::check`](super::PatchPolicy::check) asks for, each
    /// once, sorted: what an [`ExistingNames`](super::ExistingNames) has to know.
    #[must_use]
    pub fn folders(&self) -> Vec<RepoPath> {
        touched::folders(self.files.iter().map(FilePatch::entry))
    }
}

/// Reads the bytes of a patch.
///
/// Accepts exactly what `git diff --binary --full-index` writes with its default prefixes, renames and
/// copies included; an empty patch has no files. Runs in linear time, allocates no more than `limits`
/// permit, and never panics.
///
/// # Errors
/// Answers with the [`PatchRefusal`] for the first thing that is too large, malformed or inconsistent.
pub fn parse<'a>(bytes: &'a [u8], limits: &PatchLimits) -> Result<ParsedPatch<'a>, PatchRefusal> {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > limits.max_bytes {
        return Err(PatchRefusal::TooLarge {
            bytes: size,
            limit: limits.max_bytes,
        });
    }
    let mut reader = Reader {
        lines: Lines::new(bytes),
        budget: Budget {
            left: limits.max_expanded_bytes,
            limit: limits.max_expanded_bytes,
        },
        id_length: None,
    };
    let mut files = Vec::new();
    while reader.lines.peek().is_some() {
        if u64::try_from(files.len()).unwrap_or(u64::MAX) >= limits.max_files {
            return Err(PatchRefusal::TooManyFiles {
                limit: limits.max_files,
            });
        }
        files.push(reader.file()?);
    }
    if reader.lines.is_cut() {
        return Err(reader.lines.malformed_next("the last line does not end"));
    }
    Ok(ParsedPatch {
        id: PatchId::of(bytes),
        files,
    })
}

/// The mode lines of a header.
#[derive(Debug, Clone, Copy)]
enum Modes {
    Unnamed,
    Changed(FileMode, FileMode),
    Added(FileMode),
    Deleted(FileMode),
}

/// The lines `rename from`, `rename to` and their copy twins.
#[derive(Debug)]
struct Move {
    kind: ChangeKind,
    from: RepoPath,
    to: RepoPath,
    /// Less than the whole content stayed, so its blobs have to be named.
    changed: bool,
}

struct Reader<'a> {
    lines: Lines<'a>,
    budget: Budget,
    /// The digits of the first id; one patch comes from one repository.
    id_length: Option<usize>,
}

impl<'a> Reader<'a> {
    fn file(&mut self) -> Result<FilePatch<'a>, PatchRefusal> {
        let header = self
            .lines
            .take(b"diff --git ")
            .ok_or_else(|| self.lines.malformed_next("a file begins with `diff --git`"))?;
        let modes = self.modes()?;
        let moved = self.moved()?;
        if moved.is_some() && matches!(modes, Modes::Added(_) | Modes::Deleted(_)) {
            return Err(self
                .lines
                .malformed("a file is moved and added or deleted at once"));
        }
        let index = self.index()?;
        if index.is_none() && moved.as_ref().is_some_and(|moved| moved.changed) {
            return Err(self
                .lines
                .malformed_next("a file that is moved and changed names its blobs"));
        }
        let sides = self.side_lines()?;

        let kind = match (&moved, modes) {
            (Some(moved), _) => moved.kind,
            (None, Modes::Added(_)) => ChangeKind::Added,
            (None, Modes::Deleted(_)) => ChangeKind::Deleted,
            (None, _) => ChangeKind::Modified,
        };
        let (old_name, new_name) = self.names(header, kind, moved, sides.as_ref())?;
        names::check_length(&old_name)?;
        names::check_length(&new_name)?;
        let (old_mode, new_mode) = match (modes, index.as_ref().and_then(|index| index.mode)) {
            (Modes::Unnamed, mode) => (mode, mode),
            (Modes::Changed(old, new), None) => (Some(old), Some(new)),
            (Modes::Added(mode), None) => (None, Some(mode)),
            (Modes::Deleted(mode), None) => (Some(mode), None),
            (_, Some(_)) => return Err(self.lines.malformed("the mode is named twice")),
        };
        let mut file = FilePatch {
            kind,
            old_path: (kind != ChangeKind::Added).then_some(old_name),
            new_path: (kind != ChangeKind::Deleted).then_some(new_name),
            old_mode,
            new_mode,
            old_id: None,
            new_id: None,
            content: Content::Unchanged,
        };
        if let Some(index) = index {
            (file.old_id, file.new_id) = (index.old, index.new);
            if file.old_id.is_none() != (kind == ChangeKind::Added)
                || file.new_id.is_none() != (kind == ChangeKind::Deleted)
            {
                return Err(self
                    .lines
                    .malformed("the blob ids do not fit what happens to the file"));
            }
        }
        file.content = self.content(sides.is_some(), &file)?;
        self.check_content(&file)?;
        Ok(file)
    }

    fn modes(&mut self) -> Result<Modes, PatchRefusal> {
        if let Some(mode) = self.mode_line(b"new file mode ")? {
            return Ok(Modes::Added(mode));
        }
        if let Some(mode) = self.mode_line(b"deleted file mode ")? {
            return Ok(Modes::Deleted(mode));
        }
        let Some(old) = self.mode_line(b"old mode ")? else {
            return Ok(Modes::Unnamed);
        };
        let new = self
            .mode_line(b"new mode ")?
            .ok_or_else(|| self.lines.malformed_next("`new mode` must follow"))?;
        if old == new {
            return Err(self.lines.malformed("the mode does not change"));
        }
        Ok(Modes::Changed(old, new))
    }

    fn mode_line(&mut self, key: &[u8]) -> Result<Option<FileMode>, PatchRefusal> {
        let Some(digits) = self.lines.take(key) else {
            return Ok(None);
        };
        FileMode::from_octal(digits)
            .map(Some)
            .ok_or_else(|| self.lines.malformed("this is no mode"))
    }

    fn moved(&mut self) -> Result<Option<Move>, PatchRefusal> {
        let percent = |text: &[u8]| {
            let digits = text.strip_suffix(b"%").unwrap_or_default();
            matches!(digits.len(), 1..=3) && digits.iter().all(u8::is_ascii_digit)
        };
        if let Some(value) = self.lines.take(b"dissimilarity index ") {
            return if percent(value) {
                Ok(None)
            } else {
                Err(self.lines.malformed("this is no percentage"))
            };
        }
        let Some(value) = self.lines.take(b"similarity index ") else {
            return Ok(None);
        };
        if !percent(value) {
            return Err(self.lines.malformed("this is no percentage"));
        }
        let (kind, from, to): (_, &[u8], &[u8]) = if self
            .lines
            .peek()
            .is_some_and(|line| line.starts_with(b"rename "))
        {
            (ChangeKind::Renamed, b"rename from ", b"rename to ")
        } else {
            (ChangeKind::Copied, b"copy from ", b"copy to ")
        };
        let mut name = |key| {
            let problem = "this is not where the file moves from and to";
            let text = self
                .lines
                .take(key)
                .ok_or_else(|| self.lines.malformed_next(problem))?;
            whole_name(text).ok_or_else(|| self.lines.malformed(problem))
        };
        Ok(Some(Move {
            kind,
            from: RepoPath::new(name(from)?),
            to: RepoPath::new(name(to)?),
            changed: value != b"100%",
        }))
    }

    fn index(&mut self) -> Result<Option<Index>, PatchRefusal> {
        let Some(rest) = self.lines.take(b"index ") else {
            return Ok(None);
        };
        let index = Index::read(rest)
            .ok_or_else(|| self.lines.malformed("this is no pair of full blob ids"))?;
        let expected = *self.id_length.get_or_insert(index.length);
        if index.length != expected {
            return Err(self
                .lines
                .malformed("blob ids of two kinds stand in one patch"));
        }
        Ok(Some(index))
    }

    /// Reads the lines `---` and `+++`, if they come next.
    fn side_lines(&mut self) -> Result<Option<(SideName, SideName)>, PatchRefusal> {
        let Some(old) = self.lines.take(b"--- ") else {
            return Ok(None);
        };
        let old = SideName::read(old, b"a/")
            .ok_or_else(|| self.lines.malformed("this is no old name"))?;
        let new = self
            .lines
            .take(b"+++ ")
            .ok_or_else(|| self.lines.malformed_next("a `+++` line must follow"))?;
        let new = SideName::read(new, b"b/")
            .ok_or_else(|| self.lines.malformed("this is no new name"))?;
        Ok(Some((old, new)))
    }

    /// Finds the two names and makes sure that every line that carries one agrees.
    ///
    /// The `diff --git` line alone is ambiguous: a name may contain ` b/`. So the other lines decide, and
    /// where there are none, both names are the same.
    fn names(
        &self,
        header: &[u8],
        kind: ChangeKind,
        moved: Option<Move>,
        sides: Option<&(SideName, SideName)>,
    ) -> Result<(RepoPath, RepoPath), PatchRefusal> {
        let (old, new) = match (moved, sides) {
            (Some(moved), _) => (moved.from, moved.to),
            (None, Some((SideName::Path(name), _) | (_, SideName::Path(name)))) => {
                (name.clone(), name.clone())
            }
            (None, Some((SideName::Nothing, SideName::Nothing))) => {
                return Err(self.lines.malformed("neither side names a file"));
            }
            (None, None) => {
                let name = same_name(header)
                    .ok_or_else(|| self.lines.malformed("the `diff --git` line names no file"))?;
                (name.clone(), name)
            }
        };
        let is_side = |side: &SideName, name: &RepoPath, gone: bool| match side {
            SideName::Nothing => gone,
            SideName::Path(path) => !gone && path == name,
        };
        let sides_agree = sides.is_none_or(|(old_side, new_side)| {
            is_side(old_side, &old, kind == ChangeKind::Added)
                && is_side(new_side, &new, kind == ChangeKind::Deleted)
        });
        if !sides_agree || !is_header(header, &old, &new) {
            return Err(PatchRefusal::HeaderDisagrees {
                line: self.lines.number(),
                path: new,
            });
        }
        Ok((old, new))
    }

    fn content(
        &mut self,
        has_sides: bool,
        file: &FilePatch<'_>,
    ) -> Result<Content<'a>, PatchRefusal> {
        let Some(next) = self.lines.peek() else {
            return if has_sides {
                Err(self.no_hunk())
            } else {
                Ok(Content::Unchanged)
            };
        };
        if has_sides {
            let hunks = hunk::read(&mut self.lines)?;
            if hunks.is_empty() {
                return Err(self.no_hunk());
            }
            let added = hunks
                .iter()
                .flat_map(Hunk::added)
                .map(|line| line.text.len() as u64 + 1);
            self.budget.take(added.sum(), file.path())?;
            return Ok(Content::Text(hunks));
        }
        if next == b"GIT binary patch" {
            self.lines.next();
            return binary::read(&mut self.lines, file.path(), &mut self.budget)
                .map(Content::Binary);
        }
        if next.starts_with(b"Binary files ") {
            return Err(PatchRefusal::BinaryWithoutContent {
                path: file.path().clone(),
            });
        }
        Ok(Content::Unchanged)
    }

    fn no_hunk(&self) -> PatchRefusal {
        self.lines.malformed_next("a hunk must follow")
    }

    /// Makes sure that the content is what the header announced.
    fn check_content(&self, file: &FilePatch<'_>) -> Result<(), PatchRefusal> {
        let has_ids = file.old_id.is_some() || file.new_id.is_some();
        match &file.content {
            Content::Unchanged => {
                let only_ids = [&file.old_id, &file.new_id];
                let is_empty_file = only_ids.into_iter().flatten().all(|id| id.names(b""));
                let needs_ids = matches!(file.kind, ChangeKind::Added | ChangeKind::Deleted);
                let says_nothing = file.kind == ChangeKind::Modified && file.new_mode.is_none();
                if needs_ids != has_ids || !is_empty_file || says_nothing {
                    return Err(self
                        .lines
                        .malformed("the header announces a change that does not follow"));
                }
            }
            Content::Text(hunks) => {
                let one_sided =
                    |side: fn(&Hunk<'_>) -> u32| hunks.iter().all(|hunk| side(hunk) == 0);
                let fits = match file.kind {
                    ChangeKind::Added => one_sided(|hunk| hunk.old.count),
                    ChangeKind::Deleted => one_sided(|hunk| hunk.new.count),
                    ChangeKind::Modified | ChangeKind::Renamed | ChangeKind::Copied => true,
                };
                if !has_ids || !fits {
                    return Err(self
                        .lines
                        .malformed("the hunks do not fit what happens to the file"));
                }
            }
            Content::Binary(change) => {
                if !has_ids {
                    return Err(self.lines.malformed("a binary change needs its blob ids"));
                }
                for (part, id) in [
                    (&change.forward, &file.new_id),
                    (&change.reverse, &file.old_id),
                ] {
                    // git takes a blob it already has by its id instead of the content that stands here, so the
                    // two must be the same or a reader of the patch sees something else than is applied.
                    let agrees = match (&part.payload, id) {
                        (BinaryPayload::Literal(content), Some(id)) => id.names(content),
                        (BinaryPayload::Literal(content), None) => content.is_empty(),
                        (BinaryPayload::Delta { .. }, id) => id.is_some(),
                    };
                    if !agrees {
                        return Err(PatchRefusal::BlobMismatch {
                            path: file.path().clone(),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

/// A line `index <old>..<new>[ <mode>]`.
#[derive(Debug)]
struct Index {
    old: Option<BlobId>,
    new: Option<BlobId>,
    mode: Option<FileMode>,
    length: usize,
}

impl Index {
    fn read(text: &[u8]) -> Option<Self> {
        let dots = text.windows(2).position(|pair| pair == b"..")?;
        let (old, rest) = (text.get(..dots)?, text.get(dots + 2..)?);
        let (new, mode) = match rest.split_at_checked(old.len())? {
            (new, []) => (new, None),
            (new, mode) => (new, Some(FileMode::from_octal(mode.strip_prefix(b" ")?)?)),
        };
        let (old, new) = (BlobId::from_hex(old)?, BlobId::from_hex(new)?);
        let length = old.as_str().len();
        Some(Self {
            old: (!old.is_none()).then_some(old),
            new: (!new.is_none()).then_some(new),
            mode,
            length,
        })
    }
}

/// The name on a `---` or `+++` line.
#[derive(Debug)]
enum SideName {
    Nothing,
    Path(RepoPath),
}

impl SideName {
    fn read(text: &[u8], prefix: &[u8]) -> Option<Self> {
        if text == b"/dev/null" {
            return Some(Self::Nothing);
        }
        // git sets a tab behind a name with a space, so that nobody cuts the name there.
        let (text, has_tab) = match text.strip_suffix(b"\t") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let name = whole_name(text)?;
        if has_tab != name.contains(&b' ') {
            return None;
        }
        Some(Self::Path(RepoPath::new(name.strip_prefix(prefix)?)))
    }
}

/// Reads a name that fills the rest of a line, quoted or not.
fn whole_name(text: &[u8]) -> Option<Vec<u8>> {
    let name = if text.starts_with(b"\"") {
        quote::unquote(text).filter(|(_, rest)| rest.is_empty())?.0
    } else {
        Some(text.to_vec()).filter(|name| !quote::needs_quotes(name))?
    };
    (!name.is_empty()).then_some(name)
}

/// Reads the `diff --git` line of a file that has one name.
fn same_name(header: &[u8]) -> Option<RepoPath> {
    let name = if header.starts_with(b"\"") {
        quote::unquote(header)?.0
    } else {
        // `a/NAME b/NAME`: the length alone says where the second half begins.
        header.get(..header.len() / 2)?.to_vec()
    };
    Some(RepoPath::new(name.strip_prefix(b"a/")?))
}

/// Says whether a `diff --git` line is the one for these two names.
fn is_header(header: &[u8], old: &RepoPath, new: &RepoPath) -> bool {
    let after_old = strip_name(header, b"a/", old);
    let after_space = after_old.and_then(|rest| rest.strip_prefix(b" "));
    after_space
        .and_then(|rest| strip_name(rest, b"b/", new))
        .is_some_and(<[u8]>::is_empty)
}

fn strip_name<'t>(text: &'t [u8], prefix: &[u8], name: &RepoPath) -> Option<&'t [u8]> {
    if text.starts_with(b"\"") {
        let (found, rest) = quote::unquote(text)?;
        return (found.strip_prefix(prefix)? == name.as_bytes()).then_some(rest);
    }
    if quote::needs_quotes(name.as_bytes()) {
        return None;
    }
    text.strip_prefix(prefix)?.strip_prefix(name.as_bytes())
}
