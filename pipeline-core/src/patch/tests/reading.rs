//! What git writes is read, and nothing else.

use std::fmt::Write as _;

use super::super::BinaryPayload;
use super::super::Content;
use super::super::FileMode;
use super::super::Hunk;
use super::super::LineKind;
use super::super::ParsedPatch;
use super::super::PatchId;
use super::super::PatchLimits;
use super::super::PatchPolicy;
use super::super::parse;
use super::EVERYTHING;
use super::EVERYTHING_UNQUOTED;
use super::ID;
use super::OTHER;
use super::ZERO;
use super::adding;
use super::base;
use super::changing;

/// One line per file and hunk, as a person would list them.
fn summary(patch: &ParsedPatch<'_>) -> String {
    let mode = |mode: Option<FileMode>| {
        mode.map_or_else(|| "-".to_owned(), |mode| format!("{:o}", mode.number()))
    };
    let mut text = String::new();
    for file in patch.files() {
        let previous = file
            .old_path
            .as_ref()
            .filter(|old| Some(*old) != file.new_path.as_ref());
        let from = previous.map_or_else(String::new, |old| format!(" from `{old}`"));
        let (old, new) = (mode(file.old_mode), mode(file.new_mode));
        writeln!(text, "{} `{}`{from} {old} {new}", file.kind, file.path()).unwrap();
        match &file.content {
            Content::Unchanged => {}
            Content::Binary(change) => {
                let name = match change.forward.payload {
                    BinaryPayload::Literal(_) => "literal",
                    BinaryPayload::Delta { .. } => "delta",
                };
                let (new, old) = (change.forward.result_size, change.reverse.result_size);
                writeln!(text, "  {name} {old} -> {new}").unwrap();
            }
            Content::Text(hunks) => {
                for hunk in hunks {
                    let (added, removed) = (hunk.added().count(), hunk.removed().count());
                    let (old, new) = (hunk.old, hunk.new);
                    let ranges = format!("{},{} {},{}", old.start, old.count, new.start, new.count);
                    writeln!(text, "  {ranges} +{added} -{removed}").unwrap();
                }
            }
        }
    }
    text
}

#[test]
fn everything_git_writes_is_read() {
    let patch = parse(EVERYTHING, &PatchLimits::default()).unwrap();
    insta::assert_snapshot!(summary(&patch), @r#"
modified `blob.bin` 100644 100644
  delta 3000 -> 3000
modified `crlf.txt` 100644 100644
  1,3 1,3 +1 -1
added `dir with space/ünï/"q".txt` - 100644
  0,0 1,1 +1 -0
modified `empty` 100644 100755
deleted `gone.bin` from `gone.bin` 100644 -
  1,2 0,0 +0 -2
deleted `gone.txt` from `gone.txt` 100644 -
  1,1 0,0 +0 -1
modified `größe.txt` 100644 100644
  1,1 1,2 +1 -0
modified `mode.sh` 100644 100755
added `new nonl` - 100644
  0,0 1,1 +1 -0
renamed `new-empty` from `gone-empty` - -
added `new.bin` - 100644
  literal 0 -> 300
added `new.txt` - 100644
  0,0 1,2 +2 -0
modified `nonl.txt` 100644 100644
  1,1 1,1 +1 -1
renamed `pure moved.txt` from `pure.txt` - -
renamed `renamed.txt` from `ren.txt` 100644 100644
  22,7 22,7 +1 -1
modified `tab\u{9}here` 100644 100644
  1,1 1,2 +1 -0
modified `text.txt` 100644 100644
  1,8 1,8 +2 -2
modified `with space.txt` 100644 100644
  1,1 1,2 +1 -0
modified `x b` 100644 100644
  1,1 1,2 +1 -0
"#);
    assert_eq!(patch.id(), PatchId::of(EVERYTHING));
    PatchPolicy::default().check(&patch, &base()).unwrap();
}

#[test]
fn quoted_and_unquoted_names_are_the_same_names() {
    let quoted = parse(EVERYTHING, &PatchLimits::default()).unwrap();
    let unquoted = parse(EVERYTHING_UNQUOTED, &PatchLimits::default()).unwrap();
    assert_eq!(quoted.files(), unquoted.files());
    assert_ne!(quoted.id(), unquoted.id());
}

#[test]
fn lines_carry_their_numbers_and_their_carriage_returns() {
    let patch = parse(EVERYTHING, &PatchLimits::default()).unwrap();
    let hunks = |name: &str| -> Vec<Hunk<'_>> {
        let file = patch
            .files()
            .iter()
            .find(|file| file.path().as_str() == Some(name))
            .unwrap();
        let Content::Text(hunks) = &file.content else {
            panic!("{name} is text")
        };
        hunks.clone()
    };
    let crlf = hunks("crlf.txt");
    let added: Vec<_> = crlf[0].added().collect();
    assert_eq!((added[0].text, added[0].new_line), (b"B\r".as_slice(), 2));

    let renamed = hunks("renamed.txt");
    let removed: Vec<_> = renamed[0].removed().collect();
    let line = removed[0];
    assert_eq!(
        (line.text, line.old_line, line.new_line),
        (b"25".as_slice(), 25, 25)
    );
    let last = renamed[0].lines().last().unwrap();
    assert_eq!(
        (last.kind, last.old_line, last.new_line),
        (LineKind::Context, 28, 28)
    );
}

