//! Which literals a pattern cannot match without.
//!
//! All literals of all rules go into one automaton that sees every byte once; a regex runs only on a
//! line that holds one of its own.

use regex_syntax::hir::Class;
use regex_syntax::hir::Hir;
use regex_syntax::hir::HirKind;

/// The shortest literal worth looking for, in bytes.
pub(crate) const SHORTEST: usize = 3;
const MOST_STRINGS: usize = 16;
const LONGEST: usize = 32;

type Strings = Vec<Vec<u8>>;

/// Returns lower-case strings of which every match of `hir` contains at least one (in any case), or
/// nothing if no such set of useful strings is found.
pub(crate) fn required(hir: &Hir) -> Option<Strings> {
    let found = best(hir)?;
    (score(&found) >= SHORTEST).then_some(found)
}

fn score(strings: &Strings) -> usize {
    strings.iter().map(Vec::len).min().unwrap_or(0)
}

/// A set is better when its shortest string is longer, then when it is smaller.
fn better(a: Option<Strings>, b: Option<Strings>) -> Option<Strings> {
    match (a, b) {
        (Some(a), Some(b)) => {
            let (left, right) = (score(&a).min(8), score(&b).min(8));
            Some(if (left, b.len()) >= (right, a.len()) {
                a
            } else {
                b
            })
        }
        (a, b) => a.or(b),
    }
}

