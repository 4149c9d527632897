//! Each way a hostile patch tries to escape, with the sentence that refuses it.

use std::fmt::Write as _;

use super::super::PatchLimits;
use super::super::PatchRefusal;
use super::super::parse;
use super::ID;
use super::OTHER;
use super::adding;
use super::changing;
use super::deleting;
use super::encoded;
use super::judge;
use super::renaming;

/// A patch that adds one file whose name stands in git's quotes.
fn adding_quoted(name: &str) -> String {
    adding("NAME", "100644")
        .replace("a/NAME", &format!("\"a/{name}\""))
        .replace("b/NAME", &format!("\"b/{name}\""))
}

#[test]
fn every_attack_is_refused_with_a_sentence() {
    let plain = |name: &str| adding(name, "100644");
    let to_link = format!(
        "diff --git a/a.txt b/a.txt\nold mode 100644\nnew mode 120000\nindex {ID}..{OTHER}\n\
         --- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-x\n+/etc\n"
    );
    let submodule = adding("sub", "160000").replace("+x\n", &format!("+Subproject commit {ID}\n"));
    let cases: [(&str, String, &[&str]); 38] = [
        ("parent", plain("../x"), &[]),
        ("parent inside", plain("a/../../x"), &[]),
        ("absolute", plain("/etc/passwd"), &[]),
        ("empty part", plain("a//b"), &[]),
        ("dot part", plain("./a"), &[]),
        (
            "rename to parent",
            renaming("a.txt", "../a.txt"),
            &["a.txt"],
        ),
        ("rename from parent", renaming("../a.txt", "a.txt"), &[]),
        ("git config", plain(".git/config"), &[]),
        (
            "git hook below",
            adding("vendor/x/.git/hooks/post-checkout", "100755"),
            &[],
        ),
        ("git in capitals", plain(".GIT/config"), &[]),
        ("git short name", plain("git~1/config"), &[]),
        (
            "git with ignored character",
            plain(".g\u{200c}it/config"),
            &[],
        ),
        ("git with trailing space", plain(".git /config"), &[]),
        ("git stream", plain(".git::$INDEX_ALLOCATION/config"), &[]),
        ("delete in git", deleting(".git/HEAD"), &[]),
        (
            "symlink",
            adding("link", "120000").replace("+x", "+/etc/passwd"),
            &[],
        ),
        (
            "symlink edited",
            changing("l").replace("100644", "120000"),
            &["l"],
        ),
        ("file to symlink by mode", to_link, &["a.txt"]),
        (
            "file to symlink",
            deleting("a.txt") + &adding("a.txt", "120000"),
            &["a.txt"],
        ),
        ("submodule", submodule, &[]),
        ("group-writable", adding("a", "100664"), &[]),
        ("set-uid", adding("a", "104755"), &[]),
        ("folder mode", adding("a", "040000"), &[]),
        ("line break in name", adding_quoted("a\\nb"), &[]),
        ("escape sequence in name", adding_quoted("a\\033[2Jb"), &[]),
        ("no UTF-8", adding_quoted("a\\377b"), &[]),
        ("bidi name", plain("a\u{202e}txt.sh"), &[]),
        ("decomposed name", plain("u\u{308}.txt"), &[]),
        ("backslash", adding_quoted("a\\\\b"), &[]),
        ("colon", plain("a:b"), &[]),
        ("device", plain("src/aux.rs"), &[]),
        ("trailing dot", plain("a./b"), &[]),
        (
            "case twin in the repository",
            plain("README.MD"),
            &["readme.md"],
        ),
        ("case twin of a folder", plain("Src/b.rs"), &["src/a.rs"]),
        ("case twin in the patch", plain("a/x") + &plain("A/y"), &[]),
        ("under a file", plain("readme.md/x"), &["readme.md"]),
        ("over a folder", plain("src"), &["src/a.rs"]),
        ("same path twice", changing("a") + &changing("a"), &["a"]),
    ];
    let mut refusals = String::new();
    for (name, patch, existing) in cases {
        match judge(patch.as_bytes(), existing) {
            Ok(_) => panic!("accepted: {name}"),
            Err(refusal) => writeln!(refusals, "{name}: {refusal}").unwrap(),
        }
    }
    insta::assert_snapshot!(refusals, @r"
    parent: `../x` points outside the repository
    parent inside: `a/../../x` points outside the repository
    absolute: `/etc/passwd` points outside the repository
    empty part: `a//b` points outside the repository
    dot part: `./a` points outside the repository
    rename to parent: `../a.txt` points outside the repository
    rename from parent: `../a.txt` points outside the repository
    git config: `.git/config` reaches into git's own folder
    git hook below: `vendor/x/.git/hooks/post-checkout` reaches into git's own folder
    git in capitals: `.GIT/config` reaches into git's own folder
    git short name: `git~1/config` reaches into git's own folder
    git with ignored character: `.g\u{200c}it/config` reaches into git's own folder
    git with trailing space: `.git /config` reaches into git's own folder
    git stream: `.git::$INDEX_ALLOCATION/config` reaches into git's own folder
    delete in git: `.git/HEAD` reaches into git's own folder
    symlink: `link` is a symbolic link, which a patch may not add, change or remove
    symlink edited: `l` is a symbolic link, which a patch may not add, change or remove
    file to symlink by mode: `a.txt` is a symbolic link, which a patch may not add, change or remove
    file to symlink: `a.txt` is a symbolic link, which a patch may not add, change or remove
    submodule: `sub` is a submodule, which a patch may not add, change or remove
    group-writable: `a` has mode 100664; only 100644 and 100755 are accepted
    set-uid: `a` has mode 104755; only 100644 and 100755 are accepted
    folder mode: `a` has mode 040000; only 100644 and 100755 are accepted
    line break in name: the new name `a\u{a}b` contains a control character
    escape sequence in name: the new name `a\u{1b}[2Jb` contains a control character
    no UTF-8: the new name `a\xffb` is not UTF-8
    bidi name: the new name `a\u{202e}txt.sh` contains a character that turns the writing direction
    decomposed name: the new name `ü.txt` is not in composed Unicode form (NFC)
    backslash: the new name `a\b` contains a backslash
    colon: the new name `a:b` contains a colon
    device: the new name `src/aux.rs` is a device name on Windows
    trailing dot: the new name `a./b` has a part that ends in a dot or a space
    case twin in the repository: `README.MD` and `readme.md` are one file where upper case, lower case and accents are not told apart
    case twin of a folder: `Src` and `src` are one file where upper case, lower case and accents are not told apart
    case twin in the patch: `A` and `a` are one file where upper case, lower case and accents are not told apart
    under a file: `readme.md` would be a file and a folder at once
    over a folder: `src` would be a file and a folder at once
    same path twice: the patch speaks twice about `a`
    ");
}

#[test]
fn a_patch_that_is_too_large_is_refused_unread() {
    let refusal = parse(&vec![b'x'; 5_000_001], &PatchLimits::default()).unwrap_err();
    let sentence = "the patch has 5000001 bytes, and at most 5000000 are accepted";
    assert_eq!(refusal.to_string(), sentence);
}

#[test]
fn a_patch_of_too_many_files_is_refused() {
    let files = |count: u32| -> String { (0..count).map(|n| changing(&format!("f{n}"))).collect() };
    let limits = PatchLimits::default();
    assert!(parse(files(500).as_bytes(), &limits).is_ok());
    let refusal = parse(files(501).as_bytes(), &limits).unwrap_err();
    assert_eq!(refusal.to_string(), "the patch touches more than 500 files");
}

/// A binary change of one file from its encoded parts.
fn binary(forward: &str, reverse: &str) -> String {
    format!(
        "diff --git a/big b/big\nindex {ID}..{OTHER} 100644\nGIT binary patch\n{forward}\n{reverse}\n"
    )
}

/// A size as a delta writes it.
fn size(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        bytes.push(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return bytes;
        }
    }
}

