//! Paths that a `filter` attribute sends through a program.
//!
//! What such a program makes of a file is not what the repository stores, so a patch that touches
//! one is held unless its driver is named in the configuration.

use std::collections::BTreeSet;

use pipeline_core::patch::RepoPath;
use pipeline_core::protected::Evidence;
use pipeline_core::protected::Hold;
use pipeline_core::protected::HoldReason;

use crate::error::GitError;
use crate::integrator::options::IntegratorOptions;
use crate::object::Objects;
use crate::oid::Oid;
use crate::repository::Repository;

/// The class of the hold.
const CLASS: &str = "filter";

/// Returns a hold for each path that an unnamed driver would touch, before or after the patch.
pub(crate) async fn holds(
    repository: &Repository,
    objects: &Objects,
    options: &IntegratorOptions,
    trees: [&Oid; 2],
    paths: &[&RepoPath],
) -> Result<Vec<Hold>, GitError> {
    let mut found = BTreeSet::new();
    for tree in trees {
        if mentions_filter(repository, objects, tree, paths).await? {
            found.extend(filtered(repository, objects, tree, paths).await?);
        }
    }
    Ok(found
        .into_iter()
        .filter(|(_, driver)| !options.filters.contains(driver))
        .map(|(path, driver)| {
            Hold::new(
                HoldReason::Class(CLASS.parse().expect("the name of a class")),
                format!("filter {driver}"),
                Evidence::Path {
                    path: RepoPath::new(path.as_str()),
                },
            )
        })
        .collect())
}

/// Tells whether any attribute file that governs the paths speaks of filters at all.
///
/// Nearly none does, and then no git has to be started to find that out.
async fn mentions_filter(
    repository: &Repository,
    objects: &Objects,
    tree: &Oid,
    paths: &[&RepoPath],
) -> Result<bool, GitError> {
    let speaks = |content: &[u8]| content.windows(6).any(|word| word == b"filter");
    let info = repository.common_dir().join("info").join("attributes");
    // A small file, if there is one at all: handing it to another thread would cost more than reading it.
    if std::fs::read(info).is_ok_and(|content| speaks(&content)) {
        return Ok(true);
    }
    let folders: BTreeSet<&[u8]> = paths.iter().flat_map(|path| path.directories()).collect();
    for folder in folders {
        let file = match folder {
            b"" => b".gitattributes".to_vec(),
            folder => [folder, b"/.gitattributes"].concat(),
        };
        if let Some(entry) = objects.entry(tree, &file).await?
            && entry.mode.is_file()
            && speaks(&objects.blob(&entry.oid).await?)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Asks git which of the paths have a filter; path and driver.
async fn filtered(
    repository: &Repository,
    objects: &Objects,
    tree: &Oid,
    paths: &[&RepoPath],
) -> Result<Vec<(String, String)>, GitError> {
    if !repository.git().knows_attr_source() {
        // This git reads attributes from files only, so each path may be meant.
        let all = paths
            .iter()
            .map(|path| (path.to_string(), "unknown".to_owned()));
        return Ok(all.collect());
    }
    let mut input = Vec::new();
    for path in paths {
        input.extend_from_slice(path.as_bytes());
        input.push(0);
    }
    objects.stage().await?;
    let mut attributes = std::ffi::OsString::from("core.attributesFile=");
    attributes.push(repository.common_dir().join("info").join("attributes"));
    let answer = objects
        .plumbing_at(tree)
        .config(attributes)
        .args(["check-attr", "-z", "--stdin", "filter"])
        .stdin(input)
        .run()
        .await?;
    let fields: Vec<&[u8]> = answer.split(|b| *b == 0).collect();
    Ok(fields
        .chunks_exact(3)
        .filter_map(|record| match record {
            [_, _, b"unspecified" | b"unset" | b""] => None,
            [path, _, driver] => {
                let driver = String::from_utf8_lossy(driver).into_owned();
                Some((RepoPath::new(path.to_vec()).to_string(), driver))
            }
            _ => None,
        })
        .collect())
}
