//! Measures the failure analysis on folders of labelled logs.
//!
//! `failure-eval benches/logs/tune benches/logs/holdout --leave-one-tool-out`
#![expect(
    clippy::print_stdout,
    reason = "a command that prints a report; nothing reads it but people"
)]

mod corpus;
mod score;
mod stress;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pipeline_core::failure::LogAnalysisRequest;
use pipeline_core::failure::RuleAnalyzer;
use pipeline_core::failure::RuleSet;
use pipeline_core::failure::Strength;

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
    /// Analyse so many broken copies of the logs.
    #[arg(long, value_name = "COUNT")]
    mutations: Option<usize>,
    /// Measure logs that are made to be slow.
    #[arg(long)]
    hostile: bool,
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
    for (name, logs) in &sets {
        let score = measure(&analyzer, logs)?;
        println!("== {name}: {} logs\n{score}", logs.len());
        if arguments.misses {
            print!("{}", score.misses());
        }
    }
    if arguments.leave_one_tool_out {
        let logs: Vec<_> = sets.iter().flat_map(|(_, logs)| logs).cloned().collect();
        leave_one_tool_out(&rules, &logs)?;
    }
    if arguments.unproven {
        let logs: Vec<_> = sets.iter().flat_map(|(_, logs)| logs).collect();
        for line in proof(&rules, &logs)? {
            println!("{line}");
        }
    }
    let logs: Vec<_> = sets.iter().flat_map(|(_, logs)| logs).collect();
    if let Some(count) = arguments.mutations {
        let (problems, slowest) = stress::mutations(&analyzer, &logs, count);
        println!(
            "== {count} broken logs: {} problems, the slowest at {:.0} MB/s",
            problems.len(),
            1.0 / slowest
        );
        for problem in problems {
            println!("  {problem}");
        }
    }
    if arguments.hostile {
        println!("== logs made to be slow, 36 MB each");
        print!("{}", stress::hostile_report(&analyzer, &logs, 36_000_000));
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

/// Says where the marks of the rules and what the logs show differ.
///
/// A rule is shown to work by a log of its category that it explains all by itself.
fn proof(rules: &RuleSet, logs: &[&LabelledLog]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut differences = Vec::new();
    for rule in rules.rules() {
        if rule.strength == Strength::Symptom || !rule.looks_at_lines {
            continue;
        }
        let alone = RuleAnalyzer::new(rules.without(|other| other.id != rule.id));
        let mut shown = 0;
        for log in logs {
            if log.label.category == rule.category
                && alone.analyze_log(&request(log))?.category == rule.category
            {
                shown += 1;
            }
        }
        if shown == 0 && !rule.unproven {
            differences.push(format!("not shown by any log: {}", rule.id));
        }
        if shown > 0 && rule.unproven {
            differences.push(format!(
                "shown by {shown}, but marked unproven: {}",
                rule.id
            ));
        }
    }
    Ok(differences)
}

/// Measures one core on 36 MB: the logs one after the other, and the logs after ordinary build output.
fn throughput(
    analyzer: &RuleAnalyzer,
    sets: &[(String, Vec<LabelledLog>)],
) -> Result<String, Box<dyn Error>> {
    const SIZE: usize = 36_000_000;
    let all: Vec<_> = sets.iter().flat_map(|(_, logs)| logs).collect();
    if all.is_empty() {
        return Ok("no logs".to_owned());
    }
    let logs: Vec<u8> = all.iter().flat_map(|log| &log.text).copied().collect();
    let dense: Vec<u8> = logs.iter().copied().cycle().take(SIZE).collect();
    let ordinary = (0u32..).flat_map(|number| {
        format!(
            "[{:3}%] Building CXX object src/CMakeFiles/shop.dir/part_{number}/price_list.cpp.o\n",
            number % 100
        )
        .into_bytes()
    });
    let mut usual: Vec<u8> = ordinary.take(SIZE.saturating_sub(logs.len())).collect();
    usual.extend_from_slice(&logs);
    let mut lines = Vec::new();
    for (what, text) in [
        ("failing logs, one after the other", dense),
        ("build output, then the failing logs", usual),
    ] {
        let megabytes = text.len() as f64 / 1e6;
        let request = LogAnalysisRequest::from_text(text);
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let begun = stress::own_seconds();
            analyzer.analyze_log(&request)?;
            best = best.min(stress::own_seconds() - begun);
        }
        lines.push(format!(
            "{megabytes:.0} MB of {what}: {best:.3} s, {:.0} MB/s on one core",
            megabytes / best
        ));
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests;
