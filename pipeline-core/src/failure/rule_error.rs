//! Why rules are refused.

/// Why a file with rules was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The file is no valid TOML of the expected shape.
    #[error("the rules in {file} cannot be read; see docs/failure-analysis.md for their form")]
    Parse {
        /// The name the file was given under.
        file: String,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// The id of a rule is empty or holds other than ASCII letters, digits and `/-_.`.
    #[error("the rule id {id:?} may hold only letters, digits and `/`, `-`, `_`, `.`")]
    Id {
        /// The id as written.
        id: String,
    },
    /// Two rules of one file have the same id.
    #[error("the rule {id} stands twice in {file}; give one of the two another id")]
    Twice {
        /// The id.
        id: String,
        /// The name the file was given under.
        file: String,
    },
    /// A rule to be switched off does not exist.
    #[error("{file} disables the rule {id}, which does not exist; list the rules to see the ids")]
    UnknownDisabled {
        /// The id.
        id: String,
        /// The name the file was given under.
        file: String,
    },
    /// A pattern is no valid regular expression, or too large.
    #[error("the pattern of the rule {id} cannot be used")]
    Pattern {
        /// The rule.
        id: String,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pattern can match without any fixed text, so it would have to run on every line.
    #[error(
        "the pattern of the rule {id} can match a line without any fixed text of at least 3 characters; \
         add a word that every such line holds"
    )]
    NoLiteral {
        /// The rule.
        id: String,
    },
    /// A confidence lies outside 0 to 1.
    #[error("the confidence {confidence} of the rule {id} does not lie between 0 and 1")]
    Confidence {
        /// The rule.
        id: String,
        /// The value as written.
        confidence: f64,
    },
    /// There are more rules than one set may hold.
    #[error("{count} rules are more than the 2000 one set may hold")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// The literals of all rules together are too many for one automaton.
    #[error("the patterns together need too large an automaton; use fewer rules")]
    Automaton {
        /// What the automaton's builder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
