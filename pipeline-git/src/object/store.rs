//! One view of the objects there are: those of the repository and those under construction.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use pipeline_core::random::nonce;

use crate::error::GitError;
use crate::git::Conversation;
use crate::git::GitCommand;
use crate::held::HeldDir;
use crate::object::Commit;
use crate::object::Entry;
use crate::object::Tree;
use crate::object::loose;
use crate::object::pack;
use crate::object::pack::Guard;
use crate::object::pack::Pack;
use crate::oid::Kind;
use crate::oid::ObjectFormat;
use crate::oid::Oid;
use crate::repository::Repository;

/// How long a git that stays may take for one answer.
const ANSWER: Duration = Duration::from_secs(120);
/// The largest object that is read into memory.
const READ_CAP: u64 = 512 << 20;
/// Up to how many objects, staged since the last keeping, are files of their own also where packs are made.
const FEW: usize = 4;
/// How many parsed trees are remembered before the memory is emptied.
const TREES: usize = 8192;

/// Objects that are not yet files.
type Pending = HashMap<Oid, (Kind, Arc<[u8]>)>;

/// Reads objects through one long-lived `cat-file`, and stages new ones in a quarantine.
///
/// What is staged can be read at once, here and by the git processes of this view; it becomes part
/// of the repository only through [`Objects::keep`]. Dropping the view removes the quarantine.
#[derive(Debug)]
pub(crate) struct Objects {
    repository: Repository,
    quarantine: HeldDir,
    /// Where objects are read from, beside the quarantine.
    sources: Vec<PathBuf>,
    reader: Mutex<Option<Conversation>>,
    differ: Mutex<Option<Conversation>>,
    raw_differ: Mutex<Option<Conversation>>,
    /// Made in this process, not yet a file.
    pending: Mutex<Pending>,
    /// More than a few objects become a pack.
    packing: bool,
    /// Staged in packs and not kept.
    packs: Mutex<Vec<Arc<Pack>>>,
    /// How many were staged as files of their own and not kept.
    apart: Mutex<usize>,
    /// Of packs that are kept and that no ref names yet.
    guards: Mutex<Vec<Guard>>,
    trees: Mutex<HashMap<Oid, Arc<Tree>>>,
}

impl Objects {
    /// Opens a view with an empty quarantine.
    pub(crate) fn open(repository: &Repository) -> Result<Self, GitError> {
        Self::open_with(repository, None)
    }

    /// Opens a view for who makes many objects that a ref is about to name: they are kept in packs.
    ///
    /// Nobody else does: a pack for every memo and every patch would soon be too many of them for git's taste.
    pub(crate) fn open_packing(repository: &Repository) -> Result<Self, GitError> {
        let objects = repository.objects_dir();
        pack::sweep_guards(&objects).map_err(GitError::file("look through", &objects))?;
        Ok(Self {
            packing: true,
            ..Self::open(repository)?
        })
    }

    /// Opens a view that also reads from another object directory.
    pub(crate) fn open_with(
        repository: &Repository,
        store: Option<PathBuf>,
    ) -> Result<Self, GitError> {
        let parent = repository.quarantine();
        let quarantine =
            HeldDir::create(&parent).map_err(GitError::file("create a folder in", &parent))?;
        Ok(Self {
            repository: repository.clone(),
            quarantine,
            sources: std::iter::once(repository.objects_dir())
                .chain(store)
                .collect(),
            reader: Mutex::default(),
            differ: Mutex::default(),
            raw_differ: Mutex::default(),
            pending: Mutex::default(),
            packing: false,
            packs: Mutex::default(),
            apart: Mutex::default(),
            guards: Mutex::default(),
            trees: Mutex::default(),
        })
    }

    pub(crate) fn format(&self) -> ObjectFormat {
        self.repository.format()
    }

