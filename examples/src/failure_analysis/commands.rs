//! What each command does.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pipeline_core::failure::LogAnalysisRequest;
use pipeline_core::failure::LogSource;
use pipeline_core::failure::RuleAnalyzer;
use pipeline_core::failure::RuleSet;

use super::arguments::Analyze;
use super::arguments::Arguments;
use super::arguments::Command;
use super::arguments::Format;
use super::arguments::RuleFiles;
use super::arguments::Rules;
use super::arguments::Serve;
use super::report;
use super::service::Limits;
use super::service::Service;
use super::service::ServiceError;

type Failure = Box<dyn Error + Send + Sync>;

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Analyze(analyze) => {
            // Reading and matching block; nothing else runs beside them.
            tokio::task::spawn_blocking(move || explain(&analyze)).await?
        }
        Command::Rules(Rules::Test(files)) => test_rules(&files),
        Command::Rules(Rules::List(files)) => list_rules(&files),
        Command::Serve(serve) => serve_until_stopped(serve).await,
    }
}

fn rules(files: &RuleFiles) -> Result<RuleSet, Failure> {
    let mut set = if files.no_builtin {
        RuleSet::empty()
    } else {
        RuleSet::builtin()
    };
    // The first file named is asked first.
    for file in files.files.iter().rev() {
        set = set.with_rules(&file.display().to_string(), &read_text(file)?)?;
    }
    Ok(set)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

fn explain(arguments: &Analyze) -> Result<ExitCode, Failure> {
    let analyzer = RuleAnalyzer::new(rules(&arguments.rules)?);
    let mut request = LogAnalysisRequest::default();
    request.job.clone_from(&arguments.job);
    request.stage.clone_from(&arguments.stage);
    request.exit_code = arguments.exit_code;
    request.failure_reason.clone_from(&arguments.failure_reason);
    request.tools.clone_from(&arguments.tools);
    request.incomplete = arguments.incomplete;
    request.passing_log = arguments.passing.clone().map(LogSource::File);
    let stdin = arguments.log == Path::new("-");
    let result = if arguments.json_lines {
        let bytes = if stdin {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
            bytes
        } else {
            std::fs::read(&arguments.log)
                .map_err(|error| format!("cannot read {}: {error}", arguments.log.display()))?
        };
        request.log = LogSource::JsonLines(bytes.into());
        analyzer.analyze_log(&request)?
    } else if stdin {
        analyzer.analyze_stream(&request, std::io::stdin().lock())?
    } else {
        request.log = LogSource::File(arguments.log.clone());
        analyzer.analyze_log(&request)?
    };
    report::to_stdout(&match arguments.format {
        Format::Text => report::text(&result),
        Format::Json => serde_json::to_string_pretty(&result)?,
        Format::Markdown => report::markdown(&result),
    });
    Ok(ExitCode::SUCCESS)
}

fn test_rules(files: &RuleFiles) -> Result<ExitCode, Failure> {
    let set = rules(files)?;
    let problems = set.check();
    for problem in &problems {
        report::to_stdout(&format!(
            "{}: {}\n    {}",
            problem.rule, problem.problem, problem.example
        ));
    }
    let (rules, examples) = set.rules().fold((0, 0), |(rules, examples), rule| {
        (rules + 1, examples + rule.examples)
    });
    report::to_stdout(&format!(
        "{rules} rules, {examples} examples, {} problems",
        problems.len()
    ));
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

fn list_rules(files: &RuleFiles) -> Result<ExitCode, Failure> {
    for rule in rules(files)?.rules() {
        report::to_stdout(&format!(
            "{:40} {:18} {:8} {:.2}{}",
            rule.id,
            rule.category.as_str(),
            format!("{:?}", rule.strength).to_lowercase(),
            rule.confidence,
            if rule.unproven { "  unproven" } else { "" }
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve_until_stopped(arguments: Serve) -> Result<ExitCode, Failure> {
    let token = match (&arguments.token_env, &arguments.token_file) {
        (Some(name), _) => Some(token_from_environment(name)?),
        (None, Some(file)) => Some(read_text(file)?.trim().to_owned()),
        (None, None) => None,
    };
    if token.as_ref().is_some_and(|token| token.len() < 16) {
        return Err(Box::new(ServiceError::ShortToken));
    }
    if token.is_none() && !arguments.listen.ip().is_loopback() {
        return Err(Box::new(ServiceError::Exposed {
            listen: arguments.listen,
        }));
    }
    let limits = Limits::default()
        .with_body(u64::from(arguments.max_body_mib) << 20)
        .with_memory(u64::from(arguments.max_memory_mib) << 20)
        .with_workers(usize::from(arguments.workers))
        .with_connections(usize::from(arguments.connections))
        .with_receive_timeout(Duration::from_secs(arguments.receive_timeout));
    let analyzer = RuleAnalyzer::new(rules(&arguments.rules)?);
    let mut service = Service::new(analyzer, limits);
    if let Some(token) = token {
        service = service.with_token(&token);
    }
    let listener = tokio::net::TcpListener::bind(arguments.listen)
        .await
        .map_err(|source| ServiceError::Bind {
            listen: arguments.listen,
            source,
        })?;
    // Whoever started us with port 0 learns the port here.
    tracing::info!(address = %listener.local_addr()?, "listening");
    service.run(listener, stopped()).await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the operator names the variable that holds the token; only binaries read it"
)]
fn token_from_environment(name: &str) -> Result<String, Failure> {
    std::env::var(name)
        .map(|token| token.trim().to_owned())
        .map_err(|_| {
            ServiceError::NoToken {
                name: name.to_owned(),
            }
            .into()
        })
}

/// Ends on Ctrl-C and, where there is one, on the signal service managers send.
async fn stopped() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        use tokio::signal::unix::SignalKind;
        use tokio::signal::unix::signal;
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
