//! Bringing different spellings of one name together.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// Which spellings of a captured name count as one.
///
/// With everything on, which is the default, `PointHistories`, `point_history` and `point-histories`
/// are all `pointhistory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Fold {
    /// Upper and lower case are one.
    pub case: bool,
    /// `-`, `_`, `.` and spaces inside a name are nothing.
    pub separators: bool,
    /// Singular and plural (English) are one.
    pub plural: bool,
}

impl Default for Fold {
    fn default() -> Self {
        Self {
            case: true,
            separators: true,
            plural: true,
        }
    }
}

impl Fold {
    /// Returns the one spelling that stands for `name`.
    #[must_use]
    pub fn apply(self, name: &str) -> String {
        let mut out: String = name.nfc().collect();
        if self.case {
            out = out.to_lowercase();
        }
        if self.separators {
            out.retain(|c| !matches!(c, '-' | '_' | '.' | ' '));
        }
        if self.plural {
            singular(&mut out);
        }
        out
    }
}

/// Words whose plural follows no rule; compared as endings, since separators are gone.
const IRREGULAR: [(&str, &str); 14] = [
    ("people", "person"),
    ("children", "child"),
    ("indices", "index"),
    ("vertices", "vertex"),
    ("matrices", "matrix"),
    ("analyses", "analysis"),
    ("diagnoses", "diagnosis"),
    ("hypotheses", "hypothesis"),
    ("theses", "thesis"),
    ("crises", "crisis"),
    ("criteria", "criterion"),
    ("knives", "knife"),
    ("leaves", "leaf"),
    ("shelves", "shelf"),
];

/// Words that end in `s` and are singular already.
const SINGULAR_S: [&str; 12] = [
    "alias",
    "atlas",
    "bias",
    "canvas",
    "gas",
    "christmas",
    "news",
    "series",
    "species",
    "always",
    "lens",
    "https",
];

/// Words on `-ie`, whose plural must not become `-y`.
const ENDS_IE: [&str; 8] = [
    "cookie", "movie", "calorie", "zombie", "selfie", "rookie", "genie", "hoodie",
];

/// Words on `-che` and `-xe`, whose plural loses only its `s`.
const ENDS_HE: [&str; 4] = ["cache", "niche", "headache", "axe"];

/// Words on `-u`, whose plural looks like a singular on `-us`.
const ENDS_U: [&str; 4] = ["menu", "guru", "tofu", "emu"];

/// Turns an English plural at the end of `name` into the singular.
///
/// Only agreement matters: that both forms of a word give the same text. Ends are compared bytewise,
/// which is safe because every ending is ASCII.
fn singular(name: &mut String) {
    if let Some((plural, one)) = IRREGULAR.iter().find(|(plural, _)| name.ends_with(plural)) {
        name.truncate(name.len() - plural.len());
        name.push_str(one);
        return;
    }
    if name.len() < 3 || !name.ends_with('s') || SINGULAR_S.iter().any(|word| name.ends_with(word))
    {
        return;
    }
    let without = |name: &String, ending: &str| name.strip_suffix(ending).map(str::to_owned);
    let one_less = &name[..name.len() - 1];
    if ENDS_IE
        .iter()
        .chain(&ENDS_HE)
        .chain(&ENDS_U)
        .any(|word| one_less.ends_with(word))
    {
        name.pop();
    } else if let Some(stem) = without(name, "ies").filter(|stem| stem.len() > 1) {
        *name = stem + "y";
    } else if let Some(stem) = ["sses", "xes", "ches", "shes", "zzes"]
        .iter()
        .find_map(|ending| {
            name.ends_with(ending)
                .then(|| name[..name.len() - 2].to_owned())
        })
    {
        *name = stem;
    } else if let Some(stem) = [
        "aliases", "atlases", "biases", "canvases", "gases", "lenses",
    ]
    .iter()
    .find_map(|word| {
        name.ends_with(word)
            .then(|| name[..name.len() - 2].to_owned())
    }) {
        *name = stem;
    } else if name.ends_with("uses")
        && !["auses", "ouses", "excuses", "reuses", "fuses"]
            .iter()
            .any(|word| name.ends_with(word))
        && name.len() > 4
    {
        // "statuses" is "status", while "houses" is "house"; "uses" itself is "use".
        name.truncate(name.len() - 2);
    } else if !["ss", "us", "is"]
        .iter()
        .any(|ending| name.ends_with(ending))
    {
        name.pop();
    }
}

