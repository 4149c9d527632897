use proptest::prelude::*;

use super::*;
use crate::memo::SigningKey;
use crate::secret::Secret;
use crate::tracker::PlainDialect;

/// A dialect with everything trackers do to text: a list prefix, no astral characters, a short limit.
#[derive(Debug)]
struct Fussy;

impl Dialect for Fussy {
    fn neutralise(&self, text: &str) -> String {
        text.chars()
            .map(|c| if c > '\u{FFFF}' { '\u{FFFD}' } else { c })
            .collect::<String>()
            .lines()
            .map(|l| {
                if l.starts_with('/') {
                    format!("`{l}`")
                } else {
                    l.to_owned()
                }
            })
            .collect::<Vec<_>>()
            .join("\n")
    }
    fn max_chars(&self) -> usize {
        700
    }
    fn key_prefix(&self) -> &str {
        "- "
    }
}

fn key() -> IssueKey {
    IssueKey::new("A-1").expect("valid")
}

fn keys() -> SigningKeys {
    SigningKeys::new("tracker.example/project").with_current(SigningKey::new(
        "k1",
        Secret::new("0123456789abcdef0123456789abcdef"),
    ))
}

fn memo() -> impl Strategy<Value = Memo> {
    let field = ("[a-z][a-z0-9-]{0,10}", any::<String>())
        .prop_filter("reserved", |(k, _)| k != "v" && k != "sig");
    (
        0usize..6,
        prop::collection::vec(field, 0..8),
        any::<String>(),
    )
        .prop_map(|(kind, lines, text)| {
            let mut fields = Fields::new();
            for (k, v) in lines {
                fields.push(&k, v);
            }
            Memo::new(MemoKind::ALL[kind], fields, text)
        })
}

proptest! {
    #[test]
    fn what_is_sent_reads_back(memo in memo(), signed in any::<bool>(), fussy in any::<bool>()) {
        let dialect: &dyn Dialect = if fussy { &Fussy } else { &PlainDialect };
        let keys = if signed { keys() } else { SigningKeys::new("t") };
        let m = Markers::default();
        let sent = memo.neutralise(dialect, &m);
        prop_assert_eq!(&sent.neutralise(dialect, &m), &sent);
        let body = sent.render(&m, dialect, &key(), &keys);
        prop_assert_eq!(Memo::parse(&body, &m, &key(), &keys, false), Parsed::Memo(sent.clone()));
        // Trackers give back CRLF and trim the end.
        let crlf = body.replace('\n', "\r\n");
        prop_assert_eq!(Memo::parse(&crlf, &m, &key(), &keys, false), Parsed::Memo(sent));
    }

    #[test]
    fn hostile_bodies_never_panic(body in any::<String>(), marker in any::<bool>()) {
        let m = Markers::default();
        let body = if marker { format!("{}\n{body}", m.work_start) } else { body };
        let _parsed = Memo::parse(&body, &m, &key(), &keys(), false);
    }

    #[test]
    fn any_changed_byte_breaks_the_signature(at in 0usize..400, to in b' '..b'~') {
        let m = Markers::default();
        let memo = Memo::new(
            MemoKind::WorkStart,
            Fields::new().with("issue", "A-1").with("lease-s", "1800").with("res", "issue:A-1"),
            "said".into(),
        );
        let body = memo.render(&m, &PlainDialect, &key(), &keys());
        let mut bytes = body.clone().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to && bytes[at] != b'\n');
        bytes[at] = to;
        let changed = String::from_utf8(bytes).expect("ascii");
        match Memo::parse(&changed, &m, &key(), &keys(), false) {
            // Only spaces that no reader keeps may change without notice.
            Parsed::Memo(read) => prop_assert_eq!(read, memo),
            Parsed::NotAMemo | Parsed::Broken { .. } => {}
        }
    }
}

#[test]
fn a_memo_is_readable() {
    let memo = Memo::new(
        MemoKind::WorkStart,
        Fields::new()
            .with("issue", "A-1")
            .with("base", "main @ 0123456789ab"),
        quote("first\n/close"),
    );
    let body = memo.render(&Markers::default(), &Fussy, &key(), &SigningKeys::new("t"));
    insta::assert_snapshot!(body, @r"
    Note: AI work-start memo.
    - v: 1
    - issue: A-1
    - base: main @ 0123456789ab

    > first
    > /close
    ");
}

#[test]
fn what_is_wrong_is_said() {
    let m = Markers::default();
    let parse = |rest: &str| {
        Memo::parse(
            &format!("{}\n{rest}", m.work_start),
            &m,
            &key(),
            &SigningKeys::new("t"),
            false,
        )
    };
    let reason = |rest: &str| match parse(rest) {
        Parsed::Broken { reason } => reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(reason("issue: A-1"), "it has no `v:` line");
    assert_eq!(reason("v: 2"), "version 2 is not known");
    assert_eq!(reason("v: 1\nv: 1"), "`v` stands twice");
    assert_eq!(reason("v: 1\nhello"), "line 3 is not `key: value`");
    assert_eq!(
        reason("v: 1\nissue: ä"),
        "the value of `issue` is not plain ASCII"
    );
}

#[test]
fn a_signature_belongs_to_one_issue_and_one_tracker() {
    let m = Markers::default();
    let memo = Memo::new(
        MemoKind::WorkStart,
        Fields::new().with("issue", "A-1"),
        String::new(),
    );
    let body = memo.render(&m, &PlainDialect, &key(), &keys());
    assert_eq!(
        Memo::parse(&body, &m, &key(), &keys(), false),
        Parsed::Memo(memo)
    );
    let other = IssueKey::new("A-2").expect("valid");
    assert!(matches!(
        Memo::parse(&body, &m, &other, &keys(), false),
        Parsed::Broken { .. }
    ));
    let elsewhere = SigningKeys::new("elsewhere").with_current(SigningKey::new(
        "k1",
        Secret::new("0123456789abcdef0123456789abcdef"),
    ));
    assert!(matches!(
        Memo::parse(&body, &m, &key(), &elsewhere, false),
        Parsed::Broken { .. }
    ));
}
