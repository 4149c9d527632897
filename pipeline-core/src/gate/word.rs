//! The words of an OK in a comment, read exactly or not at all.
//!
//! ```text
//! OK <candidate> [allow <class>[,<class>…]] [protected <id> [<id>…]]
//! SHIP <commit> [rules <digest>]
//! ```
//! Keywords in any case, one blank or more between words, everything on the first line that is not blank. What stands
//! below it is for people.

use std::collections::BTreeSet;

use crate::integrate::Candidate;
use crate::protected::HoldReason;
use crate::workspace::CommitId;

/// Digits by which people name a candidate, a commit or the rules.
pub(super) const SHORT: usize = 12;

/// Which gate a comment speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Ok,
    Ship,
}

impl Verb {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Ship => "SHIP",
        }
    }
}

/// An OK that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// What it names: its first twelve digits or all of them, in lower case.
    pub(super) subject: String,
    pub(super) allow: BTreeSet<String>,
    pub(super) protected: BTreeSet<String>,
    /// The digest of the deploy rules it names, at least twelve digits of it.
    pub(super) rules: Option<String>,
}

/// What a comment is to a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// Ordinary talk.
    Talk,
    /// An OK.
    Said(Word),
    /// Meant as one, but not written as one: the sentence says why.
    Malformed(&'static str),
}

/// Reads a comment for a gate that waits for `subject` (a full id).
pub(super) fn read(body: &str, verb: Verb, subject: &str) -> Reading {
    let lines: Vec<&str> = body
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let Some((first, below)) = lines.split_first() else {
        return Reading::Talk;
    };
    let tries = |line: &&&str| is_attempt(line, verb);
    let short = subject.get(..SHORT).unwrap_or(subject);
    if !is_attempt(first, verb) {
        // Only who names this very subject can have meant it: everything else is a word in a sentence.
        let meant = lines
            .iter()
            .any(|l| has_word(l, verb) && l.to_ascii_lowercase().contains(short));
        return match meant {
            false => Reading::Talk,
            true if first.starts_with('>') => {
                Reading::Malformed("it stands in a quotation; write it in a comment of your own")
            }
            true => Reading::Malformed(
                "it does not begin the comment; write it alone on the first line, without any mark around it",
            ),
        };
    }
    if below.iter().any(|l| tries(&l)) {
        return Reading::Malformed("the comment holds more than one; write a comment with one");
    }
    match verb {
        Verb::Ok => parse_ok(first),
        Verb::Ship => parse_ship(first),
    }
}

/// Returns whether a line begins like an OK: the keyword and something that could be an id.
fn is_attempt(line: &str, verb: Verb) -> bool {
    let mut words = line.split_whitespace();
    let keyword = words
        .next()
        .is_some_and(|w| w.eq_ignore_ascii_case(verb.word()));
    let id = words
        .next()
        .is_some_and(|w| w.len() >= 7 && w.bytes().all(|b| b.is_ascii_hexdigit()));
    keyword && id
}

fn has_word(line: &str, verb: Verb) -> bool {
    line.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|w| w.eq_ignore_ascii_case(verb.word()))
}

fn parse_ok(line: &str) -> Reading {
    const FORM: Reading = Reading::Malformed(
        "it is not written as `OK <candidate> allow <class>,<class> protected <id> <id>`, of which the last two parts may be missing",
    );
    let mut words = line.split_ascii_whitespace().skip(1).peekable();
    let Some(subject) = words.next().and_then(|w| id(w, &[SHORT, 64])) else {
        return Reading::Malformed(
            "it does not name a candidate by its 12 or all of its 64 digits",
        );
    };
    let (mut allow, mut protected) = (BTreeSet::new(), BTreeSet::new());
    while let Some(keyword) = words.next() {
        if keyword.eq_ignore_ascii_case("allow") && allow.is_empty() {
            let Some(classes) = words.next().and_then(classes) else {
                return FORM;
            };
            allow = classes;
        } else if keyword.eq_ignore_ascii_case("protected") && protected.is_empty() {
            while let Some(next) = words.next_if(|w| !w.eq_ignore_ascii_case("allow")) {
                if !is_token(next) || !protected.insert(next.to_ascii_lowercase()) {
                    return FORM;
                }
            }
            if protected.is_empty() {
                return FORM;
            }
        } else {
            return FORM;
        }
    }
    Reading::Said(Word {
        subject,
        allow,
        protected,
        rules: None,
    })
}