    /// Reads an object; `None` when there is none of that name.
    pub(crate) async fn find(&self, oid: &Oid) -> Result<Option<(Kind, Arc<[u8]>)>, GitError> {
        if let Some((kind, content)) = lock(&self.pending).get(oid) {
            return Ok(Some((*kind, Arc::clone(content))));
        }
        let mut reader = match take(&self.reader) {
            Some(reader) => reader,
            None => self
                .plumbing()
                .args(["cat-file", "--batch"])
                .deadline(ANSWER)
                .converse()?,
        };
        reader.send(format!("{oid}\n").as_bytes()).await?;
        let header = reader.line().await?;
        let unexpected = |what| GitError::Unexpected {
            command: "cat-file --batch".to_owned(),
            what,
        };
        let mut words = header.split(|b| *b == b' ');
        let (_, kind, size) = (words.next(), words.next(), words.next());
        if kind == Some(b"missing") {
            put_back(&self.reader, reader);
            return Ok(None);
        }
        let kind = kind
            .and_then(Kind::from_word)
            .ok_or_else(|| unexpected("no kind in it"))?;
        let size: u64 = size
            .and_then(|size| std::str::from_utf8(size).ok()?.parse().ok())
            .ok_or_else(|| unexpected("no size in it"))?;
        if size > READ_CAP {
            reader.skip(size + 1).await?;
            put_back(&self.reader, reader);
            return Err(GitError::TooLarge {
                oid: oid.hex(),
                size,
                limit: READ_CAP,
            });
        }
        let len = usize::try_from(size).map_err(|_| unexpected("a size beyond memory"))?;
        let mut content = reader.exactly(len + 1).await?;
        content.truncate(len);
        put_back(&self.reader, reader);
        Ok(Some((kind, content.into())))
    }

    /// Reads an object that must be there and be of this kind.
    async fn read(&self, oid: &Oid, kind: Kind) -> Result<Arc<[u8]>, GitError> {
        match self.find(oid).await? {
            Some((found, content)) if found == kind => Ok(content),
            _ => Err(GitError::NoObject {
                oid: format!("{oid} ({})", kind.word()),
                partial: self.repository.is_partial(),
            }),
        }
    }

    /// Reads a blob.
    pub(crate) async fn blob(&self, oid: &Oid) -> Result<Arc<[u8]>, GitError> {
        self.read(oid, Kind::Blob).await
    }

    /// Reads a commit.
    pub(crate) async fn commit(&self, oid: &Oid) -> Result<Commit, GitError> {
        let content = self.read(oid, Kind::Commit).await?;
        Commit::parse(&content).map_err(|source| GitError::BadObject {
            oid: oid.hex(),
            source: source.into(),
        })
    }

    /// Reads a tree; what was read before is remembered.
    pub(crate) async fn tree(&self, oid: &Oid) -> Result<Arc<Tree>, GitError> {
        if let Some(tree) = lock(&self.trees).get(oid) {
            return Ok(Arc::clone(tree));
        }
        let content = self.read(oid, Kind::Tree).await?;
        let tree = Tree::parse(self.format(), &content).map_err(|source| GitError::BadObject {
            oid: oid.hex(),
            source: source.into(),
        })?;
        let tree = Arc::new(tree);
        let mut trees = lock(&self.trees);
        if trees.len() >= TREES {
            trees.clear();
        }
        trees.insert(*oid, Arc::clone(&tree));
        Ok(tree)
    }

    /// Finds what a path names inside a tree; reads only the trees on the way.
    pub(crate) async fn entry(&self, root: &Oid, path: &[u8]) -> Result<Option<Entry>, GitError> {
        let mut tree = self.tree(root).await?;
        let mut parts = path.split(|b| *b == b'/').peekable();
        while let Some(part) = parts.next() {
            let Some(entry) = tree.get(part) else {
                return Ok(None);
            };
            if parts.peek().is_none() {
                return Ok(Some(entry.clone()));
            }
            if !entry.mode.is_tree() {
                return Ok(None);
            }
            let next = entry.oid;
            tree = self.tree(&next).await?;
        }
        Ok(None)
    }

    /// Names a file that goes with the quarantine.
    pub(crate) fn scratch(&self, kind: &str) -> PathBuf {
        self.quarantine.path().join(format!("{kind}-{}", nonce()))
    }

    /// Makes a new object; it is held in memory until [`Objects::stage`].
    pub(crate) fn write(&self, kind: Kind, content: Vec<u8>) -> Result<Oid, GitError> {
        let oid = self
            .format()
            .name_of(kind, &content)
            .map_err(|source| GitError::BadObject {
                oid: "of the patch".to_owned(),
                source: source.into(),
            })?;
        lock(&self.pending)
            .entry(oid)
            .or_insert_with(|| (kind, content.into()));
        Ok(oid)
    }

    /// Makes a new tree, remembered as if it had been read.
    pub(crate) fn write_tree(&self, tree: Tree) -> Result<Oid, GitError> {
        let oid = self.write(Kind::Tree, tree.encode())?;
        lock(&self.trees).insert(oid, Arc::new(tree));
        Ok(oid)
    }

