//! The examples of CommonMark and GFM, against what the specifications and their reference implementation render.

use regex::Regex;

use super::super::PlanDocument;

const COMMONMARK: &str = include_str!("../testdata/commonmark-0.31.2.txt");
const GFM: &str = include_str!("../testdata/gfm-0.29.txt");

/// Returns input and rendering of every example.
fn examples(spec: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = spec.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("````````````````````````````````") || !line.contains("example") {
            continue;
        }
        let mut part = |end: &str| {
            let mut text = String::new();
            for line in lines.by_ref().take_while(|l| *l != end) {
                text.push_str(&line.replace('→', "\t"));
                text.push('\n');
            }
            text
        };
        let input = part(".");
        found.push((input, part("````````````````````````````````")));
    }
    found
}

/// Returns the boxes of a rendering in their order: whether each is ticked, and the text behind it up to the next tag.
fn boxes(html: &str) -> Vec<(bool, String)> {
    let input = Regex::new(r#"<input([^>]*type="checkbox"[^>]*)>\s*([^<\n]*)"#).unwrap();
    let boxes = input.captures_iter(html);
    boxes
        .map(|c| (c[1].contains("checked"), c[2].trim().to_owned()))
        .collect()
}

fn found(text: &str) -> Vec<(bool, String)> {
    let plan = PlanDocument::parse(text);
    assert_eq!(plan.as_str(), text);
    plan.tasks()
        .iter()
        .map(|t| (t.checked, t.text.clone()))
        .collect()
}

/// Compares boxes; the text only as far as both show plain words (a loose item's box stands before its paragraph).
fn same(ours: &[(bool, String)], theirs: &[(bool, String)]) -> bool {
    let word = |t: &str| t.split_whitespace().next().unwrap_or_default().to_owned();
    let plain = |t: &str| t.chars().all(char::is_alphanumeric);
    ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(a, b)| {
            let (x, y) = (word(&a.1), word(&b.1));
            a.0 == b.0 && (x == y || y.is_empty() || !plain(&x) || !plain(&y))
        })
}

fn rendered(text: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.tasklist = true;
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    comrak::markdown_to_html(text, &options)
}

#[test]
fn the_specifications_are_read_whole() {
    assert_eq!(examples(COMMONMARK).len(), 652);
    assert_eq!(examples(GFM).len(), 673);
}

#[test]
fn every_example_keeps_its_bytes_and_has_the_boxes_of_its_rendering() {
    for (input, html) in examples(COMMONMARK).into_iter().chain(examples(GFM)) {
        let theirs = boxes(&html);
        // CommonMark itself has no task lists; its renderings show none where GFM would.
        if !theirs.is_empty() {
            assert!(same(&found(&input), &theirs), "{input}\n{html}");
        }
        let theirs = boxes(&rendered(&input));
        assert!(
            same(&found(&input), &theirs),
            "{input:?}: {:?} {theirs:?}",
            found(&input)
        );
    }
}

#[test]
fn with_a_box_in_every_list_item_they_are_still_the_same() {
    let item = Regex::new(r"(?m)^([ >\t]*(?:[-+*]|\d{1,9}[.)])[ \t]+)(\S)").unwrap();
    let mut different: Vec<(String, Vec<_>, Vec<_>)> = Vec::new();
    let mut compared = 0;
    for (input, _) in examples(COMMONMARK).into_iter().chain(examples(GFM)) {
        let boxed = item.replace_all(&input, "${1}[x] ${2}").into_owned();
        if boxed == input {
            continue;
        }
        compared += 1;
        let theirs = boxes(&rendered(&boxed));
        if !same(&found(&boxed), &theirs) {
            different.push((boxed.clone(), found(&boxed), theirs));
        }
    }
    assert!(compared > 150, "{compared}");
    assert!(
        different.is_empty(),
        "{} of {compared}: {different:#?}",
        different.len()
    );
}
