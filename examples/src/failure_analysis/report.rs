//! What people read.

use std::fmt::Write as _;
use std::io::Write as _;

use pipeline_core::failure::AnalysisStatus;
use pipeline_core::failure::EvidenceRole;
use pipeline_core::failure::LogAnalysisResult;

/// Prints one text to standard output; a reader that went away is no error.
pub(crate) fn to_stdout(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// Prints one text to standard error.
pub(crate) fn to_stderr(text: &str) {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

/// Returns the answer as a short text for a terminal or a job log.
pub(crate) fn text(result: &LogAnalysisResult) -> String {
    let mut out = headline(result);
    write_or_never(&mut out, format_args!("\n  {}\n", result.summary));
    if !result.suggested_fix.is_empty() {
        write_or_never(&mut out, format_args!("  Next: {}\n", result.suggested_fix));
    }
    for evidence in &result.evidence {
        write_or_never(
            &mut out,
            format_args!("  {} at line {}:\n", role(evidence.role), evidence.anchor),
        );
        for line in &evidence.text {
            write_or_never(&mut out, format_args!("    | {line}\n"));
        }
    }
    if let Some(rule) = &result.rule {
        write_or_never(
            &mut out,
            format_args!(
                "  rule {rule}, signature {}\n",
                result.signature.as_deref().unwrap_or("-")
            ),
        );
    }
    out.trim_end().to_owned()
}

/// Returns the answer as Markdown in which no line of the log can act as markup or command.
pub(crate) fn markdown(result: &LogAnalysisResult) -> String {
    let mut out = format!("**{}**\n\n", headline(result));
    write_or_never(&mut out, format_args!("{}\n", quoted(&result.summary)));
    if !result.suggested_fix.is_empty() {
        write_or_never(
            &mut out,
            format_args!("\n{}\n", quoted(&result.suggested_fix)),
        );
    }
    for evidence in &result.evidence {
        write_or_never(
            &mut out,
            format_args!("\n{} at line {}:\n\n", role(evidence.role), evidence.anchor),
        );
        // Indented code is the one form of quoting that no content can end.
        for line in &evidence.text {
            write_or_never(&mut out, format_args!("    {line}\n"));
        }
    }
    out.trim_end().to_owned()
}

fn headline(result: &LogAnalysisResult) -> String {
    let mut out = match result.status {
        AnalysisStatus::NoLog if !result.is_explained() => return "no log".to_owned(),
        _ if !result.is_explained() => "cause not known".to_owned(),
        _ => format!(
            "{} (blame: {}, {}, confidence {:.0} %)",
            result.category,
            result.blame,
            if result.retryable {
                "worth a retry"
            } else {
                "a retry will not help"
            },
            result.confidence * 100.0
        ),
    };
    if result.status == AnalysisStatus::Truncated {
        out.push_str(", the log is not complete");
    }
    out
}

fn role(role: EvidenceRole) -> &'static str {
    match role {
        EvidenceRole::Cause => "Cause",
        EvidenceRole::Related => "Related",
        EvidenceRole::Symptom => "Symptom",
        EvidenceRole::Tail => "End of the log",
        _ => "Evidence",
    }
}

/// A code span that nothing inside can close: mentions, references and quick actions stay text.
fn quoted(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    format!("> {fence} {text} {fence}")
}

fn write_or_never(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use pipeline_core::failure::LogAnalysisRequest;
    use pipeline_core::failure::RuleAnalyzer;

    use super::*;

    fn result(log: &str) -> LogAnalysisResult {
        RuleAnalyzer::builtin()
            .analyze_log(&LogAnalysisRequest::from_text(log))
            .unwrap()
    }

    #[test]
    fn a_person_reads_cause_fix_and_lines() {
        let result = result("$ make\nsrc/a.c:3:5: error: expected ';'\nmake: *** [all] Error 1\n");
        insta::assert_snapshot!(text(&result), @r"
        compile (blame: code, a retry will not help, confidence 95 %)
          The compiler refused src/a.c: expected ';'
          Next: Correct the code at the place the compiler names.
          Cause at line 2:
            | $ make
            | src/a.c:3:5: error: expected ';'
            | make: *** [all] Error 1
          Symptom at line 3:
            | make: *** [all] Error 1
          rule gcc/error, signature 33a2d2e34e95fae6
        ");
    }

    #[test]
    fn no_line_of_a_log_becomes_markup() {
        let mut result = result("src/a.c:3:5: error: ` @all /close\n");
        result.summary = "a ``` b @all\u{20}".to_owned();
        let text = markdown(&result);
        assert!(text.contains("> ```` a ``` b @all  ````"));
        assert!(text.lines().all(|line| !line.starts_with('/')));
        assert!(text.contains("\n    src/a.c:3:5: error: ` @all /close"));
    }

    #[test]
    fn what_is_not_known_is_said() {
        insta::assert_snapshot!(text(&result("odd\n")), @r"
        cause not known
          The log does not say why it failed in words that are known.
          Next: Read the quoted end of the log; if the cause recurs, add a rule for it.
          End of the log at line 1:
            | odd
        ");
        insta::assert_snapshot!(text(&result("")), @r"
        no log
          The job left no log.
          Next: Look at the job itself: it may have ended before it could write anything.
        ");
    }
}
