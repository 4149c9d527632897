use proptest::prelude::*;

use super::*;

fn said(text: &str) -> String {
    GitLabDialect.neutralise(text)
}

#[test]
fn commands_mentions_and_references_are_shown_and_do_nothing() {
    for (text, expected) in [
        ("/close", "\\/close"),
        ("  /label ~bug", "  \\/label `~bug`"),
        (
            "@alice, @all. #12 !3 ~bug %2 &4 $5",
            "`@alice`, `@all`. `#12` `!3` `~bug` `%2` `&4` `$5`",
        ),
        ("closes group/sub#12", "closes group/sub`#12`"),
        ("me@example.com", "me@example.com"),
        ("~\"to do\" x", "`~\"to do\"` x"),
        (
            "<b>x</b> <!-- y --> a < b",
            "\\<b>x\\</b> \\<!-- y --> a < b",
        ),
        (
            "[vulnerability:1] [x](y) [ ] [x]",
            "`[vulnerability:1]` [x](y) [ ] [x]",
        ),
        (
            "see https://git.example/a/-/issues/3.",
            "see `https://git.example/a/-/issues/3.`",
        ),
        ("see https://example.com/a", "see https://example.com/a"),
        ("`@alice` is code", "`@alice` is code"),
        ("a ` b @alice", "a \\` b `@alice`"),
        ("\\@alice", "\\\\`@alice`"),
        ("`x`@alice`y`", "`x` `@alice` `y`"),
        ("# Heading\n- [ ] 100 %", "# Heading\n- [ ] 100 %"),
        (
            "```rust\nlet x = \"@a\";\n```\n@b",
            "```rust\nlet x = \"@a\";\n```\n`@b`",
        ),
        ("a fence:\n```\n/close", "a fence:\n```\n\\/close\n```"),
        ("> ```\n> @a\nout @b", "> ```\n> @a\nout `@b`"),
        ("> /close", "> /close"),
        ("担当@alice", "担当`@alice`"),
        ("é@alice @.bob @\\_eve", "é`@alice` `@.bob` `@`\\_eve"),
        (
            "&commat;alice &#x40;bob & c;",
            "\\&commat;alice \\&#x40;bob & c;",
        ),
        // A mark within a block of code does not end it.
        ("```\n> x\n```\n@a", "```\n> x\n```\n`@a`"),
        ("> ```\n> > x\n> ```\n> @a", "> ```\n> > x\n> ```\n> `@a`"),
        ("> ```\n> \t```\n> @a", "> ```\n>   ```\n> `@a`"),
        ("```\n```\u{a0}\n```\n@a", "```\n```\u{a0}\n```\n`@a`"),
        // Nor is what another reader takes for one left to be one.
        ("~~~ a b\n~~~\n@a\n~~~", "\\~\\~\\~ a b\n~~~\n@a\n~~~"),
        ("- ~~~\n  ~~~\n@a", "- \\~\\~\\~\n  \\~\\~\\~\n`@a`"),
        ("- a\n  ```\n@a", "- a\n  \\`\\`\\`\n`@a`"),
        ("- a\n  > ```\n> @a", "- a\n  > \\`\\`\\`\n> `@a`"),
        (">>>\n```\n>>>\n```\n@a", "> > >\n```\n>>>\n```\n`@a`"),
        ("- >>>", "- \\>\\>\\>"),
        ("---\n```\n---\n```\n@a", "\\---\n```\n---\n```\n`@a`"),
        // What binds before the marks of code do.
        ("[a](b`c) @a `d", "[a\\](b`c) @a `d"),
        ("[a](b \"`\") @a `d", "[a\\](b \"`\") @a `d"),
        ("[a](\nb`c) @a", "[a\\](\nb\\`c) `@a`"),
        ("[[a`]] @a `b", "\\[[a`]] @a `b"),
        ("$a`$ @a `b$", "\\$a`$ @a `b\\$"),
        (
            "[x](https://example.com/a_(b) \"t\") y",
            "[x](https://example.com/a_(b) \"t\") y",
        ),
        // A picture would be fetched by everybody who looks.
        (
            "![a](https://evil.example/p.png?x) ![](//evil.example/p) ![a][b] \\![c](d)",
            "\\![a](https://evil.example/p.png?x) \\![](//evil.example/p) \\![a][b] \\![c](d)",
        ),
        (
            "\\\\![a](b) `![a](b)` wow![a](b)!",
            "\\\\\\![a](b) `![a](b)` wow\\![a](b)!",
        ),
        (
            "> ![a](https://evil.example/p.png)",
            "> \\![a](https://evil.example/p.png)",
        ),
        ("nul\u{0} bell\u{7}\r\nend \n\n", "nul␀ bell␇\nend"),
    ] {
        assert_eq!(said(text), expected, "{text:?}");
    }
}

/// Text in which everything stands that means something.
fn dangerous() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "`",
        "``",
        "```",
        "~~~",
        "\n",
        "\n",
        "> ",
        ">",
        " ",
        "    ",
        "\\",
        "/close",
        "/",
        "@alice",
        "@",
        "#12",
        "~bug",
        "~\"",
        "\"",
        "<b>",
        "</",
        "<!--",
        "[issue:1]",
        "]",
        "https://x/-/issues/1",
        "word",
        "é",
        "%1",
        "^alert#1",
        "~~~",
        ">>>",
        "$",
        "[[",
        "![",
        "!",
        "](https://evil.example/p.png)",
        "][1]",
        "\n\n[1]: https://evil.example/p.png\n",
        "](",
        ")",
        "&commat;",
        "- ",
        "\t",
        "---\n",
        "\r",
        "\u{7}",
        "1",
        ".",
    ]);
    prop::collection::vec(parts, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn once_is_enough(text in dangerous()) {
        let once = said(&text);
        prop_assert_eq!(said(&once), once);
    }

    /// The judge is an independent reader of Markdown.
    #[test]
    fn nobody_is_mentioned(text in dangerous(), quoted in any::<bool>()) {
        let text = if quoted { pipeline_core::memo::quote(&text) } else { text };
        let out = said(&text);
        let events = pulldown_cmark::TextMergeStream::new(pulldown_cmark::Parser::new(&out));
        let mut code = false;
        for event in events {
            match event {
                pulldown_cmark::Event::Start(pulldown_cmark::Tag::CodeBlock(_)) => code = true,
                pulldown_cmark::Event::End(pulldown_cmark::TagEnd::CodeBlock) => code = false,
                pulldown_cmark::Event::Text(shown) if !code => {
                    let mentions = shown.match_indices("@alice").any(|(at, _)| {
                        let before = shown[..at].chars().next_back();
                        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                    });
                    prop_assert!(!mentions, "{:?} in {:?} of {:?}", shown, out, text);
                }
                pulldown_cmark::Event::Start(pulldown_cmark::Tag::Image { dest_url, .. }) => {
                    prop_assert!(false, "a picture of {:?} in {:?}", dest_url, out);
                }
                pulldown_cmark::Event::Html(html) | pulldown_cmark::Event::InlineHtml(html) => {
                    prop_assert!(false, "{:?} in {:?}", html, out);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn no_line_is_a_command_and_nothing_is_lost_at_the_end(text in dangerous()) {
        let out = said(&text);
        prop_assert!(!out.contains('\r'));
        prop_assert_eq!(out.trim_end(), out.as_str());
        for line in out.lines() {
            prop_assert!(!is_command(line.trim_start()), "{:?} in {:?}", line, out);
        }
    }
}