/// Returns the part that a folded word shares with its plural.
pub(super) fn stem(word: &str) -> &str {
    match IRREGULAR.iter().find(|(_, one)| word.ends_with(one)) {
        Some((plural, one)) => {
            let shared = plural
                .bytes()
                .zip(one.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            &word[..word.len() - one.len() + shared]
        }
        None => word.strip_suffix('y').unwrap_or(word),
    }
}

/// Splits a text into lower-case words at separators and at changes of case.
///
/// `PointHTTPClient_v2` gives `point`, `http`, `client`, `v2`.
#[must_use]
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    let mut previous: Option<char> = None;
    while let Some(c) = chars.next() {
        if !c.is_alphanumeric() {
            flush(&mut word, &mut words);
            previous = None;
            continue;
        }
        let after_lower = previous.is_some_and(|p| p.is_lowercase() || p.is_numeric());
        let starts_word = previous.is_some_and(char::is_uppercase)
            && chars.peek().is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_lower || starts_word) {
            flush(&mut word, &mut words);
        }
        word.extend(c.to_lowercase());
        previous = Some(c);
    }
    flush(&mut word, &mut words);
    words
}

/// Takes whole words off the beginning and the end of a name, but never all of it.
pub(super) fn without_words<'n>(name: &'n str, drop: &[String]) -> &'n str {
    if drop.is_empty() {
        return name;
    }
    let words = words(name);
    let is_dropped = |word: &&String| drop.contains(word);
    let from: usize = words.iter().take_while(is_dropped).map(String::len).sum();
    let to: usize = words
        .iter()
        .rev()
        .take_while(is_dropped)
        .map(String::len)
        .sum();
    // Words are cut where the letters are ASCII; elsewhere lower case may have another length.
    let separators = |c: char| matches!(c, '-' | '_' | '.' | ' ');
    let kept = name
        .trim_start_matches(separators)
        .get(from..)
        .map(|rest| rest.trim_matches(separators))
        .and_then(|rest| rest.get(..rest.len().checked_sub(to)?))
        .map(|rest| rest.trim_matches(separators));
    kept.filter(|rest| !rest.is_empty()).unwrap_or(name)
}

fn flush(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_fold_together() {
        let fold = Fold::default();
        for group in [
            &[
                "PointHistories",
                "point_history",
                "point-histories",
                "POINT_HISTORY",
                "pointhistory",
            ][..],
            &["status", "Statuses"],
            &["address", "addresses", "Address"],
            &["house", "houses"],
            &["case", "cases"],
            &["cache", "caches"],
            &["category", "categories"],
            &["cookie", "cookies"],
            &["box", "boxes"],
            &["bonus", "bonuses"],
            &["alias", "aliases"],
            &["use", "uses"],
            &["analysis", "analyses"],
            &["person", "people"],
            &["news"],
            &["bus", "buses"],
            &["response", "responses"],
            &["process", "processes"],
            &["price", "prices"],
            &["key", "keys"],
            &["menu", "menus"],
        ] {
            let folded: Vec<_> = group.iter().map(|name| fold.apply(name)).collect();
            assert!(
                folded.iter().all(|name| *name == folded[0]),
                "{group:?} gave {folded:?}"
            );
        }
        assert_ne!(fold.apply("points"), fold.apply("orders"));
    }

    #[test]
    fn folding_can_be_turned_off() {
        let exact = Fold {
            case: false,
            separators: false,
            plural: false,
        };
        assert_eq!(exact.apply("Point_Histories"), "Point_Histories");
    }

    #[test]
    fn dropped_words_are_whole_words() {
        let drop = ["use".to_owned(), "store".to_owned()];
        for (name, kept) in [
            ("useCartStore", "Cart"),
            ("use-cart-store", "cart"),
            ("users", "users"),
            ("userStore", "user"),
            ("useStore", "useStore"),
            ("cart", "cart"),
            ("\u{130}stanbulStore", "\u{130}stanbul"),
            ("", ""),
        ] {
            assert_eq!(without_words(name, &drop), kept, "{name}");
        }
        assert_eq!(without_words("useCart", &[]), "useCart");
    }

    #[test]
    fn words_split_at_separators_and_humps() {
        assert_eq!(
            words("PointHTTPClient_v2.spec"),
            ["point", "http", "client", "v2", "spec"]
        );
        assert_eq!(words("OAuth2Login"), ["o", "auth2", "login"]);
        assert_eq!(words("author"), ["author"]);
        assert!(words("--/__").is_empty());
    }
}
