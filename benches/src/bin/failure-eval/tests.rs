use std::path::Path;

use super::*;

fn logs(set: &str) -> Vec<LabelledLog> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("logs").join(set);
    corpus::labelled(&folder).unwrap()
}

#[test]
fn the_own_logs_are_many_and_cover_the_categories() {
    let logs = [logs("tune"), logs("holdout")].concat();
    assert!(logs.len() >= 60);
    let mut categories: Vec<_> = logs.iter().map(|log| log.label.category).collect();
    categories.sort();
    categories.dedup();
    assert!(categories.len() >= 12, "{categories:?}");
    for log in &logs {
        if let Some(anchor) = log.label.anchor {
            let lines = log.text.split(|b| *b == b'\n').count() as u64;
            assert!((1..=lines).contains(&anchor), "{}", log.name);
        }
    }
}

#[test]
fn the_holdout_meets_the_goals() {
    let score = measure(&RuleAnalyzer::builtin(), &logs("holdout")).unwrap();
    assert!(score.accuracy() >= 0.90, "{score}");
    assert!(score.coverage() >= 0.75, "{score}");
    assert!(score.retryable_precision() >= 0.95, "{score}");
}

#[test]
fn what_was_tuned_stays_right() {
    let score = measure(&RuleAnalyzer::builtin(), &logs("tune")).unwrap();
    assert!(score.accuracy() >= 0.98, "{score}{}", score.misses());
    assert!(score.coverage() >= 0.95, "{score}{}", score.misses());
    assert!(score.macro_f1() >= 0.95, "{score}");
}

#[test]
fn an_unproven_rule_is_one_that_no_own_log_shows() {
    let logs = [logs("tune"), logs("holdout")].concat();
    let all: Vec<_> = logs.iter().collect();
    let wrongly_marked: Vec<_> = proof(&RuleSet::builtin(), &all)
        .unwrap()
        .into_iter()
        .filter(|line| line.starts_with("shown"))
        .collect();
    assert!(wrongly_marked.is_empty(), "{wrongly_marked:?}");
    for rule in RuleSet::builtin().rules() {
        assert!(!rule.unproven || rule.confidence <= 0.6, "{}", rule.id);
    }
}

/// A few of the broken logs; `--mutations 10000` of the command does them all.
#[test]
fn no_broken_log_breaks_an_answer() {
    let logs = [logs("tune"), logs("holdout")].concat();
    let all: Vec<_> = logs.iter().collect();
    let (problems, _) = stress::mutations(&RuleAnalyzer::builtin(), &all, 300);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn no_hostile_log_breaks_an_answer() {
    let logs = logs("tune");
    let all: Vec<_> = logs.iter().collect();
    for (name, text) in stress::hostile(&all, 200_000) {
        let request = LogAnalysisRequest::from_text(text.clone());
        let result = RuleAnalyzer::builtin().analyze_log(&request).unwrap();
        assert_eq!(stress::broken(&text, &result), None, "{name}");
    }
}

/// What a flood of lookalikes hides is still found at the end of the log.
#[test]
fn a_flood_does_not_hide_the_last_lines() {
    let mut text = "~error[E0000]: not at the start of the line\n".repeat(20_000);
    text.push_str("error[E0308]: mismatched types\n");
    let result = RuleAnalyzer::builtin()
        .analyze_log(&LogAnalysisRequest::from_text(text))
        .unwrap();
    assert_eq!(result.evidence[0].anchor, 20_001);
}
