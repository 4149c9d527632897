//! Trees that differ from others in a few paths: only the directories on the way are read.

use std::collections::BTreeMap;
use std::pin::Pin;

use crate::error::GitError;
use crate::object::Entry;
use crate::object::Mode;
use crate::object::Objects;
use crate::object::Tree;
use crate::oid::Oid;

/// What happens to one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The path holds this afterwards.
    Put { mode: Mode, oid: Oid },
    /// The path is gone afterwards.
    Delete,
}

/// Why a set of changes does not fit a tree.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpliceError {
    /// A path cannot be because of another one.
    #[error("{path}: {why}")]
    Clash {
        /// The path, lossy.
        path: String,
        /// Why it cannot be.
        why: &'static str,
    },
    /// The objects cannot be read or written.
    #[error("the tree cannot be written")]
    Git(#[from] GitError),
}

/// Returns the tree that has the changes; the same object plain git would write.
pub(crate) async fn splice(
    objects: &Objects,
    root: &Oid,
    changes: &BTreeMap<Vec<u8>, Change>,
) -> Result<Oid, SpliceError> {
    let changes: Vec<_> = changes
        .iter()
        .map(|(path, change)| (path.as_slice(), change))
        .collect();
    match descend(objects, Some(*root), &[], changes).await? {
        Some(tree) => Ok(tree),
        None => Ok(objects.write_tree(Tree::default())?),
    }
}

/// The changes of one directory entry.
#[derive(Default)]
struct Here<'a> {
    direct: Option<&'a Change>,
    below: Vec<(&'a [u8], &'a Change)>,
}

type Descent<'a> = Pin<Box<dyn Future<Output = Result<Option<Oid>, SpliceError>> + Send + 'a>>;

/// Applies changes to one directory; `None` when nothing is left in it.
fn descend<'a>(
    objects: &'a Objects,
    directory: Option<Oid>,
    prefix: &'a [u8],
    changes: Vec<(&'a [u8], &'a Change)>,
) -> Descent<'a> {
    Box::pin(async move {
        let mut tree = match directory {
            Some(oid) => Tree::clone(&*objects.tree(&oid).await?),
            None => Tree::default(),
        };
        let mut grouped: BTreeMap<&[u8], Here<'_>> = BTreeMap::new();
        for (path, change) in changes {
            match path.iter().position(|b| *b == b'/') {
                None => grouped.entry(path).or_default().direct = Some(change),
                Some(slash) => {
                    let (name, rest) = path.split_at(slash);
                    let rest = rest.get(1..).unwrap_or_default();
                    grouped.entry(name).or_default().below.push((rest, change));
                }
            }
        }
        for (name, here) in grouped {
            let path = joined(prefix, name);
            let clash = |why| SpliceError::Clash {
                path: String::from_utf8_lossy(&path).into_owned(),
                why,
            };
            let found = tree.get(name).cloned();
            let mut subtree = found.as_ref().filter(|e| e.mode.is_tree()).map(|e| e.oid);
            let file = found.filter(|e| !e.mode.is_tree());
            if !here.below.is_empty() {
                if file.is_some() && here.direct != Some(&Change::Delete) {
                    return Err(clash("it is a file, so nothing can lie below it"));
                }
                subtree = descend(objects, subtree, &path, here.below).await?;
            }
            match here.direct {
                Some(Change::Put { .. }) if subtree.is_some() => {
                    return Err(clash("it is a directory that is not empty"));
                }
                Some(Change::Put { mode, oid }) => {
                    tree.set(Entry {
                        mode: *mode,
                        name: name.to_vec(),
                        oid: *oid,
                    });
                    continue;
                }
                Some(Change::Delete) if file.is_none() => {
                    return Err(clash("there is no such file to delete"));
                }
                Some(Change::Delete) | None => {}
            }
            match subtree {
                Some(oid) => tree.set(Entry {
                    mode: Mode::TREE,
                    name: name.to_vec(),
                    oid,
                }),
                None => {
                    tree.remove(name);
                }
            }
        }
        if tree.is_empty() {
            Ok(None)
        } else {
            Ok(Some(objects.write_tree(tree)?))
        }
    })
}

fn joined(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
}