fn parse_ship(line: &str) -> Reading {
    const FORM: Reading = Reading::Malformed(
        "it is not written as `SHIP <commit> rules <digest>`, with 12 digits or all of each",
    );
    let words: Vec<&str> = line.split_ascii_whitespace().skip(1).collect();
    let (commit, rules) = match words.as_slice() {
        [commit] => (commit, None),
        [commit, keyword, digest] if keyword.eq_ignore_ascii_case("rules") => {
            let Some(digest) = id(digest, &[SHORT, 64]) else {
                return FORM;
            };
            (commit, Some(digest))
        }
        _ => return FORM,
    };
    match id(commit, &[SHORT, 40, 64]) {
        Some(subject) => Reading::Said(Word {
            subject,
            allow: BTreeSet::new(),
            protected: BTreeSet::new(),
            rules,
        }),
        None => FORM,
    }
}

fn id(word: &str, lengths: &[usize]) -> Option<String> {
    (lengths.contains(&word.len()) && word.bytes().all(|b| b.is_ascii_hexdigit()))
        .then(|| word.to_ascii_lowercase())
}

fn classes(word: &str) -> Option<BTreeSet<String>> {
    let mut classes = BTreeSet::new();
    for class in word.split(',') {
        if !is_token(class) || !classes.insert(class.to_ascii_lowercase()) {
            return None;
        }
    }
    Some(classes)
}