fn best(hir: &Hir) -> Option<Strings> {
    if let Some(all) = exact(hir) {
        return (score(&all) > 0).then_some(all);
    }
    match hir.kind() {
        HirKind::Capture(capture) => best(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => best(&repetition.sub),
        HirKind::Alternation(branches) => {
            let mut all = Strings::new();
            for branch in branches {
                all.extend(best(branch)?);
            }
            all.sort();
            all.dedup();
            (all.len() <= MOST_STRINGS * 8).then_some(all)
        }
        HirKind::Concat(_) => {
            let mut parts = Vec::new();
            flatten(hir, &mut parts);
            let mut found = None;
            let mut run: Strings = vec![Vec::new()];
            for part in parts {
                match exact(part).and_then(|strings| product(&run, &strings)) {
                    Some(longer) => run = longer,
                    None => {
                        let longer = at_least(part).and_then(|strings| product(&run, &strings));
                        found = better(found, useful(longer.unwrap_or(run)));
                        run = exact(part).unwrap_or_else(|| vec![Vec::new()]);
                        found = better(found, best(part));
                    }
                }
            }
            better(found, useful(run))
        }
        HirKind::Literal(literal) => {
            let head = literal.0.iter().take(LONGEST).copied().collect::<Vec<_>>();
            Some(vec![head.to_ascii_lowercase()])
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// Lists the parts of a sequence, through the groups in it.
fn flatten<'a>(hir: &'a Hir, parts: &mut Vec<&'a Hir>) {
    match hir.kind() {
        HirKind::Concat(inner) => inner.iter().for_each(|part| flatten(part, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Empty
        | HirKind::Literal(_)
        | HirKind::Class(_)
        | HirKind::Look(_)
        | HirKind::Repetition(_)
        | HirKind::Alternation(_) => parts.push(hir),
    }
}

/// Returns what a repetition begins with at least: `x{3,}` begins with `xxx`.
fn at_least(hir: &Hir) -> Option<Strings> {
    let HirKind::Repetition(repetition) = hir.kind() else {
        return None;
    };
    let once = exact(&repetition.sub)?;
    let mut all: Strings = vec![Vec::new()];
    for _ in 0..repetition.min.min(8) {
        all = product(&all, &once)?;
    }
    Some(all)
}

fn useful(strings: Strings) -> Option<Strings> {
    (score(&strings) > 0).then_some(strings)
}

/// Returns every string that `hir` matches, in lower case, if they are few.
fn exact(hir: &Hir) -> Option<Strings> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => {
            (literal.0.len() <= LONGEST).then(|| vec![literal.0.to_ascii_lowercase()])
        }
        HirKind::Class(class) => exact_class(class),
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Repetition(repetition) => {
            if repetition.min == 0 && repetition.max == Some(1) {
                let mut strings = exact(&repetition.sub)?;
                strings.push(Vec::new());
                Some(strings)
            } else {
                None
            }
        }
        HirKind::Concat(parts) => {
            let mut all: Strings = vec![Vec::new()];
            for part in parts {
                all = product(&all, &exact(part)?)?;
            }
            Some(all)
        }
        HirKind::Alternation(branches) => {
            let mut all = Strings::new();
            for branch in branches {
                all.extend(exact(branch)?);
            }
            all.sort();
            all.dedup();
            (all.len() <= MOST_STRINGS).then_some(all)
        }
    }
}

fn exact_class(class: &Class) -> Option<Strings> {
    const MOST_CHARS: u32 = 8;
    let mut strings = Strings::new();
    match class {
        Class::Unicode(class) => {
            for range in class.iter() {
                if u32::from(range.end()) - u32::from(range.start()) >= MOST_CHARS {
                    return None;
                }
                strings.extend(
                    (range.start()..=range.end())
                        .map(|c| c.to_ascii_lowercase().to_string().into_bytes()),
                );
            }
        }
        Class::Bytes(class) => {
            for range in class.iter() {
                if u32::from(range.end()) - u32::from(range.start()) >= MOST_CHARS {
                    return None;
                }
                strings.extend((range.start()..=range.end()).map(|b| vec![b.to_ascii_lowercase()]));
            }
        }
    }
    strings.sort();
    strings.dedup();
    (strings.len() <= 4).then_some(strings)
}

fn product(heads: &Strings, tails: &Strings) -> Option<Strings> {
    if heads.len() * tails.len() > MOST_STRINGS {
        return None;
    }
    let mut all = Strings::with_capacity(heads.len() * tails.len());
    for head in heads {
        for tail in tails {
            if head.len() + tail.len() > LONGEST {
                return None;
            }
            all.push([head.as_slice(), tail.as_slice()].concat());
        }
    }
    all.sort();
    all.dedup();
    Some(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_syntax::ParserBuilder;

    use super::*;

    fn of(pattern: &str) -> Option<Vec<String>> {
        let hir = ParserBuilder::new()
            .unicode(false)
            .utf8(false)
            .build()
            .parse(pattern)
            .unwrap();
        required(&hir).map(|strings| {
            strings
                .into_iter()
                .map(|s| String::from_utf8(s).unwrap())
                .collect()
        })
    }

    #[test]
    fn the_longest_unavoidable_string_is_found() {
        for (pattern, strings) in [
            (r"^error\[(E\d{4})\]: (.+)", vec!["error[e"]),
            (r"(?i)Out of Memory", vec!["out of memory"]),
            (
                r"^(?:npm ERR!|npm error) code (\w+)",
                vec!["npm err! code ", "npm error code "],
            ),
            (
                r"\d+ (?:failed|errors?)",
                vec![" error", " errors", " failed"],
            ),
            (r"(?:no such host)+", vec!["no such host"]),
            (r"a.*cannot find.*b", vec!["cannot find"]),
            (r"^E {3,}(\S.*)", vec!["e   "]),
            (r"(\S+\.pyi?):\d", vec![".py:", ".pyi:"]),
            (r"^\s+\d+ +(?:✖|×) (.+)", vec!["× ", "✖ "]),
        ] {
            assert_eq!(of(pattern).unwrap(), strings, "of {pattern}");
        }
    }

    #[test]
    fn a_pattern_without_one_is_told_apart() {
        for pattern in [r"^\d+$", r"(?:abc)?", r".*", r"ab", r"(?:foobar|\w+)"] {
            assert_eq!(of(pattern), None, "of {pattern}");
        }
    }

    proptest! {
        /// The prefilter may never hide a match.
        #[test]
        fn every_match_contains_one_of_them(
            words in proptest::collection::vec("[a-c]{1,3}", 1..4),
            text in "[a-c]{0,12}",
        ) {
            let pattern = format!("{}(?:{})?[ab]{}", words[0], words.join("|"), words[words.len() - 1]);
            let regex = regex::bytes::Regex::new(&pattern).unwrap();
            if let (Some(found), Some(strings)) = (regex.find(text.as_bytes()), of(&pattern)) {
                let found = String::from_utf8_lossy(found.as_bytes()).into_owned();
                prop_assert!(strings.iter().any(|s| found.contains(s)), "{pattern} {found} {strings:?}");
            }
        }
    }
}
