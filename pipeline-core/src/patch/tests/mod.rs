//! Tests over whole patches. The files in `testdata` were written by git 2.47.

mod attacks;
mod properties;
mod reading;
mod trees;

use sha2::Digest as _;

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

/// One part of a binary change, as git encodes it.
fn encoded(kind: &str, content: &[u8]) -> String {
    const DIGITS: &[u8] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    let packed = miniz_oxide::deflate::compress_to_vec_zlib(content, 9);
    let mut text = format!("{kind} {}\n", content.len());
    for line in packed.chunks(52) {
        let length = u8::try_from(line.len()).unwrap();
        text.push(char::from(if length <= 26 {
            b'A' + length - 1
        } else {
            b'a' + length - 27
        }));
        for group in line.chunks(4) {
            let mut bytes = [0; 4];
            bytes[..group.len()].copy_from_slice(group);
            let mut value = u32::from_be_bytes(bytes);
            let mut digits = [0; 5];
            for digit in digits.iter_mut().rev() {
                *digit = DIGITS[(value % 85) as usize];
                value /= 85;
            }
            text.push_str(std::str::from_utf8(&digits).unwrap());
        }
        text.push('\n');
    }
    text
}

/// A patch that adds one binary file.
pub(crate) fn adding_binary(name: &str, content: &[u8]) -> String {
    let digest = sha1::Sha1::new()
        .chain_update(format!("blob {}\0", content.len()))
        .chain_update(content)
        .finalize();
    format!(
        "diff --git a/{name} b/{name}\nnew file mode 100644\nindex {ZERO}..{}\nGIT binary patch\n{}\n{}\n",
        hex::encode(digest),
        encoded("literal", content),
        encoded("literal", b"")
    )
}
