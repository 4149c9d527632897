//! Prompt templates: text with `{{name}}` in it, and nothing else.

use crate::agent::TaskKind;

/// What every template may name.
pub(super) const VARIABLES: [&str; 7] = [
    "issue",
    "reading",
    "prohibitions",
    "documents",
    "sources",
    "schema",
    "language",
];

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// No task has such a prompt.
    #[error(
        "there is no prompt `{name}` (there are: triage, local_check, recheck, implement, rework, repair)"
    )]
    UnknownTemplate {
        /// The name.
        name: String,
    },
    /// It names something that is not known.
    #[error("prompt `{template}` names the unknown variable `{{{{{variable}}}}}` (known are: {})", VARIABLES.join(", "))]
    UnknownVariable {
        /// The template.
        template: String,
        /// What it names.
        variable: String,
    },
    /// A `{{` is not closed.
    #[error("prompt `{template}` opens `{{{{` in line {line} and does not close it there")]
    Unclosed {
        /// The template.
        template: String,
        /// The line, from 1.
        line: usize,
    },
    /// It leaves out what must stand in it.
    #[error(
        "prompt `{template}` does not contain `{{{{{variable}}}}}`, without which the task cannot be given"
    )]
    Missing {
        /// The template.
        template: String,
        /// What is missing.
        variable: &'static str,
    },
}

/// Returns the name and the built-in text of a task's template, and what must stand in any text put in its place.
pub(super) fn built_in(
    kind: TaskKind,
) -> Option<(&'static str, &'static str, &'static [&'static str])> {
    const READING: &[&str] = &["reading", "prohibitions", "sources", "schema"];
    const WORK: &[&str] = &["reading", "prohibitions", "sources"];
    Some(match kind {
        TaskKind::Triage => ("triage", include_str!("prompts/triage.md"), READING),
        TaskKind::LocalCheck => (
            "local_check",
            include_str!("prompts/local_check.md"),
            READING,
        ),
        TaskKind::Recheck => ("recheck", include_str!("prompts/recheck.md"), READING),
        TaskKind::Implement => ("implement", include_str!("prompts/implement.md"), WORK),
        TaskKind::Rework => ("rework", include_str!("prompts/rework.md"), WORK),
        TaskKind::Repair => ("repair", include_str!("prompts/repair.md"), READING),
        TaskKind::PlanDraft | TaskKind::PlanDrive | TaskKind::FailureAnalysis => return None,
    })
}

/// The tasks that have a template.
pub(super) const TASKS: [TaskKind; 6] = [
    TaskKind::Triage,
    TaskKind::LocalCheck,
    TaskKind::Recheck,
    TaskKind::Implement,
    TaskKind::Rework,
    TaskKind::Repair,
];

/// Checks a text that a team puts in the place of a built-in template.
pub(super) fn check(name: &str, text: &str) -> Result<(), TemplateError> {
    let Some((_, _, needed)) = TASKS
        .into_iter()
        .filter_map(built_in)
        .find(|(known, ..)| *known == name)
    else {
        return Err(TemplateError::UnknownTemplate {
            name: name.to_owned(),
        });
    };
    let mut named = Vec::new();
    fill(name, text, |variable| {
        named.push(variable.to_owned());
        VARIABLES.contains(&variable).then(String::new)
    })?;
    match needed.iter().find(|n| !named.iter().any(|v| v == *n)) {
        Some(variable) => Err(TemplateError::Missing {
            template: name.to_owned(),
            variable,
        }),
        None => Ok(()),
    }
}

/// Puts values in. One pass: what a value contains is never looked at.
pub(super) fn fill(
    template: &str,
    text: &str,
    mut value: impl FnMut(&str) -> Option<String>,
) -> Result<String, TemplateError> {
    let mut out = String::new();
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let mut rest = line;
        while let Some((before, behind)) = rest.split_once("{{") {
            out.push_str(before);
            let Some((variable, after)) = behind.split_once("}}") else {
                return Err(TemplateError::Unclosed {
                    template: template.to_owned(),
                    line: n + 1,
                });
            };
            let variable = variable.trim();
            let Some(filled) = value(variable) else {
                return Err(TemplateError::UnknownVariable {
                    template: template.to_owned(),
                    variable: variable.chars().take(60).collect(),
                });
            };
            out.push_str(&filled);
            rest = after;
        }
        out.push_str(rest);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_template_passes_its_own_check() {
        for (name, text, _) in TASKS.into_iter().filter_map(built_in) {
            assert_eq!(check(name, text), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_template_that_cannot_be_used_is_refused_with_the_place() {
        let refused = |name, text| check(name, text).expect_err("refused").to_string();
        insta::assert_snapshot!(refused("Triage", ""), @"there is no prompt `Triage` (there are: triage, local_check, recheck, implement, rework, repair)");
        insta::assert_snapshot!(refused("triage", "{{sources}} {{tittle}}"), @"prompt `triage` names the unknown variable `{{tittle}}` (known are: issue, reading, prohibitions, documents, sources, schema, language)");
        insta::assert_snapshot!(refused("triage", "a\nb {{ sources\n}}"), @"prompt `triage` opens `{{` in line 2 and does not close it there");
        insta::assert_snapshot!(refused("implement", "{{reading}}{{prohibitions}}"), @"prompt `implement` does not contain `{{sources}}`, without which the task cannot be given");
    }

    #[test]
    fn a_value_is_never_a_template() {
        let filled = fill("t", "{{ a }}-{{b}}", |name| {
            Some(format!("{{{{{name}{name}}}}}"))
        });
        assert_eq!(filled, Ok("{{aa}}-{{bb}}".into()));
    }
}
