//! Tests over whole patches and commands.

mod commands;
mod harmless;
mod patches;
mod properties;
mod team;

use super::Hold;
use super::HoldReason;
use super::ProtectedRules;
use crate::patch::PatchLimits;
use crate::patch::parse;

/// The names of what is held, each once: kinds and classes.
fn names(holds: &[Hold]) -> Vec<String> {
    let mut names: Vec<String> = holds
        .iter()
        .map(|hold| match &hold.reason {
            HoldReason::Class(class) => class.to_string(),
            HoldReason::Protected(kind) => kind.to_string(),
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A patch that adds one file with these lines.
fn adding(path: &str, content: &str) -> Vec<u8> {
    let lines: String = content.lines().map(|line| format!("+{line}\n")).collect();
    let count = content.lines().count();
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\n\
         index 0000000000000000000000000000000000000000..587be6b4c3f93f93c489c0111bba5596147a26cb\n\
         --- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{count} @@\n{lines}"
    )
    .into_bytes()
}

/// A patch of one file from the body of one hunk: lines that begin with ` `, `+` or `-`.
fn hunk(path: &str, heading: &str, body: &str) -> Vec<u8> {
    let count = |sign: char| body.lines().filter(|line| !line.starts_with(sign)).count();
    format!(
        "diff --git a/{path} b/{path}\n\
         index 587be6b4c3f93f93c489c0111bba5596147a26cb..b77b4eb1d946f923f61785536da9ca5af6909f06 100644\n\
         --- a/{path}\n+++ b/{path}\n@@ -10,{} +10,{} @@ {heading}\n{body}\n",
        count('+'),
        count('-')
    )
    .into_bytes()
}

fn held(rules: &ProtectedRules, patch: &[u8]) -> Vec<Hold> {
    rules.patch(&parse(patch, &PatchLimits::default()).unwrap())
}

/// The built-in rules, read once.
fn rules() -> &'static ProtectedRules {
    static RULES: std::sync::LazyLock<ProtectedRules> =
        std::sync::LazyLock::new(ProtectedRules::builtin);
    &RULES
}
