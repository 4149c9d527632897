//! Program calls against `program word word` patterns.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::shell::base_name;

/// Finds the rules about a program call without comparing it with all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct ByProgram {
    exact: HashMap<String, Vec<Run>>,
    /// Those whose program is a pattern or has a folder.
    others: Vec<(String, Run)>,
}

#[derive(Debug, Clone)]
struct Run {
    rule: usize,
    words: Vec<String>,
}

impl ByProgram {
    /// Builds the index from the `run` lists of rules, in their order.
    pub(super) fn new<'r>(rules: impl Iterator<Item = &'r Vec<String>>) -> Self {
        let mut index = Self::default();
        for (rule, runs) in rules.enumerate() {
            for run in runs {
                let mut parts = run.split_whitespace().map(str::to_owned);
                let Some(program) = parts.next() else {
                    continue;
                };
                let run = Run {
                    rule,
                    words: parts.collect(),
                };
                if program.contains(['*', '/']) {
                    index.others.push((program, run));
                } else {
                    index.exact.entry(program).or_default().push(run);
                }
            }
        }
        index
    }

    /// Returns the rules that are about this call, in order, with the place where its arguments begin.
    pub(super) fn matching(&self, words: &[String]) -> BTreeMap<usize, usize> {
        let mut matching = BTreeMap::new();
        let Some(program) = words.first().map(|program| clipped(program)) else {
            return matching;
        };
        let name = base_name(program);
        let exact = self.exact.get(name).into_iter().flatten();
        let others = self.others.iter().filter(|(pattern, _)| {
            wildcard(pattern, if pattern.contains('/') { program } else { name })
        });
        for run in exact.chain(others.map(|(_, run)| run)) {
            if let Some(first) = behind_subcommand(&run.words, words) {
                matching.entry(run.rule).or_insert(first);
            }
        }
        matching
    }

    /// Says whether some rule is about a program of this name.
    pub(super) fn names(&self, program: &str) -> bool {
        self.exact.contains_key(base_name(program))
    }
}

/// Cuts a word where no program name, option or path reaches, so that a hostile one costs no more.
pub(super) fn clipped(word: &str) -> &str {
    const LONGEST: usize = 2048;
    if word.len() <= LONGEST {
        return word;
    }
    let end = (0..=LONGEST)
        .rev()
        .find(|end| word.is_char_boundary(*end))
        .unwrap_or(0);
    word.get(..end).unwrap_or_default()
}

/// Returns the index behind the last subcommand word, if they all follow one another behind the program.
///
/// Options may stand before each word, and each may have a value that is no subcommand.
fn behind_subcommand(parts: &[String], words: &[String]) -> Option<usize> {
    let mut at = 1;
    for part in parts {
        let mut after_option = false;
        loop {
            let word = words.get(at)?;
            at += 1;
            if wildcard(part, clipped(word)) {
                break;
            }
            if word.len() > 1 && (word.starts_with('-') || word.starts_with('+')) {
                after_option = !word.contains('=');
            } else if after_option {
                after_option = false;
            } else {
                return None;
            }
        }
    }
    Some(at)
}

/// Compares a text with a pattern in which `*` stands for anything, and `\*` for itself.
///
/// Linear in practice and never worse than the product of both lengths, whatever the text.
pub(super) fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while let Some(byte) = text.get(t) {
        match (pattern.get(p), pattern.get(p + 1)) {
            (Some(b'*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(b'\\'), Some(b'*')) if *byte == b'*' => {
                p += 2;
                t += 1;
            }
            (Some(expected), _) if expected == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((star_p, star_t)) => {
                    p = star_p + 1;
                    t = star_t + 1;
                    star = Some((star_p, t));
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .unwrap_or_default()
        .iter()
        .all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::behind_subcommand;
    use super::wildcard;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("git", "git", true),
            ("git", "gitk", false),
            ("git*", "git", true),
            ("*deploy*.sh", "pre-deploy-prod.sh", true),
            ("*deploy*.sh", "deploy.shx", false),
            ("+*", "+main", true),
            ("*", "", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXb", false),
            (r"*\**", "storage/*", true),
            (r"*\**", "storage/a", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn subcommands_are_found_behind_options_and_their_values() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            behind_subcommand(&words("push"), &words("git -C dir push --force")),
            Some(4)
        );
        assert_eq!(
            behind_subcommand(&words("push"), &words("git --no-pager push")),
            Some(3)
        );
        assert_eq!(
            behind_subcommand(&words("push"), &words("git commit -m push")),
            None
        );
        assert_eq!(
            behind_subcommand(&words("s3 sync"), &words("aws --profile p s3 sync a b")),
            Some(5)
        );
        assert_eq!(behind_subcommand(&[], &words("rm x")), Some(1));
        assert_eq!(behind_subcommand(&words("push"), &words("git")), None);
    }
}
