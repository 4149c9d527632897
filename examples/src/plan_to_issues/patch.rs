//! Links as a patch, for a pipeline that takes no other change.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;

use pipeline_core::plan::DiskFiles;
use pipeline_core::plan::FilesError;
use pipeline_core::plan::PlanFiles;
use pipeline_core::plan::Replaced;

/// Lines around a change.
const CONTEXT: usize = 3;

/// Files that are read from the disk and written into a patch.
#[derive(Debug)]
pub(super) struct PatchFiles {
    disk: DiskFiles,
    changes: Mutex<BTreeMap<String, (String, String)>>,
}

impl PatchFiles {
    pub(super) fn new(disk: DiskFiles) -> Self {
        Self {
            disk,
            changes: Mutex::default(),
        }
    }

    /// Returns the patch of everything that was replaced.
    pub(super) fn patch(&self) -> String {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes
            .iter()
            .map(|(path, (before, after))| diff(path, before, after))
            .collect()
    }
}

impl PlanFiles for PatchFiles {
    fn read(&self, path: &str) -> Result<String, FilesError> {
        self.disk.read(path)
    }
    fn exists(&self, path: &str) -> bool {
        self.disk.exists(path)
    }
    fn writable(&self, _: &str) -> Result<(), FilesError> {
        Ok(())
    }
    fn replace(&self, path: &str, before: &str, after: &str) -> Result<Replaced, FilesError> {
        if self.disk.read(path)? != before {
            return Ok(Replaced::ChangedMeanwhile);
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.insert(path.to_owned(), (before.to_owned(), after.to_owned()));
        Ok(Replaced::Yes)
    }
}

/// Returns the unified diff of two texts with as many lines, which is what an edit of a plan leaves.
fn diff(path: &str, before: &str, after: &str) -> String {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let changed: Vec<usize> = (0..old.len())
        .filter(|at| old.get(*at) != new.get(*at))
        .collect();
    let mut out = format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n");
    let mut at = 0;
    while let Some(first) = changed.get(at) {
        let mut last = *first;
        while let Some(next) = changed
            .get(at + 1)
            .filter(|next| **next <= last + 2 * CONTEXT)
        {
            last = *next;
            at += 1;
        }
        at += 1;
        let from = first.saturating_sub(CONTEXT);
        let to = (last + CONTEXT + 1).min(old.len());
        let count = to - from;
        writeln!(out, "@@ -{},{count} +{},{count} @@", from + 1, from + 1)
            .expect("writing to a string cannot fail");
        let mut removed = String::new();
        let mut added = String::new();
        for line in from..to {
            let (o, n) = (
                old.get(line).copied().unwrap_or_default(),
                new.get(line).copied().unwrap_or_default(),
            );
            if o == n {
                out.push_str(&std::mem::take(&mut removed));
                out.push_str(&std::mem::take(&mut added));
                push(&mut out, ' ', o);
            } else {
                push(&mut removed, '-', o);
                push(&mut added, '+', n);
            }
        }
        out.push_str(&removed);
        out.push_str(&added);
    }
    out
}

fn push(out: &mut String, sign: char, line: &str) {
    out.push(sign);
    out.push_str(line);
    if !line.ends_with('\n') {
        out.push_str("\n\\ No newline at end of file\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_has_its_context_and_says_where_the_last_line_ends() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\r\nend";
        let after = before.replace("2\n3", "2\nthree").replacen("end", "END", 1);
        insta::assert_snapshot!(diff("a.md", before, &after), @"
        diff --git a/a.md b/a.md
        --- a/a.md
        +++ b/a.md
        @@ -1,6 +1,6 @@
         1
         2
        -3
        +three
         4
         5
         6
        @@ -10,4 +10,4 @@
         10
         11
         12
        -end
        \\ No newline at end of file
        +END
        \\ No newline at end of file
        ");
    }
}
