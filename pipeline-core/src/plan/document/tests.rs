//! Every byte kept, the items a renderer shows, and edits of one line.

mod reference;

use proptest::prelude::*;

use super::*;
use crate::issue::IssueKey;

fn new_link(key: &str, url: &str) -> NewLink {
    NewLink {
        key: IssueKey::new(key).unwrap(),
        url: url.to_owned(),
    }
}

fn linked(document: &PlanDocument, item: usize, key: &str, url: &str) -> String {
    let edit = Edit::Link {
        item,
        link: new_link(key, url),
    };
    document.edit(&[edit]).unwrap().as_str().to_owned()
}

/// Returns the lines that differ, and fails if their number does.
fn changed(before: &str, after: &str) -> Vec<String> {
    let lines = |t: &str| {
        t.split_inclusive('\n')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (before, after) = (lines(before), lines(after));
    assert_eq!(before.len(), after.len());
    let pairs = before.into_iter().zip(after);
    pairs.filter(|(a, b)| a != b).map(|(_, b)| b).collect()
}

const ROADMAP: &str = "\u{feff}---\ntitle: Roadmap\n---\n\n# Shop\n\nIntro.\n\nPhase 1 - Login\n---------------\n\n- [ ] Log in with *mail* and `password`\n\n  Details of it.\n\n  ```sh\n  - [ ] not a task\n  ```\n  - [ ] nested\n- [x] Log out ([#7](https://g.example/a/b/-/issues/7))\n\n### Definition of done\n\n- [ ] tested\n\n## Phase 2: API\n\n<div>\n\n- [ ] in html? no: after a blank line it is one\n\n</div>\n\n### Backend\n\n1. [ ] Endpoint\n2. [ ] Endpoint\n\n| a | b |\n|---|---|\n| - [ ] x | y |\n\n## Notes\n\nNo tasks.\n";

#[test]
fn a_roadmap_is_read() {
    let plan = PlanDocument::parse(ROADMAP);
    assert_eq!(plan.as_str(), ROADMAP);
    let phases: Vec<_> = plan
        .phases()
        .iter()
        .map(|p| (p.number, p.title.as_str(), p.line))
        .collect();
    assert_eq!(phases, [(Some(1), "Login", 9), (Some(2), "API", 26)]);
    assert_eq!(
        plan.phases()[0].definition_of_done.as_deref(),
        Some("- [ ] tested")
    );
    let items: Vec<_> = plan
        .items()
        .iter()
        .map(|i| (i.line, i.checked, i.text.as_str(), i.phase, i.occurrence))
        .collect();
    assert_eq!(
        items,
        [
            (12, false, "Log in with mail and `password`", Some(0), 0),
            (20, true, "Log out", Some(0), 0),
            (
                30,
                false,
                "in html? no: after a blank line it is one",
                Some(1),
                0
            ),
            (36, false, "Endpoint", Some(1), 0),
            (37, false, "Endpoint", Some(1), 1),
        ]
    );
    assert_eq!(
        plan.items()[0].details,
        "Details of it.\n\n```sh\n- [ ] not a task\n```\n- [ ] nested"
    );
    assert_eq!(plan.items()[3].context, ["Backend"]);
    assert_eq!(plan.tasks().len(), 7);
}

#[test]
fn phases_are_named_by_number_place_and_title() {
    let plan = PlanDocument::parse(ROADMAP);
    for (name, found) in [
        ("2", Some(1)),
        ("api", Some(1)),
        ("Phase 1 - Login", Some(0)),
        ("3", None),
        ("Notes", None),
    ] {
        assert_eq!(plan.phase_named(name), found, "{name}");
    }
    let plain = PlanDocument::parse("# Alpha\n- [ ] a\n# Beta\n- [ ] b\n");
    assert_eq!(plain.phase_named("2"), Some(1));
    assert_eq!(plain.phase_named("0"), None);
}

#[test]
fn level_and_pattern_of_phases_can_be_set() {
    let text = "# T\n## A\n### Phase 1\n- [ ] a\n### Other\n- [ ] b\n## B\n### Phase 2\n- [ ] c\n";
    let by_default: Vec<_> = PlanDocument::parse(text)
        .phases()
        .iter()
        .map(|p| p.heading.clone())
        .collect();
    assert_eq!(by_default, ["Phase 1", "Other", "Phase 2"]);
    let level = PlanSyntax::default().with_level(2).unwrap();
    let plan = PlanDocument::parse_with(text, &level);
    let headings: Vec<_> = plan.phases().iter().map(|p| p.heading.as_str()).collect();
    assert_eq!(headings, ["A", "B"]);
    let pattern = PlanSyntax::default().with_pattern("^Phase").unwrap();
    let plan = PlanDocument::parse_with(text, &pattern);
    let texts: Vec<_> = plan.items().iter().map(|i| i.text.as_str()).collect();
    assert_eq!(texts, ["a", "c"], "under other headings nothing is a task");
    assert!(PlanSyntax::default().with_level(7).is_err());
    assert!(PlanSyntax::default().with_pattern("(").is_err());
}

#[test]
fn the_link_to_an_issue_is_known_in_every_style() {
    for (line, key, text) in [
        (
            "Do it ([#9](https://g.example/a/b/-/issues/9))",
            "9",
            "Do it",
        ),
        (
            "Do it [#9](https://g.example/a/b/-/issues/9).",
            "9",
            "Do it",
        ),
        (
            "Do it ([#9](https://g.example/a/b/-/work_items/9))",
            "9",
            "Do it",
        ),
        (
            "Do it ([PROJ-12](https://x.backlog.example/view/PROJ-12))",
            "PROJ-12",
            "Do it",
        ),
        ("Do it ([#3](../tracker/log.jsonl#3))", "3", "Do it"),
        ("Do it (#9)", "9", "Do it"),
        ("Do it [#9]", "9", "Do it"),
        ("Do it <https://g.example/a/b/-/issues/9>", "9", "Do it"),
        ("Do it https://g.example/a/b/-/issues/9", "9", "Do it"),
        ("Do it (https://g.example/a/b/-/issues/9)", "9", "Do it"),
        ("[Do it](https://g.example/a/b/-/issues/9)", "9", "Do it"),
        (
            "[#9](https://g.example/a/b/-/issues/9): Do it",
            "9",
            "Do it",
        ),
        ("Do it [#9][nine]", "9", "Do it"),
        (
            "Do it ([a/b#9](https://g.example/a/b/-/issues/9#note_3))",
            "9",
            "Do it",
        ),
        (
            "Do it(see [x](y)) ([#9](https://g.example/a_(b)/-/issues/9))",
            "9",
            "Do it(see x)",
        ),
    ] {
        let document = format!("- [ ] {line}\n\n[nine]: https://g.example/a/b/-/issues/9\n");
        let plan = PlanDocument::parse(document);
        let item = &plan.items()[0];
        assert_eq!(
            item.link.as_ref().map(|l| l.key.as_str()),
            Some(key),
            "{line}"
        );
        assert_eq!(item.text, text, "{line}");
    }
    for line in [
        "Follow up on [#3](https://g.example/a/b/-/issues/3) in the shop",
        "Use (UTF-8)",
        "Use [UTF-8](https://www.unicode.example/)",
        "See [the guide](docs/guide.md)",
        "Read [#3](#3)",
        "Mend 9 of them (9)",
    ] {
        let plan = PlanDocument::parse(format!("- [ ] {line}\n"));
        assert_eq!(plan.items()[0].link, None, "{line}");
    }
}

#[test]
fn a_link_changes_one_line_in_every_shape_of_item() {
    let url = "https://g.example/a/b/-/issues/9";
    let link = "([#9](https://g.example/a/b/-/issues/9))";
    for (text, line) in [
        ("- [ ] a\n- [ ] b\n", format!("- [ ] a {link}\n")),
        ("- [ ] a\r\n- [ ] b\r\n", format!("- [ ] a {link}\r\n")),
        ("- [ ] a", format!("- [ ] a {link}")),
        ("- [ ] a  \n  b\n", format!("- [ ] a {link}  \n")),
        ("- [ ] a\\\n  b\n", format!("- [ ] a {link}\\\n")),
        ("- [ ] a\n  b\n", format!("- [ ] a {link}\n")),
        (
            "\t- [ ] code?\n\n-\t[ ]\ta\t\n",
            format!("-\t[ ]\ta {link}\t\n"),
        ),
        ("> - [ ] a\n> - [ ] b\n", format!("> - [ ] a {link}\n")),
        ("1) [ ] a\n\n   more\n", format!("1) [ ] a {link}\n")),
        (
            "* [ ] a <!-- note -->\n",
            format!("* [ ] a <!-- note --> {link}\n"),
        ),
        (
            "- [ ] \u{5d0}\u{5d1}\u{202e}x\u{202c} \u{5d2}\n",
            format!("- [ ] \u{5d0}\u{5d1}\u{202e}x\u{202c} \u{5d2} {link}\n"),
        ),
        (
            "- [ ] [docs](a_(b).md)\n",
            format!("- [ ] [docs](a_(b).md) {link}\n"),
        ),
        ("- outer\n  - [ ] a\n", format!("  - [ ] a {link}\n")),
        // The span runs over the line's end, so the link goes behind it.
        ("- [ ] `a\n  b` c\n", format!("  b` c {link}\n")),
        ("- [ ] [a\n  b](c) d\n", format!("  b](c) d {link}\n")),
    ] {
        let plan = PlanDocument::parse(text);
        let after = linked(&plan, 0, "9", url);
        assert_eq!(changed(text, &after), [line], "{text:?}");
    }
}

#[test]
fn an_address_cannot_break_out_of_its_link() {
    let plan = PlanDocument::parse("- [ ] a\n");
    for url in [
        "https://g.example/a (b)/-/issues/9",
        "../a b/(x/log.jsonl#9",
        "https://g.example/<x>/issues/9",
    ] {
        let after = PlanDocument::parse(linked(&plan, 0, "9", url));
        assert_eq!(
            after.items()[0].link.as_ref().map(|l| l.key.as_str()),
            Some("9"),
            "{url}"
        );
        assert_eq!(after.items()[0].text, "a");
    }
}

#[test]
fn a_tick_changes_one_byte_and_a_second_link_is_refused() {
    let text = "- [ ] a ([#9](https://g.example/-/issues/9))\r\n- [ ] b\r\n";
    let plan = PlanDocument::parse(text);
    let ticked = plan.edit(&[Edit::Tick { item: 0 }]).unwrap();
    assert_eq!(ticked.as_str(), text.replacen("[ ]", "[x]", 1));
    assert_eq!(
        ticked.edit(&[Edit::Tick { item: 0 }]).unwrap().as_str(),
        ticked.as_str()
    );
    let again = plan.edit(&[Edit::Link {
        item: 0,
        link: new_link("8", "x/8"),
    }]);
    assert!(matches!(again, Err(EditError::Linked { line: 1, .. })));
    assert!(matches!(
        plan.edit(&[Edit::Tick { item: 2 }]),
        Err(EditError::NoItem(2))
    ));
}

#[test]
fn ten_megabytes_are_read_and_linked_at_once() {
    let filler = "Some words of prose that nobody needs, and a [link](x).\n\n".repeat(170_000);
    let text = format!("## Phase 1\n\n- [ ] a\n\n{filler}\n- [ ] b\n");
    assert!(text.len() > 9_500_000);
    let plan = PlanDocument::parse(text.clone());
    let edits = [0, 1].map(|item| Edit::Link {
        item,
        link: new_link("9", "https://g.example/-/issues/9"),
    });
    let after = plan.edit(&edits).unwrap();
    assert_eq!(changed(&text, after.as_str()).len(), 2);
}

/// Pieces that meet each other in roadmaps, so that what proptest puts together is Markdown and not noise.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "- [ ] ",
        "- [x] ",
        "* [X] ",
        "1. [ ] ",
        "  - [ ] ",
        "> - [ ] ",
        "\t- [ ] ",
        "## Phase 1\n",
        "Title\n===\n",
        "---\n",
        "```\n",
        "`",
        "*",
        "**",
        "[",
        "](",
        ")",
        "<div>\n",
        "</div>\n",
        "<!-- ",
        " -->",
        "|",
        "| - |\n",
        "\n",
        "\r\n",
        "\r",
        "  ",
        "\\",
        "\u{feff}",
        "Definition of done\n",
        "(#9)",
        "https://g.example/-/issues/9",
        "[#9]: x\n",
        "日本語",
        "\u{202e}",
        "😀",
        "a",
        "b c",
    ]);
    prop_oneof![6 => fixed.prop_map(str::to_owned), 1 => "\\PC{0,6}"]
}