fn is_token(word: &str) -> bool {
    (1..=100).contains(&word.len())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

/// Returns the comment that gives the OK on a candidate and lifts every hold of it: what an approver may copy after
/// having looked.
#[must_use]
pub fn ok_comment(candidate: &Candidate) -> String {
    let mut allow: Vec<String> = Vec::new();
    let mut protected: Vec<String> = Vec::new();
    for hold in candidate.holds() {
        match &hold.reason {
            HoldReason::Class(class) => allow.push(class.name().to_owned()),
            HoldReason::Protected(_) => protected.push(hold.id.to_string()),
        }
    }
    for list in [&mut allow, &mut protected] {
        list.sort_unstable();
        list.dedup();
    }
    let mut out = format!("OK {}", candidate.id().short());
    if !allow.is_empty() {
        out.push_str(" allow ");
        out.push_str(&allow.join(","));
    }
    if !protected.is_empty() {
        out.push_str(" protected ");
        out.push_str(&protected.join(" "));
    }
    out
}

/// Returns the comment that permits to ship a commit under these deploy rules (their digest).
#[must_use]
pub fn ship_comment(commit: &CommitId, rules: &str) -> String {
    let rules = rules.get(..SHORT).unwrap_or(rules);
    format!("SHIP {} rules {rules}", commit.short())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0123456789ab";

    fn full() -> String {
        format!("{ID}{}", "0".repeat(52))
    }

    fn said(body: &str) -> Option<Word> {
        match read(body, Verb::Ok, &full()) {
            Reading::Said(word) => Some(word),
            Reading::Talk | Reading::Malformed(_) => None,
        }
    }

    fn why(body: &str, verb: Verb) -> &'static str {
        match read(body, verb, &full()) {
            Reading::Malformed(why) => why,
            Reading::Talk => "talk",
            Reading::Said(_) => "said",
        }
    }

    #[test]
    fn an_ok_is_read_in_every_permitted_spelling() {
        for body in [
            "OK 0123456789ab",
            "\n\n  ok   0123456789AB  \n\nthanks!",
            &format!("Ok {}", full().to_uppercase()),
        ] {
            let word = said(body).expect(body);
            assert!(full().starts_with(&word.subject), "{body}");
            assert!(word.allow.is_empty() && word.protected.is_empty());
        }
        let all = said("OK 0123456789ab ALLOW lockfile,Migration protected P1 p2").expect("reads");
        assert_eq!(
            all.allow,
            ["lockfile", "migration"].map(String::from).into()
        );
        assert_eq!(all.protected, ["p1", "p2"].map(String::from).into());
        let turned = said("OK 0123456789ab protected p1 p2 allow lockfile,migration");
        assert_eq!(turned, Some(all));
    }

    #[test]
    fn what_is_meant_as_an_ok_and_is_none_says_why() {
        let ok = |body| why(body, Verb::Ok);
        insta::assert_snapshot!(ok("> OK 0123456789ab"), @"it stands in a quotation; write it in a comment of your own");
        insta::assert_snapshot!(ok("`OK 0123456789ab`"), @"it does not begin the comment; write it alone on the first line, without any mark around it");
        insta::assert_snapshot!(ok("Fine by me.\nOK 0123456789ab"), @"it does not begin the comment; write it alone on the first line, without any mark around it");
        insta::assert_snapshot!(ok("OK 0123456789ab\nOK 999999999999"), @"the comment holds more than one; write a comment with one");
        insta::assert_snapshot!(ok("OK 0123456"), @"it does not name a candidate by its 12 or all of its 64 digits");
        insta::assert_snapshot!(ok("OK 0123456789ab."), @"it does not begin the comment; write it alone on the first line, without any mark around it");
        insta::assert_snapshot!(ok("OK 0123456789ab thanks"), @"it is not written as `OK <candidate> allow <class>,<class> protected <id> <id>`, of which the last two parts may be missing");
        let form = ok("OK 0123456789ab allow");
        for body in [
            "OK 0123456789ab allow lockfile, migration",
            "OK 0123456789ab allow lockfile allow migration",
            "OK 0123456789ab allow lockfile,lockfile",
            "OK 0123456789ab protected",
            "OK 0123456789ab protected allow lockfile",
            "OK 0123456789ab protected p\u{200b}1",
            "OK 0123456789ab not",
        ] {
            assert_eq!(ok(body), form, "{body}");
        }
        let ship = |body| why(body, Verb::Ship);
        insta::assert_snapshot!(ship("SHIP 0123456789ab now"), @"it is not written as `SHIP <commit> rules <digest>`, with 12 digits or all of each");
        insta::assert_snapshot!(ship("SHIP 0123456789ab rules 12"), @"it is not written as `SHIP <commit> rules <digest>`, with 12 digits or all of each");
    }

    #[test]
    fn ordinary_words_are_talk() {
        for body in [
            "",
            "OK",
            "ok, thanks!",
            "OK let us do it",
            "book 0123456789ab",
            "0123456789ab is broken",
            "> OK 999999999999",
            "SHIP 0123456789ab",
        ] {
            assert_eq!(why(body, Verb::Ok), "talk", "{body}");
        }
    }

    #[test]
    fn a_ship_word_may_name_the_rules() {
        let ship = |body| read(body, Verb::Ship, &full());
        let word = |rules: Option<&str>| {
            Reading::Said(Word {
                subject: ID.into(),
                allow: BTreeSet::new(),
                protected: BTreeSet::new(),
                rules: rules.map(str::to_owned),
            })
        };
        assert_eq!(ship("Ship 0123456789ab"), word(None));
        assert_eq!(
            ship("SHIP 0123456789ab RULES ABCDEF012345"),
            word(Some("abcdef012345"))
        );
    }

    proptest! {
        #[test]
        fn an_ok_is_never_read_out_of_noise(body in "(OK|ok|[ >`\n])*( 0123456789ab)?[ -~\n]{0,40}") {
            if let Some(word) = said(&body) {
                let first = body.lines().map(str::trim).find(|l| !l.is_empty()).expect("not blank");
                let mut words = first.split_ascii_whitespace();
                prop_assert!(words.next().is_some_and(|w| w.eq_ignore_ascii_case("ok")));
                prop_assert_eq!(words.next().map(str::to_ascii_lowercase), Some(word.subject));
            }
        }
    }
}