#[test]
fn a_small_patch_that_grows_is_refused() {
    let growing = binary(
        &encoded("literal", &vec![0; 60_000_000]),
        &encoded("literal", b""),
    );
    assert!(growing.len() < 200_000);
    let refusal = parse(growing.as_bytes(), &PatchLimits::default()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "unpacked up to `big` the patch grows beyond 50000000 bytes"
    );
}

/// 3,000 copies of 65,535 bytes: 9 kB of instructions make a file of 196 MB.
#[test]
fn a_delta_that_grows_is_refused_by_the_size_it_announces() {
    let copies = [0b1011_0000, 0xff, 0xff].repeat(3000);
    let delta = [size(65_536), size(3000 * 65_535), copies].concat();
    let growing = binary(&encoded("delta", &delta), &encoded("delta", &delta));
    let refusal = parse(growing.as_bytes(), &PatchLimits::default()).unwrap_err();
    assert!(
        matches!(refusal, PatchRefusal::ExpandsTooFar { .. }),
        "{refusal}"
    );
}

#[test]
fn a_delta_that_announces_less_than_it_makes_is_refused() {
    let copies = [0b1011_0000, 0xff, 0xff].repeat(3000);
    let delta = [size(65_536), size(10), copies].concat();
    let lying = binary(&encoded("delta", &delta), &encoded("literal", b""));
    let refusal = parse(lying.as_bytes(), &PatchLimits::default()).unwrap_err();
    assert!(
        refusal
            .to_string()
            .ends_with("the delta does not make what it says"),
        "{refusal}"
    );
}

#[test]
fn a_literal_that_announces_more_than_it_has_is_refused() {
    let text = encoded("literal", b"x").replace("literal 1", "literal 40000000");
    let refusal = parse(binary(&text, &text).as_bytes(), &PatchLimits::default()).unwrap_err();
    let end = "the binary content does not unpack to its size";
    assert!(refusal.to_string().ends_with(end), "{refusal}");
}

/// git would take the blob it already has under the announced id, not the bytes that stand in the patch.
#[test]
fn binary_content_under_the_id_of_another_blob_is_refused() {
    let patch = binary(
        &encoded("literal", b"innocent\0"),
        &encoded("literal", b"x\n"),
    );
    let refusal = parse(patch.as_bytes(), &PatchLimits::default()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the binary content of `big` is not the blob that its header names"
    );
}

/// What a person reads about a hostile name never contains the name as it is.
#[test]
fn refusals_show_hostile_names_escaped() {
    let patch = adding_quoted("\\033]0;owned\\007\\342\\200\\256x");
    let refusal = judge(patch.as_bytes(), &[]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the new name `\\u{1b}]0;owned\\u{7}\\u{202e}x` contains a control character"
    );
}
