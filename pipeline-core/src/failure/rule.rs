//! One rule: as it is written in a file, and as it is used.

use regex::bytes::Regex;
use regex::bytes::RegexBuilder;
use regex_syntax::ParserBuilder;
use serde::Deserialize;
use serde::Serialize;

use super::literal;
use super::result::Blame;
use super::result::FailureCategory;
use super::rule_error::RuleError;

/// The highest confidence of a rule that no real log has proven yet.
pub(crate) const UNPROVEN_CONFIDENCE: f64 = 0.6;

/// How much the match of a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strength {
    /// Something failed; why must be said elsewhere. Quoted, never answered.
    Symptom,
    /// Often harmless; answers only if nothing better is there.
    Hint,
    /// Usually what made the command fail.
    Error,
    /// The tool says that it gives up because of this.
    Fatal,
    /// Whoever runs the job says that it ended because of this.
    Final,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// A line of the log.
    #[default]
    Line,
    /// The exit code of the command, in decimal.
    ExitCode,
    /// The platform's own reason.
    Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pick {
    #[default]
    First,
    Last,
}

/// Where the trouble may stand that a rule steps back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Yields {
    #[default]
    Never,
    Before,
    /// Also right below, for tools that print a chain of causes from the outside in.
    Around,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleFile {
    /// The tool of every rule that names none.
    pub(crate) tool: Option<String>,
    #[serde(default)]
    pub(crate) unproven: bool,
    /// Rules of the set below that do not apply here.
    #[serde(default)]
    pub(crate) disable: Vec<String>,
    #[serde(default, rename = "rule")]
    pub(crate) rules: Vec<RuleText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleText {
    id: String,
    tool: Option<String>,
    category: FailureCategory,
    #[serde(default = "fatal")]
    strength: Strength,
    #[serde(default)]
    on: Subject,
    pattern: String,
    /// A line that matches this too is not meant.
    not: Option<String>,
    /// The line that names the cause stands above the one that matches.
    above: Option<Above>,
    /// Without that line above, nothing is matched.
    #[serde(default)]
    requires_above: bool,
    /// Applies only where the command, the job or the stage matches this.
    command: Option<String>,
    #[serde(default)]
    pick: Pick,
    blame: Option<Blame>,
    retryable: Option<bool>,
    confidence: Option<f64>,
    /// Steps back for trouble of the infrastructure beside it.
    #[serde(default)]
    yields: Yields,
    /// May be the trouble that a yielding rule steps back for.
    #[serde(default)]
    root: bool,
    #[serde(default)]
    unproven: bool,
    summary: String,
    fix: String,
    #[serde(default)]
    examples: Vec<String>,
    #[serde(default)]
    counter_examples: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Above {
    pattern: String,
    within: u8,
}

fn fatal() -> Strength {
    Strength::Fatal
}

/// A rule ready for use.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) tool: String,
    pub(crate) category: FailureCategory,
    pub(crate) strength: Strength,
    pub(crate) subject: Subject,
    pub(crate) pattern: Regex,
    pub(crate) not: Option<Regex>,
    pub(crate) above: Option<(Regex, usize)>,
    pub(crate) requires_above: bool,
    pub(crate) command: Option<Regex>,
    pub(crate) pick: Pick,
    pub(crate) blame: Blame,
    pub(crate) retryable: bool,
    pub(crate) confidence: f64,
    pub(crate) yields: Yields,
    pub(crate) root: bool,
    pub(crate) unproven: bool,
    pub(crate) summary: String,
    pub(crate) fix: String,
    pub(crate) examples: Vec<String>,
    pub(crate) counter_examples: Vec<String>,
    pub(crate) literals: Vec<Vec<u8>>,
}

impl Rule {
    pub(crate) fn compile(
        text: RuleText,
        file_tool: Option<&str>,
        file_unproven: bool,
    ) -> Result<Self, RuleError> {
        let id = text.id;
        if id.is_empty()
            || !id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/-_.".contains(&b))
        {
            return Err(RuleError::Id { id });
        }
        let pattern = regex(&id, &text.pattern)?;
        let literals = match text.on {
            Subject::Line => literals(&id, &text.pattern)?,
            Subject::ExitCode | Subject::Reason => Vec::new(),
        };
        let unproven = text.unproven || file_unproven;
        let usual = match text.strength {
            Strength::Final | Strength::Fatal => 0.9,
            Strength::Error => 0.75,
            Strength::Hint => 0.5,
            Strength::Symptom => 0.0,
        };
        let mut confidence = text.confidence.unwrap_or(usual);
        if !(0.0..=1.0).contains(&confidence) {
            return Err(RuleError::Confidence { id, confidence });
        }
        if unproven {
            confidence = confidence.min(UNPROVEN_CONFIDENCE);
        }
        let command = text
            .command
            .map(|command| regex(&id, &command))
            .transpose()?;
        let not = text.not.map(|not| regex(&id, &not)).transpose()?;
        let above = text
            .above
            .map(|above| regex(&id, &above.pattern).map(|found| (found, usize::from(above.within))))
            .transpose()?;
        Ok(Self {
            tool: text
                .tool
                .or_else(|| file_tool.map(str::to_owned))
                .unwrap_or_else(|| "generic".to_owned()),
            category: text.category,
            strength: text.strength,
            subject: text.on,
            pattern,
            not,
            above,
            requires_above: text.requires_above,
            command,
            pick: text.pick,
            blame: text.blame.unwrap_or_else(|| text.category.usual_blame()),
            retryable: text
                .retryable
                .unwrap_or_else(|| text.category.usually_retryable()),
            confidence,
            yields: text.yields,
            root: text.root,
            unproven,
            summary: text.summary,
            fix: text.fix,
            examples: text.examples,
            counter_examples: text.counter_examples,
            literals,
            id,
        })
    }

    pub(crate) fn matches(&self, line: &[u8]) -> bool {
        self.pattern.is_match(line) && !self.not.as_ref().is_some_and(|not| not.is_match(line))
    }
}

fn regex(id: &str, pattern: &str) -> Result<Regex, RuleError> {
    // ASCII classes and small caches: hundreds of these live at once, each on every worker thread.
    RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(1 << 20)
        .dfa_size_limit(128 << 10)
        .build()
        .map_err(|source| RuleError::Pattern {
            id: id.to_owned(),
            source: Box::new(source),
        })
}

fn literals(id: &str, pattern: &str) -> Result<Vec<Vec<u8>>, RuleError> {
    let hir = ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .parse(pattern)
        .map_err(|source| RuleError::Pattern {
            id: id.to_owned(),
            source: Box::new(source),
        })?;
    literal::required(&hir).ok_or_else(|| RuleError::NoLiteral { id: id.to_owned() })
}