#[test]
fn an_empty_patch_has_no_files() {
    assert!(parse(b"", &PatchLimits::default()).unwrap().is_empty());
}

#[test]
fn sha256_repositories_are_read() {
    let long = |id: &str| format!("{id}{}", &id[..24]);
    let patch = changing("a")
        .replace(ID, &long(ID))
        .replace(OTHER, &long(OTHER));
    let parsed = parse(patch.as_bytes(), &PatchLimits::default()).unwrap();
    assert_eq!(
        parsed.files()[0].new_id.as_ref().unwrap().as_str().len(),
        64
    );
    let mixed = patch + &changing("b");
    assert!(parse(mixed.as_bytes(), &PatchLimits::default()).is_err());
}

#[test]
fn a_name_that_looks_like_two_is_read_by_its_other_lines() {
    for name in ["x b/x", "a b/a b", " b/"] {
        let mode_only = format!("diff --git a/{name} b/{name}\nold mode 100644\nnew mode 100755\n");
        let patch = parse(mode_only.as_bytes(), &PatchLimits::default()).unwrap();
        assert_eq!(patch.files()[0].path().as_str(), Some(name));
    }
}

/// Every way a patch can differ from what git writes, with the line it is refused at.
#[test]
fn what_git_does_not_write_is_refused() {
    let good = changing("a");
    let swap = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    let header = |lines: &str| swap("index ", &format!("{lines}index "));
    let mark = "\\ No newline at end of file\n";
    let binary = |parts: &str| format!("diff --git a/a b/a\nindex {ID}..{OTHER} 100644\n{parts}");
    let empty = "literal 0\nHcmV?d00001\n\n";
    let added = adding("a", "100644");
    let cases = [
        ("junk before", format!("junk\n{good}")),
        ("junk behind", format!("{good}junk\n")),
        ("a mail signature behind", format!("{good}-- \n2.47.3\n")),
        ("a blank line behind", format!("{good}\n")),
        ("no line feed at the end", good.trim_end().to_owned()),
        ("no header", good[good.find("---").unwrap()..].to_owned()),
        ("another name below", swap("+++ b/a", "+++ b/b")),
        ("another name above", swap("--- a/a", "--- a/b")),
        (
            "another name in the first line",
            swap("diff --git a/a b/a", "diff --git a/a b/b"),
        ),
        ("no prefix", swap("diff --git a/a b/a", "diff --git a a")),
        (
            "another prefix",
            good.replace("a/a", "i/a").replace("b/a", "w/a"),
        ),
        ("CRLF headers", good.replace('\n', "\r\n")),
        ("a tab behind a plain name", swap("+++ b/a", "+++ b/a\t")),
        (
            "a date behind the name",
            swap("+++ b/a", "+++ b/a\t2020-01-01"),
        ),
        (
            "short ids",
            good.replace(ID, &ID[..7]).replace(OTHER, &OTHER[..7]),
        ),
        ("upper-case ids", good.replace(ID, &ID.to_uppercase())),
        ("no ids", swap(&format!("index {ID}..{OTHER} 100644\n"), "")),
        ("no such old blob", swap(ID, ZERO)),
        ("an unknown header line", header("rename old a\n")),
        ("a mode twice", header("old mode 100644\nnew mode 100755\n")),
        ("half a mode change", header("old mode 100644\n")),
        (
            "a mode change to the same",
            header("old mode 100644\nnew mode 100644\n"),
        ),
        (
            "new and renamed",
            header("new file mode 100644\nsimilarity index 90%\nrename from a\nrename to a\n"),
        ),
        (
            "a rename to nowhere",
            header("similarity index 90%\nrename from a\n"),
        ),
        (
            "a rename against the header",
            header("similarity index 90%\nrename from a\nrename to b\n"),
        ),
        ("too few lines", swap("@@ -1 +1 @@", "@@ -1,2 +1,2 @@")),
        ("too many lines", swap("+y\n", "+y\n+z\n")),
        ("a hunk of nothing", swap("@@ -1 +1 @@", "@@ -1,0 +1,0 @@")),
        ("a hunk at line 0", swap("@@ -1 +1 @@", "@@ -0 +0 @@")),
        (
            "a hunk with another shift",
            swap("@@ -1 +1 @@", "@@ -1 +2 @@"),
        ),
        (
            "a hunk number that overflows",
            swap("@@ -1 +1 @@", "@@ -4294967297 +4294967297 @@"),
        ),
        (
            "hunks in the wrong order",
            format!(
                "{}@@ -1 +1 @@\n-x\n+y\n",
                swap("@@ -1 +1 @@", "@@ -5 +5 @@")
            ),
        ),
        ("hunks that overlap", format!("{good}@@ -1 +1 @@\n-x\n+y\n")),
        ("an empty line as context", swap("-x\n", "\n-x\n")),
        (
            "lines behind the end",
            swap("+y\n", &format!("+y\n{mark}@@ -1,0 +2 @@\n+z\n")),
        ),
        (
            "an end mark in the middle",
            swap(
                "@@ -1 +1 @@\n-x\n",
                &format!("@@ -1,2 +1 @@\n-x\n{mark}-z\n"),
            ),
        ),
        (
            "an end mark in other words",
            swap("+y\n", "+y\n\\ Kein Zeilenumbruch am Dateiende.\n"),
        ),
        ("an end mark alone", swap("-x\n", &format!("{mark}-x\n"))),
        ("two end marks", swap("+y\n", &format!("+y\n{mark}{mark}"))),
        (
            "headers without a hunk",
            good[..good.find("@@").unwrap()].to_owned(),
        ),
        ("a header without a change", binary("")),
        ("a header alone", "diff --git a/a b/a\n".to_owned()),
        (
            "a new file with old lines",
            added.replace("@@ -0,0 +1 @@\n", "@@ -1 +1 @@\n-y\n"),
        ),
        ("a new file with an old blob", added.replace(ZERO, OTHER)),
        (
            "a new file that was there",
            added.replace("--- /dev/null", "--- a/a"),
        ),
        (
            "an empty new file with content",
            added[..added.find("---").unwrap()].to_owned(),
        ),
        (
            "binary without content",
            binary("Binary files a/a and b/a differ\n"),
        ),
        (
            "binary cut off",
            binary("GIT binary patch\nliteral 0\nHcmV?d00001\n"),
        ),
        (
            "binary one way only",
            binary(&format!("GIT binary patch\n{empty}")),
        ),
        (
            "binary of another blob",
            binary(&format!("GIT binary patch\n{empty}{empty}")),
        ),
    ];
    let mut refusals = String::new();
    for (name, patch) in cases {
        match parse(patch.as_bytes(), &PatchLimits::default()) {
            Ok(_) => panic!("accepted: {name}"),
            Err(refusal) => writeln!(refusals, "{name}: {refusal}").unwrap(),
        }
    }
    insta::assert_snapshot!(refusals, @r"
    junk before: line 1 of the patch is not what `git diff --binary --full-index` writes: a file begins with `diff --git`
    junk behind: line 8 of the patch is not what `git diff --binary --full-index` writes: a file begins with `diff --git`
    a mail signature behind: line 8 of the patch is not what `git diff --binary --full-index` writes: a file begins with `diff --git`
    a blank line behind: line 8 of the patch is not what `git diff --binary --full-index` writes: a file begins with `diff --git`
    no line feed at the end: line 7 of the patch is not what `git diff --binary --full-index` writes: the hunk is cut off
    no header: line 1 of the patch is not what `git diff --binary --full-index` writes: a file begins with `diff --git`
    another name below: the header lines that end at line 4 of the patch do not agree on the file: `a`
    another name above: the header lines that end at line 4 of the patch do not agree on the file: `b`
    another name in the first line: the header lines that end at line 4 of the patch do not agree on the file: `a`
    no prefix: the header lines that end at line 4 of the patch do not agree on the file: `a`
    another prefix: line 3 of the patch is not what `git diff --binary --full-index` writes: this is no old name
    CRLF headers: line 2 of the patch is not what `git diff --binary --full-index` writes: this is no pair of full blob ids
    a tab behind a plain name: line 4 of the patch is not what `git diff --binary --full-index` writes: this is no new name
    a date behind the name: line 4 of the patch is not what `git diff --binary --full-index` writes: this is no new name
    short ids: line 2 of the patch is not what `git diff --binary --full-index` writes: this is no pair of full blob ids
    upper-case ids: line 2 of the patch is not what `git diff --binary --full-index` writes: this is no pair of full blob ids
    no ids: line 6 of the patch is not what `git diff --binary --full-index` writes: the hunks do not fit what happens to the file
    no such old blob: line 4 of the patch is not what `git diff --binary --full-index` writes: the blob ids do not fit what happens to the file
    an unknown header line: line 1 of the patch is not what `git diff --binary --full-index` writes: the header announces a change that does not follow
    a mode twice: line 6 of the patch is not what `git diff --binary --full-index` writes: the mode is named twice
    half a mode change: line 3 of the patch is not what `git diff --binary --full-index` writes: `new mode` must follow
    a mode change to the same: line 3 of the patch is not what `git diff --binary --full-index` writes: the mode does not change
    new and renamed: line 5 of the patch is not what `git diff --binary --full-index` writes: a file is moved and added or deleted at once
    a rename to nowhere: line 4 of the patch is not what `git diff --binary --full-index` writes: this is not where the file moves from and to
    a rename against the header: the header lines that end at line 7 of the patch do not agree on the file: `b`
    too few lines: line 8 of the patch is not what `git diff --binary --full-index` writes: the hunk is cut off
    too many lines: line 8 of the patch is not what `git diff --binary --full-index` writes: a file begins with `diff --git`
    a hunk of nothing: line 5 of the patch is not what `git diff --binary --full-index` writes: this hunk is empty
    a hunk at line 0: line 5 of the patch is not what `git diff --binary --full-index` writes: this is no hunk header
    a hunk with another shift: line 5 of the patch is not what `git diff --binary --full-index` writes: this hunk is out of place
    a hunk number that overflows: line 5 of the patch is not what `git diff --binary --full-index` writes: this is no hunk header
    hunks in the wrong order: line 8 of the patch is not what `git diff --binary --full-index` writes: this hunk is out of place
    hunks that overlap: line 8 of the patch is not what `git diff --binary --full-index` writes: this hunk is out of place
    an empty line as context: line 6 of the patch is not what `git diff --binary --full-index` writes: this is no line of a hunk
    lines behind the end: line 10 of the patch is not what `git diff --binary --full-index` writes: a line follows the end of the file
    an end mark in the middle: line 7 of the patch is not what `git diff --binary --full-index` writes: this is no end-of-file mark
    an end mark in other words: line 8 of the patch is not what `git diff --binary --full-index` writes: this is no end-of-file mark
    an end mark alone: line 6 of the patch is not what `git diff --binary --full-index` writes: this mark follows no line
    two end marks: line 9 of the patch is not what `git diff --binary --full-index` writes: this mark follows no line
    headers without a hunk: line 5 of the patch is not what `git diff --binary --full-index` writes: a hunk must follow
    a header without a change: line 2 of the patch is not what `git diff --binary --full-index` writes: the header announces a change that does not follow
    a header alone: line 1 of the patch is not what `git diff --binary --full-index` writes: the header announces a change that does not follow
    a new file with old lines: line 8 of the patch is not what `git diff --binary --full-index` writes: the hunks do not fit what happens to the file
    a new file with an old blob: line 5 of the patch is not what `git diff --binary --full-index` writes: the blob ids do not fit what happens to the file
    a new file that was there: the header lines that end at line 5 of the patch do not agree on the file: `a`
    an empty new file with content: line 3 of the patch is not what `git diff --binary --full-index` writes: the header announces a change that does not follow
    binary without content: `a` is a binary file whose content is missing; make the patch with `--binary`
    binary cut off: line 6 of the patch is not what `git diff --binary --full-index` writes: the binary content is cut off
    binary one way only: line 7 of the patch is not what `git diff --binary --full-index` writes: binary content begins with `literal` or `delta`
    binary of another blob: the binary content of `a` is not the blob that its header names
    ");
}