    /// Writes what was made to the quarantine, so that git itself can read it.
    pub(crate) async fn stage(&self) -> Result<(), GitError> {
        let staged = *lock(&self.apart) + lock(&self.pending).len();
        let packed = self.packing && (staged > FEW || !lock(&self.packs).is_empty());
        self.stage_as(packed).await
    }

    /// Writes what was made to the quarantine as files of its own, which nobody takes away before a ref names them.
    pub(crate) async fn stage_apart(&self) -> Result<(), GitError> {
        self.stage_as(false).await
    }

    async fn stage_as(&self, packed: bool) -> Result<(), GitError> {
        let new: Vec<_> = lock(&self.pending)
            .iter()
            .map(|(oid, (kind, content))| (*oid, *kind, Arc::clone(content)))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let oids: Vec<_> = new.iter().map(|(oid, ..)| *oid).collect();
        let quarantine = self.quarantine.path().to_path_buf();
        let format = self.format();
        let pack = blocking("write objects in", self.quarantine.path(), move || {
            if packed {
                return pack::stage(&quarantine, format, &new).map(Some);
            }
            new.iter()
                .try_for_each(|(oid, kind, content)| loose::stage(&quarantine, oid, *kind, content))
                .map(|()| None)
        })
        .await?;
        match pack {
            Some(pack) => lock(&self.packs).push(Arc::new(pack)),
            None => *lock(&self.apart) += oids.len(),
        }
        let mut pending = lock(&self.pending);
        for oid in oids {
            pending.remove(&oid);
        }
        Ok(())
    }

    /// Moves everything made so far into the repository, synced: a ref may name it afterwards.
    ///
    /// That includes what commands of [`Objects::plumbing`] wrote.
    pub(crate) async fn keep(&self) -> Result<(), GitError> {
        self.stage().await?;
        let (quarantine, objects) = (
            self.quarantine.path().to_path_buf(),
            self.repository.objects_dir(),
        );
        let format = self.format();
        let packs = lock(&self.packs).clone();
        let kept = packs.clone();
        let guard = blocking(
            "keep objects in",
            &self.repository.objects_dir(),
            move || {
                loose::keep(&quarantine, &objects)?;
                if packs.is_empty() {
                    return Ok(None);
                }
                pack::keep(&packs, &quarantine, &objects, format).map(Some)
            },
        )
        .await?;
        lock(&self.guards).extend(guard);
        *lock(&self.apart) = 0;
        let is_kept = |pack: &Arc<Pack>| kept.iter().any(|one| Arc::ptr_eq(one, pack));
        lock(&self.packs).retain(|pack| !is_kept(pack));
        Ok(())
    }

    /// Takes note that a ref names what was kept.
    pub(crate) fn named(&self) {
        lock(&self.guards).clear();
    }

    /// Returns the difference of two trees as a patch, as git itself derives it.
    ///
    /// One `diff-tree` stays for all requests; what it prints is delimited by a line that it echoes.
    pub(crate) async fn diff(&self, old: &Oid, new: &Oid, cap: usize) -> Result<Vec<u8>, GitError> {
        self.stage().await?;
        let mut differ = match take(&self.differ) {
            Some(differ) => differ,
            None => self
                .plumbing()
                .args([
                    "diff-tree",
                    "--stdin",
                    "-r",
                    "-p",
                    "--binary",
                    "--full-index",
                ])
                .args(["-M", "--no-ext-diff", "--no-textconv", "--no-color"])
                .args(["--src-prefix=a/", "--dst-prefix=b/"])
                .deadline(ANSWER)
                .converse()?,
        };
        let end = format!("end {}", nonce());
        differ
            .send(format!("{old} {new}\n{end}\n").as_bytes())
            .await?;
        let echo = differ.line().await?;
        if echo != format!("{old} {new}").as_bytes() {
            return Err(GitError::Unexpected {
                command: "diff-tree --stdin".to_owned(),
                what: "it does not begin with the trees asked for",
            });
        }
        let mut diff = Vec::new();
        let mut flooded = false;
        loop {
            let line = differ.line().await?;
            if line == end.as_bytes() {
                break;
            }
            flooded |= diff.len() + line.len() >= cap;
            if !flooded {
                diff.extend_from_slice(&line);
                diff.push(b'\n');
            }
        }
        put_back(&self.differ, differ);
        if flooded {
            return Err(GitError::Flooded {
                command: "diff-tree".to_owned(),
                limit: cap,
            });
        }
        Ok(diff)
    }

