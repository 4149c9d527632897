//! Finds the rules whose words stand in a path.

use std::collections::{BTreeSet, HashMap};

use regex::Regex;

use super::fold::{stem, words};
use super::{Fold, RulesError};

/// The rules by their words.
#[derive(Debug, Default)]
pub(super) struct WordIndex {
    rules: HashMap<String, Vec<usize>>,
    /// Matches every path that could hold one of the words; most paths hold none.
    might: Option<Regex>,
}

impl WordIndex {
    /// Collects the words of numbered rules.
    pub(super) fn new<'a, I>(words: I) -> Result<Self, RulesError>
    where
        I: IntoIterator<Item = (usize, &'a str)>,
    {
        let mut rules: HashMap<String, Vec<usize>> = HashMap::new();
        for (rule, word) in words {
            rules
                .entry(Fold::default().apply(word))
                .or_default()
                .push(rule);
        }
        if rules.is_empty() {
            return Ok(Self::default());
        }
        let stems: BTreeSet<String> = rules.keys().map(|word| regex::escape(stem(word))).collect();
        let any = stems.into_iter().collect::<Vec<_>>().join("|");
        let might = Regex::new(&any).map_err(|_too_big| RulesError::TooMany)?;
        Ok(Self {
            rules,
            might: Some(might),
        })
    }

    /// Returns the rules one of whose words stands in the path, alone or as two neighbours.
    pub(super) fn find(&self, path: &str) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let squeezed = squeeze(path);
        if self
            .might
            .as_ref()
            .is_none_or(|might| !might.is_match(&squeezed))
        {
            return found;
        }
        let mut look_up = |word: &str| {
            let plain = word.trim_end_matches(|c: char| c.is_ascii_digit());
            let rules = self
                .rules
                .get(word)
                .or_else(|| self.rules.get(&Fold::default().apply(plain)));
            found.extend(rules.into_iter().flatten());
        };
        for segment in path.split('/') {
            let words = words(segment);
            words.iter().for_each(|word| look_up(word));
            for pair in words.windows(2) {
                look_up(&pair.concat());
            }
        }
        found
    }
}

/// Returns the letters and digits of a path in lower case, and its slashes.
fn squeeze(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        if c.is_ascii_alphanumeric() || c == '/' {
            out.push(c.to_ascii_lowercase());
        } else if !c.is_ascii() && c.is_alphanumeric() {
            out.extend(c.to_lowercase());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 7] = [
        "auth", "sign up", "payment", "category", "person", "index", "leaf",
    ];

    fn find(path: &str) -> Vec<&'static str> {
        let index = WordIndex::new(WORDS.into_iter().enumerate()).expect("the words are good");
        index
            .find(path)
            .into_iter()
            .map(|rule| WORDS[rule])
            .collect()
    }

    #[test]
    fn words_are_found_whole_in_any_form() {
        for (path, expected) in [
            ("src/auth/mod.rs", &["auth"][..]),
            ("src/AuthController.php", &["auth"]),
            ("src/oauth.rs", &[]),
            ("src/authors.rs", &[]),
            ("src/auth2.rs", &["auth"]),
            ("app/SignUpForm.tsx", &["sign up"]),
            ("app/sign-up.ts", &["sign up"]),
            ("app/signup.ts", &["sign up"]),
            ("app/sign/up.ts", &[]),
            ("a/PaymentsJob.rb", &["payment"]),
            ("a/categories.rb", &["category"]),
            ("a/people.rb", &["person"]),
            ("a/indices/leaves.rb", &["index", "leaf"]),
        ] {
            assert_eq!(find(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_quick_test_hides_nothing(path in "(auth|Sign|up|payment|categor|ies|y|people|indices|lea|ves|f|s|-|_|/|X){1,6}") {
            let index = WordIndex::new(WORDS.into_iter().enumerate()).expect("the words are good");
            let slow = WordIndex { rules: index.rules.clone(), might: Some(Regex::new("").expect("an empty pattern")) };
            prop_assert_eq!(index.find(&path), slow.find(&path));
        }
    }
}
