use pipeline_core::issue::IssueKey;
use pipeline_core::memo::Fields;
use pipeline_core::memo::Markers;
use pipeline_core::memo::Memo;
use pipeline_core::memo::MemoKind;
use pipeline_core::memo::Parsed;
use pipeline_core::memo::SigningKey;
use pipeline_core::memo::SigningKeys;
use pipeline_core::memo::quote;
use pipeline_core::secret::Secret;
use proptest::prelude::*;

use super::*;

const MOST: char = '\u{FFFD}';
const MODES: [TextMode; 2] = [TextMode::Markdown, TextMode::Classic];

fn key() -> IssueKey {
    IssueKey::new("PROJ-12").unwrap()
}

fn keys() -> SigningKeys {
    let key = Secret::new("0123456789abcdef0123456789abcdef");
    SigningKeys::new("backlog:example").with_current(SigningKey::new("k1", key))
}

/// Text as models write it: markup of both modes, emoji, Japanese, controls, long runs.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[`~]{1,4}",
        "[*\\-+#>|'%&{}\\[\\]!<\\\\ ]{1,6}",
        prop::sample::select(vec![
            "\n",
            "\r\n",
            "> ",
            "```rust\n",
            "<!-- x -->",
            "![a](https://x.example/)",
            "<b>",
            "{code}",
            "{/code}",
            "&br;",
            "[[a>b]]",
            "''b''",
            "#image(x)",
            "🦀",
            "👩‍👩‍👧",
            "日本語の行",
            "\u{202e}",
            "\u{0}",
            "\t",
            "PROJ-13",
            "@alice",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn neutral_text_is_neutral(text in text()) {
        for mode in MODES {
            let once = mode.neutralise(&text);
            prop_assert_eq!(&mode.neutralise(&once), &once);
            let fine = |c: char| c <= MOST && (!c.is_control() || "\n\t".contains(c));
            prop_assert!(once.chars().all(fine));
        }
    }

    #[test]
    fn nothing_is_formatted_in_the_older_notation(text in text()) {
        let shown = TextMode::Classic.neutralise(&text);
        for what in ["{code", "[[", "&br;", "#image("] {
            let bare = shown.match_indices(what).any(|(at, _)| {
                let slashes = shown[..at].chars().rev().take_while(|c| *c == '\\').count();
                slashes % 2 == 0
            });
            prop_assert!(!bare, "{}", shown);
        }
    }

    /// The judge is an independent reader of Markdown.
    #[test]
    fn nothing_is_hidden_or_fetched_in_markdown(text in text(), quoted in any::<bool>()) {
        let text = if quoted { quote(&text) } else { text };
        let shown = TextMode::Markdown.neutralise(&text);
        for event in pulldown_cmark::Parser::new(&shown) {
            let bad = matches!(
                event,
                pulldown_cmark::Event::Html(_)
                    | pulldown_cmark::Event::InlineHtml(_)
                    | pulldown_cmark::Event::Start(pulldown_cmark::Tag::Image { .. })
            );
            prop_assert!(!bad, "{:?} in {:?}", event, shown);
        }
    }

    #[test]
    fn a_memo_reads_back_as_it_was_sent(said in text(), value in any::<String>(), signed in any::<bool>(), quoted in any::<bool>()) {
        let markers = Markers::default();
        let keys = if signed { keys() } else { SigningKeys::new("backlog:example") };
        let said = if quoted { quote(&said) } else { said };
        let fields = Fields::new().with("issue", "PROJ-12").with("file", &value);
        for mode in MODES {
            let memo = Memo::new(MemoKind::LocalCheck, fields.clone(), said.clone());
            let sent = memo.neutralise(&mode, &markers);
            prop_assert_eq!(&sent.neutralise(&mode, &markers), &sent);
            let body = sent.render(&markers, &mode, &key(), &keys);
            // The dialect has no more to say about what is posted, so that the service has nothing to refuse.
            let fine = |c: char| c <= MOST;
            prop_assert!(body.chars().all(fine));
            for body in [body.clone(), body.replace('\n', "\r\n"), format!("{body}\n")] {
                prop_assert_eq!(Memo::parse(&body, &markers, &key(), &keys, false), Parsed::Memo(sent.clone()));
            }
        }
    }
}

/// What ends a block of code, and what binds before code does, as a renderer sees it.
#[test]
fn nothing_is_called_code_of_which_a_renderer_thinks_otherwise() {
    for (text, quoted) in [
        ("```\n> x\n```\n<b> ![a](u)", false),
        ("```\n> x\n```\n<b> ![a](u)", true),
        ("```\n  ```\n<b>", false),
        ("```\n``` ```\n```\n<b>", false),
        ("> ```\n > x\n> ```\n> <b>", false),
        ("[a](b`c) <b> ![a](u) `d", false),
    ] {
        let text = if quoted { quote(text) } else { text.to_owned() };
        let shown = TextMode::Markdown.neutralise(&text);
        assert_eq!(TextMode::Markdown.neutralise(&shown), shown);
        for event in pulldown_cmark::Parser::new(&shown) {
            let bad = matches!(
                event,
                pulldown_cmark::Event::Html(_)
                    | pulldown_cmark::Event::InlineHtml(_)
                    | pulldown_cmark::Event::Start(pulldown_cmark::Tag::Image { .. })
            );
            assert!(!bad, "{event:?} in {shown:?}");
        }
    }
}

#[test]
fn a_long_memo_stays_within_the_limit() {
    let markers = Markers::default();
    for mode in MODES {
        // Every character grows when it is made harmless.
        for said in [
            "🦀".repeat(20_000),
            "日".repeat(60_000),
            "''".repeat(30_000),
        ] {
            let memo = Memo::new(MemoKind::Triage, Fields::new(), said).neutralise(&mode, &markers);
            let body = memo.render(&markers, &mode, &key(), &keys());
            assert!(body.chars().count() <= MAX_COMMENT);
            assert!(body.contains("[shortened"));
        }
    }
}

#[test]
fn what_a_model_writes_stays_readable_in_markdown() {
    let said = "## 原因 🦀\n* `Vec<String>` が **空**\n```rust\nlet v: Vec<String> = vec![];\n```\n<b>x</b> <!-- hidden --> ![p](https://x.example/?q)";
    insta::assert_snapshot!(TextMode::Markdown.neutralise(said), @r"
    ## 原因 [U+1F980]
    * `Vec<String>` が **空**
    ```rust
    let v: Vec<String> = vec![];
    ```
    \<b>x\</b> \<!-- hidden --> \![p](https://x.example/?q)
    ");
}

#[test]
fn what_a_model_writes_stays_readable_in_the_older_notation() {
    let said = "* heading?\n''bold'' {code}x{/code} &br; [[a>b]] #image(https://x.example/)\n- item\n> {quote}";
    insta::assert_snapshot!(TextMode::Classic.neutralise(said), @r"
    \* heading?
    \''bold\'' \{code}x\{/code} \&br; \[[a>b]] \#image(https://x.example/)
    - item
    > \{quote}
    ");
}

#[test]
fn a_memo_looks_like_this() {
    let fields = Fields::new()
        .with("issue", "PROJ-12")
        .with("result", "patch submitted");
    let memo = Memo::new(MemoKind::WorkDone, fields, "見てください。".to_owned());
    let none = SigningKeys::new("backlog:example");
    let shown = |mode: TextMode| memo.render(&Markers::default(), &mode, &key(), &none);
    insta::assert_snapshot!(shown(TextMode::Markdown), @r"
    Note: AI work-done memo.
    - v: 1
    - issue: PROJ-12
    - result: patch submitted

    見てください。
    ");
    insta::assert_snapshot!(shown(TextMode::Classic), @r"
    Note: AI work-done memo.
    v: 1
    issue: PROJ-12
    result: patch submitted

    見てください。
    ");
}