    /// Returns the raw difference of two trees, `diff-tree -r -z --raw --no-abbrev --no-renames`.
    pub(crate) async fn raw_diff(&self, old: &Oid, new: &Oid) -> Result<Vec<u8>, GitError> {
        self.stage().await?;
        let mut differ = match take(&self.raw_differ) {
            Some(differ) => differ,
            None => self
                .plumbing()
                .args([
                    "diff-tree",
                    "--stdin",
                    "-r",
                    "-z",
                    "--raw",
                    "--no-abbrev",
                    "--no-renames",
                ])
                .deadline(ANSWER)
                .converse()?,
        };
        let end = format!("end {}", nonce());
        differ
            .send(format!("{old} {new}\n{end}\n").as_bytes())
            .await?;
        let unexpected = |what| GitError::Unexpected {
            command: "diff-tree --stdin".to_owned(),
            what,
        };
        if differ.line().await? != format!("{old} {new}").as_bytes() {
            return Err(unexpected("it does not begin with the trees asked for"));
        }
        let mut raw = Vec::new();
        // Each record begins with a colon; the line that ends the answer does not.
        loop {
            let first = differ.exactly(1).await?;
            if first != b":" {
                let rest = differ.line().await?;
                if [first, rest].concat() != end.as_bytes() {
                    return Err(unexpected("a record that does not begin with a colon"));
                }
                break;
            }
            raw.push(b':');
            for _header_and_path in 0..2 {
                raw.extend(differ.field().await?);
                raw.push(0);
            }
        }
        put_back(&self.raw_differ, differ);
        Ok(raw)
    }

    /// Returns every path that differs between two trees, both sides of a rename, in git's order.
    pub(crate) async fn changed_paths(
        &self,
        old: &Oid,
        new: &Oid,
    ) -> Result<Vec<Vec<u8>>, GitError> {
        self.stage().await?;
        let listed = self
            .plumbing()
            .args(["diff-tree", "-r", "-z", "--no-renames", "--name-only"])
            .args([old.hex(), new.hex()])
            .run()
            .await?;
        Ok(listed
            .split(|b| *b == 0)
            .filter(|path| !path.is_empty())
            .map(<[u8]>::to_vec)
            .collect())
    }

    /// Starts a command that sees the repository's objects and the staged ones, and no
    /// configuration but its own; objects it writes are part of the quarantine.
    pub(crate) fn plumbing(&self) -> GitCommand {
        self.seeing(self.repository.plumbing())
    }

    /// Like [`Objects::plumbing`], with attributes read from this tree and from nowhere else.
    pub(crate) fn plumbing_at(&self, base: &Oid) -> GitCommand {
        self.seeing(self.repository.plumbing_at(base))
    }

    fn seeing(&self, command: GitCommand) -> GitCommand {
        command
            .env("GIT_OBJECT_DIRECTORY", self.quarantine.path())
            .env(
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                listed(self.sources.iter().map(PathBuf::as_path)),
            )
    }
}

/// Writes paths the way git reads them in a list of alternates.
pub(crate) fn listed<'a>(paths: impl IntoIterator<Item = &'a Path>) -> OsString {
    let mut list = Vec::new();
    for path in paths {
        if !list.is_empty() {
            list.push(b':');
        }
        let bytes = path.as_os_str().as_bytes();
        if !bytes.iter().any(|b| matches!(b, b':' | b'"' | b'\n')) {
            list.extend_from_slice(bytes);
            continue;
        }
        list.push(b'"');
        for byte in bytes {
            match byte {
                b'"' | b'\\' => list.extend([b'\\', *byte]),
                b'\n' => list.extend(b"\\n"),
                _ => list.push(*byte),
            }
        }
        list.push(b'"');
    }
    OsString::from_vec(list)
}

/// A poisoned lock only means that another thread panicked between two whole updates.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a conversation out while it is used: if the future that uses it is dropped half way,
/// the conversation goes with it and the next request starts a fresh one.
fn take(slot: &Mutex<Option<Conversation>>) -> Option<Conversation> {
    lock(slot).take()
}

fn put_back(slot: &Mutex<Option<Conversation>>, conversation: Conversation) {
    *lock(slot) = Some(conversation);
}

/// Runs file work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    action: &'static str,
    path: &Path,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, GitError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(std::io::Error::other)
        .and_then(|done| done)
        .map_err(GitError::file(action, path))
}
