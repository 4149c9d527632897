//! Tests over whole patches. The files in `testdata` were written by git 2.47.

mod attacks;
mod properties;
mod reading;
mod trees;

use super::Accepted;
use super::NameSet;
use super::PatchLimits;
use super::PatchPolicy;
use super::PatchRefusal;
use super::parse;

const EVERYTHING: &[u8] = include_bytes!("../testdata/everything.patch");
const EVERYTHING_UNQUOTED: &[u8] = include_bytes!("../testdata/everything-unquoted.patch");
const EVERYTHING_RAW: &[u8] = include_bytes!("../testdata/everything.raw");
const EVERYTHING_RAW_NO_RENAMES: &[u8] = include_bytes!("../testdata/everything-norenames.raw");

/// The files of the base that `testdata` was made on.
const BASE: [&str; 15] = [
    "text.txt",
    "crlf.txt",
    "nonl.txt",
    "with space.txt",
    "x b",
    "größe.txt",
    "tab\there",
    "empty",
    "gone-empty",
    "gone.txt",
    "ren.txt",
    "pure.txt",
    "mode.sh",
    "blob.bin",
    "gone.bin",
];

fn base() -> NameSet {
    NameSet::from_paths(BASE)
}

/// Parses and checks a patch against a base of these files.
fn judge(patch: &[u8], existing: &[&str]) -> Result<Accepted, PatchRefusal> {
    let parsed = parse(patch, &PatchLimits::default())?;
    PatchPolicy::default().check(&parsed, &NameSet::from_paths(existing.iter().copied()))
}

/// A patch that adds one file of one line.
fn adding(name: &str, mode: &str) -> String {
    let tab = if name.contains(' ') { "\t" } else { "" };
    format!(
        "diff --git a/{name} b/{name}\nnew file mode {mode}\nindex {ZERO}..{ID}\n\
         --- /dev/null\n+++ b/{name}{tab}\n@@ -0,0 +1 @@\n+x\n"
    )
}

/// A patch that changes one line of one file.
fn changing(name: &str) -> String {
    format!(
        "diff --git a/{name} b/{name}\nindex {ID}..{OTHER} 100644\n\
         --- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-x\n+y\n"
    )
}

/// A patch that removes one file of one line.
fn deleting(name: &str) -> String {
    format!(
        "diff --git a/{name} b/{name}\ndeleted file mode 100644\nindex {ID}..{ZERO}\n\
         --- a/{name}\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    )
}

/// A patch that renames one file without changing it.
fn renaming(from: &str, to: &str) -> String {
    format!(
        "diff --git a/{from} b/{to}\nsimilarity index 100%\nrename from {from}\nrename to {to}\n"
    )
}

const ZERO: &str = "0000000000000000000000000000000000000000";
const ID: &str = "587be6b4c3f93f93c489c0111bba5596147a26cb";
const OTHER: &str = "b77b4eb1d946f923f61785536da9ca5af6909f06";