proptest! {
    #[test]
    fn every_byte_is_kept(text in any::<String>()) {
        let plan = PlanDocument::parse(text.clone());
        prop_assert_eq!(plan.as_str(), text);
    }

    #[test]
    fn links_and_ticks_change_the_lines_they_name_and_nothing_else(
        pieces in prop::collection::vec(piece(), 0..40)
    ) {
        let text = pieces.concat();
        let plan = PlanDocument::parse(text.clone());
        prop_assert_eq!(plan.as_str(), &text);
        for (at, item) in plan.items().iter().enumerate() {
            if item.link.is_some() {
                continue;
            }
            let edit = Edit::Link { item: at, link: new_link("9", "https://g.example/-/issues/9") };
            let Ok(after) = plan.edit(&[edit]) else {
                continue;
            };
            let count = |t: &str| t.split(['\n', '\r']).count();
            prop_assert_eq!(count(&text), count(after.as_str()));
            let differing = text.split(['\n', '\r']).zip(after.as_str().split(['\n', '\r'])).filter(|(a, b)| a != b).count();
            prop_assert_eq!(differing, 1);
            prop_assert_eq!(after.items()[at].link.as_ref().map(|l| l.key.as_str()), Some("9"));
            prop_assert_eq!(&after.items()[at].text, &item.text);
        }
    }
}
