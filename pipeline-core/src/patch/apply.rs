//! What a patch makes of a file that it fits exactly.

use super::binary::BinaryPayload;
use super::delta;
use super::hunk::Hunk;
use super::hunk::LineKind;
use super::parse::Content;
use super::parse::FilePatch;

impl FilePatch<'_> {
    /// Returns the file's content afterwards, if `old` is exactly what the patch was made on.
    ///
    /// Nothing is searched for: each hunk stands where it says, and the result is returned only if its
    /// blob has the name that the patch announces. `old` is empty for an added file, and what is returned
    /// is empty for a deleted one.
    ///
    /// # Examples
    /// ```
    /// use pipeline_core::patch::{self, PatchLimits};
    ///
    /// let bytes = b"diff --git a/n b/n\n\
    ///     index 78981922613b2afb6025042ff6bd878ac1994e85..422c2b7ab3b3c668038da977e4e93a5fc623169c 100644\n\
    ///     --- a/n\n\
    ///     +++ b/n\n\
    ///     @@ -1 +1,2 @@\n\
    ///     \x20a\n\
    ///     +b\n";
    /// let parsed = patch::parse(bytes, &PatchLimits::default())?;
    /// assert_eq!(parsed.files()[0].applied_to(b"a\n").as_deref(), Some(&b"a\nb\n"[..]));
    /// assert_eq!(parsed.files()[0].applied_to(b"A\n"), None);
    /// # Ok::<(), patch::PatchRefusal>(())
    /// ```
    #[must_use]
    pub fn applied_to(&self, old: &[u8]) -> Option<Vec<u8>> {
        if self.old_id.as_ref().is_some_and(|id| !id.names(old)) {
            return None;
        }
        let versions = match &self.content {
            Content::Unchanged => [Some(old.to_vec()), None],
            Content::Text(hunks) => {
                let whole = text(old, hunks)?;
                // Whether the last line ends is told by the name of the result.
                let unended = whole.strip_suffix(b"\n").map(<[u8]>::to_vec);
                [Some(whole), unended]
            }
            Content::Binary(change) => match &change.forward.payload {
                BinaryPayload::Literal(content) => [Some(content.clone()), None],
                BinaryPayload::Delta { instructions, .. } => {
                    [delta::applied(old, instructions), None]
                }
            },
        };
        let announced = |content: &Vec<u8>| match (&self.new_id, &self.content) {
            (Some(id), _) => id.names(content),
            (None, Content::Unchanged) => true,
            // A deleted file has nothing afterwards.
            (None, _) => content.is_empty(),
        };
        versions.into_iter().flatten().find(announced)
    }
}

/// Applies hunks where they say they belong; `None` when a line of the old side is another one.
fn text(old: &[u8], hunks: &[Hunk<'_>]) -> Option<Vec<u8>> {
    let mut lines = old.split_inclusive(|byte| *byte == b'\n');
    let mut new = Vec::with_capacity(old.len());
    let mut next_line = 1_u32;
    for hunk in hunks {
        // An empty old side names the line before it.
        let start = hunk
            .old
            .start
            .saturating_add(u32::from(hunk.old.count == 0));
        while next_line < start {
            new.extend_from_slice(lines.next()?);
            next_line += 1;
        }
        for line in hunk.lines() {
            if line.kind == LineKind::Added {
                new.extend_from_slice(line.text);
                new.push(b'\n');
                continue;
            }
            let found = lines.next()?;
            next_line += 1;
            if found.strip_suffix(b"\n").unwrap_or(found) != line.text {
                return None;
            }
            if line.kind == LineKind::Context {
                new.extend_from_slice(found);
            }
        }
    }
    lines.for_each(|line| new.extend_from_slice(line));
    Some(new)
}

#[cfg(test)]
mod tests {
    use crate::patch::PatchLimits;
    use crate::patch::parse;

    fn applied(patch: &str, old: &[u8]) -> Option<Vec<u8>> {
        let parsed = parse(patch.as_bytes(), &PatchLimits::default()).expect("a patch");
        parsed.files().first().expect("one file").applied_to(old)
    }

    #[test]
    fn the_end_of_the_last_line_follows_the_announced_name() {
        // As `git diff` shows "x" becoming "x\n", and the way back.
        let (unended, ended) = (
            "c1b0730e0133447badcfd47fd144e254807b06e1",
            "587be6b4c3f93f93c489c0111bba5596147a26cb",
        );
        let patch = |from: &str, to: &str, old: &str, new: &str| {
            format!(
                "diff --git a/n b/n\nindex {from}..{to} 100644\n--- a/n\n+++ b/n\n@@ -1 +1 @@\n{old}{new}"
            )
        };
        let mark = "\\ No newline at end of file\n";
        let ending = patch(unended, ended, &format!("-x\n{mark}"), "+x\n");
        assert_eq!(applied(&ending, b"x").as_deref(), Some(&b"x\n"[..]));
        let unending = patch(ended, unended, "-x\n", &format!("+x\n{mark}"));
        assert_eq!(applied(&unending, b"x\n").as_deref(), Some(&b"x"[..]));
    }

    #[test]
    fn a_patch_that_announces_another_result_is_not_believed() {
        let patch = "diff --git a/n b/n\n\
            index 78981922613b2afb6025042ff6bd878ac1994e85..587be6b4c3f93f93c489c0111bba5596147a26cb 100644\n\
            --- a/n\n+++ b/n\n@@ -1 +1 @@\n-a\n+b\n";
        assert_eq!(applied(patch, b"a\n"), None);
    }

    #[test]
    fn a_deleted_file_leaves_nothing() {
        let patch = "diff --git a/n b/n\ndeleted file mode 100644\n\
            index 78981922613b2afb6025042ff6bd878ac1994e85..0000000000000000000000000000000000000000\n\
            --- a/n\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n";
        assert_eq!(applied(patch, b"a\n").as_deref(), Some(&b""[..]));
        assert_eq!(applied(patch, b"other\n"), None);
    }
}
