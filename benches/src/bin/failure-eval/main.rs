//! Measures the failure analysis on folders of labelled logs.
//!
//! `failure-eval benches/logs/tune benches/logs/holdout --leave-one-tool-out`
#![expect(
    clippy::print_stdout,
    reason = "a command that prints a report; nothing reads it but people"
)]

mod corpus;
mod score;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use pipeline_core::failure::LogAnalysisRequest;
use pipeline_core::failure::RuleAnalyzer;
use pipeline_core::failure::RuleSet;

use self::corpus::LabelledLog;
use self::score::Score;

/// Measures the failure analysis on folders of labelled logs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folders of logs (`x.log`) with labels (`x.json`).
    folders: Vec<PathBuf>,
    /// A folder of logs in which `#=MATCH=#` marks the expected line.
    #[arg(long, value_name = "FOLDER", requires = "labels")]
    marked: Option<PathBuf>,
    /// The labels of the marked logs, by file name.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// A file with own rules, asked before the shipped ones.
    #[arg(long)]
    rules: Option<PathBuf>,
    /// Also measure each tool's logs without that tool's rules.
    #[arg(long)]
    leave_one_tool_out: bool,
    /// List every log that is not answered right.
    #[arg(long)]
    misses: bool,
    /// List the rules that no log has shown to work.
    #[arg(long)]
    unproven: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let mut rules = RuleSet::builtin();
    if let Some(file) = &arguments.rules {
        rules = rules.with_rules(&file.display().to_string(), &std::fs::read_to_string(file)?)?;
    }
    let mut sets = Vec::new();
    for folder in &arguments.folders {
        sets.push((folder.display().to_string(), corpus::labelled(folder)?));
    }
    if let (Some(folder), Some(labels)) = (&arguments.marked, &arguments.labels) {
        sets.push(("marked".to_owned(), corpus::marked(folder, labels)?));
    }
    let analyzer = RuleAnalyzer::new(rules.clone());
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for (name, logs) in &sets {
        let score = measure(&analyzer, logs)?;
        println!("== {name}: {} logs\n{score}", logs.len());
        if arguments.misses {
            print!("{}", score.misses());
        }
        for rule in score.rules_that_were_right() {
            *seen.entry(rule.to_owned()).or_default() += 1;
        }
    }
    if arguments.leave_one_tool_out {
        let logs: Vec<_> = sets.iter().flat_map(|(_, logs)| logs).cloned().collect();
        leave_one_tool_out(&rules, &logs)?;
    }
    if arguments.unproven {
        for rule in rules.rules() {
            let count = seen.get(rule.id).copied().unwrap_or(0);
            if count == 0 && !rule.unproven {
                println!("not shown by any log: {}", rule.id);
            }
            if count > 0 && rule.unproven {
                println!("shown, but marked unproven: {}", rule.id);
            }
        }
    }
    println!("{}", throughput(&analyzer, &sets)?);
    Ok(())
}

fn request(log: &LabelledLog) -> LogAnalysisRequest {
    let mut request = LogAnalysisRequest::from_text(log.text.clone());
    request.exit_code = log.label.exit_code;
    request.stage.clone_from(&log.label.stage);
    request
}

fn measure(analyzer: &RuleAnalyzer, logs: &[LabelledLog]) -> Result<Score, Box<dyn Error>> {
    let mut score = Score::default();
    for log in logs {
        score.add(log, analyzer.analyze_log(&request(log))?);
    }
    Ok(score)
}

fn leave_one_tool_out(rules: &RuleSet, logs: &[LabelledLog]) -> Result<(), Box<dyn Error>> {
    let mut tools: Vec<_> = logs.iter().map(|log| log.label.tool.clone()).collect();
    tools.sort();
    tools.dedup();
    let mut total = Score::default();
    println!("== leave one tool out");
    for tool in tools {
        let analyzer = RuleAnalyzer::new(rules.without(|rule| rule.tool == tool));
        let own: Vec<_> = logs
            .iter()
            .filter(|log| log.label.tool == tool)
            .cloned()
            .collect();
        let score = measure(&analyzer, &own)?;
        println!("  {tool:12} {}", score.line());
        for log in &own {
            total.add(log, analyzer.analyze_log(&request(log))?);
        }
    }
    println!("  {:12} {}\n", "all", total.line());
    Ok(())
}

/// Repeats the logs of all sets up to 36 MB and measures one core.
fn throughput(
    analyzer: &RuleAnalyzer,
    sets: &[(String, Vec<LabelledLog>)],
) -> Result<String, Box<dyn Error>> {
    let mut text = Vec::new();
    let all: Vec<_> = sets.iter().flat_map(|(_, logs)| logs).collect();
    if all.is_empty() {
        return Ok("no logs".to_owned());
    }
    while text.len() < 36_000_000 {
        for log in &all {
            text.extend_from_slice(&log.text);
        }
    }
    text.truncate(36_000_000);
    let request = LogAnalysisRequest::from_text(text);
    let begun = Instant::now();
    analyzer.analyze_log(&request)?;
    let took = begun.elapsed().as_secs_f64();
    Ok(format!(
        "throughput: 36 MB of these logs, one after the other, in {took:.3} s = {:.0} MB/s on one core",
        36.0 / took
    ))
}

#[cfg(test)]
mod tests;
